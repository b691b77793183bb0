"""Pairs, one to one: entries with threads, findings with entries, code with the lines that it stands on."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hunkwise.publish.markers import LONGEST_TITLE

_WORD = re.compile(r"[^\W_]+")
_TELL_NOTHING = frozenset(
    "the and for not with that this from into are can may was has its when where which without".split()
)


def paired(scored: Iterable[tuple[tuple[float, ...], int, int]]) -> dict[int, int]:
    """Left to right, each in one pair at the most, the least score first. Takes (score, left, right)."""
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for _, left, right in sorted(scored):
        if left not in pairs and right not in taken:
            pairs[left] = right
            taken.add(right)
    return pairs


def words(title: str) -> frozenset[str]:
    """The words of a title, as far as a marker carries it."""
    return frozenset(_WORD.findall(title[:LONGEST_TITLE].casefold()))


def likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """0 to 1: the share of words that two titles have in common."""
    return len(one & other) / max(1, len(one | other))


def speak_alike(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two titles have a word in common that says something."""
    return any(len(word) > 2 for word in (one & other) - _TELL_NOTHING)
