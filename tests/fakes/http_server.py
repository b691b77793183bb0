"""HTTP servers on a free port of 127.0.0.1, each in a thread until its `with` block ends.

`serve` runs an ASGI app; the others send what no HTTP server would: raw bytes, or an answer that never ends.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TICK_SECONDS = 0.1
"""uvicorn renews the date of its replies at each tenth."""
_IP_FREEBIND = 15
"""Linux's option to bind an address that is not there yet; Python has no name for it."""
_START_SECONDS = 10.0
_STOP_SECONDS = 10.0


def free_port() -> int:
    """Returns a port of 127.0.0.1 without a listener."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def serve(
    app: ASGIApp,
    *,
    lifespan: Literal["on", "off"] = "off",
    host: str = "127.0.0.1",
    tls: tuple[Path, Path] | None = None,
) -> Iterator[str]:
    """The base URL `http://127.0.0.1:PORT`, without a slash. Requests in flight at the end are cancelled.

    `host`: another IPv4 address of this machine, which may come into being later, such as that of a container's bridge.
    `tls`: the files of a certificate and its key, for https.
    """
    listener = _listener(host)
    # asyncio does so only for sockets that name their protocol. Without it a reply waits for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    port = listener.getsockname()[1]
    server = _Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan=lifespan,
            proxy_headers=False,
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=30,
            ssl_certfile=str(tls[0]) if tls else None,
            ssl_keyfile=str(tls[1]) if tls else None,
        )
    )
    # Cut connections and cancelled requests are what the fakes are for, and not worth a traceback.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name=f"fake-{port}", daemon=True
    )
    thread.start()
    try:
        _await_start(server, thread)
        yield f"{'https' if tls else 'http'}://{host}:{port}"
    finally:
        server.stop()
        thread.join(_STOP_SECONDS)
        listener.close()
    if thread.is_alive():
        raise RuntimeError(f"The fake on port {port} did not stop in {_STOP_SECONDS:.0f} s.")


def _listener(host: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if host != "127.0.0.1":
        listener.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
    listener.bind((host, 0))
    listener.listen(512)
    return listener


class _Server(uvicorn.Server):
    """Stops when it is told to; uvicorn's own looks every 0.1 s whether it should."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """From any thread."""
        self.should_exit = True
        self.force_exit = True
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._stopped.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), _TICK_SECONDS)


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    limit = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > limit:
            raise RuntimeError("The fake's server did not start: see the thread's traceback above.")
        time.sleep(0.002)


async def drop_connection(receive: Receive, send: Send) -> None:
    """Resets the connection, so that the client sees neither a status nor a header."""
    # ASGI has no word for it: the bound method's owner is uvicorn's request cycle, which holds the socket.
    cycle = getattr(send, "__self__", None)
    transport = getattr(cycle, "transport", None)
    if transport is None:
        raise TypeError("Only a server started with serve() can drop a connection.")
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


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


_PAUSE = 0.2


class Dripping:
    """Stands before another server. A request takes effect; what is slow is to hear of it."""

    def __init__(self, app: ASGIApp, method: str, path: str) -> None:
        self._app = app
        self._method = method
        self._path = re.compile(path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def slowly(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
                return
            for byte in message.get("body", b"")[:-1]:
                await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
                await asyncio.sleep(_PAUSE)

        meant = scope.get("method") == self._method and self._path.search(scope["path"])
        await self._app(scope, receive, slowly if meant else send)
