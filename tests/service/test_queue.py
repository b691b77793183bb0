"""Tests the queue on a real PostgreSQL: one job at a time for a pull request, the newest head, and no lost job."""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

import psycopg
import pytest

from hunkwise.errors import Error, SettingsError
from hunkwise.service.database import QueueError
from hunkwise.service.metrics import ServiceMetrics
from hunkwise.service.queue import JobQueue, JobRequest, JobResult
from hunkwise.service.records import PROGRESS_LINE, JobRecord, JobRecords
from tests.service.postgres import Postgres
from tests.service.workers import HEARTBEAT, Pulls, idle, review, until, working


def test_a_job_is_run_and_recorded_whatever_its_payload_holds(database: str) -> None:
    job = replace(review(), payload={"comment": {"body": "a\0b \ud800 \\u0000"}})
    seen: list[JobRequest] = []

    class Answers(Pulls):
        async def run(self, number: int, job: JobRequest) -> JobResult:
            seen.append(job)
            if job.number == 2:
                raise Error("GitHub does not answer.", "Look at its status.")
            return JobResult(1, "failure", {"findings": "2\0"}, "the last \0 line \udc80")

    async def main() -> None:
        async with working(database, Answers()) as queue:
            await queue.request(job)
            await idle(queue)
            await queue.request(review(2))
            await idle(queue)
            failed, found = await JobRecords(queue).finished()
            assert (found.exit_code, found.status, found.outputs, found.message) == (
                1,
                "failure",
                {"findings": "2"},
                "the last  line ?",
            )
            assert (failed.exit_code, failed.status) == (3, "failure")
            assert failed.message == "GitHub does not answer. Look at its status."

    asyncio.run(main())
    assert seen == [job, review(2)]


def test_thirty_pushes_on_two_workers_are_reviewed_one_at_a_time_up_to_the_last(database: str) -> None:
    pulls = Pulls()

    async def main() -> None:
        async with working(database, pulls, count=2) as queue:
            for push in range(1, 31):
                pulls.heads[1] = push
                assert await queue.deliver(f"push {push}", review(), supersedes=True)
                await asyncio.sleep(random.uniform(0, 0.1))
            await idle(queue)

    asyncio.run(main())
    assert pulls.reviewed == {1: 30}
    assert pulls.overlaps == 0
    assert pulls.cancelled


def test_a_push_never_ends_its_own_review(database: str) -> None:
    pulls = Pulls(seconds=0.1)

    async def main() -> None:
        async with working(database, pulls) as queue:
            for push in range(1, 6):
                pulls.heads[1] = push
                await queue.deliver(str(push), review(), supersedes=True)
                await idle(queue)
                assert pulls.reviewed == {1: push}

    asyncio.run(main())
    assert pulls.cancelled == []


def test_a_delivery_takes_effect_once_though_it_comes_to_two_processes_at_the_same_time(
    database: str,
) -> None:
    pulls = Pulls(seconds=0.0)

    async def main() -> list[bool]:
        async with working(database, pulls) as queue, JobQueue(database).opened() as other:
            answers = []
            for number in range(1, 11):
                both = (one.deliver(f"delivery {number}", review(number)) for one in (queue, other))
                answers += await asyncio.gather(*both)
            await idle(queue)
            return answers

    assert asyncio.run(main()).count(True) == 10
    assert len(pulls.started) == 10


def test_waiting_jobs_are_coalesced_and_cancelled_and_running_ones_are_ended(database: str) -> None:
    pulls = Pulls(seconds=60)

    async def main() -> None:
        async with working(database, pulls) as queue:
            running = await queue.request(review())
            assert running is not None
            await until(lambda: pulls.running == {1})
            waiting = await queue.request(review())
            assert waiting is not None
            assert await queue.request(review()) is None
            assert [(job.id, job.status) for job in await JobRecords(queue).waiting_and_running()] == [
                (running, "doing"),
                (waiting, "todo"),
            ]
            depth = await JobRecords(queue).depth()
            assert (depth["waiting"], depth["running"]) == (1, 1)
            assert depth["oldest"] > 0

            assert await queue.deliver("closed", None, cancels=review())
            assert [job.id for job in await JobRecords(queue).waiting_and_running()] == [running]
            assert await queue.cancel(running)
            await idle(queue)
            assert not await queue.cancel(running)
            assert not await queue.cancel(10**6)
            (ended,) = await JobRecords(queue).finished()
            assert (ended.id, ended.status, ended.number) == (running, "cancelled", 1)

    asyncio.run(main())
    assert len(pulls.started) == 1


