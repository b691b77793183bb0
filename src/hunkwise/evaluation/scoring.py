"""Matches findings with expected ones: precision, recall, F1."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, TypeVar

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Finding
from hunkwise.domain.review import Usage
from hunkwise.evaluation.golden import GoldenFinding

Costs = Mapping[tuple[int, int], int]
"""Non-negative integers by row and column. A missing pair is not allowed."""


def assign(rows: int, columns: int, costs: Costs) -> dict[int, int]:
    """Returns the column of each row that has one. Deterministic; at most rows² × columns steps.

    The Hungarian method with potentials; each row has an extra column that means "no column".
    """
    none = 1 + sum(sorted(costs.values(), reverse=True)[: min(rows, columns)])
    width = columns + rows
    matrix = [
        [costs.get((row, column), 2 * none) if column < columns else none for column in range(width)]
        for row in range(rows)
    ]
    row_of = _solve(matrix, width)
    pairs = ((row, column) for column, row in enumerate(row_of) if row is not None and column < columns)
    return dict(sorted((row, column) for row, column in pairs if (row, column) in costs))


def _solve(matrix: Sequence[Sequence[int]], width: int) -> list[int | None]:
    """Returns the row of each column, or None."""
    row_of: list[int | None] = [None] * (width + 1)  # each search starts at its last row
    row_potential, column_potential = [0] * len(matrix), [0] * (width + 1)
    for row in range(len(matrix)):
        row_of[width] = row
        _augment(matrix, width, row_of, row_potential, column_potential)
    return row_of[:width]


def _augment(
    matrix: Sequence[Sequence[int]],
    width: int,
    row_of: list[int | None],
    row_potential: list[int],
    column_potential: list[int],
) -> None:
    """Assigns a column to the row at column `width`, and moves other rows where that is cheaper."""
    least: list[int | None] = [None] * width
    before = [width] * width
    used: list[int] = []
    free = set(range(width))
    column = width
    while (row := row_of[column]) is not None:
        used.append(column)
        free.discard(column)
        for other in free:
            cost = matrix[row][other] - row_potential[row] - column_potential[other]
            lowest = least[other]
            if lowest is None or cost < lowest:
                least[other], before[other] = cost, column
        step, column = min((lowest, other) for other in free if (lowest := least[other]) is not None)
        for used_column in used:
            used_row = row_of[used_column]
            assert used_row is not None, "a used column has a row"
            row_potential[used_row] += step
            column_potential[used_column] -= step
        for other in free:
            lowest = least[other]
            least[other] = None if lowest is None else lowest - step
    while column != width:
        row_of[column], column = row_of[before[column]], before[column]
    row_of[width] = None


_Nothing = TypeVar("_Nothing", float, None)


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers that are summed over cases; all ratios are computed from the sums."""

    cases: int = 0
    clean: int = 0
    """Cases without goldens."""
    silent: int = 0
    """Clean cases in which nothing was found."""
    matched: int = 0
    """Goldens that were found."""
    missed: int = 0
    """Goldens that were not."""
    noise: int = 0
    """Findings that match no golden."""
    rated: int = 0
    """Matched goldens that have a severity."""
    agreed: int = 0
    """Rated goldens whose finding has the same severity."""

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
        """Average number of findings per case that match no golden; None without cases."""
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


_T = TypeVar("_T")


class MatchSource(StrEnum):
    """The reason why a finding matches a golden."""

    PLACE = "place"
    """Its path and line."""
    JUDGE = "judge"
    """The second model's verdict on the meaning."""


@dataclass(frozen=True, slots=True)
class Match:
    """A golden and the finding that matches it, as indices in their lists."""

    golden: int
    finding: int
    by: MatchSource = MatchSource.PLACE


def lines_of(finding: Finding) -> range | None:
    """Returns the lines of a finding: of its anchor, else the line that the model named, else None."""
    if finding.anchor is not None:
        return finding.anchor.lines
    return None if finding.said_line is None else range(finding.said_line, finding.said_line + 1)


def distance(golden: GoldenFinding, finding: Finding) -> int | None:
    """Returns the number of lines between them, 0 if they overlap.

    None on different paths or sides, or if the finding has no line.
    """
    lines = lines_of(finding)
    side = finding.anchor.side if finding.anchor else Side.RIGHT
    if finding.path != golden.path or lines is None or side is not golden.side_of_diff:
        return None
    return max(0, golden.lines.start - lines[-1], lines.start - golden.lines[-1])


def near_pairs(
    goldens: Sequence[GoldenFinding], findings: Sequence[Finding], window: int
) -> dict[tuple[int, int], int]:
    """Returns the distances of the pairs of golden and finding within the window, by their indices."""
    distances = {}
    for row, golden in enumerate(goldens):
        for column, finding in enumerate(findings):
            lines = distance(golden, finding)
            if lines is not None and lines <= window:
                distances[row, column] = lines
    return distances


def best(
    goldens: Sequence[GoldenFinding], findings: Sequence[Finding], pairs: Mapping[tuple[int, int], int]
) -> dict[int, int]:
    """Returns the finding of each matched golden: as many of the allowed pairs as possible, the nearest first.

    Equally near pairs are chosen by agreement on the severity, then by the order of their texts: the order of the
    lists does not matter.
    """
    near_rows, near_columns = {row for row, _ in pairs}, {column for _, column in pairs}
    rows = [row for row in _order(goldens, _golden_key) if row in near_rows]
    columns = [column for column in _order(findings, _finding_key) if column in near_columns]
    row_at, column_at = _places(rows), _places(columns)
    weight = 1 + 4 * min(len(goldens), len(findings))
    costs = {
        (row_at[row], column_at[column]): lines * weight + _disagreement(goldens[row], findings[column])
        for (row, column), lines in pairs.items()
    }
    assigned = assign(len(rows), len(columns), costs)
    return dict(sorted((rows[row], columns[column]) for row, column in assigned.items()))


def match(goldens: Sequence[GoldenFinding], findings: Sequence[Finding], window: int) -> tuple[Match, ...]:
    """Returns one-to-one matches by place only."""
    pairs = near_pairs(goldens, findings, window)
    return tuple(Match(golden, finding) for golden, finding in best(goldens, findings, pairs).items())


def _disagreement(golden: GoldenFinding, finding: Finding) -> int:
    """Returns the number of levels between the severities, 0 to 3."""
    return 0 if golden.level is None else abs(golden.level - finding.severity)


def _golden_key(golden: GoldenFinding) -> tuple[Any, ...]:
    return golden.path, golden.line, golden.end_line or 0, golden.side, golden.severity or "", golden.text


def _finding_key(finding: Finding) -> tuple[Any, ...]:
    lines = lines_of(finding)
    place = (lines.start, lines.stop) if lines else (0, 0)
    texts = (finding.title, finding.body, finding.prompt, finding.category)
    return finding.path, *place, -finding.severity, *texts


def _order(values: Sequence[_T], key: Callable[[_T], tuple[Any, ...]]) -> list[int]:
    return sorted(range(len(values)), key=lambda index: key(values[index]))


def _places(order: Sequence[int]) -> dict[int, int]:
    return {index: place for place, index in enumerate(order)}
