"""`hunkwise config check`: every fault of the configuration and its templates, or that there is none."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hunkwise.domain.outcome import ExitCode
from hunkwise.errors import SettingsError
from hunkwise.flows.base_texts import BaseTexts, base_texts
from hunkwise.preview.places import Place, config_path, configuration
from hunkwise.preview.shown import safe
from hunkwise.preview.templates import file_faults
from hunkwise.prompts.render import Renderer
from hunkwise.repository.working_tree import WorkingTree
from hunkwise.settings.config import Config

_IN_PROMPT: Final = " (in the prompt "


def check(arguments: argparse.Namespace) -> ExitCode:
    """Prints what was read. Raises SettingsError with all faults, RepositoryError where a file cannot be read."""
    place = Place(WorkingTree(Path(arguments.repository)), "the working tree")
    path = config_path(arguments.config)
    config, document = configuration(place, path)
    if document is None and arguments.config is not None:
        raise SettingsError([f"There is no {path} in {place.said}: correct --config."])
    if faults := list(file_faults(config, place)):
        raise SettingsError(faults)
    texts = base_texts(place.commit, path, lambda config: config)
    # A faulty partial is a fault of every prompt that includes it: it is told once, of the first.
    first = {fault.partition(_IN_PROMPT)[0]: fault for fault in reversed(list(_compile_faults(texts)))}
    if first:
        raise SettingsError(list(reversed(first.values())))
    sys.stdout.write("".join(f"{line}\n" for line in _read(path, config, texts, found=document is not None)))
    return ExitCode.REVIEWED


def _compile_faults(texts: BaseTexts) -> Iterator[str]:
    """Of every prompt that a run can put, and of every template of the user's own: each is compiled where a
    review renders it, in a process that is bounded."""
    renderer = Renderer(texts.templates, paths=texts.config.own_files)
    for name in dict.fromkeys((*(prompt.name for prompt in texts.config.prompts), *texts.templates)):
        try:
            renderer.check(name)
        except SettingsError as error:
            yield from error.faults


def _read(path: str, config: Config, texts: BaseTexts, *, found: bool) -> Iterator[str]:
    yield "ok"
    yield f"  {path}" if found else f"  there is no {path}: the defaults hold"
    running = ", ".join(prompt.name for prompt in config.reviewing)
    yield f"  prompts: {running}; verify: {config.verify}; summary: {config.summary}"
    for name, own in config.own_files.items():
        yield f"  {safe(name)}: {safe(own)}"
    for note in texts.notes:
        yield f"  note: {safe(note)}"
