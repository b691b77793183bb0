"""A plan's questions → findings: asked in parallel, with every changed line accounted for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hunkwise.domain.finding import Finding
from hunkwise.domain.outcome import Coverage, Fault, SkipReason
from hunkwise.domain.pull_request import Snapshot
from hunkwise.domain.question import Question, ReportTool
from hunkwise.errors import Error, ModelError, ModelKind, SettingsError
from hunkwise.flows.budgets import Budgets, with_something_left
from hunkwise.flows.intake import MAX_FINDINGS, MAX_RUN_FINDINGS, Allowance, Intake
from hunkwise.flows.planning import Plan, Work, coverage_of, hunks_of, plan
from hunkwise.flows.together import together
from hunkwise.prompts.answers import DESCRIPTION, REPORT, parameters
from hunkwise.prompts.answers import MAX_FINDINGS as MAX_IN_CALL

__all__ = [
    "Analysis",
    "Analyst",
    "Plan",
    "Progress",
    "Prompts",
    "Work",
    "coverage_of",
    "hunks_of",
    "plan",
]


Ask = Callable[[Question], Awaitable[None]]
"""Puts one question; see flows.lineup."""


class Progress(Protocol):
    """Told how far the work is."""

    def __call__(self, done: int, total: int) -> None: ...


@dataclass(frozen=True)
class Analysis:
    """What the models said of a snapshot, and of how much of it."""

    findings: tuple[Finding, ...]
    coverage: Coverage
    faults: tuple[Fault, ...]
    summaries: tuple[str, ...] = ()
    asked: int = 0
    answered: int = 0
    hunks: frozenset[str] = field(default=frozenset(), repr=False)
    """See `planning.hunks_of`."""
    carried_lines: int = 0
    """Changed lines, counted in the coverage, that an earlier run reviewed."""
    first_error: Error | None = field(default=None, repr=False)


class Prompts(Protocol):
    """What is said to the model; see flows.prompting."""

    @property
    def system(self) -> str: ...

    def text(self, work: Work) -> str: ...


class Analyst:
    """Asks all of a plan's questions, at most `parallel` at a time."""

    def __init__(
        self,
        snapshot: Snapshot,
        ask: Ask,
        prompts: Prompts,
        *,
        budgets: Budgets,
        parallel: int,
        journal: Callable[[Finding], None],
        progress: Progress,
    ) -> None:
        self._snapshot = snapshot
        self._parallel = parallel
        self._ask_model = ask
        self._budgets = budgets
        self._prompts = prompts
        self._journal = journal
        self._progress = progress
        self._files = {file.path: file for file in snapshot.files}
        self._intakes: list[Intake] = []
        self._allowance = Allowance()
        self._outcomes: dict[tuple[str, int], SkipReason | None] = {}
        self._lossy: set[tuple[str, int]] = set()
        """Answered questions of whose findings some could not be kept: the next run asks them again."""
        self._errors: list[ModelError] = []
        self._template_errors: list[SettingsError] = []

    async def analyse(self, plan: Plan, interrupted: asyncio.Event) -> Analysis:
        """Runs the plan to its end, its deadline, a failure that ends it, or an interruption.

        Raises nothing that the model, its prompts or the outside did wrong: the analysis says it.
        """
        slots = asyncio.Semaphore(self._parallel)
        works = (self._one(work, slots, len(plan.works)) for work in plan.works)
        await together(works, interrupted)
        return self._analysis(plan)

    async def _one(self, work: Work, slots: asyncio.Semaphore, total: int) -> None:
        async with slots:
            fatal = next((error for error in self._errors if error.kind.fatal), None)
            if fatal is not None:
                self._outcomes[work.key] = _reason(fatal)
                return
            intake = Intake(work.prompt.name, self._files, self._journal, self._allowance)
            self._intakes.append(intake)
            try:
                await self._ask(work, intake)
            finally:
                if intake.answered:  # whatever became of the session after that
                    self._outcomes[work.key] = None
                if intake.unreadable or intake.above_cap or intake.beyond:
                    self._lossy.add(work.key)
            self._progress(sum(1 for reason in self._outcomes.values() if reason is None), total)

    async def _ask(self, work: Work, intake: Intake) -> None:
        try:
            budget = with_something_left(self._budgets.chunk(work.prompt))
            question = Question(
                work.prompt.name,
                self._prompts.system,
                self._prompts.text(work),
                _tool(work, intake),
                budget,
                work.prompt.tools,
            )
            await self._ask_model(question)
        except ModelError as error:
            self._errors.append(error)
            self._outcomes[work.key] = _reason(error)
        except SettingsError as error:
            self._template_errors.append(error)
            self._outcomes[work.key] = SkipReason.FAILED
        else:
            self._outcomes[work.key] = None

    def _analysis(self, plan: Plan) -> Analysis:
        errors: list[Error] = [*self._errors, *self._template_errors]
        return Analysis(
            findings=tuple(finding for intake in self._intakes for finding in intake.findings),
            coverage=coverage_of(plan, self._outcomes, self._snapshot),
            faults=(*_faults(self._errors), *_template_faults(self._template_errors), *self._lost()),
            summaries=tuple(intake.summary for intake in self._intakes if intake.summary),
            asked=len(plan.works),
            answered=sum(1 for reason in self._outcomes.values() if reason is None),
            hunks=hunks_of(plan, {**self._outcomes, **dict.fromkeys(self._lossy, SkipReason.FAILED)}),
            carried_lines=plan.carried_lines,
            first_error=errors[0] if errors else None,
        )

    def _lost(self) -> list[Fault]:
        """Findings that could not be kept: they are counted, never passed over in silence."""
        faults = []
        if unreadable := sum(intake.unreadable for intake in self._intakes):
            said = f"{_count(unreadable)} of the model had no title and no text that could be read."
            faults.append(Fault("answer", said))
        if above := sum(intake.above_cap for intake in self._intakes):
            said = (
                f"{_count(above)} came above the limit of {MAX_FINDINGS} a question and {MAX_RUN_FINDINGS:,} a "
                "run and were not taken."
            )
            faults.append(Fault("answer", said, _LESS))
        if beyond := sum(intake.beyond for intake in self._intakes):
            said = (
                f"{_count(beyond)} came above the limit of {MAX_IN_CALL} a call and were not reported again."
            )
            faults.append(Fault("answer", said, _LESS))
        return faults


