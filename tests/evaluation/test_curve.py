"""The measures by `min-confidence`, from the findings of one run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.finding import Finding
from hunkwise.evaluation.curve import CurvePoint, around_best, best_point, curve
from hunkwise.evaluation.golden import AcceptedFinding, Golden, GoldenFinding
from hunkwise.evaluation.report import as_json
from hunkwise.evaluation.results import CaseFailure, CaseResult, Evaluation, score
from hunkwise.evaluation.scoring import Counts, match
from hunkwise.evaluation.table import as_markdown, as_text, curve_table
from tests.evaluation.samples import finding, golden


def result(
    goldens: list[GoldenFinding], findings: list[Finding], accept: list[AcceptedFinding] | None = None
) -> CaseResult:
    """Returns the result of a case whose window is 0."""
    expected = Golden(version=1, findings=tuple(goldens), accept=tuple(accept or ()))
    matches = match(expected.findings, findings, 0)
    taken = {one.finding for one in matches.matches}
    rest = [index for index in range(len(findings)) if index not in taken]
    accepted = match(expected.accept, [findings[index] for index in rest], 0).renumbered(rest)
    scored, accepts, found = score(expected, findings, matches, accepted)
    return CaseResult("one", "d", goldens=scored, accept=accepts, findings=found)


def sure(line: int, confidence: float | None, title: str = "Wrong") -> Finding:
    return replace(finding(line, title=title), confidence=confidence)


def accepted(line: int) -> AcceptedFinding:
    return AcceptedFinding(path="a.py", line=line, text="True.")


def figures(points: tuple[CurvePoint, ...]) -> list[tuple[float, int, int, int]]:
    return [
        (point.min_confidence, point.counts.matched, point.counts.noise, point.counts.accepted)
        for point in points
    ]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (result([], []), [(0, 0, 0, 0)]),
        # Without a confidence, or with the highest one, a finding counts at every step.
        (result([golden(1)], [sure(1, None), sure(9, 1.0)]), [(0, 1, 1, 0)]),
        # Only the steps that leave out more are points; a confidence equal to a step reaches it.
        (
            result([golden(1)], [sure(1, 0.9), sure(9, 0.3), sure(8, 0.12)]),
            [(0, 1, 2, 0), (0.15, 1, 1, 0), (0.35, 1, 0, 0), (0.95, 0, 0, 0)],
        ),
        # Another finding on the same line takes the place of the one that does not count.
        (
            result([golden(1)], [sure(1, 0.2, "A"), sure(1, 0.6, "B")]),
            [(0, 1, 1, 0), (0.25, 1, 0, 0), (0.65, 0, 0, 0)],
        ),
        (
            result([golden(1)], [sure(1, 0.2, "A"), sure(1, 0.6, "B")], [accepted(1)]),
            [(0, 1, 1, 1), (0.25, 1, 0, 0), (0.65, 0, 0, 0)],
        ),
        (
            result([], [sure(1, 0.2, "A"), sure(1, 0.6, "B")], [accepted(1)]),
            [(0, 0, 2, 1), (0.25, 0, 1, 1), (0.65, 0, 0, 0)],
        ),
    ],
)
def test_curve_has_a_point_for_each_step_that_leaves_out_more(
    case: CaseResult, expected: list[tuple[float, int, int, int]]
) -> None:
    assert figures(curve(Evaluation((case,)))) == expected


lines = st.integers(1, 4)
confidences = st.none() | st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.8, 0.95, 1.0])
cases = st.builds(
    result,
    st.lists(st.builds(golden, lines), max_size=3),
    st.lists(st.builds(sure, lines, confidences, st.sampled_from("ABC")), max_size=5),
    st.lists(st.builds(accepted, lines), max_size=2),
)


@given(cases, confidences.filter(lambda value: value is not None))
def test_a_result_at_a_confidence_loses_nothing_and_counts_only_findings_that_reach_it(
    case: CaseResult, least: float
) -> None:
    at = case.at(least)
    counting = [one for one in case.findings if one.confidence is None or one.confidence >= least]
    assert at.counts.findings == len(counting)
    assert at.counts.matched + at.counts.missed == len(case.goldens)
    assert all(
        at.findings[one.finding].counts for one in (*at.goldens, *at.accept) if one.finding is not None
    )
    assert case.at(0).counts == case.counts == at.at(0).counts


@given(cases, confidences.filter(lambda value: value is not None))
def test_a_result_at_a_confidence_is_that_of_a_run_that_found_the_rest(
    case: CaseResult, least: float
) -> None:
    # With a window of 0 all candidates of a golden are on its line, so which of them matches makes no difference.
    rest = [
        sure(one.line or 0, one.confidence, one.title)
        for one in case.findings
        if one.confidence is None or one.confidence >= least
    ]
    again = result([golden(one.line) for one in case.goldens], rest)
    assert case.at(least).counts.matched == again.counts.matched


def point(least: float, matched: int, noise: int) -> CurvePoint:
    return CurvePoint(least, Counts(cases=1, matched=matched, missed=5 - matched, noise=noise))


@pytest.mark.parametrize(
    ("points", "best"),
    [
        ([], None),
        ([point(0, 5, 5), point(0.5, 5, 0), point(0.9, 1, 0)], 0.5),
        # Of equally good points the lowest one, which leaves out the fewest findings.
        ([point(0, 4, 0), point(0.5, 4, 0)], 0),
    ],
)
def test_best_point_has_the_highest_adjusted_f1(points: list[CurvePoint], best: float | None) -> None:
    found = best_point(points)
    assert (found.min_confidence if found else None) == best


@pytest.mark.parametrize(
    ("at", "shown"), [(0, range(6)), (2, range(6)), (3, range(1, 7)), (5, range(3, 9)), (8, range(3, 9))]
)
def test_at_most_six_points_around_the_best_are_shown(at: int, shown: range) -> None:
    points = [point(number / 10, 5 if number == at else 1, 0) for number in range(9)]
    assert [one.min_confidence for one in around_best(points, 6)] == [number / 10 for number in shown]


def test_curve_is_in_text_markdown_and_json() -> None:
    case = result([golden(1)], [sure(1, 0.9), sure(9, 0.3)])
    whole = Evaluation((case, CaseResult("two", "d", failure=CaseFailure("timeout", "Late."))))
    row = ["0.35 (best)", "1", "100 %", "100 %", "100 %", "100 %", "100 %"]
    assert list(curve_table(whole)[2]) == row
    for text in (as_text(whole), as_markdown(whole)):
        assert "The adjusted F1 is highest at min-confidence 0.35: 100 %." in text
    found = as_json(whole)["curve"]
    assert (found["best"], [one["findings"] for one in found["points"]]) == (0.35, [2, 1, 0])
    assert found["points"][0] == {
        "min_confidence": 0.0,
        "findings": 2,
        "precision": 0.5,
        "recall": 1.0,
        "f1": 0.6667,
        "adjusted_precision": 0.5,
        "adjusted_f1": 0.6667,
    }


def test_without_different_confidences_no_curve_is_printed() -> None:
    assert "min-confidence" not in as_text(Evaluation((result([golden(1)], [sure(1, None)]),)))
    assert as_json(Evaluation(()))["curve"] == {"best": None, "points": []}


def test_findings_below_the_configured_confidence_do_not_count_and_are_in_the_curve() -> None:
    whole = Evaluation((result([golden(1)], [sure(1, 0.9), sure(9, 0.3)]),))
    at = whole.at(0.5)
    assert (at.counts.matched, at.counts.noise, at.min_confidence) == (1, 0, 0.5)
    text = as_text(at)
    assert "min-confidence 0.5: 1 of 2 findings do not count." in text
    assert "noise:" not in text
    assert figures(curve(at)) == figures(curve(whole))
