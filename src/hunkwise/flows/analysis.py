"""Snapshot → findings: select, pack, ask in parallel, and account for every changed line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hunkwise.domain.diff import FileDiff
from hunkwise.domain.finding import Finding, Severity
from hunkwise.domain.outcome import Coverage, Fault, FileCoverage, SkipReason, Usage
from hunkwise.domain.pull_request import Snapshot
from hunkwise.errors import Error, ModelError, ModelKind, SettingsError
from hunkwise.flows.intake import MAX_FINDINGS, Intake
from hunkwise.plan.chunks import Chunk, budget_for, covered, pack
from hunkwise.plan.globs import matches
from hunkwise.plan.selection import select
from hunkwise.prompts.answers import Reply
from hunkwise.settings.config import Config, PromptSettings


class Model(Protocol):
    """Whoever answers a prompt through reports; see copilot.session.Copilot."""

    @property
    def usage(self) -> Usage: ...

    async def ask(
        self, system: str, prompt: str, take: Callable[[object], Reply], answered: Callable[[], bool]
    ) -> None: ...


class Progress(Protocol):
    """Told how far the work is."""

    def __call__(self, done: int, total: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Work:
    """One prompt over one chunk: one question to the model."""

    prompt: PromptSettings
    chunk: Chunk
    count: int
    """Chunks of this prompt in all."""
    min_severity: Severity = Severity.LOW
    """What is below it will be left out."""


@dataclass(frozen=True)
class Plan:
    """What will be asked, and what will not be looked at."""

    works: tuple[Work, ...]
    files_by_prompt: Mapping[str, tuple[FileDiff, ...]]
    skipped: tuple[FileCoverage, ...]


@dataclass(frozen=True)
class Analysis:
    """What the models said of a snapshot, and of how much of it."""

    findings: tuple[Finding, ...]
    coverage: Coverage
    faults: tuple[Fault, ...]
    summaries: tuple[str, ...] = ()
    asked: int = 0
    answered: int = 0
    first_error: Error | None = field(default=None, repr=False)


def plan(snapshot: Snapshot, config: Config) -> Plan:
    """Which files each prompt sees, packed into chunks."""
    selection = select(snapshot.files, ignore=config.ignore, only=config.paths)
    works: list[Work] = []
    files_by_prompt: dict[str, tuple[FileDiff, ...]] = {}
    for prompt in config.prompts:
        files = tuple(file for file in selection.reviewed if _applies(prompt, file))
        chunks = pack(files, budget_for(files, config.chunk_size))
        files_by_prompt[prompt.name] = files
        least = prompt.min_severity or config.min_severity
        works += [Work(prompt, chunk, len(chunks), least) for chunk in chunks]
    named = {file.path for files in files_by_prompt.values() for file in files}
    unasked = tuple(
        FileCoverage(file.path, file.changed_lines, reason=SkipReason.NO_PROMPT)
        for file in selection.reviewed
        if file.path not in named
    )
    return Plan(tuple(works), files_by_prompt, (*selection.skipped, *unasked))


def _applies(prompt: PromptSettings, file: FileDiff) -> bool:
    return not prompt.paths or matches(prompt.paths, file.path)


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
        model: Model,
        prompts: Prompts,
        *,
        parallel: int,
        journal: Callable[[Finding], None],
        progress: Progress,
    ) -> None:
        self._snapshot = snapshot
        self._parallel = parallel
        self._model = model
        self._prompts = prompts
        self._journal = journal
        self._progress = progress
        self._files = {file.path: file for file in snapshot.files}
        self._intakes: list[Intake] = []
        self._outcomes: dict[tuple[str, int], SkipReason | None] = {}
        self._errors: list[ModelError] = []
        self._template_errors: list[SettingsError] = []

    async def analyse(self, plan: Plan, interrupted: asyncio.Event) -> Analysis:
        """Runs the plan to its end, its deadline, a failure that ends it, or an interruption.

        Raises nothing that the model, its prompts or the outside did wrong: the analysis says it.
        """
        slots = asyncio.Semaphore(self._parallel)
        tasks = [asyncio.create_task(self._one(work, slots, len(plan.works))) for work in plan.works]
        everything = asyncio.gather(*tasks, return_exceptions=True)
        stop = asyncio.create_task(interrupted.wait())
        either: set[asyncio.Future[Any]] = {everything, stop}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*tasks, stop):
                task.cancel()
            await asyncio.gather(*tasks, stop, return_exceptions=True)
        for task in tasks:
            if not task.cancelled():
                task.result()  # a fault of our own is raised here, not swallowed
        return self._analysis(plan)

    async def _one(self, work: Work, slots: asyncio.Semaphore, total: int) -> None:
        async with slots:
            fatal = next((error for error in self._errors if error.kind.fatal), None)
            if fatal is not None:
                self._outcomes[_key(work)] = _reason(fatal)
                return
            intake = Intake(work.prompt.name, self._files, self._journal)
            self._intakes.append(intake)
            try:
                await self._ask(work, intake)
            finally:
                if intake.answered:  # whatever became of the session after that
                    self._outcomes[_key(work)] = None
            self._progress(sum(1 for reason in self._outcomes.values() if reason is None), total)

    async def _ask(self, work: Work, intake: Intake) -> None:
        try:
            prompt = self._prompts.text(work)
            await self._model.ask(self._prompts.system, prompt, intake.take, lambda: intake.answered)
        except ModelError as error:
            self._errors.append(error)
            self._outcomes[_key(work)] = _reason(error)
        except SettingsError as error:
            self._template_errors.append(error)
            self._outcomes[_key(work)] = SkipReason.FAILED
        else:
            self._outcomes[_key(work)] = None

    def _analysis(self, plan: Plan) -> Analysis:
        errors: list[Error] = [*self._errors, *self._template_errors]
        return Analysis(
            findings=tuple(finding for intake in self._intakes for finding in intake.findings),
            coverage=Coverage(self._covered(plan), self._snapshot.unlisted_files),
            faults=(*_faults(self._errors), *_template_faults(self._template_errors), *self._lost()),
            summaries=tuple(intake.summary for intake in self._intakes if intake.summary),
            asked=len(plan.works),
            answered=sum(1 for reason in self._outcomes.values() if reason is None),
            first_error=errors[0] if errors else None,
        )

    def _lost(self) -> list[Fault]:
        """Findings that could not be kept: they are counted, never passed over in silence."""
        faults = []
        if unreadable := sum(intake.unreadable for intake in self._intakes):
            said = f"{_count(unreadable)} of the model had no title and no text that could be read."
            faults.append(Fault("answer", said))
        if above := sum(intake.above_cap for intake in self._intakes):
            said = f"{_count(above)} came above the limit of {MAX_FINDINGS} a prompt and were not taken."
            faults.append(Fault("answer", said, "Give each prompt less to do, or another model."))
        return faults

    def _covered(self, plan: Plan) -> tuple[FileCoverage, ...]:
        """Of several prompts that a file is due to, the one that saw the least of it counts."""
        least: dict[str, FileCoverage] = {}
        for prompt, files in plan.files_by_prompt.items():
            chunks = [work.chunk for work in plan.works if work.prompt.name == prompt]
            outcomes = {
                chunk.index: self._outcomes.get((prompt, chunk.index), SkipReason.INTERRUPTED)
                for chunk in chunks
            }
            for coverage in covered(chunks, files, outcomes):
                known = least.get(coverage.path)
                if known is None or _seen(coverage) < _seen(known):
                    least[coverage.path] = coverage
        return (*least.values(), *plan.skipped)


def _key(work: Work) -> tuple[str, int]:
    return work.prompt.name, work.chunk.index


def _seen(coverage: FileCoverage) -> tuple[int, bool]:
    return coverage.reviewed_lines, coverage.reason is None


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
