"""Precision, recall and the rest, where there is something to divide and where there is not."""

from __future__ import annotations

import pytest

from hunkwise.domain.review import Usage
from hunkwise.evaluation.results import CaseFailure, CaseResult, Evaluation, ScoredFinding, ScoredGolden
from hunkwise.evaluation.scoring import Counts, added, summed
from hunkwise.evaluation.table import percent


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
def test_the_ratios_are_defined_everywhere(
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
        (marks(*FOUND, failure=CaseFailure("timeout", "Late.")), Counts()),
        (marks(failure=CaseFailure("timeout", "Late.")), Counts()),
    ],
)
def test_a_case_is_counted_by_what_became_of_it(one: CaseResult, expected: Counts) -> None:
    assert one.counts == expected


def test_of_no_case_there_is_no_noise_and_no_share() -> None:
    nothing = Counts()
    assert (nothing.noise_per_case, nothing.silent_share, nothing.severity_agreement) == (None, None, None)


def test_totals_are_made_of_the_sums_and_not_of_the_ratios() -> None:
    whole = summed(
        [Counts(cases=1, matched=1), Counts(cases=1, matched=1, missed=3, noise=1), Counts(cases=1, clean=1)]
    )
    assert whole == Counts(cases=3, clean=1, matched=2, missed=3, noise=1)
    assert (whole.precision, whole.recall, whole.f1) == (2 / 3, 2 / 5, 4 / 8)
    assert (whole.noise_per_case, whole.silent_share) == (1 / 3, 0.0)


def test_what_failed_cases_cost_is_in_the_totals_and_nothing_else_of_them() -> None:
    cost = Usage(2, 10, 5, 1, 1, ("m",), 3)
    one = marks(*FOUND, usage=cost, judge_usage=Usage(model_calls=1))
    other = marks(name="two", usage=cost, failure=CaseFailure("timeout", "Late."))
    whole = Evaluation((one, other))
    assert (whole.usage, whole.judge_usage) == (added([cost, cost]), Usage(model_calls=1))
    assert (whole.counts, whole.evaluated, whole.failed) == (one.counts, (one,), (other,))


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (None, "–"), (1.0, "100 %"), (0.0, "0 %"), (0.5, "50 %"), (2 / 3, "66.7 %"),
        (0.9999, "99.9 %"), (0.0001, "0.1 %"),
    ],
)  # fmt: skip
def test_all_and_nothing_are_never_said_of_what_is_only_nearly_so(share: float | None, told: str) -> None:
    assert percent(share) == told
