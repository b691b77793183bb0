"""Compares reactions, single comments, their times and locked conversations with PyGithub and GraphQL."""

from __future__ import annotations

from typing import Any

import pytest
from github import GithubException
from github.IssueComment import IssueComment
from github.PullRequestComment import PullRequestComment

from tests.fakes.github_state import BOT, EDITED, POSTED, PUBLISHED
from tests.fakes_contract.conftest import Served
from tests.fakes_contract.conversation import graphql
from tests.fakes_contract.test_github_writing import LINE

LATER = "2026-02-03T04:05:06Z"
LOCKED = "because issue is locked"
NODE = """
query($id: ID!) { node(id: $id) { __typename ... on Comment { body createdAt updatedAt lastEditedAt } } }
"""


def in_conversation(served: Served) -> IssueComment:
    return served.pull.create_issue_comment("Hello")


def in_thread(served: Served) -> PullRequestComment:
    return served.pull.create_review_comment(
        "Here.", served.repo.get_commit(served.origin.head), "src/long.txt", line=1
    )


PLACES = pytest.mark.parametrize("place", [in_conversation, in_thread])


@PLACES
def test_reaction_exists_once_a_person(github: Served, place: Any) -> None:
    made = place(github)
    path = made.url.partition("/repos/octo/repo")[2]
    answers = [github.ask("POST", f"{path}/reactions", {"content": "eyes"}) for _ in range(2)]
    assert [status for status, _ in answers] == [201, 200]
    assert answers[0][1] == answers[1][1]
    assert answers[0][1]["user"]["login"] == BOT
    assert answers[0][1]["user"]["type"] == "Bot"
    made.create_reaction("rocket")
    person = github.ask("POST", f"{path}/reactions", {"content": "eyes"}, token="github_pat_x")[1]
    assert (person["user"]["login"], person["user"]["type"]) == ("hubot", "User")
    shown = [(one.user.login, one.content) for one in made.get_reactions()]
    assert shown == [(BOT, "eyes"), (BOT, "rocket"), ("hubot", "eyes")]
    assert [one["content"] for one in github.ask("GET", f"{path}/reactions?content=rocket")[1]] == ["rocket"]
    rollup = github.ask("GET", path)[1]["reactions"]
    assert (rollup["eyes"], rollup["rocket"], rollup["+1"], rollup["total_count"]) == (2, 1, 0, 3)


@PLACES
def test_refuses_unknown_reaction(github: Served, place: Any) -> None:
    made = place(github)
    with pytest.raises(GithubException):
        made.create_reaction("shrug")
    assert any("'shrug' is not one of" in violation for violation in github.fake.violations)
    github.fake.violations.clear()


@pytest.mark.parametrize("path", ["/issues/comments/1/reactions", "/pulls/comments/1/reactions"])
def test_missing_comment_takes_no_reaction(github: Served, path: str) -> None:
    assert github.ask("POST", path, {"content": "eyes"})[0] == 404


@pytest.mark.parametrize(
    ("permission", "statuses"),
    [
        ("read", (403, 403)),
        ("write:issues", (201, 403)),
        ("write:pulls", (201, 201)),
        ("write:pulls,read:issues", (403, 201)),
    ],
)
def test_reactions_need_permission(github: Served, permission: str, statuses: tuple[int, int]) -> None:
    paths = [place(github).url.partition("/repos/octo/repo")[2] for place in (in_conversation, in_thread)]
    github.fake.tokens["ghs_some"] = permission
    found = [
        github.ask("POST", f"{path}/reactions", {"content": "eyes"}, token="ghs_some")[0] for path in paths
    ]
    assert tuple(found) == statuses


def test_thumbs_down_are_in_graphql(github: Served) -> None:
    in_thread(github)
    comment = github.fake.comments[0]
    github.fake.react(comment, "ann")
    github.fake.react(comment, "ann")
    github.fake.react(comment, "ann", "eyes")
    query = """
    query { repository(owner: "octo", name: "repo") { pullRequest(number: 1) { reviewThreads(first: 1) { nodes {
      comments(first: 1) { nodes {
        all: reactions(first: 9) { nodes { content } }
        down: reactions(first: 9, content: THUMBS_DOWN) { nodes { user { login } } }
      } }
    } } } } }
    """
    pull = graphql(github, query)["data"]["repository"]["pullRequest"]
    (shown,) = pull["reviewThreads"]["nodes"][0]["comments"]["nodes"]
    assert shown == {
        "all": {"nodes": [{"content": "THUMBS_DOWN"}, {"content": "EYES"}]},
        "down": {"nodes": [{"user": {"login": "ann"}}]},
    }


@pytest.mark.parametrize(
    ("place", "kind", "updated"),
    [(in_conversation, "IssueComment", POSTED), (in_thread, "PullRequestReviewComment", PUBLISHED)],
)
def test_comment_has_times_and_node(github: Served, place: Any, kind: str, updated: str) -> None:
    """GitHub's own examples of new review comments have an update one second after their creation."""
    made = place(github)
    path = made.url.partition("/repos/octo/repo")[2]
    entry = github.ask("GET", path)[1]
    assert (entry["created_at"], entry["updated_at"]) == (POSTED, updated)
    node = graphql(github, NODE, id=entry["node_id"])["data"]["node"]
    assert (node["__typename"], node["createdAt"], node["updatedAt"]) == (kind, POSTED, updated)
    assert node["lastEditedAt"] is None
    made.edit("Changed")
    entry = github.ask("GET", path)[1]
    assert (entry["created_at"], entry["updated_at"]) == (POSTED, EDITED)
    node = graphql(github, NODE, id=entry["node_id"])["data"]["node"]
    assert (node["body"], node["updatedAt"], node["lastEditedAt"]) == ("Changed", EDITED, EDITED)


