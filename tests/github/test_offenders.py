"""The one bad comment among many is found in the fewest requests in the worst case."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.github.rejected_comments import offender


class Forge:
    """Declines what holds a bad one, and counts its requests as GitHub would."""

    def __init__(self, bad: set[int]) -> None:
        self.bad = bad
        self.requests = 0
        self.taken: set[int] = set()

    def holds(self, asked: Sequence[int]) -> bool:
        assert asked
        declined = bool(self.bad & set(asked))
        self.requests += 1 if declined else 2
        if not declined:
            self.taken |= set(asked)
        return not declined


@pytest.mark.parametrize(
    ("count", "worst"), [(1, 0), (2, 2), (3, 3), (5, 4), (8, 5), (13, 6), (21, 7), (30, 8), (34, 8), (50, 9)]
)
def test_the_worst_case_grows_by_one_with_each_fibonacci_number(count: int, worst: int) -> None:
    costs = []
    for bad in range(count):
        forge = Forge({bad})
        assert offender(range(count), forge.holds, lambda: True) == bad
        costs.append(forge.requests)
    assert max(costs) == worst


@given(st.integers(1, 40), st.data())
def test_with_several_bad_ones_one_of_them_is_found_and_no_innocent(count: int, data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.integers(0, count - 1), min_size=1))
    forge = Forge(bad)
    found = offender(range(count), forge.holds, lambda: True)
    assert found is not None
    assert found in bad
    assert not forge.taken & bad


def test_where_nothing_more_may_be_asked_nobody_is_blamed() -> None:
    forge = Forge({3})
    assert offender(range(30), forge.holds, lambda: forge.requests < 2) is None
