"""Renders the prompts of a plan, with the code around the changes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

from hunkwise.domain.diff import FileStatus
from hunkwise.domain.finding import Severity
from hunkwise.domain.pull_request import Instructions, Known, Snapshot
from hunkwise.enclosing.scopes import (
    GAP,
    Chain,
    FileLines,
    Place,
    ScopeFinder,
    excerpts,
    language_of,
    places_in,
    shown_in,
)
from hunkwise.errors import GitHubError, RepositoryError, SettingsError
from hunkwise.flows.planning import PromptTask
from hunkwise.plan.chunking import ChunkPart
from hunkwise.prompts.context import Contexts, InstructionText, cut_notes, paths_of, told_values
from hunkwise.prompts.renderer import HOUSE, Renderer, built_in
from hunkwise.prompts.sandbox import named
from hunkwise.settings.config import Config, ContextSettings
from hunkwise.settings.prompt_settings import STAGE_PROMPTS, PromptSettings

MAX_SOURCE = 500_000
"""Bytes of a file that is looked at."""
MAX_FILES = 2_000
SECONDS = 2.0
"""Wall-clock time of a run: some 10 MB of source."""
_EXPLAINED = (
    "Rows of the files as they are after the change. They are not part of the diff and not to be reviewed. "
    f"`{GAP.strip(' |')}` stands for rows that the diff shows, or that are left out."
)
_LEAST_ROOM = 400
"""Characters below which nothing is shown."""


class HeadCommit(Protocol):
    """The commit under review, as far as many of its files are read at once."""

    def read_many(self, paths: Sequence[str]) -> Known: ...


@dataclass(frozen=True, slots=True)
class _Source:
    """A file of which all is known that is shown of it."""

    lines: Sequence[str]
    chains: dict[Place, Chain]


class EnclosingCode:
    """What stands around the hunks. Nothing of it ever fails a review: `notes` say what is missing."""

    def __init__(
        self,
        head: HeadCommit,
        *,
        seconds: float = SECONDS,
        left: Callable[[], float] | None = None,
        scout: Callable[[], ScopeFinder] = ScopeFinder,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`left`: seconds of the run, past which nothing is looked up."""
        self._head = head
        self._seconds = min(seconds, max(0.0, left())) if left else seconds
        self._new_scout = scout
        self._clock = clock
        self._sources: dict[str, _Source] = {}
        self.notes: tuple[str, ...] = ()
        """What could not be looked up: one sentence each."""

    def look_up(self, parts: Iterable[ChunkPart]) -> None:
        """Reads the files of these parts and finds the scopes around their changes, within the time that there is."""
        places: dict[str, dict[Place, None]] = {}
        for part in parts:
            if _is_of_use(part):
                places.setdefault(part.file.path, {}).update(dict.fromkeys(places_in(part.hunks)))
        if not places:
            return
        wanted = list(places)[:MAX_FILES]
        began = self._clock()
        with self._new_scout() as scout:
            scout.begin()  # it starts while the files are read
            try:
                known = self._head.read_many(wanted)
            except (GitHubError, RepositoryError) as error:
                self._note(f"The code around the changes could not be read: {error.message}")
                return
            texts = {path: text for path in wanted if (text := _text(known.get(path))) is not None}
            done = 0
            for path, text in sorted(texts.items(), key=lambda one: len(one[1])):
                seconds = self._seconds - (self._clock() - began)
                if seconds <= 0 or scout.failed:
                    break
                self._look(scout, path, text, tuple(places[path]), seconds)
                done += 1
        if scout.failed or done < len(texts):
            why = "the parser failed" if scout.failed else f"more would have taken longer than {SECONDS:g} s"
            self._note(
                f"The functions around the changes are shown of {len(self._sources):,} of {len(places):,} files: {why}."
            )

    def text(self, parts: Iterable[ChunkPart], room: int) -> str:
        """What is shown beside these parts, in at most some `room` characters; empty where there is nothing."""
        around = [found for part in parts if (found := self._around(part)) is not None]
        room -= len(_EXPLAINED) + 150
        if not around or room < _LEAST_ROOM:
            return ""
        chosen = excerpts(around, room)
        if not chosen.text:
            return ""
        return "\n\n".join([_EXPLAINED, chosen.text, *_short(chosen.cut, chosen.absent)])

    def _look(
        self, scout: ScopeFinder, path: str, text: str, places: tuple[Place, ...], seconds: float
    ) -> None:
        lines = text.split("\n")
        inside = [place for place in places if place[1] <= len(lines)]
        language = language_of(path)
        assert language is not None  # else it was of no use
        chains = scout.scopes(language, text, inside, seconds)
        if chains is not None:
            self._sources[path] = _Source(lines, dict(zip(inside, chains, strict=True)))

    def _around(self, part: ChunkPart) -> FileLines | None:
        source = self._sources.get(part.file.path)
        if source is None:
            return None
        places = [(place, source.chains.get(place, ())) for place in places_in(part.hunks)]
        title = f"### Around the changes in {named(part.file.path)}"
        return FileLines(title, source.lines, shown_in(part.hunks), places)

    def _note(self, said: str) -> None:
        self.notes = (*self.notes, said)


