"""The cheapest pairing of rows with columns, each at most once: as many pairs as can be, then at the least cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Costs = Mapping[tuple[int, int], int]
"""Whole, not negative; by row and column. A pair that is not there may not be made."""


def assign(rows: int, columns: int, costs: Costs) -> dict[int, int]:
    """The column of each row that has one. Deterministic; rows² × columns steps at the most.

    The Hungarian method with potentials; each row may take a column of its own that stands for none.
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
    """The row of each column, where it has one."""
    row_of: list[int | None] = [None] * (width + 1)  # the last one is where each search begins
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
    """Gives the row that waits at column `width` a column, moving others where that is cheaper."""
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
            known = least[other]
            if known is None or cost < known:
                least[other], before[other] = cost, column
        step, column = min((known, other) for other in free if (known := least[other]) is not None)
        for one in used:
            seen = row_of[one]
            assert seen is not None, "a used column has a row"
            row_potential[seen] += step
            column_potential[one] -= step
        for other in free:
            known = least[other]
            least[other] = None if known is None else known - step
    while column != width:
        row_of[column], column = row_of[before[column]], before[column]
    row_of[width] = None
