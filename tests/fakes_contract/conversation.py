"""A GraphQL query for a whole conversation, and helpers that begin one."""

from __future__ import annotations

import json
from typing import Any

from tests.fakes_contract.conftest import Served
from tests.fakes_contract.test_github_writing import comment

WHOLE = """
query($owner: String!, $name: String!, $number: Int!) {
  viewer { login }
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      state headRefOid baseRefName baseRefOid author { login } authorAssociation
      comments(first: 100) { nodes { ...said isMinimized } pageInfo { hasNextPage endCursor } }
      reviews(first: 100) { nodes { databaseId state body url viewerDidAuthor commit { oid } author { login } } }
      reviewThreads(first: 50) { nodes {
        id isResolved resolvedBy { login } isOutdated path line
        comments(first: 20) { nodes {
          databaseId body state viewerDidAuthor authorAssociation lastEditedAt
          author { login __typename } editor { login }
          reactions(content: THUMBS_DOWN, first: 10) { nodes { user { login } } }
        } }
      } }
      timelineItems(itemTypes: [HEAD_REF_FORCE_PUSHED_EVENT, BASE_REF_CHANGED_EVENT], first: 1) {
        totalCount nodes { __typename }
      }
      commits(last: 1) { nodes { commit { oid checkSuites(first: 10) { nodes {
        checkRuns(first: 10, filterBy: {checkName: "hunkwise", checkType: ALL}) { nodes {
          databaseId name status conclusion externalId
        } }
      } } } } }
    }
  }
}
fragment said on IssueComment {
  databaseId fullDatabaseId body url viewerDidAuthor author { login } authorAssociation lastEditedAt editor { login }
}
"""
REPLY_AND_RESOLVE = """
mutation {
  r0: addPullRequestReviewThreadReply(input: {pullRequestReviewThreadId: "%s", body: "Fixed."}) {
    comment { body state }
  }
  t0: resolveReviewThread(input: {threadId: "%s", clientMutationId: "7"}) {
    clientMutationId thread { isResolved resolvedBy { login } }
  }
  t1: resolveReviewThread(input: {threadId: "PRRT_gone"}) { thread { isResolved } }
  r1: addPullRequestReviewThreadReply(input: {pullRequestReviewThreadId: "%s", body: "%s"}) {
    comment { databaseId }
  }
}
"""
WHERE: dict[str, Any] = {"owner": "octo", "name": "repo", "number": 1}


def graphql(served: Served, query: str, token: str = "ghs_write", **variables: Any) -> Any:
    """Returns the whole response, errors included."""
    given = {"query": query, "variables": variables}
    status, _, answer = served.client(token).requester.requestJson("POST", "/graphql", input=given)
    assert status == 200
    return json.loads(answer)


def read(served: Served, token: str = "ghs_write") -> Any:
    answer = graphql(served, WHOLE, token, **WHERE)
    assert "errors" not in answer
    return answer["data"]["repository"]["pullRequest"]


def talk(served: Served) -> None:
    """Creates a review with two threads, and a comment in the conversation."""
    lines = [comment(), comment(line=12, start_line=11, start_side="RIGHT", body="Range.")]
    served.pull.create_review(body="Summary", event="COMMENT", comments=lines)
    served.pull.create_issue_comment("Sticky")
