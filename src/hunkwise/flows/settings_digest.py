"""One short word for all that decides on what a review looks for: another word means another review."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from hunkwise.domain.pull_request import Instructions
from hunkwise.prompts.render import BUILT_IN
from hunkwise.settings.config import Config, PromptSettings


def settings_digest(
    config: Config,
    templates: Mapping[str, str],
    instructions: Iterable[Instructions],
    *,
    demo: bool,
    system: str,
) -> str:
    """Sixteen hex digits of what is asked, of which files, of whom: prompts with their texts, the system message,
    instructions, severities, globs, model.

    `templates` are the user's own by their prompts' names; the built-in ones count always, as own templates
    may include them. What only decides on how much is asked or said (budgets, gates, comments) stays out.
    """
    texts = {**_built_in(), **templates}
    what: dict[str, Any] = {
        "prompts": {prompt.name: _prompt(prompt, config) for prompt in config.prompts},
        "templates": texts,
        "system": system,
        "instructions": [[said.path, said.text, list(said.apply_to)] for said in instructions],
        "ignore": list(config.ignore),
        "paths": list(config.paths),
        "model": config.model,
        "demo": demo,
    }
    return sha256(json.dumps(what, sort_keys=True).encode("ascii")).hexdigest()[:16]


def _prompt(prompt: PromptSettings, config: Config) -> dict[str, Any]:
    least = prompt.min_severity or config.min_severity
    return {"paths": list(prompt.paths), "min_severity": int(least)}


@cache
def _built_in() -> dict[str, str]:
    folder = files("hunkwise.prompts") / "templates"
    return {name: (folder / f"{name}.md.j2").read_text(encoding="utf-8") for name in BUILT_IN}
