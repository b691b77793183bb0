"""Shares of a room that is too small for all: who wants little gets it, the others get equal parts of the rest."""

from __future__ import annotations

from collections.abc import Sequence


def allotted(wants: Sequence[int], room: int) -> list[int]:
    """What each gets, in the order of `wants`: at most what it wants, together at most `room`."""
    shares = [0] * len(wants)
    smallest_first = sorted(range(len(wants)), key=lambda place: wants[place])
    for done, place in enumerate(smallest_first):
        share = max(0, room) // (len(wants) - done)
        shares[place] = min(wants[place], share)
        room -= shares[place]
    return shares
