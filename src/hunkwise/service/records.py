"""The jobs of the service: those that wait and run, with their progress, those that ended, and their cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from hunkwise.service.database import storable
from hunkwise.service.queue import QUEUE, JobQueue

PROGRESS_LINE: Final = 300
"""Characters of a job's last line of log that are stored."""
MAX_ACTIVE: Final = 500
"""Jobs that wait or run, of which the oldest are listed."""
MAX_FINISHED: Final = 100
"""Jobs that ended, of which the newest are listed."""


@dataclass(frozen=True)
class JobRecord:
    """A job as the status page shows it."""

    id: int
    kind: str
    repository: str
    number: int
    status: str
    """`todo`, `doing`, or the conclusion: `success`, `failure`, `cancelled` or `unknown`."""
    at: datetime
    """When it was requested, began, or ended."""
    exit_code: int | None = None
    seconds: float | None = None
    outputs: dict[str, str] = field(default_factory=dict)
    message: str = ""
    """The last lines of its log, where it failed; the last one, where it runs."""


class JobRecords:
    """Reads the jobs of a queue. Methods raise QueueError."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue

    async def waiting_and_running(self) -> tuple[JobRecord, ...]:
        """Returns the jobs that wait or run, the oldest first, at most MAX_ACTIVE."""
        rows = await self._queue.query(
            "SELECT j.id, j.args->'job'->>'kind' AS kind, j.args->'job'->>'repository' AS repository,"
            " (j.args->'job'->>'number')::integer AS number, j.status::text AS status, max(e.at) AS at,"
            " coalesce(max(p.line), '') AS message"
            " FROM procrastinate_jobs j LEFT JOIN procrastinate_events e ON e.job_id = j.id"
            " LEFT JOIN hunkwise_progress p ON p.job = j.id"
            " WHERE j.status IN ('todo', 'doing') AND j.queue_name = %(queue)s"
            " GROUP BY j.id ORDER BY j.status::text, j.id LIMIT %(most)s",
            queue=QUEUE,
            most=MAX_ACTIVE,
        )
        return tuple(JobRecord(**row) for row in rows)

    async def store_progress(self, lines: Mapping[int, str]) -> None:
        """Stores the last line of the log of each running job; `JobQueue.forget` deletes those of jobs that ended."""
        await self._queue.query(
            "INSERT INTO hunkwise_progress (job, line)"
            " SELECT * FROM unnest(%(jobs)s::bigint[], %(lines)s::text[])"
            " ON CONFLICT (job) DO UPDATE SET line = excluded.line RETURNING job",
            jobs=list(lines),
            lines=[storable(line[:PROGRESS_LINE]) for line in lines.values()],
        )

    async def finished(self) -> tuple[JobRecord, ...]:
        """Returns the jobs that ended last, the newest first, at most MAX_FINISHED."""
        rows = await self._queue.query(
            "SELECT job AS id, kind, repository, number, coalesce(nullif(conclusion, ''), 'unknown') AS status,"
            " ended AS at, exit_code, extract(epoch FROM ended - began)::float AS seconds, outputs, message"
            " FROM hunkwise_runs ORDER BY ended DESC LIMIT %(most)s",
            most=MAX_FINISHED,
        )
        return tuple(JobRecord(**row) for row in rows)

    async def cost_by_day(self, days: int = 14) -> Sequence[dict[str, Any]]:
        """Returns `day`, `repository`, `jobs`, `calls` and `credits`, by day and repository."""
        return await self._queue.query(
            "SELECT (ended AT TIME ZONE 'UTC')::date AS day, repository, count(*) AS jobs,"
            " coalesce(sum(nullif(outputs->>'model-calls', '')::numeric), 0)::bigint AS calls,"
            " coalesce(sum(nullif(outputs->>'ai-credits', '')::numeric), 0)::float AS credits FROM hunkwise_runs"
            " WHERE ended > now() - make_interval(days => %(days)s) GROUP BY 1, 2 ORDER BY 1, 2",
            days=days,
        )

    async def depth(self) -> dict[str, Any]:
        """Returns the numbers of jobs `waiting` and `running`, and the age of the `oldest` waiting one in seconds."""
        rows = await self._queue.query(
            "SELECT count(*) FILTER (WHERE j.status = 'todo') AS waiting,"
            " count(*) FILTER (WHERE j.status = 'doing') AS running,"
            " coalesce(extract(epoch FROM now() - min(e.at) FILTER (WHERE j.status = 'todo')), 0)::float AS oldest"
            " FROM procrastinate_jobs j LEFT JOIN procrastinate_events e ON e.job_id = j.id AND e.type = 'deferred'"
            " WHERE j.queue_name = %(queue)s AND j.status IN ('todo', 'doing')",
            queue=QUEUE,
        )
        return rows[0]
