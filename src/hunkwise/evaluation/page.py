"""Renders the HTML report of an evaluation: one file that needs no network and no script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, StrictUndefined, Template

from hunkwise.domain.text import count
from hunkwise.evaluation.run_table import RUN_HEAD, RunCell
from hunkwise.evaluation.table import CURVE_HEAD, percent

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
