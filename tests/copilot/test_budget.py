"""The budget holds on the real CLI, which has none of its own: no model call more than was allowed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from copilot.session_events import AssistantUsageData, SessionEvent

from hunkwise.copilot.session import Turn
from hunkwise.domain.model import MAX_DENIALS, TOOL_CALLS_PER_MODEL_CALL, Budget
from hunkwise.errors import ModelError, ModelKind
from tests.copilot.sessions import FakeRepository, Question, Talk, put
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
def test_a_looping_model_is_called_as_often_as_allowed(talk: Talk, loop: str, most: int) -> None:
    model = ScriptedModel(always(Answer(tool_calls=LOOPS[loop])))
    repository = FakeRepository({"a": b"text\n"})
    asked = talk.ask(model, max_model_calls=most, declined=1_000, repository=repository)
    assert asked.error is not None
    assert asked.error.kind is ModelKind.BUDGET
    assert f"max-model-calls ({most})" in asked.error.message
    assert len(model.requests) == asked.budget.model_calls == asked.usage.model_calls == most


def test_sessions_side_by_side_share_one_budget(talk: Talk) -> None:
    model = ScriptedModel(always(Answer(tool_calls=LOOPS["bash"])), latency=0.05)
    budget = Budget(7)

    async def together(url: str) -> None:
        asked = await asyncio.gather(
            *(put(talk.connection, url, Question(), budget=budget) for _ in range(4))
        )
        assert all(each.error and each.error.kind is ModelKind.BUDGET for each in asked)

    with serve(model) as url:
        talk.runner.run(together(url))
    assert len(model.requests) == budget.model_calls == 7


def test_a_model_is_not_told_to_report_where_no_call_is_left(talk: Talk) -> None:
    model = ScriptedModel(never_calls_tool())
    asked = talk.ask(model, max_model_calls=1)
    assert asked.error is not None
    assert asked.error.kind is ModelKind.BUDGET
    assert len(model.requests) == 1


def test_used_up_tokens_end_the_question(talk: Talk) -> None:
    answer = Answer(tool_calls=LOOPS["read"], input_tokens=400, output_tokens=100)
    model = ScriptedModel(always(answer))
    asked = talk.ask(model, max_tokens=1_000)
    assert asked.error is not None
    assert "max-tokens (1,000) is used up" in asked.error.message
    assert len(model.requests) == 2


def test_an_empty_budget_asks_nothing(talk: Talk) -> None:
    model = ScriptedModel(report())
    asked = talk.ask(model, max_model_calls=0)
    assert asked.error is not None
    assert asked.error.kind is ModelKind.BUDGET
    assert model.requests == []


def test_too_many_reading_calls_end_the_reading_and_not_the_report(talk: Talk) -> None:
    many = Answer(tool_calls=tuple(ToolCall("repo_list", {}) for _ in range(TOOL_CALLS_PER_MODEL_CALL * 3)))
    model = ScriptedModel(always(many))
    repository = FakeRepository({"a": b""})
    asked = talk.ask(model, max_model_calls=2, repository=repository)
    assert asked.error is not None
    assert len(repository.calls) <= TOOL_CALLS_PER_MODEL_CALL * 2
    assert len(model.requests) <= 2


def test_a_call_that_was_taken_and_never_begun_is_given_back() -> None:
    async def story() -> None:
        budget = Budget(2)
        turn = Turn(budget, provider=True, report="report_findings")
        turn.grant()
        assert budget.model_calls == 1
        turn.close()
        assert budget.model_calls == 0

    asyncio.run(story())


def test_a_call_that_the_cli_makes_by_itself_is_counted_and_ends_the_turn() -> None:
    async def story() -> None:
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

    asyncio.run(story())


def test_a_model_that_keeps_asking_for_permissions_is_ended() -> None:
    async def story() -> None:
        turn = Turn(Budget(5), provider=False, report="report_findings")
        for _ in range(MAX_DENIALS):
            assert "Denied" in (turn.deny(None, None).feedback or "")
        assert not turn.finished.done()
        turn.deny(None, None)
        with pytest.raises(ModelError, match="may not do") as raised:
            await turn.finished
        assert raised.value.kind is ModelKind.REFUSED

    asyncio.run(story())


def test_usage_without_numbers_counts_as_a_call() -> None:
    async def story() -> None:
        turn = Turn(Budget(5), provider=False, report="report_findings")
        turn.observe(event({"type": "assistant.usage", "data": {"model": "m"}}))
        assert turn.close().model_calls == 1

    asyncio.run(story())


def event(said: Mapping[str, object]) -> SessionEvent:
    """An event as the CLI sends it."""
    whole = {
        "id": "00000000-0000-0000-0000-000000000001",
        "timestamp": "2026-01-02T03:04:05Z",
        "parentId": None,
    }
    made = SessionEvent.from_dict({**whole, **said})
    assert said["type"] != "assistant.usage" or isinstance(made.data, AssistantUsageData)
    return made
