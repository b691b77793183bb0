"""Runs cases in parallel, scores them, and continues a run that was stopped."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final, Protocol

from hunkwise import __version__
from hunkwise.domain.diff import by_path
from hunkwise.domain.finding import Finding
from hunkwise.domain.model import Question
from hunkwise.domain.pull_request import Instructions
from hunkwise.domain.review import Review, Usage
from hunkwise.errors import Error, ModelError, ModelKind
from hunkwise.evaluation.cassette import ReplayModel
from hunkwise.evaluation.dataset import Case
from hunkwise.evaluation.golden import AcceptedFinding
from hunkwise.evaluation.judge import PURPOSE, Judge, JudgedMatcher
from hunkwise.evaluation.preparation import ReadyCase
from hunkwise.evaluation.question import ExpectedAnswer
from hunkwise.evaluation.report import case_json, read_case_result
from hunkwise.evaluation.results import CaseFailure, CaseResult, score
from hunkwise.evaluation.scoring import FindingMatches, match
from hunkwise.evaluation.statements import StatementScorer
from hunkwise.files import read_bounded
from hunkwise.flows.analysis import Progress
from hunkwise.flows.answering import AnswerRequest, answer
from hunkwise.flows.models import Model
from hunkwise.flows.prompting import settings_digest
from hunkwise.flows.review import PreparedReview, ReviewRequest, RunHooks, nothing_to_ask, review
from hunkwise.redaction import SecretScan, withhold, without_secrets
from hunkwise.settings.config import Config

_MOST_NOTES: Final = 20


@dataclass(frozen=True)
class CaseRunner:
    """Reviews or answers single cases, and scores them."""

    judge: str | None
    """Model id of the judge; None without one."""
    interrupted: asyncio.Event
    clock: Callable[[], float]
    scan: SecretScan
    """The secrets that no question after the first one may show to a model."""

    async def measure(self, ready: ReadyCase, model: Model) -> CaseResult:
        """Returns the result of the case; errors of the model and the environment are failures in it."""
        case, started = ready.case, self.clock()
        empty = CaseResult(case.name, case.digest, case.golden.description)
        try:
            result = await self._measure(ready, model, started, empty)
        except Error as error:
            result = replace(empty, failure=CaseFailure(_kind(error), str(error)))
        # The judge's questions are replayed too, and are not asked after an interruption.
        failure = _replay_failure(model) or result.failure
        if failure is None and self.interrupted.is_set():
            failure = _STOPPED
        if failure is not None:
            return self._with_cost(replace(empty, failure=failure), model, started)
        return self._with_cost(replace(result, notes=_notes(result.notes, model)), model, started)

    async def _measure(self, ready: ReadyCase, model: Model, started: float, empty: CaseResult) -> CaseResult:
        golden, prepared = ready.case.golden, ready.prepared
        if isinstance(golden, ExpectedAnswer):
            assert isinstance(prepared, AnswerRequest), "as `make_ready` prepares it"
            given = await answer(prepared, model, self.interrupted)
            if self.interrupted.is_set():
                return empty
            scorer = StatementScorer(golden.asked, self._judge(ready, model), self.scan)
            scored, notes = await scorer.score(given, golden.required, golden.forbidden)
            return replace(empty, answer=scored, notes=notes)
        assert isinstance(prepared, PreparedReview), "as `make_ready` prepares it"
        result = await self._review(ready.ready.request, prepared, model, started)
        failure = _failure(result)
        if failure is not None:
            return replace(empty, failure=failure)
        judge = self._judge(ready, model)
        matches = await _match(golden.findings, result.findings, golden.reach, judge)
        taken = {match.finding for match in matches.matches}
        rest = [index for index in range(len(result.findings)) if index not in taken]
        accepted = await _match(
            golden.accept, [result.findings[index] for index in rest], golden.reach, judge
        )
        goldens, accept, findings = score(golden, result.findings, matches, accepted.renumbered(rest))
        faults = (fault.message for fault in result.faults)
        return replace(
            empty,
            goldens=goldens,
            accept=accept,
            findings=findings,
            suppressed=len(result.suppressed),
            notes=(*result.notes, *faults, *matches.notes, *accepted.notes),
        )

    async def _review(
        self, request: ReviewRequest, prepared: PreparedReview, model: Model, started: float
    ) -> Review:
        if not prepared.plan.tasks:
            return nothing_to_ask(request, prepared, 0.0)
        hooks = RunHooks(
            _no_journal, _no_progress, self.interrupted, self.clock, started, self._without_secrets
        )
        # The double-check may have written a secret, and the judge reads its findings.
        return self._without_secrets(await review(request, prepared, model, hooks))

    def _without_secrets(self, result: Review) -> Review:
        return withhold(result, self.scan)

    def _judge(self, ready: ReadyCase, model: Model) -> Judge | None:
        if self.judge is None:
            return None

        async def ask(question: Question) -> None:
            await model.ask(replace(question, model=self.judge))

        return Judge(ask, by_path(ready.ready.request.snapshot.files))

    def _with_cost(self, result: CaseResult, model: Model, started: float) -> CaseResult:
        spent = dict(model.spent)
        judge = spent.pop(PURPOSE, Usage())
        seconds = self.clock() - started
        return replace(result, usage=sum(spent.values(), Usage()), judge_usage=judge, seconds=seconds)


async def _match(
    goldens: Sequence[AcceptedFinding], findings: Sequence[Finding], window: int, judge: Judge | None
) -> FindingMatches:
    if judge is None:
        return match(goldens, findings, window)
    return await JudgedMatcher(goldens, findings, window, judge).matches()


_STOPPED: Final = CaseFailure("interrupted", "The run was stopped before the case was done.")


def _replay_failure(model: Model) -> CaseFailure | None:
    """Returns the failure of a replay with unrecorded questions, which has no valid result."""
    if isinstance(model, ReplayModel) and model.missing:
        more = f" (and {len(model.missing) - 1} more)" if len(model.missing) > 1 else ""
        return CaseFailure("replay", f"{model.missing[0]}{more} Record it again with --record.")
    return None


def _failure(result: Review) -> CaseFailure | None:
    """Returns why the review does not count: the recall of a partly reviewed case would be wrong."""
    if any(fault.kind == "interrupted" for fault in result.faults):
        return _STOPPED
    coverage = result.coverage
    if coverage.complete:
        return None
    reasons = ", ".join(f"{file.path}: {file.reason}" for file in coverage.missing[:3])
    why = f" {result.faults[0].message}" if result.faults else ""
    done, due = coverage.reviewed_lines, coverage.changed_lines
    return CaseFailure("partial", f"{done} of {due} changed lines were reviewed ({reasons}).{why}")


def _notes(notes: Sequence[str], model: Model) -> tuple[str, ...]:
    if isinstance(model, ReplayModel) and model.unused:
        answers = "1 recorded answer was" if model.unused == 1 else f"{model.unused} recorded answers were"
        notes = (*notes, f"{answers} not asked for: record again with --record.")
    return tuple(notes[:_MOST_NOTES])


def _kind(error: Error) -> str:
    return (
        str(error.kind)
        if isinstance(error, ModelError)
        else type(error).__name__.removesuffix("Error").lower()
    )


def _no_journal(_finding: Finding) -> None:
    """Writes no journal: the findings of an interrupted case are not its result."""


def _no_progress(done: int, total: int) -> None:
    """Shows no progress within a case."""


_FATAL: Final = frozenset(str(kind) for kind in ModelKind if kind.fatal)
_NOT_BEGUN: Final = CaseFailure("interrupted", "The run was stopped before the case was begun.")


class ModelFactory(Protocol):
    """Creates the model that answers the questions of a case."""

    def model(self, ready: ReadyCase) -> Model: ...

    def done(self, result: CaseResult) -> None:
        """Is called with the result when the case is done."""


@dataclass
class EvalRunner:
    """Measures cases in parallel."""

    runner: CaseRunner
    models: ModelFactory
    earlier: Callable[[Case], CaseResult | None]
    """Returns the result of an earlier run for an unchanged case."""
    store: Callable[[CaseResult], None]
    progress: Progress
    parallel: int
    _done: int = 0
    _fatal: CaseFailure | None = field(default=None)
    """A failure after which no other case can succeed."""

    async def run(self, cases: Sequence[ReadyCase]) -> tuple[CaseResult, ...]:
        """Returns the results in the order of the cases."""
        slots = asyncio.Semaphore(self.parallel)
        self.progress(0, len(cases))
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._run_case(ready, slots, len(cases))) for ready in cases]
        except BaseExceptionGroup as failed:  # the recording cannot be written, or a bug of ours
            raise failed.exceptions[0] from failed
        return tuple(task.result() for task in tasks)

    async def _run_case(self, ready: ReadyCase, slots: asyncio.Semaphore, total: int) -> CaseResult:
        result = self.earlier(ready.case)
        if result is None:
            async with slots:
                result = await self._measure(ready)
        self._done += 1
        self.progress(self._done, total)
        return result

    async def _measure(self, ready: ReadyCase) -> CaseResult:
        case = ready.case
        failure = _NOT_BEGUN if self.runner.interrupted.is_set() else self._fatal
        if failure is not None:
            return CaseResult(case.name, case.digest, case.golden.description, failure=failure)
        result = await self.runner.measure(ready, self.models.model(ready))
        if result.failure is not None and result.failure.kind in _FATAL:
            self._fatal = result.failure
        self.models.done(result)
        self.store(result)
        return result


logger = logging.getLogger(__name__)
_MOST_BYTES: Final = 100_000_000


def settings_key(
    config: Config,
    templates: Mapping[str, str],
    instructions: Iterable[Instructions],
    *,
    demo: bool,
    judge: str | None,
) -> str:
    """Returns a digest of everything besides the case that its result depends on, 16 hex digits."""
    more = {
        "version": __version__,
        "config": config.model_dump(mode="json"),
        "own templates": dict(templates),
        "package": _built_in(),
        "judge": judge,
    }
    return settings_digest(config, templates, instructions, demo=demo, system="", more=more)


def state_path(output: Path | None, cases: Path, environ: Mapping[str, str], run: str = "") -> Path:
    """Returns a path next to the output; else in the user's cache, by a digest of the cases' path.

    `run` is the folder name of one of several runs.
    """
    ending = f".{run}" if run else ""
    if output is not None:
        return output.with_name(f"{output.name}{ending}.state.jsonl")
    cache_home = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME") or ".") / ".cache")
    name = sha256(os.fsencode(cases.resolve())).hexdigest()[:16]
    return Path(cache_home) / "hunkwise" / "eval" / f"{name}{ending}.jsonl"


@dataclass
class Checkpoint:
    """A file with the results under the same settings, one JSON object per line.

    If it cannot be written, it warns once, and the run continues.
    """

    path: Path
    settings: str
    scan: SecretScan
    _broken: bool = False
    _open_end: bool = False
    """True if the last line is incomplete, because its run was killed."""
    _results: dict[str, CaseResult] = field(default_factory=dict)

    def load(self) -> None:
        """Reads the file; skips incomplete lines and lines of other settings."""
        try:
            raw = read_bounded(self.path, _MOST_BYTES)
        except OSError:
            return
        self._open_end = not raw.endswith(b"\n") and bool(raw)
        for line in raw[:_MOST_BYTES].split(b"\n"):
            with suppress(ValueError, KeyError, TypeError):
                entry = json.loads(line)
                if entry["settings"] == self.settings:
                    result = read_case_result(entry["case"])
                    self._results[result.name] = result

    def of(self, case: Case) -> CaseResult | None:
        """Returns the result of an unchanged case, or None."""
        result = self._results.get(case.name)
        return result if result is not None and result.digest == case.digest else None

    def add(self, result: CaseResult) -> None:
        """Appends the result of a measured case; a failed case is skipped, so that it is measured again."""
        if result.failure is not None or self._broken:
            return
        entry = {"settings": self.settings, "case": case_json(result)}
        line = json.dumps(without_secrets(entry, self.scan), sort_keys=True)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="ascii") as file:
                file.write(f"\n{line}\n" if self._open_end else f"{line}\n")
                file.flush()
                os.fsync(file.fileno())
            self._open_end = False
        except OSError as error:
            self._broken = True
            logger.warning("The state %s cannot be written (%s); the run goes on.", self.path, error.strerror)

    def forget(self) -> None:
        """Deletes the file and the results: after a complete run, or with --fresh."""
        self._results = {}
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


@cache
def _built_in() -> dict[str, str]:
    """Returns the built-in templates by name."""
    return dict(_texts(files("hunkwise.prompts") / "templates", ""))


def _texts(folder: Traversable, prefix: str) -> Iterable[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.is_dir():
            yield from _texts(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith((".j2", ".md")):
            yield prefix + entry.name, entry.read_text(encoding="utf-8")