@pytest.mark.parametrize("newer", [False, True], ids=["alone", "with a newer one"])
def test_a_job_that_a_shutdown_ends_is_done_by_another_worker(database: str, newer: bool) -> None:
    pulls = Pulls(seconds=60)

    async def main() -> None:
        async with working(database, pulls) as queue:
            await queue.request(review())
            await until(lambda: pulls.running == {1})
            if newer:
                await queue.request(review())
        assert len(pulls.cancelled) == 1
        pulls.seconds = 0.0
        async with working(database, pulls) as queue:
            await idle(queue)

    asyncio.run(main())
    assert pulls.reviewed == {1: 0}
    assert len(pulls.started) == 2


def test_a_shutdown_lets_jobs_end_in_their_grace_time(database: str) -> None:
    pulls = Pulls(seconds=0.5)

    async def main() -> None:
        async with working(database, pulls, grace=20) as queue:
            await queue.request(review())
            await until(lambda: pulls.running == {1})

    asyncio.run(main())
    assert pulls.reviewed == {1: 0}
    assert pulls.cancelled == []


@pytest.mark.parametrize("pruned", [False, True], ids=["seen", "pruned"])
@pytest.mark.parametrize("newer", [False, True], ids=["alone", "with a newer one"])
def test_the_job_of_a_dead_worker_is_requested_once_by_all_others(
    database: str, newer: bool, pruned: bool
) -> None:
    pulls = Pulls(seconds=0.0)

    async def main() -> None:
        async with JobQueue(database).opened() as one, JobQueue(database).opened() as other:
            await one.request(review())
            _take_and_die(database, pruned=pruned)
            if newer:
                await one.request(review())
            await asyncio.gather(*(queue.rescue() for queue in (one, other, one, other)))
            statuses = [job.status for job in await JobRecords(one).waiting_and_running()]
            assert statuses == ["todo"]
            assert await one.rescue() == 0
        async with working(database, pulls) as queue:
            await idle(queue)

    asyncio.run(main())
    assert pulls.reviewed == {1: 0}
    assert len(pulls.started) == 1


def test_the_job_of_a_dead_worker_that_was_to_be_ended_is_not_done(database: str) -> None:
    async def main() -> None:
        async with JobQueue(database).opened() as queue:
            number = await queue.request(review())
            assert number is not None
            _take_and_die(database)
            assert await queue.cancel(number)
            assert await queue.rescue() == 1
            assert await JobRecords(queue).waiting_and_running() == ()

    asyncio.run(main())


def test_the_job_of_a_living_worker_is_left_to_it(database: str) -> None:
    pulls = Pulls(seconds=2.5)

    async def main() -> None:
        async with working(database, pulls) as queue:
            await queue.request(review())
            await until(lambda: pulls.running == {1})
            await asyncio.sleep(2.2)
            assert await queue.rescue(stalled_after=2.0) == 0
            await idle(queue)

    asyncio.run(main())
    assert len(pulls.started) == 1


def _take_and_die(database: str, *, pruned: bool = False) -> None:
    """Takes the waiting job as a worker whose last sign of life was a minute ago, and is pruned or not."""
    with psycopg.connect(database, autocommit=True) as connection:
        worker = connection.execute("SELECT worker_id FROM procrastinate_register_worker_v1()").fetchone()
        assert worker is not None
        connection.execute("SELECT procrastinate_fetch_job_v2(NULL, %s)", worker)
        connection.execute(
            "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute' WHERE id = %s",
            worker,
        )
        if pruned:
            connection.execute("SELECT procrastinate_prune_stalled_workers_v1(30)")


def test_a_job_outlives_a_restart_of_the_database_and_the_worker_goes_on(
    postgres: Postgres, database: str
) -> None:
    pulls = Pulls(seconds=1.0)  # so that it is recorded while there is no database

    async def main() -> None:
        async with working(database, pulls, grace=20) as queue:
            await queue.request(review())
            await until(lambda: pulls.running == {1})
            await asyncio.to_thread(postgres.stop)
            with pytest.raises(QueueError, match="The database does not answer"):
                await queue.deliver("meanwhile", review(2))
            await asyncio.to_thread(postgres.start)
            await idle(queue)
            pulls.seconds = 0.0
            assert await queue.deliver("meanwhile", review(2))
            await idle(queue)

    asyncio.run(main())
    assert pulls.reviewed == {1: 0, 2: 0}
    assert pulls.cancelled == []
    assert len(pulls.started) == 2


