"""The bound on messages, from the first one on, with the SDK and the CLI as they are; and the socket's options."""

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
    connect_to_first,
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
async def connected_with_a_small_bound() -> AsyncIterator[CopilotConnection]:
    """To the real CLI."""
    with started(sidecar()) as made:
        connection = await connect(BoundedClient(await made.ready(), _SMALL), made)
        try:
            yield connection
        finally:
            await connection.close()


def test_a_larger_message_of_the_cli_is_passed_over_and_the_session_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It has the model's words, without which a question can go on."""

    async def story(url: str) -> None:
        async with connected_with_a_small_bound() as connection:
            asked = await put(connection, url, Question())
            assert asked.error is None
            assert len(asked.reports) == 1

    with serve(ScriptedModel(sequence([Answer(_LONG), report()]))) as url:
        asyncio.run(story(url))
    assert "was passed over" in caplog.text


def test_a_question_whose_call_is_passed_over_waits_and_others_are_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story(url: str) -> None:
        async with connected_with_a_small_bound() as connection:
            waiting = asyncio.create_task(put(connection, url, Question()))
            assert await eventually(lambda: waiting.done() or "was passed over" in caplog.text)
            asked = await put(connection, url, Question())
            assert asked.error is None
            assert len(asked.reports) == 1
            assert not waiting.done()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    with serve(ScriptedModel(sequence([report(summary=_LONG), report()]))) as url:
        asyncio.run(story(url))
    assert "was passed over" in caplog.text


def test_the_first_message_is_bounded_already(caplog: pytest.LogCaptureFixture) -> None:
    async def story(port: int) -> None:
        connecting = asyncio.create_task(connect_to_first([Address("127.0.0.1", port)]))
        assert await eventually(lambda: connecting.done() or "passed over" in caplog.text)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting

    with json_rpc_server(lambda _method: _STATUS, size=MAX_MESSAGE + 1) as port:
        asyncio.run(story(port))
    assert f"it has {MAX_MESSAGE + 1:,} bytes" in caplog.text


def test_a_message_of_the_greatest_size_is_read() -> None:
    async def story(port: int) -> None:
        connection = await connect_to_first([Address("127.0.0.1", port)])
        await connection.close()

    with json_rpc_server(lambda _method: _STATUS, size=MAX_MESSAGE) as port:
        asyncio.run(story(port))


class OtherSdk(BoundedClient):
    """The client as it would be with an SDK of another shape: `kept` is all that it puts into `_process`."""

    def __init__(self, kept: object) -> None:
        super().__init__(Address("127.0.0.1", 1))
        self._kept = kept
        self.stopped = False

    async def start(self) -> None:
        self._process = self._kept

    async def force_stop(self) -> None:
        self.stopped = True


@pytest.mark.parametrize(
    "kept", [None, SimpleNamespace(), SimpleNamespace(stdout=io.BytesIO())], ids=["none", "other", "unread"]
)
def test_an_sdk_that_offers_no_place_for_the_bound_is_refused(kept: object) -> None:
    client = OtherSdk(kept)

    async def story() -> None:
        await connect(client)

    with pytest.raises(ModelError, match="no way to limit the size of the Copilot CLI's messages") as raised:
        asyncio.run(story())
    assert raised.value.kind is ModelKind.SIDECAR
    assert f"github-copilot-sdk=={SDK_VERSION}" in raised.value.hint
    assert client.stopped


def test_the_sockets_small_writes_are_sent_at_once() -> None:
    async def story() -> None:
        async with running(sidecar()) as (_, connection):
            wire = getattr(connection.client._process, "_socket", None)
            assert isinstance(wire, socket.socket)
            assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0

    asyncio.run(story())


def test_what_comes_in_small_writes_is_acknowledged_at_once() -> None:
    async def story() -> None:
        async with running(sidecar()) as (_, connection):
            wire = getattr(connection.client._process, "_socket", None)
            assert isinstance(wire, socket.socket)
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            await connection.client.ping()
            assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK) == 1

    asyncio.run(story())
