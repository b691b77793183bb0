"""Renders the prompts of a plan, with the code that encloses the changes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from hunkwise.domain.diff import FileStatus
from hunkwise.domain.finding import Severity
from hunkwise.domain.model import STAGE_PROMPTS
from hunkwise.domain.pull_request import CommitFiles, Instructions, Snapshot
from hunkwise.domain.review import FileCoverage
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
from hunkwise.prompts.context import Contexts, InstructionText, cut_notes, instruction_values, paths_of
from hunkwise.prompts.renderer import HOUSE, Renderer, built_in
from hunkwise.prompts.sandbox import named
from hunkwise.settings.config import Config, ContextSettings
from hunkwise.settings.prompt_settings import PromptSettings

MAX_SOURCE = 500_000
"""Maximum bytes of a file that is parsed."""
MAX_FILES = 2_000
SECONDS = 2.0
"""Wall-clock time for all files of a run: about 10 MB of source."""
_EXPLANATION = (
    "Rows of the files as they are after the change. They are not part of the diff and not to be reviewed. "
    f"`{GAP.strip(' |')}` stands for rows that the diff shows, or that are left out."
)
_MIN_ROOM = 400
"""Characters below which no enclosing code is shown."""


@dataclass(frozen=True, slots=True)
class _Source:
    """The lines of a file, and the scopes around each changed place."""

    lines: Sequence[str]
    chains: dict[Place, Chain]


class EnclosingCode:
    """Finds the functions and classes around hunks. An error never fails a review: `notes` say what is missing."""

    def __init__(
        self,
        head: CommitFiles,
        *,
        seconds: float = SECONDS,
        left: Callable[[], float] | None = None,
        scout: Callable[[], ScopeFinder] = ScopeFinder,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`left` returns the seconds left in the run; nothing is looked up after that."""
        self._head = head
        self._seconds = min(seconds, max(0.0, left())) if left else seconds
        self._new_scout = scout
        self._clock = clock
        self._sources: dict[str, _Source] = {}
        self.notes: tuple[str, ...] = ()
        """One sentence for each thing that could not be looked up."""

    def look_up(self, parts: Iterable[ChunkPart]) -> None:
        """Reads the files of these parts and finds the scopes around their changes, within the time limit."""
        places: dict[str, dict[Place, None]] = {}
        for part in parts:
            if _has_context(part):
                places.setdefault(part.file.path, {}).update(dict.fromkeys(places_in(part.hunks)))
        if not places:
            return
        wanted = list(places)[:MAX_FILES]
        start = self._clock()
        with self._new_scout() as scout:
            scout.begin()  # the parser process starts while the files are read
            try:
                entries = self._head.read_many(wanted)
            except (GitHubError, RepositoryError) as error:
                self._add_note(f"The code around the changes could not be read: {error.message}")
                return
            texts = {path: text for path in wanted if (text := _text(entries.get(path))) is not None}
            done = 0
            for path, text in sorted(texts.items(), key=lambda item: len(item[1])):
                seconds = self._seconds - (self._clock() - start)
                if seconds <= 0 or scout.failed:
                    break
                self._parse(scout, path, text, tuple(places[path]), seconds)
                done += 1
        if scout.failed or done < len(texts):
            why = "the parser failed" if scout.failed else f"more would have taken longer than {SECONDS:g} s"
            self._add_note(
                f"The functions around the changes are shown of {len(self._sources):,} of {len(places):,} files: {why}."
            )

    def text(self, parts: Iterable[ChunkPart], room: int) -> str:
        """Returns the code around these parts in about `room` characters at most; empty if there is none."""
        files = [lines for part in parts if (lines := self._lines_around(part)) is not None]
        room -= len(_EXPLANATION) + 150
        if not files or room < _MIN_ROOM:
            return ""
        selected = excerpts(files, room)
        if not selected.text:
            return ""
        return "\n\n".join([_EXPLANATION, selected.text, *_omissions(selected.cut, selected.absent)])

    def _parse(
        self, scout: ScopeFinder, path: str, text: str, places: tuple[Place, ...], seconds: float
    ) -> None:
        lines = text.split("\n")
        inside = [place for place in places if place[1] <= len(lines)]
        language = language_of(path)
        assert language is not None  # see _has_context
        chains = scout.scopes(language, text, inside, seconds)
        if chains is not None:
            self._sources[path] = _Source(lines, dict(zip(inside, chains, strict=True)))

    def _lines_around(self, part: ChunkPart) -> FileLines | None:
        source = self._sources.get(part.file.path)
        if source is None:
            return None
        places = [(place, source.chains.get(place, ())) for place in places_in(part.hunks)]
        title = f"### Around the changes in {named(part.file.path)}"
        return FileLines(title, source.lines, shown_in(part.hunks), places)

    def _add_note(self, note: str) -> None:
        self.notes = (*self.notes, note)


