"""Two runs at once, and a pull request that changes while it is reviewed: one review, and never on wrong lines."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.end_to_end.github_snapshot import Snapshot, assert_nothing_unfinished, snapshot, summary_comments
from tests.end_to_end.step import Result, Step
from tests.end_to_end.world import World, wait_until
from tests.end_to_end.write_log import report_faults
from tests.fakes.model_script import Answer, ModelRequest, Script


def lines(**marked: str) -> str:
    """Sixty lines: `at3="…"` replaces the third."""
    return "".join(f"{marked.get(f'at{number}', f'line {number}')}\n" for number in range(1, 61))


BASE = {"app.py": lines()}
HEAD = {"app.py": lines(at3="fault(A)", at30="fault(B, high)")}
COMMENTS = (("app.py", 3, "Fault A"), ("app.py", 30, "Fault B"))


def slowly(*seconds: float) -> Script:
    """A model that takes so long over its n-th answer, and no time over those that follow."""

    def answer(request: ModelRequest) -> Answer:
        told = report_faults(request)
        late = seconds[request.number - 1] if request.number <= len(seconds) else 0.0
        return Answer(tool_calls=told.tool_calls, delay=late)

    return answer


def together(world: World, steps: Sequence[Step], waits: Sequence[Callable[[], bool]] = ()) -> list[Result]:
    """Runs all of them at once in processes; `waits` says when each but the first may begin."""
    with ThreadPoolExecutor(len(steps)) as pool:
        running = [pool.submit(steps[0].run)]
        for step, ready in zip(steps[1:], [*waits, *[lambda: True] * len(steps)], strict=False):
            wait_until(ready)
            running.append(pool.submit(step.run))
        return [world.record(one.result()) for one in running]


def assert_one_review(world: World, results: Sequence[Result]) -> Snapshot:
    """Each comment stands once; who posted and who stood back both say so."""
    left = snapshot(world)
    assert left.comments == COMMENTS
    assert len(left.reviews) == 1
    assert len(summary_comments(world.github)) == 1
    assert left.hunks == 2
    assert [result.code for result in results] == [0] * len(results)
    for result in results:
        assert result.outputs["findings"] == "2"
        stood_back = "posted nothing" in result.summary
        assert stood_back == any("newer run" in warning for warning in result.commands("warning"))
    return left


def test_a_second_run_that_comes_while_the_first_one_asks_posts_instead_of_it(world: World) -> None:
    world.change(BASE, HEAD)
    world.answer_with(slowly(6, 3))
    results = together(world, [world.step(), world.step()], [lambda: world.model.in_flight == 1])
    assert_one_review(world, results)


@pytest.mark.nightly
def test_a_second_run_that_is_quicker_than_the_first_leaves_it_nothing_to_say(world: World) -> None:
    world.change(BASE, HEAD)
    world.answer_with(slowly(6))
    results = together(world, [world.step(), world.step()], [lambda: world.model.in_flight == 1])
    assert_one_review(world, results)


def test_a_second_run_that_comes_while_the_first_one_posts_repeats_nothing(world: World) -> None:
    world.change(BASE, HEAD)
    world.answer_with(report_faults)
    arrived = threading.Event()
    world.github.when("POST", "/reviews$", arrived.set)
    world.github.fault("POST", "/reviews$", delay=3)
    results = together(world, [world.step(), world.step()], [arrived.is_set])
    assert_one_review(world, results)


def test_a_run_that_was_made_to_wait_looks_again_before_it_posts(world: World) -> None:
    world.change(BASE, HEAD)
    world.answer_with(report_faults)
    arrived = threading.Event()
    world.github.when("POST", "/reviews$", arrived.set)
    world.github.fault("POST", "/reviews$", status=429, headers={"retry-after": "15"})
    results = together(world, [world.step(), world.step()], [arrived.is_set])
    assert_one_review(world, results)


@pytest.mark.nightly
def test_three_runs_that_begin_together_end_in_one_review(world: World) -> None:
    world.change(BASE, HEAD)
    world.answer_with(slowly(4, 4, 4))
    assert_one_review(world, together(world, [world.step() for _ in range(3)]))


def push(world: World, *, rewritten: bool) -> None:
    """A commit on top of the head, or in its place, that has none of its faults on their lines."""
    git = world.repository.git
    if rewritten:
        git("checkout", "-q", "main")
        git("checkout", "-q", "-B", "feature")
    world.repository.commit({"app.py": lines(at45="fault(C)")})
    world.github.push(1, "feature")


def assert_nothing_was_said(world: World, result: Result, *words: str) -> None:
    """Nothing on the pull request: the findings are in the job summary and the report, and all say why."""
    github = world.github
    assert (github.reviews, github.comments, github.issue_comments) == ([], [], [])
    assert_nothing_unfinished(world)
    (check,) = github.check_runs
    assert (check.head_sha, check.conclusion) == (result.report["head_sha"], "success")
    assert check.annotations == []
    assert {found["where"] for found in result.report["findings"]} == {"summary"}
    assert (result.code, result.outputs["findings"], result.outputs["review-url"]) == (0, "2", "")
    for word in words:
        assert word in result.summary
        assert word in result.warning_text
        assert word in check.output["summary"]


@pytest.mark.parametrize("rewritten", [False, True], ids=["a push", "a force-push"])
def test_a_push_while_the_model_is_asked_leaves_all_to_the_run_for_the_new_head(
    world: World, rewritten: bool
) -> None:
    world.change(BASE, HEAD)
    world.answer_with(slowly(1))
    world.github.when("POST", "/check-runs$", lambda: push(world, rewritten=rewritten), after=True)
    assert_nothing_was_said(world, world.run(), "head moved", "nothing was posted")
    assert world.run().code == 0
    assert snapshot(world).comments == (("app.py", 45, "Fault C"),)


@pytest.mark.parametrize("rewritten", [False, True], ids=["a push", "a force-push"])
def test_a_push_at_the_moment_of_the_review_never_leaves_a_comment_on_a_wrong_line(
    world: World, rewritten: bool
) -> None:
    world.change(BASE, HEAD)
    world.answer_with(report_faults)
    world.github.when("POST", "/reviews$", lambda: push(world, rewritten=rewritten))
    first = world.run()
    old_head = first.report["head_sha"]
    assert all(comment.commit_id == old_head for comment in world.github.comments)
    if rewritten:
        assert_nothing_was_said(world, first, "moved on")
    assert world.run().code == 0
    shown = {thread.comments[0].path: thread.line for thread in world.github.threads if not thread.resolved}
    assert shown == {"app.py": 45}
    assert_nothing_unfinished(world)


@pytest.mark.parametrize("merged", [False, True], ids=["closed", "merged"])
def test_nothing_is_posted_on_a_pull_request_that_was_closed_meanwhile(world: World, merged: bool) -> None:
    world.change(BASE, HEAD)
    world.answer_with(slowly(1))
    world.github.when("POST", "/check-runs$", lambda: world.github.close(1, merged=merged), after=True)
    word = "merged" if merged else "closed"
    assert_nothing_was_said(world, world.run(), f"was {word} while it was reviewed")


def test_a_summary_stays_as_it_was_where_the_head_moves_during_a_later_review(world: World) -> None:
    world.change(BASE, HEAD)
    world.answer_with(report_faults)
    assert world.run().code == 0
    before = summary_comments(world.github)
    world.repository.commit({"app.py": lines(at3="fault(A)", at30="fault(B, high)", at50="fault(D)")})
    world.github.push(1, "feature")
    world.github.when("POST", "/check-runs$", lambda: push(world, rewritten=False), after=True)
    world.answer_with(slowly(0, 1))
    assert world.run().code == 0
    assert summary_comments(world.github) == before
    assert world.run().code == 0
    assert [thread.resolved for thread in world.github.threads] == [True, True, False]