def _tool(work: Work, intake: Intake) -> ReportTool:
    schema = parameters(work.prompt.categories)
    return ReportTool(REPORT, DESCRIPTION, schema, intake.take, lambda: intake.answered)


_LESS = "Give each prompt less to do, or another model."


def _count(findings: int) -> str:
    return "1 finding" if findings == 1 else f"{findings} findings"


def _reason(error: ModelError) -> SkipReason:
    match error.kind:
        case ModelKind.BUDGET:
            return SkipReason.BUDGET
        case ModelKind.TIMEOUT:
            return SkipReason.DEADLINE
        case _:
            return SkipReason.FAILED


def _faults(errors: Iterable[ModelError]) -> list[Fault]:
    """One fault a kind, with the first message of its kind and how often it came."""
    by_kind: dict[ModelKind, list[ModelError]] = {}
    for error in errors:
        by_kind.setdefault(error.kind, []).append(error)
    return [Fault(str(kind), _times(same), same[0].hint) for kind, same in by_kind.items()]


def _template_faults(errors: Iterable[SettingsError]) -> Iterable[Fault]:
    return dict.fromkeys(Fault("template", error.message) for error in errors)


def _times(errors: Sequence[ModelError]) -> str:
    first = errors[0].message
    return first if len(errors) == 1 else f"{first} (and {len(errors) - 1} more of this kind)"
