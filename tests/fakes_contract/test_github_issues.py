"""Compares the fake's issues, labels and code-scanning alerts with PyGithub, and its GraphQL with its REST."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from github import GithubException

from tests.fakes_contract.conftest import Served

ISSUES = """
query($label: String!, $size: Int!, $direction: OrderDirection!, $states: [IssueState!]) {
  repository(owner: "octo", name: "repo") {
    issues(
      first: $size, labels: [$label], states: $states, orderBy: {field: CREATED_AT, direction: $direction}
    ) {
      totalCount
      nodes {
        number title body url state viewerDidAuthor author { login } editor { login } lastEditedAt
        comments(first: 50) { nodes { fullDatabaseId body url viewerDidAuthor editor { login } } }
      }
    }
  }
}
"""


def listed(
    served: Served,
    label: str = "audit",
    *,
    size: int = 10,
    direction: str = "DESC",
    states: list[str] | None = None,
    token: str = "ghs_write",
) -> Any:
    given = {"label": label, "size": size, "direction": direction, "states": states}
    _, answer = served.client(token).requester.graphql_query(ISSUES, given)
    return answer["data"]["repository"]["issues"]


def sarif(*results: tuple[str, str, int], category: str = "hunkwise-audit/") -> str:
    """A file with results by fingerprint, path and line."""
    found = [
        {
            "ruleId": "audit",
            "message": {"text": f"About {fingerprint}."},
            "partialFingerprints": {"hunkwise/v1": fingerprint},
            "locations": [
                {"physicalLocation": {"artifactLocation": {"uri": path}, "region": {"startLine": line}}}
            ],
        }
        for fingerprint, path, line in results
    ]
    return json.dumps({"runs": [{"automationDetails": {"id": category}, "results": found}]})


def upload(served: Served, text: str) -> None:
    packed = base64.b64encode(gzip.compress(text.encode())).decode()
    given = {
        "commit_sha": served.origin.head,
        "ref": "refs/heads/main",
        "sarif": packed,
        "tool_name": "hunkwise",
    }
    assert served.ask("POST", "/code-scanning/sarifs", given)[0] == 202


def test_creates_edits_and_closes_issue(github: Served) -> None:
    made = github.repo.create_issue("Audit", body="First", labels=["audit"])
    assert (made.number, made.user.login, made.state) == (2, "github-actions[bot]", "open")
    assert made.html_url == f"{github.url}/octo/repo/issues/2"
    assert [label.name for label in made.labels] == ["audit"]
    made.edit(body="Second", state="closed")
    again = github.repo.get_issue(2)
    assert (again.body, again.state, again.title) == ("Second", "closed", "Audit")
    (node,) = listed(github)["nodes"]
    assert (node["state"], node["body"], node["title"]) == ("CLOSED", "Second", "Audit")
    assert node["editor"] == {"login": "github-actions"}


def test_issue_that_nobody_edited_has_no_editor(github: Served) -> None:
    github.repo.create_issue("Audit", body="First", labels=["audit"])
    (node,) = listed(github)["nodes"]
    assert (node["editor"], node["lastEditedAt"], node["viewerDidAuthor"]) == (None, None, True)
    github.fake.edit(github.fake.issues[2], "Ticked", by="octocat")
    (node,) = listed(github)["nodes"]
    assert (node["editor"], node["body"]) == ({"login": "octocat"}, "Ticked")


def test_label_exists_once(github: Served) -> None:
    made = github.repo.create_label("audit", "5319e7", "Kept by the audit")
    assert (made.name, made.color) == ("audit", "5319e7")
    with pytest.raises(GithubException) as caught:
        github.repo.create_label("Audit", "ffffff")
    assert caught.value.status == 422
    assert caught.value.data["errors"] == [{"resource": "Label", "code": "already_exists", "field": "name"}]
    assert [label.name for label in github.repo.create_issue("x", labels=["AUDIT"]).labels] == ["audit"]


def test_comments_on_issue_have_its_address(github: Served) -> None:
    made = github.repo.create_issue("Audit", labels=["audit"])
    comment = made.create_comment("State")
    assert comment.html_url == f"{github.url}/octo/repo/issues/2#issuecomment-{comment.id}"
    comment.edit("State 2")
    assert [one.body for one in made.get_comments()] == ["State 2"]
    (node,) = listed(github)["nodes"]
    (stored,) = node["comments"]["nodes"]
    assert (stored["body"], stored["url"], stored["viewerDidAuthor"]) == ("State 2", comment.html_url, True)
    assert (stored["fullDatabaseId"], stored["editor"]) == (str(comment.id), {"login": "github-actions"})
    comment.delete()
    assert github.fake.issue_comments == []


def test_issues_are_listed_by_label_state_and_age(github: Served) -> None:
    for labels in (["audit"], ["bug"], ["audit", "bug"]):
        github.repo.create_issue("x", labels=labels)
    github.fake.issues[2].state = "closed"
    assert [node["number"] for node in listed(github)["nodes"]] == [4, 2]
    assert [node["number"] for node in listed(github, direction="ASC")["nodes"]] == [2, 4]
    assert [node["number"] for node in listed(github, "AUDIT", states=["OPEN"])["nodes"]] == [4]
    assert listed(github, size=1)["totalCount"] == 2
    assert listed(github, "unknown")["nodes"] == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"title": " "}, "missing_field"),
        ({"title": "x" * 257}, "title is too long"),
        ({"title": "x", "body": "x" * 65_537}, "body is too long"),
    ],
)
def test_refuses_issues(github: Served, given: dict[str, Any], words: str) -> None:
    with pytest.raises(GithubException, match=words) as caught:
        github.repo.create_issue(**given)
    assert caught.value.status == 422
    made = github.repo.create_issue("Audit")
    with pytest.raises(GithubException, match=words):
        made.edit(**given)


def test_issues_can_be_disabled(github: Served) -> None:
    github.fake.hub.has_issues = False
    with pytest.raises(GithubException) as caught:
        github.repo.create_issue("Audit")
    assert caught.value.status == 410
    assert listed(github)["nodes"] == []


@pytest.mark.parametrize(
    ("permission", "may_read", "may_write"),
    [
        ("read", True, False),
        ("write:issues", True, True),
        ("write:pulls", True, False),
        ("none:issues", False, False),
    ],
)
def test_issues_need_permission_of_their_own(
    github: Served, permission: str, may_read: bool, may_write: bool
) -> None:
    made = github.repo.create_issue("Audit", labels=["audit"])
    comment = made.create_comment("State")
    github.fake.tokens["ghs_some"] = permission
    writes: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/issues", {"title": "x"}),
        ("PATCH", "/issues/2", {"body": "x"}),
        ("POST", "/labels", {"name": "x"}),
        ("POST", "/issues/2/comments", {"body": "x"}),
        ("PATCH", f"/issues/comments/{comment.id}", {"body": "x"}),
    ]
    statuses = [github.ask(*write, token="ghs_some")[0] for write in writes]
    assert statuses == ([201, 200, 201, 201, 200] if may_write else [403] * 5)
    status = github.ask("GET", "/issues/2", token="ghs_some")[0]
    assert status == (200 if may_read else 403)
    if may_read:
        assert listed(github, token="ghs_some")["totalCount"] == 1
    else:
        with pytest.raises(GithubException, match="not accessible"):
            listed(github, token="ghs_some")


def test_alerts_follow_uploads(github: Served) -> None:
    upload(github, sarif(("aa", "src/a.py", 3), ("bb", "src/b.py", 5)))
    upload(github, sarif(("aa", "src/moved.py", 4), category="another/"))
    alerts = list(github.repo.get_codescan_alerts())
    assert [(alert.number, alert.state) for alert in alerts] == [(3, "open"), (2, "open"), (1, "open")]
    github.fake.dismiss(github.fake.alerts[0], by="octocat", reason="won't fix", comment="As designed.")
    upload(github, sarif(("aa", "src/moved.py", 7)))
    states = [(alert.number, alert.state) for alert in github.repo.get_codescan_alerts()]
    assert states == [(3, "open"), (2, "fixed"), (1, "dismissed")]
    status, found = github.ask("GET", "/code-scanning/alerts?tool_name=hunkwise&state=dismissed")
    (alert,) = found
    assert (status, alert["number"], alert["dismissed_reason"]) == (200, 1, "won't fix")
    assert (alert["dismissed_by"]["login"], alert["dismissed_comment"]) == ("octocat", "As designed.")
    assert alert["rule"]["id"] == "audit"
    instance = alert["most_recent_instance"]
    assert instance["message"] == {"text": "About aa."}
    assert (instance["location"]["path"], instance["location"]["start_line"]) == ("src/moved.py", 7)
    upload(github, sarif(("bb", "src/b.py", 5)))
    states = [(alert.number, alert.state) for alert in github.repo.get_codescan_alerts()]
    assert states == [(3, "open"), (2, "open"), (1, "dismissed")]


def test_alerts_can_be_missing_or_forbidden(github: Served) -> None:
    assert github.ask("GET", "/code-scanning/alerts")[0] == 404
    upload(github, sarif(("aa", "src/a.py", 3)))
    assert github.ask("GET", "/code-scanning/alerts?ref=refs/heads/other")[0] == 404
    github.fake.tokens["ghs_some"] = "none:security-events"
    assert github.ask("GET", "/code-scanning/alerts", token="ghs_some")[0] == 403
    github.fake.hub.has_code_scanning = False
    assert github.ask("GET", "/code-scanning/alerts")[0] == 403
