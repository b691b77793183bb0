"""The code around the hunks of a run: the functions and classes that they are in, and what they call."""

from __future__ import annotations

import builtins
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from hunkwise.domain.diff import FileStatus
from hunkwise.domain.pull_request import SearchableCommit
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
    Scope,
    ScopeFinder,
    endings_of,
    family_of,
    language_of,
)
from hunkwise.errors import GitHubError, RepositoryError
from hunkwise.plan.chunking import ChunkPart
from hunkwise.plan.selection import is_generated, is_test_file
from hunkwise.prompts.sandbox import named

MAX_SOURCE = 500_000
"""Maximum bytes of a file that is parsed."""
MAX_FILES = 2_000
SECONDS = 2.0
"""Wall-clock time for all files of a run: about 10 MB of source."""
_EXPLANATION = (
    "Rows of the files as they are after the change. They are not part of the diff and not to be reviewed. "
    f"`{GAP.strip(' |')}` stands for rows that the diff shows, or that are left out."
)
_BY_NAME = "What the changed rows call is found by its name: a call may mean another definition."
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
MOST_PLACES = 8
"""Files that may define a name; a name with more is too common."""
MOST_DEFINING_FILES = 30
"""Files that are parsed because they may define a name."""

_COMMON = frozenset(
    name for owner in (builtins, str, bytes, list, dict, set) for name in dir(owner)
) | frozenset(
    "accept apply assert call catch check clone close collect connect create debug delete done each emit equal equals "
    "err error Error Errorf exec exists expect fail fatal Fatal Fatalf filter finally find first flush forEach from "
    "getattr handle hash hashCode has info init Init into invoke is json last len length list load lock log main make "
    "map match name new next None not off Ok ok on open parse path Print printf Printf println Println push put query "
    "raise read reduce render require reset resolve run Run save send set setUp shift size slice some Some sort start "
    "stop String Sprintf test text then throw toString trim type unlock unwrap update use value values wait warn with "
    "write".split()
)
"""Names that say too little: most calls of them mean a method of a library."""
_MIN_NAME = 3
_KEYWORDS = "class|const|def|enum|fn|func|function|interface|let|macro_rules!|record|struct|trait|type|var"
_KEYWORD = re.compile(rf"(?:^|[^\w$.])(?:{_KEYWORDS})\b")
_WITHOUT_KEYWORD = ("c", "csharp", "java", "javascript")
"""Languages with functions or methods that begin with a type, or with their name."""
_STATEMENT = re.compile(r"\s*(?:assert|await|case|delete|else|goto|new|return|throw|typeof|yield)\b|.*;\s*$")
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Source:
    """The lines of a file, what is around and called at each changed place, and what of that the file defines."""

    lines: Sequence[str]
    chains: Mapping[Place, Chain]
    calls: Mapping[Place, Sequence[str]]
    definitions: Definitions