def _has_context(part: ChunkPart) -> bool:
    """Returns whether there can be code around the hunks that they do not show themselves."""
    file = part.file
    if file.status is FileStatus.REMOVED or file.binary or language_of(file.path) is None:
        return False
    return file.status is not FileStatus.ADDED or len(part.hunks) < len(file.hunks)


def _text(content: object) -> str | None:
    """Decodes the source; returns None if it is not a file, is too large, or is not text."""
    if not isinstance(content, bytes) or len(content) > MAX_SOURCE or b"\0" in content:
        return None
    return content.decode("utf-8", "backslashreplace").removeprefix("\ufeff")


def _omissions(cut: int, absent: int) -> list[str]:
    clauses = []
    if cut:
        clauses.append(f"{cut} of these functions and classes are shown in part")
    if absent:
        clauses.append(f"{absent} more found no room")
    return [f"({'; '.join(clauses)}: read the file for the rest.)"] if clauses else []


_CONTEXT = ContextSettings()


class PromptWriter:
    """Renders the prompts of a plan's tasks."""

    def __init__(
        self,
        snapshot: Snapshot,
        renderer: Renderer,
        *,
        local: bool = False,
        context: ContextSettings = _CONTEXT,
        searchable: bool = True,
        surroundings: EnclosingCode | None = None,
    ) -> None:
        """`context`: which parts a prompt contains; without `surroundings` there is no enclosing code. `searchable`:
        the tool that searches the repository can work."""
        self._audit = snapshot.audit
        self._searchable = searchable
        self._renderer = renderer
        self.surroundings = surroundings if context.enclosing else None
        around = {"around": self.surroundings.text} if self.surroundings else {}
        self._contexts = Contexts(
            snapshot, local=local, switches=context.switches, room=context.size, **around
        )
        self._shown_instructions: dict[str, InstructionText] = {}
        self._cut_instructions: list[InstructionText] = []
        self._own_texts: dict[tuple[str, int], str | SettingsError] = {}

    @property
    def system(self) -> str:
        """The system message of the prompts about the diff."""
        return self.system_for("review")

    def system_for(self, name: str) -> str:
        """Returns the system message for the prompt of that name."""
        return self._renderer.system_for(name, audit=self._audit)

    def prepare(
        self, names: Iterable[str], tasks: Iterable[PromptTask], skipped: Iterable[FileCoverage] = ()
    ) -> None:
        """Compiles the templates of the prompts and renders the user's own ones; the prompts name the skipped files.

        Raises SettingsError if a template does not compile, or fails for all of its tasks. One that fails for some
        chunks only, for example because of untrusted text in them, fails only these chunks; see `text`.
        """
        tasks = tuple(tasks)
        self._contexts.skip_reasons = {file.path: file.reason for file in skipped if file.reason is not None}
        self._collect_context(tasks)
        for name in names:
            of_prompt = [task for task in tasks if task.prompt.name == name]
            if self._renderer.is_own(name) and of_prompt:
                self._render_own(name, of_prompt)
            else:
                self._renderer.check(name)

    def text(self, task: PromptTask) -> str:
        """Returns the prompt of a task. Raises SettingsError if the template cannot be rendered for it."""
        name = task.prompt.name
        if not self._renderer.is_own(name):
            return self._renderer.render(name, {**self._contexts.shared, **self._varying(task)})
        if task.key not in self._own_texts:  # a part of a chunk that was too large for the model
            self._render_own(name, [task])
        text = self._own_texts[task.key]
        if isinstance(text, SettingsError):
            raise text
        return text

    def stage_text(self, prompt: PromptSettings, least: Severity, names: Mapping[str, Any]) -> str:
        """Renders the prompt of a later stage, with the variables `names` and those that all prompts share.

        Blocks for up to the time limit of a rendering: do not call it in the event loop. Raises SettingsError.
        """
        context = {**self._contexts.shared, "prompt": self._prompt_values(prompt, least), **names}
        return self._renderer.render(prompt.name, context)

    def beside(self, paths: Sequence[str]) -> tuple[list[dict[str, str]], int]:
        """Returns the repository's instructions for a prompt about these files, and the characters that remain for
        the code around their changes."""
        texts = self._contexts.instructions_for(paths)
        return instruction_values(texts), self._contexts.room_beside(texts)

    @property
    def instructions(self) -> tuple[str, ...]:
        """Paths of the instruction files that some prompt contains, at least in part."""
        return tuple(self._shown_instructions)

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence for each thing that did not fit into the prompts, or could not be looked up."""
        return (*cut_notes(self._cut_instructions), *(self.surroundings.notes if self.surroundings else ()))

    def _collect_context(self, tasks: Sequence[PromptTask]) -> None:
        """Collects the code and the instructions that the prompts contain beside the changed lines."""
        if self.surroundings is not None:
            self.surroundings.look_up(part for task in tasks for part in task.chunk.parts)
        texts = [text for task in tasks for text in self._contexts.instructions_for(paths_of(task.chunk))]
        self._shown_instructions = {text.path: text for text in texts if text.shown}
        self._cut_instructions = [text for text in texts if text.shown < text.whole]

    def _render_own(self, name: str, tasks: list[PromptTask]) -> None:
        contexts = (self._varying(task) for task in tasks)
        texts = list(self._renderer.render_all(name, self._contexts.shared, contexts))
        errors = [text for text in texts if isinstance(text, SettingsError)]
        if len(errors) == len(texts):
            raise errors[0]
        for task, text in zip(tasks, texts, strict=True):
            self._own_texts[name, task.chunk.index] = text

    def _varying(self, task: PromptTask) -> dict[str, Any]:
        settings = self._prompt_values(task.prompt, task.min_severity)
        return self._contexts.varying(task.chunk, task.count, settings)

    def _prompt_values(self, prompt: PromptSettings, least: Severity) -> dict[str, Any]:
        """Returns the prompt's settings, with the tools that are offered."""
        tools = [tool for tool in prompt.tools if tool != "repo_search" or self._searchable]
        return prompt_values(prompt, least) | {"tools": tools}


