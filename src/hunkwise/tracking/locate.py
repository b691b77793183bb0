"""Locates the code of earlier findings at the head."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from hunkwise.domain.diff import FileDiff, FileStatus, Side
from hunkwise.domain.finding import Anchor, code_key
from hunkwise.tracking.previous import DISMISSED, TrackedFinding, paired

_SUBSTANTIAL = 12
"""Non-space characters from which code is assumed to be unique: `}` is not."""


class NumberedLines:
    """Lines by number. Code of `span` lines is identified by its last line."""

    def __init__(self, text_by_number: Mapping[int, str], removed: frozenset[int] | None = None) -> None:
        """`removed`: code must include at least one of these numbers; None for no such condition."""
        self._texts = text_by_number
        self._removed = removed

    @classmethod
    def of_diff(cls, file: FileDiff, side: Side) -> NumberedLines:
        """Returns the lines that the diff shows. On the LEFT only code with a removed line counts."""
        rows = file.lines_by_side[side]
        texts = {number: row.text for number, row in rows.items()}
        removed = frozenset(number for number, row in rows.items() if row.changed)
        return cls(texts, removed if side is Side.LEFT else None)

    @classmethod
    def of_text(cls, text: str) -> NumberedLines:
        return cls(dict(enumerate(text.split("\n"), 1)))

    def shows(self, line: int, span: int) -> bool:
        """Returns whether all of the `span` lines that end with this one exist."""
        return all(number in self._texts for number in range(line - span + 1, line + 1))

    def code_on(self, line: int, span: int) -> str | None:
        """Returns the `span` lines that end with this one, joined; None where some are missing or do not count."""
        numbers = range(line - span + 1, line + 1)
        if not self.shows(line, span) or (self._removed is not None and self._removed.isdisjoint(numbers)):
            return None
        return "\n".join(self._texts[number] for number in numbers)

    def lines_with(self, keys: Collection[str], span: int) -> dict[str, list[int]]:
        """Returns, by key, the last lines of the code with these keys, ascending. One pass over all lines."""
        last_lines: dict[str, list[int]] = {}
        for line, code in self._codes(span):
            key = code_key(code)
            if key in keys:
                last_lines.setdefault(key, []).append(line)
        return last_lines

    def _codes(self, span: int) -> Iterator[tuple[int, str]]:
        """Yields the last line and the text of all code of `span` lines."""
        numbers = sorted(self._texts)
        texts = [self._texts[number] for number in numbers]
        for first, number in enumerate(numbers[: len(numbers) - span + 1]):
            last = number + span - 1
            if numbers[first + span - 1] != last:
                continue  # another hunk begins in between
            if self._removed is None or not self._removed.isdisjoint(range(number, last + 1)):
                yield last, texts[first] if span == 1 else "\n".join(texts[first : first + span])


def is_substantial(code: str) -> bool:
    """Returns whether the code is long enough to be recognized in any place."""
    return len("".join(code.split())) >= _SUBSTANTIAL


def assigned(wanted: Sequence[tuple[int, int]], lines: Sequence[int]) -> dict[int, int]:
    """Returns a line for each index of `wanted`, one to one: exact matches first, then by rank, then the nearest.

    `wanted` holds pairs of a rank and the preferred line; `lines` is in ascending order. For each item, only the
    `len(wanted)` nearest lines on either side are compared: the other items cannot take more than that.
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
"""At most this many places are compared for the same code."""


def moved(
    lost: Mapping[int, TrackedFinding],
    files: Iterable[FileDiff],
    lines_of: Callable[[str, Side], NumberedLines],
) -> dict[int, tuple[str, int]]:
    """Returns path and last line, by index, of entries whose code is in an added file; only substantial code.

    Files of the same name come first, then the nearest line. Two entries of one fingerprint never get the same
    place, except dismissed ones.
    """
    wanted = {index: entry for index, entry in lost.items() if entry.raised.side is Side.RIGHT}
    places = _places_in_added_files(wanted, files, lines_of)
    taken: set[tuple[str, str, int]] = set()
    place_by_index: dict[int, tuple[str, int]] = {}
    for index, entry in sorted(wanted.items(), key=lambda item: item[1].rank):
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
            place_by_index[index] = path, line
    return place_by_index


def _places_in_added_files(
    wanted: Mapping[int, TrackedFinding],
    files: Iterable[FileDiff],
    lines_of: Callable[[str, Side], NumberedLines],
) -> _Places:
    """Returns paths and last lines of the code in added and copied files, by key and number of lines."""
    keys_by_span: dict[int, set[str]] = {}
    for entry in wanted.values():
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
"""Maximum distance in lines at which short code outside of the diff still counts as the code of the finding."""
_MOST_LISTED = 3_000
"""Maximum of files that GitHub lists for a pull request: beyond it, a file may be in the diff but not listed."""


