"""Connecting to a CLI: tokens, versions, the socket, and the heartbeat."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from hunkwise.copilot.connection import (
    MAX_MESSAGE,
    BoundedClient,
    BoundedMessages,
    CopilotConnection,
    Heartbeat,
    connect,
    connect_sidecar,
    provider_config,
)
from hunkwise.copilot.find_cli import CLI_VERSION, CliCommand, find_cli, install_hint
from hunkwise.copilot.isolation import Credential
from hunkwise.copilot.pool import open_pool
from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.errors import ModelError, ModelKind
from hunkwise.settings.inputs import Provider
from tests.copilot.json_rpc_server import STATUS, json_rpc_server
from tests.copilot.programs import eventually, running, script, sidecar, started
from tests.copilot.sessions import Question, SilentModel, environ, put
from tests.fakes.http_server import serve
from tests.fakes.model_provider import ScriptedModel


def connect_to_server(answer: object, host: str = "127.0.0.1") -> None:
    """Connects to a server that gives every request this answer, and closes the connection."""

    async def scenario(port: int) -> None:
        connection = await connect(BoundedClient(Address(host, port)))
        await connection.close()

    with json_rpc_server(lambda _method: answer, host=host) as port:
        asyncio.run(scenario(port))


@pytest.mark.parametrize("token", [None, "wrong"])
def test_cli_rejects_client_without_its_token(token: str | None) -> None:
    async def scenario() -> None:
        with started(sidecar()) as process:
            address = await process.ready()
            with pytest.raises(ModelError, match="did not accept the connection token") as raised:
                async with open_pool([Address("127.0.0.1", address.port, token)]):
                    raise AssertionError
            assert raised.value.kind is ModelKind.SIDECAR
            assert "copilot-connection-token" in raised.value.hint

    asyncio.run(scenario())


@pytest.mark.parametrize("version", ["0.0.1", "1.0.81", "1.0.88-beta.2"])
def test_version_that_is_known_to_hang_is_rejected(version: str) -> None:
    with pytest.raises(ModelError, match=f"is version {version}, which is known to hang"):
        connect_to_server(STATUS | {"version": version})


def cli_of_version(folder: Path, version: str) -> CliCommand:
    """Returns a program that listens as the CLI does, and answers every request with this version."""
    program = (
        "from tests.copilot.json_rpc_server import json_rpc_server; import threading\n"
        f"with json_rpc_server(lambda _method: {STATUS | {'version': version}!r}) as port:\n"
        "    print(f'CLI server listening on port {port}', flush=True)\n"
        "    threading.Event().wait()\n"
    )
    (folder / "server.py").write_text(program)
    root = Path(__file__).resolve().parents[2]
    return CliCommand(script(folder, f'PYTHONPATH="{root}" exec "{sys.executable}" "{folder}/server.py"'))


def test_own_cli_that_is_too_old_is_replaced_by_its_fallback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = cli_of_version(tmp_path, "1.0.81")

    async def version_of(command: CliCommand) -> str:
        with started(sidecar(command)) as process:
            async with connect_sidecar(process, copilot=False) as connection:
                return connection.cli_version

    fallback = find_cli(environ())
    assert asyncio.run(version_of(replace(old, instead=fallback))) == CLI_VERSION
    assert f"Trying {fallback.program} instead" in caplog.text
    with pytest.raises(ModelError, match=r"version 1\.0\.81, .*; hunkwise needs 1\.0\.89 or newer") as raised:
        asyncio.run(version_of(old))
    assert raised.value.shell_hint == install_hint()


@pytest.mark.parametrize("version", ["1.0.103", "2.0.0", "1.0.102-beta.1", "dev"])
def test_untested_version_is_logged_and_used(version: str, caplog: pytest.LogCaptureFixture) -> None:
    connect_to_server(STATUS | {"version": version})
    assert f"is version {version}; hunkwise is tested with 1.0.102" in caplog.text


@pytest.mark.parametrize("version", ["1.0.102\n::error::x", "1.0.102\x1b]0;x\x07", "1" * 51, ""])
def test_a_version_with_odd_characters_is_not_shown(version: str, caplog: pytest.LogCaptureFixture) -> None:
    connect_to_server(STATUS | {"version": version})
    assert "is version unknown; hunkwise is tested with 1.0.102" in caplog.text


def test_ipv6_address_has_brackets() -> None:
    assert str(Address("::1", 4501)) == "[::1]:4501"
    connect_to_server(STATUS, "::1")


@pytest.mark.parametrize(
    "answer",
    [{}, {"ok": 1}, STATUS | {"protocolVersion": 4}, STATUS | {"version": None}, [], None],
    ids=str,
)
def test_invalid_status_response_is_an_error(answer: object) -> None:
    with pytest.raises(ModelError, match="could not be reached") as raised:
        connect_to_server(answer)
    assert raised.value.kind is ModelKind.SIDECAR


def test_web_server_is_an_error() -> None:
    async def scenario(url: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        with pytest.raises(ModelError, match="could not be reached"):
            await connect(BoundedClient(Address(host, int(port))))

    with serve(ScriptedModel()) as url:
        asyncio.run(scenario(url))


def kill(process: Sidecar) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)


def pause(process: Sidecar) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)


@pytest.mark.parametrize(
    ("interrupt", "message"),
    [
        (kill, "ended by signal SIGKILL|does not answer any more .CLI process exited"),
        (pause, "does not answer any more .no answer."),
    ],
)
def test_cli_that_fails_during_turn_is_a_sidecar_error(
    interrupt: Callable[[Sidecar], None], message: str
) -> None:
    model = SilentModel()

    async def scenario(url: str) -> None:
        async with running(sidecar(), Heartbeat(0.1, 0.5)) as (process, connection):
            asking = asyncio.create_task(put(connection, url, Question()))
            assert await eventually(lambda: model.requests == 1)
            interrupt(process)
            result = await asking
            assert result.error is not None
            assert result.error.kind is ModelKind.SIDECAR
            assert result.error.kind.fatal
            again = await put(connection, url, Question())
            assert again.error is not None
            assert again.error.kind is ModelKind.SIDECAR
            with pytest.raises(ModelError, match=message):
                raise connection.lost.result()

    with serve(model) as url:
        asyncio.run(scenario(url))


class PingClient:
    """A client whose ping is answered when the test sets the result."""

    def __init__(self) -> None:
        self.pings = 0
        self.came = asyncio.Event()
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ping(self) -> None:
        self.pings += 1
        if self.pings > 1_000:
            raise RuntimeError("the heartbeat does not end")
        self.came.set()
        await self.answer

    async def force_stop(self) -> None:
        """Nothing runs."""


@pytest.mark.parametrize("steps", range(6))
def test_close_returns_when_ping_is_answered_at_the_same_time(steps: int) -> None:
    async def scenario() -> None:
        client = PingClient()
        connection = CopilotConnection(cast("BoundedClient", client), "1", None, Heartbeat(0.0, 5.0))
        connection.watch()
        await client.came.wait()
        client.answer.set_result(None)
        for _ in range(steps):  # the answer is being delivered to the waiting task
            await asyncio.sleep(0)
        async with asyncio.timeout(2):
            await connection.close()
        assert client.pings < 10

    asyncio.run(scenario())


def test_close_returns_when_ping_swallows_cancellation() -> None:
    class SwallowsCancellation(PingClient):
        async def ping(self) -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await super().ping()

    async def scenario() -> None:
        client = SwallowsCancellation()
        connection = CopilotConnection(cast("BoundedClient", client), "1", None, Heartbeat(0.0, 5.0))
        connection.watch()
        await client.came.wait()
        async with asyncio.timeout(2):
            await connection.close()
        assert client.pings == 1

    asyncio.run(scenario())


def test_lost_connection_to_external_cli_is_detected() -> None:
    async def scenario(process: Sidecar) -> None:
        connection = await connect(BoundedClient(await process.ready()), None, Heartbeat(60.0, 5.0))
        kill(process)
        error = await asyncio.wait_for(connection.lost, 10)
        assert "does not answer any more" in error.message
        await connection.close()

    with started(sidecar()) as process:
        asyncio.run(scenario(process))


def test_connection_is_closed_after_exception() -> None:
    seen: list[CopilotConnection] = []

    async def scenario() -> None:
        with started(sidecar()) as process:
            async with connect_sidecar(process, copilot=False) as connection:
                seen.append(connection)
                raise KeyError("raised in the block")

    with pytest.raises(KeyError):
        asyncio.run(scenario())
    assert seen[0].client._process is None


def test_program_with_another_protocol_is_an_error(tmp_path: Path) -> None:
    program = script(
        tmp_path,
        "exec python3 -c \"import socket, time; s = socket.create_server(('127.0.0.1', 0)); "
        "print('listening on port', s.getsockname()[1], flush=True); c = s.accept()[0]; c.close(); time.sleep(60)\"",
    )

    async def scenario() -> None:
        with pytest.raises(ModelError, match="could not be reached"):
            async with running(sidecar(program, Credential())):
                pass

    asyncio.run(scenario())


def message(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


class RecordingStream(io.BytesIO):
    """Records the size of the largest read."""

    largest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        self.largest = max(self.largest, size)
        return super().read(size)


def next_message(stream: BoundedMessages) -> bytes | None:
    """Reads one message in the way of the SDK; None at the end of the connection."""
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


def test_messages_are_passed_through_whole() -> None:
    large = b"x" * 1_000_000
    stream = BoundedMessages(io.BytesIO(message(b"{}") + message(large)))
    assert next_message(stream) == b"{}"
    assert next_message(stream) == large
    assert next_message(stream) is None


def test_too_large_message_is_skipped_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    wire = io.BytesIO(message(b"{}") + message(b" " * (MAX_MESSAGE + 1)) + message(b"[]"))
    stream = BoundedMessages(wire)
    with caplog.at_level(logging.WARNING, "hunkwise"):
        assert [next_message(stream) for _ in range(3)] == [b"{}", b"[]", None]
    assert re.findall(r"it has ([\d,]+) bytes", caplog.text) == [f"{MAX_MESSAGE + 1:,}"]


def test_messages_of_any_size_are_read_in_small_pieces() -> None:
    wire = RecordingStream(message(b"x" * 1_000_000) + message(b" " * (MAX_MESSAGE + 1)))
    stream = BoundedMessages(wire)
    assert next_message(stream) == b"x" * 1_000_000
    assert next_message(stream) is None
    assert wire.largest <= 64 * 1024


def test_connection_that_ends_within_a_message_is_at_its_end() -> None:
    stream = BoundedMessages(io.BytesIO(b"Content-Length: %d\r\n\r\nabc" % (MAX_MESSAGE + 1)))
    assert stream.readline() == b""


def test_other_lines_are_passed_through() -> None:
    stream = BoundedMessages(io.BytesIO(b"HTTP/1.1 400 Bad Request\r\n"))
    assert stream.readline() == b"HTTP/1.1 400 Bad Request\r\n"
    assert len(BoundedMessages(io.BytesIO(b"x" * 5_000)).readline()) == 1_000


def test_provider_config_has_only_the_set_options() -> None:
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
