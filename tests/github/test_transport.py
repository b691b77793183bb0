"""Limits of requests: timeouts in each phase, and the size of responses."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.connection import GitHubConnection
from hunkwise.github.responses import MAX_ANSWER, RequestTimeoutError
from hunkwise.github.transport import DeadlineExceededError, RequestTimer, open_transport
from tests.fakes.http_server import Behaviour, Connections, drip, raw_server

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
LEFT = 0.6


@contextmanager
def connect(behave: Behaviour, *, last: float = 600.0) -> Iterator[tuple[Connections, GitHubConnection]]:
    """Connects to a server with this behaviour; the deadline is in `last` seconds."""
    with raw_server(behave) as server:
        connection = GitHubConnection(
            "ghs_x", server.url, deadline=lambda: last, last=lambda: last, sleep=lambda _: None
        )
        yield server, connection
        connection.close()


@pytest.mark.parametrize(
    ("api_url", "graphql_url"),
    [
        ("https://api.github.com", "https://api.github.com/graphql"),
        ("https://api.octo.ghe.com", "https://api.octo.ghe.com/graphql"),
        ("https://ghes.corp.example/api/v3", "https://ghes.corp.example/api/graphql"),
    ],
)
def test_address_of_graphql_follows_from_that_of_the_api(api_url: str, graphql_url: str) -> None:
    transport = open_transport("ghs_x", api_url)
    assert transport.requester.graphql_url == graphql_url
    transport.close()


def no_response(_connection: socket.socket, over: threading.Event) -> None:
    over.wait(60)


def slow_status(connection: socket.socket, over: threading.Event) -> None:
    drip(connection, over, b"HTTP/1.1 200 OK")


def slow_headers(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD)
    drip(connection, over, b"X-More: and more\r\n")


def slow_body(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n")
    drip(connection, over, b" ")


def slow_body_without_length(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"Connection: close\r\n\r\n{}")
    drip(connection, over, b" ")


def slow_chunks(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    drip(connection, over, b"1\r\n \r\n")


def slow_error(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 1000000\r\n\r\n")
    drip(connection, over, b" ")


PHASES = [
    no_response,
    slow_status,
    slow_headers,
    slow_body,
    slow_body_without_length,
    slow_chunks,
    slow_error,
]
ASKED: dict[str, Callable[[GitHubConnection], object]] = {
    "get": lambda connection: connection.get("/a"),
    "post": lambda connection: connection.post("/a", {}),
    "graphql": lambda connection: connection.graphql("query { x }", {}),
}


@pytest.mark.parametrize("verb", ASKED)
@pytest.mark.parametrize("behave", PHASES, ids=lambda behave: behave.__name__)
def test_server_that_hangs_in_any_phase_is_a_timeout(behave: Behaviour, verb: str) -> None:
    with (
        connect(behave, last=LEFT) as (server, connection),
        pytest.raises(RequestTimeoutError, match=r"did not answer .* whole within 1 seconds") as late,
    ):
        ASKED[verb](connection)
    assert late.value.kind is GitHubErrorKind.UNAVAILABLE
    assert "deadline" in late.value.hint
    assert len(server.requests) == 1


@pytest.mark.parametrize("verb", ASKED)
def test_nothing_is_sent_after_the_deadline(verb: str) -> None:
    with (
        connect(no_response, last=0.0) as (server, connection),
        pytest.raises(RequestTimeoutError, match="was not sent: the run's deadline is over"),
    ):
        ASKED[verb](connection)
    assert server.requests == []


def test_closing_ends_the_request_of_another_thread() -> None:
    failed: list[GitHubError] = []

    def ask() -> None:
        try:
            connection.get("/a")
        except GitHubError as error:
            failed.append(error)

    with connect(slow_body) as (server, connection):
        thread = threading.Thread(target=ask)
        thread.start()
        while not server.requests:
            thread.join(0.01)
        connection.close()
        thread.join()
        assert connection.over
        with pytest.raises(RequestTimeoutError):
            connection.get("/a")
    assert len(failed) == 1


def respond_with(body: bytes, *headers: bytes) -> Behaviour:
    response = b"".join((HEAD, *headers, b"Content-Length: %d\r\n\r\n" % len(body), body))

    def behave(connection: socket.socket, _over: threading.Event) -> None:
        connection.sendall(response)

    return behave


BLANKS = b" " * (MAX_ANSWER + 1)


@pytest.mark.parametrize(
    "behave",
    [
        respond_with(BLANKS),
        respond_with(gzip.compress(BLANKS), b"Content-Encoding: gzip\r\n"),
        respond_with(gzip.compress(gzip.compress(BLANKS)), b"Content-Encoding: gzip, gzip\r\n"),
        respond_with(zlib.compress(BLANKS), b"Content-Encoding: deflate\r\n"),
    ],
    ids=["plain", "gzip", "gzip twice", "deflate"],
)
@pytest.mark.parametrize("verb", ["get", "post"])
def test_too_large_response_is_not_read_to_its_end(behave: Behaviour, verb: str) -> None:
    with (
        connect(behave) as (server, connection),
        pytest.raises(GitHubError, match=f"more than {MAX_ANSWER:,} bytes") as large,
    ):
        ASKED[verb](connection)
    assert large.value.kind is GitHubErrorKind.UNAVAILABLE
    assert len(server.requests) == 1


def test_endless_error_response_is_not_read_before_the_retry() -> None:
    def endless(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 1000000000000\r\n\r\n")
        while not over.is_set():
            connection.sendall(b" " * 1_000_000)

    with (
        connect(endless) as (_server, connection),
        pytest.raises(GitHubError, match=f"more than {MAX_ANSWER:,} bytes"),
    ):
        connection.get("/a")


def test_endless_informational_responses_are_a_failure() -> None:
    def processing(connection: socket.socket, _over: threading.Event) -> None:
        # Without this header a retry fails when it uses the closing connection.
        connection.sendall(b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")

    with connect(processing) as (server, connection), pytest.raises(GitHubError, match="with 503"):
        connection.get("/a")
    assert len(server.requests) == 4


@pytest.mark.parametrize("charset", ["punycode", "utf-16", "rot13", "nonsense"])
def test_response_is_utf_8_with_any_charset_header(charset: str) -> None:
    body = '{"said": "é"}'.encode()
    behave = respond_with(body, b"Content-Type: application/json; charset=%s\r\n" % charset.encode())
    with connect(behave) as (_server, connection):
        assert connection.get("/a").text("said") == "é"


def test_unfinished_tls_handshake_is_a_timeout() -> None:
    with raw_server(no_response) as server:
        url = server.url.replace("http:", "https:")
        connection = GitHubConnection("ghs_x", url, deadline=lambda: LEFT, last=lambda: LEFT)
        with pytest.raises(RequestTimeoutError):
            connection.get("/a")
        connection.close()


def test_hanging_proxy_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(slow_body) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        connection = GitHubConnection("ghs_x", "http://github.test", deadline=lambda: LEFT, last=lambda: LEFT)
        with pytest.raises(RequestTimeoutError):
            connection.get("/a")
        connection.close()
    assert proxy.requests == [b"GET http://github.test:80/a HTTP/1.1"]


def test_no_connection_after_the_deadline() -> None:
    watch = RequestTimer()
    watch.cut()
    with pytest.raises(DeadlineExceededError):
        watch.allow()
    one, other = socket.socketpair()
    with other, pytest.raises(DeadlineExceededError):
        watch.over(one)
    assert one.fileno() == -1
    watch.close()
