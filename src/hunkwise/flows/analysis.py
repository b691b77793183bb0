"""Asks a model about each chunk, and computes how much of the change it reviewed."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from hunkwise.domain.diff import by_path
from hunkwise.domain.finding import Finding
from hunkwise.domain.model import Question, ReportTool
from hunkwise.domain.pull_request import Snapshot
from hunkwise.domain.review import Coverage, ReviewFault, SkipReason
from hunkwise.domain.text import count, cut, one_line
from hunkwise.errors import Error, ModelError, ModelKind, SettingsError
from hunkwise.flows.finding_collector import (
    MAX_FINDINGS,
    MAX_RUN_FINDINGS,
    FindingCollector,
    FindingQuota,
)
from hunkwise.flows.models import Budgets, require_budget, run_all
from hunkwise.flows.planning import PromptTask, ReviewPlan, coverage_of, hunks_of
from hunkwise.plan.chunking import Chunk, ChunkPart, chunk_size, smaller_parts
from hunkwise.prompts.report_findings import DESCRIPTION, REPORT, parameters
from hunkwise.prompts.report_findings import MAX_FINDINGS as MAX_IN_CALL

_MIN_SPLIT = 2_000
"""Characters of a chunk that is too large for the model for another reason than its own size."""
_MOST_NAMED = 3
"""Files that a fault names."""
MAX_SPLITS = 5
"""How often a question is split that is too large for the model: down to about one thirtieth."""

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

    def text(self, task: PromptTask) -> str: ...


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
        self._files = by_path(snapshot.files)
        self._collectors: list[FindingCollector] = []
        self._quota = FindingQuota()
        self._outcomes: dict[tuple[str, int], SkipReason | None] = {}
        self._lossy: set[tuple[str, int]] = set()
        """Answered questions with lost findings: the next run asks them again."""
        self._tasks: list[PromptTask] = []
        """The plan's tasks; one that was split is replaced by its parts."""
        self._chunk_counts: dict[str, int] = {}
        """Number of chunks by prompt, of prompts with a split chunk; a chunk's index is not used again."""
        self._too_large = math.inf
        """Size of the smallest chunk that was too large: a larger one is split before it is asked about."""
        self._unsplittable: list[tuple[int, ModelError]] = []
        """Sizes of chunks that were too large and could not be split; no larger one is asked about."""
        self._answered = 0
        """Number of answered questions in the last report of progress."""
        self._errors: list[ModelError] = []
        self._lost: dict[ModelKind, list[str]] = {}
        """Paths of the files that were not reviewed because of an error, by its kind."""
        self._template_errors: list[SettingsError] = []

    async def analyse(self, plan: ReviewPlan, interrupted: asyncio.Event) -> Analysis:
        """Runs the plan until its end, its deadline, a fatal failure or an interruption.

        Never raises for a fault of the model, a prompt or the network: the analysis has it in `faults`.
        """
        self._tasks = list(plan.tasks)
        await run_all((self._run_task(task) for task in plan.tasks), interrupted)
        return self._build_analysis(replace(plan, tasks=tuple(self._tasks)))

    async def _run_task(self, task: PromptTask) -> None:
        async with self._slots:
            await self._ask_or_split(task)
            answered, questions = self._counts()
            if answered > self._answered:
                self._answered = answered
                self._progress(answered, questions)
        self._ended(task, self._findings)

    @property
    def _findings(self) -> tuple[Finding, ...]:
        return tuple(finding for collector in self._collectors for finding in collector.findings)

    def _counts(self) -> tuple[int, int]:
        """Returns the number of answered questions, and of all; a part without changed lines is not asked about."""
        asked = [task.key for task in self._tasks if task.chunk.changed_lines]
        return sum(1 for key in asked if self._outcomes.get(key, SkipReason.INTERRUPTED) is None), len(asked)

    async def _ask_or_split(self, task: PromptTask, splits: int = 0) -> None:
        """Asks about a chunk, in smaller parts if it is too large for the model."""
        stop = next((error for error in self._errors if error.kind.fatal), None)
        size = chunk_size(task.chunk)
        parts = smaller_parts(task.chunk) if splits < MAX_SPLITS and size > _MIN_SPLIT else ()
        if stop is None and not parts:
            stop = next((error for least, error in self._unsplittable if size >= least), None)
        if stop is not None:
            self._outcomes[task.key] = _skip_reason(stop)
        elif not task.chunk.changed_lines:  # a part with only the context of another one
            self._outcomes[task.key] = None
        elif not parts or size < self._too_large:
            error = await self._ask(task, in_thread=splits > 0)
            if error is None:
                return
            if error.kind is ModelKind.TOO_LARGE and parts and self._outcomes[task.key] is not None:
                del self._outcomes[task.key]
                self._too_large = min(size, self._too_large)
                await self._split(task, parts, splits)
                return
            if error.kind is ModelKind.TOO_LARGE:
                self._unsplittable.append((size, error))
            self._errors.append(error)
            if self._outcomes[task.key] is not None:
                self._lost.setdefault(error.kind, []).extend(part.file.path for part in task.chunk.parts)
        else:
            await self._split(task, parts, splits)

    async def _split(self, task: PromptTask, parts: Sequence[tuple[ChunkPart, ...]], splits: int) -> None:
        """Replaces the task by one for each of the parts, and asks them one after the other."""
        first = self._chunk_counts.get(task.prompt.name, task.count)
        self._chunk_counts[task.prompt.name] = count = first + len(parts)
        smaller = [
            replace(task, chunk=Chunk(index, part), count=count) for index, part in enumerate(parts, first)
        ]
        position = self._tasks.index(task)
        self._tasks[position : position + 1] = smaller
        for subtask in smaller:
            await self._ask_or_split(subtask, splits + 1)

    async def _ask(self, task: PromptTask, *, in_thread: bool) -> ModelError | None:
        """Asks about a chunk and stores the outcome; returns the model's error, if any."""
        collector = FindingCollector(task.prompt.name, self._files, self._journal, self._quota)
        self._collectors.append(collector)
        error: ModelError | None = None
        try:
            await self._ask_model(await self._question(task, collector, in_thread=in_thread))
            self._outcomes[task.key] = None
        except ModelError as raised:
            error = raised
            self._outcomes[task.key] = _skip_reason(raised)
        except SettingsError as raised:
            self._template_errors.append(raised)
            self._outcomes[task.key] = SkipReason.FAILED
        finally:
            if collector.answered:  # even if the session failed after that
                self._outcomes[task.key] = None
            if collector.unreadable or collector.above_cap or collector.beyond:
                self._lossy.add(task.key)
        return error

    async def _question(self, task: PromptTask, collector: FindingCollector, *, in_thread: bool) -> Question:
        """Returns the question about a chunk. `in_thread`: its prompt may have to be rendered by another process."""
        prompt = task.prompt
        budget = require_budget(self._budgets.chunk(prompt))
        text = await asyncio.to_thread(self._prompts.text, task) if in_thread else self._prompts.text(task)
        return Question(prompt.name, self._prompts.system, text, _tool(task, collector), budget, prompt.tools)

    def _build_analysis(self, plan: ReviewPlan) -> Analysis:
        errors: list[Error] = [*self._errors, *self._template_errors]
        answered, questions = self._counts()
        return Analysis(
            findings=self._findings,
            coverage=coverage_of(plan, self._outcomes, self._snapshot),
            faults=(
                *_faults(self._errors, self._lost),
                *_template_faults(self._template_errors),
                *self._lost_findings(),
            ),
            summaries=tuple(collector.summary for collector in self._collectors if collector.summary),
            questions=questions,
            answered=answered,
            hunks=hunks_of(plan, {**self._outcomes, **dict.fromkeys(self._lossy, SkipReason.FAILED)}),
            carried_lines=plan.carried_lines,
            first_error=errors[0] if errors else None,
        )

    def _lost_findings(self) -> list[ReviewFault]:
        """Returns faults with the number of findings that were lost, so that none is dropped silently."""
        unreadable = sum(collector.unreadable for collector in self._collectors)
        above = sum(collector.above_cap for collector in self._collectors)
        beyond = sum(collector.beyond for collector in self._collectors)
        most = f"{MAX_FINDINGS} a question and {MAX_RUN_FINDINGS:,} a run"
        lost = (
            (unreadable, "of the model had no title and no text that could be read.", ""),
            (above, f"came above the limit of {most} and were not taken.", _HINT),
            (beyond, f"came above the limit of {MAX_IN_CALL} a call and were not reported again.", _HINT),
        )
        return [ReviewFault("answer", f"{count(n, 'finding')} {what}", hint) for n, what, hint in lost if n]


