"""Reviews that are not submitted, submitted ones that are taken back, and comments that are edited or deleted."""

from __future__ import annotations

from typing import Any

import pytest
from github import GithubException

from tests.fakes_contract.conftest import Served
from tests.fakes_contract.test_github_writing import comment

PULL = "/pulls/1"
ONE_PENDING = "can only have one pending review per pull request"


def begun(served: Served, token: str = "ghs_write", **changes: Any) -> int:
    """The id of a pending review with one comment."""
    pull = served.client(token).get_repo("octo/repo").get_pull(1)
    return pull.create_review(body="Later", comments=[comment(**changes)]).id


def test_a_pending_review_is_seen_by_its_author_only(github: Served) -> None:
    review = begun(github)
    stranger = github.client("github_pat_x").get_repo("octo/repo").get_pull(1)
    assert [(one.id, one.state) for one in github.pull.get_reviews()] == [(review, "PENDING")]
    assert list(stranger.get_reviews()) == []
    assert list(github.pull.get_review_comments()) == list(stranger.get_review_comments()) == []
    said = github.fake.comments[0].id
    assert github.ask("GET", f"/pulls/comments/{said}")[0] == 404
    assert github.ask("GET", f"{PULL}/reviews/{review}")[0] == 200
    assert github.ask("GET", f"{PULL}/reviews/{review}", token="github_pat_x")[0] == 404


def test_beside_a_pending_review_its_author_can_say_nothing_else(github: Served) -> None:
    stranger = github.client("github_pat_x").get_repo("octo/repo").get_pull(1)
    other = stranger.create_review(body="x", event="COMMENT", comments=[comment()])
    begun(github)
    head = github.repo.get_commit(github.origin.head)
    said = next(one for one in github.fake.comments if one.review_id == other.id)
    with pytest.raises(GithubException) as caught:
        github.pull.create_review(body="x", event="COMMENT")
    assert (caught.value.status, caught.value.data["errors"]) == (422, [f"User {ONE_PENDING}"])
    with pytest.raises(GithubException, match=f"user_id {ONE_PENDING}"):
        github.pull.create_review_comment("x", head, "logo.bin", subject_type="file")
    with pytest.raises(GithubException, match=f"user_id {ONE_PENDING}"):
        github.pull.create_review_comment_reply(said.id, "x")
    stranger.create_review_comment("x", head, "logo.bin", subject_type="file")
    assert [len(thread.comments) for thread in github.fake.threads] == [1, 1, 1]


def test_a_submitted_review_is_seen_by_all(github: Served) -> None:
    review = begun(github)
    status, answer = github.ask(
        "POST", f"{PULL}/reviews/{review}/events", {"event": "COMMENT", "body": "Now"}
    )
    assert (status, answer["state"], answer["body"]) == (200, "COMMENTED", "Now")
    stranger = github.client("github_pat_x").get_repo("octo/repo").get_pull(1)
    assert [one.body for one in stranger.get_reviews()] == ["Now"]
    assert [one.body for one in stranger.get_review_comments()] == ["Here."]
    assert github.ask("POST", f"{PULL}/reviews/{review}/events", {"event": "COMMENT"})[0] == 422


def test_a_review_keeps_its_body_when_it_is_submitted_without_one(github: Served) -> None:
    review = begun(github)
    assert github.ask("POST", f"{PULL}/reviews/{review}/events", {"event": "REQUEST_CHANGES"})[0] == 200
    assert (github.fake.reviews[0].body, github.fake.reviews[0].state) == ("Later", "CHANGES_REQUESTED")


def test_an_own_pull_request_cannot_be_approved_by_submitting_either(github: Served) -> None:
    review = begun(github, "github_pat_x")
    github.fake.hub.pulls[1].author = "hubot"
    path = f"{PULL}/reviews/{review}/events"
    status, answer = github.ask("POST", path, {"event": "APPROVE"}, token="github_pat_x")
    assert (status, answer["errors"]) == (422, ["Review Can not approve your own pull request"])
    assert github.fake.reviews[0].state == "PENDING"


def test_a_pending_review_is_deleted_with_its_comments(github: Served) -> None:
    review = begun(github)
    assert github.ask("DELETE", f"{PULL}/reviews/{review}")[0] == 200
    assert (github.fake.reviews, github.fake.comments, github.fake.threads) == ([], [], [])
    github.pull.create_review(body="x", event="COMMENT")


def test_a_submitted_review_cannot_be_deleted(github: Served) -> None:
    review = github.pull.create_review(body="x", event="COMMENT")
    status, answer = github.ask("DELETE", f"{PULL}/reviews/{review.id}")
    assert (status, answer["errors"]) == (422, ["Can not delete a non-pending pull request review"])


@pytest.mark.parametrize("event", ["APPROVE", "REQUEST_CHANGES"])
def test_a_verdict_is_dismissed(github: Served, event: str) -> None:
    review = github.pull.create_review(body="x", event=event)
    review.dismiss("Nothing blocks any more.")
    stored = github.fake.reviews[0]
    assert (stored.state, stored.dismissal) == ("DISMISSED", "Nothing blocks any more.")
    with pytest.raises(GithubException, match="Can not dismiss a dismissed pull request review"):
        review.dismiss("Again.")


def test_only_verdicts_can_be_dismissed_and_not_without_a_word(github: Served) -> None:
    review = github.pull.create_review(body="x", event="COMMENT")
    with pytest.raises(GithubException, match="Can not dismiss a commented pull request review"):
        review.dismiss("No.")
    with pytest.raises(GithubException, match="Message can't be blank"):
        review.dismiss(" ")


def test_a_review_comment_is_read_and_edited(github: Served) -> None:
    github.pull.create_review(body="x", event="COMMENT", comments=[comment()])
    said = github.pull.get_review_comment(github.fake.comments[0].id)
    said.edit("Fixed.")
    stored = github.fake.comments[0]
    assert (said.body, stored.body, stored.edited_by) == ("Fixed.", "Fixed.", "github-actions[bot]")
    with pytest.raises(GithubException, match="too long"):
        said.edit("x" * 65_537)


def test_a_comment_of_the_conversation_is_read_and_deleted(github: Served) -> None:
    said = github.pull.create_issue_comment("First")
    assert github.pull.get_issue_comment(said.id).body == "First"
    assert github.ask("DELETE", f"/issues/comments/{said.id}") == (204, None)
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
    ],
)
def test_what_does_not_exist_is_not_found(github: Served, method: str, path: str, body: Any) -> None:
    assert github.ask(method, path, body)[0] == 404


def test_a_reply_belongs_to_the_pull_request_in_its_path(github: Served) -> None:
    github.fake.add_pull_request(2, base_sha="main", head_sha="feature")
    github.pull.create_review(body="x", event="COMMENT", comments=[comment()])
    path = f"/pulls/2/comments/{github.fake.comments[0].id}/replies"
    assert github.ask("POST", path, {"body": "x"})[0] == 404
