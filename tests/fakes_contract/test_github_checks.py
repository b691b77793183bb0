"""Compares check runs, SARIF uploads and the permissions of tokens with PyGithub."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import pytest
from github import GithubException

from tests.fakes.github_state import BOT, Permission, level
from tests.fakes_contract.conftest import Served
from tests.fakes_contract.test_github_pending import PULL
from tests.fakes_contract.test_github_writing import comment


def run_of(served: Served, name: str = "hunkwise", **more: Any) -> int:
    given = {"name": name, "head_sha": served.origin.head, "status": "in_progress", **more}
    status, answer = served.ask("POST", "/check-runs", given)
    assert status == 201
    number: int = answer["id"]
    return number


def test_updates_and_concludes_check_run(github: Served) -> None:
    run = run_of(
        github,
        external_id="run-1",
        started_at="2026-02-03T04:05:06Z",
        details_url="https://x.test/1",
        output={"title": "Reading", "summary": "0 of 4"},
    )
    path = f"/check-runs/{run}"
    github.ask("PATCH", path, {"output": {"title": "Asking", "summary": "2 of 4"}})
    _, working = github.ask("GET", path)
    github.ask("PATCH", path, {"conclusion": "neutral", "output": {"title": "Done", "summary": "4 of 4"}})
    _, ended = github.ask("GET", path)
    assert (working["status"], working["conclusion"], working["completed_at"]) == ("in_progress", None, None)
    assert (working["external_id"], working["started_at"]) == ("run-1", "2026-02-03T04:05:06Z")
    assert (ended["status"], ended["conclusion"]) == ("completed", "neutral")
    assert (ended["output"]["title"], ended["details_url"]) == ("Done", "https://x.test/1")
    outputs = [("Reading", "0 of 4"), ("Asking", "2 of 4"), ("Done", "4 of 4")]
    assert github.fake.check_runs[0].outputs == outputs


def test_lists_newest_check_run_of_each_name(github: Served) -> None:
    old, other, new = run_of(github), run_of(github, "tests"), run_of(github)
    github.ask("PATCH", f"/check-runs/{other}", {"conclusion": "success"})
    where = f"/commits/{github.origin.head}/check-runs"

    def listed(query: str) -> list[int]:
        status, answer = github.ask("GET", where + query)
        assert (status, answer["total_count"]) == (200, len(answer["check_runs"]))
        return [run["id"] for run in answer["check_runs"]]

    assert listed("") == [new, other]
    assert listed("?check_name=hunkwise") == [new]
    assert listed("?check_name=hunkwise&filter=all") == [old, new]
    assert listed("?status=completed") == [other]
    assert github.ask("GET", "/commits/main/check-runs")[1]["check_runs"] == []


def test_check_run_needs_commit_and_app(github: Served) -> None:
    given = {"name": "hunkwise", "head_sha": "0" * 40}
    status, answer = github.ask("POST", "/check-runs", given)
    assert (status, answer["message"]) == (422, f"No commit found for SHA: {'0' * 40}")
    given["head_sha"] = github.origin.head
    status, answer = github.ask("POST", "/check-runs", given, token="github_pat_x")
    assert (status, answer["message"]) == (403, "You must authenticate via a GitHub App.")


def sarif(raw: bytes, **more: Any) -> dict[str, Any]:
    packed = base64.b64encode(raw).decode()
    return {"commit_sha": "1" * 40, "ref": "refs/pull/1/head", "sarif": packed, **more}


def test_stores_sarif(github: Served) -> None:
    given = sarif(gzip.compress(b'{"version": "2.1.0"}'), tool_name="hunkwise")
    status, answer = github.ask("POST", "/code-scanning/sarifs", given)
    (stored,) = github.fake.sarifs
    assert (status, answer["id"]) == (202, stored.id)
    assert (stored.text, stored.ref) == ('{"version": "2.1.0"}', "refs/pull/1/head")
    assert stored.tool_name == "hunkwise"


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (sarif(b"not packed"), 400),
        (sarif(gzip.compress(b"cut in the middle")[:-9]), 400),
        (sarif(gzip.compress(b"\xff")), 400),
        (sarif(b"") | {"sarif": "no Base64"}, 400),
        (sarif(gzip.compress(b"a" * (11 * 1024 * 1024), 0)), 413),
    ],
    ids=["not packed", "truncated", "no UTF-8", "no Base64", "too large"],
)
def test_refuses_invalid_sarif(github: Served, given: Any, status: int) -> None:
    assert github.ask("POST", "/code-scanning/sarifs", given) == (status, None)
    assert github.fake.sarifs == []


@pytest.mark.parametrize(
    ("association", "named", "permission", "role"),
    [
        ("OWNER", None, "admin", "admin"),
        ("MEMBER", None, "write", "write"),
        ("CONTRIBUTOR", None, "read", "read"),
        ("NONE", "maintain", "write", "maintain"),
        ("MEMBER", "triage", "read", "triage"),
        ("MEMBER", "releaser/write", "write", "releaser"),
        ("MEMBER", "none", "none", "none"),
    ],
)
def test_returns_permission_of_user(
    github: Served, association: str, named: str | None, permission: str, role: str
) -> None:
    github.fake.hub.associations["ann"] = association
    if named is not None:
        github.fake.hub.permissions["ann"] = named
    status, answer = github.ask("GET", "/collaborators/ann/permission", token="ghs_read")
    assert (status, answer["permission"], answer["role_name"]) == (200, permission, role)
    assert github.repo.get_collaborator_permission("ann") == permission


def test_comments_have_author_association(github: Served) -> None:
    github.fake.hub.associations |= {BOT: "CONTRIBUTOR", "octocat": "OWNER"}
    github.pull.create_review(body="x", event="COMMENT", comments=[comment()])
    github.pull.create_issue_comment("x")
    posts = [
        github.ask("GET", path)[1][0]
        for path in (f"{PULL}/reviews", f"{PULL}/comments", "/issues/1/comments")
    ]
    assert {one["author_association"] for one in posts} == {"CONTRIBUTOR"}
    assert github.pull.raw_data["author_association"] == "OWNER"


@pytest.mark.parametrize(
    ("permission", "pulls", "conversation", "checks", "scanning", "checks_read"),
    [
        ("write", 200, 201, 201, 202, 200),
        ("read", 403, 403, 403, 403, 200),
        ("write:pulls", 200, 201, 403, 403, 200),
        (frozenset({"write:pulls", "read:issues"}), 200, 403, 403, 403, 200),
        ("write:issues, write:checks", 403, 201, 201, 403, 200),
        ("write:security-events,none:checks", 403, 403, 403, 202, 403),
    ],
)
def test_token_permissions_limit_requests(
    github: Served,
    permission: Permission,
    pulls: int,
    conversation: int,
    checks: int,
    scanning: int,
    checks_read: int,
) -> None:
    github.fake.tokens["ghs_some"] = permission
    head = github.origin.head
    writes: list[tuple[str, Any, int]] = [
        (f"{PULL}/reviews", {"body": "x", "event": "COMMENT"}, pulls),
        ("/issues/1/comments", {"body": "x"}, conversation),
        ("/check-runs", {"name": "hunkwise", "head_sha": head}, checks),
        ("/code-scanning/sarifs", sarif(gzip.compress(b"{}")), scanning),
    ]
    for path, body, expected in writes:
        status, answer = github.ask("POST", path, body, token="ghs_some")
        assert status == expected, path
        assert status != 403 or answer["message"] == "Resource not accessible by integration"
    assert github.ask("GET", f"/commits/{head}/check-runs", token="ghs_some")[0] == checks_read
    assert github.ask("GET", PULL, token="ghs_some")[0] == 200


@pytest.mark.parametrize("words", ["all", "write:everything", "shout:pulls", ""])
def test_unknown_permission_raises_error(words: str) -> None:
    with pytest.raises(ValueError, match="no permission"):
        level(words, "pulls")


def test_unknown_query_parameter_is_a_violation(github: Served) -> None:
    with pytest.raises(GithubException, match="unknown query parameter"):
        github.client().requester.requestJsonAndCheck(
            "GET", "/repos/octo/repo/commits/main/check-runs?name=x"
        )
    assert github.fake.violations
    github.fake.violations.clear()
