"""Shares the questions among several headless CLIs: their health, and the choice of one for each question."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
import time
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from hunkwise.copilot.connection import (
    BoundedClient,
    CopilotConnection,
    Heartbeat,
    connect,
    connect_sidecar,
    preflight,
)
from hunkwise.copilot.errors import model_error
from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.errors import ModelError, ModelKind

MOST_AT_ONCE: Final = 16
"""Questions that one server answers at the same time."""
LEASE_SECONDS: Final = 30.0
"""How long a lease waits for a free server."""
OUTAGE_SECONDS: Final = 60.0
"""How long questions wait while no server is up, in all: a service manager restarts one in seconds."""
HEALTH: Final = Heartbeat(every=5.0, patience=5.0)
"""Where there is another server to ask; a single one gets the time of `Heartbeat`."""
_PROBE_SECONDS: Final = 10.0
_LONGEST_PAUSE: Final = 30.0
"""Seconds between two attempts to reach a server; the pauses before are 1, 2, 4, 8 and 16."""

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class CopilotServer:
    """A headless CLI, as far as this process knows it."""

    address: Address
    connection: CopilotConnection | None = None
    """None while it does not answer."""
    error: ModelError | None = None
    """Why it does not answer; None before the first attempt, and while it answers."""
    drained: bool = False
    """It gets no new questions."""
    busy: int = 0
    """Leases of this process."""
    served: int = 0
    """Leases that have ended."""

    @property
    def up(self) -> bool:
        return self.connection is not None and not self.connection.lost.done()

    @property
    def reason(self) -> str:
        """A sentence that says why it gets no questions."""
        if self.drained:
            return f"{self.address}: It is drained."
        return f"{self.address}: {self.error.message if self.error else 'It was not reached yet.'}"


class ServerPool:
    """The servers at the configured addresses. Use it within `open_pool`."""

    def __init__(
        self,
        addresses: Iterable[Address],
        *,
        copilot: bool = False,
        heartbeat: Heartbeat | None = None,
        most: int = MOST_AT_ONCE,
        outage: float = OUTAGE_SECONDS,
    ) -> None:
        """See `open_pool` for the parameters."""
        self.servers = tuple(CopilotServer(address) for address in addresses)
        self._copilot = copilot
        self._heartbeat = heartbeat or (HEALTH if len(self.servers) > 1 else Heartbeat())
        self._most = most
        self.outage = outage
        """Seconds that work waits while no server is up, in all."""
        self._change = asyncio.Event()
        """Is set, and replaced, when a server may have become free, up or down."""
        self._down_since: float | None = time.monotonic()
        """Since when no server can be used."""

    @asynccontextmanager
    async def lease(
        self, key: str = "", *, seconds: float = LEASE_SECONDS
    ) -> AsyncIterator[CopilotConnection]:
        """Provides a connection to one server until the end of the block.

        Without a key: of the servers that are up and not drained the one with the fewest leases, then with the fewest
        so far. Waits at most `seconds` for a free one, and less if no server is up for long. With a key, such as the
        id of a session: always the same server for the same list of addresses.

        Raises ModelError: TIMEOUT if no server was free in time, SIDECAR if none is up, or that of the key is not, or
        is drained. A ModelError (SIDECAR) that leaves the block takes the server out of the choice until it answers
        again.
        """
        chosen = await self._wait_for_server(key, time.monotonic() + seconds)
        connection = chosen.connection
        assert connection is not None, "it is up"
        chosen.busy += 1
        try:
            yield connection
        except ModelError as error:
            if error.kind is ModelKind.SIDECAR:  # it fails at once, and would be chosen again and again
                connection.give_up(error)
            raise
        finally:
            chosen.busy -= 1
            chosen.served += 1
            self._notify()

    def server_of(self, key: str) -> CopilotServer:
        """Returns the server of a key: the one with the highest hash, so that a change of the list moves few keys."""
        return max(self.servers, key=lambda one: hashlib.sha256(f"{one.address} {key}".encode()).digest())

    def set_drained(self, addresses: Collection[str]) -> None:
        """Takes the servers at these addresses, as `str(Address)`, out of the choice, and the others into it."""
        for server in self.servers:
            server.drained = str(server.address) in addresses
        self._notify()

    async def wait_until_up(self) -> None:
        """Waits until one server is up. Raises ModelError if each was tried, and none is."""
        while not any(server.up for server in self.servers):
            if all(server.error is not None for server in self.servers):
                raise self._none_up_error()
            await self._change.wait()

    async def wait_until_tried(self) -> None:
        """Waits until a connection to each server was tried once."""
        while any(server.error is None and not server.up for server in self.servers):
            await self._change.wait()

    async def keep_connected(self, server: CopilotServer) -> None:
        """Connects to the server, and again whenever it is lost, until cancelled."""
        pause = 0.0
        try:
            while True:
                await asyncio.sleep(pause)
                try:
                    server.connection = await self._connect(server.address)
                except ModelError as error:
                    if server.error is None and len(self.servers) > 1:
                        logger.warning("The Copilot CLI at %s is not used: %s", server.address, error.message)
                    self._lose(server, error)
                    pause = min(2 * pause or 1.0, _LONGEST_PAUSE)
                    continue
                if server.error is not None:
                    logger.warning("The Copilot CLI at %s answers again.", server.address)
                server.error, pause = None, 0.0
                self._notify()
                loss = await asyncio.shield(server.connection.lost)
                logger.warning("The Copilot CLI at %s was lost: %s", server.address, loss.message)
                connection, server.connection = server.connection, None
                self._lose(server, loss)
                await connection.close()
        finally:
            if server.connection is not None:
                await server.connection.close()

    async def _connect(self, address: Address) -> CopilotConnection:
        async with AsyncExitStack() as stack:
            connection = await connect_to(address, self._heartbeat)
            stack.push_async_callback(connection.close)
            if self._copilot:
                await preflight(connection, ())
            stack.pop_all()
        return connection

    def _lose(self, server: CopilotServer, error: ModelError) -> None:
        server.error = error
        self._notify()

    def _notify(self) -> None:
        if any(server.up and not server.drained for server in self.servers):
            self._down_since = None
        elif self._down_since is None:
            self._down_since = time.monotonic()
        self._change.set()
        self._change = asyncio.Event()

    async def _wait_for_server(self, key: str, limit: float) -> CopilotServer:
        """Returns a server that is free. `limit`: by `time.monotonic`. Raises ModelError."""
        while True:
            candidates = [self.server_of(key)] if key else self.servers
            able = [server for server in candidates if server.up and not server.drained]
            free = [server for server in able if server.busy < self._most]
            if free:
                return min(free, key=lambda one: (one.busy, one.served))
            if key and not able:
                message = f"The Copilot CLI of this session does not answer. {candidates[0].reason}"
                raise model_error(ModelKind.SIDECAR, message, provider=False)
            ends = limit
            if not able:
                ends = min(limit, (self._down_since or time.monotonic()) + self.outage)
            if time.monotonic() >= ends:
                raise self._none_up_error() if not able else _none_free_error()
            with suppress(TimeoutError):
                async with asyncio.timeout(ends - time.monotonic()):
                    await self._change.wait()

    def _none_up_error(self) -> ModelError:
        """Returns Copilot's own refusal, if a server was reached, else an error with every reason."""
        errors = [server.error for server in self.servers if server.error is not None]
        refusals = (error for error in errors if error.kind is not ModelKind.SIDECAR)
        return next(refusals, None) or ModelError(
            ModelKind.SIDECAR,
            "No Copilot CLI answers at copilot-url. " + " ".join(server.reason for server in self.servers),
            "Start one with `copilot --headless --port PORT`, and set copilot-connection-token to its token.",
        )


