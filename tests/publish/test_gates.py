"""How a run concludes, and what its log and its failure say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hunkwise.domain.finding import Severity
from hunkwise.domain.outcome import Coverage, ExitCode, FileCoverage, Review, ReviewEvent, SkipReason
from hunkwise.publish.failure import failure_summary
from hunkwise.publish.gates import Gates, conclude, review_event
from hunkwise.publish.told import told
from tests.publish.samples import anchor, clean, finding, review

HIGH = finding(severity=Severity.HIGH, at=anchor())
WHOLE = clean(review(HIGH))
PARTIAL = review(HIGH)


@pytest.mark.parametrize(
    ("found", "gates", "code", "reasons"),
    [
        (WHOLE, Gates(), ExitCode.REVIEWED, ()),
        (WHOLE, Gates(fail_on=Severity.CRITICAL), ExitCode.REVIEWED, ()),
        (WHOLE, Gates(fail_on=Severity.HIGH), ExitCode.GATE, ("A finding reaches fail-on: high.",)),
        (WHOLE, Gates(fail_on=Severity.LOW), ExitCode.GATE, ("A finding reaches fail-on: low.",)),
        (clean(review()), Gates(fail_on=Severity.LOW, min_coverage=100), ExitCode.REVIEWED, ()),
        (
            PARTIAL,
            Gates(),
            ExitCode.PARTIAL,
            ("A part of the change was not reviewed: 1 file, 28 % of the lines covered.",),
        ),
        (
            PARTIAL,
            Gates(min_coverage=29),
            ExitCode.GATE,
            ("28 % of the changed lines were reviewed; min-coverage is 29 %.",),
        ),
        (PARTIAL, Gates(min_coverage=28), ExitCode.PARTIAL, None),
        (
            PARTIAL,
            Gates(Severity.HIGH, None, 50),
            ExitCode.GATE,
            (
                "A finding reaches fail-on: high.",
                "28 % of the changed lines were reviewed; min-coverage is 50 %.",
            ),
        ),
        (
            replace(WHOLE, coverage=Coverage((), unlisted_files=3)),
            Gates(),
            ExitCode.PARTIAL,
            ("A part of the change was not reviewed: 3 files, 0 % of the lines covered.",),
        ),
        (
            replace(WHOLE, coverage=Coverage((FileCoverage("a.lock", 9, 0, SkipReason.LOCK_FILE),))),
            Gates(min_coverage=100),
            ExitCode.REVIEWED,
            (),
        ),
    ],
)
def test_a_gate_comes_first_and_then_what_is_missing(
    found: Review, gates: Gates, code: ExitCode, reasons: tuple[str, ...] | None
) -> None:
    verdict = conclude(found, gates)
    assert verdict.exit_code is code
    assert reasons is None or verdict.reasons == reasons


@pytest.mark.parametrize(
    ("gate", "event"),
    [
        (None, ReviewEvent.COMMENT),
        (Severity.CRITICAL, ReviewEvent.COMMENT),
        (Severity.HIGH, ReviewEvent.REQUEST_CHANGES),
        (Severity.LOW, ReviewEvent.REQUEST_CHANGES),
    ],
)
def test_changes_are_requested_at_the_gate_and_nothing_is_ever_approved(
    gate: Severity | None, event: ReviewEvent
) -> None:
    assert review_event(WHOLE, Gates(request_changes_on=gate)) is event
    assert review_event(clean(review()), Gates(request_changes_on=gate)) is ReviewEvent.COMMENT
    assert "APPROVE" not in set(ReviewEvent)


def test_the_log_has_one_line_a_finding_and_one_of_figures() -> None:
    hostile = finding("One\n::error::two\x1b[2J", severity=Severity.LOW, at=anchor(3))
    lines = told(clean(review(HIGH, hostile)), "https://github.com/octo/repo/pull/1").split("\n")
    assert lines[0].startswith("high     src/a.py")
    assert lines[1].startswith("low      src/a.py")
    assert lines[1].endswith("One ::error::two[2J")
    assert lines[2].startswith("2 findings; reviewed 4 of 4 changed lines (100 %); 2 model calls")
    assert lines[3] == "The review: https://github.com/octo/repo/pull/1"
    assert len(told(clean(review()), None).split("\n")) == 1


def test_a_failure_claims_nothing_of_the_change() -> None:
    summary = failure_summary(["The token is wrong. Set another.", "<img src=x> @everyone"])
    assert "Nothing was reviewed, so nothing is said of the change." in summary
    assert "- The token is wrong. Set another." in summary
    assert "<img" not in summary