@dataclass(frozen=True, slots=True)
class _Definition:
    path: str
    lines: Sequence[str] = field(compare=False)
    chain: Chain

    @property
    def scope(self) -> Scope:
        return self.chain[-1]


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
        self._found: dict[str, list[_Definition]] = {}
        """Definitions in the repository by name."""
        self.notes: tuple[str, ...] = ()
        """One sentence for each thing that could not be looked up."""

    def look_up(self, parts: Iterable[ChunkPart]) -> None:
        """Reads the files of these parts and finds what is around their changes, within the time limit."""
        places: dict[str, dict[Place, None]] = {}
        for part in parts:
            if self._has_context(part):
                places.setdefault(part.file.path, {}).update(dict.fromkeys(places_in(part.hunks)))
        if not places:
            return
        wanted = list(places)[:MAX_FILES]
        end = self._clock() + self._seconds
        with self._new_scout() as scout:
            scout.begin()  # the parser process starts while the files are read
            try:
                texts = self._read_texts(wanted)
            except (GitHubError, RepositoryError) as error:
                self._add_note(f"The code around the changes could not be read: {error.message}")
                return
            done = 0
            for path, text in texts.items():
                if end <= self._clock() or scout.failed:
                    break
                self._parse(scout, path, text, tuple(places[path]), end)
                done += 1
            if scout.failed or done < len(texts):
                why = (
                    "the parser failed"
                    if scout.failed
                    else f"more would have taken longer than {SECONDS:g} s"
                )
                self._add_note(
                    f"The functions around the changes are shown of {len(self._sources):,} of {len(places):,} files: "
                    f"{why}."
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

    def _has_context(self, part: ChunkPart) -> bool:
        """Returns whether there can be code around the hunks that they do not show themselves."""
        file = part.file
        if file.status is FileStatus.REMOVED or file.binary or language_of(file.path) is None:
            return False
        return (
            file.status is not FileStatus.ADDED
            or len(part.hunks) < len(file.hunks)
            or self._head.searchable  # what the rows call may be in other files
        )

    def _read_texts(self, paths: Sequence[str]) -> dict[str, str]:
        """Returns the files that can be parsed, the smallest first. Raises GitHubError or RepositoryError."""
        entries = self._head.read_many(paths)
        texts = {path: text for path in paths if (text := _text(entries.get(path))) is not None}
        return dict(sorted(texts.items(), key=lambda item: len(item[1])))

    def _parse(self, scout: ScopeFinder, path: str, text: str, places: tuple[Place, ...], end: float) -> None:
        lines = text.split("\n")
        inside = [place for place in places if place[1] <= len(lines)]
        language = language_of(path)
        assert language is not None  # see _has_context
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
        names_by_path = _group_by_path(candidate_files(hits, names))
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
                self._found.setdefault(name, []).extend(_Definition(path, lines, chain) for chain in chains)
        for name in unread:
            self._found.pop(name, None)

    def _undefined_names(self) -> tuple[list[str], list[str]]:
        """Returns the names to search for, and the families of languages in which they are called."""
        by_file = [
            [
                (name, family_of(path) or "")
                for name in dict.fromkeys(name for names in source.calls.values() for name in names)
                if name not in source.definitions and _is_telling(name)
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
        title = f"### Around the changes in {named(path)}"
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
            title = f"### Called by the changed rows: {named(f'{path}:{scope.head}')}"
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

    def _called_definitions(self, parts: Sequence[ChunkPart]) -> Iterator[_Definition]:
        for part in parts:
            path = part.file.path
            calls = self._sources[path].calls
            added = {line.new for hunk in part.hunks for line in hunk.lines if line.kind == "+"}
            for place in places_in(part.hunks):
                for name in calls.get(place, ()) if place[0] in added else ():
                    definition = self._definition(path, name)
                    if definition is not None:
                        yield definition

    def _definition(self, path: str, name: str) -> _Definition | None:
        """Returns what a call in the file means, if only one definition can be meant: one in the file itself, else the
        nearest in the repository."""
        source = self._sources[path]
        own = source.definitions.get(name, ())
        if not _is_telling(name) or len(own) > 1:
            return None
        if own:
            return _Definition(path, source.lines, own[0])
        return nearest(path, self._found.get(name, ()))

    def _add_note(self, note: str) -> None:
        self.notes = (*self.notes, note)


def search_pattern(names: Iterable[str], families: Iterable[str]) -> str:
    """Returns a POSIX extended expression for the lines that may define one of these names."""
    # Go: `func (s *S) name`; Ruby: `def self.name`; JavaScript: `function* name`.
    prefixes = [rf"(^|[^A-Za-z0-9_$.])({_KEYWORDS})[*]?[[:blank:]]+([(][^)]*[)][[:blank:]]*|self[.])?"]
    if set(families).intersection(_WITHOUT_KEYWORD):
        prefixes.append(r"^([A-Za-z0-9_<>,:*&?[:blank:]]*[]>*&:~[:blank:]])?")
    alternatives = "|".join(name.replace("$", "[$]") for name in names)
    return f"({'|'.join(prefixes)})({alternatives})([^A-Za-z0-9_$]|$)"


def candidate_files(hits: Iterable[tuple[str, int, str]], names: Sequence[str]) -> dict[str, list[str]]:
    """Returns the files that may define each name; without names that more than MOST_PLACES files may define."""
    files: dict[str, dict[str, None]] = {}
    for path, _, text in hits:
        if is_generated(path) or (_STATEMENT.match(text) and not _KEYWORD.search(text)):
            continue
        for name in set(names).intersection(_IDENTIFIER.findall(text)):
            files.setdefault(name, {})[path] = None
    return {name: list(files[name]) for name in names if 0 < len(files.get(name, ())) <= MOST_PLACES}


def _group_by_path(files: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Returns the names by path, in at most MOST_DEFINING_FILES files: all files of a name, or none."""
    names_by_path: dict[str, list[str]] = {}
    for name in sorted(files, key=lambda name: len(files[name])):
        if len(names_by_path.keys() | set(files[name])) <= MOST_DEFINING_FILES:
            for path in files[name]:
                names_by_path.setdefault(path, []).append(name)
    return names_by_path


def nearest(caller: str, definitions: Iterable[_Definition]) -> _Definition | None:
    """Returns the definition with the most folders in common with the caller's; None if several have as many.

    Definitions in another language do not count, nor do those in tests unless the caller is a test.
    """
    folders = caller.split("/")[:-1]
    near: dict[int, list[_Definition]] = {}
    for definition in definitions:
        path = definition.path
        if family_of(path) != family_of(caller) or (is_test_file(path) and not is_test_file(caller)):
            continue
        common = 0
        for ours, theirs in zip(folders, path.split("/")[:-1], strict=False):
            if ours != theirs:
                break
            common += 1
        near.setdefault(common, []).append(definition)
    best = near[max(near)] if near else []
    return best[0] if len(best) == 1 else None


def _is_telling(name: str) -> bool:
    return len(name) >= _MIN_NAME and name not in _COMMON


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
