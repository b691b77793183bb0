"""One connection to GitHub's REST and GraphQL API: pace, retries of reads, pages."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.responses import (
    ApiResponse,
    GraphqlResponse,
    JsonValue,
    RequestTimeoutError,
    TransientError,
    invalid_json_error,
    malformed_response_error,
    read_answer,
    refusal_error,
    status_seen,
    wait_asked,
)
from hunkwise.github.transport import Transport, open_transport
from hunkwise.redaction import SecretScan

_WINDOW = 60.0
_BURST = 40
_MOST = 60
_APART = 1.0  # https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api


class Throttle:
    """Lets 40 writes through at once, further ones a second apart, and no more than 60 in any 60 seconds."""

    def __init__(
        self, *, clock: Callable[[], float], sleep: Callable[[float], None], deadline: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._deadline = deadline
        self._sent: deque[float] = deque(maxlen=_MOST)
        self._lock = threading.Lock()

    def admit(self, writes: int, request: str) -> None:
        """Returns when so many writes may be sent. Raises GitHubError (RATE_LIMIT) past the deadline."""
        if writes < 1:
            return
        with self._lock:
            now = self._clock()
            start = self._free_at(now, min(writes, _MOST))
            if start - now > max(0.0, self._deadline()):
                message = (
                    f"{request} was not sent: it would have to wait {start - now:.0f} seconds for its turn."
                )
                hint = "GitHub takes some 80 writes a minute: raise `deadline`, or lower `max-comments`."
                raise GitHubError(GitHubErrorKind.RATE_LIMIT, message, hint)
            self._sent.extend([start] * min(writes, _MOST))
        if start > now:
            self._sleep(start - now)

    def _free_at(self, now: float, writes: int) -> float:
        """When that many may be sent; `_sent` is in order, and holds turns that others are waiting for too."""
        start = now
        recent = sum(sent > now - _WINDOW for sent in self._sent)
        if self._sent and recent + writes > _BURST:
            start = max(now, self._sent[-1] + _APART)
        above = len(self._sent) + writes - _MOST
        return max(start, self._sent[above - 1] + _WINDOW) if above > 0 else start


REQUEST_SECONDS: Final = 20.0
"""For one request, from its connection to the last byte of its answer: GitHub itself gives up after ten, and a
review that was stored but not confirmed must still be found in the time for publishing."""
_MOST_WAITS = 2
_MOST_REDIRECTS = 3
_READ_AGAIN = (0.0, 0.4, 0.8)
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


class GitHubConnection:
    """Sends requests and gives JSON back. `deadline` tells the seconds that are left to wait."""

    def __init__(
        self,
        token: str,
        api_url: str,
        *,
        deadline: Callable[[], float],
        last: Callable[[], float] = lambda: math.inf,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`last` tells the seconds after which nothing is sent or read any more; `clock` counts seconds from
        anywhere, `now` from 1970, as GitHub's headers do."""
        self._token = token
        self._scan = SecretScan([token])
        self._api_url = api_url.rstrip("/")
        self._deadline = deadline
        self._last = last
        self._sleep = sleep
        self._now = now
        self._pace = Throttle(clock=clock, sleep=sleep, deadline=deadline)
        self._idle: deque[Transport] = deque()
        self._busy: set[Transport] = set()
        self._closed = False

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> JsonValue:
        """Reads `path`, which begins with a slash. Raises GitHubError."""
        request = _Request("GET", path, query or {})
        for pause in _READ_AGAIN:
            try:
                return self._ask(request)
            except TransientError:
                if pause > self._deadline():
                    raise
            self._sleep(pause)
        return self._ask(request)

    def post(
        self, path: str, body: Mapping[str, Any], *, again: Callable[[], None] = lambda: None
    ) -> JsonValue:
        """Writes once. After UNAVAILABLE it is unknown whether GitHub stored it. Raises GitHubError.

        `again` is called after each wait that a rate limit asked for: what it raises ends the writing.
        """
        return self._ask(_Request("POST", path, body=body, writes=1, again=again))

    def patch(self, path: str, body: Mapping[str, Any]) -> JsonValue:
        """Changes something, once; as `post`."""
        return self._ask(_Request("PATCH", path, body=body, writes=1))

    def put(self, path: str, body: Mapping[str, Any]) -> JsonValue:
        """Sets something, once; as `post`."""
        return self._ask(_Request("PUT", path, body=body, writes=1))

    def delete(self, path: str) -> JsonValue:
        """Deletes something, once; as `post`. The value is null where GitHub answers 204."""
        return self._ask(_Request("DELETE", path, writes=1))

    def graphql(
        self, query: str, variables: Mapping[str, Any], *, repeat: bool = True, writes: int = 1
    ) -> JsonValue:
        """The whole `data`. Raises GitHubError, also where GraphQL answers 200 with errors.

        A mutation is sent with `repeat=False`, so that it is never sent twice, and counts as `writes`.
        """
        return self.graphql_partly(query, variables, repeat=repeat, writes=writes).whole

    def graphql_partly(
        self, query: str, variables: Mapping[str, Any], *, repeat: bool = True, writes: int = 1
    ) -> GraphqlResponse:
        """As `graphql`, but with what was refused beside what was answered."""
        body = {"query": query, "variables": dict(variables)}
        request = _Request("POST", _GRAPHQL, body=body, writes=0 if repeat else writes)
        for pause in _GRAPHQL_AGAIN if repeat else ():
            try:
                return read_answer(self._ask(request))
            except RequestTimeoutError:
                raise
            except GitHubError as error:
                if error.kind is not GitHubErrorKind.UNAVAILABLE or pause > self._deadline():
                    raise
            self._sleep(pause)
        return read_answer(self._ask(request))

    @property
    def over(self) -> bool:
        """Whether the time is over in which anything can be sent."""
        return self._closed or self._last() <= 0

    def close(self) -> None:
        """Closes the connections, and cuts what another thread still waits for."""
        self._closed = True
        for wire in tuple(self._busy):
            wire.watch.cut()
        while self._idle:
            self._idle.pop().close()

    def _ask(self, request: _Request) -> JsonValue:
        answer = self._followed(request)
        if answer.status in _NO_CONTENT:
            return JsonValue(None, request.name)
        if not 200 <= answer.status < 300:
            raise refusal_error(answer, request.name)
        try:
            value = json.loads(answer.text)
        except (ValueError, RecursionError) as error:
            raise invalid_json_error(request.name) from error
        if not isinstance(value, dict | list):
            raise malformed_response_error(request.name, "it is neither an object nor a list")
        return JsonValue(value, request.name)

    def _followed(self, request: _Request) -> ApiResponse:
        """The answer; a read that was moved within the same server is read there."""
        answer = self._patiently(request)
        for _ in range(_MOST_REDIRECTS):
            target = self._moved_to(answer)
            if request.verb != "GET" or target is None:
                break
            request = replace(request, path=target, query={} if urlsplit(target).query else request.query)
            answer = self._patiently(request)
        return answer

    def _patiently(self, request: _Request) -> ApiResponse:
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

    def _moved_to(self, answer: ApiResponse) -> str | None:
        """The whole address that a redirect names, if it is on our server."""
        location = answer.headers.get("location", "")
        if answer.status not in (301, 302, 307, 308) or not location:
            return None
        # requests has parsed it by now: an address that is none has failed already.
        target = urljoin(f"{self._api_url}/", location)
        ours, theirs = urlsplit(self._api_url), urlsplit(target)
        same = (ours.scheme, ours.hostname, ours.port) == (theirs.scheme, theirs.hostname, theirs.port)
        return target if same else None

    def _once(self, request: _Request) -> ApiResponse:
        self._pace.admit(request.writes, request.name)
        if self.over:
            raise RequestTimeoutError(request.name, 0.0)
        seconds = min(REQUEST_SECONDS, self._last())
        with self._wire() as wire:
            answer = wire.ask(
                request.verb, request.path, request.query, request.body, request.name, seconds=seconds
            )
        if answer.status >= 300 or (request.path == _GRAPHQL and '"errors"' in answer.text):
            # Its words get into messages of ours, and what sits before GitHub may repeat what it was sent.
            answer = replace(answer, text=self._scan.redacted(answer.text))
        return status_seen(answer) if request.path == _GRAPHQL else answer

    @contextmanager
    def _wire(self) -> Iterator[Transport]:
        """A wire that no other thread uses."""
        try:
            wire = self._idle.pop()
        except IndexError:
            wire = open_transport(self._token, self._api_url)
        self._busy.add(wire)
        try:
            yield wire
        finally:
            self._busy.discard(wire)
            if self._closed:
                wire.close()
            else:
                self._idle.append(wire)


PAGE = 100
MOST_PAGES = 30


class TooManyError(GitHubError):
    """A list is longer than can be read; another way of reading it would not help."""

    def __init__(self, what: str) -> None:
        message = f"This pull request has more than {PAGE * MOST_PAGES:,} {what}: too many to be read."
        hint = "Go on in a new pull request: without all that was said, findings would be repeated."
        super().__init__(GitHubErrorKind.UNAVAILABLE, message, hint)


def entries_of(connection: GitHubConnection, path: str, what: str) -> Iterator[JsonValue]:
    """All entries of a REST list. Raises GitHubError, TooManyError past 30 pages."""
    for number in range(1, MOST_PAGES + 1):
        entries = connection.get(path, {"per_page": PAGE, "page": number}).objects()
        yield from entries
        if len(entries) < PAGE:
            return
    raise TooManyError(what)
