"""Where the code of an earlier finding is at the head."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from hunkwise.domain.diff import FileDiff, FileStatus, Side
from hunkwise.domain.finding import Anchor, code_key
from hunkwise.tracking.previous import DISMISSED, TrackedFinding, paired

_SUBSTANTIAL = 12
"""Characters besides blanks from which a code is taken to be one of a kind: `}` is not."""


class NumberedLines:
    """Lines by their numbers. A code of `span` lines stands on a line when it ends there."""

    def __init__(self, text_by_number: Mapping[int, str], removed: frozenset[int] | None = None) -> None:
        """`removed`: numbers of which a code must have one; None where any line will do."""
        self._texts = text_by_number
        self._removed = removed

    @classmethod
    def of_diff(cls, file: FileDiff, side: Side) -> NumberedLines:
        """What the diff shows. On the LEFT only what is removed counts: the rest is there as it was."""
        rows = file.lines_by_side[side]
        texts = {number: row.text for number, row in rows.items()}
        removed = frozenset(number for number, row in rows.items() if row.changed)
        return cls(texts, removed if side is Side.LEFT else None)

    @classmethod
    def of_text(cls, text: str) -> NumberedLines:
        return cls(dict(enumerate(text.split("\n"), 1)))

    def shows(self, line: int, span: int) -> bool:
        """Whether all of the `span` lines that end with this one are there."""
        return all(number in self._texts for number in range(line - span + 1, line + 1))

    def code_on(self, line: int, span: int) -> str | None:
        """The `span` lines that end with this one, joined; None where no code stands on it."""
        numbers = range(line - span + 1, line + 1)
        if not self.shows(line, span) or (self._removed is not None and self._removed.isdisjoint(numbers)):
            return None
        return "\n".join(self._texts[number] for number in numbers)

    def lines_with(self, keys: Collection[str], span: int) -> dict[str, list[int]]:
        """The lines, in ascending order, that codes of these keys stand on. One pass over all lines."""
        found: dict[str, list[int]] = {}
        for line, code in self._codes(span):
            key = code_key(code)
            if key in keys:
                found.setdefault(key, []).append(line)
        return found

    def _codes(self, span: int) -> Iterator[tuple[int, str]]:
        """Every code of `span` lines, by its last line."""
        numbers = sorted(self._texts)
        texts = [self._texts[number] for number in numbers]
        for first, number in enumerate(numbers[: len(numbers) - span + 1]):
            last = number + span - 1
            if numbers[first + span - 1] != last:
                continue  # another hunk begins in between
            if self._removed is None or not self._removed.isdisjoint(range(number, last + 1)):
                yield last, texts[first] if span == 1 else "\n".join(texts[first : first + span])


def is_substantial(code: str) -> bool:
    """Whether the code is long enough to be known again anywhere."""
    return len("".join(code.split())) >= _SUBSTANTIAL


def assigned(wanted: Sequence[tuple[int, int]], lines: Sequence[int]) -> dict[int, int]:
    """Index in `wanted` → its line: one to one, the exact ones first, then by rank, then the nearest.

    `wanted` holds a rank and the line looked for; `lines` ascend. None of them needs to look at more lines on
    either side than there are others who could take them.
    """
    most = len(wanted)
    scored = []
    for index, (rank, line) in enumerate(wanted):
        position = bisect_left(lines, line)
        for near in lines[max(0, position - most) : position + most]:
            scored.append(((near != line, rank, abs(near - line)), index, near))
    return paired(scored)


_Places = dict[tuple[str, int], list[tuple[str, int]]]
_MOST_PLACES = 200
"""Places of one code that are compared."""


def moved(
    lost: Mapping[int, TrackedFinding],
    files: Iterable[FileDiff],
    lines_of: Callable[[str, Side], NumberedLines],
) -> dict[int, tuple[str, int]]:
    """Path and last line, by index, of the entries that an added file holds the code of; only substantial code.

    Files of the same name come first, then the nearest line; no two entries of one fingerprint get the same place.
    """
    sought = {index: entry for index, entry in lost.items() if entry.raised.side is Side.RIGHT}
    places = _places(sought, files, lines_of)
    taken: set[tuple[str, str, int]] = set()
    found: dict[int, tuple[str, int]] = {}
    for index, entry in sorted(sought.items(), key=lambda known: known[1].rank):
        record = entry.raised
        name = PurePosixPath(record.path).name
        free = [
            (PurePosixPath(path).name != name, abs(line - (record.line or 0)), path, line)
            for path, line in places.get((record.code, record.span), [])
            if entry.rank == DISMISSED or (record.fingerprint, path, line) not in taken
        ]
        if free:
            _, _, path, line = min(free)
            taken.add((record.fingerprint, path, line))
            found[index] = path, line
    return found


def _places(
    sought: Mapping[int, TrackedFinding],
    files: Iterable[FileDiff],
    lines_of: Callable[[str, Side], NumberedLines],
) -> _Places:
    """Where the codes stand in added files, by code and number of lines."""
    keys_by_span: dict[int, set[str]] = {}
    for entry in sought.values():
        keys_by_span.setdefault(entry.raised.span, set()).add(entry.raised.code)
    places: _Places = {}
    if not keys_by_span:
        return places
    for file in files:
        if file.status not in (FileStatus.ADDED, FileStatus.COPIED):
            continue
        lines = lines_of(file.path, Side.RIGHT)
        for span, keys in keys_by_span.items():
            for key, numbers in lines.lines_with(keys, span).items():
                if is_substantial(lines.code_on(numbers[0], span) or ""):
                    of_code = places.setdefault((key, span), [])
                    of_code += [(file.path, line) for line in numbers[: _MOST_PLACES - len(of_code)]]
    return places


NEARBY = 50
"""Lines within which a short code, outside of the diff, is taken for the one that was raised."""
_MOST_LISTED = 3_000
"""Files that GitHub lists of a pull request: from there on, a file may be in the diff and not be listed."""


@dataclass(frozen=True, slots=True)
class InDiff:
    """The diff shows it."""

    anchor: Anchor

    @property
    def path(self) -> str:
        return self.anchor.path


@dataclass(frozen=True, slots=True)
class OutsideDiff:
    """It is in the file at the head, on lines that the diff does not show; `line` is the last."""

    path: str
    line: int


@dataclass(frozen=True, slots=True)
class WholeFile:
    """It is about the file, which is in the diff, or as it was when it was raised."""

    path: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Its file could not be read."""

    path: str


