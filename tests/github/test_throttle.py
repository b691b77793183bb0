"""Writes keep to a pace that GitHub takes."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.connection import Throttle
from tests.github.conftest import Clock


def paced(clock: Clock) -> Throttle:
    return Throttle(clock=clock.elapsed, sleep=clock.sleep, deadline=clock.deadline)


def times(clock: Clock, writes: int, at_once: int = 1) -> list[float]:
    """When each of so many writes was sent."""
    pace = paced(clock)
    sent: list[float] = []
    for _ in range(writes):
        pace.admit(at_once, "POST /x")
        sent += [clock.elapsed()] * at_once
    return sent


def test_forty_writes_leave_at_once_and_further_ones_a_second_apart() -> None:
    sent = times(Clock(), 60)
    assert sent[:40] == [0.0] * 40
    assert [later - earlier for earlier, later in pairwise(sent[39:])] == [1.0] * 20


@pytest.mark.parametrize("at_once", [1, 7, 10, 60])
def test_no_more_than_sixty_fall_into_any_minute(at_once: int) -> None:
    sent = times(Clock(10_000.0), 300 // at_once, at_once)
    assert all(later - earlier >= 60.0 for earlier, later in zip(sent, sent[60:], strict=False))


def test_more_writes_in_one_request_than_a_minute_takes_wait_for_a_whole_minute() -> None:
    assert times(Clock(), 2, 100)[100:] == [60.0] * 100


def test_reads_are_not_paced() -> None:
    clock = Clock()
    pace = paced(clock)
    for _ in range(200):
        pace.admit(0, "GET /x")
    assert clock.slept == []


def test_a_turn_behind_the_deadline_is_refused_and_not_taken() -> None:
    clock = Clock(30.0)
    pace = paced(clock)
    pace.admit(60, "POST /x")
    for _ in range(2):
        with pytest.raises(
            GitHubError, match=r"POST /y was not sent: it would have to wait 60 seconds"
        ) as refused:
            pace.admit(1, "POST /y")
    assert refused.value.kind is GitHubErrorKind.RATE_LIMIT
    assert clock.slept == []
