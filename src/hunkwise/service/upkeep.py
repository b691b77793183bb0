"""What the workers do beside their jobs: rescue jobs of dead workers, missed webhooks, audits, and cleaning."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from hunkwise.errors import Error
from hunkwise.service.installation import HookDelivery
from hunkwise.service.queue import STALLED_AFTER, JobQueue

RESCUE_EVERY: Final = 10.0
"""Seconds."""
REDELIVER_EVERY: Final = 600.0
CLEAN_EVERY: Final = 3_600.0
_CURSOR: Final = "deliveries"
_GRACE: Final = timedelta(minutes=1)
"""A delivery that is younger may still be answered."""
_KEPT_BY_GITHUB: Final = timedelta(days=3)
_log = logging.getLogger(__name__)


class DeliveryPort(Protocol):
    """Lists the App's deliveries, and has them sent again; see `installation.Installations`."""

    def deliveries(self) -> list[HookDelivery]: ...

    def redeliver(self, delivery: int) -> None: ...


def missed(deliveries: Sequence[HookDelivery], since: datetime, now: datetime) -> list[HookDelivery]:
    """Returns the deliveries after `since` of which no attempt was answered with a success, the oldest first."""
    answered = {one.guid for one in deliveries if one.ok}
    newest: dict[str, HookDelivery] = {}
    for one in sorted(deliveries, key=lambda one: one.at):
        if since < one.at <= now - _GRACE and one.guid not in answered:
            newest[one.guid] = one
    return sorted(newest.values(), key=lambda one: one.at)


async def redeliver_missed(queue: JobQueue, port: DeliveryPort, now: datetime) -> int:
    """Has GitHub send the missed deliveries since the last look again; returns their number. Raises Error."""
    stored = await queue.cursor(_CURSOR)
    since = datetime.fromisoformat(stored) if stored else now - _KEPT_BY_GITHUB
    found = missed(await asyncio.to_thread(port.deliveries), since, now)
    for one in found:
        await asyncio.to_thread(port.redeliver, one.id)
    # A delivery that failed again has a time of its own, after this one.
    await queue.move_cursor(_CURSOR, (now - _GRACE).isoformat())
    return len(found)


@dataclass(frozen=True)
class Chore:
    """Something that is done again and again; a failure is logged, and does not end the worker."""

    name: str
    every: float
    """Seconds."""
    work: Callable[[], Awaitable[object]]

    async def repeat(self) -> None:
        while True:
            try:
                done = await self.work()
                if done:
                    _log.info("%s: %s", self.name, done)
            except Error as error:
                _log.warning("%s failed: %s", self.name, error)
            await asyncio.sleep(self.every)


def chores(
    queue: JobQueue, port: DeliveryPort, trim: Callable[[], object], *, stalled_after: float = STALLED_AFTER
) -> list[Chore]:
    """Returns the chores of a worker."""

    async def clean() -> None:
        await queue.forget()
        await asyncio.to_thread(trim)

    return [
        Chore(
            "Jobs of dead workers", min(RESCUE_EVERY, stalled_after / 2), lambda: queue.rescue(stalled_after)
        ),
        Chore("Missed webhooks", REDELIVER_EVERY, lambda: redeliver_missed(queue, port, datetime.now(UTC))),
        Chore("Cleaning", CLEAN_EVERY, clean),
    ]
