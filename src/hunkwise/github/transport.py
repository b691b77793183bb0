"""The HTTP transport below PyGithub: one time limit and one size limit for a whole request, and no redirects.

The timeouts of sockets are for one read each: a server that sends a byte now and then stays within all of them.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import urlsplit

import requests
import urllib3
from github import Auth, Github
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from hunkwise.github.responses import (
    MAX_ANSWER,
    ApiResponse,
    RequestTimeoutError,
    malformed_response_error,
    response_too_large_error,
    unreachable_error,
)

_PIECE = 64 * 1024


class DeadlineExceededError(Exception):
    """The request's time was over before it could even connect."""


class ResponseTooLargeError(Exception):
    """The answer has more than MAX_ANSWER bytes."""


class RequestTimer:
    """Over one wire's connection. `late` says whether the last request was cut."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.late = False

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Cuts the connection when the block has taken so long; whatever reads from it then fails at once."""
        with self._lock:
            self.late = False
        timer = threading.Timer(seconds, self.cut)
        timer.daemon = True
        with suppress(RuntimeError):  # no thread to be had: the timeouts of each read still hold
            timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def cut(self) -> None:
        """Ends what is being read or sent, from any thread."""
        with self._lock:
            self.late = True
            if self._socket is not None:
                with suppress(OSError):  # the other end was faster
                    self._socket.shutdown(socket.SHUT_RDWR)

    def allow(self) -> None:
        """Raises DeadlineExceededError where the time is over."""
        if self.late:
            raise DeadlineExceededError

    def over(self, made: socket.socket) -> socket.socket:
        """The same socket, from here on under watch; whichever was before is let go."""
        with self._lock:
            self._forget()
            # Encryption takes the socket itself away, and keeps what is behind it.
            self._socket = made.dup()
        if self.late:
            made.close()
            raise DeadlineExceededError
        return made

    def close(self) -> None:
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def watched(watch: RequestTimer) -> HTTPAdapter:
    """An adapter that repeats nothing by itself, and whose connections are under that watch."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            watch.allow()
            return watch.over(super()._new_conn())

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            watch.allow()
            return watch.over(super()._new_conn())

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    pools = {"http": PlainPool, "https": SecurePool}

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: object, **kwargs: object) -> None:
            super().init_poolmanager(*args, **kwargs)  # type: ignore[arg-type]  # handed on as they come
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, *args: object, **kwargs: object) -> object:
            manager = super().proxy_manager_for(*args, **kwargs)  # type: ignore[arg-type]
            manager.pool_classes_by_scheme = pools
            return manager

    return Adapter(pool_connections=1, pool_maxsize=1, max_retries=0)


def read_whole(answer: requests.Response, most: int = MAX_ANSWER) -> None:
    """Reads the body, unpacked, as UTF-8 JSON is; nobody guesses at its encoding then. Raises ResponseTooLargeError."""
    body = bytearray()
    for piece in answer.iter_content(_PIECE):
        body += piece
        if len(body) > most:
            answer.close()
            raise ResponseTooLargeError
    answer._content = bytes(body)  # what `content` gives where it has been read
    answer.encoding = "utf-8"


TIMEOUT: Final = 15
"""Seconds until a connection stands, and between two pieces of an answer."""
_NO_RETRIES = (
    0  # PyGithub's own policy repeats POSTs, and sleeps up to an hour: github.connection repeats reads
)


@dataclass(frozen=True, eq=False)
class Transport:
    """For one thread at a time: PyGithub's requesters keep the state of their last answer."""

    requester: Requester
    connection: HTTPRequestsConnectionClass | HTTPSRequestsConnectionClass
    watch: RequestTimer

    def ask(
        self,
        verb: str,
        path: str,
        query: Mapping[str, Any],
        body: Mapping[str, Any] | None,
        name: str,
        *,
        seconds: float,
    ) -> ApiResponse:
        """The answer, whatever its status, if it is all here in so many seconds.

        Raises GitHubError (UNAVAILABLE, AUTHENTICATION) without one, RequestTimeoutError where it took too long.
        """
        url = self.requester.graphql_url if path == "graphql" else path
        self.connection.timeout = min(TIMEOUT, max(1, int(seconds)))
        try:
            with self.watch.within(seconds):
                status, headers, text = self.requester.requestJson(
                    verb, url, dict(query), input=body, cnx=self.connection
                )
        except DeadlineExceededError as error:
            raise RequestTimeoutError(name, seconds) from error
        except ResponseTooLargeError as error:
            raise response_too_large_error(name) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
            raise (
                RequestTimeoutError(name, seconds) if self.watch.late else unreachable_error(error, name)
            ) from error
        except (ValueError, OverflowError) as error:  # PyGithub reads the headers of rate limits as numbers
            raise malformed_response_error(name, "a header of it cannot be read") from error
        if self.watch.late:  # an answer without a length looks whole where it was cut
            raise RequestTimeoutError(name, seconds)
        return ApiResponse(status, headers, text)

    def close(self) -> None:
        self.connection.close()
        self.requester.close()
        self.watch.close()


def open_transport(token: str, api_url: str) -> Transport:
    """A new wire; it connects when it is first asked."""
    requester = Github(
        auth=Auth.Token(token),
        base_url=api_url,
        timeout=TIMEOUT,
        user_agent="hunkwise",
        retry=_NO_RETRIES,
        seconds_between_requests=None,
        seconds_between_writes=None,
    ).requester
    server = urlsplit(api_url)
    secure = server.scheme == "https"
    kind = HTTPSRequestsConnectionClass if secure else HTTPRequestsConnectionClass
    connection = kind(server.hostname or "", server.port, timeout=TIMEOUT, retry=_NO_RETRIES)
    connection.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # none is kept, or sent
    watch = RequestTimer()
    for scheme in ("http://", "https://"):
        connection.session.mount(scheme, watched(watch))
    connection.session.hooks["response"].append(_as_it_is)
    return Transport(requester, connection, watch)


def _as_it_is(answer: requests.Response, **_options: object) -> None:
    """Shows what PyGithub would act on by itself as what it would not, and reads the body within its bounds.

    It follows a 301 without its query, and a write too; it asks again, without end, where a read is answered by 202.
    """
    if answer.status_code == 301:
        answer.status_code = 308
    if answer.status_code == 202 and answer.request.method == "GET":
        answer.status_code = 503
    read_whole(answer)
