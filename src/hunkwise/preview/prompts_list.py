"""`hunkwise prompts list`: what each prompt looks for, where it comes from, what it may, and whether it runs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hunkwise.domain.finding import Severity
from hunkwise.domain.outcome import ExitCode
from hunkwise.preview.chosen import prompt_names
from hunkwise.preview.places import Place, config_path, configuration
from hunkwise.preview.shown import print_json, safe
from hunkwise.preview.templates import fronts_of
from hunkwise.prompts.library import HOUSE
from hunkwise.repository.working_tree import WorkingTree
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import BudgetSettings, PromptSettings


@dataclass(frozen=True, slots=True)
class _Listed:
    """A prompt with all its settings."""

    prompt: PromptSettings
    runs: bool
    least: Severity
    """Below it nothing is asked for."""

    @property
    def most(self) -> Severity:
        return self.prompt.max_severity or Severity.CRITICAL


def list_prompts(arguments: argparse.Namespace) -> ExitCode:
    """Prints them. Raises SettingsError where the configuration or a template is wrong, RepositoryError."""
    place = Place(WorkingTree(Path(arguments.repository)), "the working tree")
    path = config_path(arguments.config)
    config, document = configuration(place, path)
    prompts = list(_listed(config, place))
    if arguments.format == "json":
        print_json(
            {
                "version": 1,
                "configuration": {"path": path, "found": document is not None},
                "prompts": [_prompt_as_json(listed) for listed in prompts],
            }
        )
    else:
        for listed in prompts:
            sys.stdout.write("".join(f"{line}\n" for line in _as_text(listed)))
    return ExitCode.REVIEWED


def _listed(config: Config, place: Place) -> Iterator[_Listed]:
    """The configuration's, then the built-in ones that it does not name."""
    entries = {prompt.name: prompt for prompt in config.prompts}
    running = {prompt.name for prompt in config.reviewing}
    running |= {
        name for name, word in (("verify", config.verify), ("summary", config.summary)) if word != "off"
    }
    prompts = [entries.get(name) or PromptSettings(name=name) for name in prompt_names(config)]
    fronts = fronts_of(prompts, place)
    for prompt in prompts:
        completed = prompt.under(fronts[prompt.name].matter)
        least = completed.min_severity or config.min_severity
        yield _Listed(completed, prompt.name in running, least)


def _as_text(listed: _Listed) -> Iterator[str]:
    prompt = listed.prompt
    runs = "runs" if listed.runs else "does not run"
    yield f"{prompt.name}  ({runs}; {safe(prompt.template or 'built in')})"
    if prompt.description:
        yield f"  {safe(prompt.description)}"
    if not prompt.is_stage:
        paths = safe(json.dumps(list(prompt.paths), ensure_ascii=False)) if prompt.paths else "all"
        yield f"  files: {paths}; severities: {listed.least.label} to {listed.most.label}"
    yield f"  budget: {_budget(prompt.budget)}; a chunk: {_budget(prompt.chunk_budget)}"
    yield f"  tools: {', '.join(prompt.tools) or 'none'}"


def _budget(budget: BudgetSettings) -> str:
    parts = [
        f"{value:,} {name.removeprefix('max_').replace('_', ' ')}"
        for name, value in budget
        if value is not None
    ]
    return ", ".join(parts) or "the run's"


def _prompt_as_json(listed: _Listed) -> dict[str, Any]:
    prompt = listed.prompt
    return {
        "name": prompt.name,
        "description": prompt.description,
        "runs": listed.runs,
        "stage": prompt.is_stage,
        "built-in": prompt.template is None,
        "template": prompt.template or HOUSE + prompt.name,
        "paths": list(prompt.paths),
        "min-severity": listed.least.label,
        "max-severity": listed.most.label,
        "categories": list(prompt.categories),
        "budget": prompt.budget.model_dump(by_alias=True),
        "chunk-budget": prompt.chunk_budget.model_dump(by_alias=True),
        "tools": list(prompt.tools),
    }
