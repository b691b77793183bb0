"""What workers repeat beside their jobs: jobs of dead workers, missed webhooks, audits, and cleaning."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from hunkwise.errors import Error, GitHubError
from hunkwise.service.installation import AuditTarget, HookDelivery
from hunkwise.service.queue import STALLED_AFTER, JobQueue, JobRequest
from hunkwise.service.servers import SharedServers

RESCUE_EVERY: Final = 10.0
"""Seconds."""
REDELIVER_EVERY: Final = 600.0
CLEAN_EVERY: Final = 3_600.0
AUDITS_EVERY: Final = 3_600.0
MOST_REDELIVERED: Final = 500
"""At a time: GitHub allows an App 5,000 requests an hour."""
_CURSOR: Final = "deliveries"
_AUDITS: Final = "audits"
_GRACE: Final = timedelta(minutes=1)
"""A delivery that is younger may not be answered yet, or not be listed yet."""
_KEPT_BY_GITHUB: Final = timedelta(days=3)
_log = logging.getLogger(__name__)


class DeliveryPort(Protocol):
    """Lists the App's deliveries, and has them sent again; see `installation.Installations`."""

    def deliveries(self, since: datetime) -> list[HookDelivery]:
        """Returns the deliveries after `since`, in any order. Raises GitHubError."""
        ...

    def redeliver(self, delivery: int) -> None:
        """Sends a delivery again, under the same GUID. Raises GitHubError."""
        ...


def missed_deliveries(
    deliveries: Iterable[HookDelivery], since: datetime, until: datetime
) -> list[HookDelivery]:
    """Returns the last attempt of each delivery that failed until now, the oldest first."""
    attempts: dict[str, list[HookDelivery]] = {}
    for one in sorted(deliveries, key=lambda one: one.at):
        attempts.setdefault(one.guid, []).append(one)
    last = [of_guid[-1] for of_guid in attempts.values() if not any(one.ok for one in of_guid)]
    return sorted((one for one in last if since < one.at <= until), key=lambda one: one.at)


async def redeliver_missed(
    queue: JobQueue, port: DeliveryPort, now: datetime, *, most: int = MOST_REDELIVERED
) -> int:
    """Lets GitHub redeliver what was missed since the last look; returns the number. Raises GitHubError and QueueError.

    A redelivery that fails too is an attempt of its own, which the next look finds.
    """
    stored = await queue.cursor(_CURSOR)
    until = now - _GRACE
    since = datetime.fromisoformat(stored) if stored else now - _KEPT_BY_GITHUB
    if until - since < timedelta(seconds=REDELIVER_EVERY / 2):
        return 0  # another worker has just looked
    found = missed_deliveries(await asyncio.to_thread(port.deliveries, since), since, until)
    chosen = found[:most]
    for one in chosen:
        await asyncio.to_thread(port.redeliver, one.id)
    if len(chosen) < len(found):
        until = chosen[-1].at - timedelta(seconds=1)  # others can be of the same second
    await queue.move_cursor(_CURSOR, until.isoformat())
    return len(chosen)


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
            except Exception:  # noqa: BLE001  # an answer of GitHub or a file that nobody expected must not end all jobs
                _log.exception("%s failed.", self.name)
            await asyncio.sleep(self.every)


class AuditPort(Protocol):
    """Finds the repositories to audit; see `installation.Installations`."""

    def installations(self) -> list[int]: ...

    def audit_targets(self, installation: int) -> list[AuditTarget]: ...


def audit_period(every: str, now: datetime) -> str:
    """Returns the name of the current day or week, such as `2026-W09`; empty if `every` is."""
    return {"daily": f"{now:%Y-%m-%d}", "weekly": f"{now:%G-W%V}"}.get(every, "")


def audit_job(target: AuditTarget) -> JobRequest:
    """Returns the job of an audit. It waits for all else, as it can wait."""
    return JobRequest(
        "audit",
        target.repository,
        target.installation,
        "schedule",
        {"sha": target.sha},
        key=f"audit:{target.repository.casefold()}",
        priority=-1,
    )


async def request_audits(queue: JobQueue, port: AuditPort, every: str, now: datetime) -> int:
    """Queues an audit of each repository once a day or week; returns their number. Raises Error.

    An installation is done with when all its audits are queued: after a failure, or a worker's death, the next look
    begins with it again. The failure of one does not keep the others from their audits.
    """
    period = audit_period(every, now)
    if not period or await queue.cursor(_AUDITS) == period:
        return 0
    requested, failure = 0, None
    for installation in await asyncio.to_thread(port.installations):
        cursor = f"{_AUDITS}:{installation}"
        if await queue.cursor(cursor) == period:
            continue
        try:
            targets = await asyncio.to_thread(port.audit_targets, installation)
        except GitHubError as error:
            failure = error
            continue
        for one in targets:
            await queue.request(audit_job(one))
        await queue.move_cursor(cursor, period)
        requested += len(targets)
    if failure is not None:
        raise failure
    await queue.move_cursor(_AUDITS, period)
    return requested


class AppPort(DeliveryPort, AuditPort, Protocol):
    """What the chores ask GitHub for."""


def chores(
    queue: JobQueue,
    port: AppPort,
    trim: Callable[[], object],
    *,
    audit_every: str = "",
    stalled_after: float = STALLED_AFTER,
    servers: SharedServers | None = None,
) -> list[Chore]:
    """Returns the chores of a worker. `audit_every`: see `ServiceSettings`."""

    async def clean() -> None:
        await queue.forget()
        await asyncio.to_thread(trim)

    async def clean_servers() -> int:
        from hunkwise.copilot.old_sessions import delete_on_all  # loads the SDK

        assert servers is not None, "it is a chore only then"
        await servers.pool.wait_until_tried()  # when a worker begins
        return await delete_on_all(servers.pool.servers, datetime.now(UTC))

    return [
        Chore(
            "Jobs of dead workers", min(RESCUE_EVERY, stalled_after / 2), lambda: queue.rescue(stalled_after)
        ),
        Chore("Missed webhooks", REDELIVER_EVERY, lambda: redeliver_missed(queue, port, datetime.now(UTC))),
        Chore("Audits", AUDITS_EVERY, lambda: request_audits(queue, port, audit_every, datetime.now(UTC))),
        Chore("Cleaning", CLEAN_EVERY, clean),
        *([Chore("Old sessions of Copilot CLIs", CLEAN_EVERY, clean_servers)] if servers else []),
    ]
