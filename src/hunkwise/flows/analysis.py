"""Asks a model about each chunk, and checks and collects the findings that it reports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.domain.model import Question, ReportTool, ToolReply
from hunkwise.domain.pull_request import Snapshot
from hunkwise.domain.review import Coverage, ReviewFault, SkipReason
from hunkwise.domain.text import one_line
from hunkwise.errors import Error, ModelError, ModelKind, SettingsError
from hunkwise.flows.models import Budgets, together, with_something_left
from hunkwise.flows.planning import PromptTask, ReviewPlan, coverage_of, hunks_of
from hunkwise.prompts.report_findings import (
    DESCRIPTION,
    REPORT,
    FindingsReport,
    RawFinding,
    parameters,
    read_report,
)
from hunkwise.prompts.report_findings import MAX_FINDINGS as MAX_IN_CALL
from hunkwise.publish.placement import resolve_anchor

MAX_FINDINGS = 200
"""Findings that one question may bring; a model that reports more has lost its way."""
MAX_RUN_FINDINGS = 1_000
"""Findings that a run may bring: what a report may have that another job publishes."""
_MAX_CALLS = 10
_ALIKE = 0.5
"""Share of words that two titles have in common, from which one is the other mended."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """A finding without a place in the diff, and the call that brought it."""

    finding: Finding
    call: int


@dataclass(slots=True)
class FindingQuota:
    """How many more findings the questions of a run may bring together."""

    left: int = MAX_RUN_FINDINGS

    def take(self) -> bool:
        """Whether there is room for one more; counts it if so."""
        if self.left == 0:
            return False
        self.left -= 1
        return True


class FindingCollector:
    """Stands behind `report_findings` in one session."""

    def __init__(
        self,
        prompt: str,
        files: Mapping[str, FileDiff],
        journal: Callable[[Finding], None],
        allowance: FindingQuota | None = None,
    ) -> None:
        """`allowance` is what the questions of a run have together."""
        self._prompt = prompt
        self._allowance = allowance or FindingQuota()
        self._files = files
        self._journal = journal
        self._taken: dict[Finding, None] = {}
        self._refused: list[_Refused] = []
        self._calls = 0
        self.unreadable = 0
        """Findings of which nothing could be read, and in whose place none came later."""
        self.above_cap = 0
        """Findings that came after MAX_FINDINGS, or when the run's allowance was used up."""
        self.beyond = 0
        """Findings above the limit of a call, which no later call has brought."""
        self.summary = ""
        self.done = False
        """Whether nothing more is asked for: nothing is left to mend, or the model has used up its calls."""
        self._said_done = False

    @property
    def answered(self) -> bool:
        """Whether the model has said that it is done, also where it then left out what it was told to mend."""
        return self.done or self._said_done

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that was taken; then, without an anchor, what could not be placed and was not mended."""
        return (*self._taken, *(refused.finding for refused in self._refused))

    def take(self, arguments: object) -> ToolReply:
        """Reads one call. Accepted where nothing is left to mend and the model is done, or goes on for ever.

        Calls that stand beside the last one in the same answer come behind it: their findings count as well.
        """
        closed = self.done
        self._calls += 1
        report = read_report(arguments)
        before = len(self.findings)
        faults = [*report.faults, *self._take_all(report)]
        came = max(0, len(self.findings) - before)
        self.unreadable = max(0, self.unreadable - came) + report.unreadable
        self.beyond = max(report.beyond, self.beyond - came)
        self.summary = report.summary or self.summary
        last = self._calls >= _MAX_CALLS or self.above_cap > 0
        self._said_done = self._said_done or report.done
        self.done = closed or (report.done and not faults) or last
        return ToolReply(self._answer(report, faults, last=last), accepted=self.done)

    def _take_all(self, report: FindingsReport) -> list[str]:
        """Takes what has its place; the sentences say what is to be mended in the rest."""
        faults: list[str] = []
        for said in report.findings:
            proof = resolve_anchor(said.path, said.line, said.start_line, Side(said.side), self._files)
            placed = isinstance(proof, Anchor)
            finding = finding_from(said, self._prompt, proof if isinstance(proof, Anchor) else None)
            if self._mends(finding) or not self._full(finding):
                if placed:
                    self._keep(finding)
                elif fault := self._refuse(finding, str(proof)):
                    faults.append(fault)
        for kept in report.kept:
            finding = finding_from(kept, self._prompt, None)
            if self._mends(finding) or not self._full(finding):
                self._refuse(finding, "")
        return faults

    def _mends(self, finding: Finding) -> bool:
        """Forgets the refused finding of an earlier call that this one says again, if there is one."""
        earlier = [refused for refused in self._refused if refused.call < self._calls]
        same = [refused for refused in earlier if refused.finding.title == finding.title]
        alike = (
            refused
            for refused in earlier
            if refused.finding.path == finding.path and _likeness(refused.finding, finding) >= _ALIKE
        )
        mended = next((refused for refused in same if refused.finding.path == finding.path), None)
        mended = mended or next(iter(same), None) or next(alike, None)
        if mended is None:
            return False
        self._refused.remove(mended)
        if finding.anchor is None:  # told once already: kept without a line rather than asked for again
            self._keep(finding)
        return True

    def _full(self, finding: Finding) -> bool:
        if finding in self._taken:
            return False
        if len(self._taken) + len(self._refused) < MAX_FINDINGS and self._allowance.take():
            return False
        self.above_cap += 1
        return True

    def _refuse(self, finding: Finding, why: str) -> str | None:
        """Sets it aside until it is mended; None where it was mended in vain, and is taken as it is."""
        if finding in self._taken:
            return None
        self._refused.append(_Refused(finding, self._calls))
        return f'"{finding.title[:80]}": {why}'

    def _keep(self, finding: Finding) -> None:
        if finding not in self._taken:
            self._taken[finding] = None
            self._journal(finding)

    def _answer(self, report: FindingsReport, faults: list[str], *, last: bool) -> str:
        taken = f"Taken so far: {len(self._taken)}."
        if last:
            return f"{taken} No more calls are taken."
        if faults:
            listed = "\n".join(f"- {fault}" for fault in faults[:30])
            return (
                f"{taken} Not taken:\n{listed}\nMend these and call again with them alone and `done: true`. "
                "What is left out is kept without a line."
            )
        return taken if report.done else f"{taken} Go on, and call again with `done: true` at the end."


def _likeness(one: Finding, other: Finding) -> float:
    words, others = set(one.title.casefold().split()), set(other.title.casefold().split())
    return len(words & others) / max(1, len(words | others))


def finding_from(said: RawFinding, prompt: str, anchor: Anchor | None) -> Finding:
    """What the model said as a Finding; without an anchor it keeps the line that was named."""
    finding = Finding(
        path=anchor.path if anchor else said.path,
        severity=Severity.parse(said.severity),
        title=said.title if one_line(said.title) else one_line(said.body)[:80],
        body=said.body,
        anchor=anchor,
        category=said.category,
        suggestion=said.suggestion,
        confidence=said.confidence,
        prompt=prompt,
    )
    return finding if anchor else replace(finding, said_line=said.line)


Ask = Callable[[Question], Awaitable[None]]
"""Puts one question; see flows.models."""


class Progress(Protocol):
    """Told how far the work is."""

    def __call__(self, done: int, total: int) -> None: ...


@dataclass(frozen=True)
class Analysis:
    """What the models said of a snapshot, and of how much of it."""

    findings: tuple[Finding, ...]
    coverage: Coverage
    faults: tuple[ReviewFault, ...]
    summaries: tuple[str, ...] = ()
    asked: int = 0
    answered: int = 0
    hunks: frozenset[str] = field(default=frozenset(), repr=False)
    """See `planning.hunks_of`."""
    carried_lines: int = 0
    """Changed lines, counted in the coverage, that an earlier run reviewed."""
    first_error: Error | None = field(default=None, repr=False)


class PromptSource(Protocol):
    """What is said to the model; see flows.prompting."""

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
        self._intakes: list[FindingCollector] = []
        self._allowance = FindingQuota()
        self._outcomes: dict[tuple[str, int], SkipReason | None] = {}
        self._lossy: set[tuple[str, int]] = set()
        """Answered questions of whose findings some could not be kept: the next run asks them again."""
        self._errors: list[ModelError] = []
        self._template_errors: list[SettingsError] = []

    async def analyse(self, plan: ReviewPlan, interrupted: asyncio.Event) -> Analysis:
        """Runs the plan to its end, its deadline, a failure that ends it, or an interruption.

        Raises nothing that the model, its prompts or the outside did wrong: the analysis says it.
        """
        slots = asyncio.Semaphore(self._parallel)
        works = (self._one(work, slots, len(plan.works)) for work in plan.works)
        await together(works, interrupted)
        return self._analysis(plan)

    async def _one(self, work: PromptTask, slots: asyncio.Semaphore, total: int) -> None:
        async with slots:
            fatal = next((error for error in self._errors if error.kind.fatal), None)
            if fatal is not None:
                self._outcomes[work.key] = _reason(fatal)
                return
            intake = FindingCollector(work.prompt.name, self._files, self._journal, self._allowance)
            self._intakes.append(intake)
            try:
                await self._ask(work, intake)
            finally:
                if intake.answered:  # whatever became of the session after that
                    self._outcomes[work.key] = None
                if intake.unreadable or intake.above_cap or intake.beyond:
                    self._lossy.add(work.key)
            self._progress(sum(1 for reason in self._outcomes.values() if reason is None), total)

    async def _ask(self, work: PromptTask, intake: FindingCollector) -> None:
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

    def _analysis(self, plan: ReviewPlan) -> Analysis:
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

    def _lost(self) -> list[ReviewFault]:
        """Findings that could not be kept: they are counted, never passed over in silence."""
        faults = []
        if unreadable := sum(intake.unreadable for intake in self._intakes):
            said = f"{_count(unreadable)} of the model had no title and no text that could be read."
            faults.append(ReviewFault("answer", said))
        if above := sum(intake.above_cap for intake in self._intakes):
            said = (
                f"{_count(above)} came above the limit of {MAX_FINDINGS} a question and {MAX_RUN_FINDINGS:,} a "
                "run and were not taken."
            )
            faults.append(ReviewFault("answer", said, _LESS))
        if beyond := sum(intake.beyond for intake in self._intakes):
            said = (
                f"{_count(beyond)} came above the limit of {MAX_IN_CALL} a call and were not reported again."
            )
            faults.append(ReviewFault("answer", said, _LESS))
        return faults


def _tool(work: PromptTask, intake: FindingCollector) -> ReportTool:
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


def _faults(errors: Iterable[ModelError]) -> list[ReviewFault]:
    """One fault a kind, with the first message of its kind and how often it came."""
    by_kind: dict[ModelKind, list[ModelError]] = {}
    for error in errors:
        by_kind.setdefault(error.kind, []).append(error)
    return [ReviewFault(str(kind), _times(same), same[0].hint) for kind, same in by_kind.items()]


def _template_faults(errors: Iterable[SettingsError]) -> Iterable[ReviewFault]:
    return dict.fromkeys(ReviewFault("template", error.message) for error in errors)


def _times(errors: Sequence[ModelError]) -> str:
    first = errors[0].message
    return first if len(errors) == 1 else f"{first} (and {len(errors) - 1} more of this kind)"
