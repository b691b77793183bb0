"""Packs hunks into chunks that fit a prompt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hunkwise.domain.data_lines import count_data_lines
from hunkwise.domain.diff import DiffLine, FileDiff, Hunk, Side
from hunkwise.domain.review import FileCoverage, SkipReason
from hunkwise.domain.text import (
    LINE_LIMIT,
    count,
    header_size,
    heading_size,
    is_shown_whole,
    line_size,
    shown_size,
)


def allotted(wants: Sequence[int], room: int) -> list[int]:
    """Divides `room` fairly: returns a share for each of `wants`, at most that size, together at most `room`."""
    shares = [0] * len(wants)
    smallest_first = sorted(range(len(wants)), key=lambda index: wants[index])
    for done, index in enumerate(smallest_first):
        share = max(0, room) // (len(wants) - done)
        shares[index] = min(wants[index], share)
        room -= shares[index]
    return shares


_CONTEXT_ROWS = (400, 120, 40, 15, 5, 1)
"""Numbers of rows before and after the lines; the first one that fits is used."""


@dataclass(frozen=True, slots=True)
class LineSpan:
    """A range of lines on one side of a diff."""

    side: Side
    lines: range


def hunks_around(file: FileDiff, places: Sequence[LineSpan], room: int) -> tuple[Hunk, ...]:
    """Returns the hunks that show one of the places, in at most `room` shown characters.

    Whole hunks if they fit, otherwise their rows around the places, otherwise as many of these as fit. If the diff
    shows none of the places, the file's first hunks.
    """
    room -= header_size(file)
    matching = tuple(hunk for hunk in file.hunks if any(True for _ in _find_rows(hunk, places)))
    if not matching:
        return _take_rows(file.hunks, room)
    if sum(map(shown_size, matching)) <= room:
        return matching
    pieces: tuple[Hunk, ...] = ()
    for context_rows in _CONTEXT_ROWS:
        pieces = tuple(piece for hunk in matching for piece in _cut_around(hunk, places, context_rows))
        if sum(map(shown_size, pieces)) <= room:
            return pieces
    return _take_rows(pieces, room)


def removed_rows(file: FileDiff, shown: Iterable[Hunk], room: int) -> tuple[Hunk, ...]:
    """Returns the file's removed rows that these hunks do not show, in at most `room` shown characters."""
    numbers = {row.old for hunk in shown for row in hunk.lines if row.kind == "-"}
    rows = (
        (hunk, tuple(row for row in hunk.lines if row.kind == "-" and row.old not in numbers))
        for hunk in file.hunks
    )
    return _take_rows((_replace_rows(hunk, removed) for hunk, removed in rows if removed), room)


def _find_rows(hunk: Hunk, places: Sequence[LineSpan]) -> Iterator[int]:
    """Yields the indexes of the rows that are in one of the places."""
    right = [place.lines for place in places if place.side is Side.RIGHT]
    left = [place.lines for place in places if place.side is Side.LEFT]
    for index, row in enumerate(hunk.lines):
        on_right = row.new is not None and any(row.new in lines for lines in right)
        if on_right or (row.old is not None and any(row.old in lines for lines in left)):
            yield index


def _cut_around(hunk: Hunk, places: Sequence[LineSpan], context_rows: int) -> Iterator[Hunk]:
    """Yields the runs of rows around the places, as hunks."""
    runs: list[tuple[int, int]] = []
    for index in _find_rows(hunk, places):
        start, end = max(0, index - context_rows), min(len(hunk.lines), index + context_rows + 1)
        if runs and start <= runs[-1][1]:
            start, _ = runs.pop()
        runs.append((start, end))
    for start, end in runs:
        yield _replace_rows(hunk, hunk.lines[start:end])


def _take_rows(hunks: Iterable[Hunk], room: int) -> tuple[Hunk, ...]:
    """Returns the first rows of the hunks, as many as fit."""
    pieces: list[Hunk] = []
    for hunk in hunks:
        room -= heading_size(hunk)
        fitting = 0
        for row in hunk.lines:
            room -= line_size(row)
            if room < 0:
                break
            fitting += 1
        if fitting:
            pieces.append(_replace_rows(hunk, hunk.lines[:fitting]))
        if room < 0:
            break
    return tuple(pieces)


def _replace_rows(hunk: Hunk, rows: tuple[DiffLine, ...]) -> Hunk:
    """Returns the hunk with only these of its rows."""
    old = next((row.old for row in rows if row.old is not None), hunk.old_start)
    new = next((row.new for row in rows if row.new is not None), hunk.new_start)
    return replace(hunk, old_start=old, new_start=new, lines=rows)