async def _depth(queue: JobQueue) -> object:
    return await JobRecords(queue).depth()


def test_what_is_wrong_with_a_database_is_reported(postgres: Postgres, database: str) -> None:
    absent = database.replace("postgresql://postgres@", "postgresql://nobody-here@")
    no_server = "postgresql://127.0.0.1:9/hunkwise"

    async def fault(url: str, act: Callable[[JobQueue], Awaitable[object]]) -> str:
        with pytest.raises(QueueError) as raised:
            async with JobQueue(url).opened() as queue:
                await act(queue)
        return str(raised.value)

    async def main() -> list[str]:
        return [
            await fault(absent, _depth),
            await fault(no_server, _depth),
            await fault(postgres.empty_database(), lambda queue: queue.request(review())),
            await fault(postgres.empty_database(), JobQueue.rescue),
        ]

    role, refused, *untouched = asyncio.run(main())
    assert role.startswith("The database does not answer: ")
    assert 'role "nobody-here" does not exist' in role
    assert "Connection refused" in refused
    assert refused.endswith("Look at PostgreSQL, and at HUNKWISE_DATABASE_URL.")
    assert set(untouched) == {"The database has no tables of hunkwise. Run `hunkwise service migrate` once."}


@pytest.mark.parametrize(
    "url",
    [
        "postgres//user:Canary@host/name",
        "mysql://user:Canary@host/name",
        "postgresql://user:a@Canary@host/name",
        "postgresql://user:Canary/a@host/name",
        "postgresql://user:Canary a@host/name",
        "postgresql://user:Canary%a@host/name",
        "postgresql://user:Canary@host/name?unknown=1",
        "host=localhost password=a Canary",
        "Canary",
    ],
)
def test_a_malformed_address_is_reported_without_its_password(url: str) -> None:
    async def connect() -> None:
        async with JobQueue(url).opened():
            raise AssertionError

    with pytest.raises(SettingsError, match="HUNKWISE_DATABASE_URL is no address") as raised:
        asyncio.run(connect())
    assert "Canary" not in str(raised.value)


def test_a_job_that_fails_in_any_way_is_recorded(database: str) -> None:
    failures = {1: OSError(errno.ENOSPC, "full"), 2: KeyError("untrusted"), 3: Error("GitHub is gone.")}
    metrics = ServiceMetrics()

    async def run(_number: int, job: JobRequest) -> JobResult:
        raise failures[job.number]

    async def main() -> dict[int, JobRecord]:
        async with JobQueue(database, run, lambda _, *job: metrics.finish(*job)).opened() as queue:
            working = asyncio.create_task(queue.work(4, heartbeat=HEARTBEAT))
            for number in failures:
                await queue.request(review(number))
            await idle(queue)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            return {record.number: record for record in await JobRecords(queue).finished()}

    records = asyncio.run(main())
    assert {(record.status, record.exit_code) for record in records.values()} == {("failure", 3)}
    assert records[1].message.startswith("The disk is full.")
    assert records[2].message.startswith("KeyError: a fault of hunkwise's own")
    assert records[3].message == "GitHub is gone."
    assert metrics.registry.get_sample_value("hunkwise_jobs_total", {"kind": "review", "exit_code": "3"}) == 3


def test_a_database_without_an_encoding_has_texts_too(postgres: Postgres) -> None:
    """As the server's `initdb` makes it where no locale is set."""
    url = postgres.empty_database("ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")

    async def main() -> str:
        async with JobQueue(url).opened() as queue:
            await queue.migrate()
            await queue.move_cursor("deliveries", "2026-11-30 é")
            return await queue.cursor("deliveries")

    assert asyncio.run(main()) == "2026-11-30 é"


def test_two_processes_create_the_tables_once(postgres: Postgres) -> None:
    url = postgres.empty_database()

    async def main() -> list[bool]:
        async with JobQueue(url).opened() as one, JobQueue(url).opened() as other:
            assert not await one.is_ready()
            created = list(await asyncio.gather(one.migrate(), other.migrate()))
            assert await one.is_ready()
            return created

    assert sorted(asyncio.run(main())) == [False, True]


