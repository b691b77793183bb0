"""Which model is asked, and which one after it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from hunkwise.domain.model import Budget, Question, ReportTool, ToolReply
from hunkwise.domain.review import Usage
from hunkwise.errors import ModelError, ModelKind
from hunkwise.flows.models import ModelFallback


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
