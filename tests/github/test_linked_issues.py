"""The issues that a pull request closes come with the conversation, and their lack costs nothing."""

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


def test_what_is_closed_comes_in_the_conversations_one_request(world: World) -> None:
    world.fake.hub.pulls[1].closes = ISSUES
    world.fake.journal.clear()
    assert linked(world) == READ
    assert [request.path for request in world.fake.journal] == ["/graphql"]


def test_a_token_that_may_not_read_issues_reads_the_rest(world: World) -> None:
    world.fake.hub.pulls[1].closes = ISSUES
    world.fake.tokens["ghs_blind"] = "write:pulls,none:issues"
    assert linked(world, "ghs_blind") == ()


def test_ten_issues_are_told(world: World) -> None:
    world.fake.hub.pulls[1].closes = [StoredIssue(number, "x") for number in range(1, 15)]
    assert [issue.number for issue in linked(world)] == list(range(1, 11))


def test_an_old_server_that_does_not_know_them_is_asked_again_without(world: World) -> None:
    words = "Field 'closingIssuesReferences' doesn't exist on type 'PullRequest'"
    body: dict[str, Any] = {"errors": [{"message": words, "extensions": {"code": "undefinedField"}}]}
    world.fake.fault("POST", "/graphql", status=200, body=body, asking="closingIssuesReferences", times=9)
    world.fake.journal.clear()
    conversation = world.client().conversation(1, world.head)
    assert (conversation.linked_issues, conversation.head_sha) == ((), world.head)
    asked = [json.dumps(request.json) for request in world.fake.journal]
    assert ["closingIssuesReferences" in one for one in asked] == [True, False]


@pytest.mark.parametrize(
    "told",
    [
        None,
        {},
        {"nodes": None},
        {"nodes": [None, {"number": None}, {"number": "7"}, {"number": True}]},
    ],
)
def test_what_makes_no_sense_of_them_is_left_out(world: World, told: object) -> None:
    nothing = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
    pull = {
        "state": "OPEN",
        "headRefOid": "0" * 40,
        "reviewThreads": nothing,
        "comments": nothing,
        "reviews": nothing,
        "closingIssuesReferences": told,
    }
    body = {"data": {"viewer": {"login": "me"}, "repository": {"pullRequest": pull}}}
    world.fake.fault("POST", "/graphql", status=200, body=body)
    assert linked(world) == ()
