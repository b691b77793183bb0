"""Asks a model about each chunk, and validates and collects the findings that it reports."""

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
from hunkwise.domain.text import count, one_line
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
"""Findings accepted for one question; a model that reports more no longer works on the task."""
MAX_RUN_FINDINGS = 1_000
"""Findings accepted in a run: the maximum in a report that another job publishes."""
_MAX_CALLS = 10
_SIMILAR = 0.5
"""Minimum share of common words in two titles for one finding to be the correction of the other."""


@dataclass(frozen=True, slots=True)
class _Rejected:
    """A finding without a valid anchor in the diff, and the number of the call that reported it."""

    finding: Finding
    call: int


@dataclass(slots=True)
class FindingQuota:
    """The number of findings that the questions of a run may still report together."""

    left: int = MAX_RUN_FINDINGS

    def take(self) -> bool:
        """Counts one more finding; returns False if none is left."""
        if self.left == 0:
            return False
        self.left -= 1
        return True


class FindingCollector:
    """Handles the calls of `report_findings` in one session."""

    def __init__(
        self,
        prompt: str,
        files: Mapping[str, FileDiff],
        journal: Callable[[Finding], None],
        allowance: FindingQuota | None = None,
    ) -> None:
        """`allowance` is the quota that the questions of a run share."""
        self._prompt = prompt
        self._allowance = allowance or FindingQuota()
        self._files = files
        self._journal = journal
        self._accepted: dict[Finding, None] = {}
        self._rejected: list[_Rejected] = []
        self._calls = 0
        self.unreadable = 0
        """Unreadable findings that no later finding replaced."""
        self.above_cap = 0
        """Findings reported after MAX_FINDINGS, or after the run's quota was used up."""
        self.beyond = 0
        """Findings above the limit of a call that no later call reported."""
        self.summary = ""
        self.done = False
        """Whether collection is complete: nothing is left to fix, or the model has used up its calls."""
        self._is_done_reported = False

    @property
    def answered(self) -> bool:
        """Whether the model has reported `done`, even if it did not fix the rejected findings."""
        return self.done or self._is_done_reported

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The accepted findings, then, without an anchor, the rejected ones that were not fixed."""
        return (*self._accepted, *(rejected.finding for rejected in self._rejected))

    def take(self, arguments: object) -> ToolReply:
        """Reads one call. The reply is accepted if the model is done and nothing is left to fix, or at the limit.

        Further calls in the same answer as the accepted one still arrive: their findings count as well.
        """
        closed = self.done
        self._calls += 1
        report = read_report(arguments)
        before = len(self.findings)
        faults = [*report.faults, *self._take_all(report)]
        added = max(0, len(self.findings) - before)
        self.unreadable = max(0, self.unreadable - added) + report.unreadable
        self.beyond = max(report.beyond, self.beyond - added)
        self.summary = report.summary or self.summary
        last = self._calls >= _MAX_CALLS or self.above_cap > 0
        self._is_done_reported = self._is_done_reported or report.done
        self.done = closed or (report.done and not faults) or last
        return ToolReply(self._reply_text(report, faults, last=last), accepted=self.done)

    def _take_all(self, report: FindingsReport) -> list[str]:
        """Accepts the findings with a valid anchor; returns a sentence for each of the others that says what to fix."""
        faults: list[str] = []
        for raw in report.findings:
            anchor = resolve_anchor(raw.path, raw.line, raw.start_line, Side(raw.side), self._files)
            is_valid = isinstance(anchor, Anchor)
            finding = finding_from(raw, self._prompt, anchor if isinstance(anchor, Anchor) else None)
            if self._replaces_rejected(finding) or not self._exceeds_limit(finding):
                if is_valid:
                    self._accept(finding)
                elif fault := self._reject(finding, str(anchor)):
                    faults.append(fault)
        for raw in report.kept:
            finding = finding_from(raw, self._prompt, None)
            if self._replaces_rejected(finding) or not self._exceeds_limit(finding):
                self._reject(finding, "")
        return faults

    def _replaces_rejected(self, finding: Finding) -> bool:
        """Removes the rejected finding of an earlier call that this one corrects; returns whether there is one."""
        earlier = [rejected for rejected in self._rejected if rejected.call < self._calls]
        same_title = [rejected for rejected in earlier if rejected.finding.title == finding.title]
        similar = (
            rejected
            for rejected in earlier
            if rejected.finding.path == finding.path and _similarity(rejected.finding, finding) >= _SIMILAR
        )
        original = next((rejected for rejected in same_title if rejected.finding.path == finding.path), None)
        original = original or next(iter(same_title), None) or next(similar, None)
        if original is None:
            return False
        self._rejected.remove(original)
        if finding.anchor is None:  # rejected once already: accepted without a line instead of asking again
            self._accept(finding)
        return True

    def _exceeds_limit(self, finding: Finding) -> bool:
        if finding in self._accepted:
            return False
        if len(self._accepted) + len(self._rejected) < MAX_FINDINGS and self._allowance.take():
            return False
        self.above_cap += 1
        return True

    def _reject(self, finding: Finding, why: str) -> str | None:
        """Holds the finding back until it is fixed and returns the fault; None if it was accepted without a line."""
        if finding in self._accepted:
            return None
        self._rejected.append(_Rejected(finding, self._calls))
        return f'"{finding.title[:80]}": {why}'

    def _accept(self, finding: Finding) -> None:
        if finding not in self._accepted:
            self._accepted[finding] = None
            self._journal(finding)

    def _reply_text(self, report: FindingsReport, faults: list[str], *, last: bool) -> str:
        count = f"Taken so far: {len(self._accepted)}."
        if last:
            return f"{count} No more calls are taken."
        if faults:
            listed = "\n".join(f"- {fault}" for fault in faults[:30])
            return (
                f"{count} Not taken:\n{listed}\nFix these and call again with them alone and `done: true`. "
                "What is left out is kept without a line."
            )
        return count if report.done else f"{count} Go on, and call again with `done: true` at the end."


def _similarity(finding: Finding, other: Finding) -> float:
    words, others = set(finding.title.casefold().split()), set(other.title.casefold().split())
    return len(words & others) / max(1, len(words | others))


def finding_from(raw: RawFinding, prompt: str, anchor: Anchor | None) -> Finding:
    """Converts a reported finding; without an anchor, `said_line` is the line that the model named."""
    finding = Finding(
        path=anchor.path if anchor else raw.path,
        severity=Severity.from_label(raw.severity),
        title=raw.title if one_line(raw.title) else one_line(raw.body)[:80],
        body=raw.body,
        anchor=anchor,
        category=raw.category,
        suggestion=raw.replacement,
        confidence=raw.confidence,
        prompt=prompt,
    )
    return finding if anchor else replace(finding, said_line=raw.line)


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
    """Asks all of a plan's questions."""

    def __init__(
        self,
        snapshot: Snapshot,
        ask: Ask,
        prompts: PromptSource,
        *,
        budgets: Budgets,
        slots: asyncio.Semaphore,
        journal: Callable[[Finding], None],
        progress: Progress,
        ended: Callable[[PromptTask, Sequence[Finding]], None] = lambda _work, _findings: None,
    ) -> None:
        """`slots`: the questions at the same time. `ended` receives each task after its question, and all findings."""
        self._snapshot = snapshot
        self._slots = slots
        self._ended = ended
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
        works = (self._run_task(work, len(plan.works)) for work in plan.works)
        await together(works, interrupted)
        return self._build_analysis(plan)

    async def _run_task(self, work: PromptTask, total: int) -> None:
        async with self._slots:
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
        self._ended(work, self._findings)

    @property
    def _findings(self) -> tuple[Finding, ...]:
        return tuple(finding for collector in self._collectors for finding in collector.findings)

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
            findings=self._findings,
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
        counts = ((each.unreadable, each.above_cap, each.beyond) for each in self._collectors)
        unreadable, above, beyond = map(sum, zip((0, 0, 0), *counts, strict=True))
        most = f"{MAX_FINDINGS} a question and {MAX_RUN_FINDINGS:,} a run"
        lost = (
            (unreadable, "of the model had no title and no text that could be read.", ""),
            (above, f"came above the limit of {most} and were not taken.", _HINT),
            (beyond, f"came above the limit of {MAX_IN_CALL} a call and were not reported again.", _HINT),
        )
        return [ReviewFault("answer", f"{count(n, 'finding')} {what}", hint) for n, what, hint in lost if n]


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
