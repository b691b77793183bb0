"""Hunks packed into chunks of a budget, and what a file's coverage is once they were asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hunkwise.domain.diff import FileDiff, Hunk
from hunkwise.domain.outcome import FileCoverage, SkipReason
from hunkwise.plan.display import LINE_LIMIT, header_size, is_cut, shown_size, shown_text
from hunkwise.plan.split import split_hunk

_FEW = 16
"""Chunks from which on they grow."""
__all__ = ["LINE_LIMIT", "Chunk", "ChunkPart", "budget_for", "covered", "pack", "shown_size", "shown_text"]


@dataclass(frozen=True, slots=True)
class ChunkPart:
    """One file's hunks in a chunk; not all of the file's where it is spread over several."""

    file: FileDiff
    hunks: tuple[Hunk, ...]

    @property
    def changed_lines(self) -> int:
        return sum(hunk.changed_lines for hunk in self.hunks)

    @property
    def reviewed_lines(self) -> int:
        """Changed lines that are shown whole."""
        return sum(1 for hunk in self.hunks for line in hunk.lines if line.kind != " " and not is_cut(line))


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one prompt shows. `index` counts from 0."""

    index: int
    parts: tuple[ChunkPart, ...]

    @property
    def changed_lines(self) -> int:
        return sum(part.changed_lines for part in self.parts)

    def lines_reviewed(self, path: str) -> int:
        """Changed lines of a file that the chunk shows whole."""
        return sum(part.reviewed_lines for part in self.parts if part.file.path == path)


def budget_for(files: Sequence[FileDiff], least: int) -> int:
    """Characters a chunk: `least`, and up to 2.5 times as many where a large change would take many chunks.

    Small chunks are read more closely; many of them cost, and make people wait.
    """
    total = sum(header_size(file) + sum(map(shown_size, file.hunks)) for file in files)
    return max(least, min(total // _FEW + 1, least * 5 // 2))


def pack(files: Sequence[FileDiff], budget: int) -> tuple[Chunk, ...]:
    """All hunks of the files, in their order, in chunks of at most `budget` shown characters.

    Small files share a chunk; a file that fits into one is never spread over two; a hunk above the budget
    is split. Only a single line that is above the budget makes a larger chunk.
    """
    packing = _Packing(budget)
    for file in files:
        packing.add(file)
    packing.close()
    return tuple(packing.chunks)


class _Packing:
    """The chunks so far, and the open one."""

    def __init__(self, budget: int) -> None:
        self.chunks: list[Chunk] = []
        self._budget = budget
        self._parts: list[ChunkPart] = []
        self._used = 0

    def add(self, file: FileDiff) -> None:
        header = header_size(file)
        sizes = [shown_size(hunk) for hunk in file.hunks]
        whole = header + sum(sizes)
        if self._used + whole > self._budget and whole <= self._budget:
            self.close()
        if self._used + whole <= self._budget:
            self._put(file, file.hunks, whole)
            return
        pending: list[Hunk] = []
        used = header
        for hunk, size in zip(file.hunks, sizes, strict=True):
            for piece, piece_size in self._pieces(hunk, size, header):
                if self._used + used + piece_size > self._budget and (pending or self._parts):
                    self._put(file, pending, used)
                    self.close()
                    pending, used = [], header
                pending.append(piece)
                used += piece_size
        self._put(file, pending, used)

    def close(self) -> None:
        """Ends the open chunk, if it holds anything."""
        if self._parts:
            self.chunks.append(Chunk(len(self.chunks), tuple(self._parts)))
        self._parts, self._used = [], 0

    def _put(self, file: FileDiff, hunks: Sequence[Hunk], size: int) -> None:
        if hunks:
            self._parts.append(ChunkPart(file, tuple(hunks)))
            self._used += size

    def _pieces(self, hunk: Hunk, size: int, header: int) -> list[tuple[Hunk, int]]:
        # A name as long as the budget must not make a chunk of every line.
        room = max(self._budget - header, self._budget // 2)
        if size <= room:
            return [(hunk, size)]
        return [(piece, shown_size(piece)) for piece in split_hunk(hunk, room)]


@dataclass(slots=True)
class _Tally:
    """What the chunks hold of one file."""

    shown: int = 0
    reviewed: int = 0
    cut: int = 0
    parts: int = 0
    failed: list[SkipReason] = field(default_factory=list)


def covered(
    chunks: Sequence[Chunk], files: Sequence[FileDiff], outcome_by_chunk: Mapping[int, SkipReason | None]
) -> tuple[FileCoverage, ...]:
    """The coverage of each of the files that were packed into the chunks.

    A chunk's hunks count where its outcome, by its index, is None; a chunk without one was INTERRUPTED.
    """
    tallies = {file.path: _Tally() for file in files}
    for chunk in chunks:
        outcome = outcome_by_chunk.get(chunk.index, SkipReason.INTERRUPTED)
        for part in chunk.parts:
            tally = tallies.get(part.file.path)
            if tally is not None:
                _count(tally, part, outcome)
    return tuple(_coverage(file, tallies[file.path]) for file in files)


def _count(tally: _Tally, part: ChunkPart, outcome: SkipReason | None) -> None:
    changed, whole = part.changed_lines, part.reviewed_lines
    tally.shown += changed
    tally.parts += 1
    tally.cut += changed - whole
    if outcome is None:
        tally.reviewed += whole
    else:
        tally.failed.append(outcome)


def _coverage(file: FileDiff, tally: _Tally) -> FileCoverage:
    changed = max(file.changed_lines, tally.shown)
    reason: SkipReason | None = None
    detail = ""
    if tally.failed:
        reason = tally.failed[0]
        if tally.parts > 1:
            detail = f"{len(tally.failed)} of its {tally.parts} parts"
    elif tally.cut:
        reason = SkipReason.LINE_TOO_LONG
        detail = f"{tally.cut} changed lines of more than {LINE_LIMIT:,} bytes"
    elif tally.shown < changed:
        reason = SkipReason.NO_PATCH
        detail = f"{changed - tally.shown} of its changed lines are not in the patch"
    return FileCoverage(file.path, changed, tally.reviewed, reason, detail)
