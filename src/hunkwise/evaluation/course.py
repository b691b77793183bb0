"""All cases, some at a time: what is known already is not asked again, and what is done is kept at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from hunkwise.errors import ModelKind
from hunkwise.evaluation.case import Case
from hunkwise.evaluation.marks import Failure, Marks
from hunkwise.evaluation.measuring import Measuring
from hunkwise.evaluation.ready import ReadyCase
from hunkwise.flows.analysis import Progress
from hunkwise.flows.lineup import Model

_FATAL: Final = frozenset(str(kind) for kind in ModelKind if kind.fatal)
_NOT_BEGUN: Final = Failure("interrupted", "The run was stopped before the case was begun.")


class Cast(Protocol):
    """Who answers the questions of a case."""

    def model(self, ready: ReadyCase) -> Model: ...

    def done(self, marks: Marks) -> None:
        """The case is over: what belongs to it can be put away."""


@dataclass
class Course:
    """Measures cases."""

    measuring: Measuring
    cast: Cast
    known: Callable[[Case], Marks | None]
    """What an earlier run made of a case."""
    keep: Callable[[Marks], None]
    progress: Progress
    parallel: int
    _done: int = 0
    _fatal: Failure | None = field(default=None)
    """After it no other case can succeed."""

    async def run(self, cases: Sequence[ReadyCase]) -> tuple[Marks, ...]:
        """In the order of the cases."""
        slots = asyncio.Semaphore(self.parallel)
        self.progress(0, len(cases))
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._one(ready, slots, len(cases))) for ready in cases]
        except BaseExceptionGroup as failed:  # the disk that takes no recording, or a fault of our own
            raise failed.exceptions[0] from failed
        return tuple(task.result() for task in tasks)

    async def _one(self, ready: ReadyCase, slots: asyncio.Semaphore, total: int) -> Marks:
        known = self.known(ready.case)
        if known is None:
            async with slots:
                known = await self._measured(ready)
        self._done += 1
        self.progress(self._done, total)
        return known

    async def _measured(self, ready: ReadyCase) -> Marks:
        case = ready.case
        unbegun = _NOT_BEGUN if self.measuring.interrupted.is_set() else self._fatal
        if unbegun is not None:
            return Marks(case.name, case.digest, case.golden.description, failure=unbegun)
        marks = await self.measuring.marks(ready, self.cast.model(ready))
        if marks.failure is not None and marks.failure.kind in _FATAL:
            self._fatal = marks.failure
        self.cast.done(marks)
        self.keep(marks)
        return marks
