"""Runs an action at a chosen request, even the kill of the client, while the fake continues."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
import requests
from github import GithubException

from tests.fakes_contract.conftest import Served
from tests.fakes_contract.conversation import REPLY_AND_RESOLVE, talk

CLIENT = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1] + "/repos/octo/repo/issues/1/comments", data=b'{"body": "x"}')
request.add_header("Authorization", "Bearer ghs_write")
request.add_header("Content-Type", "application/json")
urllib.request.urlopen(request)
"""


def test_journal_has_position_and_time(github: Served) -> None:
    github.pull.create_issue_comment("x")
    journal = github.fake.journal
    assert [request.position for request in journal] == [0, 1, 2]
    assert 0 < journal[0].time <= journal[1].time <= journal[2].time


@pytest.mark.parametrize(("after", "seen"), [(False, []), (True, ["First"])])
def test_action_runs_before_or_after_effect(github: Served, after: bool, seen: list[str]) -> None:
    found: list[str] = []
    github.fake.when(
        "POST",
        "/issues/1/comments$",
        lambda: found.extend(comment.body for comment in github.fake.issue_comments),
        after=after,
    )
    github.pull.create_issue_comment("First")
    github.pull.create_issue_comment("Second")
    assert (found, github.fake.moments.left) == (seen, 0)


def test_action_set_during_request_is_for_later_one(github: Served) -> None:
    came: list[str] = []

    def order() -> None:
        github.fake.when("POST", "/issues/1/comments$", lambda: came.append("later"), after=True)

    github.fake.when("POST", "/issues/1/comments$", order)
    github.pull.create_issue_comment("First")
    assert came == []
    github.pull.create_issue_comment("Second")
    assert came == ["later"]


def test_action_repeats_given_times(github: Served) -> None:
    came: list[int] = []
    github.fake.when("*", "/pulls/1$", lambda: came.append(len(github.fake.journal)), times=2)
    github.fake.when("GET", "/nowhere$", lambda: came.append(-1))
    for _ in range(3):
        _ = github.pull
    assert (came, github.fake.moments.left) == ([2, 4], 1)


def test_matches_graphql_requests_by_text(github: Served) -> None:
    talk(github)
    first, second = github.fake.threads
    came: list[str] = []
    github.fake.when("POST", "/graphql$", lambda: came.append("mutation"), body="resolveReviewThread")
    github.fake.fault("POST", "/graphql$", status=502, asking="resolveReviewThread")
    requester = github.client().requester
    requester.graphql_query("{ viewer { login } }", {})
    with pytest.raises(GithubException) as caught:
        requester.graphql_query(REPLY_AND_RESOLVE % (first.id, first.id, second.id, "x"), {})
    assert (caught.value.status, came) == (502, ["mutation"])


def test_action_can_send_requests_and_push(github: Served) -> None:
    comment: list[str] = []

    def meanwhile() -> None:
        github.pull.create_issue_comment("Meanwhile")
        comment.append(github.fake.push(1, github.origin.base))

    github.fake.when("POST", "/reviews$", meanwhile)
    pull, commit = github.pull, github.repo.get_commit(github.origin.head)
    with pytest.raises(GithubException) as caught:
        pull.create_review(commit, "x", "COMMENT")
    assert caught.value.data["errors"] == ["Commit is not part of the pull request"]
    assert comment == [github.origin.base]
    assert [comment.body for comment in github.fake.issue_comments] == ["Meanwhile"]


def test_failing_action_is_a_violation(github: Served) -> None:
    def broken() -> None:
        raise OSError("the test's own mistake")

    github.fake.when("GET", "/pulls/1$", broken)
    headers = {"Authorization": "Bearer ghs_write"}
    answer = requests.get(f"{github.url}/repos/octo/repo/pulls/1", headers=headers, timeout=10)
    assert answer.status_code == 500
    assert github.fake.violations == ["the action ordered for GET /repos/octo/repo/pulls/1 failed"]
    github.fake.violations.clear()


@pytest.mark.parametrize("after", [False, True])
def test_request_of_killed_client_takes_effect(github: Served, after: bool) -> None:
    started: list[subprocess.Popen[bytes]] = []
    begun, dead = threading.Event(), threading.Event()

    def kill() -> None:
        assert begun.wait(20)
        started[0].kill()
        started[0].wait()
        dead.set()

    github.fake.when("POST", "/issues/1/comments$", kill, after=after)
    with subprocess.Popen([sys.executable, "-c", CLIENT, github.url], stderr=subprocess.DEVNULL) as process:
        started.append(process)
        begun.set()
        assert dead.wait(20)
    assert process.returncode == -9
    github.pull.create_issue_comment("Alive")
    assert [comment.body for comment in github.fake.issue_comments] == ["x", "Alive"]