@dataclass(frozen=True, slots=True)
class Removed:
    """Its code is no longer there."""

    path: str
    changed: bool
    """The file, as it is at the head, is in the diff: what is there now may be the same fault in other words."""


CodeLocation = InDiff | OutsideDiff | WholeFile | Unreadable | Removed


def whereabouts(
    entries: Sequence[TrackedFinding], files: Sequence[FileDiff], text_at_head: Callable[[str], str | None]
) -> tuple[CodeLocation, ...]:
    """Where each entry stands. `text_at_head`: empty where there is no such file, None where it is unreadable."""
    search = _Search(entries, files, text_at_head)
    search.run()
    return tuple(search.standing_of(index) for index in range(len(entries)))


class _Search:
    """Looks for many codes at once, so that each file is gone through once for each length of code."""

    def __init__(
        self,
        entries: Sequence[TrackedFinding],
        files: Sequence[FileDiff],
        text_at_head: Callable[[str], str | None],
    ) -> None:
        self._entries = entries
        self._files = files
        self._text_at_head = text_at_head
        self._by_path = {file.path: file for file in files}
        self._by_old_path = {
            file.old_path: file for file in files if file.old_path and file.status is FileStatus.RENAMED
        }
        self._texts: dict[str, NumberedLines | None] = {}
        self._shown: dict[tuple[str, Side], NumberedLines] = {}
        self._homes = [tuple(self._homes_of(entry)) for entry in entries]
        self._found: dict[int, CodeLocation] = {}

    def run(self) -> None:
        """Through the diff, under the file's present name and then its earlier ones; through the head; moved."""
        for turn in range(max(map(len, self._homes), default=0)):
            self._look([(index, homes[turn].path) for index, homes in self._left() if len(homes) > turn])
        on_head = [
            (index, path)
            for index, homes in self._left()
            if self._entries[index].raised.side is Side.RIGHT
            for path in self._head_paths(index, homes)
        ]
        self._look(on_head, at_head=True)
        lost = {index: self._entries[index] for index, homes in self._left() if not homes}
        for index, (path, line) in moved(lost, self._files, self._diff).items():
            self._stands(index, path, self._diff(path, Side.RIGHT), line, at_head=False)

    def standing_of(self, index: int) -> CodeLocation:
        if index in self._found:
            return self._found[index]
        entry, homes = self._entries[index], self._homes[index]
        path = homes[0].path if homes else entry.raised.path
        unlisted = not homes and len(self._files) >= _MOST_LISTED
        if not _has_code(entry):
            return self._on_file(entry, path, in_diff=bool(homes), unlisted=unlisted)
        if entry.raised.side is Side.LEFT:
            incomplete = unlisted or any(home.patch_missing or _is_cut(home) for home in homes)
        else:
            incomplete = any(self._text(one) is None for one in self._head_paths(index, homes))
        if incomplete:
            return Unreadable(path)
        removed = entry.raised.side is Side.RIGHT and all(home.status is FileStatus.REMOVED for home in homes)
        return Removed(path, changed=bool(homes) and not removed)

    def _on_file(self, entry: TrackedFinding, path: str, *, in_diff: bool, unlisted: bool) -> CodeLocation:
        """It stands while its file is in the diff; raised on one that was not, as long as that is as it was."""
        code = entry.raised.code
        if not code:
            missing = Unreadable(path) if unlisted else Removed(path, changed=False)
            return WholeFile(path) if in_diff else missing
        text = self._text_at_head(path)
        if text is None:
            return Unreadable(path)
        return WholeFile(path) if text and code_key(text) == code else Removed(path, changed=in_diff)

    def _homes_of(self, entry: TrackedFinding) -> Iterator[FileDiff]:
        """The files of the diff that the entry's file may be by now, without doubles."""
        named = (known.get(path) for known in (self._by_path, self._by_old_path) for path in entry.paths)
        yield from {file.path: file for file in named if file is not None}.values()

    def _head_paths(self, index: int, homes: Sequence[FileDiff]) -> tuple[str, ...]:
        if not homes:
            return (self._entries[index].raised.path,)
        return tuple(home.path for home in homes if home.status is not FileStatus.REMOVED)

    def _left(self) -> list[tuple[int, tuple[FileDiff, ...]]]:
        """Entries whose code was not found yet, with their files."""
        return [
            (index, homes)
            for index, homes in enumerate(self._homes)
            if index not in self._found and _has_code(self._entries[index])
        ]

    def _look(self, wanted: Sequence[tuple[int, str]], *, at_head: bool = False) -> None:
        """Looks for the entries' codes in the files of these paths, in the diff or at the head."""
        groups: dict[tuple[str, Side, int], list[int]] = {}
        for index, path in wanted:
            record = self._entries[index].raised
            groups.setdefault((path, record.side, record.span), []).append(index)
        for (path, side, span), group in groups.items():
            lines = self._text(path) if at_head else self._diff(path, side)
            group = [index for index in group if index not in self._found]
            if lines is not None and group:
                self._settle(group, path, lines, span, at_head=at_head)

    def _settle(
        self, group: Sequence[int], path: str, lines: NumberedLines, span: int, *, at_head: bool
    ) -> None:
        found = self._on_their_lines(group, lines, span)
        if found is None:
            found = lines.lines_with({self._entries[index].raised.code for index in group}, span)
        rivals: dict[tuple[str, str], dict[tuple[int | None, int | None], list[int]]] = {}
        for index in group:
            record = self._entries[index].raised
            # What was raised twice on the same lines stands on the same lines still.
            place = record.line, record.start_line
            of_code = rivals.setdefault((record.code, record.fingerprint), {})
            of_code.setdefault(place, []).append(index)
        for (code, _), places in rivals.items():
            where = found.get(code, [])
            if at_head:
                where = [line for line in where if self._is_new_at_head(path, line, span)]
            for twin, line in self._lines_for(list(places.values()), where):
                for index in twin:
                    self._stands(index, path, lines, line, at_head=at_head)

    def _on_their_lines(
        self, group: Sequence[int], lines: NumberedLines, span: int
    ) -> dict[str, list[int]] | None:
        """The lines by code where nothing has moved, which spares a look at all others; else None."""
        found: dict[str, set[int]] = {}
        for index in group:
            entry = self._entries[index]
            code = lines.code_on(entry.line or 0, span)
            if code is None or code_key(code) != entry.raised.code or entry.line != entry.raised.line:
                return None
            found.setdefault(entry.raised.code, set()).add(entry.line or 0)
        return {code: sorted(numbers) for code, numbers in found.items()}

    def _lines_for(
        self, twins: Sequence[Sequence[int]], lines: Sequence[int]
    ) -> Iterator[tuple[Sequence[int], int]]:
        """A line of its own for each, save that what was dismissed takes none away, and none is taken from it."""
        wishes = [(self._wish(twin), twin) for twin in twins]
        rivals = [wish for wish in wishes if wish[0][0] < DISMISSED]
        for group in (rivals, *([wish] for wish in wishes if wish[0][0] == DISMISSED)):
            for turn, line in assigned([wish for wish, _ in group], lines).items():
                yield group[turn][1], line

    def _wish(self, twin: Sequence[int]) -> tuple[int, int]:
        """The least rank among entries of one place, and the line that the first of them is looked for at."""
        rank = min(self._entries[index].rank for index in twin)
        return rank, self._entries[twin[0]].line or 0

    def _stands(self, index: int, path: str, lines: NumberedLines, line: int, *, at_head: bool) -> None:
        entry = self._entries[index]
        span = entry.raised.span
        code = lines.code_on(line, span) or ""
        if not at_head:
            start = line - span + 1 if span > 1 else None
            self._found[index] = InDiff(Anchor(path, line, entry.raised.side, start, code))
        elif is_substantial(code) or abs(line - (entry.line or 0)) <= NEARBY:
            self._found[index] = OutsideDiff(path, line)

    def _is_new_at_head(self, path: str, line: int, span: int) -> bool:
        """Whether the diff does not show these lines: what it shows was looked at before."""
        return path not in self._by_path or not self._diff(path, Side.RIGHT).shows(line, span)

    def _diff(self, path: str, side: Side) -> NumberedLines:
        if (path, side) not in self._shown:
            self._shown[path, side] = NumberedLines.of_diff(self._by_path[path], side)
        return self._shown[path, side]

    def _text(self, path: str) -> NumberedLines | None:
        if path not in self._texts:
            text = self._text_at_head(path)
            self._texts[path] = None if text is None else NumberedLines.of_text(text)
        return self._texts[path]


def _has_code(entry: TrackedFinding) -> bool:
    return entry.raised.span > 0 and entry.raised.code != ""


def _is_cut(file: FileDiff) -> bool:
    return any(hunk.truncated for hunk in file.hunks)
