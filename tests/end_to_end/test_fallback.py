"""One fault on each level: every finding stands on one that holds, once, and every word says which.

Each fault of GitHub's on each request is in tests/github (publisher, checks, comments, threads).
"""

from __future__ import annotations

from typing import Any

import pytest

from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.publish.finding_text import comment
from hunkwise.tracking.markers import review_marker
from tests.end_to_end.destinations import check_destinations, destinations
from tests.end_to_end.step import READ_TOKEN
from tests.end_to_end.world import World, finding, report_call
from tests.end_to_end.write_log import report_faults
from tests.fakes.github_messages import Request
from tests.fakes.github_reviews import create_review
from tests.fakes.github_state import BOT
from tests.fakes.model_script import turns

ALL_IN_PLACE = "inline file body"
OFTEN = 60
FORBIDDEN = {"status": 403, "body": {"message": "Resource not accessible by integration"}, "times": OFTEN}
UNKNOWN = {"status": 401, "times": OFTEN}
DOWN = {"status": 500, "times": OFTEN}
DECLINED = {
    "status": 422,
    "times": OFTEN,
    "body": {
        "message": "Unprocessable Entity",
        "errors": ["Pull request review thread line must be part of the diff"],
    },
}
SECONDARY = {
    "status": 403,
    "headers": {"retry-after": "1"},
    "body": {"message": "You have exceeded a secondary rate limit"},
}
STORED = {"status": 502, "commit_then_fail": True}
STORED_UNSEEN = {"disconnect": True, "commit_then_fail": True}
EMPTY = {"status": 200, "body": {}}


def refused(world: World, method: str, path: str, fault: dict[str, Any], **more: Any) -> None:
    world.github.fault(method, path, **{**fault, **more})


def requests(world: World, method: str, path: str) -> list[Request]:
    return [one for one in world.github.journal if one.method == method and one.path.endswith(path)]


@pytest.mark.parametrize(
    ("fault", "levels"),
    [
        (UNKNOWN, "annotation file annotation"),
        (DECLINED, "inline file annotation"),
        (DOWN, "annotation file annotation"),
        (SECONDARY, ALL_IN_PLACE),
    ],
    ids=["401", "422", "500", "secondary"],
)
def test_what_the_review_does_not_hold_the_check_run_does(
    world: World, fault: dict[str, Any], levels: str
) -> None:
    world.open_three_findings()
    refused(world, "POST", "/pulls/1/reviews$", fault)
    result = world.run()
    assert result.code == 0
    assert destinations(world.github, result) == levels
    if levels != ALL_IN_PLACE:
        assert "could not be posted" in result.warning_text


@pytest.mark.parametrize(
    ("fault", "levels"),
    [
        (FORBIDDEN, "annotation annotation annotation"),
        (DECLINED, "inline body body"),
    ],
    ids=["403", "422"],
)
def test_what_finds_no_place_on_its_file_is_in_the_reviews_body(
    world: World, fault: dict[str, Any], levels: str
) -> None:
    world.open_three_findings()
    refused(world, "POST", "/pulls/1/comments$", fault)
    result = world.run()
    assert result.code == 0
    assert destinations(world.github, result) == levels


@pytest.mark.parametrize(
    ("method", "path", "fault", "level"),
    [
        ("POST", "/check-runs$", FORBIDDEN, "summary"),
        ("PATCH", r"/check-runs/\d+$", {**DECLINED, "asking": '"annotations"'}, "summary"),
        ("PATCH", r"/check-runs/\d+$", STORED, "annotation"),
    ],
    ids=["403", "422", "stored"],
)
def test_what_the_check_run_does_not_hold_the_job_summary_does(
    world: World, method: str, path: str, fault: dict[str, Any], level: str
) -> None:
    world.open_three_findings()
    refused(world, "POST", "/pulls/1/reviews$", FORBIDDEN)
    refused(world, method, path, fault)
    result = world.run()
    assert result.code == 0
    assert destinations(world.github, result) == f"{level} file {level}"
    assert [run.status for run in world.github.check_runs] in ([], ["completed"])
    homeless = [*result.commands("notice"), *result.commands("warning")]
    assert any("It breaks." in said for said in homeless) == (level == "summary")


