"""One GitHub server, asked through PyGithub's requester: thread-safe, bounded, and never writing twice."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests
import urllib3
from github import Auth, Github
from github.Requester import Requester
from urllib3 import Retry

from hunkwise.errors import ForgeError, ForgeKind
from hunkwise.forge.errors import Answer, refusal, senseless, unreachable, wait_asked
from hunkwise.forge.shapes import Shape

_TIMEOUT = 15
_MOST_WAITS = 2
_MOST_CUT_READS = 2
# PyGithub's own policy repeats POSTs, and sleeps up to an hour: ours repeats reads, and never sleeps long.
_READS_AGAIN = Retry(
    total=3,
    backoff_factor=0.2,
    status_forcelist=(500, 502, 503, 504),
    allowed_methods=("GET", "HEAD"),
    respect_retry_after_header=False,
    raise_on_status=False,
)


class Connection:
    """Sends requests and gives JSON back. `deadline` tells the seconds that are left."""

    def __init__(
        self,
        token: str,
        api_url: str,
        *,
        deadline: Callable[[], float],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._token = token
        self._api_url = api_url.rstrip("/")
        self._deadline = deadline
        self._sleep = sleep
        self._idle: deque[Requester] = deque()

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Shape:
        """Reads `path`, which begins with a slash. Raises ForgeError."""
        for _ in range(_MOST_CUT_READS):
            try:
                return self._ask("GET", path, query=query)
            except ForgeError as error:
                # urllib3 repeats a read without an answer; one whose answer was cut is repeated here.
                if not _was_cut(error):
                    raise
        return self._ask("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, Any]) -> Shape:
        """Writes once. After UNAVAILABLE it is unknown whether GitHub stored it. Raises ForgeError."""
        return self._ask("POST", path, body=body)

    def graphql(self, query: str, variables: Mapping[str, Any]) -> Shape:
        """The `data` of a query. Raises ForgeError, also where GraphQL answers 200 with errors."""
        answer = self._ask("POST", "graphql", body={"query": query, "variables": dict(variables)})
        errors = answer.at("errors").value
        if errors:
            status = {"NOT_FOUND": 404, "FORBIDDEN": 403, "RATE_LIMITED": 429}
            first = errors[0] if isinstance(errors, list) else None
            kind = first.get("type") if isinstance(first, dict) else None
            raise refusal(Answer(status.get(str(kind), 422), {}, json.dumps(answer.value)), "POST /graphql")
        return answer.at("data")

    def close(self) -> None:
        """Closes the connections; a request that is under way in another thread keeps its own."""
        while self._idle:
            self._idle.pop().close()

    def _ask(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Shape:
        request = f"{verb} /{path.lstrip('/')}"
        answer = self._once(verb, path, query, body, request)
        for _ in range(_MOST_WAITS):
            seconds = wait_asked(answer)
            if seconds is None or seconds > self._deadline():
                break
            self._sleep(seconds)
            answer = self._once(verb, path, query, body, request)
        if not 200 <= answer.status < 300:
            raise refusal(answer, request)
        try:
            value = json.loads(answer.text)
        except (ValueError, RecursionError) as error:
            raise senseless(request, "it is no JSON") from error
        if not isinstance(value, dict | list):
            raise senseless(request, "it is neither an object nor a list")
        return Shape(value, request)

    def _once(
        self,
        verb: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
        request: str,
    ) -> Answer:
        with self._requester() as requester:
            url = requester.graphql_url if path == "graphql" else path
            try:
                status, headers, text = requester.requestJson(verb, url, dict(query or {}), input=body)
            except (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
                raise unreachable(error, request) from error
            except RuntimeError as error:  # PyGithub's word for a redirect that it does not follow
                raise unreachable(error, request) from error
        return Answer(status, headers, text)

    @contextmanager
    def _requester(self) -> Iterator[Requester]:
        """A requester that no other thread uses: PyGithub's keep the state of their last answer."""
        try:
            requester = self._idle.pop()
        except IndexError:
            requester = self._connected()
        try:
            yield requester
        finally:
            self._idle.append(requester)

    def _connected(self) -> Requester:
        return Github(
            auth=Auth.Token(self._token),
            base_url=self._api_url,
            timeout=_TIMEOUT,
            user_agent="hunkwise",
            retry=_READS_AGAIN,
            seconds_between_requests=None,
            seconds_between_writes=None,
        ).requester


def _was_cut(error: ForgeError) -> bool:
    cut = requests.exceptions.ChunkedEncodingError | ValueError
    return error.kind is ForgeKind.UNAVAILABLE and isinstance(error.__cause__, cut)
