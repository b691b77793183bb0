"""The summary: when it is asked for, what with, and what is told where it cannot be had."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from hunkwise.domain.finding import MAX_OVERVIEW, Area, Finding, Risk, RiskLevel, Severity, Walkthrough
from hunkwise.domain.model import Budget, Question, ToolReply
from hunkwise.domain.review import Coverage, FileCoverage, SkipReason
from hunkwise.errors import ModelError, ModelKind
from hunkwise.flows.analysis import Analysis
from hunkwise.flows.models import Budgets
from hunkwise.flows.prompting import PromptWriter
from hunkwise.flows.review import ReviewRequest, nothing_to_ask, prepare
from hunkwise.flows.summary import Summarizer, SummaryResult
from hunkwise.prompts.renderer import Renderer
from hunkwise.settings.config import Config
from tests.fakes.changes import added, snapshot

CALL: dict[str, Any] = {
    "overview": "It adds a pool.",
    "areas": [{"area": "Pool", "what": "It is new."}],
    "risk": {"level": "low", "why": "It is small."},
    "done": True,
}
TOLD = Walkthrough((Area("Pool", "It is new."),), Risk(RiskLevel.LOW, "It is small."))
SUMMED_UP = SummaryResult("It adds a pool.", walkthrough=TOLD)
Answer = Callable[[Question], Awaitable[None]]


class Model:
    """Answers each question by `answer`, and keeps it."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.questions: list[Question] = []

    async def ask(self, question: Question) -> None:
        self.questions.append(question)
        await self._answer(question)


def calling(*calls: Mapping[str, Any]) -> Answer:
    """Calls the tool with one after the other, until it accepts."""

    async def answer(question: Question) -> None:
        for call in calls:
            if question.tool.take(call).accepted:
                return

    return answer


def failing(kind: ModelKind = ModelKind.PROVIDER, first: Mapping[str, Any] | None = None) -> Answer:
    async def answer(question: Question) -> None:
        if first is not None:
            question.tool.take(first)
        raise ModelError(kind, "It failed.", "Do something.")

    return answer


def analysis(*summaries: str, questions: int = 2, **more: Any) -> Analysis:
    return Analysis(
        (),
        more.pop("coverage", Coverage()),
        (),
        summaries,
        questions,
        more.pop("answered", questions),
        **more,
    )


def finding(title: str, severity: Severity) -> Finding:
    return Finding("src/a.py", severity, title, "A body.")


def told(
    of: Analysis,
    answer: Answer | None = None,
    *findings: Finding,
    earlier: str = "",
    templates: dict[str, str] | None = None,
    interrupted: asyncio.Event | None = None,
    budgets: Budgets | None = None,
    **given: Any,
) -> tuple[SummaryResult, list[Question]]:
    """What is told, and the questions that were put for it."""
    what, config = snapshot(added("src/a.py", "x = 1", "y = 2")), Config(**given)
    model = Model(answer or calling(CALL))
    prompting = PromptWriter(what, Renderer(templates or {}))
    summing = Summarizer(what, model.ask, prompting, budgets or Budgets(config), config)
    account = asyncio.run(summing.summarize(of, findings, interrupted or asyncio.Event(), earlier))
    return account, model.questions


def test_one_question_that_saw_everything_has_said_it() -> None:
    assert told(analysis("It adds a pool.", questions=1), earlier="Before.") == (
        SummaryResult("It adds a pool."),
        [],
    )
    assert told(analysis(questions=1)) == (SummaryResult(), [])


@pytest.mark.parametrize(
    ("of", "given"),
    [
        (analysis("One.", "Two."), {}),
        (analysis("One.", questions=1, carried_lines=3), {}),
        (analysis("One.", questions=1), {"summary": "full"}),
        (analysis(), {}),
    ],
)
def test_else_it_is_asked_for_once(of: Analysis, given: dict[str, Any]) -> None:
    account, questions = told(of, **given)
    assert account == SUMMED_UP
    (question,) = questions
    assert (question.purpose, question.tool.name) == ("summary", "report_summary")
    assert "report_summary" in question.system
    assert question.budget.limits.max_model_calls is None
    assert question.tool.answered()


