"""Assigns items one to one, and groups them by a key."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from operator import itemgetter
from typing import TypeVar

_Left = TypeVar("_Left", bound=Hashable)
_Right = TypeVar("_Right", bound=Hashable)
Cost = tuple[float, ...]


def assign_by_cost(candidates: Iterable[tuple[Cost, _Left, _Right]]) -> dict[_Left, _Right]:
    """Returns a right item for each left one: greedy one-to-one assignment by ascending cost.

    Candidates of the same cost are taken in the given order.
    """
    assigned: dict[_Left, _Right] = {}
    taken: set[_Right] = set()
    for _, left, right in sorted(candidates, key=itemgetter(0)):
        if left not in assigned and right not in taken:
            assigned[left] = right
            taken.add(right)
    return assigned


def group_by(items: Iterable[_Right], key: Callable[[_Right], _Left]) -> dict[_Left, list[_Right]]:
    """Returns the items by their key, keys and items in the given order."""
    groups: dict[_Left, list[_Right]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups
