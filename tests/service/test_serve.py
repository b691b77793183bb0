"""Tests the processes of the service: from a webhook to a review, kills, deploys, and the commands of operators."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hunkwise.service.process import ProcessParts, run_service
from hunkwise.service.queue import JobQueue
from hunkwise.service.records import JobRecords
from tests.end_to_end.world import wait_until
from tests.fakes.command_line import ROOT, Printed, run
from tests.fakes.github_app import INSTALLATION
from tests.fakes.http_server import free_port
from tests.fakes.model_script import Answer, always
from tests.service.postgres import Postgres
from tests.service.service_world import REPOSITORIES, ServiceWorld, review_of, service_world
from tests.service.webhook_sender import WebhookSender, pull_request
from tests.service.workers import idle, until

PUSH = pull_request("synchronize", 1, repository=REPOSITORIES[0], installation={"id": INSTALLATION})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ServiceWorld]:
    with service_world(tmp_path) as world:
        yield world


def logs(world: ServiceWorld) -> list[str]:
    """Returns the lines of all processes."""
    return (world.folder / "log").read_text().splitlines()


@contextmanager
def serving(world: ServiceWorld, database: str, *arguments: str) -> Iterator[tuple[Any, WebhookSender]]:
    """Yields the process of `hunkwise serve` and what sends it webhooks."""
    port = free_port()
    with (world.folder / "log").open("a+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hunkwise", "serve", "--listen", str(port), *arguments],
            env=world.environ(database),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        sender = WebhookSender(f"http://127.0.0.1:{port}")

        def is_ready() -> bool:
            assert process.poll() is None, logs(world)
            try:
                return sender.get("/readyz")[0] == 200
            except OSError:
                return False

        try:
            wait_until(is_ready)
            yield process, sender
        finally:
            process.kill()
            process.wait()


async def work_until_idle(world: ServiceWorld, database: str) -> None:
    """Runs a worker until no job is left, and ends it as a deploy does."""
    parts = ProcessParts(works=True, heartbeat=1.0, stalled_after=3.0, grace=0.0)
    working = asyncio.create_task(run_service(world.settings(database), parts, world.environ()))
    async with JobQueue(database).opened() as queue:
        await idle(queue, 60)
    os.kill(os.getpid(), signal.SIGTERM)
    await working


def check_one_review(world: ServiceWorld) -> None:
    assert sum("It breaks." in text for text in world.reviews()) == 1
    runs = world.app.repositories[REPOSITORIES[0]].check_runs
    assert [run.conclusion for run in runs if run.name == "hunkwise"][-1:] == ["success"]


def test_the_review_of_a_killed_worker_is_made_once(world: ServiceWorld, database: str) -> None:
    reviewing = world.model.script
    world.model.script = always(Answer(delay=60))
    with serving(world, database, "--worker") as (process, sender):
        assert sender.send(PUSH) == (202, {"queued": True})
        wait_until(lambda: world.model.in_flight == 1)
        assert world.processes()
        process.kill()
        process.wait()
        wait_until(lambda: world.processes() == [], seconds=10)
    assert world.reviews() == []
    world.model.script = reviewing
    asyncio.run(work_until_idle(world, database))
    check_one_review(world)


def test_a_deploy_in_the_middle_of_a_review_loses_nothing(world: ServiceWorld, database: str) -> None:
    reviewing = world.model.script
    world.model.script = always(Answer(delay=60))

    async def main() -> None:
        parts = ProcessParts(works=True, grace=0.0)
        async with JobQueue(database).opened() as queue:
            await queue.request(review_of())
            working = asyncio.create_task(run_service(world.settings(database), parts, world.environ()))
            await until(lambda: world.model.in_flight == 1)
            while not (running := await JobRecords(queue).waiting_and_running())[0].message:  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.05)
            assert "GITHUB_TOKEN" not in running[0].message
            os.kill(os.getpid(), signal.SIGTERM)
            await working
            assert world.processes() == []
            assert [job.status for job in await JobRecords(queue).waiting_and_running()] == ["todo"]
        world.model.script = reviewing
        await work_until_idle(world, database)

    asyncio.run(main())
    check_one_review(world)


def test_two_web_processes_queue_a_delivery_once_and_end_with_a_signal(
    world: ServiceWorld, database: str
) -> None:
    metrics = free_port()
    body = json.dumps(PUSH).encode()
    with (
        serving(world, database, "--metrics", f"127.0.0.1:{metrics}") as (process, first),
        serving(world, database) as (_, second),
        ThreadPoolExecutor(8) as threads,
    ):
        answers = threads.map(lambda web: web.send(body, delivery="twice")[0], [first, second] * 8)
        assert list(answers) == [202] * 16
        assert second.get("/healthz")[0] == 200
        status, text = WebhookSender(f"http://127.0.0.1:{metrics}").get("/metrics")
        assert (status, "hunkwise_waiting_jobs 1.0" in text) == (200, True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    lines = [json.loads(line) for line in logs(world)]
    assert [line["message"].split(" at ")[0] for line in lines if line["process"] == process.pid] == [
        "Listening",
        "Listening",
        "The process ends.",
    ]


def command(world: ServiceWorld, database: str, *arguments: str, **more: str) -> Printed:
    return run(arguments, {**world.environ(database), **more}, world.folder)


def test_an_operator_prepares_checks_lists_and_cancels(postgres: Postgres, world: ServiceWorld) -> None:
    database = postgres.empty_database()

    def service(*arguments: str) -> tuple[int, str]:
        printed = command(world, database, "service", *arguments)
        return printed.code, printed.out or printed.errors

    untouched = "hunkwise: The database has no tables of hunkwise. Run `hunkwise service migrate` once.\n"
    for arguments in (["service", "jobs"], ["service", "check"], ["worker"], ["serve", "--listen", "0"]):
        printed = command(world, database, *arguments)
        assert (printed.code, printed.errors.splitlines()[-1:]) == (3, [untouched.strip()])
    assert service("migrate") == (0, "The tables were created.\n")
    assert service("migrate") == (0, "The tables are there.\n")
    code, text = service("check")
    assert (code, text.splitlines()[-1]) == (0, "The App has the permissions and webhooks that it needs.")
    world.app.events = ("pull_request",)
    code, text = service("check")
    assert code == 2
    assert service("jobs") == (0, "No job waits or runs.\n")

    async def request() -> int | None:
        async with JobQueue(database).opened() as queue:
            return await queue.request(review_of())

    number = asyncio.run(request())
    code, text = service("jobs")
    assert text.split()[:3] == [str(number), "waiting", "review"]
    assert text.endswith(" octo/first#1\n")
    (shown,) = json.loads(service("jobs", "--format", "json")[1])
    assert (shown["id"], shown["status"], shown["repository"]) == (number, "todo", "octo/first")
    assert service("cancel", str(number)) == (0, f"Job {number} is cancelled.\n")
    assert service("cancel", str(number)) == (
        2,
        f"hunkwise: No job {number} waits or runs: see `hunkwise service jobs`.\n",
    )


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["serve", "--listen", "eighty"], "argument --listen: it must be a port, or HOST:PORT"),
        (["serve", "--listen", "127.0.0.1:70000"], "argument --listen: it must be a port, or HOST:PORT"),
        (
            ["serve", "--listen", "192.0.2.1:0"],
            "Cannot listen at 192.0.2.1:0: Cannot assign requested address. Choose another address with",
        ),
        (
            ["serve", "--metrics", "nowhere.invalid:0"],
            "Cannot listen at nowhere.invalid:0: Name or service not known. Choose another address with",
        ),
        (
            ["servers", "recycle", "--restart", "echo 'x"],
            "argument --restart: it is no command: no closing quotation",
        ),
        (["servers", "recycle", "--restart", " "], "argument --restart: it is empty"),
        (["service"], "the following arguments are required: migrate|check|jobs|cancel"),
        (["service", "cancel", "x"], "argument JOB: it must be the number of a job"),
    ],
)
def test_wrong_arguments_are_reported(
    world: ServiceWorld, database: str, arguments: list[str], fault: str
) -> None:
    printed = command(world, database, *arguments)
    assert printed.code == 2
    assert fault in printed.errors


def test_a_worker_without_a_copilot_cli_does_not_start(world: ServiceWorld, database: str) -> None:
    printed = command(world, database, "worker", COPILOT_CLI_PATH="/nowhere")
    assert (printed.code, printed.errors) == (
        3,
        "hunkwise: COPILOT_CLI_PATH names /nowhere, which is not a file. Correct it, or remove it so that the"
        " installed CLI is used.\n",
    )


def test_ctrl_c_ends_a_command_that_waits_for_the_database_without_a_traceback(world: ServiceWorld) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = subprocess.Popen(
            [sys.executable, "-m", "hunkwise", "service", "jobs"],
            env=world.environ(f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/d"),
            stderr=subprocess.PIPE,
            text=True,
        )
        with silent.accept()[0]:
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=20)[1] == "hunkwise: It was stopped.\n"
    assert process.returncode == 3


def test_without_its_packages_the_service_says_how_they_are_installed() -> None:
    code = "import sys; sys.modules['procrastinate'] = None; from hunkwise.cli import main; sys.exit(main(['worker']))"
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src")}
    ran = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stderr == (
        "hunkwise: The package procrastinate is not installed, which the service needs: install hunkwise with it,"
        " pip install 'hunkwise[service]', and for a single machine without PostgreSQL 'hunkwise[service,embedded]'.\n"
    )


def test_without_a_database_an_embedded_one_is_used_as_long_as_it_is_needed(world: ServiceWorld) -> None:
    refused = command(world, "", "worker", HUNKWISE_DATA="/dev/null/data")
    assert (refused.code, refused.errors) == (
        2,
        "hunkwise: The folder /dev/null/data cannot be created (Not a directory): set HUNKWISE_DATA to another one.\n",
    )
    missing = command(world, "", "service", "jobs")
    assert (missing.code, missing.errors) == (
        2,
        f"hunkwise: There is no database in {world.folder}/data: set HUNKWISE_DATABASE_URL or HUNKWISE_DATA as for the"
        " service, and run the command as its user.\n",
    )
    ran = subprocess.run(
        [sys.executable, "-m", "hunkwise", "service", "migrate"],
        env=world.environ(),
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "The tables are there.\n", "")
    assert (world.folder / "data/postgresql/PG_VERSION").is_file()
    assert not (world.folder / "data/postgresql/postmaster.pid").exists()