def test_a_check_run_that_cannot_be_concluded_is_concluded_by_the_next_run(world: World) -> None:
    world.open_three_findings()
    refused(world, "POST", "/pulls/1/reviews$", FORBIDDEN)
    refused(world, "PATCH", r"/check-runs/\d+$", DOWN, times=6)
    result = world.run()
    assert result.code == 0
    assert destinations(world.github, result) == "summary file summary"
    assert [run.status for run in world.github.check_runs] == ["in_progress"]
    assert world.run().code == 0
    assert [(run.status, run.conclusion) for run in world.github.check_runs] == [
        ("completed", "neutral"), ("completed", "success"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "comments"),
    [(FORBIDDEN, 0), (STORED_UNSEEN, 1)],
    ids=["403", "stored unseen"],
)
def test_a_summary_comment_that_cannot_be_written_loses_no_finding(
    world: World, fault: dict[str, Any], comments: int
) -> None:
    world.open_three_findings()
    refused(world, "POST", "/issues/1/comments$", fault)
    result = world.run()
    assert result.code == 0
    assert destinations(world.github, result) == ALL_IN_PLACE
    assert len(world.github.issue_comments) == comments
    noted = any("summary comment could not be written" in note for note in result.report["notes"])
    assert noted == (comments == 0)


def mended(world: World) -> None:
    """Pull request 1 after a push that mends what an earlier run, which then died, had commented on."""
    base = {"app.py": "".join(f"line {number}\n" for number in range(1, 31))}
    world.answer_with(report_faults)
    pull = world.change(base, {"app.py": base["app.py"].replace("line 9\n", "fault(Old, high)\n")})
    anchor = Anchor("app.py", 9, code="fault(Old, high)")
    old = Finding("app.py", Severity.HIGH, "Fault Old", "It breaks.", anchor, "Old")
    said = {"path": "app.py", "line": 9, "body": comment(old, server_url="https://github.com")}
    given = {"event": "COMMENT", "body": review_marker("1.dead", pull.head_sha), "comments": [said]}
    create_review(world.github.hub, pull, BOT, given)
    world.repository.commit({"app.py": base["app.py"].replace("line 9\n", "mended\n")})
    world.github.push(1, "feature")


@pytest.mark.parametrize(
    ("fault", "resolved", "answers", "edited"),
    [
        (FORBIDDEN, False, 0, True),
        (STORED, True, 1, False),
        (EMPTY, False, 0, False),
    ],
    ids=["403", "stored", "empty"],
)
def test_a_thread_that_cannot_be_resolved_is_edited_or_left_and_answered_once_at_most(
    world: World, fault: dict[str, Any], resolved: bool, answers: int, edited: bool
) -> None:
    mended(world)
    refused(world, "POST", "/graphql$", fault, asking="resolveReviewThread")
    result = world.run()
    assert result.code == 0
    assert check_destinations(world.github, result) == {}
    (thread,) = world.github.threads
    assert (thread.resolved, len(thread.comments) - 1) == (resolved, answers)
    assert thread.comments[0].body.startswith("**Fixed in ") == edited
    if fault is EMPTY:
        assert any("Threads were not resolved" in note for note in result.report["notes"])


def test_a_thread_that_can_be_neither_resolved_nor_edited_is_closed_by_a_later_run(world: World) -> None:
    mended(world)
    refused(world, "POST", "/graphql$", FORBIDDEN, asking="resolveReviewThread", times=1)
    refused(world, "PATCH", r"/pulls/comments/\d+$", FORBIDDEN, times=1)
    left = world.run()
    assert left.code == 0
    assert any("stay open" in note for note in left.report["notes"])
    assert not world.github.threads[0].resolved
    assert world.run().code == 0
    assert world.github.threads[0].resolved
    assert len(world.github.threads[0].comments) == 2


@pytest.mark.parametrize(
    ("permission", "levels", "comments"),
    [
        ("write:checks", "annotation annotation annotation", 0),
        ("write:pulls,none:checks", ALL_IN_PLACE, 1),
        ("write:pulls,read:issues", ALL_IN_PLACE, 0),
    ],
    ids=["checks alone", "no checks", "no comments"],
)
def test_a_token_with_some_permissions_uses_those(
    world: World, permission: str, levels: str, comments: int
) -> None:
    world.github.tokens[READ_TOKEN] = permission
    world.open_three_findings()
    result = world.run({"github-token": READ_TOKEN})
    assert result.code == 0
    assert destinations(world.github, result) == levels
    assert len(world.github.issue_comments) == comments


