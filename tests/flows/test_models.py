"""The run's budget and its parts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from hunkwise.domain.model import NANO, Budget, Question, ReportTool, ToolReply
from hunkwise.domain.review import Usage
from hunkwise.errors import ModelError, ModelKind
from hunkwise.flows.models import Budgets, ModelFallback
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
def test_a_part_is_kept_for_the_double_check_and_a_call_for_the_summary(
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


def test_the_double_check_has_a_budget_of_its_own() -> None:
    budgets = Budgets(Config(verify_budget=BudgetSettings(max_model_calls=2)))
    budget = budgets.verification(PromptSettings(name="verify"))
    assert calls(budget) == 2
    assert budget.why == "max-model-calls (2) of the double-check is used up"


@dataclass
class Models:
    """Fails by `kinds` for the models that it names; `asked` is who was asked, and how patiently."""

    kinds: dict[str | None, ModelKind] = field(default_factory=dict)
    asked: list[tuple[str | None, bool]] = field(default_factory=list)
    spent: dict[str, Usage] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)

    async def ask(self, question: Question) -> None:
        self.asked.append((question.model, question.impatient))
        await asyncio.sleep(0)
        if question.model in self.kinds:
            raise ModelError(self.kinds[question.model], "It is gone.")


def question(*, answered: bool = False) -> Question:
    tool = ReportTool("report", "", {}, lambda _: ToolReply("", True), lambda: answered)
    return Question("review", "", "", tool, Budget(9))


def asked(
    models: Models, names: Sequence[str | None], questions: int = 1, *, answered: bool = False
) -> ModelFallback:
    lineup = ModelFallback(models, names)

    async def story() -> None:
        await asyncio.gather(*(lineup.ask(question(answered=answered)) for _ in range(questions)))

    asyncio.run(story())
    return lineup


def test_the_first_model_that_answers_is_the_only_one_asked() -> None:
    models = Models()
    assert asked(models, ["a", "b"]).changes == ()
    assert models.asked == [("a", True)]


def test_without_another_model_a_rate_limit_is_waited_for() -> None:
    models = Models()
    asked(models, [None])
    assert models.asked == [(None, False)]


@pytest.mark.parametrize("kind", [ModelKind.UNAVAILABLE_MODEL, ModelKind.RATE_LIMIT])
def test_a_model_that_is_gone_or_limited_is_left_for_the_next_once_for_all_questions(kind: ModelKind) -> None:
    models = Models({"a": kind})
    lineup = asked(models, ["a", "b"], questions=3)
    assert models.asked == [("a", True)] * 3 + [("b", False)] * 3
    assert lineup.changes == (f'The model "a" was left for "b" ({kind}): It is gone.',)


def test_a_question_behind_the_change_does_not_ask_the_old_model_again() -> None:
    models = Models({"a": ModelKind.UNAVAILABLE_MODEL})
    lineup = ModelFallback(models, ["a", "b"])

    async def story() -> None:
        await lineup.ask(question())
        await lineup.ask(question())

    asyncio.run(story())
    assert [name for name, _ in models.asked] == ["a", "b", "b"]


@pytest.mark.parametrize(
    ("first", "names"),
    [(None, ["b", "c"]), ("cheap", ["cheap", "b", "c"]), ("c", ["c", "b"]), ("b", ["b", "c"])],
)
def test_what_is_asked_next_begins_with_its_own_model_and_skips_those_that_were_left(
    first: str | None, names: list[str]
) -> None:
    models = Models({"a": ModelKind.UNAVAILABLE_MODEL})
    later = asked(models, ["a", "b", "c"]).after(first)
    models.kinds = dict.fromkeys(names, ModelKind.RATE_LIMIT)
    models.asked.clear()
    with pytest.raises(ModelError):
        asyncio.run(later.ask(question()))
    assert [name for name, _ in models.asked] == names


def test_where_the_last_model_fails_too_its_error_is_told() -> None:
    models = Models({"a": ModelKind.RATE_LIMIT, "b": ModelKind.UNAVAILABLE_MODEL})
    with pytest.raises(ModelError) as caught:
        asked(models, ["a", "b"])
    assert caught.value.kind is ModelKind.UNAVAILABLE_MODEL


@pytest.mark.parametrize("kind", sorted(set(ModelKind) - {ModelKind.UNAVAILABLE_MODEL, ModelKind.RATE_LIMIT}))
def test_what_another_model_would_not_mend_is_told_at_once(kind: ModelKind) -> None:
    models = Models({"a": kind})
    with pytest.raises(ModelError):
        asked(models, ["a", "b"])
    assert len(models.asked) == 1


def test_a_question_that_was_answered_before_its_model_failed_is_not_asked_again() -> None:
    models = Models({"a": ModelKind.RATE_LIMIT})
    with pytest.raises(ModelError):
        asked(models, ["a", "b"], answered=True)
    assert len(models.asked) == 1
