"""What GitHub may answer instead: nothing is lost, nothing is posted twice, and each remedy is named."""

from __future__ import annotations

from typing import Any

import pytest

from tests.end_to_end.step import READ_TOKEN, Result
from tests.end_to_end.world import World, finding, said
from tests.fakes.model_script import report, turns

FOUND = [finding(title="First fault"), finding(line=30, severity="high", title="Second fault")]


def assert_no_review(result: Result, *words: str) -> None:
    assert result.code == 3
    for word in words:
        assert word in " ".join(result.commands("error"))
        assert word in result.summary.replace("\\", "")


def test_a_token_that_github_does_not_know_and_a_pull_request_that_is_not_there(world: World) -> None:
    world.change()
    unknown = world.run({"github-token": "ghs_unknown"})
    assert_no_review(unknown, "did not accept the token", "github-token")
    dispatch = {"event_name": "workflow_dispatch", "payload": {"repository": {"full_name": "octo/repo"}}}
    missing = world.run({"pull-request": "99"}, **dispatch)
    assert_no_review(missing, "/pulls/99", "Check owner, repository and number")
    assert world.model.requests == []


def test_a_read_only_token_leaves_every_finding_in_the_summary(world: World) -> None:
    world.change()
    world.answers(turns([said(*FOUND, finding("other.py", 1, title="Third fault")), said()]))
    result = world.run({"github-token": READ_TOKEN})
    assert result.code == 0
    assert world.posted == ""
    for title in ("First fault", "Second fault", "Third fault"):
        assert title in result.summary
    warnings = " ".join(result.commands("warning"))
    assert "could not be posted" in warnings
    assert "pull-requests: write" in warnings
    assert "3 in the job summary" in warnings
    assert {found["where"] for found in result.report["findings"]} == {"summary"}
    assert result.outputs["findings"] == "3"


@pytest.mark.parametrize("rung", ["file", "body"])
def test_comments_that_github_declines_are_all_on_their_files_or_in_the_reviews_body(
    world: World, rung: str
) -> None:
    world.change()
    world.answers(report(FOUND))
    world.github.hub.refused_lines.update(range(100))
    if rung == "body":
        errors = [{"type": "UNPROCESSABLE", "message": "No.", "path": [alias]} for alias in ("m0", "m1")]
        answer = {"data": {"m0": None, "m1": None}, "errors": errors}
        world.github.fault("POST", "/graphql", asking='"subjectType": "FILE"', status=200, body=answer)
    result = world.run()
    assert result.code == 0
    assert [comment.subject_type for comment in world.github.comments] == (
        ["file"] * 2 if rung == "file" else []
    )
    (review,) = world.github.reviews
    for title in ("First fault", "Second fault"):
        assert (title in review.body) == (rung == "body")
        assert title in world.posted
    assert {found["where"] for found in result.report["findings"]} == {rung}
    assert any("must be part of the diff" in note for note in result.report["notes"])


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 502, "times": 2},
        {"status": 503, "html": True},
        {"disconnect": True},
        {"truncate": True},
        {"status": 429, "headers": {"retry-after": "1"}},
        {"status": 403, "headers": {"retry-after": "1"}, "body": {"message": "secondary rate limit"}},
    ],
    ids=["502", "html", "disconnect", "truncate", "429", "403-limit"],
)
def test_a_read_that_fails_for_a_while_is_repeated(world: World, fault: dict[str, Any]) -> None:
    world.change()
    world.answers(report(FOUND))
    world.github.fault("GET", "/pulls/1/files$", **fault)
    world.github.fault("POST", "/graphql$", asking="reviewThreads", **fault)
    result = world.run()
    assert result.code == 0
    assert len(world.github.comments) == 2


