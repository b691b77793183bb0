"""The text of each question. What the user's own templates make is made before anything is spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hunkwise.domain.finding import Severity
from hunkwise.domain.pull_request import Snapshot
from hunkwise.errors import SettingsError
from hunkwise.flows.planning import Work
from hunkwise.flows.surroundings import Surroundings
from hunkwise.prompts.context import Contexts, paths_of, told_values
from hunkwise.prompts.instructing import Told, cut_notes
from hunkwise.prompts.render import Renderer
from hunkwise.settings.context_settings import ContextSettings
from hunkwise.settings.prompt_settings import PromptSettings

_CONTEXT = ContextSettings()


class Prompting:
    """Writes the prompts of a plan's works."""

    def __init__(
        self,
        snapshot: Snapshot,
        renderer: Renderer,
        *,
        local: bool = False,
        context: ContextSettings = _CONTEXT,
        surroundings: Surroundings | None = None,
    ) -> None:
        """`context`: which parts of a prompt are shown; without `surroundings` there is no enclosing code."""
        self._renderer = renderer
        self.surroundings = surroundings if context.enclosing else None
        around = {"around": self.surroundings.text} if self.surroundings else {}
        self._contexts = Contexts(
            snapshot, local=local, switches=context.switches, room=context.size, **around
        )
        self._told: dict[str, Told] = {}
        self._cut: list[Told] = []
        self._own: dict[tuple[str, int], str | SettingsError] = {}

    @property
    def system(self) -> str:
        return self._renderer.system

    def system_for(self, name: str) -> str:
        """The system message that goes with a prompt of that name."""
        return self._renderer.system_for(name)

    def prepare(self, names: Iterable[str], works: Iterable[Work]) -> None:
        """Compiles the templates of the prompts and renders the user's own ones.

        Raises SettingsError where one does not compile, or renders nothing of what it is due to. One that
        fails for some chunks alone, as a stranger's text may make it, costs these chunks; see `text`.
        """
        works = tuple(works)
        self._look_around(works)
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

    def stage_text(self, prompt: PromptSettings, least: Severity, names: Mapping[str, Any]) -> str:
        """The text of a prompt that is put when those over the diff are done, which sees `names` besides what
        they all share. May take as long as a rendering may: not for the event loop. Raises SettingsError."""
        context = {**self._contexts.shared, "prompt": prompt_values(prompt, least), **names}
        return self._renderer.render(prompt.name, context)

    def beside(self, path: str) -> tuple[list[dict[str, str]], int]:
        """The repository's instructions as a prompt about one file shows them, and the characters that they leave to
        the code around its changes."""
        told = self._contexts.told([path])
        return told_values(told), self._contexts.room_beside(told)

    @property
    def instructions(self) -> tuple[str, ...]:
        """Paths of the files of instructions that some prompt shows, at least in part."""
        return tuple(self._told)

    @property
    def notes(self) -> tuple[str, ...]:
        """What found no room in the prompts, or could not be looked up: one sentence each."""
        return (*cut_notes(self._cut), *(self.surroundings.notes if self.surroundings else ()))

    def _look_around(self, works: Sequence[Work]) -> None:
        """Finds out what the prompts show beside the changed lines."""
        if self.surroundings is not None:
            self.surroundings.look_up(part for work in works for part in work.chunk.parts)
        told = [one for work in works for one in self._contexts.told(paths_of(work.chunk))]
        self._told = {one.path: one for one in told if one.shown}
        self._cut = [one for one in told if one.shown < one.whole]

    def _render_own(self, name: str, works: list[Work]) -> None:
        contexts = (self._varying(work) for work in works)
        made = list(self._renderer.render_all(name, self._contexts.shared, contexts))
        faults = [text for text in made if isinstance(text, SettingsError)]
        if len(faults) == len(made):
            raise faults[0]
        for work, text in zip(works, made, strict=True):
            self._own[name, work.chunk.index] = text

    def _varying(self, work: Work) -> dict[str, Any]:
        settings = prompt_values(work.prompt, work.min_severity)
        return self._contexts.varying(work.chunk, work.count, settings)


def prompt_values(prompt: PromptSettings, least: Severity) -> dict[str, Any]:
    """What a template sees of its own settings; `least` is the severity below which nothing is asked for."""
    most = Severity.CRITICAL if prompt.max_severity is None else prompt.max_severity
    return {
        "name": prompt.name,
        "description": prompt.description,
        "paths": list(prompt.paths),
        "min_severity": least.label,
        "max_severity": most.label,
        "categories": list(prompt.categories),
        "tools": list(prompt.tools),
    }
