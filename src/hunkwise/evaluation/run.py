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
from typing import Any, Final, Protocol

from hunkwise import __version__
from hunkwise.domain.finding import Finding
from hunkwise.domain.model import Question
from hunkwise.domain.pull_request import Instructions
from hunkwise.domain.review import Review, Usage
from hunkwise.errors import Error, ModelError, ModelKind
from hunkwise.evaluation.cassette import ReplayModel
from hunkwise.evaluation.dataset import Case
from hunkwise.evaluation.judge import PURPOSE, Judge, JudgedMatcher, JudgedMatches
from hunkwise.evaluation.preparation import ReadyCase
from hunkwise.evaluation.report import marks_json, read_marks
from hunkwise.evaluation.results import CaseFailure, CaseResult, marked
from hunkwise.evaluation.scoring import match
from hunkwise.files import read_given
from hunkwise.flows.analysis import Progress
from hunkwise.flows.models import Model
from hunkwise.flows.review import RunHooks, nothing_to_ask, review
from hunkwise.redaction import SecretScan, without_secrets
from hunkwise.settings.config import Config

_MOST_NOTES: Final = 20


@dataclass(frozen=True)
class CaseRunner:
    """How cases are measured."""

    judge: str | None
    """Model id of the judge; None without one."""
    interrupted: asyncio.Event
    clock: Callable[[], float]

    async def marks(self, ready: ReadyCase, model: Model) -> CaseResult:
        """What became of the case; never raises for what the model or the outside did wrong."""
        case, started = ready.case, self.clock()
        blank = CaseResult(case.name, case.digest, case.golden.description)
        try:
            made = await self._review(ready, model, started)
            failure = _failure(made, model)
        except Error as error:
            failure = _missing(model) or CaseFailure(_kind(error), str(error))
        if failure is not None:
            return self._costed(replace(blank, failure=failure), model, started)
        judged = await self._matches(ready, made.findings, model)
        unsaid = _missing(model)  # the judge's questions are replayed, too
        if unsaid is None and self.interrupted.is_set():
            unsaid = _STOPPED
        if unsaid is not None:
            return self._costed(replace(blank, failure=unsaid), model, started)
        goldens, findings = marked(case, made.findings, judged.matches)
        whole = replace(
            blank,
            goldens=goldens,
            findings=findings,
            refuted=len(made.refuted),
            notes=_notes(made, judged, model),
        )
        return self._costed(whole, model, started)

    async def _review(self, ready: ReadyCase, model: Model, started: float) -> Review:
        order = ready.ready.order
        if not ready.prepared.plan.works:
            return nothing_to_ask(order, ready.prepared, 0.0)
        watchers = RunHooks(_nowhere, _nobody, self.interrupted, self.clock, started)
        return await review(order, ready.prepared, model, watchers)

    async def _matches(self, ready: ReadyCase, findings: Sequence[Finding], model: Model) -> JudgedMatches:
        golden = ready.case.golden
        if self.judge is None:
            return JudgedMatches(match(golden.findings, findings, golden.reach))

        async def ask(question: Question) -> None:
            await model.ask(replace(question, model=self.judge))

        files = {file.path: file for file in ready.ready.order.snapshot.files}
        return await JudgedMatcher(golden.findings, findings, golden.reach, Judge(ask, files)).matches()

    def _costed(self, marks: CaseResult, model: Model, started: float) -> CaseResult:
        spent = dict(model.spent)
        judge = spent.pop(PURPOSE, Usage())
        seconds = self.clock() - started
        return replace(marks, usage=sum(spent.values(), Usage()), judge_usage=judge, seconds=seconds)


_STOPPED: Final = CaseFailure("interrupted", "The run was stopped before the case was done.")


def _missing(model: Model) -> CaseFailure | None:
    """Whatever became of the review, one with unrecorded questions is none."""
    if isinstance(model, ReplayModel) and model.missing:
        more = f" (and {len(model.missing) - 1} more)" if len(model.missing) > 1 else ""
        return CaseFailure("replay", f"{model.missing[0]}{more} Record it again with --record.")
    return None


def _failure(made: Review, model: Model) -> CaseFailure | None:
    """Why the review does not count: a case that was looked at in part has no honest recall."""
    missing = _missing(model)
    if missing is not None:
        return missing
    if any(fault.kind == "interrupted" for fault in made.faults):
        return _STOPPED
    coverage = made.coverage
    if coverage.complete:
        return None
    reasons = ", ".join(f"{file.path}: {file.reason}" for file in coverage.missing[:3])
    why = f" {made.faults[0].message}" if made.faults else ""
    done, due = coverage.reviewed_lines, coverage.changed_lines
    return CaseFailure("partial", f"{done} of {due} changed lines were reviewed ({reasons}).{why}")


def _notes(made: Review, judged: JudgedMatches, model: Model) -> tuple[str, ...]:
    notes = [*made.notes, *(fault.message for fault in made.faults), *judged.notes]
    if isinstance(model, ReplayModel) and model.unused:
        answers = "1 recorded answer was" if model.unused == 1 else f"{model.unused} recorded answers were"
        notes.append(f"{answers} not asked for: record again with --record.")
    return tuple(notes[:_MOST_NOTES])


