"""Ordered faults reach the real PyGithub as what they are."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from github import Auth, Github, GithubException
from github.GithubRetry import GithubRetry

from tests.fakes.contracts import Contracts
from tests.fakes.git_repository import GitRepository
from tests.fakes.github import FakeGitHub
from tests.fakes.http_server import drop_connection, serve
from tests.fakes_contract.conftest import Served


def test_a_status_is_answered_as_often_as_ordered(github: Served) -> None:
    github.fake.fault("GET", "/pulls/1$", times=2, status=502)
    for _ in range(2):
        with pytest.raises(GithubException) as caught:
            _ = github.pull
        assert caught.value.status == 502
    assert github.pull.number == 1
    assert github.fake.faults.left == 0


def test_the_first_fault_that_matches_answers(github: Served) -> None:
    github.fake.fault("POST", "/pulls/1", status=500)
    github.fake.fault("*", "/pulls/1", status=503)
    github.fake.fault("GET", "/pulls/1", status=504)
    with pytest.raises(GithubException) as caught:
        _ = github.pull
    assert caught.value.status == 503
    assert github.fake.faults.left == 2
    assert github.fake.journal[-1].status == 503


def test_headers_and_body_are_sent(github: Served) -> None:
    github.fake.fault(
        "GET", "/repo$", status=403, headers={"Retry-After": "7"}, body={"message": "slow down"}
    )
    with pytest.raises(GithubException) as caught:
        _ = github.repo
    assert caught.value.headers is not None
    assert (caught.value.data["message"], caught.value.headers["retry-after"]) == ("slow down", "7")


def test_a_body_alone_replaces_a_good_answer(github: Served) -> None:
    github.fake.fault("POST", "/reviews$", body={})
    review = github.pull.create_review(body="x", event="COMMENT")
    assert review.raw_data == {}


def test_html_is_no_json(github: Served) -> None:
    github.fake.fault("GET", "/repo$", html=True)
    with pytest.raises(GithubException) as caught:
        _ = github.repo
    assert caught.value.status == 502
    assert "<h1>" in str(caught.value.data)


def test_an_answer_is_cut_in_half(github: Served) -> None:
    github.fake.fault("GET", "/repo$", truncate=True)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        _ = github.repo


def test_a_connection_is_dropped(github: Served) -> None:
    github.fake.fault("GET", "/repo$", disconnect=True)
    with pytest.raises(requests.exceptions.ConnectionError):
        _ = github.repo
    assert github.fake.journal[-1].status == 0


def test_a_review_is_stored_and_fails_all_the_same(github: Served) -> None:
    pull = github.pull
    github.fake.fault("POST", "/reviews$", status=502, commit_then_fail=True)
    with pytest.raises(GithubException):
        pull.create_review(body="x", event="COMMENT")
    assert len(github.fake.reviews) == 1


def test_the_retries_of_pygithub_double_a_review_that_was_stored(github: Served) -> None:
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


def test_a_redirect_is_followed_on_the_same_host(github: Served) -> None:
    github.fake.fault("GET", "/repos/octo/old$", redirect=f"{github.url}/repos/octo/repo", status=301)
    assert github.client().get_repo("octo/old").full_name == "octo/repo"


def test_a_delay_keeps_the_answer_back(github: Served) -> None:
    github.fake.fault("GET", "/repo$", delay=30)
    impatient = Github(base_url=github.url, auth=Auth.Token("ghs_write"), retry=None, timeout=1)
    with pytest.raises(requests.exceptions.ReadTimeout):
        impatient.get_repo("octo/repo")


def test_latency_holds_for_every_request(github: Served) -> None:
    github.fake.latency = 0.01
    assert github.pull.number == 1


def test_the_journal_has_everything_in_order(github: Served) -> None:
    github.pull.create_issue_comment("Hello")
    assert [(entry.method, entry.path, entry.status) for entry in github.fake.journal] == [
        ("GET", "/repos/octo/repo", 200),
        ("GET", "/repos/octo/repo/pulls/1", 200),
        ("POST", "/repos/octo/repo/issues/1/comments", 201),
    ]
    assert github.fake.writes[0].json == {"body": "Hello"}
    assert github.fake.writes[0].authorization == "token ghs_write"


def test_a_body_that_is_no_json_is_journaled_and_declined(github: Served) -> None:
    url = f"{github.url}/repos/octo/repo/issues/1/comments"
    answer = requests.post(url, data=b"not json", headers={"Authorization": "Bearer ghs_write"}, timeout=10)
    assert (answer.status_code, github.fake.journal[-1].json) == (422, "not json")
    assert github.fake.violations
    github.fake.violations.clear()


def test_contracts_can_be_left_unchecked_for_speed(origin_dir: Path) -> None:
    fake = FakeGitHub(origin_dir, check_contracts=False)
    fake.add_pull_request(1, base_sha="main", head_sha="feature")
    with serve(fake) as url:
        answer = requests.get(
            f"{url}/repos/octo/repo/pulls/1?odd=1", headers={"Authorization": "Bearer ghs_write"}, timeout=10
        )
    assert (answer.status_code, fake.violations) == (200, [])


def test_twelve_hundred_files_are_one_diff(make_github: Callable[..., FakeGitHub], tmp_path: Path) -> None:
    repository = GitRepository.create(tmp_path / "large")
    base = repository.commit({"README": "x\n"})
    head = repository.commit({f"many/{number:04}.txt": f"{number}\n" * 5 for number in range(1_200)})
    fake = make_github(repository.git_dir)
    fake.add_pull_request(1, base_sha=base, head_sha=head)
    with serve(fake) as url:
        client = Served(fake, url, None).client()  # type: ignore[arg-type]  # brings its own repository
        client.per_page = 100
        files = list(client.get_repo("octo/repo").get_pull(1).get_files())
    assert len(files) == 1_200
    assert fake.hub.store.diff.cache_info().misses == 1


@pytest.fixture
def origin_dir(github: Served) -> Path:
    return github.origin.repository.git_dir


async def _broken(scope: object, receive: object, send: object) -> None:
    raise OSError("this app never answers")


def test_a_server_outlives_an_app_that_raises() -> None:
    with serve(_broken) as url:
        assert requests.get(url, timeout=10).status_code == 500
        assert requests.get(url, timeout=10).status_code == 500
    port = int(url.rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_only_a_served_connection_can_be_dropped() -> None:
    async def nothing(*_message: object) -> dict[str, object]:
        return {"type": "http.disconnect"}

    with pytest.raises(TypeError, match="serve"):
        asyncio.run(drop_connection(nothing, nothing))  # type: ignore[arg-type]  # no ASGI server stands behind it


def test_the_contract_fills_alternatives_and_declares_statuses() -> None:
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
