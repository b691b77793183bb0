"""Moments at which a test wants something to happen: before a request takes effect, or before it is answered."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass

from tests.fakes.github_messages import Request

Action = Callable[[], object]


@dataclass
class Moment:
    """An action, and the requests that it waits for."""

    method: str
    path: re.Pattern[str]
    asking: re.Pattern[str]
    action: Action
    after: bool
    left: int

    def meets(self, request: Request) -> bool:
        return (
            self.method in (request.method, "*")
            and self.path.search(request.path) is not None
            and self.asking.search(request.text) is not None
        )


@dataclass(frozen=True)
class Met:
    """The actions of one request. What is ordered while they run is for other requests."""

    before: tuple[Action, ...]
    after: tuple[Action, ...]


class Moments:
    """Moments in the order in which they were ordered; each comes as often as it says."""

    def __init__(self) -> None:
        self._moments: list[Moment] = []
        self._lock = threading.Lock()

    def order(self, moment: Moment) -> None:
        with self._lock:
            self._moments.append(moment)

    def take(self, request: Request) -> Met:
        """What is to happen for a request that came in. Each action is used up by one."""
        with self._lock:
            met = [one for one in self._moments if one.left > 0 and one.meets(request)]
            for one in met:
                one.left -= 1
        return Met(
            before=tuple(one.action for one in met if not one.after),
            after=tuple(one.action for one in met if one.after),
        )

    @property
    def left(self) -> int:
        """How often an action still waits for its request."""
        with self._lock:
            return sum(one.left for one in self._moments)
