"""What GitHub shows while a review is made, and how two runs on one head know of each other."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import partial

import pytest

from hunkwise.domain.pull_request import CheckRun, PullRequest
from hunkwise.domain.review import CheckOutput, Conclusion
from hunkwise.errors import GitHubError
from hunkwise.flows.check_run import CheckRunProgress, repeat_check_run
from hunkwise.publish.annotations import Annotation, Level
from tests.flows.ports import AWAY, FORBIDDEN, RUN, World, mine
from tests.tracking.pushes import HEAD, said

NOTES = tuple(Annotation("a.py", line, line, Level.NOTICE, "A title", "In full.") for line in (1, 2, 3))
ENDING = (HEAD, Conclusion.SUCCESS, CheckOutput("Reviewed", "All of it.", "In full."))


def begun(**errors: GitHubError) -> tuple[World, CheckRunProgress]:
    """A run that has said that it is at work, as far as GitHub let it."""
    world = World(None, errors=errors)
    announcement = world.announcement()
    announcement.begin(HEAD)
    announcement.newer(said())  # waits for it
    return world, announcement


def test_a_review_is_announced_once_annotated_and_then_concluded() -> None:
    world, announcement = begun()
    announcement.begin(HEAD)
    assert announcement.annotate(HEAD, ()) == 0
    assert announcement.annotate(HEAD, NOTES) == 3
    announcement.end(*ENDING)
    announcement.close()
    assert world.told == ["check Reviewing", "annotate 100", "conclude 100 success"]
    assert world.checks.annotations == NOTES


@pytest.mark.parametrize("taken", [0, 2])
def test_a_check_run_that_was_never_begun_is_made_at_the_end(taken: int) -> None:
    world = World(None)
    announcement = world.announcement()
    world.checks.takes = taken
    assert announcement.annotate(HEAD, NOTES[:taken]) == taken
    announcement.end(*ENDING)
    announcement.close()
    assert [line for line in world.told if "annotate" not in line] == [
        "check Reviewing",
        "conclude 100 success",
    ]


def test_progress_is_told_every_ten_seconds_and_neither_at_the_end_nor_after_it() -> None:
    world, announcement = begun()
    told = []
    for seconds, done, due in (
        (9.9, 1, 0),
        (10.0, 2, 1),
        (11.0, 3, 0),
        (19.9, 4, 0),
        (20.0, 5, 1),
        (40, 8, 0),
    ):
        world.seconds = seconds
        announcement.progress(done, 8)
        told += [world.checks.lines.get(timeout=60) for _ in range(due)]
    announcement.end(*ENDING)
    world.seconds = 60.0
    announcement.progress(6, 8)
    announcement.close()
    assert told == [f"Reviewed {done} of 8 parts of the change." for done in (2, 5)]
    assert world.checks.lines.empty()
    assert world.told[-1] == "conclude 100 success"


@pytest.mark.parametrize("failed", [False, True])
def test_no_line_of_progress_comes_behind_the_conclusion(failed: bool) -> None:
    world, announcement = begun()
    under_way = threading.Event()
    world.checks.hold = lambda: under_way.wait(60)
    world.seconds = 10.0
    announcement.progress(1, 8)
    world.checks.lines.get(timeout=60)
    end = (
        (lambda: announcement.abandon("Failed", "It failed."))
        if failed
        else partial(announcement.end, *ENDING)
    )
    ending = threading.Thread(target=end)
    ending.start()
    ending.join(0.1)
    under_way.set()
    ending.join()
    announcement.close()
    assert [line.split()[0] for line in world.told] == ["check", "progress", "conclude"]


def test_nothing_is_told_of_a_run_that_was_not_begun() -> None:
    world = World(None)
    announcement = world.announcement()
    world.seconds = 60.0
    announcement.progress(1, 8)
    announcement.abandon("Failed", "It failed.")
    announcement.close()
    assert world.told == []


@pytest.mark.parametrize(
    ("run", "newer", "older"),
    [
        (mine(101), True, False),
        (mine(101, "other", "completed"), True, False),
        (mine(99, "other"), False, True),
        (mine(99, "other", "completed"), False, False),
        (mine(100), False, False),
        (CheckRun(101, "in_progress", external_id="a job of that name"), False, False),
        (CheckRun(99, "in_progress", external_id=""), False, False),
    ],
    ids=["newer", "newer and done", "older", "older and done", "itself", "a newer job", "an older job"],
)
def test_the_newest_check_run_of_ours_wins(run: CheckRun, newer: bool, older: bool) -> None:
    _, announcement = begun()
    talk = said(check_runs=(run,))
    assert announcement.newer(talk) == newer
    assert announcement.older(talk) == ((run.id,) if older else ())
    announcement.close()


def test_before_it_has_begun_every_unfinished_check_run_is_older() -> None:
    announcement = World(None).announcement()
    assert announcement.older(said(check_runs=(mine(50), mine(60, status="completed")))) == (50,)
    announcement.close()


def test_check_runs_of_dead_runs_are_concluded_too() -> None:
    world, announcement = begun()
    announcement.end(*ENDING, older=(98, 99))
    announcement.close()
    assert world.told == [
        "check Reviewing", "conclude 98 neutral", "conclude 99 neutral", "conclude 100 success",
    ]  # fmt: skip


@pytest.mark.parametrize("begin", [True, False])
def test_without_check_runs_nothing_is_shown_and_no_run_is_newer(begin: bool) -> None:
    world = World(None, errors={"check": FORBIDDEN})
    announcement = world.announcement()
    announcement.wait()
    if begin:
        announcement.begin(HEAD)
    announcement.wait()
    world.seconds = 60.0
    announcement.progress(1, 8)
    assert not announcement.newer(said(check_runs=(mine(101, "other"),)))
    assert announcement.annotate(HEAD, NOTES) == 0
    announcement.end(*ENDING, older=(99,))
    announcement.close()
    assert world.told == []


def test_a_check_run_that_cannot_be_concluded_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    _, announcement = begun(conclude=AWAY)
    announcement.end(*ENDING)
    announcement.close()
    assert "GitHub is away" in caplog.text


@pytest.mark.parametrize("abandoned", [0, 1, 2])
def test_whatever_ends_a_run_its_check_run_does_not_stay_in_progress(abandoned: int) -> None:
    world, announcement = begun()
    announcement.annotate(HEAD, NOTES)
    for _ in range(abandoned):
        announcement.abandon("Failed", "It failed.")
    announcement.close()
    assert world.told == ["check Reviewing", "annotate 100", "conclude 100 failure"]


def test_what_has_ended_cannot_be_abandoned() -> None:
    world, announcement = begun()
    announcement.end(*ENDING)
    announcement.abandon("Failed", "It failed.")
    announcement.close()
    assert world.told[-1] == "conclude 100 success"


@dataclass
class QueueChecks:
    """Check runs by commit."""

    runs: dict[str, tuple[CheckRun, ...]]
    created: list[tuple[object, ...]] = field(default_factory=list)

    def at(self, head_sha: str) -> tuple[CheckRun, ...]:
        return self.runs[head_sha]

    def create_completed(
        self, head_sha: str, external_id: str, output: CheckOutput, details_url: str, conclusion: Conclusion
    ) -> None:
        self.created.append((head_sha, external_id, output.title, details_url, conclusion))


def ended(check_id: int, conclusion: str, external_id: str = "hunkwise:1") -> CheckRun:
    return CheckRun(check_id, "completed", conclusion, external_id)


@pytest.mark.parametrize(
    ("runs", "conclusion"),
    [
        ((), None),
        ((mine(50),), None),
        ((ended(50, "success", "a job of that name"),), None),
        ((ended(50, "success"),), Conclusion.SUCCESS),
        ((ended(50, "failure"), ended(60, "success")), Conclusion.SUCCESS),
        ((ended(50, "success"), ended(60, "failure")), Conclusion.FAILURE),
        ((ended(50, "neutral"), ended(60, "failure", "a job of that name")), Conclusion.NEUTRAL),
        ((ended(50, "success"), mine(60)), Conclusion.SUCCESS),
        ((ended(50, "cancelled"),), Conclusion.CANCELLED),
        ((ended(50, "timed_out"),), Conclusion.FAILURE),
    ],
)
def test_a_merge_queue_gets_the_last_conclusion_at_the_head(
    runs: tuple[CheckRun, ...], conclusion: Conclusion | None
) -> None:
    pull = PullRequest("o/r", 7, "", "", "stranger", "main", "b" * 40, "feature", HEAD, url="https://x/7")
    checks = QueueChecks({HEAD: runs})
    assert repeat_check_run(checks, pull, "c" * 40, RUN) == conclusion
    made = ("c" * 40, f"hunkwise:{RUN}", "As in pull request #7", "https://x/7", conclusion)
    assert checks.created == ([made] if conclusion else [])
