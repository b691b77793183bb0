"""The run's budget and its parts."""

from __future__ import annotations

from typing import Any

import pytest

from hunkwise.domain.model import NANO, Budget
from hunkwise.flows.models import Budgets
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import BudgetSettings, PromptSettings

REVIEW = PromptSettings(name="review")


def calls(budget: Budget) -> int:
    """Model calls until none is given any more."""
    taken = 0
    while budget.take_model_call():
        taken += 1
    return taken


@pytest.mark.parametrize(
    ("given", "questions", "verification", "summary"),
    [
        ({"max_model_calls": 1}, 1, 0, 0),
        ({"max_model_calls": 4}, 4, 0, 0),
        ({"max_model_calls": 5}, 4, 1, 0),
        ({"max_model_calls": 10}, 7, 2, 1),
        ({"max_model_calls": 200}, 159, 40, 1),
        ({"max_model_calls": 200, "verify": "off"}, 199, 0, 1),
        ({"max_model_calls": 200, "summary": "off"}, 160, 40, 0),
        ({"max_model_calls": 200, "verify": "off", "summary": "off"}, 200, 0, 0),
    ],
)
def test_a_part_is_kept_for_the_second_opinion_and_a_call_for_the_summary(
    given: dict[str, Any], questions: int, verification: int, summary: int
) -> None:
    budgets = Budgets(Config(**given))
    assert calls(budgets.chunk(REVIEW)) == questions
    assert calls(budgets.verification(PromptSettings(name="verify"))) == verification
    assert calls(budgets.summary(PromptSettings(name="summary"))) == summary


def test_what_the_questions_leave_the_others_have() -> None:
    budgets = Budgets(Config(max_model_calls=20))
    assert budgets.chunk(REVIEW).take_model_call()
    assert calls(budgets.verification(PromptSettings(name="verify"))) == 18
    assert calls(budgets.summary(PromptSettings(name="summary"))) == 1


@pytest.mark.parametrize(
    ("given", "spent", "why"),
    [
        ({"max_tokens": 100}, (80, 0), "max-tokens (80) of the run, less what is kept for later, is used up"),
        (
            {"max_credits": 10.0},
            (0, 8 * NANO),
            "max-credits (8) of the run, less what is kept for later, is used up",
        ),
        ({"max_tokens": 100, "verify": "off"}, (99, 0), ""),
    ],
)
def test_of_tokens_and_credits_too_a_part_is_kept(
    given: dict[str, Any], spent: tuple[int, int], why: str
) -> None:
    budgets = Budgets(Config(**given))
    budgets.chunk(REVIEW).spend(*spent)
    assert budgets.chunk(REVIEW).why == why
    assert not budgets.verification(PromptSettings(name="verify")).exhausted


def test_prompts_and_chunks_have_budgets_of_their_own() -> None:
    budgets = Budgets(Config())
    some = PromptSettings(
        name="security",
        budget=BudgetSettings(max_model_calls=5),
        chunk_budget=BudgetSettings(max_model_calls=3),
    )
    first, second = budgets.chunk(some), budgets.chunk(some)
    assert (calls(first), calls(second)) == (3, 2)
    assert first.why == 'max-model-calls (3) of a chunk of the prompt "security" is used up'
    assert second.why == 'max-model-calls (5) of the prompt "security" is used up'
    assert not budgets.chunk(REVIEW).exhausted


def test_the_second_opinion_has_a_budget_of_its_own() -> None:
    budgets = Budgets(Config(verify_budget=BudgetSettings(max_model_calls=2)))
    budget = budgets.verification(PromptSettings(name="verify"))
    assert calls(budget) == 2
    assert budget.why == "max-model-calls (2) of the second opinion is used up"
