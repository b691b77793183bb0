"""Compares the fake Copilot with the real CLI: authentication, models and answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests
from copilot import CopilotClient

from tests.fakes.copilot_api import FakeCopilot, offered_model
from tests.fakes.http_server import serve
from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import Fault, always, report
from tests.fakes_contract.cli import running_cli
from tests.fakes_contract.sdk import Asked, ask, connected

TOKENS = ("ghs_good", "github_pat_good")
Result = TypeVar("Result")
ClientCall = Callable[[CopilotClient], Awaitable[Result]]


@contextmanager
def environment(copilot: FakeCopilot, token: str | None) -> Iterator[dict[str, str]]:
    with serve(copilot) as url:
        addresses = {"COPILOT_API_URL": url, "COPILOT_DEBUG_GITHUB_API_URL": url}
        yield addresses | ({"COPILOT_GITHUB_TOKEN": token} if token else {})


def run_client(home: Path, copilot: FakeCopilot, token: str | None, call: ClientCall[Result]) -> Result:
    """Runs the call on a CLI of its own."""

    async def whole() -> Result:
        with environment(copilot, token) as given, running_cli(home, given) as cli:
            async with connected(cli) as client:
                return await call(client)

    return asyncio.run(whole())


async def list_and_ask(client: CopilotClient) -> tuple[list[str], Asked]:
    models = [model.id for model in await client.list_models()]
    return models, await ask(client, model="claude-sonnet-4.5")


@pytest.mark.parametrize("token", TOKENS)
def test_lists_models_and_reports_with_token(tmp_path: Path, token: str) -> None:
    copilot = FakeCopilot(TOKENS, report(summary="Fine."))
    models, asked = run_client(tmp_path, copilot, token, list_and_ask)
    assert sorted(models) == ["auto", "claude-sonnet-4.5", "gpt-5-mini"]
    assert asked.reported == [{"findings": [], "summary": "Fine.", "done": True}]
    assert {entry.token for entry in copilot.journal} == {token}
    (request,) = copilot.requests
    assert (request.model, request.path) == ("claude-sonnet-4.5", "/chat/completions")
    asks_for_user = "GET /copilot_internal/user" in copilot.paths
    assert asks_for_user == token.startswith("github_pat_")


@pytest.mark.parametrize("endpoint", ["/responses", "/v1/messages"])
def test_uses_endpoint_of_the_model(tmp_path: Path, endpoint: str) -> None:
    copilot = FakeCopilot(TOKENS, report())
    copilot.models = [
        offered_model(name, supported_endpoints=[endpoint]) for name in ("claude-sonnet-4.5", "gpt-5-mini")
    ]
    _, asked = run_client(tmp_path, copilot, "ghs_good", list_and_ask)
    assert [request.path for request in copilot.requests] == [endpoint]
    assert len(asked.reported) == 1


def test_fake_resolves_model_auto(tmp_path: Path) -> None:
    copilot = FakeCopilot(TOKENS, report())
    copilot.auto_model = "claude-sonnet-4.5"
    run_client(tmp_path, copilot, "ghs_good", lambda client: ask(client, model="auto"))
    assert [request.model for request in copilot.requests] == ["claude-sonnet-4.5"]


@pytest.mark.parametrize("token", ["ghs_wrong", "github_pat_wrong"])
def test_wrong_token_fails_at_list_of_models(tmp_path: Path, token: str) -> None:
    async def call(client: CopilotClient) -> None:
        with pytest.raises(Exception, match=r'"status":401.*Bad credentials'):
            await client.list_models()

    run_client(tmp_path, FakeCopilot(TOKENS), token, call)


def test_missing_token_sends_no_request(tmp_path: Path) -> None:
    copilot = FakeCopilot(TOKENS)

    async def call(client: CopilotClient) -> None:
        with pytest.raises(Exception, match="Not authenticated"):
            await client.list_models()

    run_client(tmp_path, copilot, None, call)
    assert copilot.journal == []


@pytest.mark.parametrize("status", [402, 403, 429])
def test_refused_list_of_models_has_status(tmp_path: Path, status: int) -> None:
    copilot = FakeCopilot(TOKENS)
    copilot.refuse("/models", status, retry_after="1")

    async def call(client: CopilotClient) -> None:
        with pytest.raises(Exception, match=f'"status":{status}'):
            await client.list_models()

    run_client(tmp_path, copilot, "ghs_good", call)


@pytest.mark.parametrize(
    ("status", "requests_made", "kind"),
    [(401, 3, "authorization"), (402, 1, "quota"), (403, 1, "authorization")],
)
def test_refused_answer_has_error_type(tmp_path: Path, status: int, requests_made: int, kind: str) -> None:
    copilot = FakeCopilot(TOKENS)
    copilot.refuse("/chat/completions", status)
    events: list[Any] = []

    async def call(client: CopilotClient) -> None:
        session = await client.create_session(model="gpt-5-mini", available_tools=[])
        session.on(events.append)
        with pytest.raises(Exception, match="Session error"):
            await session.send_and_wait("Hello", timeout=20)

    run_client(tmp_path, copilot, "ghs_good", call)
    assert copilot.paths.count("POST /chat/completions") == requests_made
    assert [event.data.error_type for event in events if event.type.value == "session.error"] == [kind]


def test_journal_has_faults_of_the_script(tmp_path: Path) -> None:
    copilot = FakeCopilot(("any",), always(Fault(disconnect=True)))
    headers = {"Authorization": "token any"}
    with serve(copilot) as url:
        with pytest.raises(requests.exceptions.ConnectionError):
            requests.post(f"{url}/chat/completions", json={"messages": []}, headers=headers, timeout=10)
        odd = requests.post(f"{url}/telemetry", data=b"\xff", headers=headers, timeout=10)
        user = requests.get(f"{url}/copilot_internal/user", headers=headers, timeout=10)
        bare = requests.get(f"{url}/models", timeout=10)
    assert [entry.status for entry in copilot.journal] == [0, 404, 200, 401]
    assert (odd.status_code, bare.status_code) == (404, 401)
    assert user.json()["endpoints"]["api"] == url
    assert copilot.journal[1].body == "\ufffd"


def test_token_of_session_comes_before_those_of_the_environment(tmp_path: Path) -> None:
    """And with a provider of one's own no token is sent at all, and its key goes nowhere else."""
    order = ("COPILOT_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN")
    tokens = {name: f"ghs_{name.lower()}" for name in order}
    copilot = FakeCopilot(["gho_alice", "gho_bob", *tokens.values()], report())
    model = ScriptedModel(report())
    seen: dict[str, set[str]] = {}

    async def note(name: str, asking: Awaitable[Asked]) -> None:
        copilot.journal.clear()
        assert len((await asking).reported) == 1
        seen[name] = {entry.token for entry in copilot.journal}

    async def with_environment(names: Sequence[str]) -> None:
        with running_cli(tmp_path / names[0], addresses | {name: tokens[name] for name in names}) as cli:
            async with connected(cli) as client:
                await note(names[0], ask(client, model="gpt-5-mini"))
                if names == order:
                    await note("session", ask(client, model="gpt-5-mini", github_token="gho_alice"))
                    await note("other session", ask(client, model="gpt-5-mini", github_token="gho_bob"))
                    provider = {"type": "openai", "base_url": f"{model_url}/v1", "api_key": "key-own"}
                    await note("provider", ask(client, model="scripted-model", provider=provider))

    with environment(copilot, None) as addresses, serve(model) as model_url:
        for start in range(len(order)):
            asyncio.run(with_environment(order[start:]))
    assert seen == {
        **{name: {token} for name, token in tokens.items()},
        "session": {"gho_alice"},
        "other session": {"gho_bob"},
        "provider": set(),
    }
    assert {request.headers["authorization"] for request in model.requests} == {"Bearer key-own"}
