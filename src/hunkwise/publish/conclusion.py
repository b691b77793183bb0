"""How a run ends: gates, exit code, the published review, outputs."""

from __future__ import annotations

import json
import re
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
)
from hunkwise.tracking.markers import PreviousFinding
from hunkwise.tracking.reconcile import OpenFinding

_REVIEW_MARKER = re.compile(r"<!-- hunkwise:review v\d{1,9} run=[\w.]* head=[\w.]* -->", re.ASCII)
# States in which a review of ours stood, or stands, for or against the merge.
_DECISIVE = frozenset({ReviewState.APPROVED, ReviewState.CHANGES_REQUESTED, ReviewState.DISMISSED})


@dataclass(frozen=True, slots=True)
class Gates:
    """What may fail a run or hold a merge; None: nothing does."""

    fail_on: Severity | None = None
    request_changes_on: Severity | None = None
    min_coverage: int = 0
    """Percent."""
    approve: bool = False
    """The base's configuration lets a review approve that found nothing and left nothing out."""


@dataclass(frozen=True, slots=True)
class FallbackCounts:
    """How many findings ended below their place, and where instead. `Held()`: none did."""

    annotated: int = 0
    """On annotations of the check run."""
    summarized: int = 0
    """In the job summary."""
    reported: int = 0
    """In the JSON report alone."""
    lost: int = 0
    """In the log alone, which nobody reads and no machine can."""
    unposted: bool = False
    """Something was to be posted, and could not be as it should."""

    @property
    def below(self) -> int:
        return self.annotated + self.summarized + self.reported


_ALL_IN_PLACE = FallbackCounts()


@dataclass(frozen=True, slots=True)
class RunConclusion:
    """The exit code, why it is not 0, and what else a reader must be told. All of it is our own words."""

    exit_code: ExitCode
    reasons: tuple[str, ...] = ()
    """A sentence for each reason that the exit code is not 0; empty where it is."""
    warnings: tuple[str, ...] = ()
    """A sentence for each thing that is not as it should be and did not decide the exit code."""
    reviewed: str = "Reviewed."
    """The sentence of a run that exits 0."""

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


def held(
    findings: Iterable[Finding], posted: PostResult, *, summary: bool, report: bool, to_post: bool = True
) -> FallbackCounts:
    """Counts the rungs of the standing findings.

    `summary`, `report`: the job summary, the JSON report is written and has every finding. `to_post` is
    False for a dry run, where nothing is out of its place that can be read. A finding that an earlier run
    raised and this one did not move is where it was.
    """
    tally = dict.fromkeys((Destination.ANNOTATION, Destination.SUMMARY, Destination.REPORT), 0)
    lost = 0
    for finding in findings:
        rung = posted.where.get(finding, Destination.INLINE if finding.raised_as else Destination.SUMMARY)
        if rung in (Destination.SUMMARY, Destination.REPORT):
            if not summary and not report:
                lost += 1
                continue
            asked_for = summary if rung is Destination.SUMMARY else report
            if not asked_for:
                rung = Destination.REPORT if report else Destination.SUMMARY
        if rung in tally and to_post:
            tally[rung] += 1
    unposted = to_post and posted.fault is not None
    return FallbackCounts(
        tally[Destination.ANNOTATION], tally[Destination.SUMMARY], tally[Destination.REPORT], lost, unposted
    )


def conclude(review: Review, gates: Gates, held: FallbackCounts = _ALL_IN_PLACE) -> RunConclusion:
    """A gate first, then what is missing; a finding that reached no gate and can be read fails nothing.

    The review's findings are all that stand: those that an earlier run raised are gated like new ones.
    """
    failed = _reached_gates(review, gates)
    missing = _missing(review.coverage, held)
    below = _below(held)
    if failed:
        return RunConclusion(ExitCode.GATE, failed, (*missing, *below))
    if missing:
        return RunConclusion(ExitCode.PARTIAL, missing, below)
    return RunConclusion(ExitCode.REVIEWED, (), below, _reviewed(review, gates))


