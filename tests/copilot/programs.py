"""Programs that stand in for a broken CLI, and looks at processes."""

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
    """A shell script that can be executed."""
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
    """A sidecar of the real runtime, or of the program that is given; not started."""
    if isinstance(command, Path):
        command = CliCommand(command)
    inherited = environ(**env)
    return Sidecar(command or find_cli(inherited), credential, inherited, seconds)


@contextmanager
def started(made: Sidecar) -> Iterator[Sidecar]:
    """Started, and stopped at the end."""
    try:
        made.start()
        yield made
    finally:
        made.stop()


@asynccontextmanager
async def running(
    made: Sidecar, heartbeat: Heartbeat | None = None
) -> AsyncIterator[tuple[Sidecar, CopilotConnection]]:
    """Started and connected, closed and stopped at the end."""
    with started(made):
        connection = await connect(BoundedClient(await made.ready()), made, heartbeat or Heartbeat())
        try:
            yield made, connection
        finally:
            await connection.close()


def alive(pid: int) -> bool:
    """Whether the process still runs; one that is dead and not yet collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Waits for the condition, and says whether it came."""
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            return False
        time.sleep(0.01)
    return True


async def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """The same on an event loop."""
    return await asyncio.to_thread(until, condition, seconds)


def home_of(pid: int) -> Path:
    """The private home of a sidecar's process."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    (home,) = [entry[5:] for entry in entries if entry.startswith(b"HOME=")]
    return Path(home.decode())


def program_of(pid: int) -> Path:
    """The file that the process runs."""
    return Path(f"/proc/{pid}/exe").resolve()
