"""What the base of a change says about reviews, read and compiled by the code that a review uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hunkwise.checkup.check import Check, failed, ok, warning, wrong
from hunkwise.errors import Error, SettingsError
from hunkwise.flows.base_texts import BaseTexts, Commit, base_texts
from hunkwise.prompts.render import Renderer
from hunkwise.settings.config import Config

_SHOWN = 12
_BELOW = "the AGENTS.md of the folders above a changed file, if there are any"
"""Only a change says which those are."""


@dataclass(frozen=True, slots=True)
class Read:
    """What was found, and the configuration where it is right."""

    checks: tuple[Check, ...]
    config: Config | None = None


def read_base(base: Commit, config_path: str, overridden: Callable[[Config], Config]) -> Read:
    """Reads configuration, templates and instructions at a commit."""
    try:
        texts = base_texts(base, config_path, overridden)
        there = base.read(config_path) is not None
    except Error as error:
        return Read(failed("Configuration", error))
    said = f"{config_path} is right" if there else f"there is no {config_path}: the defaults hold"
    checks = [ok("Configuration", said), *_prompts(texts), _instructions(texts)]
    checks += [warning("Instructions", note, "Make the file readable, or remove it.") for note in texts.notes]
    return Read(tuple(checks), texts.config)


def _prompts(texts: BaseTexts) -> list[Check]:
    """Each template of the user's own is compiled where a review renders it: in a process that is bounded."""
    renderer = Renderer(texts.templates, paths=texts.config.own_files)
    checks = [ok("Prompts", ", ".join(prompt.name for prompt in texts.config.reviewing))]
    for name in texts.templates:
        try:
            renderer.check(name)
        except SettingsError as error:
            checks += [wrong("Template", said) for said in error.faults]
        else:
            checks.append(ok("Template", f"that of {name} compiles"))
    return checks


def _instructions(texts: BaseTexts) -> Check:
    if not texts.config.context.instructions:
        return ok("Instructions", "not shown to the model: context.instructions is false")
    paths = [found.path for found in texts.instructions]
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ok("Instructions", f"{', '.join(paths[:_SHOWN])}{more}, and {_BELOW}" if paths else _BELOW)
