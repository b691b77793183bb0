"""The text of each question. What the user's own templates make is made before anything is spent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hunkwise.domain.pull_request import Snapshot
from hunkwise.errors import SettingsError
from hunkwise.flows.analysis import Work
from hunkwise.prompts.context import Contexts
from hunkwise.prompts.render import Renderer


class Prompting:
    """Writes the prompts of a plan's works."""

    def __init__(self, snapshot: Snapshot, renderer: Renderer, *, local: bool = False) -> None:
        self._renderer = renderer
        self._contexts = Contexts(snapshot, local=local)
        self._own: dict[tuple[str, int], str | SettingsError] = {}

    @property
    def system(self) -> str:
        return self._renderer.system

    def prepare(self, names: Iterable[str], works: Iterable[Work]) -> None:
        """Compiles the templates of the prompts and renders the user's own ones.

        Raises SettingsError where one does not compile, or renders nothing of what it is due to. One that
        fails for some chunks alone, as a stranger's text may make it, costs these chunks; see `text`.
        """
        works = tuple(works)
        for name in names:
            due = [work for work in works if work.prompt.name == name]
            if self._renderer.is_own(name) and due:
                self._render_own(name, due)
            else:
                self._renderer.check(name)

    def text(self, work: Work) -> str:
        """Raises SettingsError where the template cannot be rendered for this work."""
        name = work.prompt.name
        if not self._renderer.is_own(name):
            return self._renderer.render(name, {**self._contexts.shared, **self._varying(work)})
        own = self._own[name, work.chunk.index]
        if isinstance(own, SettingsError):
            raise own
        return own

    def _render_own(self, name: str, works: list[Work]) -> None:
        contexts = (self._varying(work) for work in works)
        made = list(self._renderer.render_all(name, self._contexts.shared, contexts))
        faults = [text for text in made if isinstance(text, SettingsError)]
        if len(faults) == len(made):
            raise faults[0]
        for work, text in zip(works, made, strict=True):
            self._own[name, work.chunk.index] = text

    def _varying(self, work: Work) -> dict[str, Any]:
        settings = {
            "name": work.prompt.name,
            "paths": list(work.prompt.paths),
            "min_severity": work.min_severity.label,
        }
        return self._contexts.varying(work.chunk, work.count, settings)
