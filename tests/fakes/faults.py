"""Faults that a test orders from a fake server: the first that matches a request answers it."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.github_messages import Request

_ANYTHING = re.compile("")


@dataclass(frozen=True)
class HttpFault:
    """What to do to a request. Without status, HTML, redirect or disconnect the usual answer is given."""

    method: str
    path: re.Pattern[str]
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    """Sent as it is if it is text, else as JSON. None: a JSON object with a message."""
    delay: float = 0.0
    truncate: bool = False
    """The usual answer (or `body`), cut in half behind the full Content-Length."""
    html: bool = False
    commit_then_fail: bool = False
    """The request takes effect, and is answered by the fault all the same."""
    disconnect: bool = False
    redirect: str | None = None
    asking: re.Pattern[str] = _ANYTHING
    """Searched for in the JSON text of the request."""

    def meets(self, request: Request) -> bool:
        """Whether this is a request that the fault waits for."""
        return (
            self.method in (request.method, "*")
            and self.path.search(request.path) is not None
            and self.asking.search(request.text) is not None
        )

    @property
    def replaces(self) -> bool:
        """Whether the usual answer is not given."""
        return self.status is not None or self.html or self.disconnect or self.redirect is not None

    @property
    def effective_status(self) -> int:
        if self.status is not None:
            return self.status
        return 302 if self.redirect is not None else 502


class FaultQueue:
    """Faults in the order in which they were ordered; each answers as often as `times` says."""

    def __init__(self) -> None:
        self._faults: list[list[Any]] = []
        self._lock = threading.Lock()

    def order(self, fault: HttpFault, times: int) -> None:
        with self._lock:
            self._faults.append([fault, times])

    def take(self, request: Request) -> HttpFault | None:
        """The first fault for this request, which is used up by one."""
        with self._lock:
            for place, (fault, times) in enumerate(self._faults):
                if fault.meets(request):
                    if times == 1:
                        del self._faults[place]
                    else:
                        self._faults[place][1] = times - 1
                    assert isinstance(fault, HttpFault)
                    return fault
        return None

    @property
    def left(self) -> int:
        """How many ordered faults no request has met yet."""
        with self._lock:
            return sum(times for _, times in self._faults)
