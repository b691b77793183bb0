"""Measures the service: its own processes on a real PostgreSQL, before a fake GitHub App.

`python -m bench.service KIND` prints the numbers of one run of a case as JSON.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlsplit

import psycopg
from tests.fakes.github_app import INSTALLATION
from tests.service.postgres import running_postgres
from tests.service.service_world import REPOSITORIES, ServiceWorld, service_world
from tests.service.webhook_sender import WebhookSender, headers_of, pull_request

from bench import cases
from bench.children import BenchError, MemoryWatch, child_environment
from hunkwise.service.queue import JobQueue, JobRequest, JobResult

DELIVERIES, AT_ONCE = 1_000, 32
JOBS, PARALLEL = 1_000, 4
_BODY_BYTES = 25_000
"""Of a webhook: GitHub's for a pull request have about as many."""
_SECONDS = 60.0


@contextmanager
def service(*arguments: str) -> Iterator[tuple[ServiceWorld, WebhookSender, int]]:
    """Runs `hunkwise serve` on a new database, until the end of the block; yields its process id too."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hunkwise-bench-")))
        world = stack.enter_context(service_world(folder))
        database = stack.enter_context(running_postgres(durable=True)).database()
        environ = {**world.environ(database), "PYTHONPATH": child_environment()["PYTHONPATH"]}
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "hunkwise", "serve", "--listen", "127.0.0.1:0", *arguments],
                env=environ,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(process.kill)
        yield world, WebhookSender(_read_address(process)), process.pid
        process.terminate()
        process.wait(_SECONDS)


def deliver_once() -> dict[str, float]:
    """Sends many webhooks to a web process without a worker."""
    with service() as (_, sender, pid):
        memory = MemoryWatch(pid)
        began = time.monotonic()
        seconds = send_all(sender.url)
        took = time.monotonic() - began
        memory.end()
    return {
        cases.DELIVERIES: len(seconds) / took,
        cases.DELIVERY: 1_000 * median(seconds),
        cases.SLOW_DELIVERY: 1_000 * quantiles(seconds, n=100)[98],
        cases.OWN_MEMORY: memory.own_peak,
    }


def review_webhook_once() -> dict[str, float]:
    """Sends the webhook of a new pull request and waits for its review, by a service that has done so before."""
    with service("--worker") as (world, sender, _):
        numbers = [_review_webhook(world, sender, repository) for repository in REPOSITORIES[::-1]]
    return numbers[-1]


def _review_webhook(world: ServiceWorld, sender: WebhookSender, repository: str) -> dict[str, float]:
    world.model.requests.clear()
    opened = pull_request("opened", 1, repository=repository, installation={"id": INSTALLATION})
    began = time.monotonic()
    status, _answer = sender.send(opened)
    if status != 202:
        raise BenchError(f"The webhook was answered with {status}.")
    answered = time.monotonic()
    asked = _wait_for(lambda: bool(world.model.requests))
    posted = _wait_for(lambda: bool(world.app.repositories[repository].reviews))
    return {
        cases.DELIVERY: 1_000 * (answered - began),
        cases.WEBHOOK_MODEL: asked - began,
        cases.WEBHOOK_POSTED: posted - began,
    }


def drain_once() -> dict[str, float]:
    """Queues jobs that do nothing, and lets one worker run them."""
    with running_postgres(durable=True) as server:
        url = server.database()
        began = time.monotonic()
        asyncio.run(_queue_jobs(url))
        queued = time.monotonic() - began
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ANALYZE")  # as PostgreSQL does by itself every minute
        return {cases.QUEUED: queued, cases.DRAINED: asyncio.run(_drain(url))}


def send_all(url: str) -> list[float]:
    """Sends DELIVERIES webhooks, AT_ONCE at a time, each for a pull request of its own; returns the seconds of each."""
    filler = "x" * _BODY_BYTES
    bodies = [
        json.dumps(pull_request(number=number, filler=filler)).encode() for number in range(1, DELIVERIES + 1)
    ]
    of_thread = threading.local()

    def send(number: int) -> float:
        if not hasattr(of_thread, "connection"):
            of_thread.connection = HTTPConnection(urlsplit(url).netloc, timeout=_SECONDS)
        connection, body = of_thread.connection, bodies[number]
        headers = headers_of(body, "pull_request", f"delivery-{number}")
        began = time.monotonic()
        connection.request("POST", "/webhooks/github", body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 202:
            raise BenchError(f"A webhook was answered with {answer.status}.")
        return time.monotonic() - began

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(send, range(DELIVERIES)))


async def _queue_jobs(url: str) -> None:
    async with JobQueue(url).opened() as queue:
        for number in range(1, JOBS + 1):
            await queue.request(JobRequest("review", "acme/shop", INSTALLATION, "pull_request", {}, number))


def _read_address(process: subprocess.Popen[str]) -> str:
    """Returns the address that the service writes to its log; the rest of the log is read and dropped."""
    assert process.stderr is not None, "the process was started with a pipe"
    lines = []
    for line in process.stderr:
        lines.append(line)
        if found := re.search(r"Listening at (http://[\d.:]+\d)", line):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return found[1]
    raise BenchError(f"The service did not start:\n{''.join(lines)[-2000:]}")


def _wait_for(condition: Callable[[], bool]) -> float:
    """Returns the moment at which the condition was true. Raises BenchError."""
    limit = time.monotonic() + _SECONDS
    while not condition():
        if time.monotonic() > limit:
            raise BenchError("The webhook was not followed by a review.")
        time.sleep(0.002)
    return time.monotonic()


async def _drain(url: str) -> float:
    """Returns the seconds that one worker took for the waiting jobs."""
    left, done = JOBS, asyncio.Event()

    async def run(_number: int, _job: JobRequest) -> JobResult:
        nonlocal left
        left -= 1
        if not left:
            done.set()
        return JobResult(0, "success")

    async with JobQueue(url, run).opened() as queue:
        began = time.monotonic()
        working = asyncio.create_task(queue.work(PARALLEL))
        async with asyncio.timeout(_SECONDS):
            await done.wait()
        seconds = time.monotonic() - began
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    return seconds


_RUNS: Mapping[str, Callable[[], dict[str, float]]] = {
    "webhooks": deliver_once,
    "webhook": review_webhook_once,
    "drain": drain_once,
}

if __name__ == "__main__":
    print(json.dumps(_RUNS[sys.argv[1]]()))
