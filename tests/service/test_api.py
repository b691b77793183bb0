"""The web API on real Copilot CLIs: conversations, whose they are, and who pays for them."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from hunkwise.service.api import MAX_RUNNING
from hunkwise.service.api_access import AT_ONCE, Caller, session_id
from hunkwise.service.process import ListenAddress, ProcessParts, run_service
from hunkwise.service.settings import read_service_settings
from tests.end_to_end.world import wait_until
from tests.fakes.github_app import APP_ID, key_pair
from tests.fakes.http_server import free_port
from tests.fakes.model_script import Answer, ToolCall, always, turns
from tests.fakes_contract.cli import RealCli
from tests.service.api_world import (
    ALICE,
    BOB,
    CAROL,
    REPOSITORY,
    SERVER_TOKEN,
    ApiWorld,
    Reply,
    api_world,
    events_of,
    recalling,
    serving_api,
    two_servers,
    until_in_flight,
)
from tests.service.postgres import Postgres


@pytest.fixture(scope="module")
def clis_and_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, RealCli], ApiWorld]]:
    with api_world(tmp_path_factory.mktemp("api")) as world, two_servers(world) as clis:
        yield clis, world


@pytest.fixture(scope="module")
def shared(clis_and_world: tuple[dict[str, RealCli], ApiWorld], postgres: Postgres) -> Iterator[ApiWorld]:
    clis, world = clis_and_world
    with serving_api(world, postgres.database(), clis) as served:
        yield served


@pytest.fixture
def world(shared: ApiWorld) -> ApiWorld:
    shared.copilot.model.script = recalling
    return shared


def id_of(name: str, login: str = "alice", number: int = 0) -> str:
    """Returns the id of a session in the world."""
    caller = Caller(sum(login.encode()), "")
    return session_id("s" * 32, caller, sum(REPOSITORY.encode()), number, name)


def all_sessions(world: ApiWorld) -> list[str]:
    return [*world.sessions("first"), *world.sessions("second")]


def test_a_conversation_goes_on_with_the_token_of_the_caller(world: ApiWorld) -> None:
    mark, calls = len(world.copilot.journal), len(world.copilot.requests)
    first = world.send("review-1", "What does it change?", pull_request=1)
    assert (first.status, first.body) == (
        200,
        {"session": "review-1", "content": "This is message 1.", "resumed": False, "kept": True},
    )
    second = world.send("review-1", "And why so?", pull_request=1)
    assert second.body == {**first.body, "content": "This is message 2.", "resumed": True}
    one, two = world.copilot.requests[calls:]
    assert "Three hunks" in one.prompt
    assert "> What does it change?" in one.prompt
    assert "> And why so?" in two.prompt
    assert "Three hunks" not in two.prompt
    assert any("> What does it change?" in message.text for message in two.messages)
    assert one.tool_names == two.tool_names == ("answer", "repo_read", "repo_list")
    history = world.read("review-1", pull_request=1)
    assert [(each["role"], each["content"]) for each in history.body["messages"]] == [
        ("user", "What does it change?"),
        ("assistant", "This is message 1."),
        ("user", "And why so?"),
        ("assistant", "This is message 2."),
    ]
    assert world.tokens_since(mark) == {ALICE}
    assert id_of("review-1", number=1) in all_sessions(world)
    assert world.read("review-1", method="DELETE", pull_request=1).status == 204
    assert id_of("review-1", number=1) not in all_sessions(world)
    for method in ("GET", "DELETE"):
        assert world.read("review-1", method=method, pull_request=1).status == 404
    assert world.send("review-1", pull_request=1).body["resumed"] is False


def test_a_repository_is_read_with_the_token_of_the_caller(world: ApiWorld) -> None:
    fake = world.app.repositories[REPOSITORY]
    read = Answer(tool_calls=(ToolCall("repo_read", {"path": "notes.md"}),))
    world.copilot.model.script = turns([read, recalling])
    mark = len(fake.journal)
    assert world.send("repository", "What is the magic number?").status == 200
    last = world.copilot.requests[-1]
    assert any("The magic number is 42." in text for text in last.tool_results)
    assert "It was asked about the repository." in last.prompt
    assert {request.authorization for request in fake.journal[mark:]} <= {f"token {ALICE}", f"Bearer {ALICE}"}


def test_a_session_of_another_user_cannot_be_reached(world: ApiWorld) -> None:
    world.send("shared-name", "A secret of Alice")
    mark, calls = len(world.copilot.journal), len(world.copilot.requests)
    assert world.read("shared-name", BOB).status == 404
    assert world.read("shared-name", BOB, "DELETE").status == 404
    answer = world.send("shared-name", "Hello", BOB)
    assert (answer.body["content"], answer.body["resumed"]) == ("This is message 1.", False)
    assert not any(
        "A secret of Alice" in request.body.__str__() for request in world.copilot.requests[calls:]
    )
    assert world.tokens_since(mark) == {BOB}
    assert {id_of("shared-name"), id_of("shared-name", "bob")} <= set(all_sessions(world))
    # The id is not taken for a name, and a name not for a path.
    for name in (id_of("shared-name"), "..%2Fshared-name"):
        assert world.read(name, BOB).status in (400, 404)
    assert [each["content"] for each in world.read("shared-name").body["messages"]] == [
        "A secret of Alice",
        "This is message 1.",
    ]
    assert len(world.read("shared-name", BOB).body["messages"]) == 2
    assert SERVER_TOKEN not in world.tokens_since(0)
    assert not any(token in text for text in world.files("first", "second") for token in (ALICE, BOB))


def test_a_reminder_is_no_message_of_the_user(world: ApiWorld) -> None:
    world.copilot.model.script = lambda request: (
        recalling(request) if "You have not reported" in request.prompt else Answer("I think so.")
    )
    assert world.send("reminded", "Is it so?").body["content"] == "This is message 2."
    assert [(each["role"], each["content"]) for each in world.read("reminded").body["messages"]] == [
        ("user", "Is it so?"),
        ("assistant", "This is message 2."),
    ]


def test_a_second_request_of_a_session_is_refused_while_one_runs(world: ApiWorld) -> None:
    world.copilot.model.script = always(replace(_answer("Slow."), delay=0.5))
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(world.send, "busy")
        until_in_flight(world)
        refused = [world.send("busy"), world.read("busy"), world.read("busy", method="DELETE")]
        assert [reply.status for reply in refused] == [409, 409, 409]
        assert world.read("busy", BOB).status == 404
        assert slow.result().status == 200
    assert world.send("busy").status == 200


def test_events_show_the_tools_and_the_answer_as_it_is_written(world: ApiWorld) -> None:
    read = Answer(tool_calls=(ToolCall("repo_read", {"path": "notes.md"}),))
    world.copilot.model.script = turns([read, _answer("It is 42. " * 50)])
    with world.stream("events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = list(events_of(answer))
    assert [name for name, _ in events] == ["tool", "draft", "answer"]
    assert events[0][1] == {"name": "repo_read", "arguments": {"path": "notes.md"}}
    assert events[-1][1]["content"].startswith("It is 42.")
    assert events[-1][1]["content"].startswith(events[1][1]["content"])


def test_a_client_that_goes_away_ends_the_turn_and_frees_the_session(world: ApiWorld) -> None:
    world.copilot.model.script = always(replace(_answer("Never."), delay=60.0))
    with world.stream("gone"):
        until_in_flight(world)
    until_in_flight(world, 0)
    with closing(world.connection()) as waiting:
        body = json.dumps({"message": "Why?", "repository": REPOSITORY})
        waiting.request("POST", "/api/sessions/gone-2/messages", body, {"authorization": f"Bearer {BOB}"})
        until_in_flight(world)
    until_in_flight(world, 0)
    world.copilot.model.script = recalling
    for name, token in (("gone", ALICE), ("gone-2", BOB)):
        again = world.send(name, "Again", token)
        assert (again.status, again.body["kept"]) == (200, True), again


def test_a_conversation_outlives_its_server(
    tmp_path: Path, clis_and_world: tuple[dict[str, RealCli], ApiWorld], postgres: Postgres
) -> None:
    clis, world = clis_and_world
    world.copilot.model.script = recalling
    with ExitStack() as stack:
        third = stack.enter_context(world.cli("third", has_token=False))
        used = {"first": clis["first"], "third": third}
        world = stack.enter_context(serving_api(world, postgres.database(), used))
        name = next(
            f"lives-{number}" for number in range(50) if world.server_number(id_of(f"lives-{number}"))
        )
        assert world.send(name, "Remember me").body["content"] == "This is message 1."
        third.process.kill()
        third.process.wait()
        elsewhere = world.send(name, "Are you there?").body
        assert elsewhere == {
            "session": name, "content": "This is message 1.", "resumed": False, "kept": False
        }  # fmt: skip
        assert id_of(name) not in world.sessions("first")
        assert world.read(name).status == 503
        stack.enter_context(world.cli("third", port=third.port, has_token=False))
        world.wait_until_up(1)
        back = world.send(name, "Do you remember?").body
        assert (back["content"], back["resumed"], back["kept"]) == ("This is message 2.", True, True)
    assert SERVER_TOKEN not in world.tokens_since(0)


def test_the_model_of_the_settings_is_one_that_the_caller_has(
    clis_and_world: tuple[dict[str, RealCli], ApiWorld], postgres: Postgres
) -> None:
    clis, world = clis_and_world
    world.copilot.model.script = recalling
    mark = len(world.copilot.journal)
    for model, status in (("gpt-5-mini", 200), ("gpt-9", 422)):
        settings = {"model_inputs": {"model": model}}
        with serving_api(world, postgres.database(), clis, settings=settings) as served:
            reply = served.send(f"model-{model}")
            assert reply.status == status, reply
    assert "claude-sonnet-4.5, gpt-5-mini." in reply.body["error"]
    assert world.copilot.requests[-1].model == "gpt-5-mini"
    assert world.tokens_since(mark) == {ALICE}


def test_an_answer_and_a_token_without_copilot_have_their_own_errors(
    clis_and_world: tuple[dict[str, RealCli], ApiWorld], postgres: Postgres
) -> None:
    clis, world = clis_and_world
    world.copilot.model.script = always(replace(_answer("Late."), delay=60.0))
    with serving_api(world, postgres.database(), clis, times={"seconds": 0.5}, alive_seconds=0.1) as world:
        late = world.send("late")
        until_in_flight(world, 0)
        with world.stream("late") as answer:
            lines = list(answer)
        refused = world.send("refused", token=CAROL)
    assert b": the answer is being made\n" in lines
    events = list(events_of(lines))
    assert (late.status, late.body["error"]) == (504, "The model gave no answer within 0.5 seconds.")
    assert [(name, data["status"]) for name, data in events] == [("error", 504)]
    assert (refused.status, "a user with Copilot" in refused.body["error"]) == (403, True), refused
    assert CAROL not in str(refused)


def test_a_suspended_server_is_not_waited_for_long(
    clis_and_world: tuple[dict[str, RealCli], ApiWorld], postgres: Postgres
) -> None:
    clis, world = clis_and_world
    second = {"second": clis["second"]}
    with serving_api(world, postgres.database(), second, times={"call_seconds": 0.2}) as world:
        second["second"].process.send_signal(signal.SIGSTOP)
        try:
            replies = [world.read("suspended"), world.read("suspended", method="DELETE")]
        finally:
            second["second"].process.send_signal(signal.SIGCONT)
    assert [(reply.status, reply.body["error"]) for reply in replies] == [
        (504, "The Copilot CLI did not answer within 0.2 seconds.")
    ] * 2


def test_the_process_serves_the_api_by_its_settings(
    tmp_path: Path,
    clis_and_world: tuple[dict[str, RealCli], ApiWorld],
    database: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clis, world = clis_and_world
    world.copilot.model.script = recalling
    files = {
        "APP_KEY": key_pair()[0],
        "WEBHOOK_SECRET": "a secret",
        "COPILOT_CONNECTION_TOKEN": clis["first"].token,
    }
    for name, text in files.items():
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(text)
    environ = {
        "HUNKWISE_DATABASE_URL": database,
        "HUNKWISE_APP_ID": str(APP_ID),
        **{f"HUNKWISE_{name}_FILE": str(tmp_path / name) for name in files},
        "HUNKWISE_API": "true",
        "HUNKWISE_COPILOT_URLS": ", ".join(f"127.0.0.1:{cli.port}" for cli in clis.values()),
        "GITHUB_API_URL": world.settings.api_url,
    }
    port = free_port()
    world = copy.copy(world)
    world.url = f"http://127.0.0.1:{port}"

    def talk() -> list[Reply]:
        wait_until(lambda: is_listening(port))
        return [world.send("served", "One"), world.send("served", "Two"), world.read("served", BOB)]

    async def main() -> list[Reply]:
        parts = ProcessParts(web=ListenAddress("127.0.0.1", port))
        running = asyncio.create_task(run_service(read_service_settings(environ), parts, environ))
        replies = await asyncio.to_thread(talk)
        everyone = threading.Barrier(MAX_RUNNING + AT_ONCE)  # each with a request to GitHub that takes long
        await asyncio.gather(*(asyncio.to_thread(everyone.wait, 5) for _ in range(everyone.parties)))
        os.kill(os.getpid(), signal.SIGTERM)
        await running
        return replies

    replies = asyncio.run(main())
    assert [reply.status for reply in replies] == [200, 200, 404], replies
    assert replies[1].body["resumed"] is True
    texts = [ALICE, BOB, SERVER_TOKEN, "This is message", *files.values()]
    assert not any(text in caplog.text for text in texts)


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _answer(text: str) -> Answer:
    return Answer(tool_calls=(ToolCall("answer", {"text": text, "done": True}),))
