"""Linked issues: read together with the conversation, and optional."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hunkwise.domain.pull_request import LinkedIssue
from tests.fakes.github_state import LinkedIssue as StoredIssue
from tests.github.conftest import World

ISSUES = [StoredIssue(4, "Pay once", "Twice is too often."), StoredIssue(5, "Elsewhere", "", "octo/other")]
READ = (
    LinkedIssue(4, "Pay once", "Twice is too often.", "octo/site"),
    LinkedIssue(5, "Elsewhere", "", "octo/other"),
)


def linked(world: World, token: str = "ghs_write") -> tuple[LinkedIssue, ...]:
    return world.client(token).conversation(1, world.head).linked_issues


def test_linked_issues_are_in_the_request_of_the_conversation(world: World) -> None:
    world.fake.hub.pulls[1].closes = ISSUES
    world.fake.journal.clear()
    assert linked(world) == READ
    assert [request.path for request in world.fake.journal] == ["/graphql"]


def test_conversation_is_read_without_permission_for_issues(world: World) -> None:
    world.fake.hub.pulls[1].closes = ISSUES
    world.fake.tokens["ghs_blind"] = "write:pulls,none:issues"
    assert linked(world, "ghs_blind") == ()


def test_at_most_ten_issues_are_listed(world: World) -> None:
    world.fake.hub.pulls[1].closes = [StoredIssue(number, "x") for number in range(1, 15)]
    assert [issue.number for issue in linked(world)] == list(range(1, 11))


def test_query_without_issues_is_sent_to_old_servers(world: World) -> None:
    message = "Field 'closingIssuesReferences' doesn't exist on type 'PullRequest'"
    body: dict[str, Any] = {"errors": [{"message": message, "extensions": {"code": "undefinedField"}}]}
    world.fake.fault("POST", "/graphql", status=200, body=body, asking="closingIssuesReferences", times=9)
    world.fake.journal.clear()
    conversation = world.client().conversation(1, world.head)
    assert (conversation.linked_issues, conversation.head_sha) == ((), world.head)
    requests = [json.dumps(request.json) for request in world.fake.journal]
    assert ["closingIssuesReferences" in one for one in requests] == [True, False]


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"nodes": None},
        {"nodes": [None, {"number": None}, {"number": "7"}, {"number": True}]},
    ],
)
def test_invalid_issues_are_omitted(world: World, value: object) -> None:
    nothing = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
    pull = {
        "state": "OPEN",
        "headRefOid": "0" * 40,
        "reviewThreads": nothing,
        "comments": nothing,
        "reviews": nothing,
        "closingIssuesReferences": value,
    }
    body = {"data": {"viewer": {"login": "me"}, "repository": {"pullRequest": pull}}}
    world.fake.fault("POST", "/graphql", status=200, body=body)
    assert linked(world) == ()
