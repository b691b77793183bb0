"""One GitHub server, asked through PyGithub's requester: thread-safe, bounded, and never writing twice."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from hunkwise.errors import ForgeError, ForgeKind
from hunkwise.forge.errors import Answer, refusal, senseless, wait_asked
from hunkwise.forge.graphql import GraphqlAnswer, read_answer, status_seen
from hunkwise.forge.pace import Pace
from hunkwise.forge.shapes import Shape
from hunkwise.forge.wire import Wire, wired

_MOST_WAITS = 2
_MOST_CUT_READS = 2
_MOST_REDIRECTS = 3
_GRAPHQL = "graphql"
_GRAPHQL_AGAIN = (0.2, 0.4, 0.8)
_NO_CONTENT = (204, 205, 304)


@dataclass(frozen=True)
class _Request:
    """One request. `path` begins with a slash, or is `graphql`, or a whole address on the same server."""

    verb: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    writes: int = 0
    """How much it counts against GitHub's limit of writes; 0 for what only reads."""
    again: Callable[[], None] = lambda: None
    """Called before it is sent again; see Connection.post."""

    @property
    def name(self) -> str:
        return f"{self.verb} /{self.path.lstrip('/')}"


class Connection:
    """Sends requests and gives JSON back. `deadline` tells the seconds that are left."""

    def __init__(
        self,
        token: str,
        api_url: str,
        *,
        deadline: Callable[[], float],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`clock` counts seconds from anywhere, `now` from 1970, as GitHub's headers do."""
        self._token = token
        self._api_url = api_url.rstrip("/")
        self._deadline = deadline
        self._sleep = sleep
        self._now = now
        self._pace = Pace(clock=clock, sleep=sleep, deadline=deadline)
        self._idle: deque[Wire] = deque()

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Shape:
        """Reads `path`, which begins with a slash. Raises ForgeError."""
        request = _Request("GET", path, query or {})
        for _ in range(_MOST_CUT_READS):
            try:
                return self._ask(request)
            except ForgeError as error:
                # urllib3 repeats a read without an answer; one whose answer was cut is repeated here.
                if not _was_cut(error):
                    raise
        return self._ask(request)

    def post(self, path: str, body: Mapping[str, Any], *, again: Callable[[], None] = lambda: None) -> Shape:
        """Writes once. After UNAVAILABLE it is unknown whether GitHub stored it. Raises ForgeError.

        `again` is called after each wait that a rate limit asked for: what it raises ends the writing.
        """
        return self._ask(_Request("POST", path, body=body, writes=1, again=again))

    def patch(self, path: str, body: Mapping[str, Any]) -> Shape:
        """Changes something, once; as `post`."""
        return self._ask(_Request("PATCH", path, body=body, writes=1))

    def put(self, path: str, body: Mapping[str, Any]) -> Shape:
        """Sets something, once; as `post`."""
        return self._ask(_Request("PUT", path, body=body, writes=1))

    def delete(self, path: str) -> Shape:
        """Deletes something, once; as `post`. The value is null where GitHub answers 204."""
        return self._ask(_Request("DELETE", path, writes=1))

    def graphql(
        self, query: str, variables: Mapping[str, Any], *, repeat: bool = True, writes: int = 1
    ) -> Shape:
        """The whole `data`. Raises ForgeError, also where GraphQL answers 200 with errors.

        A mutation is sent with `repeat=False`, so that it is never sent twice, and counts as `writes`.
        """
        return self.graphql_partly(query, variables, repeat=repeat, writes=writes).whole

    def graphql_partly(
        self, query: str, variables: Mapping[str, Any], *, repeat: bool = True, writes: int = 1
    ) -> GraphqlAnswer:
        """As `graphql`, but with what was refused beside what was answered."""
        body = {"query": query, "variables": dict(variables)}
        request = _Request("POST", _GRAPHQL, body=body, writes=0 if repeat else writes)
        for pause in _GRAPHQL_AGAIN if repeat else ():
            try:
                return read_answer(self._ask(request))
            except ForgeError as error:
                if error.kind is not ForgeKind.UNAVAILABLE or pause > self._deadline():
                    raise
            self._sleep(pause)
        return read_answer(self._ask(request))

    def close(self) -> None:
        """Closes the connections; a request that is under way in another thread keeps its own."""
        while self._idle:
            self._idle.pop().close()

    def _ask(self, request: _Request) -> Shape:
        answer = self._followed(request)
        if answer.status in _NO_CONTENT:
            return Shape(None, request.name)
        if not 200 <= answer.status < 300:
            raise refusal(answer, request.name)
        try:
            value = json.loads(answer.text)
        except (ValueError, RecursionError) as error:
            raise senseless(request.name, "it is no JSON") from error
        if not isinstance(value, dict | list):
            raise senseless(request.name, "it is neither an object nor a list")
        return Shape(value, request.name)

    def _followed(self, request: _Request) -> Answer:
        """The answer; a read that was moved within the same server is read there."""
        answer = self._patiently(request)
        for _ in range(_MOST_REDIRECTS):
            target = self._moved_to(answer)
            if request.verb != "GET" or target is None:
                break
            request = replace(request, path=target, query={} if urlsplit(target).query else request.query)
            answer = self._patiently(request)
        return answer

    def _patiently(self, request: _Request) -> Answer:
        """The answer, after the waits that rate limits ask for, never past the deadline."""
        answer = self._once(request)
        for _ in range(_MOST_WAITS):
            seconds = wait_asked(answer, self._now())
            if seconds is None or seconds > self._deadline():
                break
            self._sleep(seconds)
            request.again()
            answer = self._once(request)
        return answer

    def _moved_to(self, answer: Answer) -> str | None:
        """The whole address that a redirect names, if it is on our server."""
        location = answer.headers.get("location", "")
        if answer.status not in (301, 302, 307, 308) or not location:
            return None
        # requests has parsed it by now: an address that is none has failed already.
        target = urljoin(f"{self._api_url}/", location)
        ours, theirs = urlsplit(self._api_url), urlsplit(target)
        same = (ours.scheme, ours.hostname, ours.port) == (theirs.scheme, theirs.hostname, theirs.port)
        return target if same else None

    def _once(self, request: _Request) -> Answer:
        self._pace.admit(request.writes, request.name)
        with self._wire() as wire:
            answer = wire.ask(request.verb, request.path, request.query, request.body, request.name)
        return status_seen(answer) if request.path == _GRAPHQL else answer

    @contextmanager
    def _wire(self) -> Iterator[Wire]:
        """A wire that no other thread uses."""
        try:
            wire = self._idle.pop()
        except IndexError:
            wire = wired(self._token, self._api_url)
        try:
            yield wire
        finally:
            self._idle.append(wire)


def _was_cut(error: ForgeError) -> bool:
    cut = requests.exceptions.ChunkedEncodingError | ValueError
    return error.kind is ForgeKind.UNAVAILABLE and isinstance(error.__cause__, cut)