def split_hunk(hunk: Hunk, budget: int) -> Iterator[Hunk]:
    """Yields pieces of at most `budget` shown characters, but at least one line, with their own start numbers.

    A piece ends in the last quarter of what fits: next to a context line, else between two changes, else
    before an empty line, else where it is full.
    """
    sizes = [line_size(line) for line in hunk.lines]
    room = budget - heading_size(hunk)
    old, new = _find_first_numbers(hunk)
    start = 0
    while start < len(hunk.lines):
        end, used = start, 0
        while end < len(sizes) and (end == start or used + sizes[end] <= room):
            used += sizes[end]
            end += 1
        if end < len(sizes):
            end = _choose_end(hunk.lines, start, end)
        lines = hunk.lines[start:end]
        olds = sum(1 for line in lines if line.old is not None)
        news = sum(1 for line in lines if line.new is not None)
        # As in git's headers: the start of a side without lines is the number of the line before.
        old_start, new_start = old - (olds == 0), new - (news == 0)
        yield Hunk(old_start, new_start, lines, hunk.heading, hunk.truncated and end == len(sizes))
        old, new, start = old + olds, new + news, end


def _find_first_numbers(hunk: Hunk) -> tuple[int, int]:
    """Returns the first line number of each side."""
    old = next((line.old for line in hunk.lines if line.old is not None), hunk.old_start + 1)
    new = next((line.new for line in hunk.lines if line.new is not None), hunk.new_start + 1)
    return old, new


def _choose_end(lines: Sequence[DiffLine], start: int, full: int) -> int:
    earliest = full - (full - start) // 4
    return max(range(max(earliest, start + 1), full + 1), key=lambda end: (_rank_split(lines, end), end))


def _rank_split(lines: Sequence[DiffLine], end: int) -> int:
    """Returns how suitable a split before `end` is; higher is better."""
    before, after = lines[end - 1], lines[end]
    if before.kind == " " or after.kind == " ":
        return 3
    if before.kind == "+" and after.kind == "-":
        return 2
    return 1 if before.kind == after.kind and not after.raw.strip() else 0


_CHUNKS_BEFORE_GROWTH = 16
"""A change that would take more chunks than this gets larger ones."""


@dataclass(frozen=True, slots=True)
class ChunkPart:
    """One file's hunks in a chunk; only some of them if the file is spread over several chunks."""

    file: FileDiff
    hunks: tuple[Hunk, ...]

    @property
    def changed_lines(self) -> int:
        return sum(hunk.changed_lines for hunk in self.hunks)

    @property
    def reviewed_lines(self) -> int:
        """Number of changed lines that are shown completely."""
        return sum(
            1 for hunk in self.hunks for line in hunk.lines if line.kind != " " and is_shown_whole(line)
        )

    @property
    def data_lines(self) -> int:
        """Number of changed lines that are data and too long to be shown completely."""
        return sum(count_data_lines(self.file, hunk.lines) for hunk in self.hunks)


@dataclass(frozen=True, slots=True)
class Chunk:
    """The part of a diff that one prompt shows. `index` counts from 0."""

    index: int
    parts: tuple[ChunkPart, ...]

    @property
    def changed_lines(self) -> int:
        return sum(part.changed_lines for part in self.parts)


