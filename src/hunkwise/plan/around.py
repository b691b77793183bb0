"""The rows of a file's diff around certain lines, as many as there is room for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from hunkwise.domain.diff import DiffLine, FileDiff, Hunk, Side
from hunkwise.plan.display import header_size, heading_size, line_size, shown_size

_AROUND = (400, 120, 40, 15, 5, 1)
"""Rows before and after the lines, the most that there is room for."""


@dataclass(frozen=True, slots=True)
class Place:
    """Lines of one side."""

    side: Side
    lines: range


def hunks_around(file: FileDiff, places: Sequence[Place], room: int) -> tuple[Hunk, ...]:
    """The hunks that show one of the places, in at most `room` shown characters.

    Whole ones where they fit, else their rows around the places, else as many of these as fit. Without a place
    that the diff shows, the file's first hunks.
    """
    room -= header_size(file)
    holding = tuple(hunk for hunk in file.hunks if any(True for _ in _at(hunk, places)))
    if not holding:
        return _first(file.hunks, room)
    if sum(map(shown_size, holding)) <= room:
        return holding
    narrower: tuple[Hunk, ...] = ()
    for around in _AROUND:
        narrower = tuple(piece for hunk in holding for piece in _pieces(hunk, places, around))
        if sum(map(shown_size, narrower)) <= room:
            return narrower
    return _first(narrower, room)


def _at(hunk: Hunk, places: Sequence[Place]) -> Iterator[int]:
    """Indexes of the rows that stand on one of the places."""
    right = [place.lines for place in places if place.side is Side.RIGHT]
    left = [place.lines for place in places if place.side is Side.LEFT]
    for index, row in enumerate(hunk.lines):
        on_right = row.new is not None and any(row.new in lines for lines in right)
        if on_right or (row.old is not None and any(row.old in lines for lines in left)):
            yield index


def _pieces(hunk: Hunk, places: Sequence[Place], around: int) -> Iterator[Hunk]:
    """The runs of rows around the places."""
    runs: list[tuple[int, int]] = []
    for index in _at(hunk, places):
        start, end = max(0, index - around), min(len(hunk.lines), index + around + 1)
        if runs and start <= runs[-1][1]:
            start, _ = runs.pop()
        runs.append((start, end))
    for start, end in runs:
        yield _cut(hunk, hunk.lines[start:end])


def _first(hunks: Iterable[Hunk], room: int) -> tuple[Hunk, ...]:
    """The first rows of the hunks that fit."""
    shown: list[Hunk] = []
    for hunk in hunks:
        room -= heading_size(hunk)
        fitting = 0
        for row in hunk.lines:
            room -= line_size(row)
            if room < 0:
                break
            fitting += 1
        if fitting:
            shown.append(_cut(hunk, hunk.lines[:fitting]))
        if room < 0:
            break
    return tuple(shown)


def _cut(hunk: Hunk, rows: tuple[DiffLine, ...]) -> Hunk:
    """The hunk with some of its rows alone."""
    old = next((row.old for row in rows if row.old is not None), hunk.old_start)
    new = next((row.new for row in rows if row.new is not None), hunk.new_start)
    return replace(hunk, old_start=old, new_start=new, lines=rows)
