"""The budget on the real CLI, which has no limit itself: no model call above the allowed number."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from copilot.session_events import AssistantUsageData, SessionEvent

from hunkwise.copilot.turn import Turn
from hunkwise.domain.model import MAX_DENIALS, TOOL_CALLS_PER_MODEL_CALL, Budget
from hunkwise.errors import ModelError, ModelKind
from tests.copilot.sessions import ConnectedCli, FakeRepository, Question, put
from tests.fakes.http_server import serve
from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import Answer, ToolCall, always, never_calls_tool, report

LOOPS = {
    "bash": (ToolCall("bash", {"command": "ls"}),),
    "unknown": (ToolCall("no_such_tool", {}),),
    "read": (ToolCall("repo_read", {"path": "a"}),),
    "several": tuple(ToolCall(name, {}) for name in ("repo_list", "view", "repo_list")),
    "no JSON": (ToolCall("report_findings", '{"findings": ['),),
    "no object": (ToolCall("report_findings", "[1]"),),
    "half a character": (ToolCall("report_findings", r'{"findings": ["\ud800"], "done": true}'),),
    "declined": (ToolCall("report_findings", {"findings": [], "done": False}),),
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("most", [1, 3])
def test_looping_model_is_called_up_to_limit(cli: ConnectedCli, loop: str, most: int) -> None:
    model = ScriptedModel(always(Answer(tool_calls=LOOPS[loop])))
    repository = FakeRepository({"a": b"text\n"})
    result = cli.ask(model, max_model_calls=most, declined=1_000, repository=repository)
    assert result.error is not None
    assert result.error.kind is ModelKind.BUDGET
    assert f"max-model-calls ({most})" in result.error.message
    assert len(model.requests) == result.budget.model_calls == result.usage.model_calls == most


def test_concurrent_sessions_share_budget(cli: ConnectedCli) -> None:
    model = ScriptedModel(always(Answer(tool_calls=LOOPS["bash"])), latency=0.05)
    budget = Budget(7)

    async def together(url: str) -> None:
        results = await asyncio.gather(
            *(put(cli.connection, url, Question(), budget=budget) for _ in range(4))
        )
        assert all(each.error and each.error.kind is ModelKind.BUDGET for each in results)

    with serve(model) as url:
        cli.runner.run(together(url))
    assert len(model.requests) == budget.model_calls == 7


def test_no_reminder_without_remaining_model_calls(cli: ConnectedCli) -> None:
    model = ScriptedModel(never_calls_tool())
    result = cli.ask(model, max_model_calls=1)
    assert result.error is not None
    assert result.error.kind is ModelKind.BUDGET
    assert len(model.requests) == 1


def test_used_tokens_end_question(cli: ConnectedCli) -> None:
    answer = Answer(tool_calls=LOOPS["read"], input_tokens=400, output_tokens=100)
    model = ScriptedModel(always(answer))
    result = cli.ask(model, max_tokens=1_000)
    assert result.error is not None
    assert "max-tokens (1,000) is used up" in result.error.message
    assert len(model.requests) == 2


def test_empty_budget_sends_no_request(cli: ConnectedCli) -> None:
    model = ScriptedModel(report())
    result = cli.ask(model, max_model_calls=0)
    assert result.error is not None
    assert result.error.kind is ModelKind.BUDGET
    assert model.requests == []


def test_reading_calls_above_limit_are_not_run(cli: ConnectedCli) -> None:
    many = Answer(tool_calls=tuple(ToolCall("repo_list", {}) for _ in range(TOOL_CALLS_PER_MODEL_CALL * 3)))
    model = ScriptedModel(always(many))
    repository = FakeRepository({"a": b""})
    result = cli.ask(model, max_model_calls=2, repository=repository)
    assert result.error is not None
    assert len(repository.calls) <= TOOL_CALLS_PER_MODEL_CALL * 2
    assert len(model.requests) <= 2


def test_unused_model_call_is_returned_to_budget() -> None:
    async def scenario() -> None:
        budget = Budget(2)
        turn = Turn(budget, provider=True, report="report_findings")
        turn.grant()
        assert budget.model_calls == 1
        turn.close()
        assert budget.model_calls == 0

    asyncio.run(scenario())


def test_unrequested_model_call_ends_turn() -> None:
    async def scenario() -> None:
        budget = Budget(1)
        turn = Turn(budget, provider=True, report="report_findings")
        turn.grant()
        start = {"type": "assistant.turn_start", "data": {"turnId": "0"}}
        for _ in range(2):
            turn.observe(event(start))
        with pytest.raises(ModelError, match="budget ran out"):
            await turn.finished
        turn.observe(event({"type": "session.idle", "data": {}}))
        assert turn.idle
        assert budget.model_calls == 1

    asyncio.run(scenario())


def test_repeated_permission_requests_end_turn() -> None:
    async def scenario() -> None:
        turn = Turn(Budget(5), provider=False, report="report_findings")
        for _ in range(MAX_DENIALS):
            assert "Denied" in (turn.deny(None, None).feedback or "")
        assert not turn.finished.done()
        turn.deny(None, None)
        with pytest.raises(ModelError, match="may not do") as raised:
            await turn.finished
        assert raised.value.kind is ModelKind.REFUSED

    asyncio.run(scenario())


def test_usage_event_without_numbers_counts_one_call() -> None:
    async def scenario() -> None:
        turn = Turn(Budget(5), provider=False, report="report_findings")
        turn.observe(event({"type": "assistant.usage", "data": {"model": "m"}}))
        assert turn.close().model_calls == 1

    asyncio.run(scenario())


def event(fields: Mapping[str, object]) -> SessionEvent:
    """Returns an event in the form that the CLI sends."""
    envelope = {
        "id": "00000000-0000-0000-0000-000000000001",
        "timestamp": "2026-01-02T03:04:05Z",
        "parentId": None,
    }
    parsed = SessionEvent.from_dict({**envelope, **fields})
    assert fields["type"] != "assistant.usage" or isinstance(parsed.data, AssistantUsageData)
    return parsed
