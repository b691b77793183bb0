"""Sessions on the real CLI: reports, mending, nudges, kinds of provider, usage, deadlines, odd text."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from copilot.session import ProviderConfig

from hunkwise.domain.review import Usage
from hunkwise.errors import ModelKind
from tests.copilot.programs import eventually
from tests.copilot.sessions import MODEL, FakeRepository, Question, SilentModel, Talk, put
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
def test_a_report_ends_the_turn_in_one_model_call(talk: Talk, provider: ProviderConfig, path: str) -> None:
    model = ScriptedModel(report([FINDING], "Fine."))
    asked = talk.ask(model, provider=provider)
    assert asked.error is None
    assert asked.reports == [{"findings": [FINDING], "summary": "Fine.", "done": True}]
    (request,) = model.requests
    assert (request.path, request.model, request.system) == (path, MODEL, "You review.")
    assert request.prompt.endswith("Review this.")
    assert request.tool_names == ("report_findings", "repo_read", "repo_search", "repo_list")
    assert asked.budget.model_calls == 1


def test_a_report_beside_other_calls_ends_the_turn_and_costs_one_call(talk: Talk) -> None:
    calls = (
        ToolCall("repo_list", {}),
        ToolCall("report_findings", {"findings": [], "done": True}),
        ToolCall("repo_list", {}),
    )
    model = ScriptedModel(always(Answer(tool_calls=calls)))
    asked = talk.ask(model)
    assert asked.error is None
    assert len(asked.reports) == len(model.requests) == asked.budget.model_calls == 1


@pytest.mark.parametrize(("provider", "path"), PROVIDERS[:3])
def test_a_declined_report_is_mended_in_the_same_session(
    talk: Talk, provider: ProviderConfig, path: str
) -> None:
    arguments = [{"findings": [FINDING | {"line": line}], "done": True} for line in (7, 3)]
    model = ScriptedModel(turns([Answer(tool_calls=(ToolCall("report_findings", a),)) for a in arguments]))
    asked = talk.ask(model, provider=provider, declined=1)
    assert asked.error is None
    assert [said["findings"][0]["line"] for said in asked.reports] == [7, 3]
    assert "line 7 is not in the diff" in model.requests[1].tool_results[0]
    assert asked.budget.model_calls == len(model.requests) == 2


def test_a_model_that_only_talks_is_told_once_and_then_refused(talk: Talk) -> None:
    model = ScriptedModel(never_calls_tool("I  looked\nat it."))
    asked = talk.ask(model)
    assert asked.error is not None
    assert asked.error.kind is ModelKind.REFUSED
    assert 'it said: "I looked at it."' in asked.error.message
    assert "You have not reported" in model.requests[1].prompt
    assert len(model.requests) == asked.budget.model_calls == asked.usage.model_calls == 2


def test_a_model_that_reports_when_it_is_told_is_heard(talk: Talk) -> None:
    asked = talk.ask(sequence([Answer("Hm."), report([FINDING])]))
    assert asked.error is None
    assert len(asked.reports) == 1
    assert asked.budget.model_calls == 2


@pytest.mark.parametrize(("provider", "_path"), PROVIDERS[:3])
def test_after_an_empty_answer_the_model_is_asked_once_more(
    talk: Talk, provider: ProviderConfig, _path: str
) -> None:
    model = ScriptedModel(sequence([Answer(""), report([FINDING])]))
    asked = talk.ask(model, provider=provider)
    assert (asked.error, len(asked.reports)) == (None, 1)
    assert "No answer arrived" in model.requests[1].prompt
    assert len(model.requests) == asked.budget.model_calls == 2


def test_an_empty_answer_after_reading_or_before_talk_costs_the_question_nothing(talk: Talk) -> None:
    said = (Answer(tool_calls=(ToolCall("repo_list", {}),)), Answer(" \n"), Answer("Fine."))
    done = Answer(tool_calls=(ToolCall("report_findings", {"findings": [], "done": True}),))
    answers = iter((*said, done))
    model = ScriptedModel(lambda _: next(answers))
    asked = talk.ask(model)
    assert (asked.error, len(asked.reports), asked.budget.model_calls) == (None, 1, 4)
    assert "You have not reported" in model.requests[3].prompt


def test_a_second_empty_answer_ends_the_question_and_the_budget_holds(talk: Talk) -> None:
    for most, kind in ((9, ModelKind.PROVIDER), (1, ModelKind.BUDGET)):
        model = ScriptedModel(always(Answer("")))
        asked = talk.ask(model, max_model_calls=most)
        assert asked.error is not None
        assert asked.error.kind is kind
        assert len(model.requests) == asked.budget.model_calls == min(most, 2)


def test_an_answer_that_a_filter_blocked_is_said_to_be(talk: Talk) -> None:
    model = ScriptedModel(always(Answer(finish_reason="content_filter")))
    asked = talk.ask(model)
    assert asked.error is not None
    assert asked.error.kind is ModelKind.CONTENT_FILTER
    assert "`ignore`" in asked.error.hint
    assert len(model.requests) == 1


def test_usage_is_summed_exactly(talk: Talk) -> None:
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
    asked = talk.ask(script)
    assert asked.usage == Usage(2, 3_000, 30, 2_000, 1, (MODEL,))
    assert asked.budget.tokens == 3_030


def test_sessions_side_by_side_do_not_mix(talk: Talk) -> None:
    def echo(request: ModelRequest) -> Answer:
        word = request.prompt.split()[-1]
        if not request.tool_results:
            return Answer(tool_calls=(ToolCall("repo_read", {"path": word}),))
        said = request.tool_results[0].split()[-1]
        arguments = {"findings": [], "summary": f"{word} {said}", "done": True}
        return Answer(tool_calls=(ToolCall("report_findings", arguments),))

    words = [f"word{number}" for number in range(6)]
    repository = FakeRepository({word: f"text-{word}".encode() for word in words})
    questions = [Question(prompt=f"Look at {word}", repository=repository) for word in words]
    model = ScriptedModel(echo, latency=0.1)
    heard = [asked.reports[0]["summary"] for asked in talk.ask_all(model, questions)]
    assert heard == [f"{word} text-{word}" for word in words]
    assert model.in_flight_max > 1


def test_the_deadline_ends_a_question_and_its_model_call(talk: Talk) -> None:
    model = SilentModel()

    async def story(url: str) -> None:
        asked = await put(talk.connection, url, Question(seconds=1.5))
        assert asked.error is not None
        assert asked.error.kind is ModelKind.TIMEOUT
        assert asked.error.message == "The model did not answer before the run's deadline."
        assert "deadline" in asked.error.hint
        assert model.asked == 1
        assert await eventually(lambda: model.hung_up == 1)

    with serve(model) as url:
        talk.runner.run(story(url))


def test_a_deadline_in_the_past_asks_nothing(talk: Talk) -> None:
    model = ScriptedModel(report())
    asked = talk.ask(model, seconds=-1.0)
    assert asked.error is not None
    assert asked.error.kind is ModelKind.TIMEOUT
    assert model.requests == []


def test_a_cancelled_question_lets_its_session_go(talk: Talk) -> None:
    model = SilentModel()

    async def story(url: str) -> None:
        asking = asyncio.create_task(put(talk.connection, url, Question()))
        assert await eventually(lambda: model.asked == 1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await eventually(lambda: model.hung_up == 1)

    with serve(model) as url:
        talk.runner.run(story(url))


@pytest.mark.parametrize("text", ["a lone \ud800 surrogate", "a NUL \0 here", "\u2028\u2029\x1b[31m"])
def test_odd_text_is_answered_as_any_other(talk: Talk, text: str) -> None:
    model = ScriptedModel(report())
    asked = talk.ask(model, prompt=text, system=f"System {text}")
    assert asked.error is None
    assert model.requests[0].prompt.endswith(text.replace("\ud800", "?"))


@pytest.mark.parametrize("broken", ['{"findings": [', "[1]", r'{"findings": ["\ud800"], "done": true}'])
def test_a_call_that_the_cli_cannot_read_is_mended(talk: Talk, broken: str) -> None:
    good = {"findings": [FINDING], "done": True}
    calls = [Answer(tool_calls=(ToolCall("report_findings", said),)) for said in (broken, good)]
    model = ScriptedModel(turns(calls))
    asked = talk.ask(model)
    assert asked.error is None
    assert asked.reports == [good]
    assert len(model.requests) == asked.budget.model_calls == 2


def test_a_very_long_answer_is_taken_whole(talk: Talk) -> None:
    asked = talk.ask(report([FINDING | {"body": "x" * 1_000_000}]))
    assert asked.error is None
    assert len(asked.reports[0]["findings"][0]["body"]) == 1_000_000


def test_a_prompt_above_the_models_limit_is_too_large_without_a_request(talk: Talk) -> None:
    model = ScriptedModel(report())
    asked = talk.ask(model, prompt="word " * 400_000)
    assert asked.error is not None
    assert asked.error.kind is ModelKind.TOO_LARGE
    assert "chunk-size" in asked.error.hint
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
def test_a_refusal_of_a_provider_has_its_kind_and_remedy(
    talk: Talk, status: int, kind: ModelKind, remedy: str
) -> None:
    asked = talk.ask(always(Fault(status)))
    assert asked.error is not None
    assert asked.error.kind is kind
    assert remedy in asked.error.hint
    assert asked.error.message.startswith("The model provider")
    assert asked.reports == []


def test_what_the_cli_tries_again_has_its_kind_in_the_end(talk: Talk) -> None:
    expected = {
        401: (ModelKind.AUTHENTICATION, "provider-api-key"),
        429: (ModelKind.RATE_LIMIT, "parallel"),
        500: (ModelKind.PROVIDER, "status page"),
    }

    async def one(status: int) -> None:
        model = ScriptedModel(always(Fault(status, {"retry-after": "1"})))
        with serve(model) as url:
            asked = await put(talk.connection, url, Question(seconds=40.0))
        assert asked.error is not None
        kind, remedy = expected[status]
        assert (asked.error.kind, remedy in asked.error.hint) == (kind, True)
        assert len(model.requests) > 1

    async def all_at_once() -> None:
        await asyncio.gather(*(one(status) for status in expected))

    talk.runner.run(all_at_once())
