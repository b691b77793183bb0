"""Conclusions of runs, review events, and the texts of the log and of failures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest

from hunkwise.domain.finding import Severity
from hunkwise.domain.pull_request import PostedReview, ReviewState
from hunkwise.domain.review import (
    Coverage,
    Destination,
    ExitCode,
    FileCoverage,
    Review,
    ReviewEvent,
    ReviewFault,
    SkipReason,
    SuppressedFinding,
    Suppression,
    Usage,
)
from hunkwise.publish.conclusion import (
    FallbackCounts,
    Gates,
    RunConclusion,
    conclude,
    count_fallbacks,
    reached,
    review_event,
    still_requests_changes,
    superseded,
)
from hunkwise.publish.documents import failure_summary, log_text
from hunkwise.publish.placement import PublishedFinding
from tests.publish.samples import anchor, clean, finding, review

HIGH = finding(severity=Severity.HIGH, at=anchor())
LOW = finding("Another", severity=Severity.LOW, at=anchor(3))
CRITICAL = finding("A third", severity=Severity.CRITICAL, at=anchor(4))
SMALL = SuppressedFinding(LOW, "Why.", Suppression.NOT_WORTH_COMMENT)
LOCK = FileCoverage("a.lock", 9, 0, SkipReason.LOCK_FILE)
WHOLE = clean(review(HIGH))
PARTIAL = review(HIGH)
FORBIDDEN = ReviewFault("forbidden", "The token may not write.")
OURS = "Text.\n\n<!-- hunkwise:review v1 run=42abc head=0123456789abcdef -->"

# The matrix in words and numbers, so that the expected values do not depend on the code under test.
SCALE = {"nothing": 0, "low": 1, "medium": 2, "high": 3, "critical": 4}
COVERAGES = {
    "whole": (100, True, (FileCoverage("a.py", 4, 4), FileCoverage("a.lock", 9, 0, SkipReason.LOCK_FILE)), 0),
    "a part": (28, False, (FileCoverage("a.py", 4, 4), FileCoverage("b.py", 10, 0, SkipReason.BUDGET)), 0),
    "unlisted files": (99, False, (FileCoverage("a.py", 4, 4),), 2),
}
POSTINGS = {
    "on the line": (Destination.INLINE, None, True),
    "in the body": (Destination.BODY, None, True),
    "on an annotation": (Destination.ANNOTATION, FORBIDDEN, True),
    "in the summary": (Destination.SUMMARY, FORBIDDEN, True),
    "in the report": (Destination.REPORT, FORBIDDEN, True),
    "in the log": (Destination.REPORT, FORBIDDEN, False),
}
CELLS = tuple(product(COVERAGES, (0, 28, 29, 100), POSTINGS, (0, 3)))


@pytest.mark.parametrize(("worst", "fail_on", "request_on"), list(product(SCALE, SCALE, SCALE)))
def test_each_cell_of_the_matrix_is_consistent(worst: str, fail_on: str, request_on: str) -> None:
    for coverage, minimum, posting, dropped in CELLS:
        percent, complete, files, unlisted = COVERAGES[coverage]
        level, fault, report = POSTINGS[posting]
        found = tuple(
            finding(f"As bad as {label}", severity=Severity(rank), at=anchor(rank))
            for label, rank in SCALE.items()
            if 0 < rank <= SCALE[worst]
        )
        whole = replace(review(*found), coverage=Coverage(files, unlisted), dropped=dropped)
        gates = Gates(gate(fail_on), gate(request_on), minimum)
        published = [PublishedFinding(one, level) for one in found]
        fallbacks = count_fallbacks(published, report=report, unposted=fault is not None)
        verdict = conclude(whole, gates, fallbacks)

        lost = bool(found) and posting == "in the log"
        below = (
            bool(found)
            and level in (Destination.ANNOTATION, Destination.SUMMARY, Destination.REPORT)
            and not lost
        )
        fails = 0 < SCALE[fail_on] <= SCALE[worst] or percent < minimum
        code = 1 if fails else 4 if lost or not complete else 0
        reported_anyway = fails and (lost or not complete)
        warned = below or reported_anyway or (fault is not None and not found)
        cell = (coverage, minimum, posting, dropped)
        assert verdict.exit_code == code, cell
        assert verdict.conclusion == {0: "success", 1: "failure", 4: "neutral"}[code], cell
        assert bool(verdict.reasons) == (code != 0), cell
        assert bool(verdict.warnings) == warned, cell
        assert verdict.sentence.startswith("Blocked: ") == (code == 1), cell
        assert verdict.result in verdict.sentence, cell
        asks = 0 < SCALE[request_on] <= SCALE[worst]
        assert bool(verdict.requested) == ("Changes requested: " in verdict.sentence) == asks, cell
        assert review_event(whole, gates) == ("REQUEST_CHANGES" if asks else "COMMENT"), cell


def gate(label: str) -> Severity | None:
    return Severity(SCALE[label]) if SCALE[label] else None


@pytest.mark.parametrize(
    ("found", "gates", "code", "reasons"),
    [
        (WHOLE, Gates(), ExitCode.REVIEWED, ()),
        (WHOLE, Gates(fail_on=Severity.CRITICAL), ExitCode.REVIEWED, ()),
        (
            WHOLE,
            Gates(fail_on=Severity.HIGH),
            ExitCode.GATE,
            ("1 finding is high or worse (fail-on: high).",),
        ),
        (clean(review()), Gates(fail_on=Severity.LOW, min_coverage=100), ExitCode.REVIEWED, ()),
        (
            PARTIAL,
            Gates(),
            ExitCode.PARTIAL,
            ("Not fully reviewed: 1 file; 28 % of the changed lines were reviewed.",),
        ),
        (
            PARTIAL,
            Gates(Severity.HIGH, None, 50),
            ExitCode.GATE,
            (
                "1 finding is high or worse (fail-on: high).",
                "28 % of the changed lines were reviewed (min-coverage: 50).",
            ),
        ),
        (
            replace(WHOLE, coverage=Coverage((), unlisted_files=3)),
            Gates(),
            ExitCode.PARTIAL,
            ("Not fully reviewed: 3 files; 0 % of the changed lines were reviewed.",),
        ),
        (
            replace(WHOLE, coverage=Coverage((FileCoverage("a.lock", 9, 0, SkipReason.LOCK_FILE),))),
            Gates(min_coverage=100),
            ExitCode.REVIEWED,
            (),
        ),
        (
            replace(WHOLE, coverage=Coverage((FileCoverage("dist/a.js", 9, 0, SkipReason.GENERATED),))),
            Gates(min_coverage=1),
            ExitCode.GATE,
            ("0 % of the changed lines were reviewed (min-coverage: 1).",),
        ),
        (
            replace(WHOLE, coverage=Coverage((FileCoverage("nb.ipynb", 6, 5, SkipReason.DATA),))),
            Gates(min_coverage=100),
            ExitCode.REVIEWED,
            (),
        ),
        (
            replace(WHOLE, coverage=Coverage((FileCoverage("a.csv", 6, 0, SkipReason.DATA),))),
            Gates(min_coverage=1),
            ExitCode.GATE,
            ("0 % of the changed lines were reviewed (min-coverage: 1).",),
        ),
        (
            replace(WHOLE, coverage=Coverage((FileCoverage("a.js", 6, 5, SkipReason.LINE_TOO_LONG),))),
            Gates(),
            ExitCode.PARTIAL,
            (
                "Not fully reviewed: 1 file; 83 % of the changed lines were reviewed.",
                "A line is too long to be shown whole: if its file is data, list it under `ignore` in the "
                "configuration.",
            ),
        ),
        (
            replace(WHOLE, coverage=Coverage((FileCoverage("a.sh", 0, 0, SkipReason.NUL_BYTES),))),
            Gates(),
            ExitCode.PARTIAL,
            ("Not fully reviewed: 1 file; 0 % of the changed lines were reviewed.",),
        ),
        (
            replace(
                WHOLE,
                coverage=Coverage(
                    (FileCoverage("a.sh", 0, 0, SkipReason.NUL_BYTES), FileCoverage("a.py", 4, 4))
                ),
            ),
            Gates(min_coverage=100),
            ExitCode.GATE,
            ("99 % of the changed lines were reviewed (min-coverage: 100).",),
        ),
    ],
)
def test_gate_has_precedence_over_missing_coverage(
    found: Review, gates: Gates, code: ExitCode, reasons: tuple[str, ...]
) -> None:
    verdict = conclude(found, gates)
    assert verdict.exit_code is code
    assert verdict.reasons == reasons


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        (
            conclude(WHOLE, Gates(Severity.HIGH)),
            "Blocked: 1 finding is high or worse (fail-on: high). 1 finding: 1 high.",
        ),
        (
            conclude(clean(review(HIGH, CRITICAL, LOW)), Gates(Severity.HIGH)),
            "Blocked: 2 findings are high or worse (fail-on: high). 3 findings: 1 critical, 1 high, 1 low.",
        ),
        (
            conclude(clean(review(HIGH, CRITICAL)), Gates(Severity.CRITICAL)),
            "Blocked: 1 finding is critical (fail-on: critical). 2 findings: 1 critical, 1 high.",
        ),
        (
            conclude(PARTIAL, Gates(Severity.HIGH, None, 50)),
            "Blocked: 1 finding is high or worse (fail-on: high). "
            "28 % of the changed lines were reviewed (min-coverage: 50). 1 finding: 1 high.",
        ),
        (
            conclude(PARTIAL, Gates()),
            "Not fully reviewed: 1 file; 28 % of the changed lines were reviewed. 1 finding: 1 high.",
        ),
        (
            conclude(WHOLE, Gates(), FallbackCounts(lost=1)),
            "1 finding is in the log alone: not posted, and neither the job summary nor the JSON report could be "
            "written. 1 finding: 1 high.",
        ),
        (conclude(WHOLE, Gates()), "1 finding: 1 high."),
        (
            conclude(clean(review(HIGH, LOW)), Gates(None, Severity.MEDIUM)),
            "2 findings: 1 high, 1 low. Changes requested: 1 finding is medium or worse (request-changes-on: medium).",
        ),
        (conclude(clean(review()), Gates()), "No findings."),
        (
            conclude(replace(clean(review()), suppressed=(SuppressedFinding(LOW, "Why."),)), Gates()),
            "No findings: the second check ruled out everything that was reported.",
        ),
        (
            conclude(clean(replace(review(), suppressed=(SMALL,))), Gates()),
            "No findings that are worth a comment.",
        ),
        (conclude(replace(review(), coverage=Coverage()), Gates(min_coverage=100)), "Nothing to review."),
        (
            conclude(replace(review(), coverage=Coverage((LOCK,))), Gates()),
            "Nothing to review: every changed file is skipped.",
        ),
        (RunConclusion(ExitCode.REVIEWED), "No findings."),
    ],
)
def test_check_run_and_summary_have_the_same_sentence(verdict: RunConclusion, sentence: str) -> None:
    assert verdict.sentence == sentence


def test_missing_parts_are_reported_when_a_gate_is_reached() -> None:
    verdict = conclude(PARTIAL, Gates(Severity.HIGH), FallbackCounts(annotated=1, lost=2))
    assert verdict.reasons == ("1 finding is high or worse (fail-on: high).",)
    assert [warning.partition(":")[0] for warning in verdict.warnings] == [
        "Not fully reviewed",
        "2 findings are in the log alone",
        "hunkwise could not comment on the pull request; the finding is in annotations of the check run.",
    ]


@pytest.mark.parametrize(
    ("ended", "warnings"),
    [
        (FallbackCounts(), ()),
        (
            FallbackCounts(annotated=50, summarized=1_200, reported=1, unposted=True),
            (
                "1,251 of 1,300 findings could not be posted as comments: 50 in annotations of the check run, "
                "1,200 in the job summary, 1 in the JSON report.",
            ),
        ),
        (
            FallbackCounts(summarized=1_300, unposted=True),
            ("hunkwise could not comment on the pull request; all 1,300 findings are in the job summary.",),
        ),
        (FallbackCounts(unposted=True), ("The review could not be posted as planned; no finding is lost.",)),
    ],
)
def test_fallback_is_a_warning_and_no_failure(ended: FallbackCounts, warnings: tuple[str, ...]) -> None:
    verdict = conclude(clean(review(*[HIGH] * 1_300)), Gates(), ended)
    assert (verdict.exit_code, verdict.warnings) == (ExitCode.REVIEWED, warnings)


@pytest.mark.parametrize(
    ("destination", "report", "expected"),
    [
        (Destination.INLINE, False, FallbackCounts(unposted=True)),
        (Destination.FILE, False, FallbackCounts(unposted=True)),
        (Destination.BODY, False, FallbackCounts(unposted=True)),
        (Destination.ANNOTATION, False, FallbackCounts(annotated=1, unposted=True)),
        (Destination.SUMMARY, False, FallbackCounts(summarized=1, unposted=True)),
        (Destination.REPORT, True, FallbackCounts(reported=1, unposted=True)),
        (Destination.REPORT, False, FallbackCounts(lost=1, unposted=True)),
    ],
)
def test_finding_counts_on_its_level(
    destination: Destination, report: bool, expected: FallbackCounts
) -> None:
    published = [PublishedFinding(HIGH, destination)]
    assert count_fallbacks(published, report=report, unposted=True) == expected


def test_dry_run_counts_only_lost_findings() -> None:
    levels = (Destination.SUMMARY, Destination.REPORT)
    published = [PublishedFinding(one, level) for one, level in zip((HIGH, LOW), levels, strict=True)]
    assert count_fallbacks(published, report=True, to_post=False) == FallbackCounts()
    assert count_fallbacks(published, report=False, to_post=False) == FallbackCounts(lost=1)


@pytest.mark.parametrize(
    ("gate", "event"),
    [
        (None, ReviewEvent.COMMENT),
        (Severity.CRITICAL, ReviewEvent.COMMENT),
        (Severity.HIGH, ReviewEvent.REQUEST_CHANGES),
        (Severity.LOW, ReviewEvent.REQUEST_CHANGES),
    ],
)
def test_changes_are_requested_at_the_gate_severity(gate: Severity | None, event: ReviewEvent) -> None:
    assert review_event(WHOLE, Gates(request_changes_on=gate)) is event
    assert reached(WHOLE.findings, gate) is (event is ReviewEvent.REQUEST_CHANGES)
    assert review_event(clean(review()), Gates(request_changes_on=gate)) is ReviewEvent.COMMENT


PERFECT = clean(review())
APPROVING = Gates(Severity.LOW, Severity.LOW, 100, approve=True)


def imperfect_reviews() -> Iterator[Review]:
    """Yields reviews that each fail one condition of an approval."""
    yield clean(review(LOW))
    yield replace(PERFECT, dropped=1)
    yield replace(PERFECT, suppressed=(SuppressedFinding(LOW, "Why."),))
    yield replace(PERFECT, faults=(FORBIDDEN,))
    yield replace(PERFECT, demo=True)
    yield replace(PERFECT, coverage=Coverage())
    yield replace(PERFECT, coverage=Coverage((FileCoverage("a.py", 0, 0),)))
    yield replace(PERFECT, coverage=replace(PERFECT.coverage, unlisted_files=1))
    yield replace(PERFECT, coverage=Coverage((FileCoverage("a.py", 5, 4),)))
    for reason in SkipReason:
        for lines in (0, 1):
            skipped = FileCoverage("b.py", lines, 0, reason)
            yield replace(PERFECT, coverage=Coverage((*PERFECT.coverage.files, skipped)))


def test_perfect_review_approves_where_the_base_allows_it() -> None:
    assert review_event(PERFECT, APPROVING) is ReviewEvent.APPROVE
    assert review_event(PERFECT, APPROVING, may_approve=False) is ReviewEvent.COMMENT
    assert review_event(PERFECT, replace(APPROVING, approve=False)) is ReviewEvent.COMMENT
    assert review_event(PERFECT, Gates()) is ReviewEvent.COMMENT


@pytest.mark.parametrize("imperfect", list(imperfect_reviews()))
def test_imperfect_review_is_not_approved(imperfect: Review) -> None:
    gates = replace(APPROVING, request_changes_on=None)
    assert review_event(imperfect, gates) is ReviewEvent.COMMENT


def posted_review(state: str, body: str = OURS, number: int = 1) -> PostedReview:
    return PostedReview(number, ReviewState(state), body)


@pytest.mark.parametrize(
    ("event", "states"),
    [
        (ReviewEvent.COMMENT, ["APPROVED", "CHANGES_REQUESTED"]),
        (ReviewEvent.REQUEST_CHANGES, ["APPROVED"]),
        (ReviewEvent.APPROVE, ["CHANGES_REQUESTED"]),
    ],
)
def test_outdated_review_is_superseded(event: ReviewEvent, states: list[str]) -> None:
    reviews = [posted_review(state) for state in ReviewState]
    assert [review.state for review in superseded(reviews, event)] == states


@pytest.mark.parametrize(
    "body",
    ["", "Looks bad.", "<!-- hunkwise:finding v1 fp=0 -->", "<! -- hunkwise:review v1 run=a head=b -->"],
)
def test_review_of_another_tool_with_our_account_is_not_superseded(body: str) -> None:
    reviews = [posted_review("CHANGES_REQUESTED", body), posted_review("APPROVED", body)]
    assert superseded(reviews, ReviewEvent.COMMENT) == ()
    assert not still_requests_changes(reviews)


@pytest.mark.parametrize(
    ("states", "asks"),
    [
        ([], False),
        (["COMMENTED"], False),
        (["CHANGES_REQUESTED"], True),
        (["CHANGES_REQUESTED", "COMMENTED", "PENDING"], True),
        (["DISMISSED"], True),
        (["CHANGES_REQUESTED", "APPROVED"], False),
        (["DISMISSED", "APPROVED", "COMMENTED"], False),
        (["APPROVED", "CHANGES_REQUESTED"], True),
    ],
)
def test_changes_are_not_requested_twice_or_after_a_dismissal(states: list[str], asks: bool) -> None:
    assert still_requests_changes([posted_review(state) for state in states]) is asks


def test_log_has_a_line_per_finding_and_one_for_totals() -> None:
    whole = clean(
        review(
            finding("Second"), finding("Not\n::error::closed\x1b[2J", at=anchor(2), severity=Severity.HIGH)
        )
    )
    assert log_text(whole, "https://x/1").split("\n") == [
        "high     src/a.py:2  Not ::error::closed[2J",
        "medium   src/a.py  Second",
        "2 findings; reviewed 4 of 4 changed lines (100 %); 2 model calls, 12.3 s.",
        "View the review: https://x/1",
    ]
    one = replace(clean(review(finding("A"))), usage=Usage(1), coverage=Coverage((FileCoverage("a", 1, 1),)))
    totals = log_text(one, None).split("\n")[-1]
    assert totals == "1 finding; reviewed 1 of 1 changed line (100 %); 1 model call, 12.3 s."


def test_log_has_the_first_twenty_notes() -> None:
    noted = replace(clean(review()), notes=tuple(f"Note\n{number}." for number in range(30)))
    lines = log_text(noted, None).split("\n")
    assert lines[1:] == [f"Note {number}." for number in range(20)]


def test_log_distinguishes_new_known_fixed_and_dismissed_findings() -> None:
    known = replace(finding("Known", at=anchor(2)), raised_as="0" * 16)
    lines = log_text(clean(review(known, finding("New"))), None, fixed=3, dismissed=1).split("\n")
    assert lines == [
        "medium   src/a.py  New  (new)",
        "medium   src/a.py:2  Known  (open)",
        "2 findings (1 new, 1 open before), 3 fixed, 1 dismissed; "
        "reviewed 4 of 4 changed lines (100 %); 2 model calls, 12.3 s.",
    ]


def test_failure_summary_has_each_fault() -> None:
    summary = failure_summary(["The token is wrong. Set another.", "<img src=x> @everyone"])
    assert summary.startswith("### hunkwise: no review was made\n\n- The token is wrong.")
    assert "- The token is wrong. Set another." in summary
    assert "<img" not in summary
