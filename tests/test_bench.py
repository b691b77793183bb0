"""The benchmark measures; what it measures is nobody's to pass or fail here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from bench.cases import CASES, Case, Goal, ImportCase, Measure
from bench.changes import Shape, make_change
from bench.figures import Figure, figures, table

ROOT = Path(__file__).resolve().parents[1]
_FIELDS = {
    "case",
    "measure",
    "unit",
    "median",
    "min",
    "max",
    "values",
    "goal",
    "goal_is_at_least",
    "met",
    "peer",
}
_CASE = ImportCase(
    name="some", title="something", measures=(Measure("wall", "s", Goal(2.0), 6.8), Measure("calls", ""))
)


def run_once(case: str, folder: Path) -> tuple[str, Any]:
    """What the benchmark prints, and its JSON."""
    out = folder / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--only", case, "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(out.read_text())


def test_small_case_runs_and_its_json_has_all_fields(tmp_path: Path) -> None:
    printed, told = run_once("small", tmp_path)
    assert "start to review posted" in printed
    assert set(told["machine"]) == {"python", "system", "cores", "load_before_and_after"}
    assert all(set(figure) == _FIELDS for figure in told["figures"])
    numbers = {figure["measure"]: figure["median"] for figure in told["figures"]}
    assert set(numbers) == {measure.name for measure in CASES[0].measures}
    # One question has no other to begin like.
    assert [name for name, number in numbers.items() if number <= 0] == ["common prefix of the prompts"], (
        numbers
    )
    assert numbers["changed lines covered"] == 100


@pytest.mark.nightly
def test_the_second_of_two_runs_is_counted_alone(tmp_path: Path) -> None:
    _printed, told = run_once("again-bare", tmp_path)
    met = {figure["measure"]: figure["met"] for figure in told["figures"]}
    numbers = {figure["measure"]: figure["median"] for figure in told["figures"]}
    assert 0 < numbers["requests, identical second run"] < numbers["requests, first review"]
    assert [name for name, reached in met.items() if reached is False] == []


def test_a_container_without_an_image_is_said_and_fails_nothing(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--only", "container", "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "HUNKWISE_IMAGE": "localhost/hunkwise:never-built"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "not measured: There is no image localhost/hunkwise:never-built: run `make image`." in done.stdout
    assert json.loads(out.read_text())["figures"] == []


@pytest.mark.parametrize("shape", [Shape(11, 199, 16), Shape(62, 1_094, 1_507), Shape(40, 30, 7)])
def test_made_up_change_has_exactly_the_lines_of_its_shape(shape: Shape) -> None:
    change = make_change(shape)
    added = removed = 0
    for path in change.before.keys() | change.after.keys():
        before = Counter(change.before.get(path, "").splitlines())
        after = Counter((change.after.get(path) or "").splitlines())
        added += (after - before).total()
        removed += (before - after).total()
    assert (len(change.after), added, removed) == (shape.files, shape.additions, shape.deletions)
    assert make_change(shape) == change


@pytest.mark.parametrize(
    ("goal", "values", "met"),
    [
        (Goal(2.0), (1.0, 1.9, 9.0), True),
        (Goal(2.0), (1.0, 2.1, 2.2), False),
        (Goal(100, at_least=True), (100.0,), True),
        (Goal(100, at_least=True), (99.0,), False),
        (None, (1.0,), None),
    ],
)
def test_goal_is_met_by_the_median(goal: Goal | None, values: tuple[float, ...], met: bool | None) -> None:
    assert Figure(_CASE, Measure("wall", "s", goal), values).met is met


def test_table_marks_a_missed_goal_and_names_the_peer() -> None:
    runs = [{"wall": seconds, "calls": 1} for seconds in (2.5, 3.5, 3.0)]
    lines = table(_CASE, figures(_CASE, runs)).split("\n")
    assert lines[1] == "some: something; median of 3"
    assert lines[3].split() == ["wall", "3", "s", "2.50", "-", "3.50", "<=", "2", "MISSED", "6.80"]
    assert lines[4].split() == ["calls", "1", "1", "-", "1"]


def test_every_case_has_a_name_of_its_own() -> None:
    def name(case: Case) -> str:
        return case.name

    assert len(set(map(name, CASES))) == len(CASES)