def _tool(task: PromptTask, collector: FindingCollector) -> ReportTool:
    schema = parameters(task.prompt.categories)
    return ReportTool(REPORT, DESCRIPTION, schema, collector.take, lambda: collector.answered)


_HINT = "Give each prompt less to do, or another model."


def _skip_reason(error: ModelError) -> SkipReason:
    match error.kind:
        case ModelKind.BUDGET:
            return SkipReason.BUDGET
        case ModelKind.TIMEOUT:
            return SkipReason.DEADLINE
        case ModelKind.TOO_LARGE:
            return SkipReason.TOO_LARGE
        case _:
            return SkipReason.FAILED


def _faults(errors: Iterable[ModelError], lost: Mapping[ModelKind, Sequence[str]]) -> list[ReviewFault]:
    """Returns one fault for each kind: its first message, the number of errors, and the files that they cost."""
    by_kind: dict[ModelKind, list[ModelError]] = {}
    for error in errors:
        by_kind.setdefault(error.kind, []).append(error)
    return [
        ReviewFault(
            str(kind),
            f"{_message(same)}{_not_reviewed(lost.get(kind, ()))}",
            same[0].hint,
            same[0].shell_hint,
        )
        for kind, same in by_kind.items()
    ]


def _not_reviewed(paths: Sequence[str]) -> str:
    """Returns a sentence with the first of the files; empty without any."""
    unique = list(dict.fromkeys(paths))
    names = ", ".join(cut(one_line(path), 100) for path in unique[:_MOST_NAMED])
    more = f" and {count(len(unique) - _MOST_NAMED, 'more file')}" if len(unique) > _MOST_NAMED else ""
    return f" Not reviewed because of it: {names}{more}." if names else ""


def _template_faults(errors: Iterable[SettingsError]) -> Iterable[ReviewFault]:
    return dict.fromkeys(ReviewFault("template", error.message) for error in errors)


def _message(errors: Sequence[ModelError]) -> str:
    first = errors[0].message
    return first if len(errors) == 1 else f"{first} (and {len(errors) - 1} more of this kind)"
