"""Checks budgets, fallback models and usage totals."""

from __future__ import annotations

import pytest

from tests.end_to_end.world import World, finding, report_call
from tests.fakes.model_script import Answer, Fault, ModelRequest, Script, ToolCall, agreeing, report

CONFIG = ".github/hunkwise.yml"
MANY = {f"f{number}.py": "x = 1\n" * 900 for number in range(4)}
"""Four files, each of about four chunks of 4,000 characters."""


def configured(world: World, config: str, head: dict[str, str] | None = None) -> None:
    world.change({CONFIG: f"version: 1\n{config}", "app.py": "1\n"}, head or {"app.py": "2\n"})


def never_report(request: ModelRequest) -> Answer:
    """Calls a tool and never reports."""
    return Answer(tool_calls=(ToolCall("repo_list", {}),))


@pytest.mark.parametrize(
    ("config", "asked", "why"),
    [
        ("max-model-calls: 3\nverify: off\n", 3, "max-model-calls (3) is used up"),
        (
            "max-model-calls: 5\n",
            4,
            "max-model-calls (4) of the run, less what is kept for later, is used up",
        ),
        ("max-tokens: 300\nverify: off\n", 3, "max-tokens (300) is used up"),
        (
            "prompts: [{name: review, budget: {max-model-calls: 2}}]\n",
            2,
            'max-model-calls (2) of the prompt "review" is used up',
        ),
        (
            "prompts: [{name: review, budget: {max-tokens: 100}}]\n",
            1,
            'max-tokens (100) of the prompt "review" is used up',
        ),
    ],
)
def test_posts_findings_from_before_a_budget_is_used_up(
    world: World, config: str, asked: int, why: str
) -> None:
    configured(world, f"chunk-size: 4000\nparallel: 1\nsummary: off\n{config}", MANY)
    world.answer_with(lambda request: report_call(finding("f0.py", 1)))
    world.model.script = with_hundred_tokens(world.model.script)
    result = world.run(code=4)
    assert len(world.model.requests) == asked
    assert [comment.path for comment in world.github.comments] == ["f0.py"]
    assert why in result.warning_text
    assert "the budget ran out" in result.summary
    assert int(result.outputs["model-calls"]) == asked + len(world.model.second_requests)


def with_hundred_tokens(script: Script) -> Script:
    """Returns the same answers, each of 100 tokens."""

    def counted(request: ModelRequest) -> Answer:
        outcome = script(request)
        assert isinstance(outcome, Answer)
        return Answer(outcome.text, outcome.tool_calls, input_tokens=60, output_tokens=40)

    return counted


def test_chunk_budget_affects_one_chunk_only(world: World) -> None:
    configured(
        world,
        "chunk-size: 4000\nparallel: 1\nprompts: [{name: review, chunk-budget: {max-model-calls: 2}}]\n",
        {"bad.py": "x = 1\n" * 100, "good.py": "y = 1\n" * 100},
    )

    def script(request: ModelRequest) -> Answer:
        if '### "bad.py"' in request.prompt:
            return never_report(request)
        return report_call(finding("good.py", 1))

    world.answer_with(script)
    result = world.run(code=4)
    assert [comment.path for comment in world.github.comments] == ["good.py"]
    assert [file["path"] for file in result.report["coverage"]["files"] if file["missing"]] == ["bad.py"]
    assert 'of a chunk of the prompt "review"' in result.warning_text


def test_prompt_budget_affects_one_prompt_only(world: World) -> None:
    configured(
        world,
        "prompts: [{name: review, budget: {max-model-calls: 1}}, security]\nchunk-size: 4000\nparallel: 1\n",
        {"a.py": "x = 1\n" * 400, "b.py": "y = 1\n" * 400},
    )
    world.answer_with(report())
    result = world.run(code=4)
    by_prompt = {entry["prompt"]: entry["model_calls"] for entry in result.report["usage"]["by_prompt"]}
    assert by_prompt["review"] == 1
    assert by_prompt["security"] >= 2