@dataclass(frozen=True, slots=True)
class InDiff:
    """The diff shows the code."""

    anchor: Anchor

    @property
    def path(self) -> str:
        return self.anchor.path


@dataclass(frozen=True, slots=True)
class OutsideDiff:
    """The code is in the file at the head, on lines that the diff does not show; `line` is the last of them."""

    path: str
    line: int


@dataclass(frozen=True, slots=True)
class WholeFile:
    """The finding is about the file, which is in the diff, or unchanged since the finding was raised."""

    path: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The file could not be read."""

    path: str


@dataclass(frozen=True, slots=True)
class Removed:
    """The code no longer exists."""

    path: str
    changed: bool
    """The diff shows the file as it is at the head: the code there now may have the same fault in another form."""


CodeLocation = InDiff | OutsideDiff | WholeFile | Unreadable | Removed


def locate_entries(
    entries: Sequence[TrackedFinding], files: Sequence[FileDiff], text_at_head: Callable[[str], str | None]
) -> tuple[CodeLocation, ...]:
    """Returns the location of each entry, in their order.

    `text_at_head` returns the file's text, empty where the file does not exist, None where it is unreadable.
    """
    search = _CodeSearch(entries, files, text_at_head)
    search.run()
    return tuple(search.location_of(index) for index in range(len(entries)))


class _CodeSearch:
    """Searches the code of all entries together, so that a file is read once for each number of lines."""

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
        self._lines_by_path: dict[str, NumberedLines | None] = {}
        self._lines_by_side: dict[tuple[str, Side], NumberedLines] = {}
        self._candidates = [tuple(self._candidate_files(entry)) for entry in entries]
        self._locations: dict[int, CodeLocation] = {}

    def run(self) -> None:
        """Searches the diff, by the file's latest name and then by earlier ones; the head; then added files."""
        for turn in range(max(map(len, self._candidates), default=0)):
            self._search_files(
                [(index, files[turn].path) for index, files in self._unlocated() if len(files) > turn]
            )
        on_head = [
            (index, path)
            for index, files in self._unlocated()
            if self._entries[index].raised.side is Side.RIGHT
            for path in self._head_paths(index, files)
        ]
        self._search_files(on_head, at_head=True)
        lost = {index: self._entries[index] for index, files in self._unlocated() if not files}
        for index, (path, line) in moved(lost, self._files, self._lines_in_diff).items():
            self._set_location(index, path, self._lines_in_diff(path, Side.RIGHT), line, at_head=False)

    def location_of(self, index: int) -> CodeLocation:
        if index in self._locations:
            return self._locations[index]
        entry, files = self._entries[index], self._candidates[index]
        path = files[0].path if files else entry.raised.path
        unlisted = not files and len(self._files) >= _MOST_LISTED
        if not _has_code(entry):
            return self._location_without_code(entry, path, in_diff=bool(files), unlisted=unlisted)
        if entry.raised.side is Side.LEFT:
            incomplete = unlisted or any(file.patch_missing or _is_truncated(file) for file in files)
        else:
            incomplete = any(
                self._lines_at_head(head_path) is None for head_path in self._head_paths(index, files)
            )
        if incomplete:
            return Unreadable(path)
        removed = entry.raised.side is Side.RIGHT and all(file.status is FileStatus.REMOVED for file in files)
        return Removed(path, changed=bool(files) and not removed)

    def _location_without_code(
        self, entry: TrackedFinding, path: str, *, in_diff: bool, unlisted: bool
    ) -> CodeLocation:
        """Returns `WholeFile` while the file is in the diff; if its text's key was recorded, while that is the same."""
        code = entry.raised.code
        if not code:
            missing = Unreadable(path) if unlisted else Removed(path, changed=False)
            return WholeFile(path) if in_diff else missing
        text = self._text_at_head(path)
        if text is None:
            return Unreadable(path)
        return WholeFile(path) if text and code_key(text) == code else Removed(path, changed=in_diff)

    def _candidate_files(self, entry: TrackedFinding) -> Iterator[FileDiff]:
        """Yields the files of the diff that the entry's file may have become, without duplicates."""
        matches = (files.get(path) for files in (self._by_path, self._by_old_path) for path in entry.paths)
        yield from {file.path: file for file in matches if file is not None}.values()

    def _head_paths(self, index: int, files: Sequence[FileDiff]) -> tuple[str, ...]:
        if not files:
            return (self._entries[index].raised.path,)
        return tuple(file.path for file in files if file.status is not FileStatus.REMOVED)

    def _unlocated(self) -> list[tuple[int, tuple[FileDiff, ...]]]:
        """Returns the indexes of entries whose code is not located yet, with their candidate files."""
        return [
            (index, files)
            for index, files in enumerate(self._candidates)
            if index not in self._locations and _has_code(self._entries[index])
        ]

    def _search_files(self, wanted: Sequence[tuple[int, str]], *, at_head: bool = False) -> None:
        """Searches each entry's code in the file of its path, in the diff or at the head."""
        groups: dict[tuple[str, Side, int], list[int]] = {}
        for index, path in wanted:
            record = self._entries[index].raised
            groups.setdefault((path, record.side, record.span), []).append(index)
        for (path, side, span), group in groups.items():
            lines = self._lines_at_head(path) if at_head else self._lines_in_diff(path, side)
            group = [index for index in group if index not in self._locations]
            if lines is not None and group:
                self._locate_group(group, path, lines, span, at_head=at_head)

    def _locate_group(
        self, group: Sequence[int], path: str, lines: NumberedLines, span: int, *, at_head: bool
    ) -> None:
        lines_by_code = self._unmoved_lines(group, lines, span)
        if lines_by_code is None:
            lines_by_code = lines.lines_with({self._entries[index].raised.code for index in group}, span)
        rivals: dict[tuple[str, str], dict[tuple[int | None, int | None], list[int]]] = {}
        for index in group:
            record = self._entries[index].raised
            # Findings that were raised on the same lines stay together: they share one place.
            place = record.line, record.start_line
            of_code = rivals.setdefault((record.code, record.fingerprint), {})
            of_code.setdefault(place, []).append(index)
        for (code, _), places in rivals.items():
            code_lines = lines_by_code.get(code, [])
            if at_head:
                code_lines = [line for line in code_lines if self._is_new_at_head(path, line, span)]
            for twins, line in self._assign_lines(list(places.values()), code_lines):
                for index in twins:
                    self._set_location(index, path, lines, line, at_head=at_head)

    def _unmoved_lines(
        self, group: Sequence[int], lines: NumberedLines, span: int
    ) -> dict[str, list[int]] | None:
        """Returns the lines by code if no code has moved, which avoids a search of all lines; else None."""
        lines_by_code: dict[str, set[int]] = {}
        for index in group:
            entry = self._entries[index]
            code = lines.code_on(entry.line or 0, span)
            if code is None or code_key(code) != entry.raised.code or entry.line != entry.raised.line:
                return None
            lines_by_code.setdefault(entry.raised.code, set()).add(entry.line or 0)
        return {code: sorted(numbers) for code, numbers in lines_by_code.items()}

    def _assign_lines(
        self, places: Sequence[Sequence[int]], lines: Sequence[int]
    ) -> Iterator[tuple[Sequence[int], int]]:
        """Yields the entries of each place with a line of their own; dismissed ones may share a line with others."""
        ranked = [(self._rank_and_line(twins), twins) for twins in places]
        rivals = [item for item in ranked if item[0][0] < DISMISSED]
        for group in (rivals, *([item] for item in ranked if item[0][0] == DISMISSED)):
            for position, line in assigned([wanted for wanted, _ in group], lines).items():
                yield group[position][1], line

    def _rank_and_line(self, twins: Sequence[int]) -> tuple[int, int]:
        """Returns the lowest rank among the entries of one place, and the preferred line of the first of them."""
        rank = min(self._entries[index].rank for index in twins)
        return rank, self._entries[twins[0]].line or 0

    def _set_location(self, index: int, path: str, lines: NumberedLines, line: int, *, at_head: bool) -> None:
        entry = self._entries[index]
        span = entry.raised.span
        code = lines.code_on(line, span) or ""
        if not at_head:
            start = line - span + 1 if span > 1 else None
            self._locations[index] = InDiff(Anchor(path, line, entry.raised.side, start, code))
        elif is_substantial(code) or abs(line - (entry.line or 0)) <= NEARBY:
            self._locations[index] = OutsideDiff(path, line)

    def _is_new_at_head(self, path: str, line: int, span: int) -> bool:
        """Returns whether the diff does not show these lines: lines of the diff were searched before."""
        return path not in self._by_path or not self._lines_in_diff(path, Side.RIGHT).shows(line, span)

    def _lines_in_diff(self, path: str, side: Side) -> NumberedLines:
        if (path, side) not in self._lines_by_side:
            self._lines_by_side[path, side] = NumberedLines.of_diff(self._by_path[path], side)
        return self._lines_by_side[path, side]

    def _lines_at_head(self, path: str) -> NumberedLines | None:
        if path not in self._lines_by_path:
            text = self._text_at_head(path)
            self._lines_by_path[path] = None if text is None else NumberedLines.of_text(text)
        return self._lines_by_path[path]


def _has_code(entry: TrackedFinding) -> bool:
    return entry.raised.span > 0 and entry.raised.code != ""


def _is_truncated(file: FileDiff) -> bool:
    return any(hunk.truncated for hunk in file.hunks)
