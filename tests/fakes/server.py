"""Serves an ASGI app on a free port of 127.0.0.1, in a thread, for as long as a `with` block lasts."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp, Receive, Send

_TICK_SECONDS = 0.1
"""uvicorn renews the date of its replies at each tenth."""
_START_SECONDS = 10.0
_STOP_SECONDS = 10.0


@contextmanager
def serve(app: ASGIApp) -> Iterator[str]:
    """The base URL `http://127.0.0.1:PORT`, without a slash. Requests in flight at the end are cancelled."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    # asyncio does so only for sockets that name their protocol. Without it a reply waits for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    port = listener.getsockname()[1]
    server = _Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            proxy_headers=False,
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=30,
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
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()
        thread.join(_STOP_SECONDS)
        listener.close()
    if thread.is_alive():
        raise RuntimeError(f"The fake on port {port} did not stop in {_STOP_SECONDS:.0f} s.")


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
