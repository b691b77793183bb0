"""The command `hunkwise servers`: Copilot CLIs that run as servers, and that the service or the action use."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hunkwise.commands.messages import no_service_error, print_line
from hunkwise.commands.signals import quiet_loop, recorded_signals
from hunkwise.copilot.sdk_import import import_sdk
from hunkwise.copilot.sidecar import Address
from hunkwise.domain.review import ExitCode
from hunkwise.domain.text import count
from hunkwise.errors import Error, ModelError, SettingsError
from hunkwise.flows.models import wait_unless
from hunkwise.settings.secret_file import read_secret_file

if TYPE_CHECKING:
    from hunkwise.copilot.connection import CopilotConnection

_URLS: Final = "HUNKWISE_COPILOT_URLS"
_TOKEN_FILE: Final = "HUNKWISE_COPILOT_CONNECTION_TOKEN_FILE"  # noqa: S105  # the name of a variable
_TOKEN: Final = "COPILOT_CONNECTION_TOKEN"  # noqa: S105  # the name of a variable


def servers(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Runs `hunkwise servers check|clean|drain|recycle`. Raises Error."""
    addresses = _read_addresses(arguments, environ)
    match arguments.part:
        case "check":
            return _check(addresses)
        case "clean":
            return _clean(addresses, arguments)
    try:
        from hunkwise.commands.server_drain import drain_or_recycle
    except ModuleNotFoundError as error:
        raise no_service_error(error.name or "") from error
    return drain_or_recycle(addresses, arguments, environ)


def _read_addresses(arguments: argparse.Namespace, environ: Mapping[str, str]) -> list[Address]:
    """Returns the addresses of the command line, else those of the environment. Raises SettingsError.

    `drain` and `recycle` need the latter too, so that no other address is drained by mistake.
    """
    faults: list[str] = []
    token = read_secret_file(environ, _TOKEN_FILE, faults).strip() or environ.get(_TOKEN) or None
    named = [Address.parse(name, token) for name in dict.fromkeys(arguments.addresses)]
    configured = environ.get(_URLS, "").replace(",", " ").split()
    known: list[Address] = []
    for part in configured:
        try:
            known.append(Address.parse(part, token))
        except ValueError as fault:
            faults.append(f"{_URLS}: {part} {fault}.")
    if arguments.part in ("drain", "recycle"):
        if not configured:
            faults.append(f"{_URLS} is missing: set it as for the service.")
        else:
            others = [one for one in named if one not in known]
            faults += [f"{one} is none of {_URLS}, which has {', '.join(map(str, known))}." for one in others]
    elif not named and not configured:
        faults.append(f"Name a server as HOST:PORT, or set {_URLS}.")
    if faults:
        raise SettingsError(faults)
    return named or known


def _check(addresses: list[Address]) -> ExitCode:
    """Prints the version of each server, or why it does not answer; returns 1 if one does not."""

    async def version(connection: CopilotConnection) -> str:
        return f"version {connection.cli_version}"

    failures = _ask_servers(addresses, version)
    return ExitCode.GATE if failures else ExitCode.REVIEWED


def _clean(addresses: list[Address], arguments: argparse.Namespace) -> ExitCode:
    """Deletes old sessions, and old locks in the home of a server. Raises Error if one does not answer."""
    import_sdk()
    from hunkwise.copilot.old_sessions import delete_old_locks, delete_old_sessions

    now = datetime.now(UTC)

    async def clean(connection: CopilotConnection) -> str:
        deleted = await delete_old_sessions(connection, now, arguments.older)
        return f"{count(deleted, 'session')} deleted"

    failures = _ask_servers(addresses, clean)
    if arguments.home:
        home = Path(arguments.home)
        if not (home / "session-state").is_dir():
            raise SettingsError([f"{home} is no COPILOT_HOME of a server: it has no folder session-state."])
        print_line(f"{home}: {count(delete_old_locks(home, now), 'lock')} deleted")
    if failures:
        raise Error(
            f"{len(failures)} of {count(len(addresses), 'server')} could not be cleaned, as it says above."
        )
    return ExitCode.REVIEWED


def _ask_servers(
    addresses: list[Address], ask: Callable[[CopilotConnection], Awaitable[str]]
) -> list[ModelError]:
    """Connects to all servers at once, and prints a line for each: what `ask` returns, or its error.

    Returns the errors. Raises Error if a signal ends it.
    """
    import_sdk()
    from hunkwise.copilot.pool import connect_to

    failures: list[ModelError] = []

    async def one(address: Address) -> None:
        try:
            connection = await connect_to(address)
            try:
                print_line(f"{address}: {await ask(connection)}")
            finally:
                await connection.close()
        except ModelError as error:
            print_line(f"{address}: {error.message}")
            failures.append(error)

    async def run() -> None:
        with quiet_loop(signals) as stopped:
            work: asyncio.Future[Any] = asyncio.gather(*(one(address) for address in addresses))
            await wait_unless(stopped, work)
            if stopped.is_set():
                work.cancel()
                raise Error("The command was stopped before each server answered.")
            work.result()

    with recorded_signals() as signals:
        asyncio.run(run())
    return failures
