"""Snapshot → findings: select, pack, ask in parallel, and account for every changed line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hunkwise.domain.diff import FileDiff
from hunkwise.domain.finding import Finding
from hunkwise.domain.outcome import Coverage, Fault, FileCoverage, SkipReason, Usage
from hunkwise.domain.pull_request import Snapshot
from hunkwise.errors import ModelError, ModelKind, SettingsError
from hunkwise.flows.intake import Intake
from hunkwise.plan.chunks import Chunk, covered, pack
from hunkwise.plan.globs import matches
from hunkwise.plan.selection import select
from hunkwise.prompts.answers import Reply
from hunkwise.prompts.context import context_for
from hunkwise.prompts.render import Renderer
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
    first_error: ModelError | None = field(default=None, repr=False)


def plan(snapshot: Snapshot, config: Config) -> Plan:
    """Which files each prompt sees, packed into chunks."""
    selection = select(snapshot.files, ignore=config.ignore, only=config.paths)
    works: list[Work] = []
    files_by_prompt: dict[str, tuple[FileDiff, ...]] = {}
    for prompt in config.prompts:
        files = tuple(file for file in selection.reviewed if _applies(prompt, file))
        chunks = pack(files, config.chunk_size)
        files_by_prompt[prompt.name] = files
        works += [Work(prompt, chunk, len(chunks)) for chunk in chunks]
    named = {file.path for files in files_by_prompt.values() for file in files}
    unasked = tuple(
        FileCoverage(file.path, file.changed_lines, reason=SkipReason.NO_PROMPT)
        for file in selection.reviewed
        if file.path not in named
    )
    return Plan(tuple(works), files_by_prompt, (*selection.skipped, *unasked))


def _applies(prompt: PromptSettings, file: FileDiff) -> bool:
    return not prompt.paths or matches(prompt.paths, file.path)


class Analyst:
    """Asks all of a plan's questions, at most `parallel` at a time."""

    def __init__(
        self,
        snapshot: Snapshot,
        config: Config,
        model: Model,
        renderer: Renderer,
        *,
        journal: Callable[[Finding], None],
        progress: Progress,
        local: bool = False,
    ) -> None:
        self._snapshot = snapshot
        self._config = config
        self._model = model
        self._renderer = renderer
        self._journal = journal
        self._progress = progress
        self._local = local
        self._files = {file.path: file for file in snapshot.files}
        self._intakes: list[Intake] = []
        self._outcomes: dict[tuple[str, int], SkipReason | None] = {}
        self._errors: list[ModelError] = []
        self._faults: list[Fault] = []

    async def analyse(self, plan: Plan, interrupted: asyncio.Event) -> Analysis:
        """Runs the plan to its end, its deadline, a failure that ends it, or an interruption: never raises."""
        slots = asyncio.Semaphore(self._config.parallel)
        tasks = [asyncio.create_task(self._one(work, slots, len(plan.works))) for work in plan.works]
        stop = asyncio.create_task(interrupted.wait())
        everything = asyncio.gather(*tasks)
        either: set[asyncio.Future[Any]] = {everything, stop}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not everything.done():
            everything.cancel()
        stop.cancel()
        await asyncio.gather(*tasks, stop, return_exceptions=True)
        for task in tasks:
            if not task.cancelled():
                task.result()  # a fault of our own is raised here, not swallowed
        return self._result(plan)

    async def _one(self, work: Work, slots: asyncio.Semaphore, total: int) -> None:
        key = (work.prompt.name, work.chunk.index)
        self._outcomes[key] = SkipReason.INTERRUPTED
        async with slots:
            fatal = next((error for error in self._errors if error.kind.fatal), None)
            if fatal is not None:
                self._outcomes[key] = _reason(fatal)
                return
            intake = Intake(work.prompt.name, self._files, self._journal)
            self._intakes.append(intake)
            try:
                await self._model.ask(
                    self._renderer.system, self._prompt(work), intake.take, lambda: intake.answered
                )
            except ModelError as error:
                self._errors.append(error)
                self._outcomes[key] = _reason(error)
            except SettingsError as error:
                self._faults.append(Fault("template", error.message))
                self._outcomes[key] = SkipReason.FAILED
            else:
                self._outcomes[key] = None
            self._progress(sum(1 for reason in self._outcomes.values() if reason is None), total)

    def _prompt(self, work: Work) -> str:
        settings = {"name": work.prompt.name, "paths": list(work.prompt.paths)}
        context = context_for(self._snapshot, work.chunk, work.count, settings, local=self._local)
        return self._renderer.render(work.prompt.name, context)

    def _result(self, plan: Plan) -> Analysis:
        unreadable = sum(intake.unreadable for intake in self._intakes)
        faults = [*_faults(self._errors), *dict.fromkeys(self._faults)]
        if unreadable:
            faults.append(
                Fault("answer", f"{unreadable} findings of the model had a shape that could not be read.")
            )
        return Analysis(
            findings=tuple(finding for intake in self._intakes for finding in intake.findings),
            coverage=Coverage(self._covered(plan), self._snapshot.unlisted_files),
            faults=tuple(faults),
            summaries=tuple(intake.summary for intake in self._intakes if intake.summary),
            asked=len(plan.works),
            answered=sum(1 for reason in self._outcomes.values() if reason is None),
            first_error=self._errors[0] if self._errors else None,
        )

    def _covered(self, plan: Plan) -> tuple[FileCoverage, ...]:
        """Of several prompts that a file is due to, the one that saw the least of it counts."""
        least: dict[str, FileCoverage] = {}
        for prompt, files in plan.files_by_prompt.items():
            chunks = [work.chunk for work in plan.works if work.prompt.name == prompt]
            outcomes = {chunk.index: self._outcomes[prompt, chunk.index] for chunk in chunks}
            for coverage in covered(chunks, files, outcomes):
                known = least.get(coverage.path)
                if known is None or coverage.reviewed_lines < known.reviewed_lines:
                    least[coverage.path] = coverage
        return (*least.values(), *plan.skipped)


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


def _times(errors: Sequence[ModelError]) -> str:
    first = errors[0].message
    return first if len(errors) == 1 else f"{first} (and {len(errors) - 1} more of this kind)"
