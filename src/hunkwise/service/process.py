"""The processes of the service: web server, worker, or both in one, with their ports, signals and log."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import traceback
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple

import uvicorn
from starlette.routing import Route
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from hunkwise.errors import SettingsError
from hunkwise.service.database import no_tables_error, start_embedded
from hunkwise.service.installation import Installations
from hunkwise.service.job import JobRunner
from hunkwise.service.metrics import ServiceMetrics
from hunkwise.service.mirror import Mirrors
from hunkwise.service.queue import (
    GRACE,
    HEARTBEAT,
    STALLED_AFTER,
    WORKER_WAIT,
    JobQueue,
    JobRequest,
    JobResult,
)
from hunkwise.service.records import JobRecords
from hunkwise.service.servers import SharedServers
from hunkwise.service.settings import ServiceSettings
from hunkwise.service.upkeep import Chore, chores
from hunkwise.service.web import make_metrics, make_web

_LOGGERS: Final = {
    "hunkwise": logging.INFO,
    "procrastinate": logging.WARNING,
    "psycopg": logging.WARNING,
    "psycopg.pool": logging.ERROR,  # our own records say that the database does not answer
    "uvicorn.error": logging.WARNING,
}
PROGRESS_EVERY: Final = 2.0
"""Seconds after which the progress of jobs is stored, for the status page of any process."""
CLIENT_SECONDS: Final = 20.0
"""Seconds that a client has to send the head of a request, and that it may leave an answer unread."""
_THREADS: Final = 128
"""Threads that wait for GitHub and files: of at most 64 jobs, and of requests to the API."""
_WEB_SECONDS: Final = 10
"""Seconds that requests in flight have at a shutdown."""
_log = logging.getLogger(__name__)


class ListenAddress(NamedTuple):
    """Where a port listens."""

    host: str
    port: int


@dataclass(frozen=True)
class ProcessParts:
    """What one process of the service does."""

    web: ListenAddress | None = None
    """Serves webhooks, health and the status page there."""
    metrics: ListenAddress | None = None
    """Serves metrics there, and the status page: to this machine only, unless it has a password."""
    works: bool = False
    """Runs jobs."""
    heartbeat: float = HEARTBEAT
    stalled_after: float = STALLED_AFTER
    grace: float = GRACE


async def run_service(settings: ServiceSettings, parts: ProcessParts, environ: Mapping[str, str]) -> None:
    """Runs the parts until SIGTERM or SIGINT; a second one ends the process at once.

    `environ`: jobs get a few of its variables.

    Raises SettingsError if a port cannot be used or there is no database, QueueError if the database does not answer
    at the start.
    """
    url = settings.database_url or start_embedded(settings.data)
    # Python's default is 6 on two cores: slow answers of GitHub to some would keep all others waiting.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "service"))
    metrics = ServiceMetrics()
    async with AsyncExitStack() as stack:
        queue = await stack.enter_async_context(JobQueue(url).opened())
        if settings.database_url is None:
            await queue.migrate()
        elif not await queue.is_ready():
            raise no_tables_error()
        servers = await stack.enter_async_context(_shared_servers(settings, queue))
        api: Sequence[Route] = ()
        if settings.api and parts.web is not None and servers is not None:
            api = await _api_routes(stack, settings, url, servers, metrics)
        ports = []
        for address, app in (
            (parts.web, make_web(settings, queue, metrics, servers=servers, api=api)),
            (parts.metrics, make_metrics(settings, queue, metrics, servers)),
        ):
            if address is not None:
                ports.append((HttpServer(app), stack.enter_context(_listener(address))))
        tasks = {asyncio.create_task(server.serve(sockets=[listener])) for server, listener in ports}
        works = (
            asyncio.create_task(_work(url, settings, parts, environ, metrics, servers))
            if parts.works
            else None
        )
        tasks |= {works} if works else set()
        with _stop_signal() as stop:
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            for server, _ in ports:
                server.should_exit = True
            if works is not None:
                works.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end


@asynccontextmanager
async def _shared_servers(settings: ServiceSettings, queue: JobQueue) -> AsyncIterator[SharedServers | None]:
    """Connects to the Copilot CLIs of the settings, whether or not they answer now; None if there are none."""
    addresses = settings.model_inputs.get("copilot-url")
    if addresses is None:
        yield None
        return
    from hunkwise.copilot.sdk_import import import_sdk

    import_sdk()
    from hunkwise.copilot.pool import open_pool, parse_addresses

    asyncio.get_running_loop().set_exception_handler(_log_callback)
    token = settings.model_inputs.get("copilot-connection-token")
    async with (
        open_pool(parse_addresses(addresses, token), wait=False) as pool,
        SharedServers(queue, pool).opened() as servers,
    ):
        yield servers


def _log_callback(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Logs the type of an error in a callback: the SDK's fail on unknown events, whose text is untrusted."""
    error = context.get("exception")
    _log.info("A callback failed: %s", type(error).__name__ if error else context.get("message"))


