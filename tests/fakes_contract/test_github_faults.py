"""Checks that configured faults reach the real PyGithub."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
import requests
from github import Auth, Github, GithubException
from github.GithubRetry import GithubRetry

from tests.fakes.contracts import Contracts
from tests.fakes.git_repository import GitRepository
from tests.fakes.github import FakeGitHub
from tests.fakes.http_server import drop_connection, serve
from tests.fakes_contract.conftest import Origin, ServeCommits, Served


def test_fault_repeats_given_times(github: Served) -> None:
    github.fake.fault("GET", "/pulls/1$", times=2, status=502)
    for _ in range(2):
        with pytest.raises(GithubException) as caught:
            _ = github.pull
        assert caught.value.status == 502
    assert github.pull.number == 1
    assert github.fake.faults.left == 0


def test_uses_first_matching_fault(github: Served) -> None:
    github.fake.fault("POST", "/pulls/1", status=500)
    github.fake.fault("*", "/pulls/1", status=503)
    github.fake.fault("GET", "/pulls/1", status=504)
    with pytest.raises(GithubException) as caught:
        _ = github.pull
    assert caught.value.status == 503
    assert github.fake.faults.left == 2
    assert github.fake.journal[-1].status == 503


def test_sends_headers_and_body(github: Served) -> None:
    github.fake.fault(
        "GET", "/repo$", status=403, headers={"Retry-After": "7"}, body={"message": "slow down"}
    )
    with pytest.raises(GithubException) as caught:
        _ = github.repo
    assert caught.value.headers is not None
    assert (caught.value.data["message"], caught.value.headers["retry-after"]) == ("slow down", "7")


def test_body_alone_replaces_successful_response(github: Served) -> None:
    github.fake.fault("POST", "/reviews$", body={})
    review = github.pull.create_review(body="x", event="COMMENT")
    assert review.raw_data == {}


def test_html_response(github: Served) -> None:
    github.fake.fault("GET", "/repo$", html=True)
    with pytest.raises(GithubException) as caught:
        _ = github.repo
    assert caught.value.status == 502
    assert "<h1>" in str(caught.value.data)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"truncate": True}, requests.exceptions.ChunkedEncodingError),
        ({"disconnect": True}, requests.exceptions.ConnectionError),
    ],
    ids=["truncate", "disconnect"],
)
def test_broken_response(github: Served, fault: dict[str, Any], error: type[Exception]) -> None:
    github.fake.fault("GET", "/repo$", **fault)
    with pytest.raises(error):
        _ = github.repo
    assert (github.fake.journal[-1].status == 0) == ("disconnect" in fault)


def test_stores_review_and_fails(github: Served) -> None:
    pull = github.pull
    github.fake.fault("POST", "/reviews$", status=502, commit_then_fail=True)
    with pytest.raises(GithubException):
        pull.create_review(body="x", event="COMMENT")
    assert len(github.fake.reviews) == 1


def test_retries_of_pygithub_duplicate_stored_review(github: Served) -> None:
    github.fake.fault("POST", "/reviews$", disconnect=True, commit_then_fail=True)
    github.fake.fault("POST", "/reviews$", status=502, commit_then_fail=True)
    retrying = Github(
        base_url=github.url,
        auth=Auth.Token("ghs_write"),
        retry=GithubRetry(total=3, backoff_factor=0),
        seconds_between_requests=None,
        seconds_between_writes=None,
    )
    retrying.get_repo("octo/repo").get_pull(1).create_review(body="x", event="COMMENT")
    assert len(github.fake.reviews) == 3


def test_follows_redirect_on_same_host(github: Served) -> None:
    github.fake.fault("GET", "/repos/octo/old$", redirect=f"{github.url}/repos/octo/repo", status=301)
    assert github.client().get_repo("octo/old").full_name == "octo/repo"


def test_delays_response(github: Served) -> None:
    github.fake.fault("GET", "/repo$", delay=30)
    impatient = Github(base_url=github.url, auth=Auth.Token("ghs_write"), retry=None, timeout=1)
    with pytest.raises(requests.exceptions.ReadTimeout):
        impatient.get_repo("octo/repo")


def test_latency_delays_each_request(github: Served) -> None:
    github.fake.latency = 0.01
    assert github.pull.number == 1


def test_journal_has_requests_in_order(github: Served) -> None:
    github.pull.create_issue_comment("Hello")
    assert [(entry.method, entry.path, entry.status) for entry in github.fake.journal] == [
        ("GET", "/repos/octo/repo", 200),
        ("GET", "/repos/octo/repo/pulls/1", 200),
        ("POST", "/repos/octo/repo/issues/1/comments", 201),
    ]
    assert github.fake.writes[0].json == {"body": "Hello"}
    assert github.fake.writes[0].authorization == "token ghs_write"


def test_invalid_json_is_a_violation(github: Served) -> None:
    url = f"{github.url}/repos/octo/repo/issues/1/comments"
    answer = requests.post(url, data=b"not json", headers={"Authorization": "Bearer ghs_write"}, timeout=10)
    assert (answer.status_code, github.fake.journal[-1].json) == (422, "not json")
    assert github.fake.violations
    github.fake.violations.clear()


def test_contract_checks_can_be_disabled(origin: Origin) -> None:
    fake = FakeGitHub(origin.repository.git_dir, check_contracts=False)
    fake.add_pull_request(1, base_sha="main", head_sha="feature")
    with serve(fake) as url:
        answer = requests.get(
            f"{url}/repos/octo/repo/pulls/1?odd=1", headers={"Authorization": "Bearer ghs_write"}, timeout=10
        )
    assert (answer.status_code, fake.violations) == (200, [])


def test_lists_1200_files_with_one_diff(serve_commits: ServeCommits, tmp_path: Path) -> None:
    repository = GitRepository.create(tmp_path / "large")
    base = repository.commit({"README": "x\n"})
    head = repository.commit({f"many/{number:04}.txt": f"{number}\n" * 5 for number in range(1_200)})
    served = serve_commits(repository, base, head)
    client = served.client()
    client.per_page = 100
    assert len(list(client.get_repo("octo/repo").get_pull(1).get_files())) == 1_200
    assert served.fake.hub.store.diff.cache_info().misses == 1


async def _broken(scope: object, receive: object, send: object) -> None:
    raise OSError("this app never answers")


def test_server_survives_error_of_app() -> None:
    with serve(_broken) as url:
        assert requests.get(url, timeout=10).status_code == 500
        assert requests.get(url, timeout=10).status_code == 500
    port = int(url.rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_only_served_connection_can_be_dropped() -> None:
    async def nothing(*_message: object) -> dict[str, object]:
        return {"type": "http.disconnect"}

    with pytest.raises(TypeError, match="serve"):
        asyncio.run(drop_connection(nothing, nothing))  # type: ignore[arg-type]  # no ASGI server


def test_contract_completes_alternatives_and_checks_statuses() -> None:
    answers = {
        "200": {"content": {"application/json": {"schema": {"type": "object"}}}},
        "204": {"description": "Nothing."},
    }
    known = Contracts(
        {
            "paths": {"/x": {"get": {"responses": answers}}},
            "components": {
                "schemas": {
                    "basic-error": {"type": "object", "required": ["message"]},
                    "either": {"oneOf": [{"$ref": "#/components/schemas/parts"}, {"type": "string"}]},
                    "parts": {"allOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]}]},
                    "mixed": {
                        "properties": {
                            "e": {"type": "string", "format": "email"},
                            "d": {"type": "string", "format": "date-time"},
                            "l": {"type": "array"},
                            "k": {"enum": [None, "first"]},
                        },
                        "required": ["e", "d", "l", "k"],
                    },
                }
            },
        }
    )
    base = "http://127.0.0.1:1"
    assert known.complete("either", {"b": 1}, base) == {"a": 0, "b": 1}
    mixed = known.complete("mixed", {}, base)
    assert mixed == {"e": "someone@example.com", "d": "2026-01-02T03:04:05Z", "l": [], "k": "first"}
    assert list(known.answer_faults("GET", "/x", 204, None)) == []
    assert list(known.answer_faults("GET", "/x", 204, {})) == ["GET /x 204: a body where GitHub sends none"]
    assert list(known.answer_faults("GET", "/x", 299, {})) == ["GET /x: status 299 is not declared"]
    assert "message" in next(known.answer_faults("GET", "/x", 500, {}))
    assert list(known.request_faults("GET", "/x", {}, {})) == ["GET /x: a body where GitHub reads none"]
