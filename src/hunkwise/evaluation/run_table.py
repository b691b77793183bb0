"""Compares several runs over the same cases, with other models or prompts, in one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hunkwise.evaluation.comparison import Comparison
from hunkwise.evaluation.results import Evaluation
from hunkwise.evaluation.table import DEFINITIONS, ReportStyle, percent, sections

MARK: Final = "* "
"""Stands before the best value of a column."""
_BEST: Final = "* is the best of the runs in which all cases were measured."
_NONE: Final = "–"


@dataclass(frozen=True, slots=True)
class RunCell:
    """One value of a run."""

    text: str
    best: bool = False
    """Whether no other complete run has a better value, and one has a worse."""


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    value: Callable[[Evaluation], float | None]
    text: Callable[[float], str]
    lowest: bool = False
    """Whether the lowest value is the best one."""


_COLUMNS: Final = (
    _Column("Precision", lambda run: run.counts.precision, percent),
    _Column("Recall", lambda run: run.counts.recall, percent),
    _Column("F1", lambda run: run.counts.f1, percent),
    _Column("Adj. precision", lambda run: run.counts.adjusted_precision, percent),
    _Column("Adj. F1", lambda run: run.counts.adjusted_f1, percent),
    _Column("Noise per case", lambda run: run.counts.noise_per_case, "{:.2f}".format, lowest=True),
    _Column("Silent clean cases", lambda run: run.counts.silent_share, percent),
    _Column("Calls", lambda run: run.usage.model_calls, "{:,}".format, lowest=True),
    _Column(
        "Tokens", lambda run: run.usage.input_tokens + run.usage.output_tokens, "{:,}".format, lowest=True
    ),
    _Column("Credits", lambda run: run.usage.credits, "{:,.2f}".format, lowest=True),
    _Column("Seconds", lambda run: run.seconds, "{:.1f}".format, lowest=True),
)
RUN_HEAD: Final = ("Run", "Cases", *(column.name for column in _COLUMNS))


def run_rows(runs: Sequence[Evaluation]) -> list[tuple[RunCell, ...]]:
    """Returns a row of RUN_HEAD for each run."""
    complete = [run for run in runs if run.evaluated and not run.failed]
    columns = [_cells(column, runs, complete) for column in _COLUMNS]
    return [
        (
            RunCell(run.name),
            RunCell(f"{len(run.evaluated)}/{len(run.results)}"),
            *(column[index] for column in columns),
        )
        for index, run in enumerate(runs)
    ]


def _cells(column: _Column, runs: Sequence[Evaluation], complete: Sequence[Evaluation]) -> list[RunCell]:
    values = {column.value(run) for run in complete} - {None}
    best = (min if column.lowest else max)((value for value in values if value is not None), default=None)
    cells = []
    for run in runs:
        value = column.value(run) if run.evaluated else None
        text = _NONE if value is None else column.text(value)
        cells.append(RunCell(text, len(values) > 1 and run in complete and value == best))
    return cells


def runs_text(runs: Sequence[tuple[Evaluation, Comparison | None]], style: ReportStyle) -> str:
    """Returns the table of the runs, then the report of each."""
    rows = run_rows([evaluation for evaluation, _ in runs])
    marked = [tuple(f"{MARK if cell.best else ''}{cell.text}" for cell in row) for row in rows]
    lines = [*style.table([RUN_HEAD, *marked]), "", style.sentence(_BEST)]
    for evaluation, comparison in runs:
        lines += ["", style.heading(evaluation.name), *sections(evaluation, comparison, style)]
    return "\n".join((*lines, "", DEFINITIONS))