def test_pending_comment_is_no_node(github: Served) -> None:
    github.pull.create_review(body="Later", comments=[LINE])  # type: ignore[list-item]  # PyGithub's TypedDict
    answer = graphql(github, NODE, id=f"NODE_{github.fake.comments[0].id}")
    assert (answer["data"]["node"], answer["errors"][0]["type"]) == (None, "NOT_FOUND")


def test_comments_since_a_time(github: Served) -> None:
    in_conversation(github)
    in_thread(github)
    github.fake.hub.time = LATER
    said, reply = (
        in_conversation(github),
        github.pull.create_review_comment_reply(github.fake.comments[0].id, "Reply."),
    )
    found = {
        path: [one["id"] for one in github.ask("GET", f"{path}?since={LATER}")[1]]
        for path in ("/issues/1/comments", "/pulls/1/comments")
    }
    assert found == {"/issues/1/comments": [said.id], "/pulls/1/comments": [reply.id]}
    assert [len(github.ask("GET", f"{path}?since={POSTED}")[1]) for path in found] == [2, 2]


def test_comment_by_app_with_token_of_person(github: Served) -> None:
    made = in_conversation(github)
    path = f"/issues/comments/{made.id}"
    assert github.ask("GET", path)[1]["performed_via_github_app"] is None
    github.fake.issue_comments[0].via_app = True
    assert github.ask("GET", path)[1]["performed_via_github_app"]["name"] == "An app"
    in_thread(github)
    assert (
        "performed_via_github_app"
        not in github.ask("GET", f"/pulls/comments/{github.fake.comments[0].id}")[1]
    )


def test_reply_to_reply_is_not_found(github: Served) -> None:
    first = in_thread(github)
    reply = github.pull.create_review_comment_reply(first.id, "Reply.")
    with pytest.raises(GithubException) as caught:
        github.pull.create_review_comment_reply(reply.id, "Another.")
    assert caught.value.status == 404
    assert [len(thread.comments) for thread in github.fake.threads] == [2]


def test_review_comment_is_deleted(github: Served) -> None:
    first = in_thread(github)
    github.pull.create_review_comment_reply(first.id, "Reply.").delete()
    assert [len(thread.comments) for thread in github.fake.threads] == [1]
    first.delete()
    assert (github.fake.comments, github.fake.threads) == ([], [])
    with pytest.raises(GithubException) as caught:
        first.delete()
    assert caught.value.status == 404


def writes(served: Served, said: int, comment: int) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        ("POST", "/issues/1/comments", {"body": "x"}),
        ("PATCH", f"/issues/comments/{said}", {"body": "x"}),
        ("POST", f"/pulls/1/comments/{comment}/replies", {"body": "x"}),
        ("POST", "/pulls/1/comments", LINE | {"commit_id": served.origin.head}),
        ("PATCH", f"/pulls/comments/{comment}", {"body": "x"}),
    ]


def test_app_cannot_write_in_locked_conversation(github: Served) -> None:
    said, comment = in_conversation(github).id, in_thread(github).id
    github.fake.lock(1)
    assert github.pull.raw_data["locked"] is True
    for method, path, given in writes(github, said, comment):
        status, answer = github.ask(method, path, given)
        assert (status, LOCKED in answer["message"]) == (403, True), path
    for path in (f"/issues/comments/{said}", f"/pulls/comments/{comment}"):
        status, answer = github.ask("POST", f"{path}/reactions", {"content": "eyes"})
        assert (status, LOCKED in answer["message"]) == (403, True), path
    with pytest.raises(GithubException, match="lock prevents review"):
        github.pull.create_review(body="x", event="COMMENT")
    assert (len(github.fake.comments), len(github.fake.issue_comments), github.fake.reviews) == (1, 1, [])
    github.fake.lock(1, locked=False)
    assert github.ask("POST", "/issues/1/comments", {"body": "x"})[0] == 201


@pytest.mark.parametrize(
    ("role", "status"), [("read", 403), ("triage", 403), ("write", 201), ("maintain", 201), ("admin", 201)]
)
def test_person_with_write_access_can_comment_in_locked_conversation(
    github: Served, role: str, status: int
) -> None:
    first = in_thread(github)
    github.fake.lock(1)
    github.fake.hub.permissions["hubot"] = role
    for path in ("/issues/1/comments", f"/pulls/1/comments/{first.id}/replies"):
        assert github.ask("POST", path, {"body": "x"}, token="github_pat_x")[0] == status


def test_locked_issue(github: Served) -> None:
    issue = github.repo.create_issue("Audit")
    github.fake.lock(issue.number)
    assert github.repo.get_issue(issue.number).locked
    with pytest.raises(GithubException, match=LOCKED):
        issue.create_comment("x")
