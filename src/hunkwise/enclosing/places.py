"""Where a file's hunks changed something, and which of its lines they show."""

from __future__ import annotations

from collections.abc import Iterable

from hunkwise.domain.diff import Hunk

Place = tuple[int, int]
"""The first and the last of some lines of the new file, 1-based."""


def places_in(hunks: Iterable[Hunk]) -> tuple[Place, ...]:
    """The runs of changed lines. Where lines were only removed it is the line before them, or the first one."""
    places: list[Place] = []
    for hunk in hunks:
        before = max(1, hunk.new_start - 1)
        run: Place | None = None
        for line in hunk.lines:
            if line.kind == " ":
                places += [run] if run else []
                run = None
            elif line.new is not None:
                run = (run[0] if run and run[0] != before else line.new, line.new)
            else:
                run = run or (before, before)
            before = line.new or before
        places += [run] if run else []
    return tuple(dict.fromkeys(places))


def shown_in(hunks: Iterable[Hunk]) -> frozenset[int]:
    """The lines of the new file that the hunks show."""
    return frozenset(line.new for hunk in hunks for line in hunk.lines if line.new is not None)
