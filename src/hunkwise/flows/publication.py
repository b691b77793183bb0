"""Publishes a review: reads the pull request again, then posts what is new on the first level that holds it.

The summary comment with its hidden state is written last. A run that dies before that is completed by the next one,
which reads in our own comments what was posted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from hunkwise.domain.finding import Finding
from hunkwise.domain.pull_request import Comment, Conversation, PostedReview, ReviewState, Thread
from hunkwise.domain.review import PostResult, Review, ReviewEvent, ReviewFault
from hunkwise.errors import GitHubError
from hunkwise.flows.check_run import CheckRunProgress, CheckRunResult, SummaryCommentPort
from hunkwise.flows.publish_plan import PublishPlan, PublishSettings
from hunkwise.publish.annotations import Annotation, annotation
from hunkwise.publish.conclusion import PublishedReview, review_event, superseded
from hunkwise.publish.documents import check_output, comment, review_body, summary_comment
from hunkwise.publish.placement import STALE, ReviewDraft, place
from hunkwise.publish.suggestions import Suggestions
from hunkwise.tracking.markers import is_review_marker, review_marker
from hunkwise.tracking.state import summary_comments


class ReviewPort(Protocol):
    """Reviews with their comments; see github.reviews. `publish` raises nothing, the others GitHubError."""

    def publish(self, rendered: ReviewDraft) -> PostResult: ...

    def dismiss(self, review_id: int, message: str) -> None: ...

    def delete_pending(self, review_id: int) -> None: ...


class ThreadPort(Protocol):
    """Closes threads as far as GitHub lets us; gives a sentence for each thing that went another way.

    `answer`: whether they are answered too.
    """

    def close(self, threads: Sequence[Thread], head_sha: str, *, answer: bool) -> tuple[str, ...]: ...


class HeadFilePort(Protocol):
    """The reviewed head's files; see commands.repository_reader."""

    def read(self, path: str) -> bytes | None: ...

    def text(self, path: str) -> str | None: ...


@dataclass(frozen=True)
class GitHubPorts:
    """Where a publication goes, and what it looks at again before it does."""

    conversation: Callable[[], Conversation]
    reviews: ReviewPort
    threads: ThreadPort
    comments: SummaryCommentPort
    announcement: CheckRunProgress
    upload: Callable[[PublishedReview], str] | None = None
    """Sends the findings to code scanning; a sentence on what went wrong, or nothing. None: not asked for."""


def leftovers(conversation: Conversation) -> tuple[PostedReview, ...]:
    """Pending reviews of ours, by which a run that was killed looked for a comment that GitHub declines."""
    return tuple(
        review
        for review in conversation.reviews
        if review.state is ReviewState.PENDING and is_review_marker(review.body)
    )


def clear(reviews: ReviewPort, now: Conversation) -> bool:
    """Deletes what a killed run left pending; whether another tool's review of our account is pending still."""
    pending = [review for review in now.reviews if review.state is ReviewState.PENDING]
    for review in leftovers(now):
        with suppress(GitHubError):  # whatever it stands in the way of will say so
            reviews.delete_pending(review.id)
    return len(pending) > len(leftovers(now))


def dismiss(reviews: ReviewPort, now: Conversation, event: ReviewEvent) -> list[str]:
    """Takes back our earlier verdicts that no longer hold; gives a sentence for each that stands still."""
    notes = []
    for review in superseded(now.reviews, event):
        try:
            reviews.dismiss(review.id, "Superseded by a newer review of hunkwise.")
        except GitHubError as error:
            notes.append(f"An earlier review of ours still stands: {error.message}")
    return notes


_MOST_WAITS = 2
_WAIT = 1.5
"""Seconds, in which an older run that is just posting gets done with it."""


_NOBODY = ReviewFault(
    "identity",
    "Nothing was posted: GitHub does not say whose the token is, so it cannot be known what was posted before.",
    "Let the token query GraphQL, or use a personal access token.",
)


@dataclass(frozen=True)
class PublishedFindings:
    """What became of a review."""

    view: PublishedReview
    left: tuple[Finding, ...] = ()
    """New findings for which GitHub took no comment; some may be annotations of the check run."""
    warnings: tuple[str, ...] = ()
    """What was asked for beside the review, and GitHub refused: a sentence each, which the notes have too."""


