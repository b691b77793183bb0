"""Compares writes to the fake GitHub with PyGithub: reviews, comments, threads, check runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from github import GithubException
from github.GithubObject import NotSet
from github.PullRequest import ReviewComment

from tests.fakes.github import FakeGitHub
from tests.fakes_contract.conftest import Served

LINE = {"path": "src/long.txt", "line": 1, "side": "RIGHT", "body": "Here."}
OUTSIDE = (
    "Pull request review thread line must be part of the diff and "
    "Pull request review thread diff hunk can't be blank"
)


def comment(**changes: Any) -> ReviewComment:
    made: Any = LINE | changes
    return {key: value for key, value in made.items() if value is not None}  # type: ignore[return-value]


def refusal(served: Served, event: str, body: str, *comments: ReviewComment, token: str = "ghs_write") -> Any:
    pull = served.client(token).get_repo("octo/repo").get_pull(1)
    with pytest.raises(GithubException) as caught:
        pull.create_review(body=body, event=event, comments=list(comments))
    assert caught.value.status == 422
    assert served.fake.reviews == []
    assert served.fake.comments == []
    return caught.value.data


def test_stores_review(github: Served) -> None:
    review = github.pull.create_review(
        body="Summary",
        event="COMMENT",
        comments=[
            comment(),
            comment(line=12, start_line=11, start_side="RIGHT"),
            comment(line=11, side="LEFT", body="Gone."),
            comment(path="src/gone.txt", line=1, side="LEFT"),
        ],
    )
    stored = github.fake.reviews[0]
    assert (review.id, review.user.login, review.state) == (stored.id, "github-actions[bot]", "COMMENTED")
    assert review.html_url == f"{github.url}/octo/repo/pull/1#pullrequestreview-{stored.id}"
    assert (review.commit_id, review.submitted_at is None) == (github.origin.head, False)
    placed = [
        (kept.path, kept.start_line, kept.line, kept.side) for kept in github.pull.get_review_comments()
    ]
    assert placed == [
        ("src/long.txt", None, 1, "RIGHT"),
        ("src/long.txt", 11, 12, "RIGHT"),
        ("src/long.txt", None, 11, "LEFT"),
        ("src/gone.txt", None, 1, "LEFT"),
    ]
    assert [write.path for write in github.fake.writes] == ["/repos/octo/repo/pulls/1/reviews"]
    assert [kept.body for kept in github.pull.get_reviews()] == ["Summary"]
    assert {kept.pull_request_review_id for kept in github.pull.get_review_comments()} == {review.id}


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"line": 25}, OUTSIDE),
        ({"line": 99_999}, OUTSIDE),
        ({"side": "LEFT", "line": 25}, OUTSIDE),
        (
            {"path": "docs/README.md"},
            "Pull request review thread path is invalid and Pull request review thread diff hunk can't be blank",
        ),
        (
            {"start_line": 3, "start_side": "RIGHT", "line": 2},
            "Pull request review thread start line must precede the end line.",
        ),
        (
            {"start_line": 2, "start_side": "RIGHT", "line": 12},
            "Pull request review thread start line must be part of the same hunk as the line.",
        ),
        (
            {"start_line": 24, "start_side": "RIGHT", "line": 25},
            "Pull request review thread line must be part of the diff, "
            "Pull request review thread start line must be part of the same hunk as the line., and "
            "Pull request review thread diff hunk can't be blank",
        ),
        ({"body": "x" * 65_537}, "Body is too long (maximum is 65536 characters)"),
    ],
)
def test_invalid_comment_refuses_review(github: Served, bad: dict[str, Any], sentence: str) -> None:
    declined = refusal(github, "COMMENT", "Summary", comment(), comment(**bad))
    assert declined == {
        "message": "Unprocessable Entity",
        "errors": [sentence],
        "documentation_url": "https://docs.github.com/rest/pulls/reviews#create-a-review-for-a-pull-request",
        "status": "422",
    }


@pytest.mark.parametrize(
    ("event", "body", "author", "sentence"),
    [
        ("COMMENT", "", "octocat", "Body can't be blank"),
        ("REQUEST_CHANGES", "No.", "hubot", "Review Can not request changes on your own pull request"),
        ("APPROVE", "Yes.", "hubot", "Review Can not approve your own pull request"),
    ],
)
def test_refuses_reviews(github: Served, event: str, body: str, author: str, sentence: str) -> None:
    github.fake.hub.pulls[1].author = author
    assert refusal(github, event, body, token="github_pat_x")["errors"] == [sentence]


def test_refuses_review_of_other_commit(github: Served) -> None:
    with pytest.raises(GithubException) as caught:
        github.pull.create_review(github.repo.get_commit(github.origin.base), "Summary", "COMMENT")
    assert caught.value.data["errors"] == ["Commit is not part of the pull request"]


def test_edits_review(github: Served) -> None:
    review = github.pull.create_review(body="First", event="COMMENT")
    review.edit("Second")
    assert [kept.body for kept in github.fake.reviews] == ["Second"]


def test_posts_single_comments_on_lines_and_files(github: Served) -> None:
    pull = github.pull
    commit = github.repo.get_commit(github.origin.head)
    on_line = pull.create_review_comment("Line.", commit, "new/file.py", line=1, side="RIGHT")
    on_file = pull.create_review_comment("File.", commit, "logo.bin", subject_type="file")
    assert (on_line.line, on_line.raw_data["subject_type"]) == (1, "line")
    assert "line" not in on_file.raw_data
    assert [(kept.path, kept.subject_type) for kept in github.fake.comments] == [
        ("new/file.py", "line"),
        ("logo.bin", "file"),
    ]
    reply = pull.create_review_comment_reply(on_line.id, "Indeed.")
    assert reply.in_reply_to_id == on_line.id
    assert [len(thread.comments) for thread in github.fake.threads] == [2, 1]


@pytest.mark.parametrize(
    ("path", "line", "start", "fields"),
    [
        ("new/file.py", 2, NotSet, ["line", "diff_hunk"]),
        ("docs/README.md", 1, NotSet, ["path", "diff_hunk"]),
        ("src/long.txt", 2, 2, ["start_line"]),
    ],
)
def test_refuses_single_comments_by_field(
    github: Served, path: str, line: int, start: Any, fields: list[str]
) -> None:
    commit = github.repo.get_commit(github.origin.head)
    with pytest.raises(GithubException) as caught:
        github.pull.create_review_comment("x", commit, path, line=line, side="RIGHT", start_line=start)
    errors = caught.value.data["errors"]
    assert (caught.value.status, caught.value.data["message"]) == (422, "Validation Failed")
    assert [error["field"] for error in errors] == [f"pull_request_review_thread.{name}" for name in fields]


def test_single_comment_needs_commit_and_body(github: Served) -> None:
    base = github.repo.get_commit(github.origin.base)
    head = github.repo.get_commit(github.origin.head)
    with pytest.raises(GithubException, match="commit_id"):
        github.pull.create_review_comment("x", base, "new/file.py", line=1)
    with pytest.raises(GithubException, match="missing_field"):
        github.pull.create_review_comment(" ", head, "new/file.py", line=1)


def test_writes_and_edits_issue_comments(github: Served) -> None:
    issue = github.pull
    posted = issue.create_issue_comment("First")
    posted.edit("Second")
    assert [kept.body for kept in issue.get_issue_comments()] == ["Second"]
    assert posted.html_url.endswith(f"#issuecomment-{posted.id}")
    with pytest.raises(GithubException, match="too long"):
        issue.create_issue_comment("x" * 65_537)


def test_limits_annotations_per_request(github: Served) -> None:
    note: Any = {
        "path": "a.py", "start_line": 1, "end_line": 1, "annotation_level": "warning", "message": "m",
    }  # fmt: skip
    output: Any = {"title": "t", "summary": "s", "annotations": [note] * 51}
    given = {"name": "hunkwise", "head_sha": github.origin.head, "output": output}
    assert github.ask("POST", "/check-runs", given)[0] == 422
    assert github.fake.check_runs == []
    assert any("is too long" in violation for violation in github.fake.violations)
    github.fake.violations.clear()
    output["annotations"].pop()
    run = github.repo.create_check_run("hunkwise", github.origin.head, status="in_progress", output=output)
    run.edit(conclusion="neutral", output={"title": "Review", "summary": "Done.", "annotations": [note]})
    stored = github.fake.check_runs[0]
    assert (stored.status, stored.conclusion, len(stored.annotations)) == ("completed", "neutral", 51)
    assert stored.output["summary"] == "Done."


def test_read_only_token_cannot_write(github: Served) -> None:
    pull = github.client("ghs_read").get_repo("octo/repo").get_pull(1)
    for write in (
        lambda: pull.create_review(body="x", event="COMMENT"),
        lambda: pull.create_issue_comment("x"),
        lambda: github.client("ghs_read").get_repo("octo/repo").create_check_run("x", github.origin.head),
    ):
        with pytest.raises(GithubException) as caught:
            write()
        assert (caught.value.status, caught.value.data["message"]) == (
            403,
            "Resource not accessible by integration",
        )


def test_unknown_requests_are_violations(make_github: Callable[..., FakeGitHub], github: Served) -> None:
    requester = github.client().requester
    for path, body in (
        ("/repos/octo/repo/pulls/1/reviews", {"body": "x", "event": "SHOUT"}),
        ("/repos/octo/repo/pulls/1/reviews", {"body": "x", "event": "COMMENT", "colour": "red"}),
        ("/repos/octo/repo/pulls/1/reviews", {"comments": [LINE | {"subject_type": "file"}]}),
        ("/repos/octo/repo/pulls/1/comments", {"body": "x"}),
    ):
        status, _, _ = requester.requestJson("POST", path, input=body)
        assert status == 422
    requester.requestJson("GET", "/repos/octo/repo/pulls/1/files?per_page=many&colour=red")
    requester.requestJson("GET", "/repos/octo/repo/zen")
    found = "\n".join(github.fake.violations)
    for words in (
        "'SHOUT' is not one of",
        "'colour'",
        "'subject_type'",
        "'commit_id' is a required",
        "no integer",
        "no route",
    ):
        assert words in found
    github.fake.violations.clear()