def _kind(error: Error) -> str:
    return (
        str(error.kind)
        if isinstance(error, ModelError)
        else type(error).__name__.removesuffix("Error").lower()
    )


def _nowhere(_finding: Finding) -> None:
    """Keeps no journal: what a broken-off case found is not its result."""


def _nobody(done: int, total: int) -> None:
    """Shows no progress within a case."""


_FATAL: Final = frozenset(str(kind) for kind in ModelKind if kind.fatal)
_NOT_BEGUN: Final = CaseFailure("interrupted", "The run was stopped before the case was begun.")


class ModelFactory(Protocol):
    """Who answers the questions of a case."""

    def model(self, ready: ReadyCase) -> Model: ...

    def done(self, marks: CaseResult) -> None:
        """The case is over: what belongs to it can be put away."""


@dataclass
class EvalRunner:
    """Measures cases."""

    measuring: CaseRunner
    cast: ModelFactory
    known: Callable[[Case], CaseResult | None]
    """What an earlier run made of a case."""
    keep: Callable[[CaseResult], None]
    progress: Progress
    parallel: int
    _done: int = 0
    _fatal: CaseFailure | None = field(default=None)
    """After it no other case can succeed."""

    async def run(self, cases: Sequence[ReadyCase]) -> tuple[CaseResult, ...]:
        """In the order of the cases."""
        slots = asyncio.Semaphore(self.parallel)
        self.progress(0, len(cases))
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._one(ready, slots, len(cases))) for ready in cases]
        except BaseExceptionGroup as failed:  # the disk that takes no recording, or a fault of our own
            raise failed.exceptions[0] from failed
        return tuple(task.result() for task in tasks)

    async def _one(self, ready: ReadyCase, slots: asyncio.Semaphore, total: int) -> CaseResult:
        known = self.known(ready.case)
        if known is None:
            async with slots:
                known = await self._measured(ready)
        self._done += 1
        self.progress(self._done, total)
        return known

    async def _measured(self, ready: ReadyCase) -> CaseResult:
        case = ready.case
        unbegun = _NOT_BEGUN if self.measuring.interrupted.is_set() else self._fatal
        if unbegun is not None:
            return CaseResult(case.name, case.digest, case.golden.description, failure=unbegun)
        marks = await self.measuring.marks(ready, self.cast.model(ready))
        if marks.failure is not None and marks.failure.kind in _FATAL:
            self._fatal = marks.failure
        self.cast.done(marks)
        self.keep(marks)
        return marks


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
    """Sixteen hex digits over all that decides on a case's result beside the case: who is asked, and what."""
    what: dict[str, Any] = {
        "version": __version__,
        "config": config.model_dump(mode="json"),
        "templates": dict(templates),
        "built_in": _built_in(),
        "instructions": [[said.path, said.text, list(said.apply_to)] for said in instructions],
        "demo": demo,
        "judge": judge,
    }
    return sha256(json.dumps(what, sort_keys=True).encode("ascii")).hexdigest()[:16]


def state_path(output: Path | None, cases: Path, environ: Mapping[str, str]) -> Path:
    """Beside the output; else in the user's cache, by a digest of where the cases are."""
    if output is not None:
        return output.with_name(f"{output.name}.state.jsonl")
    cache_home = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME") or ".") / ".cache")
    name = sha256(os.fsencode(cases.resolve())).hexdigest()[:16]
    return Path(cache_home) / "hunkwise" / "eval" / f"{name}.jsonl"


@dataclass
class Checkpoint:
    """The cases that were measured under the same settings; one JSON object a line. A disk that takes no more is said
    once, and stops nothing."""

    path: Path
    settings: str
    scan: SecretScan
    _broken: bool = False
    _open_end: bool = False
    """Whoever wrote the last line was ended in the middle of it."""
    _known: dict[str, CaseResult] = field(default_factory=dict)

    def load(self) -> None:
        """Reads what is there; lines that are cut off, or are of other settings, are passed over."""
        try:
            raw = read_given(self.path, _MOST_BYTES)
        except OSError:
            return
        self._open_end = not raw.endswith(b"\n") and bool(raw)
        for line in raw[:_MOST_BYTES].split(b"\n"):
            with suppress(ValueError, KeyError, TypeError):
                said = json.loads(line)
                if said["settings"] == self.settings:
                    marks = read_marks(said["case"])
                    self._known[marks.name] = marks

    def of(self, case: Case) -> CaseResult | None:
        """What became of the case, where it is as it was."""
        known = self._known.get(case.name)
        return known if known is not None and known.digest == case.digest else None

    def add(self, marks: CaseResult) -> None:
        """Keeps a case that was measured; one that failed is to be asked again."""
        if marks.failure is not None or self._broken:
            return
        said = {"settings": self.settings, "case": marks_json(marks)}
        line = json.dumps(without_secrets(said, self.scan), sort_keys=True)
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
        """Once all is done, or where a fresh start is asked for."""
        self._known = {}
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


@cache
def _built_in() -> dict[str, str]:
    """The texts that come with hunkwise, by name."""
    return dict(_texts(files("hunkwise.prompts") / "templates", ""))


def _texts(folder: Traversable, prefix: str) -> Iterable[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir():
            yield from _texts(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith((".j2", ".md")):
            yield prefix + entry.name, entry.read_text(encoding="utf-8")
