"""Compares a whole conversation in GraphQL with PyGithub: one query, pages, and refused parts."""

from __future__ import annotations

from typing import Any

import pytest
from github import GithubException

from tests.fakes_contract.conftest import Served
from tests.fakes_contract.conversation import WHERE, WHOLE, graphql, read, talk
from tests.fakes_contract.test_github_writing import comment


def test_reads_conversation_in_one_query(github: Served) -> None:
    talk(github)
    fake, head = github.fake, github.origin.head
    fake.hub.associations |= {"octocat": "MEMBER", "ann": "OWNER"}
    given = {"name": "hunkwise", "head_sha": head, "external_id": "run-7", "conclusion": "success"}
    github.ask("POST", "/check-runs", given)
    fake.say(1, "dependabot[bot]", "Bump.")
    whole = read(github)
    assert (whole["state"], whole["headRefOid"], whole["baseRefName"]) == ("OPEN", head, "main")
    assert (whole["author"], whole["authorAssociation"]) == ({"login": "octocat"}, "MEMBER")
    sticky, bump = whole["comments"]["nodes"]
    assert (sticky["body"], sticky["viewerDidAuthor"], sticky["editor"]) == ("Sticky", True, None)
    assert sticky["fullDatabaseId"] == str(sticky["databaseId"]) == str(fake.issue_comments[0].id)
    assert (bump["author"], bump["viewerDidAuthor"]) == ({"login": "dependabot"}, False)
    (review,) = whole["reviews"]["nodes"]
    assert (review["databaseId"], review["state"], review["commit"]) == (
        fake.reviews[0].id, "COMMENTED", {"oid": head},
    )  # fmt: skip
    assert [node["line"] for node in whole["reviewThreads"]["nodes"]] == [1, 12]
    (commit,) = whole["commits"]["nodes"]
    assert commit["commit"]["oid"] == head
    assert commit["commit"]["checkSuites"]["nodes"][0]["checkRuns"]["nodes"] == [
        {
            "databaseId": fake.check_runs[0].id,
            "name": "hunkwise",
            "status": "COMPLETED",
            "conclusion": "SUCCESS",
            "externalId": "run-7",
        }
    ]


def test_reads_actions_of_people(github: Served) -> None:
    talk(github)
    fake = github.fake
    fake.hub.associations["ann"] = "COLLABORATOR"
    first, second = fake.threads
    fake.reply(first, "ann", "Won't fix.", edited=True)
    fake.react(first.comments[0], "bob")
    fake.react(first.comments[0], "bob")
    fake.resolve(second, by="ann")
    fake.edit(fake.issue_comments[0], "Not sticky", by="mallory")
    fake.edit(second.comments[0], "Changed", by="mallory")
    whole = read(github)
    one, two = whole["reviewThreads"]["nodes"]
    first_comment, reply = one["comments"]["nodes"]
    assert first_comment["reactions"]["nodes"] == [{"user": {"login": "bob"}}]
    assert (reply["body"], reply["authorAssociation"], reply["editor"]) == (
        "Won't fix.", "COLLABORATOR", {"login": "ann"},
    )  # fmt: skip
    assert (reply["author"], first_comment["author"]["__typename"]) == (
        {"login": "ann", "__typename": "User"},
        "Bot",
    )
    assert (one["isResolved"], one["resolvedBy"]) == (False, None)
    assert (two["isResolved"], two["resolvedBy"]) == (True, {"login": "ann"})
    assert (two["comments"]["nodes"][0]["editor"], first_comment["lastEditedAt"]) == (
        {"login": "mallory"},
        None,
    )
    assert whole["comments"]["nodes"][0]["editor"] == {"login": "mallory"}
    listed = github.ask("GET", "/pulls/1/comments")[1]
    assert listed[0]["reactions"]["-1"] == 1
    fake.unresolve(second)
    fake.delete(first.comments[0])
    fake.delete(fake.issue_comments[0])
    whole = read(github)
    assert whole["comments"]["nodes"] == []
    assert [node["isResolved"] for node in whole["reviewThreads"]["nodes"]] == [False, False]
    assert whole["reviewThreads"]["nodes"][0]["comments"]["nodes"][0]["body"] == "Won't fix."
    fake.delete(first.comments[0])
    assert len(read(github)["reviewThreads"]["nodes"]) == 1


def test_only_author_reads_pending_review(github: Served) -> None:
    github.pull.create_review(body="Later", comments=[comment()])
    mine, theirs = read(github), read(github, "github_pat_x")
    assert [node["state"] for node in mine["reviews"]["nodes"]] == ["PENDING"]
    assert mine["reviewThreads"]["nodes"][0]["comments"]["nodes"][0]["state"] == "PENDING"
    assert theirs["reviews"]["nodes"] == theirs["reviewThreads"]["nodes"] == []


