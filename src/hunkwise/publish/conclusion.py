"""Decides how a run ends: gates, exit code, the published review, outputs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

from hunkwise.domain.finding import Finding, Severity
from hunkwise.domain.pull_request import PostedReview, ReviewState, Thread
from hunkwise.domain.review import (
    Conclusion,
    Coverage,
    Destination,
    ExitCode,
    PostResult,
    Review,
    ReviewEvent,
    SkipReason,
    Suppression,
)
from hunkwise.domain.text import count
from hunkwise.publish.placement import PublishedFinding
from hunkwise.tracking.markers import PreviousFinding, has_review_marker

# States of reviews that approve or block the merge, or did so before.
_DECISIVE = frozenset({ReviewState.APPROVED, ReviewState.CHANGES_REQUESTED, ReviewState.DISMISSED})


@dataclass(frozen=True, slots=True)
class Gates:
    """Conditions that fail a run or block a merge; None for no such condition."""

    fail_on: Severity | None = None
    request_changes_on: Severity | None = None
    min_coverage: int = 0
    """Percent."""
    approve: bool = False
    """The base's configuration allows an approval if the review is complete and has no finding."""


@dataclass(frozen=True, slots=True)
class FallbackCounts:
    """Numbers of findings that are at a fallback level, by level. `FallbackCounts()`: none is."""

    annotated: int = 0
    """On annotations of the check run."""
    summarized: int = 0
    """In the job summary."""
    reported: int = 0
    """Only in the JSON report."""
    lost: int = 0
    """Only in the log, which counts as lost: it is not machine-readable."""
    unposted: bool = False
    """Something could not be posted as planned."""

    @property
    def below(self) -> int:
        return self.annotated + self.summarized + self.reported


_ALL_IN_PLACE = FallbackCounts()


@dataclass(frozen=True, slots=True)
class RunConclusion:
    """The exit code, the reasons if it is not 0, and warnings. No text is untrusted."""

    exit_code: ExitCode
    reasons: tuple[str, ...] = ()
    """A sentence for each reason that the exit code is not 0; empty if it is 0."""
    warnings: tuple[str, ...] = ()
    """A sentence for each problem that did not decide the exit code."""
    reviewed: str = "Reviewed."
    """The sentence of a run that exits 0."""
    fallbacks: tuple[str, ...] = ()
    """Those of `warnings` that are about findings at a fallback level."""

    @property
    def conclusion(self) -> Conclusion:
        return self.exit_code.conclusion

    @property
    def sentence(self) -> str:
        """The headline of check run and summary: `Failed: …`, `Partial: …`, or what was reviewed."""
        if not self.reasons:
            return self.reviewed
        first, *rest = self.reasons
        word = "Partial" if self.exit_code is ExitCode.PARTIAL else "Failed"
        return " ".join([f"{word}: {first[:1].lower()}{first[1:]}", *rest])


def count_fallbacks(
    findings: Iterable[PublishedFinding], *, report: bool, unposted: bool = False, to_post: bool = True
) -> FallbackCounts:
    """Counts the open findings at each fallback level.

    `report`: the JSON report is written. `to_post` is False for a dry run, which only counts lost findings.
    """
    tally = Counter(published.destination for published in findings)
    in_report = tally[Destination.REPORT]
    lost = 0 if report else in_report
    if not to_post:
        return FallbackCounts(lost=lost)
    return FallbackCounts(
        tally[Destination.ANNOTATION], tally[Destination.SUMMARY], in_report - lost, lost, unposted
    )


def conclude(review: Review, gates: Gates, fallbacks: FallbackCounts = _ALL_IN_PLACE) -> RunConclusion:
    """Returns the conclusion: a reached gate decides first, then a part that was not reviewed or is lost.

    The review's findings are all open ones: those that an earlier run raised count for the gates like new ones.
    """
    failed = _find_reached_gates(review, gates)
    missing = _describe_missing(review.coverage, fallbacks)
    warnings = _describe_fallbacks(fallbacks)
    if failed:
        return RunConclusion(ExitCode.GATE, failed, (*missing, *warnings), fallbacks=warnings)
    if missing:
        return RunConclusion(ExitCode.PARTIAL, missing, warnings, fallbacks=warnings)
    return RunConclusion(ExitCode.REVIEWED, (), warnings, _describe_result(review, gates), warnings)


