"""A paused pull request is reviewed only if a person asks for it, and a command in a thread decides a finding."""

from __future__ import annotations

from dataclasses import replace

from hunkwise.domain.pull_request import Comment
from hunkwise.publish.documents import updated_summary
from hunkwise.tracking.markers import Pause, ThreadDecision, decision_marker
from hunkwise.tracking.state import empty_state, latest_state
from tests.end_to_end.github_snapshot import snapshot
from tests.end_to_end.step import READ_TOKEN
from tests.end_to_end.test_forks import make_report, opened, publish_step
from tests.end_to_end.test_settings import DISPATCH
from tests.end_to_end.world import BASE, World, finding, report_call
from tests.end_to_end.write_log import report_faults
from tests.fakes.model_script import Answer, ModelRequest, turns

BOT = "github-actions[bot]"
PAUSE = Pause("octocat", "2026-01-02T03:04:05Z")
SENTENCE = "Automatic reviews of this pull request are paused, by octocat on 2026-01-02 at 03:04 UTC."
NO_REVIEW = {"conclusion": "success", "findings": "0"}


def set_pause(world: World, pause: Pause | None) -> None:
    """Writes the summary comment as the command `stop` or `resume` does."""
    ours = {one.id: one for one in world.github.issue_comments}
    comments = [Comment(number, one.body) for number, one in ours.items()]
    state = latest_state(comments, repository="octo/repo", number=1) or empty_state("octo/repo", 1)
    body, number = updated_summary(comments, replace(state, paused=pause))
    if number is None:
        world.github.say(1, BOT, body)
    else:
        ours[number].body = body


def test_automatic_run_ends_with_notice_and_requested_run_reviews(world: World) -> None:
    world.change(script=turns([report_call(finding())]))
    set_pause(world, PAUSE)
    written = world.posted
    automatic = world.run(code=0)
    (notice,) = automatic.commands("notice")
    assert notice.startswith(SENTENCE)
    assert (automatic.outputs, automatic.report) == (NO_REVIEW, None)
    assert (world.model.requests, world.github.check_runs, world.posted) == ([], [], written)
    requested = world.run({"pull-request": "1"}, code=0, **DISPATCH)
    assert (requested.commands("notice"), requested.outputs["findings"]) == ([], "1")
    assert len(world.github.reviews) == 1
    assert SENTENCE in world.summary_comment
    assert world.run(code=0).outputs == NO_REVIEW


def test_resumed_pull_request_is_reviewed_again(world: World) -> None:
    head = BASE["app.py"].replace("line 3\n", "fault(A)\n")
    world.change(BASE, {"app.py": head}, script=report_faults)
    world.run(code=0)
    set_pause(world, PAUSE)
    world.push({"app.py": head.replace("line 30\n", "fault(B)\n")})
    assert world.run(code=0).outputs == NO_REVIEW
    set_pause(world, None)
    assert SENTENCE not in world.summary_comment
    resumed = world.run(code=0)
    assert resumed.outputs["findings"] == "2"
    # What was found before the pause is not posted again.
    assert snapshot(world).comments == (("app.py", 3, "Fault A"), ("app.py", 30, "Fault B"))


def test_running_review_posts_nothing_when_paused(world: World) -> None:
    def stop_meanwhile(request: ModelRequest) -> Answer:
        set_pause(world, PAUSE)
        return report_call(finding())

    world.change(script=stop_meanwhile)
    result = world.run(code=0)
    assert (
        f"{SENTENCE} A comment `/hunkwise resume` continues them. Nothing was posted." in result.warning_text
    )
    assert (world.github.reviews, world.github.comments) == ([], [])
    assert len(world.github.issue_comments) == 1
    (check,) = world.github.check_runs
    assert (check.status, check.annotations) == ("completed", [])
    assert [one["where"] for one in result.report["findings"]] == ["summary"]


def test_requested_review_posts_although_paused_meanwhile(world: World) -> None:
    def stop_meanwhile(request: ModelRequest) -> Answer:
        set_pause(world, PAUSE)
        return report_call(finding())

    world.change(script=stop_meanwhile)
    result = world.run({"pull-request": "1"}, code=0, **DISPATCH)
    assert (len(world.github.reviews), result.warning_text) == (1, "")
    assert SENTENCE in world.summary_comment


def test_command_in_thread_dismisses_until_another_reopens(world: World) -> None:
    faults = {"app.py": BASE["app.py"].replace("line 3\n", "fault(A, high)\n")}
    world.change(BASE, faults, script=report_faults)
    gate = {"fail-on": "high"}
    world.run(gate, code=1)
    (thread,) = world.github.threads
    decision = ThreadDecision(dismissed=True, by="maintainer", resolved=False)
    world.github.reply(thread, BOT, f"Dismissed.\n\n{decision_marker(decision)}")
    assert world.run(gate, code=0).outputs["findings"] == "0"
    world.github.reply(thread, BOT, f"Reopened.\n\n{decision_marker(replace(decision, dismissed=False))}")
    assert world.run(gate, code=1).outputs["findings"] == "1"
    assert snapshot(world).comments == (("app.py", 3, "Fault A"),)


def test_paused_fork_is_neither_reviewed_nor_published_except_on_request(world: World) -> None:
    made = make_report(world)
    set_pause(world, PAUSE)
    reading = {"github-token": READ_TOKEN, "dry-run": "true"}
    for step in (world.step(reading, payload=opened(world)), publish_step(world, made)):
        result = world.record(step.run(), code=0)
        assert result.commands("notice")[0].startswith(SENTENCE)
        assert (result.outputs, world.github.writes) == (NO_REVIEW, [])
    requested = replace(
        publish_step(world, made), event_name="workflow_dispatch", payload=DISPATCH["payload"]
    )
    assert world.record(requested.run(), code=0).outputs["findings"] == "3"
    assert len(world.github.reviews) == 1
