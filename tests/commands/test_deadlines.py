"""What each part of a run makes of its one deadline."""

from __future__ import annotations

import pytest

from hunkwise.domain.model import PUBLISHING_SECONDS, Deadlines


def at(seconds: float, minutes: float) -> Deadlines:
    """`seconds` after a run began at 1,000."""
    return Deadlines(1_000.0, minutes, clock=lambda: 1_000.0 + seconds)


@pytest.mark.parametrize(
    ("minutes", "asking", "last"),
    [(15, 870, 900), (5, 270, 300), (360, 21_570, 21_600), (1, 54, 84), (0.1, 5.4, 35.4)],
)
def test_publishing_has_thirty_seconds_within_the_deadline_where_that_is_long_enough(
    minutes: float, asking: float, last: float
) -> None:
    deadlines = at(0, minutes)
    assert deadlines.asking_ends == pytest.approx(1_000 + asking)
    assert deadlines.seconds_to_ask() == pytest.approx(asking)
    assert deadlines.seconds_left() == pytest.approx(minutes * 60)
    assert deadlines.last_seconds() == pytest.approx(last)
    assert last - asking == pytest.approx(PUBLISHING_SECONDS)


def test_nothing_is_left_when_all_is_over() -> None:
    deadlines = at(901, 15)
    assert deadlines.seconds_to_ask() == pytest.approx(-31)
    assert (deadlines.seconds_left(), deadlines.last_seconds()) == (0, 0)


def test_they_move_when_the_configuration_tells_another_deadline() -> None:
    deadlines = at(100, 15)
    deadlines.minutes = 2
    assert deadlines.seconds_left() == 20
    deadlines.minutes = 60
    assert deadlines.last_seconds() == 3_500
