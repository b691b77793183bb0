"""A server of plain sockets: for answers that no HTTP server would give."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Behaviour = Callable[[socket.socket, threading.Event], None]
"""What is done with a connection whose request was read; the event says that the test is over."""


class Connections:
    """Counts the requests that came."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[bytes] = []
        """The first line of each."""


@contextmanager
def raw_server(behave: Behaviour) -> Iterator[Connections]:
    """Serves on a free port of 127.0.0.1, each connection in a thread of its own, one request a connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()
    seen = Connections()
    seen.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            seen.requests.append(_read_request(connection))
            behave(connection, over)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield seen
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _read_request(connection: socket.socket) -> bytes:
    """The first line, after head and body were read."""
    said = b""
    while b"\r\n\r\n" not in said:
        said += received(connection)
    head, _, body = said.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.partition(b":")[2])
            for line in head.splitlines()
            if line.lower().startswith(b"content-length")
        ),
        0,
    )
    while len(body) < length:
        body += received(connection)
    return head.splitlines()[0]


def received(connection: socket.socket) -> bytes:
    """What came next. A client that is gone would else be read from for ever, as fast as a core can."""
    if not (came := connection.recv(65_536)):
        raise ConnectionResetError("the client closed before its request was whole")
    return came


def drip(connection: socket.socket, over: threading.Event, said: bytes, seconds: float = 0.05) -> None:
    """One byte after the other, again and again, until the test is over."""
    while True:
        for byte in said:
            connection.sendall(bytes([byte]))
            if over.wait(seconds):
                return
