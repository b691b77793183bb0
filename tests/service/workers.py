"""Jobs that only take time, and workers that run them, in the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from hunkwise.service.queue import WORKER_WAIT, JobQueue, JobRequest, JobResult
from hunkwise.service.records import JobRecords

HEARTBEAT = 1.0
"""Seconds; ten in the service."""


def review(number: int = 1) -> JobRequest:
    """Returns a request for a review of a pull request."""
    return JobRequest("review", "octo/repo", 7, "pull_request", {"action": "synchronize"}, number)


@dataclass
class Pulls:
    """Pull requests with heads, and reviews that read the head when they begin."""

    seconds: float = 0.2
    """Of each review."""
    heads: dict[int, int] = field(default_factory=dict)
    reviewed: dict[int, int] = field(default_factory=dict)
    """The head of the last review that ended, by pull request."""
    started: list[int] = field(default_factory=list)
    """Numbers of jobs, in their order."""
    cancelled: list[int] = field(default_factory=list)
    running: set[int] = field(default_factory=set)
    """Pull requests."""
    overlaps: int = 0
    """Reviews that began while another one of the same pull request ran."""

    async def run(self, number: int, job: JobRequest) -> JobResult:
        self.started.append(number)
        self.overlaps += job.number in self.running
        self.running.add(job.number)
        head = self.heads.get(job.number, 0)
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled.append(number)
            await asyncio.sleep(0.05)  # as a step, which publishes what it found
            raise
        finally:
            self.running.discard(job.number)
        self.reviewed[job.number] = head
        return JobResult(0, "success", {"model-calls": "3", "ai-credits": "0.5"})


@asynccontextmanager
async def working(
    database: str, pulls: Pulls, count: int = 1, parallel: int = 4, grace: float = 0.0
) -> AsyncIterator[JobQueue]:
    """Yields a queue that `count` workers work on; they are shut down at the end."""
    tasks = []
    try:
        for _ in range(count):
            tasks.append(asyncio.create_task(_work(database, pulls, parallel, grace)))
        async with JobQueue(database, wait=3.0).opened() as queue:
            yield queue
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def _work(database: str, pulls: Pulls, parallel: int, grace: float) -> None:
    async with JobQueue(database, pulls.run, wait=WORKER_WAIT).opened() as worker:
        await worker.work(parallel, heartbeat=HEARTBEAT, grace=grace)


async def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Waits for something that a worker does. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110  # jobs end in a worker's loop, or in another process
            await asyncio.sleep(0.02)


async def idle(queue: JobQueue, seconds: float = 30.0) -> None:
    """Waits until no job waits or runs. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while await JobRecords(queue).waiting_and_running():  # noqa: ASYNC110  # the database has no event for it
            await asyncio.sleep(0.05)
