"""The Copilot CLIs at HUNKWISE_COPILOT_URLS: which are drained, and which of them each process uses.

Each process has a row that it renews each second, with what it uses. A server is drained when every process has renewed
its row since, and none names the server: no process needs to know another one.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final

from hunkwise.service.database import QueueError
from hunkwise.service.queue import JobQueue

if TYPE_CHECKING:  # the SDK takes half a second, and most services need none
    from hunkwise.copilot.pool import ServerPool

REFRESH: Final = 1.0
"""Seconds between two renewals of a process's row."""
_DEAD_AFTER: Final = 30
"""Seconds without one, after which a process counts as dead; its jobs die with it."""
_log = logging.getLogger(__name__)


class SharedServers:
    """The servers as one process uses them, and its row for the other processes. Use it within `opened`."""

    def __init__(self, queue: JobQueue, pool: ServerPool, *, refresh: float = REFRESH) -> None:
        self._queue = queue
        self._refresh = refresh
        self.pool = pool
        self._name = secrets.token_hex(8)
        self._jobs: Counter[str] = Counter()
        """Running jobs by the addresses that they may use."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[SharedServers]:
        """Renews the row of this process until the end of the block. Raises QueueError at the start."""
        await self._renew()
        renewing = asyncio.create_task(self._keep())
        try:
            yield self
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            await self._leave()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[tuple[str, ...]]:
        """Provides a job with the addresses of the servers that are not drained.

        Waits for one, and, as questions do, for a while if none answers: the only one may be restarted.
        """
        limit = time.monotonic() + self.pool.outage
        while not (able := [server for server in self.pool.servers if not server.drained]) or (  # noqa: ASYNC110  # servers and rows have no event in common
            all(server.error is not None for server in able) and time.monotonic() < limit
        ):
            await asyncio.sleep(self._refresh)
        addresses = tuple(str(server.address) for server in able)
        self._jobs.update(addresses)
        try:
            yield addresses
        finally:
            self._jobs.subtract(addresses)

    def busy(self) -> dict[str, int]:
        """Returns by address the jobs, and the requests to the web API, of this process that may use the server."""
        names = {str(server.address): server for server in self.pool.servers}
        return {name: server.busy + self._jobs[name] for name, server in names.items()}

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._refresh)
            try:
                await self._renew()
            except QueueError as error:
                _log.warning("Whether Copilot CLIs are drained is unknown: %s", error)

    async def _renew(self) -> None:
        async with self._queue.transaction() as connection:
            found = await connection.execute("SELECT address FROM hunkwise_drained")
            self.pool.set_drained({row["address"] for row in await found.fetchall()})
            await connection.execute(
                # now(): when this transaction began, so that it has seen all that was drained before.
                "INSERT INTO hunkwise_server_uses (process, renewed, addresses) VALUES (%s, now(), %s)"
                " ON CONFLICT (process) DO UPDATE SET renewed = excluded.renewed, addresses = excluded.addresses",
                [self._name, [address for address, busy in self.busy().items() if busy]],
            )
            await connection.execute(
                "DELETE FROM hunkwise_server_uses WHERE renewed < now() - make_interval(days => 1)"
            )

    async def _leave(self) -> None:
        try:
            async with self._queue.transaction() as connection:
                await connection.execute("DELETE FROM hunkwise_server_uses WHERE process = %s", [self._name])
        except QueueError as error:
            _log.warning("The row of this process was not deleted; it expires by itself: %s", error)


async def drain(queue: JobQueue, address: str) -> tuple[datetime, bool]:
    """Takes a server out of use for new jobs and requests. Raises QueueError.

    Returns the moment, for `count_users`, and whether it was in use before.
    """
    async with queue.transaction() as connection:
        added = await connection.execute(
            "INSERT INTO hunkwise_drained (address) VALUES (%s) ON CONFLICT DO NOTHING RETURNING address",
            [address],
        )
        was_used = await added.fetchone() is not None
    async with queue.transaction() as connection:
        found = await connection.execute("SELECT now() AS moment")
        moment: datetime = (await found.fetchone() or {})["moment"]
    return moment, was_used


async def undo_drain(queue: JobQueue, address: str) -> bool:
    """Takes a server back into use; returns whether it was drained. Raises QueueError."""
    async with queue.transaction() as connection:
        found = await connection.execute(
            "DELETE FROM hunkwise_drained WHERE address = %s RETURNING address", [address]
        )
        return await found.fetchone() is not None


async def count_users(queue: JobQueue, address: str, moment: datetime) -> int:
    """Counts the processes that use the server, or may not know yet that it is drained since `moment`.

    Raises QueueError.
    """
    async with queue.transaction() as connection:
        found = await connection.execute(
            "SELECT count(*) AS number FROM hunkwise_server_uses"
            " WHERE renewed > now() - make_interval(secs => %s) AND (renewed <= %s OR %s = ANY(addresses))",
            [_DEAD_AFTER, moment, address],
        )
        return int((await found.fetchone() or {})["number"])