def reached(findings: Iterable[Finding], gate: Severity | None) -> bool:
    """Returns whether any finding is at least as severe as the gate."""
    return gate is not None and any(finding.severity >= gate for finding in findings)


def review_event(review: Review, gates: Gates, *, may_approve: bool = True) -> ReviewEvent:
    """Returns the event of the posted review. Only `approve` at the base permits an approval, no model answer does.

    `may_approve`: False if other reasons prevent an approval, for example a changed head.
    """
    if reached(review.findings, gates.request_changes_on):
        return ReviewEvent.REQUEST_CHANGES
    if gates.approve and may_approve and _found_nothing(review) and _reviewed_everything(review.coverage):
        return ReviewEvent.APPROVE
    return ReviewEvent.COMMENT


def superseded(reviews: Sequence[PostedReview], event: ReviewEvent) -> tuple[PostedReview, ...]:
    """Returns our reviews to dismiss: they request changes or approve, and this run does not."""
    outdated = set()
    if event is not ReviewEvent.REQUEST_CHANGES:
        outdated.add(ReviewState.CHANGES_REQUESTED)
    if event is not ReviewEvent.APPROVE:
        outdated.add(ReviewState.APPROVED)
    return tuple(review for review in reviews if review.state in outdated and has_review_marker(review.body))


def still_requests_changes(reviews: Sequence[PostedReview]) -> bool:
    """Returns whether our latest decisive review requests changes, or did and was dismissed.

    Then the same findings are no reason to request changes again; a new one that reaches the gate is. For a
    dismissed review neither its former state nor who dismissed it is available.
    """
    decisive = [review for review in reviews if review.state in _DECISIVE and has_review_marker(review.body)]
    return bool(decisive) and decisive[-1].state is not ReviewState.APPROVED


def _found_nothing(review: Review) -> bool:
    return not (review.findings or review.suppressed or review.dropped or review.faults or review.demo)


def _reviewed_everything(coverage: Coverage) -> bool:
    """Returns whether every file was reviewed; skipped files count as not reviewed, whatever the reason."""
    complete = all(
        file.reason is None and file.reviewed_lines >= file.changed_lines for file in coverage.files
    )
    return complete and not coverage.unlisted_files and coverage.reviewed_lines > 0


def _find_reached_gates(review: Review, gates: Gates) -> tuple[str, ...]:
    reasons = []
    if gates.fail_on is not None and reached(review.findings, gates.fail_on):
        reasons.append(f"A finding reaches fail-on: {gates.fail_on.label}.")
    percent = review.coverage.percent
    if percent < gates.min_coverage:
        reasons.append(
            f"{percent} % of the changed lines were reviewed; min-coverage is {gates.min_coverage} %."
        )
    return tuple(reasons)


def _describe_missing(coverage: Coverage, fallbacks: FallbackCounts) -> tuple[str, ...]:
    reasons = []
    if not coverage.complete:
        files = count(len(coverage.missing) + coverage.unlisted_files, "file")
        reasons.append(
            f"A part of the change was not reviewed: {files}, {coverage.percent} % of the lines covered."
        )
    if any(file.reason is SkipReason.LINE_TOO_LONG for file in coverage.missing):
        reasons.append(
            "A line is too long to be shown whole: if its file is data, list it under `ignore` in the configuration."
        )
    if fallbacks.lost:
        verb = "is" if fallbacks.lost == 1 else "are"
        reasons.append(
            f"{count(fallbacks.lost, 'finding')} {verb} in the log alone: not posted, and neither the job summary nor "
            "the JSON report could be written."
        )
    return tuple(reasons)