class Publication:
    """Publishes one review of one pull request."""

    def __init__(
        self,
        terms: PublishSettings,
        outlets: GitHubPorts,
        before: Conversation | None,
        files: HeadFilePort,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`before` is the conversation as it was when the run began."""
        self._terms = terms
        self._to = outlets
        self._before = before
        self._files = files
        self._sleep = sleep

    def publish(self, found: Review) -> PublishedFindings:
        """Posts what is new, and nothing twice. Never raises GitHubError: the view says what went wrong."""
        standing = self._standing(found, self._before)
        if self._terms.dry_run:
            return self._unposted(standing, "Dry run: nothing was posted.")
        if self._is_unchanged(standing):
            return self._unposted(
                standing, "Nothing has changed since the last review, so nothing was posted."
            )
        if says_nothing(standing.review) and not self._summaries(self._before):
            note = "Nothing in this change is to be reviewed, so nothing was posted."
            return self._ended(standing, PostResult(notes=(note,)))
        try:
            now = self._look_again()
        except GitHubError as error:
            self._to.announcement.release()
            said = f"Nothing was posted, as what was said before could not be read: {error.message}"
            return self._ended(
                standing, PostResult(fault=ReviewFault(f"github {error.kind}", said, error.hint))
            )
        if not now.viewer:
            self._to.announcement.release()
            return self._ended(standing, PostResult(fault=_NOBODY))
        standing = self._standing(found, now)
        hindrance = self._hindrance(found, now)
        if hindrance:
            return self._stood_back(standing, hindrance, PostResult())
        return self._post(standing, now)

    def _standing(self, found: Review, conversation: Conversation | None) -> PublishPlan:
        return PublishPlan(self._terms, found, conversation, self._files.text)

    def _is_unchanged(self, standing: PublishPlan) -> bool:
        """Whether everything that would be written stands there already."""
        conversation, story = standing.conversation, standing.story
        if conversation is None or standing.found.asked or story.post or story.fixed or standing.found.faults:
            return False
        if leftovers(conversation):
            return False
        event = self._event(standing)
        if standing.speaks(event) or superseded(conversation.reviews, event):
            return False
        hanging = self._to.announcement.older(conversation)
        posted = PostResult(where=standing.where(PostResult()))
        verdict = standing.view(posted).verdict
        state = standing.state(posted.where, str(verdict.conclusion))
        return not hanging and state == standing.remembered

    def _look_again(self) -> Conversation:
        """The conversation as it is now; a run that may be posting at this moment is given time to end."""
        self._to.announcement.wait()
        now = self._to.conversation()
        for _ in range(_MOST_WAITS):
            if not self._to.announcement.older(now):
                break
            self._sleep(_WAIT)
            now = self._to.conversation()
        return now

    def _hindrance(self, found: Review, now: Conversation) -> str:
        """Why nothing must be posted any more; empty where nothing stands against it."""
        if now.state != "open":
            return f"The pull request was {now.state} while it was reviewed: nothing was posted."
        if now.head_sha != found.head_sha:
            return (
                f"The head moved from {found.head_sha[:12]} to {now.head_sha[:12]} while it was reviewed: "
                "nothing was posted, for the lines may be others now. The run for the new head reviews it."
            )
        if self._to.announcement.newer(now):
            return "A newer run reviews the same head: this one posted nothing, the newer one does."
        return ""

    def _stood_back(self, standing: PublishPlan, why: str, posted: PostResult) -> PublishedFindings:
        """What was found stands in the job summary and the report; the run that came after it posts its own."""
        self._to.announcement.release()
        return self._ended(standing, PostResult(where=posted.where, notes=(*posted.notes, why)), stale=why)

    def _post(self, standing: PublishPlan, now: Conversation) -> PublishedFindings:
        foreign = clear(self._to.reviews, now)
        event = self._event(standing)
        posted = PostResult()
        if standing.speaks(event):
            posted = self._to.reviews.publish(self._rendered(standing, standing.asks(event)))
        if posted.fault is not None and posted.fault.kind == STALE:
            return self._stood_back(standing, posted.fault.message, posted)
        # An answer beside a pending review of the same account would become a part of that.
        head_sha = standing.review.head_sha
        closed = self._to.threads.close(standing.story.fixed, head_sha, answer=not foreign)
        notes = [*posted.notes, *closed]
        if posted.fault is None:
            notes += dismiss(self._to.reviews, now, event)
        return self._ended(standing, replace(posted, notes=tuple(notes)), remember=True)

    def _event(self, standing: PublishPlan) -> ReviewEvent:
        return review_event(standing.review, self._terms.gates, may_approve=self._terms.own_review)

    def _rendered(self, standing: PublishPlan, event: ReviewEvent) -> ReviewDraft:
        review, terms = standing.review, self._terms
        placement = place(
            standing.story.post, review.files, max_comments=terms.max_comments, strict=terms.strict
        )
        offered = Suggestions(self._files.read).offered(placement.inline, review.files)
        view = standing.view(PostResult(where=standing.where(PostResult())))
        return ReviewDraft(
            placement=placement,
            head_sha=review.head_sha,
            event=event,
            marker=review_marker(terms.run, review.head_sha),
            comment=lambda finding, where: comment(
                finding, server_url=terms.server_url, applies=finding in offered, where=where
            ),
            body=lambda placed, asked: review_body(view, placed, asked),
            hindrance=lambda: self._hindrance(standing.found, self._to.conversation()),
        )

    def _unposted(self, standing: PublishPlan, note: str) -> PublishedFindings:
        """Nothing is written: a dry run, or everything stands there already."""
        comments = self._summaries(standing.conversation)
        url = comments[-1].url if comments and not self._terms.dry_run else None
        posted = PostResult(url, standing.where(PostResult()), (note,))
        return PublishedFindings(standing.view(posted))

    def _ended(
        self, standing: PublishPlan, posted: PostResult, *, stale: str = "", remember: bool = False
    ) -> PublishedFindings:
        """Code scanning, the check run with what is left of the findings, and at last the summary comment."""
        left = () if stale else standing.left(posted)
        view = standing.view(replace(posted, where=standing.where(posted)), stale=stale)
        refused = self._to.upload(view) if self._to.upload is not None and not stale else ""
        warnings = (refused,) if refused else ()
        posted = replace(posted, notes=(*posted.notes, *warnings))
        # What the check run takes as annotations stands on it: it must not say that it stands elsewhere.
        taken = replace(posted, where=standing.where(posted, len(left)))
        notes = tuple(annotation(finding, standing.review.files) for finding in left)
        ending = _ending(standing.view(taken, stale=stale), notes)
        older = self._to.announcement.older(standing.conversation) if standing.conversation else ()
        annotated = self._to.announcement.end(standing.review.head_sha, ending, older=older)
        posted = replace(posted, where=standing.where(posted, annotated))
        truly = _ending(standing.view(posted, stale=stale))
        if truly.conclusion is not ending.conclusion:  # annotations were refused, and no other rung held them
            self._to.announcement.end(standing.review.head_sha, truly)
        if remember:
            posted = self._remember(standing, posted)
        return PublishedFindings(standing.view(posted, stale=stale), left, warnings)

    def _remember(self, standing: PublishPlan, posted: PostResult) -> PostResult:
        """Writes the summary comment; the review's address is its, where no review was posted."""
        view = standing.view(posted)
        state = standing.state(posted.where, str(view.verdict.conclusion))
        known = self._summaries(standing.conversation)
        try:
            saved = self._to.comments.save(summary_comment(view, state), known[-1].id if known else None)
            for double in known[:-1]:
                self._to.comments.delete(double.id)
        except GitHubError as error:
            note = f"The summary comment could not be written, so the next run reviews all again: {error.message}"
            return replace(posted, notes=(*posted.notes, note))
        return replace(posted, review_url=posted.review_url or saved.url)

    def _summaries(self, conversation: Conversation | None) -> tuple[Comment, ...]:
        return summary_comments(conversation.comments) if conversation else ()


def _ending(view: PublishedReview, annotations: tuple[Annotation, ...] = ()) -> CheckRunResult:
    output = check_output(view)
    return CheckRunResult(view.verdict.conclusion, output.title, output.summary, output.text, annotations)


def says_nothing(review: Review) -> bool:
    """A change of lock files, say: a comment on it would be noise. What is missing is always worth one."""
    coverage = review.coverage
    return not (review.findings or review.faults or coverage.reviewed_lines) and coverage.complete
