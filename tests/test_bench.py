"""Runs the benchmark; its figures cannot fail here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from bench.capacity import simulate
from bench.capacity import table as capacity_table
from bench.cases import CASES, COVERAGE, IMPORT, Case, Measure
from bench.changes import Shape, make_change
from bench.figures import Figure, figures
from bench.figures import table as printed_table

from tests.pages import page, table

ROOT = Path(__file__).resolve().parents[1]
_FIELDS = set("case measure unit median min max values goal goal_is_at_least met peer".split())
_CASE = Case(kind="import", name="some", title="something", goals={IMPORT: 2.0}, peers={IMPORT: 6.8})


def run_once(case: str, folder: Path, **environ: str) -> tuple[str, Any]:
    """Returns what the benchmark prints, and its JSON."""
    out = folder / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--only", case, "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(out.read_text())


@pytest.mark.nightly
def test_small_case_measures_all_figures(tmp_path: Path) -> None:
    printed, result = run_once("small", tmp_path)
    assert "start to review posted" in printed
    assert set(result["machine"]) == {"python", "system", "cores", "load_before_and_after"}
    assert all(set(figure) == _FIELDS for figure in result["figures"])
    numbers = {figure["measure"]: figure["median"] for figure in result["figures"]}
    assert set(numbers) == {measure.name for measure in CASES[0].measures}
    # A single prompt shares no prefix with another.
    assert [name for name, number in numbers.items() if number <= 0] == ["common prefix of the prompts"]
    assert numbers[COVERAGE] == 100


@pytest.mark.nightly
def test_counts_second_run_separately(tmp_path: Path) -> None:
    _printed, result = run_once("again-bare", tmp_path)
    numbers = {figure["measure"]: figure["median"] for figure in result["figures"]}
    assert 0 < numbers["requests, identical second run"] < numbers["requests, first review"]
    assert [figure["measure"] for figure in result["figures"] if figure["met"] is False] == []


@pytest.mark.nightly
def test_counts_requests_of_an_answer(tmp_path: Path) -> None:
    printed, result = run_once("command", tmp_path)
    assert "start to reply posted" in printed
    numbers = {figure["measure"]: figure["median"] for figure in result["figures"]}
    assert [numbers[name] for name in ("GitHub requests", "of them writes", "model calls")] == [9, 3, 1]


@pytest.mark.nightly
@pytest.mark.parametrize("case", ["webhooks", "webhook", "drain"])
def test_measures_the_service(case: str, tmp_path: Path) -> None:
    _printed, result = run_once(case, tmp_path)
    (measures,) = (one.measures for one in CASES if one.name == case)
    assert [figure["measure"] for figure in result["figures"]] == [measure.name for measure in measures]
    assert all(figure["median"] > 0 for figure in result["figures"])


def test_missing_image_is_reported_without_failure(tmp_path: Path) -> None:
    image = "localhost/hunkwise:never-built"
    action = tmp_path / "action.yml"
    action.write_text(f"runs: {{using: docker, image: 'docker://{image}'}}\n")
    printed, result = run_once("container", tmp_path, HUNKWISE_ACTION=str(action))
    assert f"not measured: There is no image {image}: run `make image`." in printed
    assert result["figures"] == []


@pytest.mark.parametrize("shape", [Shape(11, 199, 16), Shape(62, 1_094, 1_507), Shape(40, 30, 7)])
def test_generated_change_has_the_lines_of_its_shape(shape: Shape) -> None:
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
    ("name", "goal", "values", "met"),
    [
        ("wall", 2.0, (1.0, 1.9, 9.0), True),
        ("wall", 2.0, (1.0, 2.1, 2.2), False),
        (COVERAGE, 100, (100.0,), True),
        (COVERAGE, 100, (99.0,), False),
        ("wall", None, (1.0,), None),
    ],
)
def test_compares_median_with_goal(
    name: str, goal: float | None, values: tuple[float, ...], met: bool | None
) -> None:
    assert Figure(_CASE, Measure(name, "s", goal), values).met is met


def test_table_has_goal_and_peer() -> None:
    lines = printed_table(_CASE, figures(_CASE, [{IMPORT: seconds} for seconds in (2.5, 3.5, 3.0)])).split(
        "\n"
    )
    assert lines[1] == "some: something; median of 3"
    row = ["import", "copilot", "3", "s", "2.50", "-", "3.50", "<=", "2", "MISSED", "6.80"]
    assert lines[3].split() == row
    (line,) = printed_table(CASES[0], [Figure(CASES[0], Measure("calls", ""), (1, 1))]).split("\n")[3:]
    assert line.split() == ["calls", "1", "1", "-", "1"]


def test_figures_of_pr_agent_in_the_documentation_are_those_of_the_cases() -> None:
    text = page("docs/figures.md")
    rows = [row for heading in ("Measure", "Change") for row in table(text, heading)]
    shown = {float(number) for row in rows for number in re.findall(r"[\d.]+", row[-1])}
    measured = {value for case in CASES for value in case.peers.values()}
    assert shown - measured == {3}  # files of a prompt, which is no measure


def test_cases_have_distinct_names() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_table_of_capacity_is_that_of_its_simulation() -> None:
    assert capacity_table() in page("docs/service.md")


def test_more_jobs_at_a_time_mean_less_waiting() -> None:
    few, more, many = (simulate(120, parallel).high for parallel in (4, 8, 16))
    assert few > more > many
