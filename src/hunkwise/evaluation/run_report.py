"""Reports several runs over the same cases, with other models or prompts: in one table, and as an HTML page that needs
no network and no script."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, StrictUndefined, Template

from hunkwise.domain.text import count
from hunkwise.evaluation.comparison import Comparison
from hunkwise.evaluation.results import Evaluation
from hunkwise.evaluation.table import CURVE_HEAD, DEFINITIONS, ReportStyle, percent, sections

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


_MEASURES: Final = {
    "Precision": ("precision", "adjusted_precision"),
    "Recall": ("recall", "recall"),
    "F1": ("f1", "adjusted_f1"),
}
"""The figures that are shown in both ways: the keys of the strict and the adjusted one."""
_LINES: Final = {
    "adjusted_f1": "Adj. F1",
    "adjusted_precision": "Adj. precision",
    "recall": "Recall",
    "f1": "F1",
    "precision": "Precision",
}
"""The lines of the curve, by their keys in a point."""
_LEFT: Final = 40
_TOP: Final = 10
_WIDTH: Final = 560
_HEIGHT: Final = 200
"""The curve's area in the picture, in pixels."""


@dataclass(frozen=True, slots=True)
class CurveLine:
    """One measure over `min-confidence`, as an SVG path."""

    key: str
    name: str
    path: str


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["percent"] = percent
    environment.filters["place"] = _place
    environment.filters["matched_text"] = _matched_text
    environment.globals["count"] = count
    folder = files("hunkwise.evaluation") / "templates"
    return environment.from_string((folder / "report.html.j2").read_text(encoding="utf-8"))


def render_page(reports: Sequence[Mapping[str, Any]], rows: Sequence[Sequence[RunCell]]) -> str:
    """Returns the page of the runs.

    `reports` has the JSON report of each run, from which all figures are taken; `rows` are those of `run_rows`.
    """
    page = _template().render(
        runs=reports,
        head=RUN_HEAD,
        rows=rows,
        measures=_MEASURES,
        curve_head=CURVE_HEAD,
        lines_of=_curve_lines,
        x_of=_x,
        y_of=_y,
        area={"left": _LEFT, "top": _TOP, "width": _WIDTH, "height": _HEIGHT},
    )
    return f"{page.strip()}\n"


def _curve_lines(points: Sequence[Mapping[str, Any]]) -> list[CurveLine]:
    return [CurveLine(key, name, "".join(_path(points, key))) for key, name in _LINES.items()]


def _path(points: Sequence[Mapping[str, Any]], key: str) -> Iterator[str]:
    """Yields the parts of a line that keeps the value of each point up to the next one."""
    for index, point in enumerate(points):
        x, y = _x(point["min_confidence"]), _y(point[key])
        yield f"H{x}V{y}" if index else f"M{x} {y}"
    yield f"H{_x(1)}"


def _x(min_confidence: float) -> str:
    return f"{_LEFT + _WIDTH * min_confidence:.1f}"


def _y(share: float) -> str:
    return f"{_TOP + _HEIGHT * (1 - share):.1f}"


def _place(item: Mapping[str, Any]) -> str:
    """Returns where a finding of the case or of the model is, as `path:3-5 (LEFT)`."""
    first = item.get("start_line") or item["line"]
    last = item.get("end_line") or item["line"]
    lines = "" if first is None else f":{first}" if first == last else f":{first}-{last}"
    return f"{item['path']}{lines}{' (LEFT)' if item['side'] == 'LEFT' else ''}"


def _matched_text(finding: Mapping[str, Any], case: Mapping[str, Any]) -> str:
    """Returns the text of the expected or accepted finding that it matches; empty for noise."""
    for key, matched in (("goldens", finding["golden"]), ("accept", finding["accept"])):
        if matched is not None:
            return str(case[key][matched]["text"])
    return ""
