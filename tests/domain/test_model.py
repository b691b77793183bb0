"""Tests budgets and deadlines."""

from __future__ import annotations

import pytest

from hunkwise.domain.model import MAX_DENIALS, NANO, Budget, Deadline, Limits


def test_deadline_counts_down_to_zero() -> None:
    moments = iter([10.0, 12.5, 99.0])
    deadline = Deadline(13.0, lambda: next(moments))
    assert [deadline.remaining for _ in range(3)] == [3.0, 0.5, 0.0]


def test_model_calls_are_allowed_up_to_the_limit() -> None:
    budget = Budget(2)
    assert [budget.take_model_call() for _ in range(4)] == [True, True, False, False]
    assert (budget.model_calls, budget.exhausted) == (2, True)
    assert budget.why == "max-model-calls (2) is used up"


@pytest.mark.parametrize(
    ("limits", "tokens", "nano_credits", "why"),
    [
        (Limits(9, 1_000), 1_000, 0, "max-tokens (1,000) is used up"),
        (Limits(9, 1_000), 999, 5 * NANO, ""),
        (Limits(9, None, 0.5), 0, NANO // 2, "max-credits (0.5) is used up"),
        (Limits(9, None, 0.5), 10**9, NANO // 2 - 1, ""),
        (Limits(9, None, 30.0), 0, 31 * NANO, "max-credits (30) is used up"),
        (Limits(), 10**12, 10**15, ""),
    ],
)
def test_no_model_calls_after_tokens_or_credits_are_used(
    limits: Limits, tokens: int, nano_credits: int, why: str
) -> None:
    budget = Budget(limits.max_model_calls, limits.max_tokens, limits.max_credits)
    assert budget.take_model_call()
    budget.spend(tokens, nano_credits)
    assert budget.why == why
    assert budget.take_model_call() is not budget.exhausted


def test_partial_budget_spends_from_the_total() -> None:
    run = Budget(3)
    one = run.part(Limits(2), ' of the prompt "one"')
    other = run.part(Limits(2), ' of the prompt "other"')
    assert [one.take_model_call() for _ in range(3)] == [True, True, False]
    assert one.why == 'max-model-calls (2) of the prompt "one" is used up'
    assert [other.take_model_call() for _ in range(2)] == [True, False]
    assert other.why == run.why == "max-model-calls (3) is used up"
    assert (one.model_calls, other.model_calls, run.model_calls) == (2, 1, 3)


def test_calls_returned_by_a_partial_budget_are_in_the_total() -> None:
    run = Budget(1)
    part = run.part(Limits(), "")
    assert part.take_model_call()
    part.give_back(1)
    assert (part.model_calls, run.model_calls) == (0, 0)
    part.spend(7, 9)
    assert (run.tokens, run.nano_credits) == (7, 9)


def test_tool_calls_and_denials_are_limited_for_the_whole_run() -> None:
    run = Budget(1)
    parts = [run.part(Limits(100), ""), run.part(Limits(100), "")]
    assert [parts[number % 2].take_tool_call() for number in range(11)] == [True] * 10 + [False]
    denied = [parts[number % 2].take_denial() for number in range(MAX_DENIALS + 1)]
    assert denied == [True] * MAX_DENIALS + [False]
    assert Budget().take_tool_call()