def budget_for(files: Sequence[FileDiff], least: int) -> int:
    """Returns the characters per chunk: `least`, or up to 2.5 times as many for a large change.

    A model reads small chunks more closely, but many of them cost more and take longer.
    """
    total = sum(header_size(file) + sum(map(shown_size, file.hunks)) for file in files)
    return max(least, min(total // _CHUNKS_BEFORE_GROWTH + 1, least * 5 // 2))


def pack(files: Sequence[FileDiff], budget: int) -> tuple[Chunk, ...]:
    """Packs all hunks of the files, in order, into chunks of at most `budget` shown characters.

    Small files share a chunk; a file that fits into one is never spread over two; a hunk above the budget
    is split. Only a single line above the budget makes a chunk larger.
    """
    return _pack_parts((ChunkPart(file, file.hunks) for file in files), budget)


def chunk_size(chunk: Chunk) -> int:
    """Returns the number of characters of the chunk in a prompt."""
    return sum(header_size(part.file) + sum(map(shown_size, part.hunks)) for part in chunk.parts)


def smaller_parts(chunk: Chunk) -> tuple[tuple[ChunkPart, ...], ...]:
    """Returns the parts of two chunks of about half the size, rarely three, split by files, else by hunks, else by
    lines; empty if the chunk cannot be split."""
    chunks = _pack_parts(chunk.parts, chunk_size(chunk) * 3 // 5)
    return tuple(smaller.parts for smaller in chunks) if len(chunks) > 1 else ()


def _pack_parts(parts: Iterable[ChunkPart], budget: int) -> tuple[Chunk, ...]:
    packing = _Packing(budget)
    for part in parts:
        packing.add(part.file, part.hunks)
    packing.close()
    return tuple(packing.chunks)


class _Packing:
    """The finished chunks, and the open one."""

    def __init__(self, budget: int) -> None:
        self.chunks: list[Chunk] = []
        self._budget = budget
        self._parts: list[ChunkPart] = []
        self._used = 0

    def add(self, file: FileDiff, hunks: Sequence[Hunk]) -> None:
        header = header_size(file)
        sizes = [shown_size(hunk) for hunk in hunks]
        whole = header + sum(sizes)
        if self._used + whole > self._budget and whole <= self._budget:
            self.close()
        if self._used + whole <= self._budget:
            self._append(file, hunks, whole)
            return
        pending: list[Hunk] = []
        used = header
        for hunk, size in zip(hunks, sizes, strict=True):
            for piece, piece_size in self._split(hunk, size, header):
                if self._used + used + piece_size > self._budget and (pending or self._parts):
                    self._append(file, pending, used)
                    self.close()
                    pending, used = [], header
                pending.append(piece)
                used += piece_size
        self._append(file, pending, used)

    def close(self) -> None:
        """Finishes the open chunk, unless it is empty."""
        if self._parts:
            self.chunks.append(Chunk(len(self.chunks), tuple(self._parts)))
        self._parts, self._used = [], 0

    def _append(self, file: FileDiff, hunks: Sequence[Hunk], size: int) -> None:
        if hunks:
            self._parts.append(ChunkPart(file, tuple(hunks)))
            self._used += size

    def _split(self, hunk: Hunk, size: int, header: int) -> list[tuple[Hunk, int]]:
        # A path as long as the budget must not put every line into its own chunk.
        room = max(self._budget - header, self._budget // 2)
        if size <= room:
            return [(hunk, size)]
        return [(piece, shown_size(piece)) for piece in split_hunk(hunk, room)]


@dataclass(slots=True)
class _Tally:
    """Counts of one file's lines and parts in the chunks."""

    shown: int = 0
    reviewed: int = 0
    cut: int = 0
    data: int = 0
    parts: int = 0
    failed: list[SkipReason] = field(default_factory=list)


def covered(
    chunks: Sequence[Chunk], files: Sequence[FileDiff], outcome_by_chunk: Mapping[int, SkipReason | None]
) -> tuple[FileCoverage, ...]:
    """Returns the coverage of each file that was packed into the chunks.

    A chunk counts as reviewed if `outcome_by_chunk` has None for its index; a missing chunk was INTERRUPTED.
    """
    tallies = {file.path: _Tally() for file in files}
    for chunk in chunks:
        outcome = outcome_by_chunk.get(chunk.index, SkipReason.INTERRUPTED)
        for part in chunk.parts:
            tally = tallies.get(part.file.path)
            if tally is not None:
                _add_to_tally(tally, part, outcome)
    return tuple(_make_coverage(file, tallies[file.path]) for file in files)


def _add_to_tally(tally: _Tally, part: ChunkPart, outcome: SkipReason | None) -> None:
    changed, complete, data = part.changed_lines, part.reviewed_lines, part.data_lines
    tally.shown += changed
    tally.parts += 1
    tally.cut += changed - complete - data
    tally.data += data
    if outcome is None:
        tally.reviewed += complete
    else:
        tally.failed.append(outcome)


def _make_coverage(file: FileDiff, tally: _Tally) -> FileCoverage:
    changed = max(file.changed_lines, tally.shown)
    reason: SkipReason | None = None
    detail = ""
    if tally.failed:
        reason = tally.failed[0]
        if tally.parts > 1:
            detail = f"{len(tally.failed)} of its {tally.parts} parts"
    elif tally.cut:
        reason = SkipReason.LINE_TOO_LONG
        detail = f"{_describe_long(tally.cut)}; if it is data, list it under ignore"
    elif tally.shown < changed:
        reason = SkipReason.NO_PATCH
        detail = f"{changed - tally.shown} of its changed lines are not in the patch"
    elif tally.data:
        reason = SkipReason.DATA
        detail = f"{_describe_long(tally.data)}; ignore in the configuration skips the file"
    return FileCoverage(file.path, changed, tally.reviewed, reason, detail)


def _describe_long(lines: int) -> str:
    return f"{count(lines, 'changed line')} of more than {LINE_LIMIT:,} bytes"
