"""Sidecars, scripts that replace the CLI, and checks of processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from hunkwise.copilot.connection import BoundedClient, CopilotConnection, Heartbeat, connect
from hunkwise.copilot.find_cli import CliCommand, find_cli
from hunkwise.copilot.isolation import Credential
from hunkwise.copilot.sidecar import Sidecar
from tests.copilot.sessions import environ

NOWHERE = Credential(provider_base_url="http://127.0.0.1:1")
"""Enough for the CLI to start offline; each session names its own provider."""


def script(folder: Path, body: str, name: str = "copilot") -> Path:
    """Writes an executable shell script."""
    program = folder / name
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return program


def sidecar(
    command: CliCommand | Path | None = None,
    credential: Credential = NOWHERE,
    seconds: float = 15.0,
    **env: str,
) -> Sidecar:
    """Returns a sidecar of the real runtime, or of the given program; not started."""
    if isinstance(command, Path):
        command = CliCommand(command)
    inherited = environ(**env)
    return Sidecar(command or find_cli(inherited), credential, inherited, seconds)


@contextmanager
def started(process: Sidecar) -> Iterator[Sidecar]:
    """Starts the sidecar, and stops it at the end."""
    try:
        process.start()
        yield process
    finally:
        process.stop()


@asynccontextmanager
async def running(
    process: Sidecar, heartbeat: Heartbeat | None = None
) -> AsyncIterator[tuple[Sidecar, CopilotConnection]]:
    """Starts the sidecar and connects; closes and stops both at the end."""
    with started(process):
        connection = await connect(BoundedClient(await process.ready()), process, heartbeat or Heartbeat())
        try:
            yield process, connection
        finally:
            await connection.close()


def alive(pid: int) -> bool:
    """Returns whether the process still runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Waits for the condition, and returns whether it became true."""
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            return False
        time.sleep(0.01)
    return True


async def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Does the same on an event loop."""
    return await asyncio.to_thread(until, condition, seconds)


def home_of(pid: int) -> Path:
    """Returns the private home of a sidecar's process."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    (home,) = [entry[5:] for entry in entries if entry.startswith(b"HOME=")]
    return Path(home.decode())


def program_of(pid: int) -> Path:
    """Returns the executable of the process."""
    return Path(f"/proc/{pid}/exe").resolve()
