"""Locates the code of earlier findings at the head."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import zip_longest
from pathlib import PurePosixPath

from hunkwise.domain.diff import FileDiff, FileStatus, Side, by_path
from hunkwise.domain.finding import Anchor, code_key
from hunkwise.domain.limits import CHANGED_FILES
from hunkwise.tracking.assignment import assign_by_cost, group_by
from hunkwise.tracking.previous import (
    DISMISSED,
    CodeLocation,
    InDiff,
    OutsideDiff,
    Removed,
    TrackedFinding,
    Unreadable,
    WholeFile,
)

NEARBY = 50
"""Maximum distance in lines at which short code outside of the diff still counts as the code of the finding."""
_SUBSTANTIAL = 12
"""Non-space characters from which code is assumed to be unique: `}` is not."""
_MOST_PLACES = 200
"""At most this many places are compared for the same code."""


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
    def of_text(cls, text: str | None) -> NumberedLines | None:
        """Returns None for None. An empty text has no line: it may be that of a file that does not exist."""
        return None if text is None else cls(dict(enumerate(text.split("\n"), 1)) if text else {})

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
        codes = ((line, self.code_on(line, span)) for line in sorted(self._texts))
        keyed = ((line, code_key(code)) for line, code in codes if code is not None)
        by_key = group_by((item for item in keyed if item[1] in keys), lambda item: item[1])
        return {key: [line for line, _ in found] for key, found in by_key.items()}


def is_substantial(code: str) -> bool:
    """Returns whether the code is long enough to be recognized in any place."""
    return len("".join(code.split())) >= _SUBSTANTIAL


class CodeSearch:
    """Searches the code of all findings together, so that a file is read once for each number of lines."""

    def __init__(
        self, files: Sequence[FileDiff], text_at_head: Callable[[str], str | None] = lambda _path: None
    ) -> None:
        """`text_at_head` returns a file's text, empty if it does not exist, None if it cannot be read."""
        self._files = files
        self._text_at_head = text_at_head
        self._by_path = by_path(files)
        self._by_old_path = {
            file.old_path: file for file in files if file.old_path and file.status is FileStatus.RENAMED
        }
        self._lines_at_head = cache(lambda path: NumberedLines.of_text(text_at_head(path)))
        self._lines_in_diff = cache(lambda path, side: NumberedLines.of_diff(self._by_path[path], side))

    def locate(self, tracked: Sequence[TrackedFinding]) -> None:
        """Sets the location of each finding.

        It searches the diff, by the file's latest name and then by earlier ones; the head; then added files.
        """
        files_of = {item: self._candidate_files(item) for item in tracked}
        with_code = [item for item in tracked if _has_code(item)]
        for files in zip_longest(*(files_of[item] for item in with_code)):
            self._search(
                [(item, file.path) for item, file in zip(with_code, files, strict=True) if file is not None]
            )
        missing = [item for item in with_code if item.location is None and item.previous.side is Side.RIGHT]
        self._search(
            [(item, path) for item in missing for path in _head_paths(item, files_of[item])], at_head=True
        )
        self._search_added_files([item for item in missing if item.location is None and not files_of[item]])
        for item in tracked:
            if item.location is None:
                item.location = self._location_not_found(item, files_of[item])

    def _candidate_files(self, item: TrackedFinding) -> list[FileDiff]:
        """Returns the files of the diff that the finding's file may have become, without duplicates."""
        matches = (files.get(path) for files in (self._by_path, self._by_old_path) for path in item.paths)
        return list(by_path(file for file in matches if file is not None).values())

    def _search(self, wanted: Iterable[tuple[TrackedFinding, str]], *, at_head: bool = False) -> None:
        """Searches the code of each finding that is not located yet in the file of this path."""
        groups = group_by(wanted, lambda one: (one[1], one[0].previous.side, one[0].previous.span))
        for (path, side, span), group in groups.items():
            lines = self._lines_at_head(path) if at_head else self._lines_in_diff(path, side)
            items = [item for item, _ in group if item.location is None]
            if lines is None or not items:
                continue
            lines_by_code = _unmoved_lines(items, lines, span)
            if lines_by_code is None:
                lines_by_code = lines.lines_with({item.previous.code for item in items}, span)
            for same_code in group_by(items, _code_and_fingerprint).values():
                code_lines = lines_by_code.get(same_code[0].previous.code, [])
                if at_head:
                    code_lines = [line for line in code_lines if self._is_new_at_head(path, line, span)]
                for item, line in _assign_lines(same_code, code_lines):
                    self._set_location(item, path, lines, line, at_head=at_head)

    def _search_added_files(self, items: Sequence[TrackedFinding]) -> None:
        """Locates substantial code in added and copied files.

        Files of the same name come first, then the nearest line. Two findings of one fingerprint never get the same
        place, except dismissed ones.
        """
        places = self._places_in_added_files(items)
        candidates = []
        for order, item in enumerate(sorted(items, key=lambda item: item.priority)):
            record = item.previous
            holder = item if item.priority == DISMISSED else record.fingerprint
            for path, line in sorted(places.get((record.code, record.span), ())):
                other_name = PurePosixPath(path).name != PurePosixPath(record.path).name
                cost = (order, other_name, abs(line - (record.line or 0)))
                candidates.append((cost, item, (holder, path, line)))
        for item, (_, path, line) in assign_by_cost(candidates).items():
            self._set_location(item, path, self._lines_in_diff(path, Side.RIGHT), line, at_head=False)

    def _places_in_added_files(
        self, items: Iterable[TrackedFinding]
    ) -> dict[tuple[str, int], list[tuple[str, int]]]:
        """Returns paths and last lines of the code in added and copied files, by key and number of lines."""
        by_span = group_by(items, lambda item: item.previous.span)
        places: dict[tuple[str, int], list[tuple[str, int]]] = {}
        for file in self._files if by_span else ():
            if file.status not in (FileStatus.ADDED, FileStatus.COPIED):
                continue
            lines = self._lines_in_diff(file.path, Side.RIGHT)
            for span, group in by_span.items():
                for key, numbers in lines.lines_with({item.previous.code for item in group}, span).items():
                    if is_substantial(lines.code_on(numbers[0], span) or ""):
                        of_code = places.setdefault((key, span), [])
                        of_code += [(file.path, line) for line in numbers[: _MOST_PLACES - len(of_code)]]
        return places

    def _set_location(
        self, item: TrackedFinding, path: str, lines: NumberedLines, line: int, *, at_head: bool
    ) -> None:
        span = item.previous.span
        code = lines.code_on(line, span) or ""
        anchor = Anchor(path, line, item.previous.side, line - span + 1 if span > 1 else None, code)
        if not at_head:
            item.location = InDiff(path, anchor)
        elif is_substantial(code) or abs(line - (item.line or 0)) <= NEARBY:
            item.location = OutsideDiff(path, anchor)

    def _location_not_found(self, item: TrackedFinding, files: Sequence[FileDiff]) -> CodeLocation:
        """Returns the location of a finding about a file, or of one whose code the search did not find."""
        path = files[0].path if files else item.previous.path
        unlisted = not files and len(self._files) >= CHANGED_FILES
        if not _has_code(item):
            return self._location_of_file(item.previous.code, path, in_diff=bool(files), unlisted=unlisted)
        if item.previous.side is Side.LEFT:
            incomplete = unlisted or any(file.patch_missing or _is_truncated(file) for file in files)
            return Unreadable(path) if incomplete else Removed(path, changed=bool(files))
        if any(self._lines_at_head(head_path) is None for head_path in _head_paths(item, files)):
            return Unreadable(path)
        return Removed(path, changed=any(file.status is not FileStatus.REMOVED for file in files))

    def _location_of_file(self, key: str, path: str, *, in_diff: bool, unlisted: bool) -> CodeLocation:
        """Returns `WholeFile` while the file is in the diff; if its text's key was recorded, while that is the same."""
        if not key:
            missing = Unreadable(path) if unlisted else Removed(path, changed=False)
            return WholeFile(path) if in_diff else missing
        text = self._text_at_head(path)
        if text is None:
            return Unreadable(path)
        return WholeFile(path) if text and code_key(text) == key else Removed(path, changed=in_diff)

    def _is_new_at_head(self, path: str, line: int, span: int) -> bool:
        """Returns whether the diff does not show these lines: lines of the diff were searched before."""
        return path not in self._by_path or not self._lines_in_diff(path, Side.RIGHT).shows(line, span)


