"""The commands of the service: `hunkwise serve`, `hunkwise worker` and `hunkwise service`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from hunkwise.commands.messages import print_line
from hunkwise.copilot.find_cli import find_cli
from hunkwise.domain.review import ExitCode
from hunkwise.errors import SettingsError
from hunkwise.service.database import has_embedded, no_tables_error, start_embedded
from hunkwise.service.installation import Installations
from hunkwise.service.process import ListenAddress, ProcessParts, configure_log, run_service
from hunkwise.service.queue import JobQueue
from hunkwise.service.records import JobRecord, JobRecords
from hunkwise.service.settings import read_database_settings, read_service_settings

_T = TypeVar("_T")


def serve(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Runs `hunkwise serve` and `hunkwise worker` until a signal ends them.

    Raises SettingsError, QueueError, and ModelError if a worker has no Copilot CLI.
    """
    settings = read_service_settings(environ)
    serves = arguments.command == "serve"
    parts = ProcessParts(
        web=ListenAddress(*arguments.listen) if serves else None,
        metrics=ListenAddress(*arguments.metrics) if arguments.metrics else None,
        works=not serves or arguments.worker,
    )
    if parts.works and "copilot-url" not in settings.model_inputs:
        find_cli(environ)  # else each job would fail
    configure_log()
    gc.enable()  # `cli` disables it, for processes that end soon
    asyncio.run(run_service(settings, parts, environ))
    return ExitCode.REVIEWED


def service(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Runs `hunkwise service migrate|check|jobs|cancel`. Raises SettingsError, QueueError and GitHubError."""
    match arguments.part:
        case "migrate":
            created = with_queue(environ, lambda queue: queue.migrate(), create=True)
            print_line("The tables were created." if created else "The tables are there.")
        case "check":
            return _check(environ)
        case "jobs":
            _print_jobs(
                with_queue(environ, lambda queue: JobRecords(queue).waiting_and_running()), arguments.format
            )
        case _:
            if not with_queue(environ, lambda queue: queue.cancel(arguments.job)):
                raise SettingsError([f"No job {arguments.job} waits or runs: see `hunkwise service jobs`."])
            print_line(f"Job {arguments.job} is cancelled.")
    return ExitCode.REVIEWED


def with_queue(
    environ: Mapping[str, str], act: Callable[[JobQueue], Awaitable[_T]], *, create: bool = False
) -> _T:
    """Connects to the database that the environment names, else to the embedded one. Raises QueueError.

    `create`: the embedded one is created if there is none; else SettingsError is raised, as the variables differ from
    those of the service.
    """
    url, data = read_database_settings(environ)
    if url is None and not create and not has_embedded(data):
        raise SettingsError(
            [
                f"There is no database in {data}: set HUNKWISE_DATABASE_URL or HUNKWISE_DATA as for the service, and"
                " run the command as its user."
            ]
        )

    async def run() -> _T:
        async with JobQueue(url or start_embedded(data)).opened() as queue:
            if url is None:
                await queue.migrate()
            return await act(queue)

    return asyncio.run(run())


def _check(environ: Mapping[str, str]) -> ExitCode:
    """Checks the settings, the database and the App, and prints what is wrong with the last."""
    settings = read_service_settings(environ)
    print_line("The settings are valid.")

    async def is_ready(queue: JobQueue) -> bool:
        return await queue.is_ready()

    if not with_queue(environ, is_ready, create=True):
        raise no_tables_error()
    print_line("The database has all tables.")
    if faults := Installations(settings).faults():
        raise SettingsError(faults)
    print_line("The App has the permissions and webhooks that it needs.")
    return ExitCode.REVIEWED


def _print_jobs(jobs: Sequence[JobRecord], kind: str) -> None:
    if kind == "json":
        names = ("id", "status", "kind", "repository", "number")
        rows = [{**{name: getattr(job, name) for name in names}, "at": job.at.isoformat()} for job in jobs]
        print_line(json.dumps(rows, indent=1))
        return
    now = datetime.now(UTC)
    for job in jobs:
        status = "waiting" if job.status == "todo" else "running"
        what = f"{job.repository}#{job.number}" if job.number else job.repository
        print_line(
            f"{job.id:>8}  {status}  {job.kind:<11}  {(now - job.at).total_seconds():>7,.0f} s  {what}"
        )
    if not jobs:
        print_line("No job waits or runs.")
