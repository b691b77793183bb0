"""One case through the real review: what was found, matched and measured; or why it could not be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hunkwise.domain.finding import Finding
from hunkwise.domain.outcome import Review, Usage
from hunkwise.domain.question import Question
from hunkwise.errors import Error, ModelError
from hunkwise.evaluation.judge import PURPOSE, Judge
from hunkwise.evaluation.judging import Judged, Judging
from hunkwise.evaluation.marks import Failure, Marks, marked
from hunkwise.evaluation.matching import match
from hunkwise.evaluation.ready import ReadyCase
from hunkwise.evaluation.replaying import Replay
from hunkwise.flows.lineup import Model
from hunkwise.flows.order import Watchers
from hunkwise.flows.review import nothing_to_ask, review

_MOST_NOTES: Final = 20


@dataclass(frozen=True)
class Measuring:
    """How cases are measured."""

    judge: str | None
    """Model id of the judge; None without one."""
    interrupted: asyncio.Event
    clock: Callable[[], float]

    async def marks(self, ready: ReadyCase, model: Model) -> Marks:
        """What became of the case; never raises for what the model or the outside did wrong."""
        case, started = ready.case, self.clock()
        blank = Marks(case.name, case.digest, case.golden.description)
        try:
            made = await self._review(ready, model, started)
            failure = _failure(made, model)
        except Error as error:
            failure = _missing(model) or Failure(_kind(error), str(error))
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
        watchers = Watchers(_nowhere, _nobody, self.interrupted, self.clock, started)
        return await review(order, ready.prepared, model, watchers)

    async def _matches(self, ready: ReadyCase, findings: Sequence[Finding], model: Model) -> Judged:
        golden = ready.case.golden
        if self.judge is None:
            return Judged(match(golden.findings, findings, golden.reach))

        async def ask(question: Question) -> None:
            await model.ask(replace(question, model=self.judge))

        files = {file.path: file for file in ready.ready.order.snapshot.files}
        return await Judging(golden.findings, findings, golden.reach, Judge(ask, files)).matches()

    def _costed(self, marks: Marks, model: Model, started: float) -> Marks:
        spent = dict(model.spent)
        judge = spent.pop(PURPOSE, Usage())
        seconds = self.clock() - started
        return replace(marks, usage=sum(spent.values(), Usage()), judge_usage=judge, seconds=seconds)


_STOPPED: Final = Failure("interrupted", "The run was stopped before the case was done.")


def _missing(model: Model) -> Failure | None:
    """Whatever became of the review, one with unrecorded questions is none."""
    if isinstance(model, Replay) and model.missing:
        more = f" (and {len(model.missing) - 1} more)" if len(model.missing) > 1 else ""
        return Failure("replay", f"{model.missing[0]}{more} Record it again with --record.")
    return None


def _failure(made: Review, model: Model) -> Failure | None:
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
    return Failure("partial", f"{done} of {due} changed lines were reviewed ({reasons}).{why}")


def _notes(made: Review, judged: Judged, model: Model) -> tuple[str, ...]:
    notes = [*made.notes, *(fault.message for fault in made.faults), *judged.notes]
    if isinstance(model, Replay) and model.unused:
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
