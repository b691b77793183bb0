"""What a run may use up."""

from __future__ import annotations

from hunkwise.domain.limits import MAX_DENIALS, Budget, Deadline


def test_a_deadline_counts_down_to_nothing_and_no_further() -> None:
    moments = iter([10.0, 12.5, 99.0])
    deadline = Deadline(13.0, lambda: next(moments))
    assert [deadline.remaining for _ in range(3)] == [3.0, 0.5, 0.0]


def test_model_calls_are_given_up_to_the_limit() -> None:
    budget = Budget(2)
    assert [budget.take_model_call() for _ in range(4)] == [True, True, False, False]
    assert (budget.model_calls, budget.exhausted) == (2, True)
    assert budget.why == "max-model-calls (2) is used up"


def test_used_up_tokens_end_the_calls() -> None:
    budget = Budget(9, max_tokens=1_000)
    assert budget.take_model_call()
    budget.tokens += 1_000
    assert not budget.take_model_call()
    assert budget.why == "max-tokens (1,000) is used up"


def test_tool_calls_and_denials_have_limits_of_their_own() -> None:
    budget = Budget(1)
    assert [budget.take_tool_call() for _ in range(11)] == [True] * 10 + [False]
    assert [budget.take_denial() for _ in range(MAX_DENIALS + 1)] == [True] * MAX_DENIALS + [False]
