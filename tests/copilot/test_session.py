"""Sessions on the real CLI: reports, corrections, reminders, providers, usage, deadlines, unusual text."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from copilot.session import ProviderConfig

from hunkwise.domain.review import Usage
from hunkwise.errors import ModelKind
from tests.copilot.programs import eventually
from tests.copilot.sessions import MODEL, ConnectedCli, FakeRepository, Question, SilentModel, put
from tests.fakes.http_server import serve
from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import (
    Answer,
    Fault,
    ModelRequest,
    ToolCall,
    always,
    never_calls_tool,
    report,
    sequence,
    turns,
)

FINDING = {"path": "a.py", "line": 3, "severity": "low", "title": "t", "body": "b"}
PROVIDERS: list[Any] = [
    ({"type": "openai", "base_url": "/v1"}, "/v1/chat/completions"),
    ({"type": "openai", "base_url": "/v1", "wire_api": "responses"}, "/v1/responses"),
    ({"type": "anthropic"}, "/v1/messages"),
    ({"type": "azure"}, "/openai/v1/chat/completions"),
    (
        {"type": "azure", "azure": {"api_version": "2024-10-21"}},
        f"/openai/deployments/{MODEL}/chat/completions",
    ),
]


@pytest.mark.parametrize(("provider", "path"), PROVIDERS)
def test_report_ends_turn_after_one_model_call(
    cli: ConnectedCli, provider: ProviderConfig, path: str
) -> None:
    model = ScriptedModel(report([FINDING], "Fine."))
    result = cli.ask(model, provider=provider)
    assert result.error is None
    assert result.reports == [{"findings": [FINDING], "summary": "Fine.", "done": True}]
    (request,) = model.requests
    assert (request.path, request.model, request.system) == (path, MODEL, "You review.")
    assert request.prompt.endswith("Review this.")
    assert request.tool_names == ("report_findings", "repo_read", "repo_search", "repo_list")
    assert result.budget.model_calls == 1


def test_report_with_other_tool_calls_ends_turn_after_one_model_call(cli: ConnectedCli) -> None:
    calls = (
        ToolCall("repo_list", {}),
        ToolCall("report_findings", {"findings": [], "done": True}),
        ToolCall("repo_list", {}),
    )
    model = ScriptedModel(always(Answer(tool_calls=calls)))
    result = cli.ask(model)
    assert result.error is None
    assert len(result.reports) == len(model.requests) == result.budget.model_calls == 1


@pytest.mark.parametrize(("provider", "path"), PROVIDERS[:3])
def test_rejected_report_is_corrected_in_same_session(
    cli: ConnectedCli, provider: ProviderConfig, path: str
) -> None:
    arguments = [{"findings": [FINDING | {"line": line}], "done": True} for line in (7, 3)]
    model = ScriptedModel(turns([Answer(tool_calls=(ToolCall("report_findings", a),)) for a in arguments]))
    result = cli.ask(model, provider=provider, declined=1)
    assert result.error is None
    assert [report["findings"][0]["line"] for report in result.reports] == [7, 3]
    assert "line 7 is not in the diff" in model.requests[1].tool_results[0]
    assert result.budget.model_calls == len(model.requests) == 2


def test_model_without_report_gets_one_reminder_and_then_an_error(cli: ConnectedCli) -> None:
    model = ScriptedModel(never_calls_tool("I  looked\nat it."))
    result = cli.ask(model)
    assert result.error is not None
    assert result.error.kind is ModelKind.REFUSED
    assert 'it said: "I looked at it."' in result.error.message
    assert "You have not reported" in model.requests[1].prompt
    assert len(model.requests) == result.budget.model_calls == result.usage.model_calls == 2


def test_report_after_reminder_is_accepted(cli: ConnectedCli) -> None:
    result = cli.ask(sequence([Answer("Hm."), report([FINDING])]))
    assert result.error is None
    assert len(result.reports) == 1
    assert result.budget.model_calls == 2


@pytest.mark.parametrize(("provider", "_path"), PROVIDERS[:3])
def test_empty_answer_is_retried_once(cli: ConnectedCli, provider: ProviderConfig, _path: str) -> None:
    model = ScriptedModel(sequence([Answer(""), report([FINDING])]))
    result = cli.ask(model, provider=provider)
    assert (result.error, len(result.reports)) == (None, 1)
    assert "No answer arrived" in model.requests[1].prompt
    assert len(model.requests) == result.budget.model_calls == 2


def test_empty_answer_between_tool_call_and_text_does_not_fail_question(cli: ConnectedCli) -> None:
    first = (Answer(tool_calls=(ToolCall("repo_list", {}),)), Answer(" \n"), Answer("Fine."))
    done = Answer(tool_calls=(ToolCall("report_findings", {"findings": [], "done": True}),))
    answers = iter((*first, done))
    model = ScriptedModel(lambda _: next(answers))
    result = cli.ask(model)
    assert (result.error, len(result.reports), result.budget.model_calls) == (None, 1, 4)
    assert "You have not reported" in model.requests[3].prompt


def test_second_empty_answer_fails_question_within_budget(cli: ConnectedCli) -> None:
    for most, kind in ((9, ModelKind.PROVIDER), (1, ModelKind.BUDGET)):
        model = ScriptedModel(always(Answer("")))
        result = cli.ask(model, max_model_calls=most)
        assert result.error is not None
        assert result.error.kind is kind
        assert len(model.requests) == result.budget.model_calls == min(most, 2)


def test_blocked_answer_is_a_content_filter_error(cli: ConnectedCli) -> None:
    model = ScriptedModel(always(Answer(finish_reason="content_filter")))
    result = cli.ask(model)
    assert result.error is not None
    assert result.error.kind is ModelKind.CONTENT_FILTER
    assert "`ignore`" in result.error.hint
    assert len(model.requests) == 1


def test_usage_is_summed_over_model_calls(cli: ConnectedCli) -> None:
    script = turns(
        [
            Answer(
                tool_calls=(ToolCall("repo_list", {}),),
                input_tokens=1_000,
                output_tokens=10,
                cached_tokens=900,
            ),
            Answer(
                tool_calls=(ToolCall("report_findings", {"findings": [], "done": True}),),
                input_tokens=2_000,
                output_tokens=20,
                cached_tokens=1_100,
            ),
        ]
    )
    result = cli.ask(script)
    assert result.usage == Usage(2, 3_000, 30, 2_000, 1, (MODEL,))
    assert result.budget.tokens == 3_030


def test_concurrent_sessions_do_not_mix(cli: ConnectedCli) -> None:
    def echo(request: ModelRequest) -> Answer:
        word = request.prompt.split()[-1]
        if not request.tool_results:
            return Answer(tool_calls=(ToolCall("repo_read", {"path": word}),))
        text = request.tool_results[0].split()[-1]
        arguments = {"findings": [], "summary": f"{word} {text}", "done": True}
        return Answer(tool_calls=(ToolCall("report_findings", arguments),))

    words = [f"word{number}" for number in range(6)]
    repository = FakeRepository({word: f"text-{word}".encode() for word in words})
    questions = [Question(prompt=f"Look at {word}", repository=repository) for word in words]
    model = ScriptedModel(echo, latency=0.1)
    summaries = [result.reports[0]["summary"] for result in cli.ask_all(model, questions)]
    assert summaries == [f"{word} text-{word}" for word in words]
    assert model.in_flight_max > 1


def test_deadline_ends_question_and_its_model_call(cli: ConnectedCli) -> None:
    model = SilentModel()

    async def scenario(url: str) -> None:
        result = await put(cli.connection, url, Question(seconds=1.5))
        assert result.error is not None
        assert result.error.kind is ModelKind.TIMEOUT
        assert result.error.message == "The model did not answer before the run's deadline."
        assert "deadline" in result.error.hint
        assert model.requests == 1
        assert await eventually(lambda: model.hung_up == 1)

    with serve(model) as url:
        cli.runner.run(scenario(url))


def test_past_deadline_sends_no_request(cli: ConnectedCli) -> None:
    model = ScriptedModel(report())
    result = cli.ask(model, seconds=-1.0)
    assert result.error is not None
    assert result.error.kind is ModelKind.TIMEOUT
    assert model.requests == []


def test_cancelled_question_ends_its_model_call(cli: ConnectedCli) -> None:
    model = SilentModel()

    async def scenario(url: str) -> None:
        asking = asyncio.create_task(put(cli.connection, url, Question()))
        assert await eventually(lambda: model.requests == 1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await eventually(lambda: model.hung_up == 1)

    with serve(model) as url:
        cli.runner.run(scenario(url))


@pytest.mark.parametrize("text", ["a lone \ud800 surrogate", "a NUL \0 here", "\u2028\u2029\x1b[31m"])
def test_unusual_text_in_prompt_is_sent(cli: ConnectedCli, text: str) -> None:
    model = ScriptedModel(report())
    result = cli.ask(model, prompt=text, system=f"System {text}")
    assert result.error is None
    assert model.requests[0].prompt.endswith(text.replace("\ud800", "?"))


@pytest.mark.parametrize("broken", ['{"findings": [', "[1]", r'{"findings": ["\ud800"], "done": true}'])
def test_tool_call_that_cli_cannot_parse_is_corrected(cli: ConnectedCli, broken: str) -> None:
    good = {"findings": [FINDING], "done": True}
    calls = [Answer(tool_calls=(ToolCall("report_findings", text),)) for text in (broken, good)]
    model = ScriptedModel(turns(calls))
    result = cli.ask(model)
    assert result.error is None
    assert result.reports == [good]
    assert len(model.requests) == result.budget.model_calls == 2


def test_very_long_report_is_received_whole(cli: ConnectedCli) -> None:
    result = cli.ask(report([FINDING | {"body": "x" * 1_000_000}]))
    assert result.error is None
    assert len(result.reports[0]["findings"][0]["body"]) == 1_000_000


def test_prompt_above_model_limit_fails_without_request(cli: ConnectedCli) -> None:
    model = ScriptedModel(report())
    result = cli.ask(model, prompt="word " * 400_000)
    assert result.error is not None
    assert result.error.kind is ModelKind.TOO_LARGE
    assert "chunk-size" in result.error.hint
    assert model.requests == []


@pytest.mark.parametrize(
    ("status", "kind", "remedy"),
    [
        (400, ModelKind.PROVIDER, "status page"),
        (402, ModelKind.PAYMENT, "billing page"),
        (403, ModelKind.FORBIDDEN, "what the key may do"),
        (404, ModelKind.UNAVAILABLE_MODEL, "provider-base-url"),
        (413, ModelKind.TOO_LARGE, "chunk-size"),
    ],
)
def test_provider_error_has_kind_and_hint(
    cli: ConnectedCli, status: int, kind: ModelKind, remedy: str
) -> None:
    result = cli.ask(always(Fault(status)))
    assert result.error is not None
    assert result.error.kind is kind
    assert remedy in result.error.hint
    assert result.error.message.startswith("The model provider")
    assert result.reports == []


def test_error_after_cli_retries_has_kind_and_hint(cli: ConnectedCli) -> None:
    expected = {
        401: (ModelKind.AUTHENTICATION, "provider-api-key"),
        429: (ModelKind.RATE_LIMIT, "parallel"),
        500: (ModelKind.PROVIDER, "status page"),
    }

    async def one(status: int) -> None:
        model = ScriptedModel(always(Fault(status, {"retry-after": "1"})))
        with serve(model) as url:
            result = await put(cli.connection, url, Question(seconds=40.0))
        assert result.error is not None
        kind, remedy = expected[status]
        assert (result.error.kind, remedy in result.error.hint) == (kind, True)
        assert len(model.requests) > 1

    async def all_at_once() -> None:
        await asyncio.gather(*(one(status) for status in expected))

    cli.runner.run(all_at_once())
