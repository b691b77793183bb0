"""Simulates the queue of the service: how long pushes wait for their review, by the number of jobs at a time.

`python -m bench.capacity` prints the table in docs/service.md.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass
from math import log
from statistics import quantiles
from typing import Final

PUSHES: Final = (30, 120, 480, 960, 1_920)
"""In an hour."""
PARALLEL: Final = (4, 8, 16, 32, 64, 128)
"""Jobs at a time, of all workers."""
MEDIAN_SECONDS: Final = 120.0
SPREAD: Final = 0.85
"""Of the logarithm of a review's seconds: one of twenty takes more than eight minutes."""
_HOURS: Final = 10
_PUSHES_OF_ONE: Final = 5
"""Pushes to one pull request in an hour: they end a running review, and join a waiting one."""
_ABORT_SECONDS: Final = 2.0
_OVERLOADED: Final = 0.95
"""Share of the time that all jobs are busy, from which on waiting times have no limit."""


@dataclass(frozen=True)
class Waiting:
    """Seconds from a push to the begin of its review."""

    median: float
    high: float
    """95 of 100 pushes wait less."""
    busy: float
    """The share of the jobs that run, 0 to 1."""


def simulate(pushes: int, parallel: int, seed: int = 1) -> Waiting:
    """Returns the waiting times of ten hours with that many pushes an hour, which come at random."""
    chance = random.Random(seed)
    pulls = max(1, pushes // _PUSHES_OF_ONE)
    now, waits, used = 0.0, [], 0.0
    running: dict[int, tuple[float, float]] = {}  # begin and end, by pull request
    ends: list[tuple[float, int]] = []
    waiting: deque[tuple[int, float]] = deque()
    queued: set[int] = set()

    def start_until(limit: float) -> None:
        """Ends and starts jobs until that time."""
        nonlocal used
        while ends and ends[0][0] <= limit:
            at, pull = heapq.heappop(ends)
            if pull not in running or running[pull][1] != at:
                continue  # it was ended earlier
            used += at - running.pop(pull)[0]
            start(at)

    def start(at: float) -> None:
        for _ in range(len(waiting)):
            if len(running) == parallel:
                return
            pull, since = waiting.popleft()
            if pull in running:  # never two of one pull request at a time
                waiting.append((pull, since))
                continue
            queued.discard(pull)
            waits.append(at - since)
            end = at + chance.lognormvariate(log(MEDIAN_SECONDS), SPREAD)
            running[pull] = (at, end)
            heapq.heappush(ends, (end, pull))

    while now < _HOURS * 3_600:
        now += chance.expovariate(pushes / 3_600)
        start_until(now)
        pull = chance.randrange(pulls)
        if pull in running and running[pull][1] > now + _ABORT_SECONDS:
            running[pull] = (running[pull][0], now + _ABORT_SECONDS)
            heapq.heappush(ends, (now + _ABORT_SECONDS, pull))
        if pull not in queued:
            queued.add(pull)
            waiting.append((pull, now))
        start(now)
    cuts = quantiles(waits, n=20)
    return Waiting(cuts[9], cuts[18], used / (now * parallel))


def table() -> str:
    """Returns the table in Markdown: the seconds of the 95th percentile."""
    rows = [
        f"| Pushes an hour | {' | '.join(f'{count} jobs' for count in PARALLEL)} |",
        "|---" * (len(PARALLEL) + 1) + "|",
    ]
    for pushes in PUSHES:
        cells = [_shown(simulate(pushes, parallel)) for parallel in PARALLEL]
        rows.append(f"| {pushes:,} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _shown(found: Waiting) -> str:
    if found.busy > _OVERLOADED:
        return "too few"
    return f"{found.high:.0f} s" if found.high < 120 else f"{found.high / 60:.0f} min"


if __name__ == "__main__":
    print(table())
