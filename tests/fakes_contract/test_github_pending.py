"""Compares pending reviews, dismissals, and edited or deleted comments with PyGithub."""

from __future__ import annotations

from typing import Any

import pytest
from github import GithubException

from tests.fakes_contract.conftest import Served
from tests.fakes_contract.test_github_writing import comment

PULL = "/pulls/1"
ONE_PENDING = "can only have one pending review per pull request"


def start_review(served: Served, token: str = "ghs_write", **changes: Any) -> int:
    """Returns the id of a pending review with one comment."""
    pull = served.client(token).get_repo("octo/repo").get_pull(1)
    return pull.create_review(body="Later", comments=[comment(**changes)]).id


def test_only_author_sees_pending_review(github: Served) -> None:
    review = start_review(github)
    other_user = github.client("github_pat_x").get_repo("octo/repo").get_pull(1)
    (own,) = github.pull.get_reviews()
    assert (own.id, own.state, "submitted_at" in own.raw_data) == (review, "PENDING", False)
    assert list(other_user.get_reviews()) == []
    assert list(github.pull.get_review_comments()) == list(other_user.get_review_comments()) == []
    assert github.ask("GET", f"/pulls/comments/{github.fake.comments[0].id}")[0] == 404
    assert github.ask("GET", f"{PULL}/reviews/{review}")[0] == 200
    assert github.ask("GET", f"{PULL}/reviews/{review}", token="github_pat_x")[0] == 404


def test_author_of_pending_review_cannot_post(github: Served) -> None:
    other_user = github.client("github_pat_x").get_repo("octo/repo").get_pull(1)
    other = other_user.create_review(body="x", event="COMMENT", comments=[comment()])
    start_review(github)
    head = github.repo.get_commit(github.origin.head)
    review_comment = next(one for one in github.fake.comments if one.review_id == other.id)
    with pytest.raises(GithubException) as caught:
        github.pull.create_review(body="x", event="COMMENT")
    assert (caught.value.status, caught.value.data["errors"]) == (422, [f"User {ONE_PENDING}"])
    with pytest.raises(GithubException, match=f"user_id {ONE_PENDING}"):
        github.pull.create_review_comment("x", head, "logo.bin", subject_type="file")
    with pytest.raises(GithubException, match=f"user_id {ONE_PENDING}"):
        github.pull.create_review_comment_reply(review_comment.id, "x")
    other_user.create_review_comment("x", head, "logo.bin", subject_type="file")
    assert [len(thread.comments) for thread in github.fake.threads] == [1, 1, 1]


def test_all_see_submitted_review(github: Served) -> None:
    review = start_review(github)
    status, answer = github.ask(
        "POST", f"{PULL}/reviews/{review}/events", {"event": "COMMENT", "body": "Now"}
    )
    assert (status, answer["state"], answer["body"]) == (200, "COMMENTED", "Now")
    other_user = github.client("github_pat_x").get_repo("octo/repo").get_pull(1)
    assert [one.body for one in other_user.get_reviews()] == ["Now"]
    assert [one.body for one in other_user.get_review_comments()] == ["Here."]
    assert github.ask("POST", f"{PULL}/reviews/{review}/events", {"event": "COMMENT"})[0] == 422


def test_keeps_body_when_submitted_without_one(github: Served) -> None:
    review = start_review(github)
    assert github.ask("POST", f"{PULL}/reviews/{review}/events", {"event": "REQUEST_CHANGES"})[0] == 200
    assert (github.fake.reviews[0].body, github.fake.reviews[0].state) == ("Later", "CHANGES_REQUESTED")


def test_cannot_approve_own_pull_request_by_submitting(github: Served) -> None:
    review = start_review(github, "github_pat_x")
    github.fake.hub.pulls[1].author = "hubot"
    path = f"{PULL}/reviews/{review}/events"
    status, answer = github.ask("POST", path, {"event": "APPROVE"}, token="github_pat_x")
    assert (status, answer["errors"]) == (422, ["Review Can not approve your own pull request"])
    assert github.fake.reviews[0].state == "PENDING"