def _describe_fallbacks(fallbacks: FallbackCounts) -> tuple[str, ...]:
    if not fallbacks.below:
        warning = "The review could not be posted as it should be; no finding is lost by that."
        return (warning,) if fallbacks.unposted and not fallbacks.lost else ()
    counts = (
        (fallbacks.annotated, "on annotations of the check run"),
        (fallbacks.summarized, "in the job summary"),
        (fallbacks.reported, "in the JSON report"),
    )
    places = ", ".join(f"{number:,} {place}" for number, place in counts if number)
    return (f"{count(fallbacks.below, 'finding')} could not be posted on the change itself: {places}.",)


def _describe_result(review: Review, gates: Gates) -> str:
    """Returns the sentence of a run that exits 0; it makes no claim about lines that were not reviewed."""
    if review.findings:
        threshold = gates.request_changes_on
        gate = "no gate reached"
        if threshold is not None and reached(review.findings, threshold):
            gate = f"request-changes-on: {threshold.label} reached"
        return f"Reviewed: {count(len(review.findings), 'finding')}, {gate}."
    if review.coverage.reviewed_lines == 0:
        if lines := review.coverage.unread_lines:
            return f"Nothing was reviewed: {count(lines, 'changed line')} of generated files or of data, and no other."
        return "Nothing was reviewed: there is no changed line but what is left out by choice."
    if any(entry.kind is Suppression.NOT_WORTH_COMMENT for entry in review.suppressed):
        return "Reviewed: nothing that is worth a comment was found in the reviewed lines."
    if review.low_confidence:
        return "Reviewed: nothing above min-confidence was found in the reviewed lines."
    if review.suppressed:
        return "Reviewed: no finding in the reviewed lines was confirmed."
    return "Reviewed: nothing found in the reviewed lines."


@dataclass(frozen=True)
class PublishedReview:
    """The review, its conclusion, where each finding is published, and the closed findings of earlier runs."""

    review: Review
    """Its findings are all open ones: new ones, and those that an earlier run raised."""
    verdict: RunConclusion
    findings: tuple[PublishedFinding, ...]
    """The review's findings, in the same order."""
    posted: PostResult = field(default_factory=PostResult)
    """The result of posting the review."""
    fixed: tuple[Thread, ...] = ()
    """Threads of ours whose code was fixed since the last run."""
    dismissed: tuple[PreviousFinding, ...] = ()
    """Findings that a trusted user dismissed."""
    repository: str = ""
    """`owner/name`; empty if there is none, for example for a local range."""
    number: int | None = None
    """Number of the pull request."""
    base_sha: str = ""
    """The commit that the change begins with; empty if it is not known."""
    server_url: str = ""
    run: str = ""
    """The run's name in its markers."""

    def published(self, finding: Finding) -> PublishedFinding:
        """Returns where a finding of the review is published."""
        return self._by_finding[finding]

    @property
    def known_findings(self) -> tuple[Finding, ...]:
        """The review's findings that an earlier run raised, in their order."""
        return tuple(published.finding for published in self.findings if published.known)

    @cached_property
    def _by_finding(self) -> Mapping[Finding, PublishedFinding]:
        return {published.finding: published for published in self.findings}


def _count_by_destination(view: PublishedReview, report: str) -> dict[str, int]:
    """Returns the number of open findings by destination, without zeros, and without a report if none was written."""
    tally = Counter(published.destination for published in view.findings)
    return {
        destination.value: tally[destination]
        for destination in Destination
        if tally[destination] and (report or destination is not Destination.REPORT)
    }


def outputs_of(view: PublishedReview, report: str, sarif: str) -> dict[str, str]:
    """Returns the step's outputs by name, as in action.yml."""
    review = view.review
    return {
        "conclusion": str(view.verdict.conclusion),
        "findings": str(len(review.findings)),
        "highest-severity": review.highest.label if review.highest else "",
        "coverage": str(review.coverage.percent),
        "review-url": view.posted.review_url or "",
        "placement": json.dumps(_count_by_destination(view, report)),
        "report": report,
        "sarif": sarif,
        "model-calls": str(review.usage.model_calls),
        "input-tokens": str(review.usage.input_tokens),
        "output-tokens": str(review.usage.output_tokens),
        "ai-credits": f"{Decimal(review.usage.nano_credits).scaleb(-9):f}",
    }
