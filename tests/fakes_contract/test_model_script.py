"""Tests the scripted model, and its APIs as far as the CLI does not use them."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.fakes.http_server import serve
from tests.fakes.model_provider import Dialect, ScriptedModel, dialect_of, normalized, stream_of, whole_of
from tests.fakes.model_script import (
    Answer,
    Fault,
    Message,
    ModelRequest,
    OfferedTool,
    ToolCall,
    always,
    report,
    sequence,
    turns,
)


def request(number: int = 1, results: int = 0, tools: tuple[str, ...] = ("report_findings",)) -> ModelRequest:
    messages = (Message("system", "S"), Message("user", "first"), Message("user", "last"))
    offered = tuple(OfferedTool(name, "", {}) for name in tools)
    return ModelRequest("m", messages + (Message("tool", "taken"),) * results, offered, False, {}, number)


def test_request_has_prompt_and_system() -> None:
    assert (request().system, request().prompt, request(results=2).tool_results) == (
        "S",
        "last",
        ("taken",) * 2,
    )
    assert ModelRequest("m", (), (), False, {}).prompt == ""


@pytest.mark.parametrize(("number", "text"), [(1, "a"), (2, "b"), (3, "c"), (9, "c")])
def test_sequence_counts_requests(number: int, text: str) -> None:
    steps = sequence([Answer("a"), always(Answer("b")), Answer("c")])
    assert steps(request(number)) == Answer("b" if text == "b" else text)


@pytest.mark.parametrize(("results", "text"), [(0, "a"), (1, "b"), (5, "b")])
def test_turns_count_tool_results(results: int, text: str) -> None:
    assert turns([Answer("a"), Answer("b")])(request(9, results)) == Answer(text)


@pytest.mark.parametrize("asked", [request(results=1), request(tools=("repo_read",))])
def test_reports_once_and_only_with_the_tool(asked: ModelRequest) -> None:
    assert report([{"path": "a"}])(asked) == Answer("That is all.")


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/openai/deployments/d/responses", Dialect.RESPONSES),
        ("/messages", Dialect.ANTHROPIC),
        ("/v2/chat/completions", None),
    ],
)
def test_dialect_of_path(path: str, dialect: Dialect | None) -> None:
    assert dialect_of(path) == dialect


def test_reads_variants_of_bodies() -> None:
    plain = normalized(Dialect.RESPONSES, {"input": "Hello", "instructions": "S"})
    assert plain.messages == (Message("system", "S"), Message("user", "Hello"))
    typed: Any = [
        {"role": "developer", "content": [{"type": "input_text", "text": "S"}]},
        {"type": "function_call_output", "call_id": "c", "output": "taken"},
        {"type": "reasoning", "summary": []},
    ]
    assert normalized(Dialect.RESPONSES, {"input": typed}).messages == (
        Message("system", "S"),
        Message("tool", "taken"),
    )
    blocks: Any = [
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "taken"}]},
        {"type": "text", "text": "go on"},
    ]
    spoken = normalized(Dialect.ANTHROPIC, {"messages": [{"role": "user", "content": blocks}]})
    assert spoken.messages == (Message("tool", "taken"), Message("user", "go on"))
    nothing = normalized(Dialect.COMPLETIONS, {"messages": [{"role": "assistant", "content": None}]})
    assert nothing.messages == (Message("assistant", ""),)


def test_answer_with_finish_reason_length() -> None:
    answer = Answer("Half", finish_reason="length")
    whole = whole_of(Dialect.RESPONSES, request(), answer)
    assert (whole["status"], whole["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert "response.incomplete" in stream_of(Dialect.RESPONSES, request(), answer)[-1]
    assert whole_of(Dialect.ANTHROPIC, request(), answer)["stop_reason"] == "max_tokens"


def test_sends_broken_arguments_unchanged() -> None:
    broken = Answer(tool_calls=(ToolCall("report_findings", '{"findings": ['),))
    message = whole_of(Dialect.COMPLETIONS, request(), broken)["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["arguments"] == '{"findings": ['
    assert any(
        '"partial_json": "{\\"findings\\": ["' in event
        for event in stream_of(Dialect.ANTHROPIC, request(), broken)
    )


def test_unknown_path_is_not_found() -> None:
    model = ScriptedModel(always(Fault(418, {"x-reason": "teapot"}, {"error": "short"})))
    with serve(model) as url:
        assert requests.get(f"{url}/chat/completions", timeout=10).status_code == 404
        assert requests.post(f"{url}/v3/complete", json={}, timeout=10).status_code == 404
        assert model.requests == []
        body: Any = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
        answer = requests.post(f"{url}/chat/completions", json=body, timeout=10)
    assert (answer.status_code, answer.headers["x-reason"], answer.json()) == (
        418,
        "teapot",
        {"error": "short"},
    )


def test_delays_answer() -> None:
    model = ScriptedModel(always(Answer("Late.", delay=0.01)))
    with serve(model) as url:
        answer = requests.post(f"{url}/v1/messages", json={"messages": []}, timeout=10)
    assert answer.json()["content"] == [{"type": "text", "text": "Late."}]
