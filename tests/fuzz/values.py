"""Any JSON value: long numbers, lone surrogates, and deep nesting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=12)
"""Any Python string, with lone surrogates and control characters."""
_NUMBERS = st.sampled_from(
    [0, 1, -1, 2**31, 2**63, 10**9, 10**4_299, 0.0, -0.0, 1.5, 5e-324, 1e308, math.nan, math.inf, -math.inf]
)


def json_values(words: Sequence[str], leaves: int = 12) -> st.SearchStrategy[Any]:
    """Returns a strategy for values whose keys and texts are often from `words`."""
    texts = st.sampled_from(words) | ANY_TEXT
    scalars = st.none() | st.booleans() | st.integers(-3, 50) | _NUMBERS | st.floats() | texts
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=5),
        max_leaves=leaves,
    )


def nested(depth: int, key: str = "") -> Any:
    """Returns nested lists, or nested objects with the key."""
    value: Any = {} if key else []
    for _ in range(depth):
        value = {key: value} if key else [value]
    return value


def put(value: Any, steps: Sequence[int], new: object) -> Any:
    """Returns the value with `new` at a nested position: each step selects a member by number."""
    if not steps or not isinstance(value, dict | list) or not value:
        return new
    first, rest = steps[0], steps[1:]
    if isinstance(value, list):
        index = first % len(value)
        return [*value[:index], put(value[index], rest, new), *value[index + 1 :]]
    key = list(value)[first % len(value)]
    return {**value, key: put(value[key], rest, new)}


def changed(value: object, words: Sequence[str]) -> st.SearchStrategy[Any]:
    """Returns a strategy for the value with some parts replaced."""
    changes = st.lists(
        st.tuples(st.lists(st.integers(0, 40), max_size=9), json_values(words, leaves=5)), max_size=4
    )

    def apply(drawn: list[tuple[list[int], object]]) -> Any:
        now = value
        for steps, new in drawn:
            now = put(now, steps, new)
        return now

    return changes.map(apply)


_SCALARS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 10**9, 2**63, 10**4_299, 0.5, math.nan, math.inf, -0.0, "", " ", "\0"),
    *("\ud800", "a" * 5_000, "\n", "\u202e", [], {}, [[]], [{}], [None] * 150, {"": None}),
)  # fmt: skip


def edited(raw: bytes, value: Any, words: Sequence[str], deepest: int = 2_000) -> Any:
    """Returns the value with parts replaced as the bytes specify; without bytes it is unchanged."""
    rest = iter(raw)
    for kind in rest:
        steps = [next(rest, 0) for _ in range(next(rest, 0) % 10)]
        which = next(rest, 0)
        if kind % 4 == 0:
            new: Any = words[which % len(words)]
        elif kind % 4 == 1:
            new = bytes(next(rest, 0) for _ in range(which % 24)).decode("utf-8", "surrogateescape")
        elif kind % 4 == 2:
            new = nested(which * deepest // 255, words[kind % len(words)] if kind & 4 else "")
        else:
            new = _SCALARS[which % len(_SCALARS)]
        value = put(value, steps, new)
    return value
