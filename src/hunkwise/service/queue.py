"""The jobs of the service, in PostgreSQL, by procrastinate. Only this module imports it.

A job names a pull request, never a commit: it reviews the head that it finds. A job that a shutdown ends, or whose
worker died, is requested anew and then finished: retrying it instead would fail where a newer one is queued already,
and its lock would stay for ever.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Final

from procrastinate import App, JobContext, PsycopgConnector, exceptions
from procrastinate.job_context import AbortReason
from procrastinate.jobs import Job, Status

from hunkwise.errors import Error

QUEUE: Final = "hunkwise"
HEARTBEAT: Final = 10.0
"""Seconds between two signs of life of a worker."""
STALLED_AFTER: Final = 30.0
"""Seconds without one, after which a worker counts as dead and its jobs are requested anew."""
GRACE: Final = 20.0
"""Seconds that running jobs have at a shutdown until they are ended and requested anew."""
_TASK: Final = "run"
_CONNECTIONS: Final = 8
_log = logging.getLogger(__name__)


class QueueError(Error):
    """The database cannot be used."""


@dataclass(frozen=True)
class JobRequest:
    """What a job is to do."""

    kind: str
    """`review`, `command` or `audit`."""
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
    """Jobs with the same key never run at the same time, and only one of them waits."""

    @property
    def lock(self) -> str:
        """Returns the key of the lock: commands of one pull request run one after another."""
        return f"{self.kind}:{self.repository.casefold()}#{self.number}"

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


@dataclass(frozen=True)
class JobRecord:
    """A job as the status page shows it."""

    id: int
    kind: str
    repository: str
    number: int
    status: str
    """`todo`, `doing`, `succeeded`, `failed`, `aborted` or `cancelled`."""
    at: datetime
    """When it was requested, began, or ended."""
    exit_code: int | None = None
    seconds: float | None = None
    outputs: dict[str, str] = field(default_factory=dict)
    message: str = ""


RunJob = Callable[[int, JobRequest], Awaitable[JobResult]]
"""Runs one job, by its number. It is cancelled where the job is superseded, or the worker ends."""


class JobQueue:
    """The queue of one process. Use it within `opened`. Methods raise QueueError where the database does not answer."""

    def __init__(self, database_url: str, run: RunJob | None = None) -> None:
        """`run`: needed by workers only."""
        self._run = run
        self.app = App(connector=PsycopgConnector(conninfo=database_url, min_size=1, max_size=_CONNECTIONS))
        self._task = self.app.task(self._execute, name=_TASK, queue=QUEUE, pass_context=True)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[JobQueue]:
        """Connects to the database until the end of the block."""
        with _translated():
            await self.app.open_async()
        try:
            yield self
        finally:
            await self.app.close_async()

    async def migrate(self) -> bool:
        """Creates the tables that are missing; returns whether any was."""
        with _translated():
            connector = self.app.connector
            row = await connector.execute_query_one_async(
                "SELECT to_regclass('procrastinate_jobs') IS NULL AS missing"
            )
            if missing := bool(row["missing"]):
                await self.app.schema_manager.apply_schema_async()
            await connector.execute_query_async(_own_schema())
            return missing

    async def is_ready(self) -> bool:
        """Returns whether the database answers and has the tables."""
        try:
            row = await self._query_one("SELECT to_regclass('hunkwise_runs') IS NOT NULL AS ready")
        except QueueError:
            return False
        return bool(row["ready"])

    async def request(self, job: JobRequest) -> int | None:
        """Queues a job; returns its number, or None if one with the same key waits already."""
        deferrer = self._task.configure(lock=job.lock, queueing_lock=job.queueing_lock)
        try:
            with _translated():
                return int(await deferrer.defer_async(job=asdict(job)))
        except exceptions.AlreadyEnqueued:
            return None

    async def deliver(self, delivery: str, job: JobRequest | None) -> bool:
        """Queues the job of a webhook's delivery, once; returns whether the delivery is new.

        The job is queued before the delivery is recorded: a crash in between repeats the job, and loses nothing.
        """
        row = await self._query_one(
            "SELECT EXISTS (SELECT 1 FROM hunkwise_deliveries WHERE id = %(id)s) AS seen", id=delivery
        )
        if row["seen"]:
            return False
        if job is not None:
            await self.request(job)
        rows = await self._query(
            "INSERT INTO hunkwise_deliveries (id) VALUES (%(id)s) ON CONFLICT DO NOTHING RETURNING id",
            id=delivery,
        )
        return bool(rows)

    async def supersede(self, job: JobRequest) -> int:
        """Ends the running jobs with the lock of this one, which is queued; returns their number."""
        with _translated():
            running = list(
                await self.app.job_manager.list_jobs_async(queue=QUEUE, lock=job.lock, status="doing")
            )
            for one in running:
                if one.id is not None:
                    await self.app.job_manager.cancel_job_by_id_async(one.id, abort=True)
        return len(running)

    async def cancel(self, number: int) -> bool:
        """Cancels a waiting job, or ends a running one; returns whether there is one."""
        with _translated():
            return bool(await self.app.job_manager.cancel_job_by_id_async(number, abort=True))

    async def cancel_waiting(self, job: JobRequest) -> None:
        """Cancels the waiting jobs with the lock of this one."""
        with _translated():
            waiting = list(
                await self.app.job_manager.list_jobs_async(queue=QUEUE, lock=job.lock, status="todo")
            )
            for one in waiting:
                if one.id is not None:
                    await self.app.job_manager.cancel_job_by_id_async(one.id)

    async def work(self, parallel: int, *, heartbeat: float = HEARTBEAT, grace: float = GRACE) -> None:
        """Runs jobs until a signal ends the process, `parallel` at a time."""
        with _translated():
            await self.app.run_worker_async(
                queues=[QUEUE],
                concurrency=parallel,
                update_heartbeat_interval=heartbeat,
                stalled_worker_timeout=3 * heartbeat,
                fetch_job_polling_interval=heartbeat / 2,
                abort_job_polling_interval=heartbeat / 2,
                shutdown_graceful_timeout=grace,
            )

    async def rescue(self, stalled_after: float = STALLED_AFTER) -> int:
        """Requests the jobs of dead workers anew, and finishes them; returns their number."""
        with _translated():
            stalled = list(
                await self.app.job_manager.get_stalled_jobs(
                    queue=QUEUE, seconds_since_heartbeat=stalled_after
                )
            )
            for one in stalled:
                await self.request(_request_of(one))
                if one.id is not None:
                    await self._finish(one.id)
        return len(stalled)

    async def _finish(self, number: int) -> None:
        try:
            await self.app.job_manager.finish_job_by_id_async(
                job_id=number, status=Status.FAILED, delete_job=False
            )
        except exceptions.ConnectorException as error:
            _log.info("Job %d was finished by another worker: %s", number, error)

    async def _execute(self, context: JobContext, job: dict[str, Any]) -> None:
        assert self._run is not None and context.job.id is not None, "a worker has both"
        number, request = context.job.id, JobRequest(**job)
        began = datetime.now(UTC)
        try:
            result = await self._run(number, request)
        except asyncio.CancelledError:
            if context.abort_reason() is AbortReason.SHUTDOWN:
                await self.request(request)
            raise
        except Error as error:
            result = JobResult(error.exit_code, "failure", message=str(error))
        await self._record(number, request, result, began)

    async def _record(self, number: int, request: JobRequest, result: JobResult, began: datetime) -> None:
        await self._query(
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
            outputs=json.dumps(result.outputs),
            message=result.message,
        )

    async def waiting_and_running(self) -> tuple[JobRecord, ...]:
        """Returns the jobs that wait or run, the oldest first, at most 500."""
        rows = await self._query(
            "SELECT j.id, j.status::text AS status, j.args->'job' AS job, max(e.at) AS at FROM procrastinate_jobs j"
            " LEFT JOIN procrastinate_events e ON e.job_id = j.id WHERE j.status IN ('todo', 'doing') AND"
            " j.queue_name = %(queue)s GROUP BY j.id ORDER BY j.status::text, j.id LIMIT 500",
            queue=QUEUE,
        )
        return tuple(
            JobRecord(row["id"], *_names(row["job"]), status=row["status"], at=row["at"]) for row in rows
        )

    async def finished(self, most: int = 100) -> tuple[JobRecord, ...]:
        """Returns the jobs that ended last, the newest first."""
        rows = await self._query("SELECT * FROM hunkwise_runs ORDER BY ended DESC LIMIT %(most)s", most=most)
        return tuple(
            JobRecord(
                row["job"],
                row["kind"],
                row["repository"],
                row["number"],
                status=row["conclusion"] or "unknown",
                at=row["ended"],
                exit_code=row["exit_code"],
                seconds=(row["ended"] - row["began"]).total_seconds(),
                outputs=row["outputs"],
                message=row["message"],
            )
            for row in rows
        )

    async def cost_by_day(self, days: int = 14) -> Sequence[dict[str, Any]]:
        """Returns `day`, `repository`, `jobs`, `calls` and `credits`, by day and repository."""
        return await self._query(
            "SELECT ended::date AS day, repository, count(*) AS jobs,"
            " coalesce(sum((outputs->>'model-calls')::numeric), 0)::bigint AS calls,"
            " coalesce(sum((outputs->>'ai-credits')::numeric), 0)::float AS credits FROM hunkwise_runs"
            " WHERE ended > now() - make_interval(days => %(days)s) GROUP BY 1, 2 ORDER BY 1, 2",
            days=days,
        )

    async def depth(self) -> dict[str, Any]:
        """Returns the numbers of jobs by status, and the age of the oldest waiting one in seconds."""
        return await self._query_one(
            "SELECT count(*) FILTER (WHERE j.status = 'todo') AS waiting,"
            " count(*) FILTER (WHERE j.status = 'doing') AS running,"
            " coalesce(extract(epoch FROM now() - min(e.at) FILTER (WHERE j.status = 'todo')), 0)::float AS oldest"
            " FROM procrastinate_jobs j LEFT JOIN procrastinate_events e ON e.job_id = j.id AND e.type = 'deferred'"
            " WHERE j.queue_name = %(queue)s AND j.status IN ('todo', 'doing')",
            queue=QUEUE,
        )

    async def cursor(self, name: str) -> str:
        """Returns a stored text; empty if there is none."""
        rows = await self._query("SELECT value FROM hunkwise_cursors WHERE name = %(name)s", name=name)
        return str(rows[0]["value"]) if rows else ""

    async def move_cursor(self, name: str, value: str) -> None:
        """Stores a text."""
        await self._query(
            "INSERT INTO hunkwise_cursors (name, value) VALUES (%(name)s, %(value)s)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value RETURNING name",
            name=name,
            value=value,
        )

    async def forget(self, days: int = 30) -> None:
        """Deletes deliveries, runs and finished jobs that are older."""
        for table, column in (("hunkwise_deliveries", "at"), ("hunkwise_runs", "ended")):
            await self._query(
                f"DELETE FROM {table} WHERE {column} < now() - make_interval(days => %(days)s) RETURNING 1 AS one",  # noqa: S608  # our own names
                days=days,
            )
        with _translated():
            await self.app.job_manager.delete_old_jobs(
                24 * days, queue=QUEUE, include_failed=True, include_cancelled=True, include_aborted=True
            )

    async def _query(self, query: str, **values: Any) -> list[dict[str, Any]]:
        with _translated():
            return list(await self.app.connector.execute_query_all_async(query, **values))

    async def _query_one(self, query: str, **values: Any) -> dict[str, Any]:
        with _translated():
            return dict(await self.app.connector.execute_query_one_async(query, **values))


class _translated:
    """Raises QueueError for an error of the database, but not for a job that waits already."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, exceptions.AlreadyEnqueued) or not isinstance(
            error, exceptions.ProcrastinateException
        ):
            return
        cause = str(error.__cause__ or error).strip().partition("\n")[0]
        raise QueueError(
            f"The database does not answer: {cause}.", "Look at PostgreSQL, and at HUNKWISE_DATABASE_URL."
        )


def _own_schema() -> str:
    return files("hunkwise.service").joinpath("schema.sql").read_text(encoding="utf-8")


def _request_of(job: Job) -> JobRequest:
    return JobRequest(**job.task_kwargs["job"])


def _names(job: dict[str, Any]) -> tuple[str, str, int]:
    return job["kind"], job["repository"], job["number"]