def reached(findings: Iterable[Finding], gate: Severity | None) -> bool:
    """Whether any of the findings is as severe as the gate, or more."""
    return gate is not None and any(finding.severity >= gate for finding in findings)


def review_event(review: Review, gates: Gates, *, may_approve: bool = True) -> ReviewEvent:
    """What the posted review asks for. A model's word never approves: `approve` at the base does, of a whole review.

    `may_approve`: False where something that this function does not see speaks against it, a moved head, say.
    """
    if reached(review.findings, gates.request_changes_on):
        return ReviewEvent.REQUEST_CHANGES
    if gates.approve and may_approve and _nothing_to_say(review) and _nothing_left_out(review.coverage):
        return ReviewEvent.APPROVE
    return ReviewEvent.COMMENT


def superseded(reviews: Sequence[PostedReview], event: ReviewEvent) -> tuple[PostedReview, ...]:
    """Reviews of ours that still ask for changes, or approve, though this run would not: to be dismissed."""
    gone = set()
    if event is not ReviewEvent.REQUEST_CHANGES:
        gone.add(ReviewState.CHANGES_REQUESTED)
    if event is not ReviewEvent.APPROVE:
        gone.add(ReviewState.APPROVED)
    return tuple(review for review in reviews if review.state in gone and _ours(review))


def still_asks(reviews: Sequence[PostedReview]) -> bool:
    """Whether the latest decisive review of ours asks for changes already, or did and was dismissed.

    Then the same findings are no reason to ask again; a new one that is `reached` by the gate is. GitHub does
    not say what a dismissed review was, nor is it told here who dismissed it.
    """
    decisive = [review for review in reviews if review.state in _DECISIVE and _ours(review)]
    return bool(decisive) and decisive[-1].state is not ReviewState.APPROVED


def _ours(review: PostedReview) -> bool:
    """Whether it carries our marker: an account such as github-actions[bot] writes for other tools too."""
    return _REVIEW_MARKER.search(review.body) is not None


def _nothing_to_say(review: Review) -> bool:
    return not (review.findings or review.refuted or review.dropped or review.faults or review.demo)


def _nothing_left_out(coverage: Coverage) -> bool:
    """In the strictest sense: what was left out by choice was not reviewed either."""
    whole = all(file.reason is None and file.reviewed_lines >= file.changed_lines for file in coverage.files)
    return whole and not coverage.unlisted_files and coverage.reviewed_lines > 0


def _reached_gates(review: Review, gates: Gates) -> tuple[str, ...]:
    reasons = []
    if gates.fail_on is not None and reached(review.findings, gates.fail_on):
        reasons.append(f"A finding reaches fail-on: {gates.fail_on.label}.")
    percent = review.coverage.percent
    if percent < gates.min_coverage:
        reasons.append(
            f"{percent} % of the changed lines were reviewed; min-coverage is {gates.min_coverage} %."
        )
    return tuple(reasons)


def _missing(coverage: Coverage, held: FallbackCounts) -> tuple[str, ...]:
    reasons = []
    if not coverage.complete:
        files = _count(len(coverage.missing) + coverage.unlisted_files, "file")
        reasons.append(
            f"A part of the change was not reviewed: {files}, {coverage.percent} % of the lines covered."
        )
    if held.lost:
        be = "is" if held.lost == 1 else "are"
        reasons.append(
            f"{_count(held.lost, 'finding')} {be} in the log alone: not posted, and neither the job summary nor "
            "the JSON report could be written."
        )
    return tuple(reasons)


def _below(held: FallbackCounts) -> tuple[str, ...]:
    if not held.below:
        said = "The review could not be posted as it should be; no finding is lost by that."
        return (said,) if held.unposted and not held.lost else ()
    rungs = (
        (held.annotated, "on annotations of the check run"),
        (held.summarized, "in the job summary"),
        (held.reported, "in the JSON report"),
    )
    places = ", ".join(f"{number:,} {place}" for number, place in rungs if number)
    return (f"{_count(held.below, 'finding')} could not be posted on the change itself: {places}.",)


