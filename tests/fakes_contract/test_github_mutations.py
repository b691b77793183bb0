"""Compares several mutations in one GraphQL document: each succeeds or fails on its own."""

from __future__ import annotations

import pytest

from tests.fakes.github_state import BOT
from tests.fakes_contract.conftest import Served
from tests.fakes_contract.conversation import REPLY_AND_RESOLVE, graphql, read, talk


def test_mutations_of_a_document_fail_independently(github: Served) -> None:
    talk(github)
    first, second = github.fake.threads
    answer = graphql(github, REPLY_AND_RESOLVE % (first.id, first.id, second.id, "Fixed, too."))
    assert [(error["type"], error["path"]) for error in answer["errors"]] == [("NOT_FOUND", ["t1"])]
    assert answer["data"]["t1"] is None
    assert answer["data"]["r0"]["comment"] == {"body": "Fixed.", "state": "SUBMITTED"}
    assert answer["data"]["t0"] == {
        "clientMutationId": "7",
        "thread": {"isResolved": True, "resolvedBy": {"login": "github-actions"}},
    }
    assert answer["data"]["r1"]["comment"]["databaseId"] == second.comments[1].id
    assert [[comment.body for comment in thread.comments] for thread in (first, second)] == [
        ["Here.", "Fixed."],
        ["Range.", "Fixed, too."],
    ]
    assert (first.resolved, first.resolved_by, second.resolved) == (True, BOT, False)
    assert github.fake.writes[-1].path == "/graphql"


@pytest.mark.parametrize("body", ["", "x" * 65_537])
def test_refuses_blank_or_too_long_reply(github: Served, body: str) -> None:
    talk(github)
    first, second = github.fake.threads
    answer = graphql(github, REPLY_AND_RESOLVE % (first.id, first.id, second.id, body))
    assert {error["path"][0]: error["type"] for error in answer["errors"]} == {
        "t1": "NOT_FOUND",
        "r1": "UNPROCESSABLE",
    }
    assert len(second.comments) == 1


def test_one_kind_of_mutation_can_be_refused(github: Served) -> None:
    talk(github)
    github.fake.refused_mutations.add("resolveReviewThread")
    first, second = github.fake.threads
    answer = graphql(github, REPLY_AND_RESOLVE % (first.id, first.id, second.id, "Fixed."))
    assert {error["path"][0]: error["type"] for error in answer["errors"]} == {
        "t0": "FORBIDDEN",
        "t1": "FORBIDDEN",
    }
    assert (first.resolved, len(first.comments), len(second.comments)) == (False, 2, 2)
    assert len(read(github)["reviewThreads"]["nodes"]) == 2


def test_unresolves_thread_that_another_resolved(github: Served) -> None:
    talk(github)
    thread = github.fake.threads[0]
    github.fake.resolve(thread, by="ann")
    requester = github.client().requester
    requester.graphql_named_mutation("resolveReviewThread", {"threadId": thread.id}, "clientMutationId")
    assert thread.resolved_by == "ann"
    requester.graphql_named_mutation("unresolveReviewThread", {"threadId": thread.id}, "thread { id }")
    assert (thread.resolved, thread.resolved_by) == (False, "")


def test_reply_joins_pending_review(github: Served) -> None:
    talk(github)
    review = github.pull.create_review(body="Later")
    first, second = github.fake.threads
    answer = graphql(github, REPLY_AND_RESOLVE % (first.id, first.id, second.id, "Fixed."))
    assert answer["data"]["r0"]["comment"]["state"] == "PENDING"
    assert first.comments[1].review_id == review.id
    shown = read(github, "github_pat_x")["reviewThreads"]["nodes"]
    assert [len(node["comments"]["nodes"]) for node in shown] == [1, 1]


def test_detects_mutations_in_documents(github: Served) -> None:
    talk(github)
    query = """
    fragment shown on ResolveReviewThreadPayload { thread { isResolved } }
    mutation($id: ID!) { resolveReviewThread(input: {threadId: $id}) { ...shown } }
    """
    graphql(github, query, id=github.fake.threads[0].id)
    assert github.fake.writes[-1].path == "/graphql"
    graphql(github, "query mutation { viewer { login } }")
    assert not github.fake.journal[-1].is_write