@pytest.mark.parametrize("path", ["/pulls/1$", "/pulls/1/files$", "/contents/.github/hunkwise.yml$"])
def test_a_read_that_keeps_failing_makes_no_review(world: World, path: str) -> None:
    world.change()
    world.github.fault("POST", "/graphql$", status=500, times=50)  # it may have told the same
    world.github.fault("GET", path, status=500, times=50)
    assert_no_review(world.run(), "with 500", "Run the job again")
    assert world.model.requests == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"html": True, "status": 200}, "makes no sense"),
        ({"status": 200, "body": {}}, "makes no sense"),
        (
            {"status": 403, "headers": {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "4000000000"}},
            "when the limit is reset",
        ),
        ({"status": 403, "body": {"message": "Resource not accessible"}}, "pull-requests: write"),
        ({"redirect": "https://evil.example/steal"}, "which was not followed"),
    ],
    ids=["html", "empty", "limit", "forbidden", "redirect"],
)
def test_an_answer_that_is_none_is_told_as_such(world: World, fault: dict[str, Any], words: str) -> None:
    world.change()
    world.github.fault("GET", "/pulls/1$", **fault, times=9)
    assert_no_review(world.run(), words)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 502, "commit_then_fail": True},
        {"disconnect": True, "commit_then_fail": True},
        {"html": True, "status": 200, "commit_then_fail": True},
        {"status": 502},
        {"status": 200, "body": {}},
        {"status": 429, "headers": {"retry-after": "1"}},
    ],
    ids=["stored-502", "stored-cut", "stored-html", "502", "empty", "429"],
)
def test_a_review_is_posted_once_whatever_became_of_the_answer(world: World, fault: dict[str, Any]) -> None:
    world.change()
    world.answers(report(FOUND))
    world.github.fault("POST", "/reviews$", **fault)
    result = world.run()
    assert result.code == 0
    assert len(world.github.reviews) == 1
    assert len(world.github.comments) == 2
    assert result.outputs["review-url"].endswith(str(world.github.reviews[0].id))
    assert {found["where"] for found in result.report["findings"]} == {"inline"}


def test_a_review_that_cannot_be_stored_is_in_the_summary(world: World) -> None:
    world.change()
    world.answers(report(FOUND))
    world.github.fault("POST", "/reviews$", status=503, times=50)
    result = world.run()
    assert result.code == 0
    assert world.github.reviews == []
    assert {found["where"] for found in result.report["findings"]} == {"annotation"}
    (check_run,) = world.github.check_runs
    assert [note["title"] for note in check_run.annotations] == ["high: Second fault", "medium: First fault"]
    assert "Second fault" in result.summary
    assert "Second fault" in world.summary_comment
    assert "could not be posted" in " ".join(result.commands("warning"))
    assert result.report["faults"][-1]["kind"] == "github unavailable"


def test_a_conversation_that_cannot_be_read_at_first_costs_a_note_alone(world: World) -> None:
    world.change()
    world.answers(report(FOUND))
    outage = [("POST", "/graphql$", "reviewThreads"), ("GET", "/issues/1/comments$", "")]
    for method, path, asking in outage:
        refused = {"message": "Resource not accessible"}
        world.github.fault(method, path, status=403, body=refused, asking=asking)
    result = world.run()
    assert result.code == 0
    assert len(world.github.comments) == 2
    assert any("What was said before could not be read" in note for note in result.report["notes"])


@pytest.mark.parametrize(
    ("outage", "words"),
    [
        (["/graphql$"], "GitHub does not say whose the token is"),
        (["/graphql$", "/issues/1/comments$"], "what was said before could not be read"),
    ],
    ids=["whose", "what"],
)
def test_nothing_is_posted_where_it_could_be_a_repetition(
    world: World, outage: list[str], words: str
) -> None:
    world.change()
    world.answers(report(FOUND))
    for path in outage:
        world.github.fault("*", path, status=403, body={"message": "Resource not accessible"}, times=50)
    result = world.run()
    assert result.code == 0
    assert world.posted == ""
    assert words in " ".join(result.commands("warning"))
    assert {found["where"] for found in result.report["findings"]} == {"annotation"}
    for title in ("First fault", "Second fault"):
        assert title in result.summary


@pytest.mark.parametrize(("refused", "code"), [(False, 0), (True, 4)], ids=["taken", "refused"])
def test_the_last_rung_that_holds_is_told_by_check_run_and_exit_code_alike(
    world: World, refused: bool, code: int
) -> None:
    world.change()
    world.answers(report(FOUND))
    (world.folder / "a-file").touch()
    world.github.fault("POST", "/reviews$", status=403, times=9)
    if refused:
        world.github.fault("PATCH", "/check-runs/", asking='"annotations"', status=422, times=9)
    nowhere = {"GITHUB_STEP_SUMMARY": "", "RUNNER_TEMP": str(world.folder / "a-file" / "temp")}
    result = world.run(environ=nowhere)
    assert result.code == code
    assert ("in the log alone" in " ".join(result.commands("warning"))) == refused
    (check_run,) = world.github.check_runs
    assert check_run.conclusion == result.outputs["conclusion"]
    assert len(check_run.annotations) == (0 if refused else 2)
    for text in (check_run.output["title"], world.summary_comment):
        assert ("in the log alone" in text) == refused