def test_a_gate_is_reached_whichever_rung_holds_the_finding(world: World) -> None:
    world.open_three_findings()
    refused(world, "POST", "/pulls/1/reviews$", FORBIDDEN)
    result = world.run({"fail-on": "high"})
    assert result.code == 1
    assert destinations(world.github, result) == "annotation file annotation"
    assert world.github.check_runs[-1].conclusion == "failure"


def test_without_a_place_for_the_job_summary_findings_are_in_the_report(world: World) -> None:
    world.open_three_findings()
    step = world.step({"github-token": READ_TOKEN}, environ={"GITHUB_STEP_SUMMARY": "/dev/null/none"})
    result = world.record(step.run())
    assert result.code == 0
    assert {found["where"] for found in result.report["findings"]} == {"report"}
    assert "in the JSON report" in result.warning_text


# Many findings


def numbered(world: World, count: int) -> list[dict[str, Any]]:
    """Pull request 1 with so many new lines, and a finding on each."""
    text = "".join(f"value_{number} = {number}\n" for number in range(1, count + 1))
    world.change({"README.md": "Read me.\n"}, {"many.py": text})
    found = [finding("many.py", line, title=f"Fault number {line}") for line in range(1, count + 1)]
    world.answer_with(
        turns(
            [report_call(*found[:60], done=False), report_call(*found[60:])]
            if count > 60
            else [report_call(*found)]
        )
    )
    return found


def test_one_bad_line_of_thirty_costs_its_own_place_alone(world: World) -> None:
    numbered(world, 30)
    world.github.hub.refused_lines.add(17)
    result = world.run()
    assert result.code == 0
    levels = check_destinations(world.github, result)
    assert levels.pop("Fault number 17") == "file"
    assert list(levels.values()) == ["inline"] * 29
    assert len(world.github.reviews) == 1
    first = requests(world, "POST", "/pulls/1/reviews")[0]
    last = requests(world, "POST", "/events")[0]
    assert last.position - first.position + 1 == 6


def test_a_bad_line_whose_file_takes_no_comment_is_in_the_body(world: World) -> None:
    numbered(world, 30)
    world.github.hub.refused_lines.add(17)
    error = {"type": "UNPROCESSABLE", "message": "path is invalid", "path": ["m0"]}
    no_file = {"status": 200, "body": {"data": {"m0": None}, "errors": [error]}}
    refused(world, "POST", "/graphql", no_file, asking='"subjectType": "FILE"')
    result = world.run()
    assert result.code == 0
    levels = check_destinations(world.github, result)
    assert levels.pop("Fault number 17") == "body"
    assert list(levels.values()) == ["inline"] * 29


def test_a_hundred_and_twenty_annotations_take_three_requests(world: World) -> None:
    numbered(world, 120)
    refused(world, "POST", "/pulls/1/reviews$", FORBIDDEN)
    result = world.run()
    assert result.code == 0
    assert list(check_destinations(world.github, result).values()) == ["annotation"] * 120
    (check,) = world.github.check_runs
    assert len(check.annotations) == 120
    asked = [one for one in world.github.journal if one.method == "PATCH" and '"annotations"' in one.text]
    assert [len(one.json["output"]["annotations"]) for one in asked] == [50, 50, 20]


def test_annotations_that_end_half_way_leave_the_rest_to_the_summary(world: World) -> None:
    numbered(world, 120)
    refused(world, "POST", "/pulls/1/reviews$", FORBIDDEN)
    refused(world, "PATCH", r"/check-runs/\d+$", DECLINED, asking='"Fault number 60"|: Fault number 60"')
    result = world.run()
    assert result.code == 0
    levels = list(check_destinations(world.github, result).values())
    assert (levels.count("annotation"), levels.count("summary")) == (50, 70)
    assert world.github.check_runs[0].conclusion == "success"
    assert len(result.commands("notice")) == 10
