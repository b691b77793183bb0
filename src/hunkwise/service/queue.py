"""The jobs of the service, in PostgreSQL, by procrastinate. Only this module imports it.

A job names a pull request, never a commit: it reviews the head that it finds. A job that a shutdown ends, or whose
worker died, is requested anew and then finished: retrying it instead would fail where a newer one is queued already,
and its lock would stay for ever.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, cast

from procrastinate import App, JobContext, PsycopgConnector, exceptions
from procrastinate.connector import Notify
from procrastinate.job_context import AbortReason

from hunkwise.errors import Error, host_error
from hunkwise.service.database import (
    RETRY_SECONDS,
    Connection,
    ConnectionPool,
    QueueError,
    connected,
    create_tables,
    persist,
    storable,
    translated,
)

QUEUE: Final = "hunkwise"
HEARTBEAT: Final = 10.0
"""Seconds between two signs of life of a worker."""
STALLED_AFTER: Final = 30.0
"""Seconds without one, after which a worker counts as dead and its jobs are requested anew."""
GRACE: Final = 20.0
"""Seconds that running jobs have at a shutdown until they are ended and requested anew."""
WEB_WAIT: Final = 5.0
"""Seconds that a webhook waits for the database: GitHub waits for ten."""
WORKER_WAIT: Final = 20.0
"""Seconds that a worker waits for it, heartbeats included: with `HEARTBEAT` as long as `STALLED_AFTER`."""
KEPT_DAYS: Final = 30
"""Days after which deliveries, and jobs that ended, are deleted."""
_TASK: Final = "run"
_NO_RESULT: Final = 3
"""The exit code of a job that was cancelled: there is no review."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobRequest:
    """What a job is to do."""

    kind: str
    """`review`, `command`, `audit` or `merge-queue`."""
    repository: str
    """`owner/name`."""
    installation: int
    """The App's installation that gives the token."""
    event: str
    """The name of the event for the step."""
    payload: dict[str, Any] = field(default_factory=dict)
    """The event's payload, as far as the step reads it."""
    number: int = 0
    """The pull request or issue; 0 for audits."""
    key: str = ""
    """Of the jobs with the same key only one waits."""
    priority: int = 0
    """Jobs with a higher one run first."""

    @property
    def lock(self) -> str:
        """Returns the key of the lock: commands of a pull request, and audits of an installation, run in turn."""
        return f"{self.kind}:{self.repository.casefold() if self.number else self.installation}#{self.number}"

    @property
    def needs_model(self) -> bool:
        """Returns whether it may ask a model, and reads files of the repository."""
        return self.kind != "merge-queue"

    @property
    def queueing_lock(self) -> str:
        return self.key or self.lock


@dataclass(frozen=True)
class JobResult:
    """How a job ended."""

    exit_code: int
    conclusion: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    message: str = ""
    """The last lines of its log, where it failed."""


def _failed_job(error: Exception) -> JobResult:
    """Returns the result of a job that an error ended. The text of an unexpected one can be untrusted."""
    known = error if isinstance(error, Error) else host_error(error)
    if known is None:
        _log.error("A job failed by a fault of hunkwise's own.", exc_info=error)
        known = Error(f"{type(error).__name__}: a fault of hunkwise's own; the worker's log says where.")
    return JobResult(known.exit_code, "failure", message=str(known))


RunJob = Callable[[int, JobRequest], Awaitable[JobResult]]
"""Runs one job, by its number. It is cancelled where the job is superseded, or the worker ends."""


