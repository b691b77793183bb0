"""Plans what is published: reconciles the findings of this run with earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from hunkwise.domain.finding import NO_SUMMARY, Finding, code_key, reading_order
from hunkwise.domain.pull_request import Conversation
from hunkwise.domain.review import Destination, FileCoverage, PostResult, Review, ReviewEvent, SkipReason
from hunkwise.plan.incremental import file_key, hunk_keys
from hunkwise.publish.conclusion import (
    FallbackCounts,
    Gates,
    PublishedReview,
    conclude,
    held,
    reached,
    still_asks,
)
from hunkwise.tracking.markers import HiddenState, PreviousFinding
from hunkwise.tracking.previous import raised_before
from hunkwise.tracking.reconcile import Reconciliation, reconcile
from hunkwise.tracking.state import bounded, latest_state

_REMEMBERED_SHAS = 20


@dataclass(frozen=True)
class PublishSettings:
    """The settings of a publication, and the pull request and run that it belongs to."""

    repository: str
    number: int
    base: str
    """Name of the base branch."""
    server_url: str
    run: str
    gates: Gates
    max_comments: int
    strict: bool = False
    """A finding that verification did not confirm gets no comment of its own."""
    dry_run: bool = False
    own_review: bool = True
    """This run made the review. One reported by another job never approves, and its hunks are reviewed again."""
    summary: bool = True
    """There is a job summary; it contains the findings that could not be posted."""
    report: bool = True
    """The JSON report could be written; it contains them too."""


@dataclass(frozen=True)
class PublishPlan:
    """A run's review, and the conversation that it is posted to."""

    terms: PublishSettings
    run_review: Review
    """The review of this run, before it is reconciled with earlier findings."""
    conversation: Conversation | None
    """None if it could not be read: then no earlier findings are known."""
    text_at_head: Callable[[str], str | None]

    @cached_property
    def reconciliation(self) -> Reconciliation:
        """The findings that are new, still open from earlier runs, fixed or dismissed."""
        if self.conversation is None:
            return Reconciliation(post=self.run_review.findings)
        # A file skipped on purpose was not reviewed either: whether a finding in it is fixed is unknown.
        unread = {file.path for file in self.run_review.coverage.files if _is_unread(file)}
        return reconcile(
            self.run_review.findings,
            raised_before(self.remembered, self.conversation),
            self.conversation,
            self.run_review.files,
            reviewed=lambda path: path not in unread,
            text_at_head=self.text_at_head,
        )

    @cached_property
    def remembered(self) -> HiddenState | None:
        """The hidden state in the summary comment; None if there is none."""
        comments = self.conversation.comments if self.conversation else ()
        return latest_state(comments, repository=self.terms.repository, number=self.terms.number)

    @cached_property
    def review(self) -> Review:
        """The review with all open findings: gates and counts use these, not the new ones alone."""
        open_findings = [*self.reconciliation.post, *(kept.finding for kept in self.reconciliation.kept)]
        return replace(
            self.run_review,
            findings=tuple(sorted(open_findings, key=reading_order)),
            dropped=self.run_review.dropped + self.reconciliation.repeated,
        )

    def where(self, posted: PostResult, annotated: int = 0) -> dict[Finding, Destination]:
        """Returns the level of each open finding. `annotated`: how many of `left` are annotations of the check run."""
        left = self.left(posted)
        below = Destination.SUMMARY if self.terms.summary else Destination.REPORT
        return {
            **{kept.finding: kept.raised.where for kept in self.reconciliation.kept},
            **posted.where,
            **dict.fromkeys(left[:annotated], Destination.ANNOTATION),
            **dict.fromkeys(left[annotated:], below),
        }

    def left(self, posted: PostResult) -> tuple[Finding, ...]:
        """Returns the new findings that are not in the review, the most severe first."""
        left = [finding for finding in self.reconciliation.post if finding not in posted.where]
        return tuple(sorted(left, key=lambda finding: -finding.severity))

    def view(self, posted: PostResult, *, stale: str = "") -> PublishedReview:
        """Returns the data of all published texts; `posted.where` must contain every open finding."""
        return PublishedReview(
            review=self.review,
            verdict=conclude(self.review, self.terms.gates, self._count_fallbacks(posted)),
            posted=posted,
            kept=self.reconciliation.kept,
            fixed=self.reconciliation.fixed,
            dismissed=self.reconciliation.dismissed,
            stale=stale,
            repository=self.terms.repository,
            number=self.terms.number,
            server_url=self.terms.server_url,
            run=self.terms.run,
        )

    def event_to_post(self, event: ReviewEvent) -> ReviewEvent:
        """Returns the event to post: changes are not requested a second time because of the same findings."""
        if event is not ReviewEvent.REQUEST_CHANGES or self.conversation is None:
            return event
        new_reason = reached(self.reconciliation.post, self.terms.gates.request_changes_on)
        return event if new_reason or not still_asks(self.conversation.reviews) else ReviewEvent.COMMENT

    def needs_review(self, event: ReviewEvent) -> bool:
        """Returns whether to post a review: for new findings, or for an event that no review of ours has yet."""
        conversation = self.conversation
        if self.reconciliation.post:
            return True
        if event is ReviewEvent.COMMENT or conversation is None or conversation.viewer == conversation.author:
            return False
        if any(review.commit_sha == self.run_review.head_sha for review in conversation.reviews):
            return False
        return event is ReviewEvent.APPROVE or not still_asks(conversation.reviews)

    def _reviewed_hunks(self, where: Mapping[Finding, Destination]) -> frozenset[str]:
        """Returns the hunks that the next run may skip: none in files with a finding that could not be posted there."""
        unposted = {
            finding.path for finding in self.reconciliation.post if not _is_on_pull_request(where[finding])
        }
        keys = {
            key
            for file in self.run_review.files
            if file.path in unposted
            for key in (file_key(file.path, file.hunks), *hunk_keys(file.path, file.hunks))
        }
        return self.run_review.hunks - keys

    def _posted_findings(self, where: Mapping[Finding, Destination]) -> tuple[PreviousFinding, ...]:
        """Returns the findings on the pull request; the next run is to find and post the others again."""
        in_diff = {file.path for file in self.run_review.files}
        records = (
            record for record in self.reconciliation.remembered(where) if _is_on_pull_request(record.where)
        )
        return tuple(record if record.path in in_diff else self._pin(record) for record in records)

    def _pin(self, record: PreviousFinding) -> PreviousFinding:
        """Adds the file's digest to a finding on a file outside the diff: it stays open until that file changes."""
        if record.line is not None:
            return record
        text = self.text_at_head(record.path)
        return replace(record, code=code_key(text) if text else "")

    def _count_fallbacks(self, posted: PostResult) -> FallbackCounts:
        terms = self.terms
        return held(
            self.review.findings,
            posted,
            summary=terms.summary,
            report=terms.report,
            to_post=not terms.dry_run,
        )

    def state(self, where: Mapping[Finding, Destination], conclusion: str) -> HiddenState:
        """Returns the hidden state for the next run."""
        run_review, terms, conversation = self.run_review, self.terms, self.conversation
        rewrites = conversation.rewrites if conversation else None
        hunks_are_valid = terms.own_review and rewrites is not None
        before = self.remembered.reviewed_shas if self.remembered else ()
        shas = [sha for sha in before if sha != run_review.head_sha]
        return HiddenState(
            repository=terms.repository,
            number=terms.number,
            head_sha=run_review.head_sha,
            reviewed_shas=(*shas, run_review.head_sha)[-_REMEMBERED_SHAS:],
            base=terms.base,
            rewrites=rewrites or 0,
            settings=run_review.settings,
            hunks=self._reviewed_hunks(where) if hunks_are_valid else frozenset(),
            findings=self._posted_findings(where),
            conclusion=conclusion,
            summary=bounded(run_review.summary, run_review.walkthrough) if terms.own_review else NO_SUMMARY,
        )


def _is_on_pull_request(level: Destination) -> bool:
    return level in (Destination.INLINE, Destination.FILE, Destination.BODY)


def _is_unread(file: FileCoverage) -> bool:
    return file.reason not in (None, SkipReason.NO_CHANGED_LINES)