@pytest.mark.parametrize(
    ("arguments", "bodies", "more"),
    [
        ("first: 2", ["0", "1"], (True, False)),
        ('first: 2, after: "END"', ["2", "3"], (True, True)),
        ("last: 2", ["3", "4"], (False, True)),
        ('last: 2, before: "START"', ["0"], (True, False)),
        ("first: 100", ["0", "1", "2", "3", "4"], (False, False)),
    ],
)
def test_pages_lists_from_both_ends(
    github: Served, arguments: str, bodies: list[str], more: tuple[bool, bool]
) -> None:
    for number in range(5):
        github.fake.say(1, "ann", str(number))
    query = """{ repository(owner: "octo", name: "repo") { pullRequest(number: 1) { comments(%s) {
      totalCount nodes { body } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    } } } }"""

    def page(asked: str) -> Any:
        return graphql(github, query % asked)["data"]["repository"]["pullRequest"]["comments"]

    first_two = page("first: 2")["pageInfo"]
    end, start = first_two["endCursor"], first_two["endCursor"]
    assert first_two["startCursor"] not in (None, end)
    shown = page(arguments.replace("END", end).replace("START", start))
    assert ([node["body"] for node in shown["nodes"]], shown["totalCount"]) == (bodies, 5)
    assert (shown["pageInfo"]["hasNextPage"], shown["pageInfo"]["hasPreviousPage"]) == more


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ("", "MISSING_PAGINATION_BOUNDARIES"),
        ("(first: 1, last: 1)", "INVALID_PAGINATION_BOUNDARIES"),
        ("(last: 101)", "EXCESSIVE_PAGINATION"),
        ('(first: 1, after: "x")', "INVALID_CURSOR_ARGUMENTS"),
    ],
)
def test_refuses_invalid_pages(github: Served, arguments: str, kind: str) -> None:
    query = (
        '{ repository(owner: "octo", name: "repo") { pullRequest(number: 1) { comments%s { totalCount } } } }'
    )
    answer = graphql(github, query % arguments)
    assert answer["errors"][0]["type"] == kind


def test_filters_reviews_by_state_and_author(github: Served) -> None:
    github.pull.create_review(body="No.", event="REQUEST_CHANGES")
    github.pull.create_review(body="Hm.", event="COMMENT")
    github.client("github_pat_x").get_repo("octo/repo").get_pull(1).create_review(
        body="Yes.", event="APPROVE"
    )
    query = """{ repository(owner: "octo", name: "repo") { pullRequest(number: 1) {
      reviews(first: 9, %s) { nodes { body } }
    } } }"""
    for chosen, bodies in (
        ("states: [CHANGES_REQUESTED, APPROVED]", ["No.", "Yes."]),
        ('author: "github-actions"', ["No.", "Hm."]),
    ):
        answer = graphql(github, query % chosen)
        nodes = answer["data"]["repository"]["pullRequest"]["reviews"]["nodes"]
        assert [node["body"] for node in nodes] == bodies


def test_token_without_checks_reads_the_rest(github: Served) -> None:
    talk(github)
    github.fake.tokens["ghs_some"] = "write:pulls,none:checks"
    answer = graphql(github, WHOLE, "ghs_some", **WHERE)
    (error,) = answer["errors"]
    assert (error["type"], error["message"]) == ("FORBIDDEN", "Resource not accessible by integration")
    assert error["path"] == ["repository", "pullRequest", "commits", "nodes", 0, "commit", "checkSuites"]
    pull = answer["data"]["repository"]["pullRequest"]
    assert pull["commits"]["nodes"][0]["commit"]["checkSuites"] is None
    assert len(pull["reviewThreads"]["nodes"]) == 2


def test_token_without_pull_requests_reads_none(github: Served) -> None:
    github.fake.tokens["ghs_some"] = "none:pulls"
    answer = graphql(github, WHOLE, "ghs_some", **WHERE)
    assert answer["data"]["repository"]["pullRequest"] is None
    assert answer["errors"][0]["path"] == ["repository", "pullRequest"]


@pytest.mark.parametrize(("size", "declined"), [(33, False), (100, True)])
def test_refuses_query_for_too_many_nodes(github: Served, size: int, declined: bool) -> None:
    query = """
    query($size: Int!) { repository(owner: "octo", name: "repo") { ... on Repository { pullRequest(number: 1) {
      reviewThreads(first: 100) { nodes { comments(first: 100) { nodes { reactions(first: $size) { totalCount } } } } }
    } } } }
    """
    answer = graphql(github, query, size=size)
    kinds = [error["type"] for error in answer.get("errors", ())]
    assert kinds == (["MAX_NODE_LIMIT_EXCEEDED"] if declined else [])
    assert ("data" in answer) is not declined


def test_invalid_document_is_a_violation(github: Served) -> None:
    assert "Syntax Error" in graphql(github, "{ viewer { login ")["errors"][0]["message"]
    assert github.fake.violations
    github.fake.violations.clear()


def test_graphql_and_rest_have_the_same_ids(github: Served) -> None:
    talk(github)
    whole = read(github)
    paths = ("/pulls/1/reviews", "/pulls/1/comments", "/issues/1/comments")
    rest = [github.ask("GET", path)[1][0]["id"] for path in paths]
    assert rest == [
        whole["reviews"]["nodes"][0]["databaseId"],
        whole["reviewThreads"]["nodes"][0]["comments"]["nodes"][0]["databaseId"],
        whole["comments"]["nodes"][0]["databaseId"],
    ]


def test_missing_pull_request_is_an_error_with_path(github: Served) -> None:
    answer = graphql(github, WHOLE, **(WHERE | {"number": 9}))
    assert answer["errors"][0]["path"] == ["repository", "pullRequest"]
    with pytest.raises(GithubException):
        github.client().requester.graphql_query(WHOLE, WHERE | {"number": 9})