def test_credit_limit_ends_run_with_exact_count(world: World) -> None:
    configured(world, "chunk-size: 4000\nparallel: 1\nmax-credits: 0.3\nverify: off\nsummary: off\n", MANY)

    def script(request: ModelRequest) -> Answer:
        call = ToolCall("report_findings", {"findings": [], "done": True})
        return Answer(tool_calls=(call,), nano_credits=100_000_001)

    world.answer_with(script)
    result = world.run_copilot(code=4)
    assert len(world.copilot.requests) == 3
    assert result.report["usage"]["nano_credits"] == 300_000_003
    assert result.outputs["ai-credits"] == "0.300000003"
    assert "max-credits (0.3) is used up" in result.warning_text
    assert "0.30 AI credits" in result.summary


def test_usage_by_prompt_adds_up_to_total(world: World) -> None:
    configured(
        world,
        "chunk-size: 4000\nprompts: [review, security]\nsummary: full\n",
        {"a.py": "x = 1\n" * 400, "b.py": "y = 1\n" * 400},
    )

    def script(request: ModelRequest) -> Answer:
        answer = report_call(finding("a.py", 1))
        return Answer(tool_calls=answer.tool_calls, input_tokens=1_000 + request.number, output_tokens=10)

    def second(request: ModelRequest) -> Answer:
        answer = agreeing(request)
        return Answer(tool_calls=answer.tool_calls, input_tokens=5_000 + request.number, output_tokens=3)

    world.answer_with(script)
    world.model.second = second
    result = world.run(code=0)
    asked, more = len(world.model.requests), len(world.model.second_requests)
    usage = result.report["usage"]
    assert more == 2
    assert usage["model_calls"] == asked + more
    assert usage["input_tokens"] == sum(1_000 + n + 1 for n in range(asked)) + sum(
        5_000 + n + 1 for n in range(more)
    )
    assert usage["output_tokens"] == 10 * asked + 3 * more
    parts = usage["by_prompt"]
    assert [part["prompt"] for part in parts] == sorted(["review", "security", "summary", "verify"])
    for key in (
        "model_calls",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "tool_calls",
        "nano_credits",
    ):
        assert sum(part[key] for part in parts) == usage[key], key


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(404, body={"error": {"message": "The model `old` does not exist"}}), "unavailable model"),
        (Fault(410, body={"error": {"message": "The model old has been retired"}}), "unavailable model"),
        (Fault(400, body={"error": {"message": "model old was decommissioned"}}), "unavailable model"),
        (Fault(429, headers={"retry-after": "600"}), "rate limit"),
    ],
    ids=["unknown", "retired", "decommissioned", "rate-limited"],
)
def test_falls_back_to_next_model(world: World, fault: Fault, kind: str) -> None:
    configured(world, "verify: off\n")
    world.answer_with(lambda request: fault if request.model == "old" else report_call(finding("app.py", 1)))
    result = world.run({"model": "old,new"}, code=0)
    assert [request.model for request in world.model.requests][-1] == "new"
    assert [comment.line for comment in world.github.comments] == [1]
    assert f'The model "old" was left for "new" ({kind})' in result.summary.replace("\\", "")
    assert result.report["usage"]["models"] == ["new"]


def test_fails_with_last_reason_when_no_model_is_left(world: World) -> None:
    configured(world, "verify: off\n")
    world.answer_with(lambda request: Fault(404, body={"error": {"message": f"no {request.model}"}}))
    result = world.run({"model": "old,older"}, code=3)
    assert "Correct `model`" in result.error_text
    assert [request.model for request in world.model.requests] == ["old", "older"]


def test_uses_first_model_that_copilot_offers(world: World) -> None:
    configured(world, "models: [gpt-0-gone, gpt-5-mini]\nverify: off\n")
    world.answer_with(report())
    result = world.run_copilot(code=0)
    assert [request.model for request in world.copilot.requests] == ["gpt-5-mini"]
    assert '"gpt-0-gone" was left for "gpt-5-mini"' in result.summary.replace("\\", "")


def test_double_check_and_summary_use_their_own_models(world: World) -> None:
    configured(world, "verify-model: cheap\nsummary-model: cheaper\nsummary: full\n")
    world.answer_with(report([finding("app.py", 1)]))
    result = world.run({"model": "dear"}, code=0)
    assert {request.model for request in world.model.requests} == {"dear"}
    tools = {request.tool_names[0]: request.model for request in world.model.second_requests}
    assert sorted(tools.values()) == ["cheap", "cheaper"]
    assert not [note for note in result.report["notes"] if "asked for" in note]
