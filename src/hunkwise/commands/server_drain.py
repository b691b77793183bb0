"""`hunkwise servers drain` and `recycle`, which use the database of the service."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Final

from hunkwise.commands.messages import print_line
from hunkwise.commands.serve import with_queue
from hunkwise.commands.signals import stoppable
from hunkwise.copilot.sdk_import import import_sdk
from hunkwise.copilot.sidecar import Address
from hunkwise.domain.review import ExitCode
from hunkwise.domain.text import count
from hunkwise.errors import Error, ModelError
from hunkwise.service.queue import JobQueue
from hunkwise.service.servers import count_users, drain, undo_drain

_POLL_SECONDS: Final = 0.5
RESTART_SECONDS: Final = 120.0
"""Until a server answers after its restart."""


def drain_or_recycle(
    addresses: Sequence[Address], arguments: argparse.Namespace, environ: Mapping[str, str]
) -> ExitCode:
    """Runs `hunkwise servers drain` and `recycle`. Raises SettingsError, QueueError, ModelError and Error."""
    if arguments.part == "recycle":
        for one in addresses:
            _recycle(one, arguments.restart, environ)
        return ExitCode.REVIEWED
    (address,) = (str(one) for one in addresses)
    if arguments.undo:
        was_drained = with_queue(environ, lambda queue: undo_drain(queue, address))
        print_line(f"{address} is used again." if was_drained else f"{address} was not drained.")
        return ExitCode.REVIEWED
    with stoppable(f"{address} is still drained: `hunkwise servers drain {address} --undo` takes it back."):
        _drain(address, environ)
    print_line(f"Nothing of the service uses {address} now. It can be stopped.")
    return ExitCode.REVIEWED


def _drain(address: str, environ: Mapping[str, str]) -> None:
    """Waits until nothing that began before uses the server."""

    async def wait(queue: JobQueue) -> None:
        moment = await drain(queue, address)
        print_line(f"{address} gets no new jobs and requests.")
        before = 0
        while number := await count_users(queue, address, moment):
            if number != before:
                print_line(f"{address}: waiting for {count(number, 'process')} of the service.")
            before = number
            await asyncio.sleep(_POLL_SECONDS)

    with_queue(environ, wait)


def _recycle(address: Address, command: Sequence[str], environ: Mapping[str, str]) -> None:
    """Drains one server, restarts it by the command, and takes it back into use, also after a failure."""
    words = [word.replace("{host}", address.host).replace("{port}", str(address.port)) for word in command]
    try:
        with stoppable(f"{address} was not restarted, or not to the end. It is used again."):
            _drain(str(address), environ)
            print_line(f"{address}: {shlex.join(words)}")
            _run(words)
            print_line(f"{address}: version {wait_until_up(address)}")
    finally:
        with_queue(environ, lambda queue: undo_drain(queue, str(address)))


def _run(words: Sequence[str]) -> None:
    try:
        ended = subprocess.run(words, check=False)
    except OSError as error:
        raise Error(f"{words[0]} could not be run: {error.strerror}.", "Correct --restart.") from error
    if ended.returncode != 0:
        raise Error(f"{shlex.join(words)} failed with status {ended.returncode}.", "Correct --restart.")


def wait_until_up(address: Address, seconds: float = RESTART_SECONDS) -> str:
    """Returns the version of a server that was restarted. Raises ModelError if it does not answer in time."""
    import_sdk()
    from hunkwise.copilot.pool import connect_to

    async def version() -> str:
        connection = await connect_to(address)
        await connection.close()
        return connection.cli_version

    limit = time.monotonic() + seconds
    while True:
        try:
            return asyncio.run(version())
        except ModelError:
            if time.monotonic() > limit:
                raise
        time.sleep(_POLL_SECONDS)