def prompt_values(prompt: PromptSettings, least: Severity) -> dict[str, Any]:
    """Returns the settings of a prompt as template variables; `least` is its minimum severity."""
    max_severity = Severity.CRITICAL if prompt.max_severity is None else prompt.max_severity
    return {
        "name": prompt.name,
        "description": prompt.description,
        "paths": list(prompt.paths),
        "min_severity": least.label,
        "max_severity": max_severity.label,
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
    more: Mapping[str, object] = MappingProxyType({}),
) -> str:
    """Returns sixteen hex digits over all settings that decide on what is found: prompts with their texts and partials,
    the system message, instructions, severities, categories, tools, globs, the first model.

    `templates` are the user's own by name; the built-in ones always count, as own templates may include them. Not
    included are settings that only limit or publish (budgets, gates, comments), and the stages after the findings
    (verification, summary), unless `more` has them.
    """
    texts = {name: text for name, text in {**built_in(), **templates}.items() if name not in _STAGES}
    settings: dict[str, Any] = {
        "prompts": {prompt.name: _effective_values(prompt, config) for prompt in config.reviewing},
        "templates": texts,
        "system": system,
        "instructions": [[file.path, file.text, list(file.apply_to)] for file in instructions],
        "ignore": list(config.ignore),
        "paths": list(config.paths),
        "context": config.context.model_dump(),
        "model": config.model_order[0],
        "demo": demo,
        **more,
    }
    return sha256(json.dumps(settings, sort_keys=True).encode("ascii")).hexdigest()[:16]


def _effective_values(prompt: PromptSettings, config: Config) -> dict[str, Any]:
    """Returns the prompt's settings with the minimum severity that is in effect."""
    return prompt_values(prompt, prompt.min_severity or config.min_severity)