def test_off_tells_nothing_and_asks_nothing() -> None:
    assert told(analysis("One.", "Two."), earlier="Before.", summary="off") == (SummaryResult(), [])


def test_the_prompt_tells_of_everything_but_the_diff() -> None:
    missing = (
        FileCoverage("src/b.py", 9, 0, SkipReason.BUDGET),
        FileCoverage("x.lock", 9, 0, SkipReason.LOCK_FILE),
    )
    of = analysis("It counts.", "It adds.", coverage=Coverage(missing))
    found = (finding("Small", Severity.LOW), finding("Grave\n# x", Severity.HIGH))
    _, (question,) = told(of, calling(CALL), *found, earlier="It was.")
    for words in (
        '- "src/a.py" (added, +2 -0)',
        "> It counts.",
        "> It adds.",
        '- high, "src/a.py": "Grave # x"\n- low, "src/a.py": "Small"',
        '- "src/b.py": "the budget ran out"',
        "> It was.",
    ):
        assert words in question.prompt
    assert "x = 1" not in question.prompt
    assert "x.lock" not in question.prompt


def test_the_prompt_stays_within_bounds_whatever_was_said() -> None:
    of = analysis(*(f"{number} {'w' * 5_000}" for number in range(500)), questions=500)
    found = tuple(finding("t" * 300, Severity.LOW) for _ in range(900))
    _, (question,) = told(of, calling(CALL), *found, earlier="e" * 90_000)
    assert len(question.prompt) < 60_000


def test_short_and_full_are_asked_differently() -> None:
    _, (short,) = told(analysis("One.", "Two."))
    _, (full,) = told(analysis("One.", "Two."), summary="full")
    assert "diagram" not in str(short.tool.parameters) + short.prompt
    assert "diagram" in str(full.tool.parameters)
    assert "`diagram`" in full.prompt


@pytest.mark.parametrize("answer", [failing(), calling(), calling({"overview": "", "done": True})])
def test_what_was_said_of_the_parts_stands_in_for_it(answer: Answer) -> None:
    account, _ = told(analysis("One.", "Two.", "One."), answer, earlier="Before.")
    assert account.text == "Before.\n\nOne.\n\nTwo."
    assert (account.walkthrough, account.faults) == (None, ())


def test_a_failure_is_noted() -> None:
    account, _ = told(analysis("One."), failing())
    assert account.notes == (
        "The change could not be summed up: It failed. The summary consists of the summaries of its parts.",
    )


def test_what_stands_in_for_it_is_bounded() -> None:
    account, _ = told(analysis("w" * 5_000, "v" * 5_000), failing())
    assert len(account.text) == MAX_OVERVIEW


def test_without_budget_nobody_is_asked() -> None:
    budgets = Budgets(Config(max_model_calls=10))
    while budgets.run.take_model_call():
        pass
    account, questions = told(analysis("One."), budgets=budgets)
    assert (account.text, questions) == ("One.", [])
    assert "The budget ran out: max-model-calls (10) is used up." in account.notes[0]


def test_where_no_question_was_answered_none_is_put() -> None:
    of = analysis(questions=3, answered=0)
    assert told(of, earlier="Before.") == (SummaryResult("Before."), [])


def test_an_interrupted_run_asks_for_nothing_more() -> None:
    ended = asyncio.Event()
    ended.set()
    assert told(analysis("One."), interrupted=ended) == (SummaryResult("One."), [])


def test_an_interruption_ends_the_question() -> None:
    ended = asyncio.Event()

    async def answer(_question: Question) -> None:
        ended.set()
        await asyncio.sleep(60)

    account, questions = told(analysis("One."), answer, interrupted=ended)
    assert (account, len(questions)) == (SummaryResult("One."), 1)


def test_what_was_reported_before_a_failure_counts() -> None:
    account, _ = told(analysis("One."), failing(first=CALL | {"done": False}))
    assert account == SUMMED_UP


