"""What a request may take: each phase in which a server can hang, and answers that are larger than they look."""

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
from hunkwise.github.transport import DeadlineExceededError, RequestTimer
from tests.fakes.http_server import Behaviour, Connections, drip, raw_server

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
LEFT = 0.6


@contextmanager
def asking(behave: Behaviour, *, last: float = 600.0) -> Iterator[tuple[Connections, GitHubConnection]]:
    """A connection to a server that behaves so; in `last` seconds its time is over."""
    with raw_server(behave) as server:
        connection = GitHubConnection(
            "ghs_x", server.url, deadline=lambda: last, last=lambda: last, sleep=lambda _: None
        )
        yield server, connection
        connection.close()


def never(_connection: socket.socket, over: threading.Event) -> None:
    over.wait(60)


def slow_status(connection: socket.socket, over: threading.Event) -> None:
    drip(connection, over, b"HTTP/1.1 200 OK")


def slow_headers(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD)
    drip(connection, over, b"X-More: and more\r\n")


def slow_body(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n")
    drip(connection, over, b" ")


def slow_body_of_no_length(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"Connection: close\r\n\r\n{}")
    drip(connection, over, b" ")


def slow_chunks(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    drip(connection, over, b"1\r\n \r\n")


def slow_error(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 1000000\r\n\r\n")
    drip(connection, over, b" ")


PHASES = [never, slow_status, slow_headers, slow_body, slow_body_of_no_length, slow_chunks, slow_error]
ASKED: dict[str, Callable[[GitHubConnection], object]] = {
    "get": lambda connection: connection.get("/a"),
    "post": lambda connection: connection.post("/a", {}),
    "graphql": lambda connection: connection.graphql("query { x }", {}),
}


@pytest.mark.parametrize("verb", ASKED)
@pytest.mark.parametrize("behave", PHASES, ids=lambda behave: behave.__name__)
def test_a_server_that_hangs_in_any_phase_is_left_when_the_time_is_over(behave: Behaviour, verb: str) -> None:
    with (
        asking(behave, last=LEFT) as (server, connection),
        pytest.raises(RequestTimeoutError, match=r"did not answer .* whole within 1 seconds") as late,
    ):
        ASKED[verb](connection)
    assert late.value.kind is GitHubErrorKind.UNAVAILABLE
    assert "deadline" in late.value.hint
    assert len(server.requests) == 1


@pytest.mark.parametrize("verb", ASKED)
def test_nothing_is_sent_when_the_time_is_over(verb: str) -> None:
    with (
        asking(never, last=0.0) as (server, connection),
        pytest.raises(RequestTimeoutError, match="was not sent: the run's deadline is over"),
    ):
        ASKED[verb](connection)
    assert server.requests == []


def test_what_another_thread_waits_for_is_cut_by_closing() -> None:
    failed: list[GitHubError] = []

    def ask() -> None:
        try:
            connection.get("/a")
        except GitHubError as error:
            failed.append(error)

    with asking(slow_body) as (server, connection):
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


def answered(body: bytes, *headers: bytes) -> Behaviour:
    said = b"".join((HEAD, *headers, b"Content-Length: %d\r\n\r\n" % len(body), body))

    def behave(connection: socket.socket, _over: threading.Event) -> None:
        connection.sendall(said)

    return behave


BLANKS = b" " * (MAX_ANSWER + 1)


@pytest.mark.parametrize(
    "behave",
    [
        answered(BLANKS),
        answered(gzip.compress(BLANKS), b"Content-Encoding: gzip\r\n"),
        answered(gzip.compress(gzip.compress(BLANKS)), b"Content-Encoding: gzip, gzip\r\n"),
        answered(zlib.compress(BLANKS), b"Content-Encoding: deflate\r\n"),
    ],
    ids=["plain", "gzip", "gzip twice", "deflate"],
)
@pytest.mark.parametrize("verb", ["get", "post"])
def test_an_answer_that_is_too_large_is_not_read_to_its_end(behave: Behaviour, verb: str) -> None:
    with (
        asking(behave) as (server, connection),
        pytest.raises(GitHubError, match=f"more than {MAX_ANSWER:,} bytes") as large,
    ):
        ASKED[verb](connection)
    assert large.value.kind is GitHubErrorKind.UNAVAILABLE
    assert len(server.requests) == 1


def test_an_endless_error_is_not_read_to_its_end_before_the_next_try() -> None:
    def endless(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 1000000000000\r\n\r\n")
        while not over.is_set():
            connection.sendall(b" " * 1_000_000)

    with (
        asking(endless) as (_server, connection),
        pytest.raises(GitHubError, match=f"more than {MAX_ANSWER:,} bytes"),
    ):
        connection.get("/a")


def test_an_answer_that_asks_for_patience_without_end_is_a_failure_like_others() -> None:
    def processing(connection: socket.socket, _over: threading.Event) -> None:
        # Without the word that it closes, a try is lost whenever it meets the old connection's end.
        connection.sendall(b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")

    with asking(processing) as (server, connection), pytest.raises(GitHubError, match="with 503"):
        connection.get("/a")
    assert len(server.requests) == 4


@pytest.mark.parametrize("charset", ["punycode", "utf-16", "rot13", "nonsense"])
def test_an_answer_is_utf_8_whatever_its_headers_call_it(charset: str) -> None:
    body = '{"said": "é"}'.encode()
    behave = answered(body, b"Content-Type: application/json; charset=%s\r\n" % charset.encode())
    with asking(behave) as (_server, connection):
        assert connection.get("/a").text("said") == "é"


def test_an_encrypted_connection_that_is_never_agreed_on_is_left_too() -> None:
    with raw_server(never) as server:
        url = server.url.replace("http:", "https:")
        connection = GitHubConnection("ghs_x", url, deadline=lambda: LEFT, last=lambda: LEFT)
        with pytest.raises(RequestTimeoutError):
            connection.get("/a")
        connection.close()


def test_a_proxy_that_hangs_is_left_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(slow_body) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        connection = GitHubConnection("ghs_x", "http://github.test", deadline=lambda: LEFT, last=lambda: LEFT)
        with pytest.raises(RequestTimeoutError):
            connection.get("/a")
        connection.close()
    assert proxy.requests == [b"GET http://github.test:80/a HTTP/1.1"]


def test_no_connection_is_begun_when_the_time_is_over() -> None:
    watch = RequestTimer()
    watch.cut()
    with pytest.raises(DeadlineExceededError):
        watch.allow()
    one, other = socket.socketpair()
    with other, pytest.raises(DeadlineExceededError):
        watch.over(one)
    assert one.fileno() == -1
    watch.close()
