"""`hunkwise prompts show`: a template as it stands, and what it extends and includes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2.meta import find_referenced_templates

from hunkwise.domain.front_matter import divided
from hunkwise.domain.outcome import ExitCode
from hunkwise.preview.chosen import TEMPLATES, refuse_unknown, template_names
from hunkwise.preview.places import Place, config_path, configuration
from hunkwise.preview.shown import print_text, safe
from hunkwise.preview.templates import read_template
from hunkwise.prompts.library import HOUSE, built_in_text
from hunkwise.prompts.sandbox import RENDER_ERRORS, sandbox
from hunkwise.repository.working_tree import WorkingTree


@dataclass(frozen=True, slots=True)
class _Shown:
    """A template, and where it stands."""

    name: str
    place: str
    text: str


class _Shelf:
    """All templates by their names; each is read when it is asked for."""

    def __init__(self, own: Mapping[str, str], place: Place) -> None:
        """`own`: the paths of the user's own, by their names."""
        self._own = own
        self._place = place

    def get(self, name: str) -> _Shown | None:
        """None where there is none of that name. Raises SettingsError where a file cannot be had."""
        if name in self._own:
            path = self._own[name]
            return _Shown(name, path, read_template(self._place, f'The template "{name}"', path))
        plain = name.removeprefix(HOUSE)
        return _Shown(name, "built in", built_in_text(plain)) if plain in TEMPLATES else None

    def named_in(self, shown: _Shown) -> list[str]:
        """The names that a template extends, includes or imports. Raises what Jinja2 raises of a faulty one."""
        parts = divided(shown.text)
        tree = sandbox({}).parse(parts.template if parts else shown.text)
        return [name for name in find_referenced_templates(tree) if name is not None]


def show_prompt(arguments: argparse.Namespace) -> ExitCode:
    """Prints the text. Raises SettingsError where there is no such template, RepositoryError."""
    place = Place(WorkingTree(Path(arguments.repository)), "the working tree")
    config, _ = configuration(place, config_path(arguments.config))
    refuse_unknown(arguments.name, template_names(config), "prompt or template")
    shelf = _Shelf(config.own_files, place)
    if not arguments.extended:
        first = shelf.get(arguments.name)
        assert first is not None, "its name is known"
        print_text(first.text)
        return ExitCode.REVIEWED
    for shown in _extended(shelf, arguments.name):
        sys.stdout.write(f"=== {safe(shown.name)} ({safe(shown.place)})\n")
        print_text(shown.text if shown.text.endswith("\n") else shown.text + "\n")
    return ExitCode.REVIEWED


def _extended(shelf: _Shelf, name: str) -> Iterator[_Shown]:
    """The template and those that it names, each once, in the order in which they are named."""
    ahead, seen = [name], set[str]()
    while ahead:
        shown = shelf.get(ahead.pop(0))
        if shown is None or shown.name in seen:
            continue
        seen.add(shown.name)
        yield shown
        try:
            ahead = [*shelf.named_in(shown), *ahead]
        except RENDER_ERRORS as error:
            fault = safe(f"{shown.place} does not compile: {error}")
            sys.stderr.write(f"hunkwise: {fault[:300]} (`hunkwise config check` says more)\n")
