"""Faults and actions that a test schedules on requests to a fake server."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.types import Send

from tests.fakes.github_messages import Reply, Request

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


_HTML = "<!DOCTYPE html><html><body><h1>Unicorn!</h1></body></html>"


def read_request(http: HttpRequest, raw: bytes) -> Request:
    """The request as a value, its path without the prefixes of an enterprise server."""
    path = http.scope["path"]
    for prefix in ("/api/v3", "/api"):
        path = path.removeprefix(prefix)
    body: Any = None
    if raw:
        try:
            body = json.loads(raw)
        except ValueError:
            body = raw.decode("utf-8", "replace")
    headers = dict(http.headers)
    return Request(http.method, path, dict(http.query_params), body, headers.get("authorization"), headers)


def faulty_reply(fault: HttpFault) -> Reply:
    """What the fault answers by itself."""
    status = fault.effective_status if fault.replaces else 200
    headers = dict(fault.headers)
    if fault.redirect is not None:
        headers["location"] = fault.redirect
    if fault.html:
        return Reply(status, _HTML, {"content-type": "text/html; charset=utf-8", **headers})
    body = (
        fault.body
        if fault.body is not None
        else {"message": f"ordered fault {status}", "status": str(status)}
    )
    return Reply(status, body, headers)


async def send_reply(send: Send, reply: Reply, payload: bytes, *, truncate: bool) -> None:
    """Sends the reply; cut in half, the rest stays owed."""
    headers = {
        "content-type": "application/json; charset=utf-8",
        "content-length": str(len(payload)),
        "x-github-request-id": "FAKE:1",
        "x-ratelimit-limit": "5000",
        "x-ratelimit-remaining": "4999",
        "x-ratelimit-reset": "4000000000",
        **{name.lower(): value for name, value in reply.headers.items()},
    }
    lines = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": lines})
    part = payload[: len(payload) // 2] if truncate else payload
    await send({"type": "http.response.body", "body": part, "more_body": truncate})
