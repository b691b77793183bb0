"""Where a file's hunks changed something, and which of its lines they show."""

from __future__ import annotations

from collections.abc import Iterable

from hunkwise.domain.diff import DiffLine, Hunk

Place = tuple[int, int]
"""The first and the last of some lines of the new file, 1-based."""
_END = DiffLine(" ", None, None, b"")


def places_in(hunks: Iterable[Hunk]) -> tuple[Place, ...]:
    """The runs of changed lines. Where lines were only removed it is the line before them, or the first one."""
    places: list[Place] = []
    for hunk in hunks:
        before = max(1, hunk.new_start - 1)
        added: list[int] = []
        removed = False
        for line in (*hunk.lines, _END):
            if line.kind == "+" and line.new is not None:
                added.append(line.new)
            elif line.kind == "-":
                removed = True
            elif added:
                places.append((added[0], added[-1]))
            elif removed:
                places.append((before, before))
            if line.kind == " ":
                before, added, removed = line.new or before, [], False
    return tuple(dict.fromkeys(places))


def shown_in(hunks: Iterable[Hunk]) -> frozenset[int]:
    """The lines of the new file that the hunks show."""
    return frozenset(line.new for hunk in hunks for line in hunk.lines if line.new is not None)
