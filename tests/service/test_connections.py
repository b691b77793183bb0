"""Connections of clients that are silent, slow, or read no answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Receive, Scope, Send

from hunkwise.service.process import HttpServer

CLIENT_SECONDS = 0.15
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answers after a time that is longer than a client may be silent."""
    await asyncio.sleep(2 * CLIENT_SECONDS)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def with_server(app: Callable[[Scope, Receive, Send], Awaitable[None]], client: Client) -> None:
    async def main() -> None:
        server = HttpServer(app, CLIENT_SECONDS)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            reader, writer = await asyncio.open_connection(*listener.getsockname(), limit=1 << 10)
            try:
                async with asyncio.timeout(10):
                    await client(reader, writer)
            finally:
                writer.close()
                server.should_exit = True
                await serving

    asyncio.run(main())


@pytest.mark.parametrize("sent", [b"", b"GET / HT"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_client_that_sends_no_whole_head_is_disconnected(sent: bytes, is_first: bool) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not is_first:
            writer.write(REQUEST)
            await reader.readuntil(b"ok")
        writer.write(sent)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)

    with_server(slow, client)


def test_an_answer_may_take_longer_than_a_client_may_be_silent() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            writer.write(REQUEST)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(2) == b"ok"

    with_server(slow, client)


def test_a_client_that_reads_no_answer_is_disconnected() -> None:
    gone = asyncio.Event()

    async def endless(_scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

        async def send_all() -> None:
            while True:
                await send({"type": "http.response.body", "body": b"x" * (1 << 16), "more_body": True})
                await asyncio.sleep(0)

        sending = asyncio.create_task(send_all())
        while (await receive())["type"] != "http.disconnect":
            pass
        sending.cancel()
        gone.set()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(REQUEST)
        await reader.readexactly(1 << 17)
        await gone.wait()

    with_server(endless, client)
