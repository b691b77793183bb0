"""Who may use the web API, how often, and what it refuses; no model is asked here."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psycopg
import pytest

from hunkwise.copilot.chat import ChatMessage, ToolDraft, ToolUse
from hunkwise.errors import Error, GitHubError, GitHubErrorKind, ModelError, ModelKind, SettingsError
from hunkwise.service.api import MAX_BODY, as_api_error
from hunkwise.service.api_access import (
    AT_ONCE,
    MAX_REFUSED,
    MAX_REMEMBERED,
    REMEMBERED_SECONDS,
    ApiDatabase,
    ApiError,
    Caller,
    Callers,
    _Memory,
    session_id,
)
from hunkwise.service.api_answer import MAX_HISTORY, MAX_MESSAGE, AnswerEvents, history_entries
from hunkwise.service.database import QueueError
from hunkwise.service.installation import Installations
from tests.service.api_world import (
    ALICE,
    BOB,
    HIDDEN,
    REPOSITORY,
    WITHOUT_APP,
    ApiWorld,
    Reply,
    api_world,
    serving_api,
)
from tests.service.postgres import Postgres

_T = TypeVar("_T")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[ApiWorld]:
    """The API without a server behind it."""
    with (
        api_world(tmp_path_factory.mktemp("access")) as world,
        serving_api(world, postgres.database(), {}) as served,
    ):
        yield served


def error_of(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.body["error"]


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("", "Authorization: Bearer TOKEN"),
        ("short", "Authorization: Bearer TOKEN"),
        ("gho_with a space in the middle", "Authorization: Bearer TOKEN"),
        ("ghp_classic12345678901234567890", "no classic token"),
        ("ghs_installation123456789012345", "no token of an App's installation"),
        ("gho_nobody's".replace("'", "_") + "0" * 20, "GitHub does not accept this token"),
    ],
)
def test_a_request_without_a_users_token_is_refused(world: ApiWorld, token: str, words: str) -> None:
    for reply in (
        world.send("name", token=token),
        world.read("name", token),
        world.read("name", token, "DELETE"),
    ):
        status, error = error_of(reply)
        assert (status, words in error) == (401, True), error
        assert reply.headers["www-authenticate"] == "Bearer"
        assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("repository", "status", "words"),
    [
        (HIDDEN, 404, "no repository octo/hidden that this token may read"),
        ("octo/unknown", 404, "no repository octo/unknown"),
        (WITHOUT_APP, 403, "App is not installed on octo/without-app"),
    ],
)
def test_a_repository_must_be_readable_and_have_the_app(
    world: ApiWorld, repository: str, status: int, words: str
) -> None:
    for reply in (world.send("name", repository=repository), world.read("name", repository=repository)):
        found, error = error_of(reply)
        assert (found, words in error) == (status, True), error


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b"\xff", 400, "not JSON"),
        (b"[" * 60_000, 400, "not JSON"),
        (b"[]", 400, "not a JSON object"),
        ({"message": ""}, 400, "message must be a text"),
        ({"message": " \n"}, 400, "message must be a text"),
        ({"message": 5}, 400, "message must be a text"),
        ({"message": None}, 400, "message must be a text"),
        ({"text": "Why?"}, 400, 'Unknown field "text"; known are message, repository, pull_request'),
        ({"\ud800": 1}, 400, "Unknown field"),
        ({"repository": None}, 400, "OWNER/NAME"),
        ({"repository": "octo"}, 400, "OWNER/NAME"),
        ({"repository": "octo/.."}, 400, "OWNER/NAME"),
        ({"repository": "octo/repo/pulls"}, 400, "OWNER/NAME"),
        ({"repository": "octo/repo?x=1"}, 400, "OWNER/NAME"),
        ({"pull_request": "1"}, 400, "number of a pull request"),
        ({"pull_request": True}, 400, "number of a pull request"),
        ({"pull_request": -1}, 400, "number of a pull request"),
        ({"pull_request": 2**40}, 400, "number of a pull request"),
        ({"pull_request": 1.5}, 400, "number of a pull request"),
        ({"message": "x" * (MAX_MESSAGE + 1)}, 413, "more than 6,000 characters"),
        (b"{" + b" " * MAX_BODY, 413, "more than 65,536 bytes"),
    ],
)
def test_bad_input_gets_a_clear_error(
    world: ApiWorld, body: bytes | dict[str, Any], status: int, words: str
) -> None:
    if isinstance(body, dict):
        body = json.dumps({"message": "Why?", "repository": REPOSITORY, **body}).encode()
    found, error = error_of(world.send("name", body=body or b" "))
    assert (found, words in error) == (status, True), error


@pytest.mark.parametrize("name", ["-x", ".x", "x" * 65, "a%20b", "%00", "a%2Fb", "%F0%9F%98%80"])
def test_a_name_of_a_session_is_short_and_plain(world: ApiWorld, name: str) -> None:
    assert world.send(name).status in (400, 404)
    for query in ({"repository": "octo"}, {"pull_request": "x"}, {"pull_request": "9" * 30}):
        assert world.read("name", **query).status == 400


def test_the_longest_message_and_body_are_taken(world: ApiWorld) -> None:
    """They get as far as the servers, of which there is none."""
    body = json.dumps({"message": "x" * MAX_MESSAGE, "repository": REPOSITORY}).encode()
    for reply in (world.send("name", body=body.ljust(MAX_BODY)), world.send("n" * 64), world.read("name")):
        status, error = error_of(reply)
        assert (status, "this session does not answer" in error) == (503, True), error


def test_a_body_must_arrive_in_time_and_places_are_limited(world: ApiWorld, postgres: Postgres) -> None:
    with serving_api(world, postgres.database(), {}, running=0, body_seconds=0.2) as full:
        reply = full.send("name")
        assert (reply.status, reply.headers["retry-after"]) == (503, "10")
        place = urlsplit(full.url)
        with socket.create_connection((place.hostname, place.port), timeout=10) as slow:
            head = f"POST /api/sessions/a/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ALICE}\r\n"
            slow.sendall(f"{head}Content-Length: 10\r\n\r\n{{".encode())
            assert slow.recv(20).startswith(b"HTTP/1.1 408")


def test_requests_of_a_user_in_an_hour_are_limited(world: ApiWorld, postgres: Postgres) -> None:
    database = postgres.database()
    with serving_api(world, database, {}, settings={"api_requests": 2}) as limited:
        assert [limited.read("name").status for _ in range(3)] == [503, 503, 429]
        refused = limited.send("name")
        assert refused.body == {"error": "A user may send 2 requests in an hour."}
        assert 0 < int(refused.headers["retry-after"]) <= 3_600
        assert limited.read("name", BOB).status == 503
        with psycopg.connect(database) as connection:
            connection.execute("UPDATE hunkwise_api_users SET hour = hour - interval '1 hour'")
        assert limited.read("name").status == 503


def test_github_must_answer_in_time_and_know_the_pull_request(world: ApiWorld, postgres: Postgres) -> None:
    fake = world.app.repositories[REPOSITORY]
    with serving_api(world, postgres.database(), {}, times={"read_seconds": 0.3}) as served:
        assert served.send("name", pull_request=99).status == 404
        fake.fault("GET", "commits/HEAD", delay=5.0)
        began = time.monotonic()
        status, error = error_of(served.send("name"))
        assert (status, "GitHub did not answer" in error, time.monotonic() - began < 3) == (
            502,
            True,
            True,
        ), error


def test_the_newest_part_of_a_history_is_returned() -> None:
    report = {"text": "Yes.", "done": True}
    whole = [ChatMessage(f"Question {number}", (report,)) for number in range(MAX_HISTORY)]
    entries = history_entries(whole)
    assert len(entries) == MAX_HISTORY
    assert entries[-2:] == [("user", f"Question {MAX_HISTORY - 1}"), ("assistant", "Yes.")]
    # The last call that has a text counts; a message without one has no answer.
    assert history_entries(
        [ChatMessage("A", ({"text": "First."}, {"text": "Second."}, {})), ChatMessage("B")]
    ) == [
        ("user", "A"),
        ("assistant", "Second."),
        ("user", "B"),
    ]


def test_events_are_of_our_tools_and_drafts_are_few() -> None:
    seen: list[tuple[str, Mapping[str, object]]] = []
    events = AnswerEvents(lambda name, data: seen.append((name, data)), str.upper)
    for part in ('{"te', '{"text": "It', '{"text": "It is \\u00e', '{"text": "It is é", "done": tr'):
        events.handle(ToolDraft("answer", part))
    events.handle(ToolDraft("other", '{"text": "no"}'))
    events.handle(ToolUse("bash", {"command": "no"}))
    events.handle(ToolUse("answer", {"text": "no"}))
    events.handle(ToolUse("repo_read", {"path": "x" * 600, "start_line": 3, "more": {"deep": 1}}))
    events.handle(ToolUse("repo_list", "no object"))
    assert seen == [
        ("draft", {"content": "IT"}),
        ("tool", {"name": "repo_read", "arguments": {"path": "x" * 500, "start_line": 3}}),
        ("tool", {"name": "repo_list", "arguments": {}}),
    ]


def with_database(url: str, act: Callable[[ApiDatabase, ApiDatabase], Awaitable[_T]]) -> _T:
    """Runs `act` with what two processes have."""

    async def run() -> _T:
        async with ApiDatabase(url, 2).opened() as one, ApiDatabase(url, 2).opened() as other:
            return await act(one, other)

    return asyncio.run(run())


def test_all_processes_have_one_secret(database: str) -> None:
    async def act(one: ApiDatabase, other: ApiDatabase) -> list[str]:
        return list(await asyncio.gather(one.secret(), other.secret(), one.secret()))

    first = with_database(database, act)
    assert len(set(first)) == 1
    assert re.fullmatch("[0-9a-f]{64}", first[0])
    assert with_database(database, act) == first


def test_a_session_is_locked_for_all_processes(database: str) -> None:
    async def act(one: ApiDatabase, other: ApiDatabase) -> None:
        async with one.locked("a"), other.locked("b"):
            for again in (one, other):
                with pytest.raises(ApiError, match="Another request") as raised:
                    async with again.locked("a"):
                        raise AssertionError
                assert raised.value.status == 409
        async with other.locked("a"):
            pass
        with pytest.raises(KeyError):
            async with one.locked("a"):
                raise KeyError
        async with other.locked("a"):
            pass

    with_database(database, act)


def test_an_id_is_of_one_user_repository_pull_request_and_name() -> None:
    base: dict[str, Any] = {
        "secret": "s",
        "caller": Caller(5, ALICE),
        "repository": 7,
        "number": 1,
        "name": "n",
    }
    others: list[dict[str, Any]] = [
        {"secret": "t"},
        {"caller": Caller(6, ALICE)},
        {"repository": 8},
        {"number": 2},
        {"name": "m"},
    ]
    ids = [session_id(**{**base, **other}) for other in [{}, *others]]
    assert len({one.rpartition("-")[2] for one in ids}) == 6
    assert all(re.fullmatch(r"hunkwise-u[56]-[0-9a-f]{24}", one) for one in ids)
    assert session_id(**{**base, "caller": Caller(5, BOB)}) == ids[0]
    assert ALICE not in repr(base["caller"])


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_answers_about_a_token_are_remembered_for_a_time(world: ApiWorld) -> None:
    clock = Clock()
    fake = world.app.repositories[REPOSITORY]

    async def act() -> None:
        callers = Callers(world.settings.api_url, Installations(world.settings), clock)
        mark = len(fake.journal)
        for _ in range(3):
            caller = await callers.identify(f"Bearer {ALICE}")
            assert await callers.repository(caller, REPOSITORY) == sum(REPOSITORY.encode())
            with pytest.raises(ApiError):
                await callers.identify("Bearer gho_refused0000000000000")
        assert len(fake.journal) - mark == 3
        permission = fake.tokens.pop(ALICE)
        try:
            clock.now += REMEMBERED_SECONDS - 1
            await callers.identify(f"bearer {ALICE}")
            clock.now += 1
            with pytest.raises(ApiError, match="does not accept"):
                await callers.identify(f"Bearer {ALICE}")
        finally:
            fake.tokens[ALICE] = permission

    asyncio.run(act())


def test_tokens_that_github_refuses_are_limited(world: ApiWorld) -> None:
    clock = Clock()

    async def act() -> None:
        callers = Callers(world.settings.api_url, Installations(world.settings), clock)
        await callers.identify(f"Bearer {BOB}")

        async def status(number: int) -> int:
            with pytest.raises(ApiError) as raised:
                await callers.identify(f"Bearer gho_guess{number:020d}")
            return raised.value.status

        # Those that are being checked when the last one of them is refused are still counted.
        flood = await asyncio.gather(*(status(number) for number in range(2 * MAX_REFUSED)))
        assert MAX_REFUSED <= flood.count(401) < MAX_REFUSED + AT_ONCE
        assert flood.count(429) == 2 * MAX_REFUSED - flood.count(401)
        assert await status(2 * MAX_REFUSED) == 429
        assert (await callers.identify(f"Bearer {BOB}")).id == sum(b"bob")
        clock.now += 61
        assert await status(2 * MAX_REFUSED) == 401

    asyncio.run(act())


def test_the_newest_answers_are_remembered() -> None:
    memory = _Memory[int](Clock())
    for number in range(MAX_REMEMBERED + 1):
        memory.put(str(number), number)
    assert (memory.get("0"), memory.get("1"), memory.get(str(MAX_REMEMBERED))) == (None, 1, MAX_REMEMBERED)


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (QueueError("The database does not answer: secret detail."), 503, "database does not answer"),
        (GitHubError(GitHubErrorKind.NOT_FOUND, "GitHub declined."), 404, "GitHub declined."),
        (GitHubError(GitHubErrorKind.RATE_LIMIT, "GitHub declined."), 429, "GitHub declined."),
        (GitHubError(GitHubErrorKind.UNAVAILABLE, "GitHub is gone."), 502, "GitHub is gone."),
        (ModelError(ModelKind.AUTHENTICATION, "Copilot answered 401."), 403, "a user with Copilot"),
        (ModelError(ModelKind.PAYMENT, "No quota."), 402, "No quota."),
        (ModelError(ModelKind.RATE_LIMIT, "Wait."), 429, "Wait."),
        (ModelError(ModelKind.TOO_LARGE, "Too long."), 422, "begin another one"),
        (ModelError(ModelKind.SIDECAR, "Gone."), 503, "again later"),
        (ModelError(ModelKind.TIMEOUT, "Late."), 504, "Late."),
        (ModelError(ModelKind.REFUSED, "It said no."), 502, "It said no."),
        (SettingsError(["One fault.", "Another."]), 422, "One fault. Another."),
        (Error("Something."), 502, "Something."),
    ],
)
def test_an_error_has_the_status_of_its_cause(error: Error, status: int, words: str) -> None:
    found = as_api_error(error)
    assert (found.status, words in found.reason, "detail" in found.reason) == (status, True, False)
