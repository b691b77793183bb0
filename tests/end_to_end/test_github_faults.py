"""Checks retries, fallbacks and messages for faults of GitHub."""

from __future__ import annotations

from typing import Any

import pytest

from tests.end_to_end.step import READ_TOKEN, Result
from tests.end_to_end.world import World, finding, report_call
from tests.fakes.model_script import report, turns

FINDINGS = [finding(title="First fault"), finding(line=30, severity="high", title="Second fault")]


def assert_failed(result: Result, *words: str) -> None:
    assert result.code == 3
    for word in words:
        assert word in result.error_text
        assert word in result.summary.replace("\\", "")


def test_unknown_token_and_missing_pull_request(world: World) -> None:
    world.change()
    unknown = world.run({"github-token": "ghs_unknown"})
    assert_failed(unknown, "did not accept the token", "github-token")
    payload = {"repository": {"full_name": "octo/repo"}}
    missing = world.run({"pull-request": "99"}, event_name="workflow_dispatch", payload=payload)
    assert_failed(missing, "/pulls/99", "Check owner, repository and number")
    assert world.model.requests == []


def test_renamed_repository_is_reviewed_under_its_new_name(world: World) -> None:
    world.change(script=report(FINDINGS))
    new = f"{world.github_url}/repos/octo/repo/pulls/1"
    world.github.fault("GET", "/repos/octo/old/pulls/1$", status=301, redirect=new)
    world.run(repository="octo/old", code=0)
    assert len(world.github.comments) == 2
    assert len(world.github.issue_comments) == 1


def test_read_only_token_puts_findings_into_summary(world: World) -> None:
    world.change(
        script=turns([report_call(*FINDINGS, finding("other.py", 1, title="Third fault")), report_call()])
    )
    result = world.run({"github-token": READ_TOKEN}, code=0)
    assert world.posted == ""
    for title in ("First fault", "Second fault", "Third fault"):
        assert title in result.summary
    warnings = result.warning_text
    assert "could not be posted" in warnings
    assert "pull-requests: write" in warnings
    assert "all 3 findings are in the job summary" in warnings
    assert {found["where"] for found in result.report["findings"]} == {"summary"}
    assert result.outputs["findings"] == "3"


@pytest.mark.parametrize("level", ["file", "body"])
def test_declined_comments_go_to_files_or_body(world: World, level: str) -> None:
    world.change(script=report(FINDINGS))
    world.github.hub.refused_lines.update(range(100))
    if level == "body":
        errors = [{"type": "UNPROCESSABLE", "message": "No.", "path": [alias]} for alias in ("m0", "m1")]
        answer = {"data": {"m0": None, "m1": None}, "errors": errors}
        world.github.fault("POST", "/graphql", asking='"subjectType": "FILE"', status=200, body=answer)
    result = world.run(code=0)
    assert [comment.subject_type for comment in world.github.comments] == (
        ["file"] * 2 if level == "file" else []
    )
    (review,) = world.github.reviews
    for title in ("First fault", "Second fault"):
        assert (title in review.body) == (level == "body")
        assert title in world.posted
    assert {found["where"] for found in result.report["findings"]} == {level}
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
def test_retries_failed_read(world: World, fault: dict[str, Any]) -> None:
    world.change(script=report(FINDINGS))
    world.github.fault("GET", "/pulls/1/files$", **fault)
    world.github.fault("POST", "/graphql$", asking="reviewThreads", **fault)
    world.run(code=0)
    assert len(world.github.comments) == 2


@pytest.mark.parametrize("path", ["/pulls/1$", "/pulls/1/files$", "/contents/.github/hunkwise.yml$"])
def test_fails_when_reads_keep_failing(world: World, path: str) -> None:
    world.change()
    world.github.fault("POST", "/graphql$", status=500, times=50)  # it may return the same data
    world.github.fault("GET", path, status=500, times=50)
    assert_failed(world.run(), "with 500", "Run it again")
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
def test_reports_invalid_response(world: World, fault: dict[str, Any], words: str) -> None:
    world.change()
    world.github.fault("GET", "/pulls/1$", **fault, times=9)
    assert_failed(world.run(), words)


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
def test_posts_review_once_after_failed_response(world: World, fault: dict[str, Any]) -> None:
    world.change(script=report(FINDINGS))
    world.github.fault("POST", "/reviews$", **fault)
    result = world.run(code=0)
    assert len(world.github.reviews) == 1
    assert len(world.github.comments) == 2
    assert result.outputs["review-url"].endswith(str(world.github.reviews[0].id))
    assert {found["where"] for found in result.report["findings"]} == {"inline"}


def test_review_that_cannot_be_posted_becomes_annotations(world: World) -> None:
    world.change(script=report(FINDINGS))
    world.github.fault("POST", "/reviews$", status=503, times=50)
    result = world.run(code=0)
    assert world.github.reviews == []
    assert {found["where"] for found in result.report["findings"]} == {"annotation"}
    (check_run,) = world.github.check_runs
    assert [note["title"] for note in check_run.annotations] == ["high: Second fault", "medium: First fault"]
    assert "Second fault" in result.summary
    assert "Second fault" in world.summary_comment
    assert "could not be posted" in result.warning_text
    assert result.report["faults"][-1]["kind"] == "github unavailable"


def test_reports_unreadable_conversation_in_note(world: World) -> None:
    world.change(script=report(FINDINGS))
    refusal: dict[str, Any] = {"status": 403, "body": {"message": "Resource not accessible"}}
    world.github.fault("POST", "/graphql$", asking="reviewThreads", **refusal)
    world.github.fault("GET", "/issues/1/comments$", **refusal)
    result = world.run(code=0)
    assert len(world.github.comments) == 2
    assert any("The conversation could not be read" in note for note in result.report["notes"])


@pytest.mark.parametrize(
    ("outage", "words"),
    [
        (["/graphql$"], "GitHub does not say whose the token is"),
        (["/graphql$", "/issues/1/comments$"], "the conversation could not be read"),
    ],
    ids=["whose", "what"],
)
def test_posts_nothing_when_duplicates_cannot_be_excluded(
    world: World, outage: list[str], words: str
) -> None:
    world.change(script=report(FINDINGS))
    for path in outage:
        world.github.fault("*", path, status=403, body={"message": "Resource not accessible"}, times=50)
    result = world.run(code=0)
    assert world.posted == ""
    assert words in result.warning_text
    assert {found["where"] for found in result.report["findings"]} == {"annotation"}
    for title in ("First fault", "Second fault"):
        assert title in result.summary


@pytest.mark.parametrize(("refused", "code"), [(False, 0), (True, 4)], ids=["taken", "refused"])
def test_last_level_decides_exit_code_and_check_run(world: World, refused: bool, code: int) -> None:
    world.change(script=report(FINDINGS))
    (world.folder / "a-file").touch()
    world.github.fault("POST", "/reviews$", status=403, times=9)
    if refused:
        world.github.fault("PATCH", "/check-runs/", asking='"annotations"', status=422, times=9)
    nowhere = {"GITHUB_STEP_SUMMARY": "", "RUNNER_TEMP": str(world.folder / "a-file" / "temp")}
    result = world.run(environ=nowhere, code=code)
    assert ("in the log alone" in result.warning_text) == refused
    (check_run,) = world.github.check_runs
    assert check_run.conclusion == result.outputs["conclusion"]
    assert len(check_run.annotations) == (0 if refused else 2)
    for text in (check_run.output["title"], world.summary_comment):
        assert ("in the log alone" in text) == refused
