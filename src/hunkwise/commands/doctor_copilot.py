"""Starts the Copilot CLI as a review does, asks it who it is, and has Copilot list its models. Nothing is spent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version

from hunkwise.checkup.sidecar import Seen
from hunkwise.commands.doctor_signals import heeding, kept
from hunkwise.copilot.command import Command
from hunkwise.copilot.connection import Connection, connect_to_first, connect_to_sidecar, preflight
from hunkwise.copilot.environment import Credential
from hunkwise.copilot.faults import SDK_ERRORS, from_sdk
from hunkwise.copilot.listener import listens
from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.errors import ModelError

_CLI_SECONDS = 10.0
NOWHERE = Credential(provider_base_url="http://127.0.0.1:9")
"""Lets the CLI start without a token; it is offline then, and nothing is asked there."""


@dataclass(frozen=True, slots=True)
class Question:
    """What Copilot is asked: nothing, or whether it takes the token and offers the model (None: its choice)."""

    copilot: bool
    model: str | None = None


def try_own(command: Command, credential: Credential, environ: Mapping[str, str], question: Question) -> Seen:
    """The first of the programs that listens. Raises ModelError, that of the first one, where none does.

    To be called from the main thread, as Sidecar.start.
    """
    first: ModelError | None = None
    candidate: Command | None = command
    while candidate is not None:
        try:
            seen = _started(replace(candidate, instead=None), credential, environ, question)
            return replace(seen, not_first=first.message if first else "")
        except ModelError as error:
            first = first or error
            candidate = candidate.instead
    assert first is not None, "there is one candidate at least"
    raise first


def try_running(addresses: Sequence[Address], question: Question) -> Seen:
    """The first CLI that answers. Raises ModelError with every reason where none does."""

    async def look() -> Seen:
        async with _closing(await connect_to_first(addresses)) as connection:
            return await _asked(connection, "one that runs already, at copilot-url", question)

    return asyncio.run(_quietly(look()))


def _started(
    command: Command, credential: Credential, environ: Mapping[str, str], question: Question
) -> Seen:
    sidecar = Sidecar(command, credential, environ)

    async def look(started: float) -> Seen:
        address = await sidecar.ready()
        seconds = time.monotonic() - started
        async with _closing(await connect_to_sidecar(sidecar)) as connection:
            seen = await _asked(connection, _described(command, environ), question)
        listener = listens(sidecar.pid, address.port) if sidecar.pid is not None else None
        return replace(seen, seconds=seconds, listener=listener)

    with kept() as signals:
        try:
            started = time.monotonic()
            sidecar.start()
            return asyncio.run(heeding(signals, _quietly(look(started))))
        finally:
            sidecar.stop()


def _described(command: Command, environ: Mapping[str, str]) -> str:
    if environ.get("COPILOT_CLI_PATH"):
        return f"{command.program}, which COPILOT_CLI_PATH names"
    kind = "the package's runtime" if command.program.name == "copilot-runtime" else "the CLI"
    return f"{kind}, {command.program}"


@asynccontextmanager
async def _closing(connection: Connection) -> AsyncIterator[Connection]:
    try:
        yield connection
    finally:
        await connection.close()


async def _asked(connection: Connection, program: str, question: Question) -> Seen:
    """Raises ModelError where the CLI does not say which version it is."""
    try:
        async with asyncio.timeout(_CLI_SECONDS):
            status = await connection.client.get_status()
    except (TimeoutError, *SDK_ERRORS) as error:
        raise from_sdk(error, provider=False) from error
    seen = Seen(program, status.version, version("github-copilot-sdk"))
    if not question.copilot:
        return seen
    try:
        await preflight(connection, (question.model,))
        listed = await connection.client.list_models()  # asks nobody: the SDK keeps the list
    except ModelError as refusal:
        return replace(seen, refusal=refusal)
    offered = (entry.id for entry in listed if entry.policy is None or entry.policy.state != "disabled")
    return replace(seen, models=tuple(offered))


async def _quietly(work: Coroutine[None, None, Seen]) -> Seen:
    """The SDK parses events in callbacks; what fails there is foreign text, and nothing that we wait for."""
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    return await work