async def _api_routes(
    stack: AsyncExitStack,
    settings: ServiceSettings,
    url: str,
    servers: SharedServers,
    metrics: ServiceMetrics,
) -> Sequence[Route]:
    """Returns the routes of the web API, whose connections `stack` closes. Raises QueueError."""
    from hunkwise.service.api import open_api  # loads the SDK

    opened = open_api(settings, url, Installations(settings), servers.pool, metrics)
    return (await stack.enter_async_context(opened)).routes


async def _work(
    url: str,
    settings: ServiceSettings,
    parts: ProcessParts,
    environ: Mapping[str, str],
    metrics: ServiceMetrics,
    servers: SharedServers | None,
) -> None:
    """Runs jobs, and what is repeated beside them, until it is cancelled."""
    progress: dict[int, str] = {}
    """The last line of the log of each running job, if it is not stored yet."""
    installations = Installations(settings)
    mirrors = Mirrors(settings.data, settings.server_url, settings.data_limit, installations, environ)
    runner = JobRunner(settings, installations, mirrors, environ, progress.__setitem__, servers=servers)

    async def run(number: int, job: JobRequest) -> JobResult:
        try:
            return await runner.run(number, job)
        finally:
            progress.pop(number, None)

    def ended(number: int, job: JobRequest, result: JobResult, seconds: float) -> None:
        metrics.finish(job, result, seconds)
        about = (number, job.kind, job.repository, job.number, result.exit_code, seconds)
        _log.info("Job %d (%s of %s#%d) ended with exit code %d after %.0f s.", *about)

    async with JobQueue(url, run, ended, wait=WORKER_WAIT).opened() as queue:

        async def store_progress() -> None:
            if progress:
                lines = dict(progress)
                progress.clear()
                await JobRecords(queue).store_progress(lines)

        repeated = [
            asyncio.create_task(chore.repeat())
            for chore in chores(
                queue,
                installations,
                mirrors.trim,
                audit_every=settings.audit_every,
                stalled_after=parts.stalled_after,
                servers=servers,
            )
        ]
        repeated.append(asyncio.create_task(Chore("Progress", PROGRESS_EVERY, store_progress).repeat()))
        working = asyncio.create_task(
            queue.work(settings.parallel, heartbeat=parts.heartbeat, grace=parts.grace)
        )
        try:
            done, _ = await asyncio.wait({working, *repeated}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in repeated:
                task.cancel()
            working.cancel()
            await asyncio.gather(working, *repeated, return_exceptions=True)
            mirrors.stop()


class _HttpConnection(H11Protocol):
    """A connection that is closed if its client sends no whole head of a request, or reads no answer, for a time.

    uvicorn waits for both without end. The handlers have time limits for bodies.
    """

    def __init__(self, client_seconds: float, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._client_seconds = client_seconds
        self._limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._watch()

    def handle_events(self) -> None:
        super().handle_events()
        self._watch()

    def on_response_complete(self) -> None:
        self._watch()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch()

    def _watch(self) -> None:
        answering = self.cycle is not None and not self.cycle.response_complete
        if self not in self.connections or (answering and not self.flow.write_paused):
            if self._limit is not None:
                self._limit.cancel()
            self._limit = None
        elif self._limit is None:
            self._limit = self.loop.call_later(self._client_seconds, self.transport.abort)


class HttpServer(uvicorn.Server):
    """Serves an application; the process handles signals."""

    def __init__(self, app: ASGIApp, client_seconds: float = CLIENT_SECONDS) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=partial(_HttpConnection, client_seconds),  # type: ignore[arg-type]  # it is only called
                lifespan="off",
                ws="none",
                proxy_headers=False,
                server_header=False,
                access_log=False,
                log_config=None,
                timeout_graceful_shutdown=_WEB_SECONDS,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def _listener(address: ListenAddress) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.create_server(address, family=family, backlog=1024)
    except OSError as error:
        # Python's own text has the names of its classes, except for a host name that is unknown.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        fault = f"Cannot listen at {address.host}:{address.port}: {reason.partition(' (')[0]}."
        raise SettingsError([f"{fault} Choose another address with --listen or --metrics."]) from error
    with listener:
        # asyncio does so only for sockets that name their protocol. Without it, answers wait for acknowledgements.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _log.info("Listening at http://%s:%d.", *listener.getsockname()[:2])
        yield listener


@contextmanager
def _stop_signal() -> Iterator[asyncio.Event]:
    """Yields an event that SIGTERM and SIGINT set; after that they end the process at once."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def end() -> None:
        _log.info("The process ends.")
        stop.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def configure_log() -> None:
    """Writes records of the service and its libraries to standard error, each as a line of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLine())
    for name, level in _LOGGERS.items():
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


class _JsonLine(logging.Formatter):
    """No payload is in a line: of a job, procrastinate's messages have all arguments."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        job, action = getattr(record, "job", None), getattr(record, "action", "")
        if record.name.startswith("procrastinate") and isinstance(job, Mapping):
            message = f"Job {job.get('id')}: {action}"
        values = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": os.getpid(),
            "message": message,
        }
        if record.exc_info and record.exc_info[0] is not None:
            values["error"] = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])[-3:]
            values["at"] = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
        return json.dumps(values)
