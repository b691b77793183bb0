"""Throttling of writes by GitHub's limits."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.connection import Throttle
from tests.github.conftest import Clock


def create_throttle(clock: Clock) -> Throttle:
    return Throttle(clock=clock.elapsed, sleep=clock.sleep, deadline=clock.deadline)


def times(clock: Clock, writes: int, at_once: int = 1) -> list[float]:
    """Returns the time of each write."""
    pace = create_throttle(clock)
    sent: list[float] = []
    for _ in range(writes):
        pace.admit(at_once, "POST /x")
        sent += [clock.elapsed()] * at_once
    return sent


def test_forty_writes_are_immediate_and_further_ones_a_second_apart() -> None:
    sent = times(Clock(), 60)
    assert sent[:40] == [0.0] * 40
    assert [later - earlier for earlier, later in pairwise(sent[39:])] == [1.0] * 20


@pytest.mark.parametrize("at_once", [1, 7, 10, 60])
def test_at_most_sixty_writes_per_minute(at_once: int) -> None:
    sent = times(Clock(10_000.0), 300 // at_once, at_once)
    assert all(later - earlier >= 60.0 for earlier, later in zip(sent, sent[60:], strict=False))


def test_request_with_more_writes_than_the_limit_waits_a_minute() -> None:
    assert times(Clock(), 2, 100)[100:] == [60.0] * 100


def test_reads_are_not_throttled() -> None:
    clock = Clock()
    pace = create_throttle(clock)
    for _ in range(200):
        pace.admit(0, "GET /x")
    assert clock.slept == []


def test_write_after_the_deadline_is_refused_and_not_counted() -> None:
    clock = Clock(30.0)
    pace = create_throttle(clock)
    pace.admit(60, "POST /x")
    for _ in range(2):
        with pytest.raises(
            GitHubError, match=r"POST /y was not sent: it would have to wait 60 seconds"
        ) as refused:
            pace.admit(1, "POST /y")
    assert refused.value.kind is GitHubErrorKind.RATE_LIMIT
    assert clock.slept == []
