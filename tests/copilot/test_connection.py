"""Connecting to a CLI: tokens, versions, several addresses, the socket, and the watch on both ends."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from copilot import CopilotClient

from hunkwise.copilot.connection import (
    MAX_MESSAGE,
    BoundedMessages,
    CopilotConnection,
    Heartbeat,
    connect_to_first,
    connected,
    provider_config,
)
from hunkwise.copilot.isolation import Credential
from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.errors import ModelError, ModelKind
from hunkwise.settings.inputs import Provider
from tests.copilot.json_rpc_server import json_rpc_server
from tests.copilot.programs import eventually, home_of, running, script, sidecar, started
from tests.copilot.sessions import Question, SilentModel, put
from tests.fakes.http_server import serve
from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import report


def connect_to_server(answer: object, host: str = "127.0.0.1") -> None:
    """Connects to a server that answers every request so, and closes the connection."""

    async def story(port: int) -> None:
        connection = await connect_to_first([Address(host, port)])
        await connection.close()

    with json_rpc_server(lambda _method: answer, host=host) as port:
        asyncio.run(story(port))


GOOD = {"ok": True, "protocolVersion": 3, "version": "1.0.102", "message": "", "timestamp": 0}


@pytest.mark.parametrize("token", [None, "wrong"])
def test_the_cli_refuses_a_client_without_its_token(token: str | None) -> None:
    async def story() -> None:
        with started(sidecar()) as made:
            address = await made.ready()
            with pytest.raises(ModelError, match="AUTHENTICATION_FAILED") as raised:
                await connect_to_first([Address("127.0.0.1", address.port, token)])
            assert raised.value.kind is ModelKind.SIDECAR
            assert "copilot-connection-token" in raised.value.hint

    asyncio.run(story())


def test_the_first_address_that_answers_is_used_and_left_without_a_transcript() -> None:
    async def story(url: str) -> None:
        with started(sidecar()) as made:
            live = await made.ready()
            dead = Address("localhost", free_port())
            async with connected([dead, live], copilot=False) as connection:
                asked = await put(connection, url, Question(prompt="A secret prompt"))
                assert asked.error is None
            assert made.pid is not None
            kept = [path for path in home_of(made.pid).rglob("*") if path.is_file()]
            assert [path for path in kept if b"secret prompt" in path.read_bytes()] == []

    with serve(ScriptedModel(report())) as url:
        asyncio.run(story(url))


def test_where_no_address_answers_each_is_named_with_its_reason() -> None:
    ports = [free_port(), free_port()]

    async def story() -> None:
        with pytest.raises(ModelError) as raised:
            await connect_to_first([Address("127.0.0.1", port) for port in ports])
        for port in ports:
            assert f"127.0.0.1:{port}: The Copilot CLI could not be reached" in raised.value.message
        assert "Connection refused" in raised.value.message

    asyncio.run(story())


@pytest.mark.parametrize("version", ["0.0.1", "1.0.81", "1.0.88-beta.2"])
def test_a_version_that_is_known_to_hang_is_refused(version: str) -> None:
    with pytest.raises(ModelError, match=f"is version {version}, which is known to hang"):
        connect_to_server(GOOD | {"version": version})


@pytest.mark.parametrize("version", ["1.0.103", "2.0.0", "1.0.102-beta.1", "dev"])
def test_a_version_that_was_not_tested_is_said_and_used(
    version: str, caplog: pytest.LogCaptureFixture
) -> None:
    connect_to_server(GOOD | {"version": version})
    assert f"is version {version}; hunkwise is tested with 1.0.102" in caplog.text


def test_an_ipv6_address_is_written_as_the_sdk_reads_it() -> None:
    assert str(Address("::1", 4501)) == "[::1]:4501"
    connect_to_server(GOOD, "::1")


@pytest.mark.parametrize(
    "answer",
    [{}, {"ok": 1}, GOOD | {"protocolVersion": 4}, GOOD | {"version": None}, [], None],
    ids=str,
)
def test_a_server_that_is_no_copilot_cli_is_an_error(answer: object) -> None:
    with pytest.raises(ModelError, match="could not be reached") as raised:
        connect_to_server(answer)
    assert raised.value.kind is ModelKind.SIDECAR


def test_a_web_server_is_no_copilot_cli() -> None:
    async def story(url: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        with pytest.raises(ModelError, match="could not be reached"):
            await connect_to_first([Address(host, int(port))])

    with serve(ScriptedModel()) as url:
        asyncio.run(story(url))


def killed(made: Sidecar) -> None:
    assert made.pid is not None
    os.kill(made.pid, signal.SIGKILL)


def stopped(made: Sidecar) -> None:
    assert made.pid is not None
    os.kill(made.pid, signal.SIGSTOP)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (killed, "ended by signal SIGKILL|does not answer any more .CLI process exited"),
        (stopped, "does not answer any more .no answer."),
    ],
)
def test_a_cli_that_is_lost_in_mid_turn_is_an_error_of_the_sidecar(
    harm: Callable[[Sidecar], None], words: str
) -> None:
    model = SilentModel()

    async def story(url: str) -> None:
        async with running(sidecar(), Heartbeat(0.1, 0.5)) as (made, connection):
            asking = asyncio.create_task(put(connection, url, Question()))
            assert await eventually(lambda: model.asked == 1)
            harm(made)
            asked = await asking
            assert asked.error is not None
            assert asked.error.kind is ModelKind.SIDECAR
            assert asked.error.kind.fatal
            again = await put(connection, url, Question())
            assert again.error is not None
            assert again.error.kind is ModelKind.SIDECAR
            with pytest.raises(ModelError, match=words):
                raise connection.lost.result()

    with serve(model) as url:
        asyncio.run(story(url))


class Pinged:
    """A client whose answer to a ping comes when the test wants it."""

    def __init__(self) -> None:
        self.asked = 0
        self.came = asyncio.Event()
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ping(self) -> None:
        self.asked += 1
        if self.asked > 1_000:
            raise RuntimeError("nobody ends it")
        self.came.set()
        await self.answer

    async def force_stop(self) -> None:
        """Nothing runs."""


@pytest.mark.parametrize("steps", range(6))
def test_closing_ends_also_where_an_answer_comes_at_that_moment(steps: int) -> None:
    async def story() -> None:
        client = Pinged()
        connection = CopilotConnection(cast("CopilotClient", client), "1", None, Heartbeat(0.0, 5.0))
        connection.watch()
        await client.came.wait()
        client.answer.set_result(None)
        for _ in range(steps):  # the answer is on its way to whoever waits for it
            await asyncio.sleep(0)
        async with asyncio.timeout(2):
            await connection.close()
        assert client.asked < 10

    asyncio.run(story())


def test_closing_ends_also_where_a_cancellation_is_swallowed() -> None:
    class Deaf(Pinged):
        async def ping(self) -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await super().ping()

    async def story() -> None:
        client = Deaf()
        connection = CopilotConnection(cast("CopilotClient", client), "1", None, Heartbeat(0.0, 5.0))
        connection.watch()
        await client.came.wait()
        async with asyncio.timeout(2):
            await connection.close()
        assert client.asked == 1

    asyncio.run(story())


def test_a_lost_connection_to_somebody_elses_cli_is_noticed() -> None:
    async def story(made: Sidecar) -> None:
        connection = await connect_to_first([await made.ready()], Heartbeat(0.05, 5.0))
        killed(made)
        error = await asyncio.wait_for(connection.lost, 10)
        assert "does not answer any more" in error.message
        await connection.close()

    with started(sidecar()) as made:
        asyncio.run(story(made))


def test_a_connection_is_closed_whatever_happens_in_it() -> None:
    seen: list[CopilotConnection] = []

    async def story() -> None:
        with started(sidecar()) as made:
            async with connected(made, copilot=False) as connection:
                seen.append(connection)
                raise KeyError("a fault of our own")

    with pytest.raises(KeyError):
        asyncio.run(story())
    assert seen[0].client._process is None


def test_a_program_that_listens_and_speaks_another_language_is_an_error(tmp_path: Path) -> None:
    program = script(
        tmp_path,
        "exec python3 -c \"import socket, time; s = socket.create_server(('127.0.0.1', 0)); "
        "print('listening on port', s.getsockname()[1], flush=True); c = s.accept()[0]; c.close(); time.sleep(60)\"",
    )

    async def story() -> None:
        with pytest.raises(ModelError, match="could not be reached"):
            async with running(sidecar(program, Credential())):
                pass

    asyncio.run(story())


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def message(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


class Pieces(io.BytesIO):
    """Notes the largest piece that was asked for."""

    largest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        self.largest = max(self.largest, size)
        return super().read(size)


def next_message(stream: BoundedMessages) -> bytes | None:
    """As the SDK reads it; None where the connection ended."""
    header = stream.readline()
    if not header:
        return None
    left, body = int(header.split(b":")[1]), b""
    stream.readline()
    while len(body) < left:
        piece = stream.read(left - len(body))
        assert piece
        body += piece
    return body


def test_messages_are_handed_on_whole() -> None:
    large = b"x" * 1_000_000
    stream = BoundedMessages(io.BytesIO(message(b"{}") + message(large)))
    assert next_message(stream) == b"{}"
    assert next_message(stream) == large
    assert next_message(stream) is None


def test_a_message_that_is_too_large_is_passed_over_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    wire = io.BytesIO(message(b"{}") + message(b" " * (MAX_MESSAGE + 1)) + message(b"[]"))
    stream = BoundedMessages(wire)
    with caplog.at_level(logging.WARNING, "hunkwise"):
        assert [next_message(stream) for _ in range(3)] == [b"{}", b"[]", None]
    assert re.findall(r"it has ([\d,]+) bytes", caplog.text) == [f"{MAX_MESSAGE + 1:,}"]


def test_whatever_its_size_a_message_is_read_in_small_pieces() -> None:
    wire = Pieces(message(b"x" * 1_000_000) + message(b" " * (MAX_MESSAGE + 1)))
    stream = BoundedMessages(wire)
    assert next_message(stream) == b"x" * 1_000_000
    assert next_message(stream) is None
    assert wire.largest <= 64 * 1024


def test_a_connection_that_ends_in_the_middle_of_one_has_ended() -> None:
    stream = BoundedMessages(io.BytesIO(b"Content-Length: %d\r\n\r\nabc" % (MAX_MESSAGE + 1)))
    assert stream.readline() == b""


def test_what_is_no_header_is_left_to_the_sdk() -> None:
    stream = BoundedMessages(io.BytesIO(b"HTTP/1.1 400 Bad Request\r\n"))
    assert stream.readline() == b"HTTP/1.1 400 Bad Request\r\n"
    assert len(BoundedMessages(io.BytesIO(b"x" * 5_000)).readline()) == 1_000


def test_everything_that_is_set_is_said_and_nothing_else() -> None:
    assert provider_config(Provider("openai", "http://h/v1", None, None, None)) == {
        "type": "openai",
        "base_url": "http://h/v1",
    }
    assert provider_config(Provider("azure", "http://h", "key", "responses", "2024-10-21")) == {
        "type": "azure",
        "base_url": "http://h",
        "api_key": "key",
        "wire_api": "responses",
        "azure": {"api_version": "2024-10-21"},
    }
