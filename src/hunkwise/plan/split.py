"""A hunk that is too large for one prompt → several, each line in exactly one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hunkwise.domain.diff import DiffLine, Hunk
from hunkwise.plan.display import heading_size, line_size


def split_hunk(hunk: Hunk, budget: int) -> Iterator[Hunk]:
    """Pieces of at most `budget` shown characters, but of one line at least, with their own start numbers.

    A piece ends, in the last quarter of what fits, next to a context line, else between two changes, else
    before a blank line, else where it is full.
    """
    sizes = [line_size(line) for line in hunk.lines]
    room = budget - heading_size(hunk)
    old, new = _first_numbers(hunk)
    start = 0
    while start < len(hunk.lines):
        end, used = start, 0
        while end < len(sizes) and (end == start or used + sizes[end] <= room):
            used += sizes[end]
            end += 1
        if end < len(sizes):
            end = _best_end(hunk.lines, start, end)
        lines = hunk.lines[start:end]
        olds = sum(1 for line in lines if line.old is not None)
        news = sum(1 for line in lines if line.new is not None)
        # As in git's headers: a side without lines is named by the number of the line before.
        old_start, new_start = old - (olds == 0), new - (news == 0)
        yield Hunk(old_start, new_start, lines, hunk.heading, hunk.truncated and end == len(sizes))
        old, new, start = old + olds, new + news, end


def _first_numbers(hunk: Hunk) -> tuple[int, int]:
    """The numbers that the next line of each side has."""
    old = next((line.old for line in hunk.lines if line.old is not None), hunk.old_start + 1)
    new = next((line.new for line in hunk.lines if line.new is not None), hunk.new_start + 1)
    return old, new


def _best_end(lines: Sequence[DiffLine], start: int, full: int) -> int:
    earliest = full - (full - start) // 4
    return max(range(max(earliest, start + 1), full + 1), key=lambda end: (_rank(lines, end), end))


def _rank(lines: Sequence[DiffLine], end: int) -> int:
    """How good it is to part the lines before `end`."""
    before, after = lines[end - 1], lines[end]
    if before.kind == " " or after.kind == " ":
        return 3
    if before.kind == "+" and after.kind == "-":
        return 2
    return 1 if before.kind == after.kind and not after.raw.strip() else 0