def test_a_template_that_fails_is_a_fault_of_its_own() -> None:
    account, questions = told(analysis("One."), templates={"summary": "{{ nothing }}"})
    assert (account.text, questions) == ("One.", [])
    assert [fault.kind for fault in account.faults] == ["template"]


def test_a_template_of_ones_own_sees_the_same_names() -> None:
    text = (
        "{{ style }} {{ files[0].path }} {{ chunk_summaries }} {{ findings }} {{ unreviewed }} {{ earlier }}!"
    )
    account, (question,) = told(analysis("One."), templates={"summary": text}, earlier="Before.")
    assert question.prompt == "short src/a.py ['One.'] [] [] Before.!\n"
    assert account == SUMMED_UP


def replies(*calls: object, summary: str = "full") -> tuple[list[ToolReply], bool, SummaryResult]:
    """What each call is answered with, whether the question is answered then, and what is told at last."""
    seen: list[ToolReply] = []
    answered = []

    async def answer(question: Question) -> None:
        seen.extend(question.tool.take(call) for call in calls)
        answered.append(question.tool.answered())

    account, _ = told(analysis("One."), answer, summary=summary)
    return seen, answered[0], account


def test_a_whole_call_ends_the_question_and_later_ones_change_nothing() -> None:
    (first, second), answered, account = replies(CALL, CALL | {"overview": "Other."})
    assert (first, second.accepted, answered) == (ToolReply("Taken.", accepted=True), True, True)
    assert account == SUMMED_UP


def test_a_faulty_call_is_told_what_to_mend() -> None:
    (first, second), answered, account = replies(CALL | {"risk": None}, CALL)
    assert not first.accepted
    assert first.text == (
        "Not taken:\n- risk: it is required, as an object\nFix these and call again with the whole summary."
    )
    assert (second.accepted, answered, account) == (True, True, SUMMED_UP)


def test_what_is_not_mended_is_taken_without_its_faulty_parts() -> None:
    (reply,), answered, account = replies(CALL | {"risk": None})
    assert (reply.accepted, answered) == (False, True)
    assert account.walkthrough == Walkthrough(TOLD.areas)


def test_a_model_that_is_not_done_is_asked_to_say_so() -> None:
    (reply,), answered, _ = replies(CALL | {"done": False})
    assert reply == ToolReply("Call again with the whole summary and `done: true`.", accepted=False)
    assert not answered


def test_a_model_that_mends_in_vain_is_not_asked_for_ever() -> None:
    seen, answered, account = replies(*[{"overview": ""}] * 3)
    assert [reply.accepted for reply in seen] == [False, False, True]
    assert seen[-1].text == "No more calls are taken."
    assert not answered
    assert account.text == "One."


def test_a_diagram_that_does_more_than_draw_is_left_out_and_noted() -> None:
    _, _, account = replies(CALL | {"diagram": "flowchart LR\n  click A x"})
    assert account.walkthrough == TOLD
    assert account.notes == (
        "A diagram of the change is not shown: it has a statement, an address or HTML that is not let through.",
    )
    assert account.faults == ()


def test_a_diagram_that_only_draws_is_told() -> None:
    _, _, account = replies(CALL | {"diagram": "flowchart LR\n  A --> B"})
    assert account.walkthrough is not None
    assert account.walkthrough.diagram == "flowchart LR\n  A --> B"
    assert account.notes == ()


def test_the_summary_spends_from_the_runs_budget() -> None:
    spent: list[Budget] = []

    async def answer(question: Question) -> None:
        spent.append(question.budget)
        while question.budget.take_model_call():
            pass

    told(analysis("One."), answer)
    assert spent[0].model_calls == 3


@pytest.mark.parametrize(("summary", "kept"), [("short", True), ("full", True), ("off", False)])
def test_where_nothing_is_to_be_asked_the_earlier_words_stay(summary: str, kept: bool) -> None:
    config = Config.model_validate({"summary": summary}, by_name=True)
    order = ReviewRequest(snapshot(), config, {}, earlier_summary="It was.", earlier_walkthrough=TOLD)
    found = nothing_to_ask(order, prepare(order), 0.0)
    assert (found.summary, found.walkthrough) == (("It was.", TOLD) if kept else ("", None))