def test_deletes_pending_review_with_comments(github: Served) -> None:
    review = start_review(github)
    assert github.ask("DELETE", f"{PULL}/reviews/{review}")[0] == 200
    assert (github.fake.reviews, github.fake.comments, github.fake.threads) == ([], [], [])
    github.pull.create_review(body="x", event="COMMENT")


def test_cannot_delete_submitted_review(github: Served) -> None:
    review = github.pull.create_review(body="x", event="COMMENT")
    status, answer = github.ask("DELETE", f"{PULL}/reviews/{review.id}")
    assert (status, answer["errors"]) == (422, ["Can not delete a non-pending pull request review"])


@pytest.mark.parametrize(
    ("event", "state"), [("APPROVE", "APPROVED"), ("REQUEST_CHANGES", "CHANGES_REQUESTED")]
)
def test_dismisses_verdict(github: Served, event: str, state: str) -> None:
    review = github.pull.create_review(body="x", event=event)
    assert review.state == state
    review.dismiss("Nothing blocks any more.")
    stored = github.fake.reviews[0]
    assert (stored.state, stored.dismissal) == ("DISMISSED", "Nothing blocks any more.")
    with pytest.raises(GithubException, match="Can not dismiss a dismissed pull request review"):
        review.dismiss("Again.")


def test_refuses_dismissal_of_comment_or_without_message(github: Served) -> None:
    review = github.pull.create_review(body="x", event="COMMENT")
    with pytest.raises(GithubException, match="Can not dismiss a commented pull request review"):
        review.dismiss("No.")
    with pytest.raises(GithubException, match="Message can't be blank"):
        review.dismiss(" ")


def test_reads_and_edits_review_comment(github: Served) -> None:
    github.pull.create_review(body="x", event="COMMENT", comments=[comment()])
    review_comment = github.pull.get_review_comment(github.fake.comments[0].id)
    review_comment.edit("Fixed.")
    stored = github.fake.comments[0]
    assert (review_comment.body, stored.body, stored.edited_by) == ("Fixed.", "Fixed.", "github-actions[bot]")
    with pytest.raises(GithubException, match="too long"):
        review_comment.edit("x" * 65_537)


def test_reads_and_deletes_issue_comment(github: Served) -> None:
    review_comment = github.pull.create_issue_comment("First")
    assert github.pull.get_issue_comment(review_comment.id).body == "First"
    assert github.ask("DELETE", f"/issues/comments/{review_comment.id}") == (204, None)
    assert github.fake.issue_comments == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/pulls/1/reviews/1", None),
        ("DELETE", "/pulls/1/reviews/1", None),
        ("POST", "/pulls/1/reviews/1/events", {"event": "COMMENT"}),
        ("PUT", "/pulls/1/reviews/1/dismissals", {"message": "x"}),
        ("GET", "/pulls/comments/1", None),
        ("PATCH", "/pulls/comments/1", {"body": "x"}),
        ("GET", "/issues/comments/1", None),
        ("DELETE", "/issues/comments/1", None),
        ("GET", "/check-runs/1", None),
        ("PUT", "/pulls/1/reviews/1", {"body": "x"}),
        ("POST", "/pulls/1/comments/1/replies", {"body": "x"}),
        ("PATCH", "/issues/comments/1", {"body": "x"}),
        ("PATCH", "/check-runs/1", {"conclusion": "success"}),
        ("GET", "/compare/main", None),
        ("GET", "/compare/main...nowhere", None),
    ],
)
def test_missing_objects_are_not_found(github: Served, method: str, path: str, body: Any) -> None:
    assert github.ask(method, path, body)[0] == 404


def test_reply_needs_pull_request_of_the_comment(github: Served) -> None:
    github.fake.add_pull_request(2, base_sha="main", head_sha="feature")
    github.pull.create_review(body="x", event="COMMENT", comments=[comment()])
    path = f"/pulls/2/comments/{github.fake.comments[0].id}/replies"
    assert github.ask("POST", path, {"body": "x"})[0] == 404
