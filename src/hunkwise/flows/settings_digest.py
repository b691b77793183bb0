"""One short word for all that decides on what a review looks for: another word means another review."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from hunkwise.domain.pull_request import Instructions
from hunkwise.flows.prompting import prompt_values
from hunkwise.prompts.library import HOUSE, built_in
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import STAGE_PROMPTS, PromptSettings

_STAGES = frozenset((*STAGE_PROMPTS, *(HOUSE + name for name in STAGE_PROMPTS)))


def settings_digest(
    config: Config,
    templates: Mapping[str, str],
    instructions: Iterable[Instructions],
    *,
    demo: bool,
    system: str,
) -> str:
    """Sixteen hex digits of what is asked, of which files, of whom: prompts with their texts and partials, the system
    message, instructions, severities, categories, tools, globs, the model that is asked first.

    `templates` are the user's own by their names; the built-in ones count always, as own templates may include
    them. What only decides on how much is asked or said (budgets, gates, comments), and what is asked once the
    findings are there (second opinion, summary), stays out.
    """
    texts = {name: text for name, text in {**built_in(), **templates}.items() if name not in _STAGES}
    what: dict[str, Any] = {
        "prompts": {prompt.name: _prompt(prompt, config) for prompt in config.reviewing},
        "templates": texts,
        "system": system,
        "instructions": [[said.path, said.text, list(said.apply_to)] for said in instructions],
        "ignore": list(config.ignore),
        "paths": list(config.paths),
        "context": config.context.model_dump(),
        "model": config.lineup[0],
        "demo": demo,
    }
    return sha256(json.dumps(what, sort_keys=True).encode("ascii")).hexdigest()[:16]


def _prompt(prompt: PromptSettings, config: Config) -> dict[str, Any]:
    """All that a template sees of its settings, and what they decide besides."""
    return prompt_values(prompt, prompt.min_severity or config.min_severity)