class JobQueue:
    """The queue of one process. Use it within `opened`. Methods raise QueueError."""

    def __init__(
        self,
        database_url: str,
        run: RunJob | None = None,
        ended: Callable[[int, JobRequest, JobResult, float], None] = lambda *_: None,
        *,
        wait: float = WEB_WAIT,
    ) -> None:
        """`run`: needed by workers only. `wait`: seconds that a method waits for the database.

        `ended` is called with each job that was not cancelled and is recorded, its number, and the seconds it took.
        """
        self._database_url = database_url
        self._run = run
        self._ended = ended
        self._wait = wait
        self._app = App(connector=_Connector())
        self._task = self._app.task(name=_TASK, queue=QUEUE, pass_context=True)(self._execute)
        self._pool: ConnectionPool | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[JobQueue]:
        """Connects to the database until the end of the block. The connections are renewed after an outage."""
        async with connected(self._database_url, self._wait) as pool, self._app.open_async(pool):
            self._pool = pool
            try:
                yield self
            finally:
                self._pool = None

    async def migrate(self) -> bool:
        """Creates the tables that are missing; returns whether any of the queue was."""
        async with self.transaction() as connection:
            return await create_tables(connection, self._app.schema_manager.get_schema())

    async def is_ready(self) -> bool:
        """Returns whether the database answers and has the tables."""
        try:
            rows = await self.query("SELECT to_regclass('hunkwise_runs') IS NOT NULL AS ready")
        except QueueError:
            return False
        return bool(rows[0]["ready"])

    async def request(self, job: JobRequest) -> int | None:
        """Queues a job; returns its number, or None if one with the same key waits already."""
        async with self.transaction() as connection:
            return await self._request(connection, job)

    async def _request(self, connection: Connection, job: JobRequest) -> int | None:
        deferrer = self._task.configure(
            lock=job.lock, queueing_lock=job.queueing_lock, priority=job.priority, connection=connection
        )
        try:
            async with connection.transaction():
                return int(await deferrer.defer_async(job=_encode(job)))
        except exceptions.AlreadyEnqueued:
            return None

    async def deliver(
        self,
        delivery: str,
        job: JobRequest | None,
        *,
        supersedes: bool = False,
        cancels: JobRequest | None = None,
    ) -> bool:
        """Does what a webhook's delivery asks for, all or nothing, and once; returns whether the delivery is new.

        `job` is queued. `supersedes`: a running one with its lock is ended. `cancels`: the waiting ones with the lock
        of this one are cancelled.
        """
        async with self.transaction() as connection:
            new = await connection.execute(
                "INSERT INTO hunkwise_deliveries (id) VALUES (%s) ON CONFLICT DO NOTHING RETURNING id",
                [delivery],
            )
            if await new.fetchone() is None:
                return False
            if job is not None:
                # Before it is queued: a worker may begin with it at once, and it is not to end itself.
                running = await self._with_lock(connection, job.lock, "doing") if supersedes else []
                await self._request(connection, job)
                await self._cancel(connection, running)
            if cancels is not None:
                await self._cancel(connection, await self._with_lock(connection, cancels.lock, "todo"))
            return True

    async def _with_lock(self, connection: Connection, lock: str, status: str) -> list[int]:
        found = await connection.execute(
            "SELECT id FROM procrastinate_jobs WHERE queue_name = %s AND lock = %s AND status::text = %s",
            [QUEUE, lock, status],
        )
        return [int(row["id"]) for row in await found.fetchall()]

    async def _cancel(self, connection: Connection, numbers: Iterable[int]) -> list[int | None]:
        """Cancels waiting jobs, and lets workers end running ones; returns None for those that are neither."""
        answers = []
        for number in numbers:
            found = await connection.execute(
                "SELECT procrastinate_cancel_job_v1(%s, true, false) AS id", [number]
            )
            answers.append((await found.fetchone() or {})["id"])
        return answers

    async def cancel(self, number: int) -> bool:
        """Cancels a waiting job, or ends a running one; returns whether there is one."""
        async with self.transaction() as connection:
            return await self._cancel(connection, [number]) == [number]

    async def work(self, parallel: int, *, heartbeat: float = HEARTBEAT, grace: float = GRACE) -> None:
        """Runs jobs, `parallel` at a time, until it is cancelled; then running ones have `grace` seconds.

        After an outage of the database that was too long to wait for, it begins again.
        """
        task = asyncio.current_task()
        while True:
            try:
                with translated(exceptions.ConnectorException):
                    await self._app.run_worker_async(
                        queues=[QUEUE],
                        concurrency=parallel,
                        install_signal_handlers=False,
                        update_heartbeat_interval=heartbeat,
                        stalled_worker_timeout=3 * heartbeat,
                        # No notification comes where the lock of a waiting job is free again.
                        fetch_job_polling_interval=heartbeat / 10,
                        abort_job_polling_interval=heartbeat / 2,
                        shutdown_graceful_timeout=grace,
                    )
            except QueueError as error:
                _log.warning("The worker begins again: %s", error)
            if task is not None and task.cancelling():
                raise asyncio.CancelledError
            await asyncio.sleep(heartbeat / 2)

    async def rescue(self, stalled_after: float = STALLED_AFTER) -> int:
        """Requests the jobs of dead workers anew, and finishes them; returns their number."""
        with translated(exceptions.ConnectorException):
            stalled = list(
                await self._app.job_manager.get_stalled_jobs(
                    queue=QUEUE, seconds_since_heartbeat=stalled_after
                )
            )
        for one in stalled:
            async with self.transaction() as connection:
                found = await connection.execute(
                    "SELECT abort_requested FROM procrastinate_jobs WHERE id = %s AND status = 'doing' FOR UPDATE",
                    [one.id],
                )
                row = await found.fetchone()
                if row is None:  # another worker was quicker
                    continue
                await connection.execute("SELECT procrastinate_finish_job_v1(%s, 'failed', false)", [one.id])
                if not row["abort_requested"]:
                    await self._request(connection, _decode(cast("dict[str, Any]", one.task_kwargs["job"])))
        return len(stalled)

    async def _execute(self, context: JobContext, job: dict[str, Any]) -> None:
        assert self._run is not None, "only a worker runs jobs"
        assert context.job.id is not None, "it is in the database"
        number, request = context.job.id, _decode(job)
        began = datetime.now(UTC)
        try:
            result = await self._run(number, request)
        except asyncio.CancelledError:
            if context.abort_reason() is AbortReason.SHUTDOWN:
                await persist(lambda: self.request(request))
            else:
                cancelled = JobResult(_NO_RESULT, "cancelled")
                await persist(lambda: self._record(number, request, cancelled, began))
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the job is recorded
            result = _failed_job(error)
        seconds = (datetime.now(UTC) - began).total_seconds()
        await persist(lambda: self._record(number, request, result, began))
        self._ended(number, request, result, seconds)

    async def _record(self, number: int, request: JobRequest, result: JobResult, began: datetime) -> None:
        await self.query(
            "INSERT INTO hunkwise_runs (job, kind, repository, number, began, exit_code, conclusion, outputs, message)"
            " VALUES (%(job)s, %(kind)s, %(repository)s, %(number)s, %(began)s, %(exit_code)s, %(conclusion)s,"
            " %(outputs)s::jsonb, %(message)s) RETURNING job",
            job=number,
            kind=request.kind,
            repository=request.repository,
            number=request.number,
            began=began,
            exit_code=result.exit_code,
            conclusion=result.conclusion,
            outputs=json.dumps({name: storable(value) for name, value in result.outputs.items()}),
            message=storable(result.message),
        )

    async def cursor(self, name: str) -> str:
        """Returns a stored text; empty if there is none."""
        rows = await self.query("SELECT value FROM hunkwise_cursors WHERE name = %(name)s", name=name)
        return str(rows[0]["value"]) if rows else ""

    async def move_cursor(self, name: str, value: str) -> None:
        """Stores a text."""
        await self.query(
            "INSERT INTO hunkwise_cursors (name, value) VALUES (%(name)s, %(value)s)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value RETURNING name",
            name=name,
            value=value,
        )

    async def forget(self, days: int = KEPT_DAYS) -> None:
        """Deletes deliveries, runs, jobs and counts of users that are older, and the progress of jobs that ended."""
        await self.query(
            "DELETE FROM hunkwise_progress WHERE job NOT IN"
            " (SELECT id FROM procrastinate_jobs WHERE status = 'doing') RETURNING job"
        )
        for table, column in (
            ("hunkwise_deliveries", "at"),
            ("hunkwise_runs", "ended"),
            ("hunkwise_api_users", "hour"),
        ):
            await self.query(
                f"DELETE FROM {table} WHERE {column} < now() - make_interval(days => %(days)s) RETURNING 1 AS one",  # noqa: S608  # our own names
                days=days,
            )
        with translated(exceptions.ConnectorException):
            await self._app.job_manager.delete_old_jobs(
                24 * days, queue=QUEUE, include_failed=True, include_cancelled=True, include_aborted=True
            )

    async def query(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """Returns the rows of a query, by column. A command must return some too (`RETURNING`)."""
        async with self.transaction() as connection:
            return await (await connection.execute(query.encode(), values)).fetchall()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Provides a connection whose statements take effect together, at the end of the block."""
        assert self._pool is not None, "use it within `opened`"
        with translated(exceptions.ConnectorException):
            async with self._pool.connection() as connection:
                yield connection


class _Connector(PsycopgConnector):
    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """Listens, again and again: a lost connection would end the worker, and its jobs, after the grace time."""
        while True:
            try:
                await super().listen_notify(on_notification, channels)
            except exceptions.ConnectorException as error:
                _log.info("Notifications of the database are missed: %s", error.__cause__)
            await asyncio.sleep(RETRY_SECONDS)


def _encode(job: JobRequest) -> dict[str, Any]:
    """Returns the job as JSON that PostgreSQL takes: the payload as a text, since it may have a NUL."""
    return {**vars(job), "payload": json.dumps(job.payload)}


def _decode(job: dict[str, Any]) -> JobRequest:
    return JobRequest(**{**job, "payload": json.loads(job["payload"])})
