"""The one deadline of a run, and what each part of the run must make of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

PUBLISHING_SECONDS: Final = 30.0
"""Kept for publishing what was found, of the run's time where that is five minutes or more."""
_PUBLISHING_SHARE = 0.1


class Deadlines:
    """Moments on a monotonic clock, in seconds. They move when the configuration has told its own `deadline`."""

    def __init__(
        self, started: float, minutes: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._started = started
        self._clock = clock
        self.minutes = minutes

    @property
    def asking_ends(self) -> float:
        """When reading, preparing and asking end: what was found by then is published."""
        seconds = self.minutes * 60
        return self._started + seconds - min(PUBLISHING_SECONDS, seconds * _PUBLISHING_SHARE)

    def seconds_to_ask(self) -> float:
        return self.asking_ends - self._clock()

    def seconds_left(self) -> float:
        """Until the deadline: nobody waits for his turn beyond it."""
        return max(0.0, self._started + self.minutes * 60 - self._clock())

    def last_seconds(self) -> float:
        """Until nothing is sent or read any more: the deadline, and later only where that leaves publishing less
        than its thirty seconds."""
        return max(0.0, self.asking_ends + PUBLISHING_SECONDS - self._clock())
