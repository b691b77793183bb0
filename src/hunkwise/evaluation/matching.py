"""Findings and goldens of one case → which finding is which golden: by path, side and nearness of their lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Finding
from hunkwise.evaluation.assignment import assign
from hunkwise.evaluation.golden import GoldenFinding

_T = TypeVar("_T")


class By(StrEnum):
    """What says that a finding is a golden one."""

    PLACE = "place"
    """Its path and line."""
    JUDGE = "judge"
    """The second model's verdict on the meaning."""


@dataclass(frozen=True, slots=True)
class Match:
    """A finding that is a golden one: their indices in their lists."""

    golden: int
    finding: int
    by: By = By.PLACE


def lines_of(finding: Finding) -> range | None:
    """Where it stands; without a proved line where the model said; None where it said nothing."""
    if finding.anchor is not None:
        return finding.anchor.lines
    return None if finding.said_line is None else range(finding.said_line, finding.said_line + 1)


def distance(golden: GoldenFinding, finding: Finding) -> int | None:
    """Lines between them, 0 where they overlap; None on other paths or sides, or where nothing tells a line."""
    lines = lines_of(finding)
    side = finding.anchor.side if finding.anchor else Side.RIGHT
    if finding.path != golden.path or lines is None or side is not golden.side_of_diff:
        return None
    return max(0, golden.lines.start - lines[-1], lines.start - golden.lines[-1])


def near_pairs(
    goldens: Sequence[GoldenFinding], findings: Sequence[Finding], window: int
) -> dict[tuple[int, int], int]:
    """Distances of the pairs of golden and finding that are within the window, by their indices."""
    found = {}
    for row, golden in enumerate(goldens):
        for column, finding in enumerate(findings):
            off = distance(golden, finding)
            if off is not None and off <= window:
                found[row, column] = off
    return found


def best(
    goldens: Sequence[GoldenFinding], findings: Sequence[Finding], pairs: Mapping[tuple[int, int], int]
) -> dict[int, int]:
    """The finding of each golden that has one, of the pairs that may be made: as many as can be, nearest first.

    Among equally near ones those that agree on the severity, and then those that come first in the order of their
    texts: the order of the lists makes no difference.
    """
    near_rows, near_columns = {row for row, _ in pairs}, {column for _, column in pairs}
    rows = [row for row in _order(goldens, _golden_key) if row in near_rows]
    columns = [column for column in _order(findings, _finding_key) if column in near_columns]
    row_at, column_at = _places(rows), _places(columns)
    weight = 1 + 4 * min(len(goldens), len(findings))
    costs = {
        (row_at[row], column_at[column]): off * weight + _disagreement(goldens[row], findings[column])
        for (row, column), off in pairs.items()
    }
    assigned = assign(len(rows), len(columns), costs)
    return dict(sorted((rows[row], columns[column]) for row, column in assigned.items()))


def match(goldens: Sequence[GoldenFinding], findings: Sequence[Finding], window: int) -> tuple[Match, ...]:
    """One to one, by place alone."""
    pairs = near_pairs(goldens, findings, window)
    return tuple(Match(golden, finding) for golden, finding in best(goldens, findings, pairs).items())


def _disagreement(golden: GoldenFinding, finding: Finding) -> int:
    """Steps between the severities, 0 to 3."""
    return 0 if golden.level is None else abs(golden.level - finding.severity)


def _golden_key(golden: GoldenFinding) -> tuple[Any, ...]:
    return golden.path, golden.line, golden.end_line or 0, golden.side, golden.severity or "", golden.text


def _finding_key(finding: Finding) -> tuple[Any, ...]:
    lines = lines_of(finding)
    place = (lines.start, lines.stop) if lines else (0, 0)
    said = (finding.title, finding.body, finding.prompt, finding.category)
    return finding.path, *place, -finding.severity, *said


def _order(values: Sequence[_T], key: Callable[[_T], tuple[Any, ...]]) -> list[int]:
    return sorted(range(len(values)), key=lambda index: key(values[index]))


def _places(order: Sequence[int]) -> dict[int, int]:
    return {index: place for place, index in enumerate(order)}