def _is_of_use(part: ChunkPart) -> bool:
    """Whether there can be anything around its hunks that they do not show themselves."""
    file = part.file
    if file.status is FileStatus.REMOVED or file.binary or language_of(file.path) is None:
        return False
    return file.status is not FileStatus.ADDED or len(part.hunks) < len(file.hunks)


def _text(content: object) -> str | None:
    """The source; None for what is no file, is large, or is not text."""
    if not isinstance(content, bytes) or len(content) > MAX_SOURCE or b"\0" in content:
        return None
    return content.decode("utf-8", "backslashreplace").removeprefix("\ufeff")


def _short(cut: int, absent: int) -> list[str]:
    said = []
    if cut:
        said.append(f"{cut} of these functions and classes are shown in part")
    if absent:
        said.append(f"{absent} more found no room")
    return [f"({'; '.join(said)}: read the file for the rest.)"] if said else []


_CONTEXT = ContextSettings()


class PromptWriter:
    """Writes the prompts of a plan's works."""

    def __init__(
        self,
        snapshot: Snapshot,
        renderer: Renderer,
        *,
        local: bool = False,
        context: ContextSettings = _CONTEXT,
        surroundings: EnclosingCode | None = None,
    ) -> None:
        """`context`: which parts of a prompt are shown; without `surroundings` there is no enclosing code."""
        self._renderer = renderer
        self.surroundings = surroundings if context.enclosing else None
        around = {"around": self.surroundings.text} if self.surroundings else {}
        self._contexts = Contexts(
            snapshot, local=local, switches=context.switches, room=context.size, **around
        )
        self._told: dict[str, InstructionText] = {}
        self._cut: list[InstructionText] = []
        self._own: dict[tuple[str, int], str | SettingsError] = {}

    @property
    def system(self) -> str:
        return self._renderer.system

    def system_for(self, name: str) -> str:
        """The system message that goes with a prompt of that name."""
        return self._renderer.system_for(name)

    def prepare(self, names: Iterable[str], works: Iterable[PromptTask]) -> None:
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

    def text(self, work: PromptTask) -> str:
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

    def _look_around(self, works: Sequence[PromptTask]) -> None:
        """Finds out what the prompts show beside the changed lines."""
        if self.surroundings is not None:
            self.surroundings.look_up(part for work in works for part in work.chunk.parts)
        told = [one for work in works for one in self._contexts.told(paths_of(work.chunk))]
        self._told = {one.path: one for one in told if one.shown}
        self._cut = [one for one in told if one.shown < one.whole]

    def _render_own(self, name: str, works: list[PromptTask]) -> None:
        contexts = (self._varying(work) for work in works)
        made = list(self._renderer.render_all(name, self._contexts.shared, contexts))
        faults = [text for text in made if isinstance(text, SettingsError)]
        if len(faults) == len(made):
            raise faults[0]
        for work, text in zip(works, made, strict=True):
            self._own[name, work.chunk.index] = text

    def _varying(self, work: PromptTask) -> dict[str, Any]:
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
