"""Audits of the service: once in a day or a week, in turn, and after all reviews."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.service.installation import AuditTarget
from hunkwise.service.queue import JobQueue, JobRequest
from hunkwise.service.records import JobRecords
from hunkwise.service.upkeep import audit_job, audit_period, request_audits

SUNDAY = datetime(2026, 11, 29, 23, 59, tzinfo=UTC)
MONDAY = datetime(2026, 11, 30, 0, 0, tzinfo=UTC)


class Targets:
    """Two repositories of one installation, one of another."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.fails = 0
        """The installation that cannot be read."""

    def installations(self) -> list[int]:
        return [7, 8]

    def audit_targets(self, installation: int) -> list[AuditTarget]:
        self.asked.append(installation)
        if installation == self.fails:
            raise GitHubError(GitHubErrorKind.RATE_LIMIT, "Ask later.")
        of_seven = [AuditTarget(7, "octo/a", "a" * 40), AuditTarget(7, "octo/b", "b" * 40)]
        return of_seven if installation == 7 else [AuditTarget(8, "x/c", "c" * 40)]


@pytest.mark.parametrize(
    ("every", "now", "period"),
    [
        ("", MONDAY, ""),
        ("daily", SUNDAY, "2026-11-29"),
        ("daily", MONDAY, "2026-11-30"),
        ("weekly", SUNDAY, "2026-W48"),
        ("weekly", MONDAY, "2026-W49"),
        ("weekly", datetime(2027, 1, 3, tzinfo=UTC), "2026-W53"),
    ],
)
def test_a_day_and_a_week_have_a_name(every: str, now: datetime, period: str) -> None:
    assert audit_period(every, now) == period


async def requested(database: str) -> None:
    targets = Targets()
    async with JobQueue(database).opened() as queue:
        assert await request_audits(queue, targets, "", SUNDAY) == 0
        assert targets.asked == []
        assert await request_audits(queue, targets, "weekly", SUNDAY) == 3
        assert await request_audits(queue, targets, "weekly", SUNDAY) == 0
        assert await request_audits(queue, targets, "weekly", MONDAY) == 3
        assert targets.asked == [7, 8, 7, 8]
        waiting = await JobRecords(queue).waiting_and_running()
        assert [job.repository for job in waiting] == ["octo/a", "octo/b", "x/c"], (
            "those of Sunday still wait"
        )


def test_audits_are_queued_once_in_a_period(database: str) -> None:
    asyncio.run(requested(database))


def test_a_failure_leaves_the_other_installations_and_is_made_good(database: str) -> None:
    async def main() -> None:
        targets = Targets()
        async with JobQueue(database).opened() as queue:
            targets.fails = 7
            with pytest.raises(GitHubError):
                await request_audits(queue, targets, "daily", MONDAY)
            targets.fails = 0
            assert await request_audits(queue, targets, "daily", MONDAY) == 2
            assert await request_audits(queue, targets, "daily", MONDAY) == 0
        assert targets.asked == [7, 8, 7]

    asyncio.run(main())


def test_audits_of_an_installation_run_in_turn_and_after_reviews() -> None:
    first, second, other = (
        audit_job(target) for installation in (7, 8) for target in Targets().audit_targets(installation)
    )
    review = JobRequest("review", "octo/a", 7, "pull_request", {}, 1)
    assert first.lock == second.lock
    assert first.lock not in (other.lock, review.lock)
    assert len({job.queueing_lock for job in (first, second, other, review)}) == 4
    assert review.priority > first.priority
