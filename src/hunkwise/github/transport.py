"""The HTTP transport below PyGithub: a time limit and a size limit for each whole request, and no redirects.

A socket's timeout applies to a single read: a server that sends a byte now and then never exceeds it.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import urlsplit

import requests
import urllib3
from github import Auth, Github
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester
from jwt import PyJWTError
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from hunkwise.certificates import OWN_AUTHORITIES, tls_context
from hunkwise.github.responses import (
    MAX_ANSWER,
    ApiResponse,
    RequestTimeoutError,
    malformed_response_error,
    response_too_large_error,
    unreachable_error,
)

_CHUNK = 64 * 1024


class DeadlineExceededError(Exception):
    """The request's time was over before it was connected."""


class ResponseTooLargeError(Exception):
    """The response has more than MAX_ANSWER bytes."""


class RequestTimer:
    """Enforces the time limit of one transport's requests. `late`: whether the last request was aborted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.late = False

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Shuts the connection down when the block takes longer than that; pending reads then fail at once."""
        with self._lock:
            self.late = False
        timer = threading.Timer(seconds, self.cut)
        timer.daemon = True
        with suppress(RuntimeError):  # no thread available: the timeout of each read still applies
            timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def cut(self) -> None:
        """Aborts the current read or write. May be called from any thread."""
        with self._lock:
            self.late = True
            if self._socket is not None:
                with suppress(OSError):  # already closed by the other end
                    self._socket.shutdown(socket.SHUT_RDWR)

    def allow(self) -> None:
        """Raises DeadlineExceededError if the time is over."""
        if self.late:
            raise DeadlineExceededError

    def over(self, connected: socket.socket) -> socket.socket:
        """Watches this socket instead of the previous one, and returns it."""
        with self._lock:
            self._close_socket()
            # TLS detaches the socket object but keeps its connection, which the duplicate refers to.
            self._socket = connected.dup()
        if self.late:
            connected.close()
            raise DeadlineExceededError
        return connected

    def close(self) -> None:
        with self._lock:
            self._close_socket()

    def _close_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@cache
def _trusted(*_authorities: str | None) -> ssl.SSLContext:
    return tls_context(os.environ)


def _tls_options() -> dict[str, ssl.SSLContext]:
    """Returns what makes a connection trust the own authorities: requests reads none of their variables."""
    authorities = [os.environ.get(name) for name in OWN_AUTHORITIES]
    try:
        return {"ssl_context": _trusted(*authorities)} if any(authorities) else {}
    except OSError:  # as OpenSSL and Node, which ignore a file that they cannot read
        return {}


def watched(watch: RequestTimer) -> HTTPAdapter:
    """Returns an adapter without retries whose connections `watch` can abort."""

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
            super().init_poolmanager(*args, **{**kwargs, **_tls_options()})  # type: ignore[arg-type]  # passed on
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, *args: object, **kwargs: object) -> object:
            manager = super().proxy_manager_for(*args, **{**kwargs, **_tls_options()})  # type: ignore[arg-type]
            manager.pool_classes_by_scheme = pools
            return manager

    return Adapter(pool_connections=1, pool_maxsize=1, max_retries=0)


def read_whole(answer: requests.Response, most: int = MAX_ANSWER) -> None:
    """Reads and decompresses the body; sets UTF-8, so that no encoding is guessed. Raises ResponseTooLargeError."""
    body = bytearray()
    for chunk in answer.iter_content(_CHUNK):
        body += chunk
        if len(body) > most:
            answer.close()
            raise ResponseTooLargeError
    answer._content = bytes(body)  # `content` returns this once the body has been read
    answer.encoding = "utf-8"


TIMEOUT: Final = 15
"""Seconds to connect, and between two chunks of a response."""
# PyGithub's default policy retries POST requests and sleeps up to an hour; github.connection retries reads itself.
_NO_RETRIES = 0


@dataclass(frozen=True, eq=False)
class Transport:
    """One HTTP connection, for one thread at a time: PyGithub's requesters keep state of their last response."""

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
        """Sends a request and returns the response, whatever its status, if it is complete within `seconds`.

        Raises GitHubError (UNAVAILABLE, AUTHENTICATION) without a response, RequestTimeoutError if it took too long.
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
        except (ValueError, OverflowError) as error:  # PyGithub parses the rate limit headers as numbers
            raise malformed_response_error(name, "a header of it cannot be read") from error
        if self.watch.late:  # a response without Content-Length looks complete when it is aborted
            raise RequestTimeoutError(name, seconds)
        return ApiResponse(status, headers, text)

    def close(self) -> None:
        self.connection.close()
        self.requester.close()
        self.watch.close()


def create_app_token(app_id: int, private_key: str) -> str:
    """Returns a JSON web token of a GitHub App, which is valid for five minutes.

    `private_key` is PEM. Raises ValueError if it is no private RSA key.
    """
    try:
        return Auth.AppAuth(app_id, private_key).create_jwt()
    except (PyJWTError, ValueError, TypeError) as error:
        raise ValueError("it is no private RSA key in PEM format") from error


def open_transport(token: str, api_url: str, *, bearer: bool = False) -> Transport:
    """Returns a new transport; it connects with its first request. `bearer`: the token is a JSON web token."""
    requester = Github(
        auth=Auth.AppAuthToken(token) if bearer else Auth.Token(token),
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
    connection.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # no cookies
    watch = RequestTimer()
    for scheme in ("http://", "https://"):
        connection.session.mount(scheme, watched(watch))
    connection.session.hooks["response"].append(_disable_automatic_actions)
    return Transport(requester, connection, watch)


def _disable_automatic_actions(answer: requests.Response, **_options: object) -> None:
    """Replaces statuses that PyGithub handles by itself with ones that it does not, and reads the body.

    PyGithub follows a 301 without its query, also for writes, and repeats a read endlessly while it gets a 202. A write
    is not repeated after a 301, so it gets a 303 instead.
    """
    if answer.status_code == 301:
        answer.status_code = 308 if answer.request.method == "GET" else 303
    if answer.status_code == 202 and answer.request.method == "GET":
        answer.status_code = 503
    read_whole(answer)
