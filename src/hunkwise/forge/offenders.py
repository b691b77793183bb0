"""Finds the one comment for which GitHub declines a whole review, in the fewest requests in the worst case.

To ask about some comments costs one request where GitHub declines them, and two where it takes them, because
what it took must be deleted before the next question. So the parts are Fibonacci numbers, not halves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

_T = TypeVar("_T")

COST_OF_A_QUESTION = 2
"""Requests, at the most."""


def offender(
    suspects: Sequence[_T], holds: Callable[[Sequence[_T]], bool], may_ask: Callable[[], bool]
) -> _T | None:
    """One that GitHub declines; None where no further question may be asked before it is found.

    `suspects` must hold at least one offender. Where `holds` says yes, all that it was asked about are innocent.
    """
    while len(suspects) > 1:
        if not may_ask():
            return None
        size = _asked_at_once(len(suspects))
        asked, rest = suspects[:size], suspects[size:]
        suspects = rest if holds(asked) else asked
    return suspects[0]


def _asked_at_once(count: int) -> int:
    """The fewest to ask about with which the worst case stays the least."""
    dearer, cheaper = 1, 1  # how many suspects can be told apart at the cost so far, and at one request less
    while dearer < count:
        dearer, cheaper = dearer + cheaper, dearer
    # A yes costs two, so what is not asked about must be as few as two requests less can tell apart.
    return max(1, count - (dearer - cheaper))
