"""The limit on message size with the real SDK and CLI, from the first message on; and the socket's options."""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from hunkwise.copilot.connection import (
    MAX_MESSAGE,
    BoundedClient,
    CopilotConnection,
    connect,
)
from hunkwise.copilot.find_cli import CLI_VERSION, SDK_VERSION
from hunkwise.copilot.sidecar import Address
from hunkwise.errors import ModelError, ModelKind
from tests.copilot.json_rpc_server import json_rpc_server
from tests.copilot.programs import eventually, running, sidecar, started
from tests.copilot.sessions import Question, put
from tests.fakes.http_server import serve
from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import Answer, report, sequence

_SMALL = 64 * 1024
_LONG = "x" * (_SMALL + 1)
_STATUS = {"ok": True, "protocolVersion": 3, "version": CLI_VERSION, "message": "", "timestamp": 0}


@asynccontextmanager
async def connect_with_small_limit() -> AsyncIterator[CopilotConnection]:
    """Connects to the real CLI with a limit of 64 KiB."""
    with started(sidecar()) as process:
        connection = await connect(BoundedClient(await process.ready(), _SMALL), process)
        try:
            yield connection
        finally:
            await connection.close()


def test_too_large_message_is_skipped_and_session_continues(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The message has only the model's text, which the question does not need."""

    async def scenario(url: str) -> None:
        async with connect_with_small_limit() as connection:
            result = await put(connection, url, Question())
            assert result.error is None
            assert len(result.reports) == 1

    with serve(ScriptedModel(sequence([Answer(_LONG), report()]))) as url:
        asyncio.run(scenario(url))
    assert "was passed over" in caplog.text


def test_question_with_skipped_tool_call_waits_and_others_are_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(url: str) -> None:
        async with connect_with_small_limit() as connection:
            waiting = asyncio.create_task(put(connection, url, Question()))
            assert await eventually(lambda: waiting.done() or "was passed over" in caplog.text)
            result = await put(connection, url, Question())
            assert result.error is None
            assert len(result.reports) == 1
            assert not waiting.done()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    with serve(ScriptedModel(sequence([report(summary=_LONG), report()]))) as url:
        asyncio.run(scenario(url))
    assert "was passed over" in caplog.text


def test_limit_applies_to_first_message(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(port: int) -> None:
        connecting = asyncio.create_task(connect(BoundedClient(Address("127.0.0.1", port))))
        assert await eventually(lambda: connecting.done() or "passed over" in caplog.text)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting

    with json_rpc_server(lambda _method: _STATUS, size=MAX_MESSAGE + 1) as port:
        asyncio.run(scenario(port))
    assert f"it has {MAX_MESSAGE + 1:,} bytes" in caplog.text


def test_message_of_maximum_size_is_read() -> None:
    async def scenario(port: int) -> None:
        connection = await connect(BoundedClient(Address("127.0.0.1", port)))
        await connection.close()

    with json_rpc_server(lambda _method: _STATUS, size=MAX_MESSAGE) as port:
        asyncio.run(scenario(port))


class ChangedSdkClient(BoundedClient):
    """The client with an incompatible SDK, which stores `process` as `_process`."""

    def __init__(self, process: object) -> None:
        super().__init__(Address("127.0.0.1", 1))
        self._stored = process
        self.stopped = False

    async def start(self) -> None:
        self._process = self._stored

    async def force_stop(self) -> None:
        self.stopped = True


@pytest.mark.parametrize(
    "process",
    [None, SimpleNamespace(), SimpleNamespace(stdout=io.BytesIO())],
    ids=["none", "other", "unread"],
)
def test_incompatible_sdk_is_rejected(process: object) -> None:
    client = ChangedSdkClient(process)

    async def scenario() -> None:
        await connect(client)

    with pytest.raises(ModelError, match="no way to limit the size of the Copilot CLI's messages") as raised:
        asyncio.run(scenario())
    assert raised.value.kind is ModelKind.SIDECAR
    assert f"github-copilot-sdk=={SDK_VERSION}" in raised.value.hint
    assert client.stopped


def test_socket_has_tcp_nodelay() -> None:
    async def scenario() -> None:
        async with running(sidecar()) as (_, connection):
            wire = getattr(connection.client._process, "_socket", None)
            assert isinstance(wire, socket.socket)
            assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0

    asyncio.run(scenario())


def test_socket_sets_tcp_quickack_after_read() -> None:
    async def scenario() -> None:
        async with running(sidecar()) as (_, connection):
            wire = getattr(connection.client._process, "_socket", None)
            assert isinstance(wire, socket.socket)
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            await connection.client.ping()
            assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK) == 1

    asyncio.run(scenario())
