"""The status page: what it shows, and in a real browser."""

from __future__ import annotations

import asyncio
import html
import re
import shutil
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hunkwise.service.metrics import ServiceMetrics
from hunkwise.service.queue import JobQueue, JobRequest
from hunkwise.service.records import MAX_ACTIVE, MAX_FINISHED, JobRecord, JobRecords
from hunkwise.service.status import bars, by_repository
from hunkwise.service.web import make_web
from tests.service.webhook_sender import basic, serve_with, settings

HOSTILE = '<script>document.title="taken"</script><img src=x onerror=alert(1)>'
TODAY = date(2026, 3, 14)


def use(day: date, repository: str = "acme/shop", calls: int = 1) -> dict[str, Any]:
    return {"day": day, "repository": repository, "jobs": 1, "calls": calls, "credits": 0.5}


def test_each_day_has_a_bar() -> None:
    found = bars(
        [
            use(TODAY, calls=30),
            use(TODAY, "acme/site", calls=10),
            use(TODAY - timedelta(days=13), calls=4),
            use(TODAY - timedelta(days=14), calls=1_000),
        ],
        TODAY,
    )
    assert [bar["day"] for bar in found] == [TODAY - timedelta(days=back) for back in range(13, -1, -1)]
    assert [bar["calls"] for bar in found] == [4, *[0] * 12, 40]
    assert [bar["height"] for bar in found] == [6, *[0] * 12, 60]
    assert found[-1]["credits"] == 1.0


def test_a_day_without_calls_has_no_height() -> None:
    assert {bar["height"] for bar in bars([], TODAY)} == {0}


def test_repositories_with_the_most_calls_are_listed() -> None:
    costs = [use(TODAY, f"acme/r{number}", calls=number) for number in range(12)] * 2
    found = by_repository(costs)
    assert [row["repository"] for row in found] == [f"acme/r{number}" for number in range(11, 1, -1)]
    assert found[0] == {"repository": "acme/r11", "jobs": 2, "calls": 22, "credits": 1.0}


def fill(database: str) -> None:
    """Queues a waiting job and a running one with progress, and records finished ones."""

    async def request() -> list[int]:
        async with JobQueue(database).opened() as queue:
            review = JobRequest("review", "acme/shop", 9, "pull_request", {}, 5)
            command = JobRequest("command", "acme/shop", 9, "issue_comment", {}, 6, "comment:1")
            numbers = [await queue.request(job) or 0 for job in (review, command)]
            await JobRecords(queue).store_progress({numbers[0]: f"Reviewing part 2 of 3 {HOSTILE}"})
            return numbers

    running, _ = asyncio.run(request())
    now = datetime.now(UTC)
    outcomes = [
        (0, "success", '{"findings": "2", "model-calls": "3", "ai-credits": "1.25"}', ""),
        (3, "failure", '{"findings": "", "model-calls": "", "ai-credits": ""}', f"first line\n{HOSTILE}"),
    ]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = %s", [running])
        for number, (code, conclusion, outputs, message) in enumerate(outcomes, 101):
            connection.execute(
                "INSERT INTO hunkwise_runs (job, kind, repository, number, began, ended, exit_code, conclusion,"
                " outputs, message) VALUES (%s, 'review', 'acme/shop', 4, %s, %s, %s, %s, %s, %s)",
                [number, now - timedelta(minutes=4), now, code, conclusion, outputs, message],
            )


def test_the_newest_of_many_jobs_are_shown(database: str) -> None:
    async def main() -> tuple[tuple[JobRecord, ...], ...]:
        async with JobQueue(database).opened() as queue:
            await queue.request(JobRequest("review", "acme/shop", 9, "pull_request", {}, 5))
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute(
                    "INSERT INTO procrastinate_jobs (queue_name, task_name, args)"
                    " SELECT queue_name, task_name, args FROM procrastinate_jobs, generate_series(1, %s)",
                    [MAX_ACTIVE],
                )
                connection.execute(
                    "INSERT INTO hunkwise_runs (job, kind, repository, number, began, ended, exit_code, conclusion,"
                    " outputs, message) SELECT job, 'review', 'acme/shop', 4, now(), now() + job * interval '1 s', 0,"
                    " 'success', '{}', '' FROM generate_series(1, %s) AS job",
                    [MAX_FINISHED + 1],
                )
            records = JobRecords(queue)
            return await records.waiting_and_running(), await records.finished()

    active, finished = asyncio.run(main())
    assert len(active) == MAX_ACTIVE
    assert [job.id for job in finished] == list(range(MAX_FINISHED + 1, 1, -1))


def chromium(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a headless browser."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    assert program, (
        f"this test needs a browser, one of {', '.join(names)}: on Debian, apt-get install chromium"
    )
    flags = (
        "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--enable-logging=stderr",
    )  # fmt: skip
    command = [program, *flags, f"--user-data-dir={folder / 'profile'}", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=120)


@pytest.mark.browser
def test_the_page_shows_jobs_and_runs_nothing_of_theirs(database: str, tmp_path: Path) -> None:
    fill(database)
    queue = JobQueue(database)
    app = make_web(settings(database, password="secret"), queue, ServiceMetrics())
    with serve_with(queue, ("/", app)) as web:
        shown = chromium(tmp_path, "--dump-dom", web.url.replace("://", "://hunkwise:secret@") + "/")
    finished = ["review", "acme/shop#4", "4 min"]
    # The browser reports there what the page's own policy refuses, its style among it.
    assert "CONSOLE" not in shown.stderr
    assert "<title>1 running, 1 waiting: hunkwise</title>" in shown.stdout
    assert tables(shown.stdout) == {
        "running": [["1", "review", "acme/shop#5", f"Reviewing part 2 of 3 {HOSTILE}"]],
        "waiting": [["2", "command", "acme/shop#6"]],
        "use": [["acme/shop", "2", "3", "1.25"]],
        "finished": [
            ["102", *finished, "failure, exit code 3", "End of its log", f"first line\n{HOSTILE}"],
            ["101", *finished, "2", "success"],
        ],
    }  # fmt: skip
    assert 'href="https://github.com/acme/shop/issues/5"' in shown.stdout
    heights = re.findall(r'<rect [^>]*height="(\d+)"', shown.stdout)
    assert sorted(heights) == [*["0"] * 13, "60"]


def test_refreshing_can_be_stopped(database: str) -> None:
    queue = JobQueue(database)
    app = make_web(settings(database, password="secret"), queue, ServiceMetrics())
    with serve_with(queue, ("/", app)) as web:
        pages = [web.get(path, basic("secret"))[1] for path in ("/", "/?refresh=off")]
    assert ['http-equiv="refresh"' in page for page in pages] == [True, False]
    assert "No job has finished yet." in pages[0]


def tables(page: str) -> dict[str, list[list[str]]]:
    """Returns the texts of each row below the head of each table, by the table's id, without ages of jobs."""
    found = re.findall(r'<table id="(\w+)">(.*?)</table>', page, re.DOTALL)
    return {name: [cells for row in text.split("<tr>")[2:] if (cells := _texts(row))] for name, text in found}


def _texts(row: str) -> list[str]:
    pieces = (html.unescape(piece).strip() for piece in re.split(r"<[^>]*>", row))
    return [piece for piece in pieces if piece and not re.fullmatch(r"\d+ s( ago)?", piece)]
