"""The measures of an evaluation by `min-confidence`: what a higher one would leave out, computed from one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hunkwise.evaluation.results import Evaluation
from hunkwise.evaluation.scoring import Counts

STEPS: Final = tuple(step / 20 for step in range(20))
"""The values that are tried: 0, 0.05 … 0.95."""
_SAME: Final = 1e-9
"""Tolerance for floats of the same counts."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The counts of all cases where only findings of this confidence count."""

    min_confidence: float
    counts: Counts


def curve(evaluation: Evaluation) -> tuple[CurvePoint, ...]:
    """Returns the points in ascending order: 0, and each step that leaves out more findings than the one before.

    Findings without a confidence count at every point. Empty without measured cases.
    """
    points: list[CurvePoint] = []
    reached = -1
    findings = [finding for result in evaluation.evaluated for finding in result.findings]
    for step in STEPS if evaluation.evaluated else ():
        number = sum(finding.reaches(step) for finding in findings)
        if number != reached:
            points.append(CurvePoint(step, evaluation.at(step).counts))
            reached = number
    return tuple(points)


def best_point(points: Sequence[CurvePoint]) -> CurvePoint | None:
    """Returns the point with the highest adjusted F1, the lowest one of several; None without points."""
    highest = max((point.counts.adjusted_f1 for point in points), default=0.0)
    return next((point for point in points if point.counts.adjusted_f1 >= highest - _SAME), None)


def around_best(points: Sequence[CurvePoint], most: int) -> tuple[CurvePoint, ...]:
    """Returns up to this number of points in a row, with the best one as near to the middle as possible."""
    best = best_point(points)
    middle = points.index(best) if best else 0
    start = max(0, min(middle - (most - 1) // 2, len(points) - most))
    return tuple(points[start : start + most])
