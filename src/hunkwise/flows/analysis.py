"""Asks a model about each chunk, and computes how much of the change it reviewed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hunkwise.domain.finding import Finding
from hunkwise.domain.model import Question, ReportTool
from hunkwise.domain.pull_request import Snapshot
from hunkwise.domain.review import Coverage, ReviewFault, SkipReason
from hunkwise.domain.text import count
from hunkwise.errors import Error, ModelError, ModelKind, SettingsError
from hunkwise.flows.finding_collector import (
    MAX_FINDINGS,
    MAX_RUN_FINDINGS,
    FindingCollector,
    FindingQuota,
)
from hunkwise.flows.models import Budgets, together, with_something_left
from hunkwise.flows.planning import PromptTask, ReviewPlan, coverage_of, hunks_of
from hunkwise.prompts.report_findings import DESCRIPTION, REPORT, parameters
from hunkwise.prompts.report_findings import MAX_FINDINGS as MAX_IN_CALL

Ask = Callable[[Question], Awaitable[None]]
"""Asks the model one question; see flows.models."""


class Progress(Protocol):
    """Receives the number of answered questions, and of all questions, after each one."""

    def __call__(self, done: int, total: int) -> None: ...


@dataclass(frozen=True)
class Analysis:
    """The findings of the models in a snapshot, and how much of it they reviewed."""

    findings: tuple[Finding, ...]
    coverage: Coverage
    faults: tuple[ReviewFault, ...]
    summaries: tuple[str, ...] = ()
    questions: int = 0
    answered: int = 0
    hunks: frozenset[str] = field(default=frozenset(), repr=False)
    """Keys of the reviewed hunks; see `planning.hunks_of`."""
    carried_lines: int = 0
    """Changed lines, counted in the coverage, that an earlier run reviewed."""
    first_error: Error | None = field(default=None, repr=False)


class PromptSource(Protocol):
    """Returns the system message, and the prompt of a task; see flows.prompting."""

    @property
    def system(self) -> str: ...

    def text(self, work: PromptTask) -> str: ...


class Analyzer:
    """Asks all of a plan's questions, at most `parallel` at a time."""

    def __init__(
        self,
        snapshot: Snapshot,
        ask: Ask,
        prompts: PromptSource,
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
        self._collectors: list[FindingCollector] = []
        self._allowance = FindingQuota()
        self._outcomes: dict[tuple[str, int], SkipReason | None] = {}
        self._lossy: set[tuple[str, int]] = set()
        """Answered questions with lost findings: the next run asks them again."""
        self._errors: list[ModelError] = []
        self._template_errors: list[SettingsError] = []

    async def analyse(self, plan: ReviewPlan, interrupted: asyncio.Event) -> Analysis:
        """Runs the plan until its end, its deadline, a fatal failure or an interruption.

        Never raises for a fault of the model, a prompt or the network: the analysis has it in `faults`.
        """
        slots = asyncio.Semaphore(self._parallel)
        works = (self._run_task(work, slots, len(plan.works)) for work in plan.works)
        await together(works, interrupted)
        return self._build_analysis(plan)

    async def _run_task(self, work: PromptTask, slots: asyncio.Semaphore, total: int) -> None:
        async with slots:
            fatal = next((error for error in self._errors if error.kind.fatal), None)
            if fatal is not None:
                self._outcomes[work.key] = _skip_reason(fatal)
                return
            collector = FindingCollector(work.prompt.name, self._files, self._journal, self._allowance)
            self._collectors.append(collector)
            try:
                await self._ask(work, collector)
            finally:
                if collector.answered:  # even if the session failed after that
                    self._outcomes[work.key] = None
                if collector.unreadable or collector.above_cap or collector.beyond:
                    self._lossy.add(work.key)
            self._progress(sum(1 for reason in self._outcomes.values() if reason is None), total)

    async def _ask(self, work: PromptTask, collector: FindingCollector) -> None:
        try:
            budget = with_something_left(self._budgets.chunk(work.prompt))
            question = Question(
                work.prompt.name,
                self._prompts.system,
                self._prompts.text(work),
                _tool(work, collector),
                budget,
                work.prompt.tools,
            )
            await self._ask_model(question)
        except ModelError as error:
            self._errors.append(error)
            self._outcomes[work.key] = _skip_reason(error)
        except SettingsError as error:
            self._template_errors.append(error)
            self._outcomes[work.key] = SkipReason.FAILED
        else:
            self._outcomes[work.key] = None

    def _build_analysis(self, plan: ReviewPlan) -> Analysis:
        errors: list[Error] = [*self._errors, *self._template_errors]
        return Analysis(
            findings=tuple(finding for collector in self._collectors for finding in collector.findings),
            coverage=coverage_of(plan, self._outcomes, self._snapshot),
            faults=(*_faults(self._errors), *_template_faults(self._template_errors), *self._lost_findings()),
            summaries=tuple(collector.summary for collector in self._collectors if collector.summary),
            questions=len(plan.works),
            answered=sum(1 for reason in self._outcomes.values() if reason is None),
            hunks=hunks_of(plan, {**self._outcomes, **dict.fromkeys(self._lossy, SkipReason.FAILED)}),
            carried_lines=plan.carried_lines,
            first_error=errors[0] if errors else None,
        )

    def _lost_findings(self) -> list[ReviewFault]:
        """Returns faults with the number of findings that were lost, so that none is dropped silently."""
        faults = []
        if unreadable := sum(collector.unreadable for collector in self._collectors):
            message = (
                f"{count(unreadable, 'finding')} of the model had no title and no text that could be read."
            )
            faults.append(ReviewFault("answer", message))
        if above := sum(collector.above_cap for collector in self._collectors):
            message = (
                f"{count(above, 'finding')} came above the limit of {MAX_FINDINGS} a question and {MAX_RUN_FINDINGS:,} "
                "a run and were not taken."
            )
            faults.append(ReviewFault("answer", message, _HINT))
        if beyond := sum(collector.beyond for collector in self._collectors):
            message = (
                f"{count(beyond, 'finding')} came above the limit of {MAX_IN_CALL} a call "
                "and were not reported again."
            )
            faults.append(ReviewFault("answer", message, _HINT))
        return faults


def _tool(work: PromptTask, collector: FindingCollector) -> ReportTool:
    schema = parameters(work.prompt.categories)
    return ReportTool(REPORT, DESCRIPTION, schema, collector.take, lambda: collector.answered)


_HINT = "Give each prompt less to do, or another model."


def _skip_reason(error: ModelError) -> SkipReason:
    match error.kind:
        case ModelKind.BUDGET:
            return SkipReason.BUDGET
        case ModelKind.TIMEOUT:
            return SkipReason.DEADLINE
        case _:
            return SkipReason.FAILED


def _faults(errors: Iterable[ModelError]) -> list[ReviewFault]:
    """Returns one fault for each kind, with its first message and the number of errors."""
    by_kind: dict[ModelKind, list[ModelError]] = {}
    for error in errors:
        by_kind.setdefault(error.kind, []).append(error)
    return [ReviewFault(str(kind), _message(same), same[0].hint) for kind, same in by_kind.items()]


def _template_faults(errors: Iterable[SettingsError]) -> Iterable[ReviewFault]:
    return dict.fromkeys(ReviewFault("template", error.message) for error in errors)


def _message(errors: Sequence[ModelError]) -> str:
    first = errors[0].message
    return first if len(errors) == 1 else f"{first} (and {len(errors) - 1} more of this kind)"
