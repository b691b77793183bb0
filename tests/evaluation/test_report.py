"""Reports: round trip, totals, comparison, and untrusted text in a terminal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hunkwise.domain.review import Usage
from hunkwise.errors import SettingsError
from hunkwise.evaluation.comparison import compare, comparison_json
from hunkwise.evaluation.report import as_json, case_json, read_case_result, read_report
from hunkwise.evaluation.results import CaseFailure, Evaluation, ScoredGolden
from hunkwise.evaluation.table import HEAD, as_markdown, as_text
from tests.evaluation.samples import write
from tests.evaluation.test_scoring import FOUND, marked_finding, marked_golden, marks

COST = Usage(2, 1_000, 50, 10, 3, ("m", "n"), 1_500_000_000)
HOSTILE = "x\x1b[2J | <script>@octocat\nnext"
ONE = marks(*FOUND, usage=COST, judge_usage=Usage(1, 7, 7), seconds=1.25, notes=("A note.",), description="d")
MISSED = marks(
    (marked_golden(None, "low"),), (marked_finding(None, "low"),), name="two", usage=COST, seconds=2.0
)
CLEAN = marks(name="three", usage=COST)
FAILED = marks(name="four", usage=COST, failure=CaseFailure("timeout", f"Late {HOSTILE}"))
WHOLE = Evaluation((ONE, MISSED, CLEAN, FAILED), "a, b", "wise", settings="s", seconds=3.0)


def totals_of(report: dict[str, Any]) -> dict[str, Any]:
    """Returns the totals, computed from the cases."""
    measured = [case["measures"] for case in report["cases"] if case["measures"]]
    names = ("cases", "clean", "silent", "matched", "missed", "noise", "accepted", "rated", "agreed")
    counts = {name: sum(one[name] for one in measured) for name in names}
    spent = {
        kind: {
            name: sum(case[kind][name] for case in report["cases"])
            for name in (
                "model_calls",
                "input_tokens",
                "output_tokens",
                "cached_tokens",
                "tool_calls",
                "nano_credits",
            )
        }
        for kind in ("usage", "judge_usage")
    }
    return {**counts, **spent}


def test_totals_are_sums_of_the_cases() -> None:
    report = as_json(WHOLE)
    for name, expected in totals_of(report).items():
        found = report["totals"][name]
        assert found == expected if isinstance(expected, int) else expected.items() <= found.items()
    totals = report["totals"]
    assert (totals["cases"], totals["failed"], totals["usage"]["credits"]) == (3, 1, 6.0)
    assert (totals["precision"], totals["recall"], totals["f1"]) == (0.5, 0.5, 0.5)
    assert totals["noise_per_case"] == 0.3333
    assert totals["usage"]["models"] == ["m", "n"]


@pytest.mark.parametrize("one", [ONE, MISSED, CLEAN])
def test_case_round_trips(one: Any) -> None:
    assert read_case_result(json.loads(json.dumps(case_json(one)))) == one


def test_report_round_trips(tmp_path: Path) -> None:
    write(tmp_path, {"r.json": as_json(WHOLE)})
    (found,) = read_report(tmp_path / "r.json")
    assert (found.counts, found.usage, found.model, found.judge) == (
        WHOLE.counts,
        WHOLE.usage,
        "a, b",
        "wise",
    )
    assert found.results[:3] == WHOLE.results[:3]
    assert found.failed[0].name == "four"


def test_report_without_measured_cases_has_no_ratios() -> None:
    nothing = Evaluation((FAILED,))
    totals = as_json(nothing)["totals"]
    assert [totals[name] for name in ("precision", "recall", "f1", "noise_per_case")] == [None] * 4
    assert "100 %" not in as_text(nothing)


def broken(**more: Any) -> dict[str, Any]:
    case = {**case_json(ONE), **more}
    return {"version": 1, "cases": [case]}


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ("{", "it is no report of `hunkwise eval`: its top: Invalid JSON"),
        ("[]", "it is no report of `hunkwise eval`: its top"),
        ({"version": 2, "cases": []}, "it has version 2; only 1 is read here."),
        ({"version": 1}, "cases: Field required"),
        ({"version": 1, "runs": []}, "runs: List should have at least 1 item"),
        ({"version": 1, "runs": [{}]}, "runs.0.cases: Field required"),
        (broken(name=3), "it is no report of `hunkwise eval`: name"),
        (broken(findings=[]), "it is damaged: a golden names a finding that is not there."),
        (
            broken(accept=[{**case_json(ONE)["goldens"][0], "candidates": [7]}]),
            "it is damaged: a golden names",
        ),
        (broken(findings=[{**case_json(ONE)["findings"][0], "accept": 0}]), "it is damaged: a finding names"),
        (broken(goldens=[]), "it is damaged: a finding names a golden that is not there."),
    ],
)
def test_invalid_report_is_rejected(tmp_path: Path, contents: object, message: str) -> None:
    write(tmp_path, {"r.json": contents})
    with pytest.raises(SettingsError) as raised:
        read_report(tmp_path / "r.json")
    assert message in str(raised.value)


def test_missing_report_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="it cannot be read"):
        read_report(tmp_path / "r.json")


def test_text_has_a_row_per_case_and_a_total() -> None:
    text = as_text(WHOLE)
    head, *rows = text.split("\n\n")[0].split("\n")
    assert head.split("  ")[0] == "Case"
    assert [row.split("  ")[0] for row in rows] == ["one", "two", "three", "four", "total of 3 cases"]
    assert rows[-1].split()[4:] == [
        "1/2",
        "1",
        "50",
        "%",
        "50",
        "%",
        "50",
        "%",
        "1/1",
        "8",
        "4,000",
        "200",
        "6.00",
        "3.2",
    ]
    assert "Noise per pull request: 0.33 findings.\nSilent clean cases: 1 of 1 (100 %).\n" in text
    assert "The judge (wise) took 1 model call, 7 tokens in, 7 out; not in the table." in text
    assert "1 case failed and count in no measure." not in text
    assert "1 case failed and counts in no measure." in text
    assert "  two: missed: a.py:1 Wrong.\n  two: noise: a.py:1 low: Wrong\n  four: failed: Late x" in text
    assert "  one: note: A note." in text
    assert "\x1b" not in text


def test_untrusted_text_cannot_leave_the_markdown_table() -> None:
    text = as_markdown(replace(WHOLE, demo=True))
    lines = text.split("\n")
    head = [name for name in HEAD if name not in ("Accepted", "Adj. precision", "Adj. F1")]
    assert lines[0] == f"| {' | '.join(head)} |"
    assert all(line.count(" | ") == len(head) - 1 for line in lines[2:7])
    (failed,) = [line for line in lines if line.startswith("- **four**, failed")]
    assert "<script>" not in failed
    assert "\x1b" not in text
    assert "- This is the demo: fixed rules, not a model." in lines


def test_list_of_details_is_limited() -> None:
    goldens = tuple(marked_golden() for _ in range(130))
    text = as_text(Evaluation((marks(goldens),)))
    assert "  and: 30 more: they are in the JSON report." in text


def found(number: int, of: int, noise: int = 0, name: str = "one", digest: str = "d") -> Any:
    """Returns a case with this number of found goldens."""
    goldens = tuple(
        ScoredGolden(
            "a.py", line, None, "RIGHT", None, f"Golden {line}", line - 1 if line <= number else None
        )
        for line in range(1, of + 1)
    )
    findings = tuple(marked_finding(line) for line in range(number)) + (marked_finding(),) * noise
    return replace(marks(goldens, findings, name=name), digest=digest)


@pytest.mark.parametrize(
    ("before", "now", "allowed", "regressed"),
    [
        (found(2, 2), found(2, 2), 0.0, False),
        (found(2, 2), found(1, 2), 0.0, True),
        (found(1, 2), found(2, 2), 0.0, False),
        (found(2, 2), found(2, 2, noise=1), 0.0, True),
        (found(2, 2), found(2, 2, noise=1), 0.2, False),
        (found(2, 2), found(1, 2), 1 / 3, False),
        (found(2, 2), found(1, 2), 0.33, True),
        (found(0, 0), found(0, 0, noise=1), 0.5, True),
        (found(0, 0), found(0, 0, noise=1), 1.0, False),
    ],
)
def test_drop_of_f1_above_limit_is_a_regression(
    before: Any, now: Any, allowed: float, regressed: bool
) -> None:
    assert compare(Evaluation((before,)), Evaluation((now,)), allowed).regressed is regressed


def test_only_equal_cases_that_were_measured_twice_are_compared() -> None:
    failed = replace(found(2, 2, name="failed"), failure=CaseFailure("timeout", "Late."))
    before = (found(2, 2), found(2, 2, name="gone"), found(2, 2, name="other"), found(2, 2, name="failed"))
    now = (found(1, 2), found(0, 2, name="new"), found(0, 2, name="other", digest="e"), failed)
    both = compare(Evaluation(before), Evaluation(now), 0.5)
    comparison = comparison_json(both)
    assert (comparison["compared"], comparison["regressed"], comparison["max_regression"]) == (1, False, 0.5)
    assert (comparison["added"], comparison["removed"], comparison["changed"], comparison["unmeasured"]) == (
        ["new"],
        ["gone"],
        ["other"],
        ["failed"],
    )
    assert comparison["delta"]["recall"] == -0.5
    assert comparison["delta"]["silent_share"] is None
    (case,) = comparison["cases"]
    assert case["delta"]["missed"] == 1
    assert [one["text"] for one in case["new_misses"]] == ["Golden 2"]
    assert case["new_finds"] == []
    text = as_text(Evaluation(now), both)
    for line in (
        "New here: new.",
        "No longer here: gone.",
        "Changed since, so not compared: other.",
        "Failed then or now, so not compared: failed.",
        "  one: new miss: a.py:2 Golden 2",
    ):
        assert line in text
    assert "Regression" not in text


def test_regression_is_reported_with_the_limit() -> None:
    both = compare(Evaluation((found(2, 2),)), Evaluation((found(1, 2),)))
    assert "Regression: the strict F1 is 33.3 points lower; 0.0 are allowed (--max-regression)." in as_text(
        both_now(), both
    )
    text = as_markdown(both_now(), both)
    assert "| Recall | 100 % | 50 % | -50.0 points |" in text
    assert "- **one**, new miss: a.py:2 Golden 2" in text


def both_now() -> Evaluation:
    return Evaluation((found(1, 2),))


def test_newly_found_goldens_are_reported() -> None:
    both = compare(Evaluation((found(0, 1),)), Evaluation((found(1, 1),)))
    assert "  one: new find: a.py:1 Golden 1" in as_text(both_now(), both)
    assert comparison_json(both)["cases"][0]["new_finds"][0]["line"] == 1


def test_changed_model_and_judge_are_reported() -> None:
    one, other = Evaluation((found(1, 1),), "old"), Evaluation((found(1, 1),), None, "wise")
    text = as_text(other, compare(one, other))
    assert "The model was old, and is nobody by name." in text
    assert "The judge was nobody, and is wise: matches differ by that alone." in text
    assert compare(one, one).notes == ()
