"""Plans what is published: findings of this run reconciled with earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from hunkwise.domain.finding import NOTHING_TOLD, Finding, code_key, reading_order
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
    """By which rules, and around what, a review is published."""

    repository: str
    number: int
    base: str
    """Name of the base branch."""
    server_url: str
    run: str
    gates: Gates
    max_comments: int
    strict: bool = False
    """What no second opinion held gets no comment of its own."""
    dry_run: bool = False
    own_review: bool = True
    """The review was made by this run. One that another job reported approves nothing, and spares no later look."""
    summary: bool = True
    """There is a job summary, which holds what could not be posted."""
    report: bool = True
    """The JSON report could be written, which holds it too."""


@dataclass(frozen=True)
class PublishPlan:
    """A review as found, and the conversation that it comes into."""

    terms: PublishSettings
    found: Review
    conversation: Conversation | None
    """None where it could not be read: then nothing is known to have been said."""
    text_at_head: Callable[[str], str | None]

    @cached_property
    def story(self) -> Reconciliation:
        """What is new, what stands from before, what was fixed and what dismissed."""
        if self.conversation is None:
            return Reconciliation(post=self.found.findings)
        # What was left out by choice was not looked at either: nobody knows whether anything in it is fixed.
        unread = {file.path for file in self.found.coverage.files if _is_unread(file)}
        return reconcile(
            self.found.findings,
            raised_before(self.remembered, self.conversation),
            self.conversation,
            self.found.files,
            reviewed=lambda path: path not in unread,
            text_at_head=self.text_at_head,
        )

    @cached_property
    def remembered(self) -> HiddenState | None:
        """What the summary comment says."""
        comments = self.conversation.comments if self.conversation else ()
        return latest_state(comments, repository=self.terms.repository, number=self.terms.number)

    @cached_property
    def review(self) -> Review:
        """The review with everything that stands: gates and counts go by that, not by what is new alone."""
        standing = [*self.story.post, *(kept.finding for kept in self.story.kept)]
        return replace(
            self.found,
            findings=tuple(sorted(standing, key=reading_order)),
            dropped=self.found.dropped + self.story.repeated,
        )

    def where(self, posted: PostResult, annotated: int = 0) -> dict[Finding, Destination]:
        """The rung of everything that stands. `annotated`: so many of `left` are annotations of the check run."""
        left = self.left(posted)
        below = Destination.SUMMARY if self.terms.summary else Destination.REPORT
        return {
            **{kept.finding: kept.raised.where for kept in self.story.kept},
            **posted.where,
            **dict.fromkeys(left[:annotated], Destination.ANNOTATION),
            **dict.fromkeys(left[annotated:], below),
        }

    def left(self, posted: PostResult) -> tuple[Finding, ...]:
        """New findings that the review did not take, the most severe first."""
        left = [finding for finding in self.story.post if finding not in posted.where]
        return tuple(sorted(left, key=lambda finding: -finding.severity))

    def view(self, posted: PostResult, *, stale: str = "") -> PublishedReview:
        """All that published texts are made from; `posted.where` must name everything."""
        return PublishedReview(
            review=self.review,
            verdict=conclude(self.review, self.terms.gates, self._held(posted)),
            posted=posted,
            kept=self.story.kept,
            fixed=self.story.fixed,
            dismissed=self.story.dismissed,
            stale=stale,
            repository=self.terms.repository,
            number=self.terms.number,
            server_url=self.terms.server_url,
            run=self.terms.run,
        )

    def asks(self, event: ReviewEvent) -> ReviewEvent:
        """What the review that is due asks for: changes are not asked for twice because of the same findings."""
        if event is not ReviewEvent.REQUEST_CHANGES or self.conversation is None:
            return event
        anew = reached(self.story.post, self.terms.gates.request_changes_on)
        return event if anew or not still_asks(self.conversation.reviews) else ReviewEvent.COMMENT

    def speaks(self, event: ReviewEvent) -> bool:
        """Whether a review is due: there is something new, or a verdict that no review of ours has given yet."""
        conversation = self.conversation
        if self.story.post:
            return True
        if event is ReviewEvent.COMMENT or conversation is None or conversation.viewer == conversation.author:
            return False
        if any(review.commit_sha == self.found.head_sha for review in conversation.reviews):
            return False
        return event is ReviewEvent.APPROVE or not still_asks(conversation.reviews)

    def _hunks(self, where: Mapping[Finding, Destination]) -> frozenset[str]:
        """What needs no second look: not the files of a finding that found no place on the pull request."""
        homeless = {finding.path for finding in self.story.post if not _is_on_pull_request(where[finding])}
        again = (file for file in self.found.files if file.path in homeless)
        keys = {
            key
            for file in again
            for key in (file_key(file.path, file.hunks), *hunk_keys(file.path, file.hunks))
        }
        return self.found.hunks - keys

    def _remembered(self, where: Mapping[Finding, Destination]) -> tuple[PreviousFinding, ...]:
        """What stands on the pull request; the next run is to find anew, and to post, what does not."""
        shown = {file.path for file in self.found.files}
        records = (one for one in self.story.remembered(where) if _is_on_pull_request(one.where))
        return tuple(record if record.path in shown else self._pinned(record) for record in records)

    def _pinned(self, record: PreviousFinding) -> PreviousFinding:
        """A finding on a file that the diff does not have, with that file's digest: it stands until it changes."""
        if record.line is not None:
            return record
        text = self.text_at_head(record.path)
        return replace(record, code=code_key(text) if text else "")

    def _held(self, posted: PostResult) -> FallbackCounts:
        terms = self.terms
        return held(
            self.review.findings,
            posted,
            summary=terms.summary,
            report=terms.report,
            to_post=not terms.dry_run,
        )

    def state(self, where: Mapping[Finding, Destination], conclusion: str) -> HiddenState:
        """What the next run is to know."""
        found, terms, conversation = self.found, self.terms, self.conversation
        rewrites = conversation.rewrites if conversation else None
        carried = terms.own_review and rewrites is not None
        before = self.remembered.reviewed_shas if self.remembered else ()
        shas = [sha for sha in before if sha != found.head_sha]
        return HiddenState(
            repository=terms.repository,
            number=terms.number,
            head_sha=found.head_sha,
            reviewed_shas=(*shas, found.head_sha)[-_REMEMBERED_SHAS:],
            base=terms.base,
            rewrites=rewrites or 0,
            settings=found.settings,
            hunks=self._hunks(where) if carried else frozenset(),
            findings=self._remembered(where),
            conclusion=conclusion,
            told=bounded(found.summary, found.walkthrough) if terms.own_review else NOTHING_TOLD,
        )


def _is_on_pull_request(rung: Destination) -> bool:
    return rung in (Destination.INLINE, Destination.FILE, Destination.BODY)


def _is_unread(file: FileCoverage) -> bool:
    return file.reason not in (None, SkipReason.NO_CHANGED_LINES)
