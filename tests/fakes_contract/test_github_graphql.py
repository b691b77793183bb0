"""Compares the fake's GraphQL with PyGithub: threads, resolving, minimizing, and refused requests."""

from __future__ import annotations

from typing import Any

import pytest
from github import GithubException

from tests.fakes.github import GraphqlRefusal
from tests.fakes_contract.conftest import Served
from tests.fakes_contract.test_github_writing import comment

THREADS = """
query($owner: String!, $name: String!, $number: Int!, $size: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      reviewThreads(first: $size, after: $after) {
        nodes {
          id isResolved isOutdated path line startLine diffSide subjectType
          comments(first: 10) { nodes { id databaseId body author { login } url } }
        }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
}
"""
UNBOUNDED = (
    '{ repository(owner: "octo", name: "repo") { pullRequest(number: 1) { reviewThreads { totalCount } } } }'
)


def graphql(served: Served, query: str, token: str = "ghs_write", **variables: Any) -> Any:
    _, answer = served.client(token).requester.graphql_query(query, variables)
    return answer["data"]


def threads_of(served: Served, size: int = 50, after: str | None = None) -> Any:
    whole = graphql(served, THREADS, owner="octo", name="repo", number=1, size=size, after=after)
    return whole["repository"]["pullRequest"]["reviewThreads"]


def test_pages_threads(github: Served) -> None:
    comments = [comment(), comment(line=12, start_line=11, start_side="RIGHT", body="Range.")]
    github.pull.create_review(body="Summary", event="COMMENT", comments=comments)
    first = threads_of(github, 1)
    second = threads_of(github, 1, first["pageInfo"]["endCursor"])
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)
    (node,) = second["nodes"]
    assert {key: node[key] for key in ("path", "line", "startLine", "diffSide", "subjectType")} == {
        "path": "src/long.txt", "line": 12, "startLine": 11, "diffSide": "RIGHT", "subjectType": "LINE",
    }  # fmt: skip
    (first_comment,) = node["comments"]["nodes"]
    assert (first_comment["body"], first_comment["author"]["login"]) == ("Range.", "github-actions")
    assert first_comment["databaseId"] == github.fake.comments[1].id
    assert not [write for write in github.fake.writes if write.path == "/graphql"]


def test_resolves_thread_and_minimizes_comment(github: Served) -> None:
    github.pull.create_review(body="Summary", event="COMMENT", comments=[comment()])
    (node,) = threads_of(github)["nodes"]
    requester = github.client().requester
    requester.graphql_named_mutation("resolveReviewThread", {"threadId": node["id"]}, "thread { isResolved }")
    subject = {"subjectId": node["comments"]["nodes"][0]["id"], "classifier": "OUTDATED"}
    requester.graphql_named_mutation("minimizeComment", subject, "minimizedComment { isMinimized }")
    assert (github.fake.threads[0].resolved, github.fake.comments[0].minimized) == (True, True)
    assert threads_of(github)["nodes"][0]["isResolved"]
    assert [write.path for write in github.fake.writes][1:] == ["/graphql", "/graphql"]


def test_outdated_thread_has_no_line(github: Served) -> None:
    github.pull.create_review(body="Summary", event="COMMENT", comments=[comment()])
    github.fake.threads[0].outdated = True
    (node,) = threads_of(github)["nodes"]
    assert (node["isOutdated"], node["line"]) == (True, None)


@pytest.mark.parametrize(
    ("token", "name", "argument", "words"),
    [
        ("ghs_read", "resolveReviewThread", {"threadId": "PRRT_1"}, "not accessible by integration"),
        ("ghs_write", "resolveReviewThread", {"threadId": "PRRT_1"}, "Could not resolve to a node"),
        (
            "ghs_write",
            "minimizeComment",
            {"subjectId": "x", "classifier": "SPAM"},
            "Could not resolve to a node",
        ),
    ],
)
def test_refuses_mutations(
    github: Served, token: str, name: str, argument: dict[str, Any], words: str
) -> None:
    with pytest.raises(GithubException, match=words):
        github.client(token).requester.graphql_named_mutation(name, argument, "clientMutationId")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"name": "other"}, "Could not resolve to a Repository"),
        ({"number": 77}, "Could not resolve to a PullRequest"),
        ({"size": 101}, "exceeds the `first` limit"),
        ({"query": UNBOUNDED}, "You must provide"),
    ],
)
def test_refuses_queries(github: Served, variables: dict[str, Any], words: str) -> None:
    asked: dict[str, Any] = {"owner": "octo", "name": "repo", "number": 1, "size": 5} | variables
    query = asked.pop("query", THREADS)
    with pytest.raises(GithubException, match=words):
        graphql(github, query, **asked)


def test_query_outside_of_schema_is_a_violation(github: Served) -> None:
    with pytest.raises(GithubException, match="Cannot query field"):
        graphql(github, "{ viewer { colour } }")
    assert any("colour" in violation for violation in github.fake.violations)
    github.fake.violations.clear()


def test_viewer_is_owner_of_token(github: Served) -> None:
    assert graphql(github, "{ viewer { login } }", "github_pat_x") == {"viewer": {"login": "hubot"}}


@pytest.mark.parametrize(
    "refused", [GraphqlRefusal(403), GraphqlRefusal(200, ({"message": "No.", "type": "FORBIDDEN"},))]
)
def test_graphql_can_be_refused(github: Served, refused: GraphqlRefusal) -> None:
    github.fake.graphql_refusal = refused
    with pytest.raises(GithubException):
        graphql(github, "{ viewer { login } }")


@pytest.mark.parametrize("token", ["ghs_wrong", None])
def test_graphql_requires_token(github: Served, token: str | None) -> None:
    with pytest.raises(GithubException) as caught:
        github.client(token).requester.graphql_query("{ viewer { login } }", {})
    assert caught.value.status == 401