def _none_free_error() -> ModelError:
    message = "Every Copilot CLI was busy until the end of the time."
    return model_error(ModelKind.TIMEOUT, message, provider=False)


async def connect_to(address: Address, heartbeat: Heartbeat = HEALTH) -> CopilotConnection:
    """Connects to a server. Raises ModelError (SIDECAR)."""
    await _probe(address)
    return await connect(BoundedClient(address), None, heartbeat)


async def _probe(address: Address) -> None:
    """Opens and closes a connection: the SDK's own blocks the event loop while a host does not answer.

    Raises ModelError (SIDECAR).
    """
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except (TimeoutError, OSError) as error:
        reason = f"no answer within {_PROBE_SECONDS:.0f} seconds"
        if error.errno is not None and error.errno > 0:
            reason = os.strerror(error.errno)  # asyncio's own text says less
        elif not isinstance(error, TimeoutError):
            reason = (error.strerror or str(error)).rstrip(".")
        message = f"The Copilot CLI could not be reached: {reason}."
        raise model_error(ModelKind.SIDECAR, message, provider=False) from error
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def parse_addresses(text: str, token: str | None) -> list[Address]:
    """Returns the addresses, host:port, in a list with commas or spaces. Raises ValueError."""
    parsed = (Address.parse(part, token) for part in re.split(r"[,\s]+", text) if part)
    return list(dict.fromkeys(parsed))


@asynccontextmanager
async def open_pool(
    addresses: Sequence[Address],
    *,
    copilot: bool = False,
    wait: bool = True,
    heartbeat: Heartbeat | None = None,
    most: int = MOST_AT_ONCE,
    outage: float = OUTAGE_SECONDS,
) -> AsyncIterator[ServerPool]:
    """Keeps connections to the servers until the end of the block.

    `copilot`: Copilot is the provider, so the token of each server is verified before anything is spent. `wait`: until
    one server is up; raises ModelError if none is. `heartbeat`: by default see HEALTH. `most`: leases of a server at
    the same time. `outage`: see OUTAGE_SECONDS.
    """
    pool = ServerPool(addresses, copilot=copilot, heartbeat=heartbeat, most=most, outage=outage)
    tasks = [asyncio.create_task(pool.keep_connected(server)) for server in pool.servers]
    try:
        if wait:
            await pool.wait_until_up()
        yield pool
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


@asynccontextmanager
async def open_servers(
    where: Sidecar | Sequence[Address], *, copilot: bool
) -> AsyncIterator[CopilotConnection | ServerPool]:
    """Connects to our sidecar, or to the servers at the addresses; `copilot`: see `open_pool`. Raises ModelError."""
    if isinstance(where, Sidecar):
        async with connect_sidecar(where, copilot=copilot) as connection:
            yield connection
    else:
        async with open_pool(where, copilot=copilot) as pool:
            yield pool