def _unmoved_lines(
    items: Iterable[TrackedFinding], lines: NumberedLines, span: int
) -> dict[str, list[int]] | None:
    """Returns the lines by code if no code has moved, which avoids a search of all lines; else None."""
    lines_by_code: dict[str, set[int]] = {}
    for item in items:
        code = lines.code_on(item.line or 0, span)
        if code is None or code_key(code) != item.previous.code or item.line != item.previous.line:
            return None
        lines_by_code.setdefault(item.previous.code, set()).add(item.line or 0)
    return {code: sorted(numbers) for code, numbers in lines_by_code.items()}


def _assign_lines(
    items: Sequence[TrackedFinding], lines: Sequence[int]
) -> Iterator[tuple[TrackedFinding, int]]:
    """Yields the findings with a line for each: the one that they were on; else by priority, then the nearest.

    Those that were raised on the same line share one. Others get different lines, except dismissed ones.
    """
    # The code has the same number of lines everywhere, so that its last line identifies its place.
    places = [tuple(place) for place in group_by(items, lambda item: item.previous.line).values()]
    competing = [place for place in places if _priority(place) != DISMISSED]
    alone = [[place] for place in places if _priority(place) == DISMISSED]
    for group in (competing, *alone):
        candidates = [
            ((line != place[0].line, _priority(place), abs(line - (place[0].line or 0))), place, line)
            for place in group
            for line in _nearest(lines, place[0].line or 0, len(group))
        ]
        for place, line in assign_by_cost(candidates).items():
            yield from ((item, line) for item in place)


def _nearest(lines: Sequence[int], wanted: int, most: int) -> Sequence[int]:
    """Returns the `most` nearest lines on either side: other findings cannot take more than that."""
    position = bisect_left(lines, wanted)
    return lines[max(0, position - most) : position + most]


def _priority(place: Iterable[TrackedFinding]) -> int:
    return min(item.priority for item in place)


def _code_and_fingerprint(item: TrackedFinding) -> tuple[str, str]:
    return item.previous.code, item.previous.fingerprint


def _head_paths(item: TrackedFinding, files: Sequence[FileDiff]) -> list[str]:
    if not files:
        return [item.previous.path]
    return [file.path for file in files if file.status is not FileStatus.REMOVED]


def _has_code(item: TrackedFinding) -> bool:
    return item.previous.span > 0 and item.previous.code != ""


def _is_truncated(file: FileDiff) -> bool:
    return any(hunk.truncated for hunk in file.hunks)
