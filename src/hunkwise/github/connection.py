"""Connection to GitHub's REST and GraphQL API: throttling, retries of reads, pagination."""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.graphql import GraphqlResponse, read_answer, status_seen
from hunkwise.github.responses import (
    SECONDARY_WAIT,
    ApiResponse,
    JsonValue,
    RequestTimeoutError,
    TransientError,
    invalid_json_error,
    malformed_response_error,
    refusal_error,
    wait_asked,
)
from hunkwise.github.transport import Transport, open_transport
from hunkwise.redaction import SecretScan

_WINDOW = 60.0
_BURST = 40
_MAX_WRITES = 60
_INTERVAL = 1.0  # https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api


class Throttle:
    """Allows 40 writes at once, further ones at intervals of a second, and at most 60 in any 60 seconds."""

    def __init__(
        self, *, clock: Callable[[], float], sleep: Callable[[float], None], deadline: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._deadline = deadline
        self._sent: deque[float] = deque(maxlen=_MAX_WRITES)
        self._lock = threading.Lock()

    def admit(self, writes: int, request: str) -> None:
        """Waits until that many writes may be sent. Raises GitHubError (RATE_LIMIT) past the deadline."""
        if writes < 1:
            return
        with self._lock:
            now = self._clock()
            start = self._start_time(now, min(writes, _MAX_WRITES))
            if start - now > max(0.0, self._deadline()):
                message = (
                    f"{request} was not sent: it would have to wait {start - now:.0f} seconds for its turn."
                )
                hint = "GitHub takes some 80 writes a minute: raise `deadline`, or lower `max-comments`."
                raise GitHubError(GitHubErrorKind.RATE_LIMIT, message, hint)
            self._sent.extend([start] * min(writes, _MAX_WRITES))
        if start > now:
            self._sleep(start - now)

    def _start_time(self, now: float, writes: int) -> float:
        """Returns the time at which the writes may start. `_sent` is sorted and contains reserved future times too."""
        start = now
        recent = sum(sent > now - _WINDOW for sent in self._sent)
        if self._sent and recent + writes > _BURST:
            start = max(now, self._sent[-1] + _INTERVAL)
        excess = len(self._sent) + writes - _MAX_WRITES
        return max(start, self._sent[excess - 1] + _WINDOW) if excess > 0 else start


REQUEST_SECONDS: Final = 20.0
"""Time limit of one request, from connecting to the last byte of the response: GitHub aborts after ten seconds, and
a review that was stored but not confirmed must still be found in the time for publishing."""
_MAX_WAITS = 2
_MAX_REDIRECTS = 3
_READ_RETRY_PAUSES = (0.0, 0.4, 0.8)
_GRAPHQL = "graphql"
_GRAPHQL_RETRY_PAUSES = (0.2, 0.4, 0.8)
_NO_CONTENT = (204, 205, 304)
_NEXT_PAGE = re.compile(r'<([^<>]*)>; *rel="next"')


@dataclass(frozen=True)
class _Request:
    """One request. `path` begins with a slash, or is `graphql`, or a full URL on the same server."""

    verb: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    writes: int = 0
    """The number of writes that count against GitHub's limit; 0 for reads."""
    again: Callable[[], None] = lambda: None
    """Called before a retry; see GitHubConnection.post."""

    @property
    def name(self) -> str:
        return f"{self.verb} /{self.path.lstrip('/')}"


class GitHubConnection:
    """Sends requests and returns JSON. `deadline` returns the seconds that are left for waiting."""

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
        bearer: bool = False,
    ) -> None:
        """`last` returns the seconds after which nothing is sent or read any more; `clock` is monotonic, in seconds;
        `now` returns Unix time, as in GitHub's headers; `bearer`: the token is an App's JSON web token."""
        self._token = token
        self._bearer = bearer
        self._scan = SecretScan([token])
        self._api_url = api_url.rstrip("/")
        self._deadline = deadline
        self._last = last
        self._sleep = sleep
        self._now = now
        self._throttle = Throttle(clock=clock, sleep=sleep, deadline=deadline)
        self._idle_transports: deque[Transport] = deque()
        self._busy_transports: set[Transport] = set()
        self._closed = False

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> JsonValue:
        """Reads `path`, which begins with a slash. Raises GitHubError."""
        request = _Request("GET", path, query or {})
        for pause in _READ_RETRY_PAUSES:
            try:
                return self._send_json(request)
            except TransientError:
                if pause > self._deadline():
                    raise
            self._sleep(pause)
        return self._send_json(request)

    def pages(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[JsonValue]:
        """Reads the pages of a list, as GitHub's headers connect them, while the caller takes them.

        Raises GitHubError.
        """
        page = self.get(path, {"per_page": PAGE, **(query or {})})
        yield page
        while page.next_page:
            page = self.get(page.next_page)
            yield page

    def post(
        self, path: str, body: Mapping[str, Any], *, again: Callable[[], None] = lambda: None
    ) -> JsonValue:
        """Writes, without a retry. After UNAVAILABLE it is unknown whether GitHub stored it. Raises GitHubError.

        `again` is called after each wait for a rate limit, before the retry; an error that it raises prevents it.
        """
        return self._send_json(_Request("POST", path, body=body, writes=1, again=again))

    def patch(self, path: str, body: Mapping[str, Any]) -> JsonValue:
        """Changes something, without a retry; see `post`."""
        return self._send_json(_Request("PATCH", path, body=body, writes=1))

    def put(self, path: str, body: Mapping[str, Any]) -> JsonValue:
        """Sets something, without a retry; see `post`."""
        return self._send_json(_Request("PUT", path, body=body, writes=1))

    def delete(self, path: str) -> JsonValue:
        """Deletes something, without a retry; see `post`. The value is null if GitHub responds with 204."""
        return self._send_json(_Request("DELETE", path, writes=1))

    def graphql(
        self, query: str, variables: Mapping[str, Any], *, repeat: bool = True, writes: int = 1
    ) -> JsonValue:
        """Returns the complete `data`. Raises GitHubError, also if GraphQL responds with 200 and errors.

        Pass `repeat=False` for a mutation, so that it is never sent twice; it counts as `writes` writes.
        """
        return self.graphql_partly(query, variables, repeat=repeat, writes=writes).whole

    def graphql_partly(
        self, query: str, variables: Mapping[str, Any], *, repeat: bool = True, writes: int = 1
    ) -> GraphqlResponse:
        """As `graphql`, but returns partial data together with its errors."""
        body = {"query": query, "variables": dict(variables)}
        request = _Request("POST", _GRAPHQL, body=body, writes=0 if repeat else writes)
        for pause in _GRAPHQL_RETRY_PAUSES if repeat else ():
            try:
                return read_answer(self._send_json(request))
            except RequestTimeoutError:
                raise
            except GitHubError as error:
                if error.kind is not GitHubErrorKind.UNAVAILABLE or pause > self._deadline():
                    raise
            self._sleep(pause)
        return read_answer(self._send_json(request))

    def wait_for_limit(self) -> bool:
        """Waits for a secondary rate limit; returns False, without waiting, if the deadline is before its end."""
        if self._deadline() < SECONDARY_WAIT:
            return False
        self._sleep(SECONDARY_WAIT)
        return True

    @property
    def over(self) -> bool:
        """True if nothing can be sent any more: the time is over, or the connection is closed."""
        return self._closed or self._last() <= 0

    def close(self) -> None:
        """Closes the connections, and aborts requests that other threads are waiting for."""
        self._closed = True
        for transport in tuple(self._busy_transports):
            transport.watch.cut()
        while self._idle_transports:
            self._idle_transports.pop().close()

    def _send_json(self, request: _Request) -> JsonValue:
        response = self._send_following_redirects(request)
        if response.status in _NO_CONTENT:
            return JsonValue(None, request.name)
        if not 200 <= response.status < 300:
            raise refusal_error(response, request.name)
        try:
            value = json.loads(response.text)
        except (ValueError, RecursionError) as error:
            raise invalid_json_error(request.name) from error
        if not isinstance(value, dict | list):
            raise malformed_response_error(request.name, "it is neither an object nor a list")
        following = _NEXT_PAGE.search(response.headers.get("link", ""))
        return JsonValue(value, request.name, (self._own_url(following[1]) or "") if following else "")

    def _send_following_redirects(self, request: _Request) -> ApiResponse:
        """Sends the request; follows redirects within the same server: of a read, and 307 and 308 of a REST write.

        GitHub answers so for a repository that was renamed or transferred. The token is never sent elsewhere.
        """
        response = self._send_with_waits(request)
        for _ in range(_MAX_REDIRECTS):
            target = self._redirect_target(response)
            repeatable = response.status in (307, 308) and request.path != _GRAPHQL
            if target is None or not (request.verb == "GET" or repeatable):
                break
            request = replace(request, path=target, query={} if urlsplit(target).query else request.query)
            response = self._send_with_waits(request)
        return response

    def _send_with_waits(self, request: _Request) -> ApiResponse:
        """Sends the request; waits and retries at rate limits, but never past the deadline."""
        response = self._send_once(request)
        for _ in range(_MAX_WAITS):
            seconds = wait_asked(response, self._now())
            if seconds is None or seconds > self._deadline():
                break
            self._sleep(seconds)
            request.again()
            response = self._send_once(request)
        return response

    def _redirect_target(self, response: ApiResponse) -> str | None:
        """Returns the full URL that a redirect points to; None if it is on another server."""
        location = response.headers.get("location", "")
        if response.status not in (301, 302, 307, 308) or not location:
            return None
        return self._own_url(location)

    def _own_url(self, url: str) -> str | None:
        """Returns the full form of a URL that GitHub sent; None if it is on another server, or invalid."""
        try:
            target = urljoin(f"{self._api_url}/", url)
            ours, theirs = urlsplit(self._api_url), urlsplit(target)
            same = (ours.scheme, ours.hostname, ours.port) == (theirs.scheme, theirs.hostname, theirs.port)
        except ValueError:  # no valid URL
            return None
        return target if same else None

    def _send_once(self, request: _Request) -> ApiResponse:
        self._throttle.admit(request.writes, request.name)
        if self.over:
            raise RequestTimeoutError(request.name, 0.0)
        seconds = min(REQUEST_SECONDS, self._last())
        with self._transport() as transport:
            response = transport.ask(
                request.verb, request.path, request.query, request.body, request.name, seconds=seconds
            )
        if response.status >= 300 or (request.path == _GRAPHQL and '"errors"' in response.text):
            # The text gets into our messages, and a proxy in front of GitHub may echo the token.
            response = replace(response, text=self._scan.redacted(response.text))
        return status_seen(response) if request.path == _GRAPHQL else response

    @contextmanager
    def _transport(self) -> Iterator[Transport]:
        """Provides a transport that no other thread uses."""
        try:
            transport = self._idle_transports.pop()
        except IndexError:
            transport = open_transport(self._token, self._api_url, bearer=self._bearer)
        self._busy_transports.add(transport)
        try:
            yield transport
        finally:
            self._busy_transports.discard(transport)
            if self._closed:
                transport.close()
            else:
                self._idle_transports.append(transport)


PAGE = 100
MOST_PAGES = 30


class TooManyError(GitHubError):
    """A list is too long to be read; reading it by another API would not help."""

    def __init__(self, what: str) -> None:
        message = f"This pull request has more than {PAGE * MOST_PAGES:,} {what}: too many to be read."
        hint = "Go on in a new pull request: without all that was said, findings would be repeated."
        super().__init__(GitHubErrorKind.UNAVAILABLE, message, hint)


def entries_of(
    connection: GitHubConnection, path: str, what: str, query: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[JsonValue]:
    """Yields all entries of a REST list. Raises GitHubError, TooManyError past 30 pages."""
    for number in range(1, MOST_PAGES + 1):
        entries = connection.get(path, {**query, "per_page": PAGE, "page": number}).objects()
        yield from entries
        if len(entries) < PAGE:
            return
    raise TooManyError(what)
