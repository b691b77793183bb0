"""The code around the hunks of a run: the functions and classes that they are in, and what they call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from hunkwise.domain.diff import FileStatus
from hunkwise.domain.pull_request import SearchableCommit
from hunkwise.domain.text import named
from hunkwise.enclosing.definitions import (
    Definition,
    candidate_files,
    group_by_path,
    is_telling,
    nearest,
    search_pattern,
)
from hunkwise.enclosing.excerpts import (
    DEFINITION,
    GAP,
    TEST,
    WHOLE,
    FileLines,
    excerpts,
    places_in,
    shown_in,
)
from hunkwise.enclosing.scopes import (
    Chain,
    Definitions,
    Place,
    ScopeFinder,
    endings_of,
    family_of,
    language_of,
)
from hunkwise.errors import GitHubError, RepositoryError
from hunkwise.plan.chunking import ChunkPart
from hunkwise.plan.selection import is_test_file

MAX_SOURCE = 500_000
"""Maximum bytes of a file that is parsed."""
MAX_FILES = 2_000
SECONDS = 2.0
"""Wall-clock time for all files of a run: about 10 MB of source."""
_EXPLANATION = (
    "Rows of the files as they are now. They are not part of the diff and not to be reviewed. "
    f"`{GAP.strip(' |')}` stands for rows that the diff shows, or that are left out."
)
_BY_NAME = "What the rows call is found by its name: a call may mean another definition."
_MIN_ROOM = 400
"""Characters below which no code is shown."""
DEFINITIONS_ROOM = 6_000
"""Characters of the definitions in one prompt."""
MOST_DEFINITIONS = 12
"""Definitions in one prompt."""
MOST_NAMES = 40
"""Names that are searched for in a run; those of each file in turn."""
_MAX_PATTERN = 950
"""Characters of the pattern for them."""
MOST_HITS = 2_000
"""Lines of the search; if there are more, no result is used: a second definition could be missing."""
SEARCH_SECONDS = 0.8


@dataclass(frozen=True, slots=True)
class _Source:
    """The lines of a file, what is around and called at each changed place, and what of that the file defines."""

    lines: Sequence[str]
    chains: Mapping[Place, Chain]
    calls: Mapping[Place, Sequence[str]]
    definitions: Definitions


class CodeContext:
    """Finds the code around hunks. An error never fails a review: `notes` say what is missing."""

    def __init__(
        self,
        head: SearchableCommit,
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
        self._found: dict[str, list[Definition]] = {}
        """Definitions in the repository by name."""
        self.notes: tuple[str, ...] = ()
        """One sentence for each thing that could not be looked up."""

    def look_up(self, parts: Iterable[ChunkPart]) -> None:
        """Reads the files of these parts and finds what is around their changes, within the time limit."""
        places: dict[str, dict[Place, None]] = {}
        new: dict[str, None] = {}
        """Files of which the diff shows all rows: only what they call in other files is looked up."""
        for part in parts:
            file = part.file
            if file.status is FileStatus.REMOVED or file.binary or language_of(file.path) is None:
                continue
            if file.status is FileStatus.ADDED and len(part.hunks) == len(file.hunks):
                if not self._head.searchable or len(new) == MOST_NAMES:
                    continue  # each file gives the search one name first
                new[file.path] = None
            places.setdefault(file.path, {}).update(dict.fromkeys(places_in(part.hunks)))
        if not places:
            return
        edited = [path for path in places if path not in new][:MAX_FILES]
        end = self._clock() + self._seconds
        with self._new_scout() as scout:
            scout.begin()  # the parser process starts while the files are read
            try:
                texts = self._read_texts([*edited, *new])
            except (GitHubError, RepositoryError) as error:
                self._add_note(f"The code around the changes could not be read: {error.message}")
                return
            left = [path for path in texts if path not in new] + [path for path in texts if path in new]
            while left and end > self._clock() and not scout.failed:
                path = left.pop(0)
                self._parse(scout, path, texts[path], tuple(places[path]), end)
            if scout.failed or not set(left) <= set(new):
                why = (
                    "the parser failed"
                    if scout.failed
                    else f"more would have taken longer than {SECONDS:g} s"
                )
                shown = sum(path in self._sources for path in edited)
                self._add_note(
                    f"The functions around the changes are shown of {shown:,} of {len(edited):,} files: {why}."
                )
            try:
                self._search_definitions(scout, end)
            except (GitHubError, RepositoryError) as error:
                self._add_note(
                    f"What the changed lines call was not looked up in other files: {error.message}"
                )

    def text(self, parts: Sequence[ChunkPart], room: int) -> str:
        """Returns the code around these parts in about `room` characters at most; empty if there is none."""
        room -= len(_EXPLANATION) + len(_BY_NAME) + 150
        if room < _MIN_ROOM:
            return ""
        shown: dict[str, set[int]] = {}
        for part in parts:
            shown.setdefault(part.file.path, set()).update(shown_in(part.hunks))
        around = [part for part in parts if part.file.path in self._sources]
        enclosing = excerpts(map(self._lines_around, around), room)
        for part, rows in zip(around, enclosing.rows, strict=True):
            shown[part.file.path] |= rows
        called = excerpts(
            self._called_lines(around, shown), min(room - len(enclosing.text), DEFINITIONS_ROOM)
        )
        blocks = [enclosing.text] if enclosing.text else []
        blocks += [_BY_NAME, called.text] if called.text else []
        if not blocks:
            return ""
        cut, absent = enclosing.cut + called.cut, enclosing.absent + called.absent
        return "\n\n".join([_EXPLANATION, *blocks, *_omissions(cut, absent)])

    def _read_texts(self, paths: Sequence[str]) -> dict[str, str]:
        """Returns the files that can be parsed, the smallest first. Raises GitHubError or RepositoryError."""
        entries = self._head.read_many(paths)
        texts = {path: text for path in paths if (text := _text(entries.get(path))) is not None}
        return dict(sorted(texts.items(), key=lambda item: len(item[1])))

    def _parse(self, scout: ScopeFinder, path: str, text: str, places: tuple[Place, ...], end: float) -> None:
        lines = text.split("\n")
        inside = [place for place in places if place[1] <= len(lines)]
        language = language_of(path)
        assert language is not None  # see look_up
        found = scout.scopes(language, text, inside, end - self._clock())
        if found is not None:
            self._sources[path] = _Source(
                lines,
                dict(zip(inside, found.chains, strict=True)),
                dict(zip(inside, found.calls, strict=True)),
                found.definitions,
            )

    def _search_definitions(self, scout: ScopeFinder, end: float) -> None:
        """Searches the repository once for what the changed files call and do not define. Raises RepositoryError."""
        names, families = self._undefined_names()
        seconds = min(SEARCH_SECONDS, end - self._clock())
        if not names or seconds <= 0 or not self._head.searchable or scout.failed:
            return
        globs = tuple(f"**/*{ending}" for family in families for ending in endings_of(family))
        hits = self._head.search(search_pattern(names, families), globs, limit=MOST_HITS, seconds=seconds)
        if hits is None or len(hits) >= MOST_HITS:
            return
        names_by_path = group_by_path(candidate_files(hits, names))
        texts = self._read_texts(list(names_by_path))
        unread: set[str] = set()
        """Names that a file may define which could not be parsed."""
        for path, wanted in names_by_path.items():
            text, language = texts.get(path), language_of(path)
            found = None
            if text is not None and language is not None:
                found = scout.definitions(language, text, wanted, end - self._clock())
            if text is None or found is None:
                unread.update(wanted)
                continue
            lines = text.split("\n")
            for name, chains in found.items():
                self._found.setdefault(name, []).extend(Definition(path, lines, chain) for chain in chains)
        for name in unread:
            self._found.pop(name, None)

    def _undefined_names(self) -> tuple[list[str], list[str]]:
        """Returns the names to search for, and the families of languages in which they are called."""
        by_file = [
            [
                (name, family_of(path) or "")
                for name in dict.fromkeys(name for names in source.calls.values() for name in names)
                if name not in source.definitions and is_telling(name)
            ]
            for path, source in self._sources.items()
        ]
        in_turn = [pair for pairs in zip_longest(*by_file) for pair in pairs if pair is not None]
        names = list(dict.fromkeys(name for name, _ in in_turn))[:MOST_NAMES]
        families = sorted({family for name, family in in_turn if name in names})
        while len(search_pattern(names, families)) > _MAX_PATTERN:
            names.pop()
        return names, families

    def _lines_around(self, part: ChunkPart) -> FileLines:
        path = part.file.path
        source = self._sources[path]
        places = [(place, source.chains.get(place, ())) for place in places_in(part.hunks)]
        title = f"### Around the rows shown in {named(path)}"
        reach = TEST if is_test_file(path) else WHOLE
        return FileLines(title, source.lines, shown_in(part.hunks), places, reach)

    def _called_lines(self, parts: Sequence[ChunkPart], shown: dict[str, set[int]]) -> Iterator[FileLines]:
        """Yields each definition that the parts call, without the rows that are `shown` by path, and adds its rows."""
        places: dict[str, list[Place]] = {}
        for part in parts:
            places.setdefault(part.file.path, []).extend(places_in(part.hunks))
        count = 0
        for definition in dict.fromkeys(self._called_definitions(parts)):
            path, scope = definition.path, definition.scope
            known = shown.setdefault(path, set())
            rows = range(scope.start, min(scope.end, scope.head + DEFINITION.function) + 1)
            changed = any(scope.start <= first <= scope.end for first, _ in places.get(path, ()))
            if changed or known.issuperset(rows):
                continue  # the diff and the rows around it show it
            title = f"### Called by the rows shown: {named(f'{path}:{scope.head}')}"
            place = (scope.head, scope.head)
            yield FileLines(
                title, definition.lines, frozenset(known), [(place, definition.chain)], DEFINITION
            )
            known.update(rows)
            for outer in definition.chain[:-1]:
                known.update(range(outer.head, outer.head_end + 1))
            count += 1
            if count == MOST_DEFINITIONS:
                return

    def _called_definitions(self, parts: Sequence[ChunkPart]) -> Iterator[Definition]:
        for part in parts:
            path = part.file.path
            calls = self._sources[path].calls
            added = {line.new for hunk in part.hunks for line in hunk.lines if line.kind == "+"}
            for place in places_in(part.hunks):
                for name in calls.get(place, ()) if place[0] in added else ():
                    definition = self._definition(path, name)
                    if definition is not None:
                        yield definition

    def _definition(self, path: str, name: str) -> Definition | None:
        """Returns what a call in the file means, if only one definition can be meant: one in the file itself, else the
        nearest in the repository."""
        source = self._sources[path]
        own = source.definitions.get(name, ())
        if not is_telling(name) or len(own) > 1:
            return None
        if own:
            return Definition(path, source.lines, own[0])
        return nearest(path, self._found.get(name, ()))

    def _add_note(self, note: str) -> None:
        self.notes = (*self.notes, note)


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
