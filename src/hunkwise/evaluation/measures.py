"""Counts of what was found, missed and raised in vain → precision, recall and the rest, for one case and for many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TypeVar

from hunkwise.domain.outcome import Usage

_Nothing = TypeVar("_Nothing", float, None)


@dataclass(frozen=True, slots=True)
class Counts:
    """Whole numbers that are summed over cases; every ratio is made of their sums."""

    cases: int = 0
    clean: int = 0
    """Cases in which nothing is to be found."""
    silent: int = 0
    """Clean cases in which nothing was found."""
    matched: int = 0
    """Goldens that were found."""
    missed: int = 0
    """Goldens that were not."""
    noise: int = 0
    """Findings that are no golden one."""
    rated: int = 0
    """Matched goldens that have a severity."""
    agreed: int = 0
    """Those of them whose finding has the same."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, entry.name) + getattr(other, entry.name) for entry in fields(Counts)))

    @property
    def precision(self) -> float:
        """Share of the findings that are golden; 1 where nothing was found, since nothing found is wrong."""
        return _share(self.matched, self.matched + self.noise, 1.0)

    @property
    def recall(self) -> float:
        """Share of the goldens that were found; 1 where nothing was to be found."""
        return _share(self.matched, self.matched + self.missed, 1.0)

    @property
    def f1(self) -> float:
        """Harmonic mean of both, from the counts; 1 where nothing was to be found and nothing was."""
        return _share(2 * self.matched, 2 * self.matched + self.noise + self.missed, 1.0)

    @property
    def noise_per_case(self) -> float | None:
        """Findings in vain a pull request; None without cases."""
        return _share(self.noise, self.cases, None)

    @property
    def silent_share(self) -> float | None:
        """Share of the clean cases in which nothing was found; None without clean cases."""
        return _share(self.silent, self.clean, None)

    @property
    def severity_agreement(self) -> float | None:
        """Share of the matched goldens with a severity whose finding has the same; None without such."""
        return _share(self.agreed, self.rated, None)


def summed(counts: Iterable[Counts]) -> Counts:
    return sum(counts, Counts())


def added(usages: Iterable[Usage]) -> Usage:
    return sum(usages, Usage())


def _share(part: int, whole: int, nothing: _Nothing) -> float | _Nothing:
    return part / whole if whole else nothing
