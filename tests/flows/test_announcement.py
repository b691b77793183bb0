"""What GitHub shows while a review is made, and how two runs on one head know of each other."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from hunkwise.domain.pull_request import CheckRun, Comment
from hunkwise.domain.review import Conclusion
from hunkwise.errors import GitHubError
from hunkwise.flows.check_run import CheckRunProgress, CheckRunResult
from hunkwise.publish.annotations import Annotation, Level
from hunkwise.tracking.state import SUMMARY_MARKER, claim_marker, claimed_by
from tests.flows.outlets import AWAY, FORBIDDEN, World, mine
from tests.tracking.story import HEAD, said

NOTES = tuple(Annotation("a.py", line, line, Level.NOTICE, "A title", "In full.") for line in (1, 2, 3))
ENDING = CheckRunResult(Conclusion.SUCCESS, "Reviewed", "All of it.", "In full.", NOTES)


def begun(**errors: GitHubError) -> tuple[World, CheckRunProgress]:
    """A run that has said that it is at work, as far as GitHub let it."""
    world = World(None, errors=errors)
    announcement = world.announcement()
    announcement.begin(HEAD)
    announcement.newer(said())  # waits for it
    return world, announcement


def test_a_review_is_announced_once_and_concluded_with_its_annotations() -> None:
    world, announcement = begun()
    announcement.begin(HEAD)
    assert announcement.end(HEAD, ENDING) == 3
    announcement.close()
    assert world.told == ["check Reviewing", "conclude 100 success"]
    assert world.checks.annotations == NOTES


def test_a_check_run_that_was_never_begun_is_made_at_the_end() -> None:
    world = World(None)
    announcement = world.announcement()
    world.checks.takes = 2
    assert announcement.end(HEAD, ENDING) == 2
    announcement.close()
    assert world.told == ["check Reviewing", "conclude 100 success"]


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
    announcement.end(HEAD, ENDING)
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
        else partial(announcement.end, HEAD, ENDING)
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


def test_progress_needs_a_check_run() -> None:
    world, announcement = begun(check=FORBIDDEN)
    world.seconds = 60.0
    announcement.progress(1, 8)
    announcement.close()
    assert world.told == ["save 901", "delete 901"]  # no line of progress; the claim ends with the run


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
    announcement.end(HEAD, ENDING, older=(98, 99))
    announcement.close()
    assert world.told == [
        "check Reviewing", "conclude 98 neutral", "conclude 99 neutral", "conclude 100 success",
    ]  # fmt: skip


def test_without_check_runs_the_summary_comment_is_the_claim() -> None:
    world, announcement = begun(check=FORBIDDEN)
    (body,) = world.comments.bodies.values()
    assert claimed_by(body) == "42.abc"
    other = Comment(901, f"{SUMMARY_MARKER}\n{claim_marker('run.9')}\n…")
    assert announcement.newer(said(comments=(other,)))
    assert not announcement.newer(said(comments=(Comment(901, body),)))
    assert announcement.end(HEAD, ENDING, older=(99,)) == 0
    announcement.release()
    announcement.close()
    assert world.told == ["save 901", "delete 901"]


def test_what_is_read_after_the_wait_has_the_claim_in_it() -> None:
    world = World(None, errors={"check": FORBIDDEN})
    announcement = world.announcement()
    announcement.wait()
    announcement.begin(HEAD)
    announcement.wait()
    assert world.told == ["save 901"]
    announcement.close()


def test_what_can_neither_be_announced_nor_claimed_is_reviewed_all_the_same() -> None:
    world, announcement = begun(check=FORBIDDEN, save=FORBIDDEN)
    assert announcement.end(HEAD, ENDING) == 0
    announcement.release()
    announcement.close()
    assert world.told == []


def test_a_check_run_that_is_refused_only_at_the_end_claims_nothing() -> None:
    world = World(None, errors={"check": AWAY})
    announcement = world.announcement()
    assert announcement.end(HEAD, ENDING) == 0
    announcement.close()
    assert world.told == []


def test_a_check_run_that_cannot_be_concluded_took_no_annotation(caplog: pytest.LogCaptureFixture) -> None:
    _, announcement = begun(conclude=AWAY)
    assert announcement.end(HEAD, ENDING) == 0
    announcement.close()
    assert "GitHub is away" in caplog.text


def test_what_was_begun_and_failed_is_not_left_hanging() -> None:
    world, announcement = begun()
    announcement.abandon("Failed", "It failed.")
    announcement.abandon("Failed", "It failed.")
    announcement.close()
    assert world.told == ["check Reviewing", "conclude 100 failure"]


def test_whatever_ends_a_run_its_check_run_does_not_stay_in_progress() -> None:
    world, announcement = begun()
    announcement.close()
    assert world.told == ["check Reviewing", "conclude 100 failure"]


def test_a_claim_of_a_run_that_failed_is_taken_back() -> None:
    world, announcement = begun(check=FORBIDDEN)
    announcement.abandon("Failed", "It failed.")
    announcement.close()
    assert world.comments.bodies == {}


def test_a_claim_that_cannot_be_taken_back_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    world, announcement = begun(check=FORBIDDEN)
    world.to.errors["delete"] = AWAY
    announcement.release()
    announcement.close()
    assert "still says that a review is under way" in caplog.text


def test_what_has_ended_cannot_be_abandoned() -> None:
    world, announcement = begun()
    announcement.end(HEAD, ENDING)
    announcement.abandon("Failed", "It failed.")
    announcement.close()
    assert world.told[-1] == "conclude 100 success"