def _reviewed(review: Review, gates: Gates) -> str:
    """What a run that exits 0 has found; nothing is said of lines that were not reviewed."""
    if review.findings:
        asked = gates.request_changes_on
        gate = "no gate reached"
        if asked is not None and reached(review.findings, asked):
            gate = f"request-changes-on: {asked.label} reached"
        return f"Reviewed: {_count(len(review.findings), 'finding')}, {gate}."
    if review.coverage.reviewed_lines == 0:
        return "Nothing was reviewed: there is no changed line but what is left out by choice."
    if review.refuted:
        return "Reviewed: nothing that was found in the reviewed lines held."
    return "Reviewed: nothing found in the reviewed lines."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


@dataclass(frozen=True)
class PublishedReview:
    """The review, how it concluded, where its findings went, and what earlier runs had raised."""

    review: Review
    """Its findings are all that stands: new ones, and those that an earlier run raised."""
    verdict: RunConclusion
    posted: PostResult = field(default_factory=PostResult)
    """The rung of each finding on the whole ladder."""
    kept: tuple[OpenFinding, ...] = ()
    """What an earlier run raised and what still stands; each `finding` is among the review's."""
    fixed: tuple[Thread, ...] = ()
    """Threads of ours whose code was fixed since the last run."""
    dismissed: tuple[PreviousFinding, ...] = ()
    """What a person who may do so has dismissed."""
    stale: str = ""
    """One sentence where something moved under the run: the head, say."""
    repository: str = ""
    """`owner/name`; empty where there is none, as for a local range."""
    number: int | None = None
    """Of the pull request."""
    server_url: str = ""
    run: str = ""
    """The run's own name, as its markers carry it."""

    @cached_property
    def kept_by_finding(self) -> Mapping[Finding, OpenFinding]:
        return {kept.finding: kept for kept in self.kept}

    def known(self, finding: Finding) -> bool:
        """Whether an earlier run raised it."""
        return bool(finding.raised_as) or finding in self.kept_by_finding

    def where(self, finding: Finding) -> Destination:
        """The rung that the finding stands on, in this run or since an earlier one."""
        kept = self.kept_by_finding.get(finding)
        earlier = kept.raised.where if kept else Destination.REPORT
        return self.posted.where.get(finding, earlier)

    @cached_property
    def known_findings(self) -> tuple[Finding, ...]:
        """Those of the review's findings that an earlier run raised, in their order."""
        return tuple(finding for finding in self.review.findings if self.known(finding))


def _rungs(view: PublishedReview, report: str) -> dict[str, int]:
    """The number of standing findings on each rung that has any; none is on a report that was not written."""
    tally = Counter(view.where(finding) for finding in view.review.findings)
    held = (rung for rung in Destination if tally[rung] and (report or rung is not Destination.REPORT))
    return {rung.value: tally[rung] for rung in held}


def outputs_of(view: PublishedReview, report: str, sarif: str) -> dict[str, str]:
    """The step's outputs, by CONTRACT.md's names."""
    review = view.review
    return {
        "conclusion": str(view.verdict.conclusion),
        "findings": str(len(review.findings)),
        "highest-severity": review.highest.label if review.highest else "",
        "coverage": str(review.coverage.percent),
        "review-url": view.posted.review_url or "",
        "placement": json.dumps(_rungs(view, report)),
        "report": report,
        "sarif": sarif,
        "model-calls": str(review.usage.model_calls),
        "input-tokens": str(review.usage.input_tokens),
        "output-tokens": str(review.usage.output_tokens),
        "ai-credits": f"{Decimal(review.usage.nano_credits).scaleb(-9):f}",
    }