def test_what_is_older_than_a_month_is_deleted(database: str) -> None:
    async def main() -> None:
        async with working(database, Pulls(seconds=0.0)) as queue:
            for number in (1, 2):
                await queue.deliver(str(number), review(number))
                await idle(queue)
                if number == 1:
                    _age_everything(database, days=31)
            await queue.query(
                "INSERT INTO hunkwise_api_users VALUES (1, now(), 1), (2, now() - interval '31 days', 1) RETURNING id"
            )
            await queue.forget()
            assert await queue.query("SELECT id FROM hunkwise_api_users") == [{"id": 1}]
            assert [job.number for job in await JobRecords(queue).finished()] == [2]
            (row,) = await JobRecords(queue).cost_by_day()
            assert (row["repository"], row["jobs"], row["calls"], row["credits"]) == ("octo/repo", 1, 3, 0.5)
            assert [await queue.deliver(str(number), None) for number in (1, 2)] == [True, False]

    asyncio.run(main())
    with psycopg.connect(database) as connection:
        left = connection.execute("SELECT args->'job'->>'number' FROM procrastinate_jobs").fetchall()
    assert left == [("2",)]


def _age_everything(database: str, days: int) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        for table, column in (
            ("hunkwise_deliveries", "at"),
            ("hunkwise_runs", "ended"),
            ("procrastinate_events", "at"),
        ):
            connection.execute(
                f"UPDATE {table} SET {column} = {column} - make_interval(days => {days})".encode()
            )


def test_the_progress_of_running_jobs_is_kept_as_long_as_they_run(database: str) -> None:
    async def main() -> list[str]:
        pulls = Pulls(seconds=1.0)
        async with working(database, pulls) as queue:
            records = JobRecords(queue)
            number = await queue.request(review())
            assert number is not None
            await until(lambda: bool(pulls.running))
            shown = []
            for line in ("Reading", "Reviewing part 1 \0 of 2 " + "x" * PROGRESS_LINE):
                await records.store_progress({number: line, number + 1_000: "another"})
                await queue.forget()
                shown += [job.message for job in await records.waiting_and_running()]
            await idle(queue)
            await queue.forget()
            assert await queue.query("SELECT * FROM hunkwise_progress") == []
            return shown

    first, second = asyncio.run(main())
    assert first == "Reading"
    assert second.startswith("Reviewing part 1  of 2 xxx")
    assert len(second) == PROGRESS_LINE - 1  # without the NUL, which PostgreSQL does not take


def test_a_cursor_is_kept(database: str) -> None:
    async def main() -> None:
        async with JobQueue(database).opened() as queue:
            assert await queue.cursor("deliveries") == ""
            for value in ("1", "2"):
                await queue.move_cursor("deliveries", value)
                assert await queue.cursor("deliveries") == value

    asyncio.run(main())


@pytest.mark.nightly
def test_a_thousand_jobs_drain(database: str) -> None:
    pulls = Pulls(seconds=0.0)

    async def main() -> None:
        async with JobQueue(database).opened() as queue:
            for number in range(1, 1001):
                await queue.deliver(str(number), review(number))
        async with working(database, pulls, count=2, parallel=16) as queue:
            await idle(queue, 120)

    asyncio.run(main())
    assert len(pulls.started) == len(pulls.reviewed) == 1_000


@pytest.mark.nightly
def test_pushes_to_two_hundred_pull_requests_on_two_workers(database: str) -> None:
    pulls = Pulls(seconds=0.3)
    pushes = [number for number in range(1, 201) for _ in range(5)]
    random.Random(1).shuffle(pushes)

    async def main() -> None:
        async with working(database, pulls, count=2, parallel=16) as queue:
            for index, number in enumerate(pushes):
                pulls.heads[number] = pulls.heads.get(number, 0) + 1
                await queue.deliver(str(index), review(number), supersedes=True)
            await idle(queue, 120)

    asyncio.run(main())
    assert pulls.overlaps == 0
    assert pulls.reviewed == dict.fromkeys(range(1, 201), 5)


@pytest.mark.nightly
def test_a_worker_begins_again_after_an_outage_that_was_too_long(postgres: Postgres, database: str) -> None:
    pulls = Pulls(seconds=60)

    async def main() -> None:
        async with working(database, pulls) as queue:
            await queue.request(review())
            await until(lambda: pulls.running == {1})
            await asyncio.to_thread(postgres.stop)
            await until(lambda: pulls.cancelled != [], 60)
            pulls.seconds = 0.0
            await asyncio.to_thread(postgres.start)
            async with asyncio.timeout(90):
                while not pulls.reviewed:
                    await queue.rescue(stalled_after=3)
                    await asyncio.sleep(0.5)
            await idle(queue)

    asyncio.run(main())
    assert pulls.reviewed == {1: 0}
