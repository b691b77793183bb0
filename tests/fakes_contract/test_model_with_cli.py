"""Compares the scripted model with the real CLI and SDK in all its APIs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from copilot import CopilotClient

from tests.fakes.http_server import serve
from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import Answer, Fault, ToolCall, always, report, sequence, turns
from tests.fakes_contract.cli import running_cli
from tests.fakes_contract.sdk import Asked, ask, connected

FINDING = {"path": "a.py", "line": 3, "severity": "low", "title": "t", "body": "b"}
DIALECTS: list[Any] = [
    ({"type": "openai", "base_url": ""}, "/chat/completions"),
    ({"type": "openai", "base_url": "/v1"}, "/v1/chat/completions"),
    ({"type": "openai", "base_url": "/v1", "wire_api": "responses"}, "/v1/responses"),
    ({"type": "anthropic", "base_url": ""}, "/v1/messages"),
    ({"type": "azure", "base_url": ""}, "/openai/v1/chat/completions"),
    (
        {"type": "azure", "base_url": "", "azure": {"api_version": "2024-10-21"}},
        "/openai/deployments/my-model/chat/completions",
    ),
]


@dataclass(frozen=True)
class SharedClient:
    """One client for all tests of the module: stopping one takes the SDK a second."""

    runner: asyncio.Runner
    client: CopilotClient

    def ask(self, provider: dict[str, Any], url: str, **options: Any) -> Asked:
        there = provider | {"base_url": url + provider["base_url"], "api_key": "key"}
        return self.runner.run(ask(self.client, model="my-model", provider=there, **options))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedClient]:
    offline = {"COPILOT_OFFLINE": "true", "COPILOT_PROVIDER_BASE_URL": "http://127.0.0.1:1"}
    with running_cli(tmp_path_factory.mktemp("cli"), offline) as cli, asyncio.Runner() as runner:
        connection = connected(cli)
        yield SharedClient(runner, runner.run(connection.__aenter__()))
        runner.run(connection.__aexit__(None, None, None))


@pytest.mark.parametrize(("provider", "path"), DIALECTS)
@pytest.mark.parametrize("streaming", [False, True])
def test_reports_in_one_model_call(
    client: SharedClient, provider: dict[str, Any], path: str, streaming: bool
) -> None:
    model = ScriptedModel(report([FINDING], "Fine."))
    with serve(model) as url:
        seen = client.ask(provider, url, streaming=streaming)
    assert seen.reported == [{"findings": [FINDING], "summary": "Fine.", "done": True}]
    (request,) = model.requests
    assert (request.path, request.model, request.number) == (path, "my-model", 1)
    assert request.stream == (streaming or provider["type"] == "anthropic")
    assert (request.system, request.tool_names) == ("You review.", ("report_findings",))
    assert request.prompt.endswith("Review this.")
    assert set(request.tools[0].schema["properties"]) == {"findings", "summary", "done"}
    assert model.in_flight == 0
    assert model.in_flight_max == 1


@pytest.mark.parametrize(("provider", "path"), DIALECTS[1:4])
def test_model_corrects_declined_report(client: SharedClient, provider: dict[str, Any], path: str) -> None:
    calls = [
        Answer("Let me report.", (ToolCall("report_findings", {"findings": [], "done": done}),))
        for done in (False, True)
    ]
    model = ScriptedModel(turns(calls))
    with serve(model) as url:
        seen = client.ask(provider, url, declined=1)
    assert [call["done"] for call in seen.reported] == [False, True]
    assert [len(request.tool_results) for request in model.requests] == [0, 1]
    assert "line 7 is not in the diff" in model.requests[1].tool_results[0]


@pytest.mark.parametrize(("provider", "path"), DIALECTS[1:4])
def test_reads_text_and_usage(client: SharedClient, provider: dict[str, Any], path: str) -> None:
    model = ScriptedModel(always(Answer("Fine.", input_tokens=1234, output_tokens=56, cached_tokens=1000)))
    with serve(model) as url:
        seen = client.ask(provider, url)
    assert (seen.reported, seen.text) == ([], "Fine.")
    (usage,) = [event.data for event in seen.events if str(event.type.value) == "assistant.usage"]
    assert (getattr(usage, "input_tokens", 0), getattr(usage, "output_tokens", 0)) == (1234, 56)
    assert getattr(usage, "cache_read_tokens", 0) == 1000


@pytest.mark.parametrize(
    "fault",
    [Fault(500), Fault(200, html=True), Fault(disconnect=True), Fault(cut=True), Fault(503, body="busy")],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_cli_retries_after_fault(client: SharedClient, fault: Fault, streaming: bool) -> None:
    model = ScriptedModel(sequence([fault, report([FINDING])]))
    with serve(model) as url:
        seen = client.ask({"type": "openai", "base_url": ""}, url, streaming=streaming)
    assert len(model.requests) == 2
    assert len(seen.reported) == 1


@pytest.mark.parametrize(
    "fault", [Fault(400), Fault(403, {"x-reason": "policy"}, {"error": {"message": "no"}})]
)
def test_cli_does_not_retry_after_client_error(client: SharedClient, fault: Fault) -> None:
    model = ScriptedModel(always(fault))
    with serve(model) as url, pytest.raises(Exception, match="Session error"):
        client.ask({"type": "openai", "base_url": ""}, url)
    assert len(model.requests) == 1


def test_sessions_run_in_parallel(client: SharedClient) -> None:
    model = ScriptedModel(report(), latency=0.5)

    async def story(url: str) -> None:
        provider = {"type": "openai", "base_url": url}
        await asyncio.gather(*(ask(client.client, model="my-model", provider=provider) for _ in range(4)))

    with serve(model) as url:
        client.runner.run(story(url))
    assert len(model.requests) == 4
    assert model.in_flight_max > 1
