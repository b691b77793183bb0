"""A comment is answered once: redelivered, run again, killed, refused by GitHub, or by two runs at a time."""

from __future__ import annotations

import shutil
from threading import Thread

import pytest

from tests.end_to_end import step_checks
from tests.end_to_end.commands import (
    AnyComment,
    answer_call,
    command,
    open_thread,
    reactions,
    replies,
    reply,
    run,
    step_for,
    write,
)
from tests.end_to_end.test_kills import Killer
from tests.end_to_end.world import World, wait_until
from tests.fakes.model_script import report, turns

ASK = "/hunkwise ask Why?"
IN_THREAD = pytest.mark.parametrize("in_thread", [False, True], ids=["pull request", "thread"])


def ask(world: World, in_thread: bool, body: str = ASK) -> AnyComment:
    """Opens pull request 1, and writes a comment on it or in a thread."""
    world.change(script=turns([answer_call()]))
    return write(world, body, on=open_thread(world, "octocat", "Look.") if in_thread else 1)


@IN_THREAD
def test_same_comment_three_times_is_answered_once(world: World, in_thread: bool) -> None:
    comment = ask(world, in_thread)
    results = [run(world, comment) for _ in range(3)]
    assert [one.commands("notice") for one in results[1:]] == [["This comment was answered before."]] * 2
    assert (len(replies(world)), len(world.model.requests)) == (1, 1)
    assert reactions(comment) == ["eyes", "rocket"]


@IN_THREAD
def test_two_commands_within_a_second_are_both_answered(world: World, in_thread: bool) -> None:
    comment = ask(world, in_thread)
    place = world.github.threads[0] if in_thread else 1
    other = write(world, "/hunkwise ask How?", on=place)
    assert comment.created_at == other.created_at
    for each in (other, comment):
        run(world, each)
        reply(world, each)
    assert len(replies(world)) == 2


@pytest.mark.parametrize("line", ["review", "dismiss 0123456", "stop", "help"])
def test_other_commands_are_carried_out_once(world: World, line: str) -> None:
    comment = ask(world, False, f"/hunkwise {line}")
    world.answer_with(report())
    run(world, comment)
    written = len(world.github.writes)
    run(world, comment)
    new = [one.path for one in world.github.writes[written:]]
    assert new == [f"/repos/octo/repo/issues/comments/{comment.id}/reactions"]
    assert len(replies(world, comment)) == 1


@IN_THREAD
@pytest.mark.parametrize("moment", ["before the reply", "after the reply", "before the rocket"])
def test_killed_run_is_completed_by_another_with_one_reply(
    world: World, moment: str, in_thread: bool
) -> None:
    comment = ask(world, in_thread)
    kill = Killer()
    path, body = (
        ("/reactions$", "rocket") if moment == "before the rocket" else ("(1/comments|/replies)$", "")
    )
    world.github.when("POST", path, kill, after=moment == "after the reply", body=body)
    if moment != "after the reply":
        world.github.fault("POST", path, disconnect=True, asking=body)
    step = step_for(world, comment)
    with step.started() as kill.process:
        kill.process.wait()
    wait_until(lambda: step_checks.processes_of(step.temporary) == [])
    shutil.rmtree(step.temporary)  # as the machine of a job that was killed
    assert len(replies(world)) == (moment != "before the reply")
    run(world, comment)
    assert len(replies(world)) == 1
    assert len(world.model.requests) == (2 if moment == "before the reply" else 1)


@IN_THREAD
def test_reply_whose_response_is_lost_is_not_repeated(world: World, in_thread: bool) -> None:
    comment = ask(world, in_thread)
    world.github.fault("POST", "(1/comments|/replies)$", status=502, commit_then_fail=True)
    run(world, comment)
    assert len(replies(world)) == 1
    assert reactions(comment) == ["eyes", "rocket"]


@IN_THREAD
def test_refused_reactions_do_not_prevent_the_reply(world: World, in_thread: bool) -> None:
    comment = ask(world, in_thread)
    world.github.fault("POST", "/reactions$", status=403, asking="rocket", times=9)
    run(world, comment)
    assert (len(replies(world)), reactions(comment)) == (1, ["eyes"])


@IN_THREAD
def test_two_runs_at_a_time_leave_one_reply(world: World, in_thread: bool) -> None:
    comment = ask(world, in_thread)
    others: list[Thread] = []

    def run_another() -> None:
        others.append(Thread(target=lambda: run(world, comment)))
        others[0].start()
        others[0].join()

    # The other run replies after this one has looked for replies, and before it posts its own.
    world.github.when("POST", "(1/comments|/replies)$", run_another)
    run(world, comment)
    assert len(others) == 1
    assert len(replies(world)) == 1


def test_refusal_for_permission_never_replies(world: World) -> None:
    world.change()
    for _ in range(3):
        comment, _ = command(world, "/hunkwise help", by="reader")
        run(world, comment)
        assert reactions(comment) == ["confused"]
    assert replies(world) == []


def test_reply_of_another_account_with_our_marker_does_not_count(world: World) -> None:
    comment = ask(world, False)
    world.github.say(1, "reader", f"Done.\n\n<!-- hunkwise:reply v1 to={comment.id} -->")
    run(world, comment)
    assert len(replies(world, comment)) == 1
