"""Matching findings with goldens one to one, by path, side and distance."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Finding, Severity
from hunkwise.domain.review import Usage
from hunkwise.evaluation.golden import GoldenFinding
from hunkwise.evaluation.results import CaseFailure, CaseResult, Evaluation, ScoredFinding, ScoredGolden
from hunkwise.evaluation.scoring import (
    Counts,
    Match,
    distance,
    lines_of,
    match,
    near_pairs,
    sum_counts,
    sum_usage,
)
from hunkwise.evaluation.table import percent
from tests.evaluation.samples import finding, golden


@pytest.mark.parametrize(
    ("wanted", "found", "off"),
    [
        (golden(10), finding(10), 0),
        (golden(10), finding(13), 3),
        (golden(10), finding(7), 3),
        (golden(10, end_line=20), finding(15), 0),
        (golden(10, end_line=20), finding(22), 2),
        (golden(10), finding(12, start=8), 0),
        (golden(10, end_line=12), finding(9, start=7), 1),
        (golden(10), finding(10, path="b.py"), None),
        (golden(10), finding(10, side=Side.LEFT), None),
        (golden(10, side="LEFT"), finding(10, side=Side.LEFT), 0),
        (golden(10), finding(None, reported_line=11), 1),
        (golden(10, side="LEFT"), finding(None, reported_line=10), None),
        (golden(10), finding(None), None),
    ],
)
def test_distance_is_the_number_of_lines_between(
    wanted: GoldenFinding, found: Finding, off: int | None
) -> None:
    assert distance(wanted, found) == off


@pytest.mark.parametrize(
    ("goldens", "findings", "window", "pairs"),
    [
        ([], [], 3, []),
        ([golden(1)], [], 3, []),
        ([], [finding(1)], 3, []),
        ([golden(1)], [finding(4)], 3, [(0, 0)]),
        ([golden(1)], [finding(5)], 3, []),
        ([golden(1)], [finding(2)], 0, []),
        ([golden(1)], [finding(3), finding(2)], 3, [(0, 1)]),
        ([golden(4), golden(7)], [finding(5), finding(8)], 3, [(0, 0), (1, 1)]),
        # The nearest pair comes first, even if two pairs are possible.
        ([golden(4), golden(7)], [finding(6), finding(9)], 3, [(1, 0)]),
        ([golden(4), golden(7)], [finding(6)], 3, [(1, 0)]),
        # With equal distance, the one of the same severity.
        (
            [golden(4, severity="high")],
            [finding(5), finding(3, severity=Severity.HIGH)],
            3,
            [(0, 1)],
        ),
        # Distance has precedence over severity.
        ([golden(4, severity="high")], [finding(4), finding(5, severity=Severity.HIGH)], 3, [(0, 0)]),
        ([golden(1), golden(1)], [finding(1)], 3, [(0, 0)]),
        ([golden(1, path="b.py")], [finding(1)], 3, []),
    ],
)
def test_nearest_pairs_are_matched_first(
    goldens: list[GoldenFinding], findings: list[Finding], window: int, pairs: list[tuple[int, int]]
) -> None:
    assert match(goldens, findings, window).matches == tuple(Match(*pair) for pair in pairs)


def test_finding_without_anchor_uses_the_reported_line() -> None:
    assert [
        lines_of(one) for one in (finding(5, start=3), finding(None, reported_line=7), finding(None))
    ] == [
        range(3, 6),
        range(7, 8),
        None,
    ]


lines = st.integers(1, 12)
severities = st.sampled_from(list(Severity))
golden_lists = st.lists(
    st.builds(
        lambda line, more, level: golden(line, end_line=line + more, severity=level),
        lines,
        st.integers(0, 3),
        st.sampled_from([None, "low", "high"]),
    ),
    max_size=5,
)
finding_lists = st.lists(
    st.builds(lambda line, level: finding(line, severity=level), lines, severities), max_size=5
)


@given(golden_lists, finding_lists, st.integers(0, 4))
def test_matches_are_one_to_one_and_within_the_window(
    goldens: list[GoldenFinding], findings: list[Finding], window: int
) -> None:
    found = match(goldens, findings, window).matches
    assert len({one.golden for one in found}) == len({one.finding for one in found}) == len(found)
    near = near_pairs(goldens, findings, window)
    assert all((one.golden, one.finding) in near for one in found)


@given(golden_lists, finding_lists, st.integers(0, 4), st.randoms(use_true_random=False))
def test_matches_are_independent_of_list_order(
    goldens: list[GoldenFinding], findings: list[Finding], window: int, chance: object
) -> None:
    def result(goldens: list[GoldenFinding], findings: list[Finding]) -> list[str]:
        matches = match(goldens, findings, window).matches
        return sorted(repr((goldens[one.golden], findings[one.finding])) for one in matches)

    shuffled, mixed = list(goldens), list(findings)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random, which hypothesis does not type
    chance.shuffle(mixed)  # type: ignore[attr-defined]  # as above
    assert result(goldens, findings) == result(shuffled, mixed)


def marked_golden(finding: int | None = None, severity: str | None = None) -> ScoredGolden:
    return ScoredGolden(
        "a.py", 1, None, "RIGHT", severity, "Wrong.", finding, "place" if finding is not None else None
    )


def marked_finding(golden: int | None = None, severity: str = "high") -> ScoredFinding:
    return ScoredFinding("a.py", 1, None, "RIGHT", severity, "Wrong", "It is.", "review", None, golden)


def marks(
    goldens: tuple[ScoredGolden, ...] = (),
    findings: tuple[ScoredFinding, ...] = (),
    name: str = "one",
    **more: object,
) -> CaseResult:
    return CaseResult(name, "0" * 16, goldens=goldens, findings=findings, **more)  # type: ignore[arg-type]  # the test's own


FOUND = ((marked_golden(0, "high"),), (marked_finding(0),))


@pytest.mark.parametrize(
    ("one", "precision", "recall", "f1"),
    [
        (marks(), 1.0, 1.0, 1.0),  # clean and silent
        (marks((), (marked_finding(),)), 0.0, 1.0, 0.0),
        (marks((marked_golden(),)), 1.0, 0.0, 0.0),
        (marks((marked_golden(),), (marked_finding(),)), 0.0, 0.0, 0.0),
        (marks(*FOUND), 1.0, 1.0, 1.0),
        (marks((marked_golden(0), marked_golden()), (marked_finding(0),)), 1.0, 0.5, 2 / 3),
        (marks((marked_golden(0),), (marked_finding(0), marked_finding())), 0.5, 1.0, 2 / 3),
    ],
)
def test_ratios_are_defined_for_every_case(
    one: CaseResult, precision: float, recall: float, f1: float
) -> None:
    counts = one.counts
    assert (counts.precision, counts.recall, counts.f1) == (precision, recall, f1)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (marks(), Counts(cases=1, clean=1, silent=1)),
        (marks((), (marked_finding(),)), Counts(cases=1, clean=1, noise=1)),
        (marks(*FOUND), Counts(cases=1, matched=1, rated=1, agreed=1)),
        (marks((marked_golden(0, "low"),), (marked_finding(0),)), Counts(cases=1, matched=1, rated=1)),
        (marks((marked_golden(0),), (marked_finding(0),)), Counts(cases=1, matched=1)),
        (marks((marked_golden(None, "low"),)), Counts(cases=1, missed=1)),
        (
            marks((), (replace(marked_finding(), accept=0), marked_finding()), accept=(marked_golden(0),)),
            Counts(cases=1, clean=1, noise=2, accepted=1),
        ),
        (marks((), (replace(marked_finding(), counts=False),)), Counts(cases=1, clean=1, silent=1)),
        (marks(*FOUND, failure=CaseFailure("timeout", "Late.")), Counts()),
        (marks(failure=CaseFailure("timeout", "Late.")), Counts()),
    ],
)
def test_case_is_counted_by_its_result(one: CaseResult, expected: Counts) -> None:
    assert one.counts == expected


@pytest.mark.parametrize(
    ("counts", "precision", "f1", "adjusted_precision", "adjusted_f1"),
    [
        (Counts(), 1.0, 1.0, 1.0, 1.0),
        (Counts(noise=1, accepted=1), 0.0, 0.0, 1.0, 1.0),
        (Counts(noise=2, accepted=1), 0.0, 0.0, 0.5, 2 / 3),
        (Counts(missed=1, noise=1, accepted=1), 0.0, 0.0, 1.0, 0.0),
        (Counts(missed=1, noise=1), 0.0, 0.0, 0.0, 0.0),
        (Counts(matched=1, missed=1, noise=2, accepted=1), 1 / 3, 2 / 5, 2 / 3, 4 / 7),
    ],
)
def test_accepted_findings_are_no_noise_in_the_adjusted_figures(
    counts: Counts, precision: float, f1: float, adjusted_precision: float, adjusted_f1: float
) -> None:
    assert (counts.precision, counts.f1) == pytest.approx((precision, f1))
    assert (counts.adjusted_precision, counts.adjusted_f1) == pytest.approx((adjusted_precision, adjusted_f1))


@given(st.tuples(*[st.integers(0, 9)] * 3))
def test_without_accepted_findings_both_kinds_of_figures_are_equal(numbers: tuple[int, int, int]) -> None:
    counts = Counts(1, 0, 0, *numbers)
    assert counts.adjusted_precision == counts.precision
    assert counts.adjusted_f1 == pytest.approx(counts.f1)


def test_no_noise_and_no_share_without_cases() -> None:
    nothing = Counts()
    assert (nothing.noise_per_case, nothing.silent_share, nothing.severity_agreement) == (None, None, None)


def test_totals_use_sums_and_not_ratios() -> None:
    whole = sum_counts(
        [Counts(cases=1, matched=1), Counts(cases=1, matched=1, missed=3, noise=1), Counts(cases=1, clean=1)]
    )
    assert whole == Counts(cases=3, clean=1, matched=2, missed=3, noise=1)
    assert (whole.precision, whole.recall, whole.f1) == (2 / 3, 2 / 5, 4 / 8)
    assert (whole.noise_per_case, whole.silent_share) == (1 / 3, 0.0)


def test_only_usage_of_failed_cases_is_in_the_totals() -> None:
    cost = Usage(2, 10, 5, 1, 1, ("m",), 3)
    one = marks(*FOUND, usage=cost, judge_usage=Usage(model_calls=1))
    other = marks(name="two", usage=cost, failure=CaseFailure("timeout", "Late."))
    whole = Evaluation((one, other))
    assert (whole.usage, whole.judge_usage) == (sum_usage([cost, cost]), Usage(model_calls=1))
    assert (whole.counts, whole.evaluated, whole.failed) == (one.counts, (one,), (other,))


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (None, "–"), (1.0, "100 %"), (0.0, "0 %"), (0.5, "50 %"), (2 / 3, "66.7 %"),
        (0.9999, "99.9 %"), (0.0001, "0.1 %"),
    ],
)  # fmt: skip
def test_only_exact_shares_are_shown_as_0_or_100_percent(share: float | None, expected: str) -> None:
    assert percent(share) == expected
