"""What became of all cases, and who was asked: the value from which every report is made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from hunkwise.domain.outcome import Usage
from hunkwise.evaluation.marks import Marks
from hunkwise.evaluation.measures import Counts, added, summed


@dataclass(frozen=True)
class Evaluation:
    """A whole run, in the order of the cases' names."""

    marks: tuple[Marks, ...]
    model: str | None = None
    """As it was asked for; None is the choice of whoever answers."""
    judge: str | None = None
    demo: bool = False
    settings: str = ""
    """Digest of configuration, prompts and instructions; see evaluation.resuming."""
    seconds: float = 0.0
    """Of the whole run, which is less than the cases' sum where they ran side by side."""

    @cached_property
    def counts(self) -> Counts:
        return summed(one.counts for one in self.marks)

    @cached_property
    def usage(self) -> Usage:
        """Of all reviews, those that failed included."""
        return added(one.usage for one in self.marks)

    @cached_property
    def judge_usage(self) -> Usage:
        return added(one.judge_usage for one in self.marks)

    @property
    def evaluated(self) -> tuple[Marks, ...]:
        return tuple(one for one in self.marks if one.failure is None)

    @property
    def failed(self) -> tuple[Marks, ...]:
        return tuple(one for one in self.marks if one.failure is not None)
