"""Tests that space is divided fairly and never exceeded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.plan.chunking import allotted


@pytest.mark.parametrize(
    ("wants", "room", "shares"),
    [
        ((), 10, []),
        ((3, 4), 10, [3, 4]),
        ((100, 4, 100), 24, [10, 4, 10]),
        ((5, 5), 0, [0, 0]),
        ((5, 5), -3, [0, 0]),
        ((7, 0), 7, [7, 0]),
    ],
)
def test_who_wants_little_gets_it_and_the_rest_is_parted(
    wants: tuple[int, ...], room: int, shares: list[int]
) -> None:
    assert allotted(wants, room) == shares


@given(st.lists(st.integers(0, 1_000), max_size=20), st.integers(-10, 5_000))
def test_nobody_gets_more_than_is_wanted_or_than_there_is(wants: list[int], room: int) -> None:
    shares = allotted(wants, room)
    assert all(0 <= share <= want for share, want in zip(shares, wants, strict=True))
    assert sum(shares) <= max(0, room)
    assert shares == wants or sum(shares) > max(0, room) - len(wants)
