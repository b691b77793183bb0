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
    result: str = "No findings."
    """A sentence on the findings, whatever the exit code is."""
    requested: str = ""
    """A sentence on why the review requests changes; empty if it does not."""
    fallbacks: tuple[str, ...] = ()
    """Those of `warnings` that are about findings at a fallback level."""

    @property
    def conclusion(self) -> Conclusion:
        return self.exit_code.conclusion

    @property
    def sentence(self) -> str:
        """Why the exit code is not 0, the result, and why changes are requested. It is the check run's title."""
        blocked = "Blocked: " if self.exit_code is ExitCode.GATE else ""
        requested = f"Changes requested: {self.requested}" if self.requested else ""
        return blocked + " ".join(filter(None, (*self.reasons, self.result, requested)))


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
    warnings = _describe_fallbacks(fallbacks, len(review.findings))
    result = describe_result(review)
    requested = _count_reached(review, gates.request_changes_on, "request-changes-on")
    if failed:
        return RunConclusion(ExitCode.GATE, failed, (*missing, *warnings), result, requested, warnings)
    if missing:
        return RunConclusion(ExitCode.PARTIAL, missing, warnings, result, requested, warnings)
    return RunConclusion(ExitCode.REVIEWED, (), warnings, result, requested, warnings)


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
    percent = review.coverage.percent
    coverage = ""
    if percent < gates.min_coverage:
        coverage = f"{percent} % of the changed lines were reviewed (min-coverage: {gates.min_coverage})."
    return tuple(filter(None, (_count_reached(review, gates.fail_on, "fail-on"), coverage)))


def _count_reached(review: Review, gate: Severity | None, key: str) -> str:
    """Returns, for example, `4 findings are high or worse (fail-on: high).`; empty if the gate is not reached."""
    if gate is None or not reached(review.findings, gate):
        return ""
    number = sum(1 for finding in review.findings if finding.severity >= gate)
    verb = "is" if number == 1 else "are"
    level = gate.label if gate is Severity.CRITICAL else f"{gate.label} or worse"
    return f"{count(number, 'finding')} {verb} {level} ({key}: {gate.label})."


def describe_gap(coverage: Coverage) -> str:
    """Returns a sentence on how much should have been reviewed and was not; empty if nothing."""
    if coverage.complete:
        return ""
    files = count(len(coverage.missing) + coverage.unlisted_files, "file")
    return f"Not fully reviewed: {files}; {coverage.percent} % of the changed lines were reviewed."


def describe_remedy(coverage: Coverage) -> str:
    """Returns a sentence on how lines that are too long can be left out; empty if there are none."""
    if all(file.reason is not SkipReason.LINE_TOO_LONG for file in coverage.missing):
        return ""
    return "A line is too long to be shown whole: if its file is data, list it under `ignore` in the configuration."


def _describe_missing(coverage: Coverage, fallbacks: FallbackCounts) -> tuple[str, ...]:
    lost = ""
    if fallbacks.lost:
        verb = "is" if fallbacks.lost == 1 else "are"
        lost = (
            f"{count(fallbacks.lost, 'finding')} {verb} in the log alone: not posted, and neither the job summary nor "
            "the JSON report could be written."
        )
    return tuple(filter(None, (describe_gap(coverage), describe_remedy(coverage), lost)))


def _describe_fallbacks(fallbacks: FallbackCounts, findings: int) -> tuple[str, ...]:
    """Returns a sentence on the findings that have no comment; `findings`: the number of all open ones."""
    if not fallbacks.below:
        warning = "The review could not be posted as planned; no finding is lost."
        return (warning,) if fallbacks.unposted and not fallbacks.lost else ()
    counts = (
        (fallbacks.annotated, "in annotations of the check run"),
        (fallbacks.summarized, "in the job summary"),
        (fallbacks.reported, "in the JSON report"),
    )
    places = [(number, place) for number, place in counts if number]
    if fallbacks.below == findings and len(places) == 1:
        subject = "the finding is" if findings == 1 else f"all {findings:,} findings are"
        return (f"hunkwise could not comment on the pull request; {subject} {places[0][1]}.",)
    listed = ", ".join(f"{number:,} {place}" for number, place in places)
    return (
        f"{fallbacks.below:,} of {count(findings, 'finding')} could not be posted as comments: {listed}.",
    )


def describe_result(review: Review) -> str:
    """Returns one sentence on the findings; it makes no claim about lines that were not reviewed."""
    if review.findings:
        return f"{count(len(review.findings), 'finding')}: {count_by_severity(review.findings)}."
    coverage = review.coverage
    if coverage.reviewed_lines == 0:
        if lines := coverage.unread_lines:
            return f"Nothing was reviewed: {count(lines, 'changed line')} of generated files or of data, and no other."
        if not coverage.complete:
            return "Nothing was reviewed."
        return "Nothing to review" + (": every changed file is skipped." if coverage.files else ".")
    part = "" if coverage.complete else " in the part that was reviewed"
    if any(entry.kind is Suppression.NOT_WORTH_COMMENT for entry in review.suppressed):
        return f"No findings that are worth a comment{part}."
    if review.low_confidence:
        return f"No findings above min-confidence{part}."
    if review.suppressed:
        return f"No findings{part}: the second check ruled out everything that was reported."
    return f"No findings{part}."


def count_by_severity(findings: Iterable[Finding]) -> str:
    """Returns, for example, `1 critical, 2 low`, without zeros."""
    found = Counter(finding.severity for finding in findings)
    return ", ".join(f"{found[level]:,} {level.label}" for level in reversed(Severity) if found[level])


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
    for_agents: bool = False
    """Findings on the pull request have a prompt for a coding agent."""

    def published(self, finding: Finding) -> PublishedFinding:
        """Returns where a finding of the review is published."""
        return self._by_finding[finding]

    @property
    def names_prompt(self) -> bool:
        """Several prompts ran, so that a finding names its own."""
        return len(self.review.prompts) > 1

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
