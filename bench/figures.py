"""Medians and spread of several runs, as JSON and as a table."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.cases import Case, Measure
from bench.runs import Numbers

_HEADS = ("", "median", "min - max", "goal", "", "pr-agent")
_WIDTHS = (32, 12, 19, 10, 7, 10)


@dataclass(frozen=True)
class Figure:
    """One measure of a case over all runs."""

    case: Case
    measure: Measure
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def met(self) -> bool | None:
        """None where there is no goal."""
        return self.measure.is_met(self.median)

    def as_json(self) -> dict[str, Any]:
        return {
            "case": self.case.name,
            "measure": self.measure.name,
            "unit": self.measure.unit,
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "values": list(self.values),
            "goal": self.measure.goal,
            "goal_is_at_least": self.measure.goal_is_at_least,
            "met": self.met,
            "peer": self.measure.peer,
        }


def figures(case: Case, runs: Sequence[Numbers]) -> list[Figure]:
    """Returns the case's figures in its order."""
    return [
        Figure(case, measure, tuple(numbers[measure.name] for numbers in runs)) for measure in case.measures
    ]


def as_json(found: Sequence[Figure], load: Sequence[float]) -> dict[str, Any]:
    """Returns the contents of bench.json. `load` is the machine's load average before and after."""
    machine = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "load_before_and_after": list(load),
    }
    return {"machine": machine, "figures": [figure.as_json() for figure in found]}


def table(case: Case, found: Sequence[Figure]) -> str:
    """Returns the case's part of the table, with its title."""
    runs = len(found[0].values)
    title = f"{case.name}: {case.title}; {'1 run' if runs == 1 else f'median of {runs}'}"
    return "\n".join(("", title, _row(_HEADS), *(_row(_cells(figure)) for figure in found)))


def _cells(figure: Figure) -> tuple[str, ...]:
    unit, goal, peer = figure.measure.unit, figure.measure.goal, figure.measure.peer
    return (
        figure.measure.name,
        f"{_number(figure.median)} {unit}".strip(),
        f"{_number(min(figure.values))} - {_number(max(figure.values))}" if len(figure.values) > 1 else "",
        "" if goal is None else f"{'>=' if figure.measure.goal_is_at_least else '<='} {_number(goal)}",
        {True: "ok", False: "MISSED", None: ""}[figure.met],
        "" if peer is None else _number(peer),
    )


def _row(cells: Sequence[str]) -> str:
    first, *rest = (
        cell.ljust(width) if place == 0 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, _WIDTHS, strict=True))
    )
    return ("  " + first + "  ".join(rest)).rstrip()


def _number(number: float) -> str:
    if number == int(number) or abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.2f}"
