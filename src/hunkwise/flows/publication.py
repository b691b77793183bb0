"""Publishes a review: reads the pull request again, then posts new findings on the first level that takes them.

The summary comment with its hidden state is written last. If a run dies before that, the next run completes it: it
reads from our own comments what was posted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from hunkwise.domain.diff import by_path
from hunkwise.domain.finding import Finding
from hunkwise.domain.pull_request import Comment, Conversation, PostedReview, ReviewState, Thread
from hunkwise.domain.review import Destination, PostResult, Review, ReviewEvent, ReviewFault
from hunkwise.enclosing.scopes import CHECK_SECONDS, ScopeFinder
from hunkwise.errors import GitHubError
from hunkwise.flows.check_run import CheckRunProgress
from hunkwise.flows.publish_plan import PublishPlan, PublishSettings
from hunkwise.publish.annotations import annotation
from hunkwise.publish.conclusion import PublishedReview, review_event, superseded
from hunkwise.publish.documents import check_output, review_body, summary_comment
from hunkwise.publish.finding_text import comment
from hunkwise.publish.placement import ReviewDraft, place
from hunkwise.publish.sections import describe_pause, fixed_evidence
from hunkwise.publish.suggestions import Suggestions
from hunkwise.tracking.markers import finding_marker, is_review_marker, review_marker
from hunkwise.tracking.state import latest_state, summary_comments

_log = logging.getLogger(__name__)


class ReviewPort(Protocol):
    """Writes reviews with their comments; see github.reviews. `publish` never raises, the others raise GitHubError."""

    def publish(self, rendered: ReviewDraft) -> PostResult: ...

    def dismiss(self, review_id: int, message: str) -> None: ...

    def delete_pending(self, review_id: int) -> None: ...


class SummaryCommentPort(Protocol):
    """Writes our summary comment; see github.comments. Both methods raise GitHubError."""

    def save(self, body: str, comment_id: int | None) -> Comment: ...

    def delete(self, comment_id: int) -> None: ...


class ThreadPort(Protocol):
    """Closes and finds our threads; see github.comments. Neither method raises GitHubError.

    `close` returns a sentence for each thread that was not closed as requested. `answer`: whether to post an answer in
    the threads too, with the `evidence` (Markdown) of some of them. `urls` returns the URLs of the newest comments of
    our account on lines and files, by their last lines, as far as they can be read.
    """

    def close(
        self, threads: Sequence[Thread], head_sha: str, *, answer: bool, evidence: Mapping[Thread, str]
    ) -> tuple[str, ...]: ...

    def urls(self, login: str) -> Mapping[str, str]: ...


class HeadFilePort(Protocol):
    """Reads files at the reviewed head; see commands.pull_request."""

    def read(self, path: str) -> bytes | None: ...

    def text(self, path: str) -> str | None: ...


@dataclass(frozen=True)
class GitHubPorts:
    """The GitHub operations of a publication: it reads the conversation again, then writes."""

    conversation: Callable[[], Conversation]
    reviews: ReviewPort
    threads: ThreadPort
    comments: SummaryCommentPort
    announcement: CheckRunProgress
    upload: Callable[[PublishedReview], None] | None = None
    """Uploads the findings to code scanning. Raises GitHubError. None: upload is off."""


def find_unsubmitted_reviews(conversation: Conversation) -> tuple[PostedReview, ...]:
    """Returns our pending reviews: a killed run began them and did not submit them."""
    return tuple(
        review
        for review in conversation.reviews
        if review.state is ReviewState.PENDING and is_review_marker(review.body)
    )


def delete_unsubmitted_reviews(reviews: ReviewPort, now: Conversation) -> bool:
    """Deletes our unsubmitted reviews; returns whether another tool's review by our account is still pending."""
    pending = [review for review in now.reviews if review.state is ReviewState.PENDING]
    for review in find_unsubmitted_reviews(now):
        with suppress(GitHubError):  # a later request that it blocks reports the error
            reviews.delete_pending(review.id)
    return len(pending) > len(find_unsubmitted_reviews(now))


def dismiss(reviews: ReviewPort, now: Conversation, event: ReviewEvent) -> list[str]:
    """Dismisses our earlier reviews that `event` supersedes; returns a sentence for each one that GitHub kept."""
    notes = []
    for review in superseded(now.reviews, event):
        try:
            reviews.dismiss(review.id, "Superseded by a newer review of hunkwise.")
        except GitHubError as error:
            notes.append(f"An earlier review of ours could not be dismissed: {error.message}")
    return notes


_MAX_WAITS = 2
_WAIT = 1.5
"""Seconds in which an older run that is posting right now can finish."""


_UNKNOWN_VIEWER = ReviewFault(
    "identity",
    "Nothing was posted: GitHub does not say whose the token is, so it cannot be known what was posted before.",
    "Let the token query GraphQL, or use a personal access token.",
)


@dataclass(frozen=True)
class PublishedFindings:
    """A review after it was published."""

    view: PublishedReview
    unposted: tuple[Finding, ...] = ()
    """New findings that are neither in a comment nor an annotation on GitHub, the most severe first."""
    warnings: tuple[str, ...] = ()
    """A sentence for each requested upload that GitHub refused; the notes contain them too."""


class Publication:
    """Publishes one review of one pull request."""

    def __init__(
        self,
        settings: PublishSettings,
        ports: GitHubPorts,
        before: Conversation | None,
        files: HeadFilePort,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`before` is the conversation as it was when the run began."""
        self._settings = settings
        self._ports = ports
        self._before = before
        self._files = files
        self._sleep = sleep

    def publish(self, review: Review) -> PublishedFindings:
        """Posts new findings, and nothing twice. Never raises GitHubError: the returned view has the fault."""
        plan = self._plan(review, self._before)
        if self._settings.dry_run:
            return self._finish_unposted(plan, "Dry run: nothing was posted.")
        if self._is_unchanged(plan):
            if not self._settings.automatic:  # GitHub's "Re-run" waits for a new check run
                view = plan.view(PostResult())
                self._ports.announcement.end(
                    view.review.head_sha, view.verdict.conclusion, check_output(view)
                )
            return self._finish_unposted(
                plan, "Nothing has changed since the last review, so nothing was posted."
            )
        if is_empty(plan.review) and not self._find_summaries(self._before):
            note = "Nothing in this change is to be reviewed, so nothing was posted."
            return self._finish(plan, PostResult(notes=(note,)))
        try:
            now = self._reread_conversation()
        except GitHubError as error:
            message = f"Nothing was posted, as the conversation could not be read: {error.message}"
            fault = ReviewFault(f"github {error.kind}", message, error.hint, error.shell_hint)
            return self._finish(plan, PostResult(fault=fault))
        if not now.viewer:
            return self._finish(plan, PostResult(fault=_UNKNOWN_VIEWER))
        plan = self._plan(review, now)
        reason = self._reason_not_to_post(review, now)
        return self._finish(plan, PostResult(stale=reason)) if reason else self._post(plan, now)

    def _plan(self, review: Review, conversation: Conversation | None) -> PublishPlan:
        return PublishPlan(self._settings, review, conversation, self._files.text)

    def _is_unchanged(self, plan: PublishPlan) -> bool:
        """Returns whether everything that would be written is on GitHub already."""
        conversation, reconciled = plan.conversation, plan.reconciliation
        if conversation is None or plan.run_review.questions or plan.run_review.faults:
            return False
        if reconciled.post or reconciled.fixed:
            return False
        if find_unsubmitted_reviews(conversation):
            return False
        event = self._choose_event(plan)
        if plan.needs_review(event) or superseded(conversation.reviews, event):
            return False
        unfinished = self._ports.announcement.older(conversation)
        return not unfinished and plan.state(plan.view(PostResult())) == plan.remembered

    def _reread_conversation(self) -> Conversation:
        """Returns the conversation as it is now; gives an older run that may be posting right now time to finish."""
        self._ports.announcement.wait()
        now = self._ports.conversation()
        for _ in range(_MAX_WAITS):
            if not self._ports.announcement.older(now) and not self._lacks_summary(now):
                break
            self._sleep(_WAIT)
            now = self._ports.conversation()
        return now

    def _lacks_summary(self, now: Conversation) -> bool:
        """Returns whether a review of ours is there and its summary comment, which is written last, is not yet."""
        reviewed = (
            review.body.rpartition("\n")[2] for review in now.reviews if review.commit_sha == now.head_sha
        )
        return not self._find_summaries(now) and any(map(is_review_marker, reviewed))

    def _reason_not_to_post(self, review: Review, now: Conversation) -> str | None:
        """Returns why the review must not be posted any more; None if it may be."""
        settings = self._settings
        state = latest_state(now.comments, repository=settings.repository, number=settings.number)
        if now.state != "open":
            return f"The pull request was {now.state} while it was reviewed: nothing was posted."
        if now.head_sha != review.head_sha:
            return (
                f"The head moved from {review.head_sha[:12]} to {now.head_sha[:12]} while it was reviewed: "
                "nothing was posted, as its lines may have changed. The run for the new head reviews it."
            )
        if self._ports.announcement.newer(now):
            return "A newer run reviews the same head: this one posted nothing, the newer one does."
        if settings.automatic and state is not None and state.paused is not None:
            return f"{describe_pause(state.paused)} Nothing was posted."
        return None

    def _post(self, plan: PublishPlan, now: Conversation) -> PublishedFindings:
        others_pending = delete_unsubmitted_reviews(self._ports.reviews, now)
        event = self._choose_event(plan)
        posted = PostResult()
        if plan.needs_review(event):
            posted = self._ports.reviews.publish(self._draft_review(plan, plan.event_to_post(event)))
        if posted.stale:
            return self._finish(plan, posted)
        posted = replace(posted, comments=self._find_comments(posted.where, now.viewer))
        # An answer would become part of a pending review of the same account.
        reconciled, server_url = plan.reconciliation, self._settings.server_url
        evidence = {
            thread: fixed_evidence(words, server_url) for thread, words in reconciled.evidence.items()
        }
        closed = self._ports.threads.close(
            reconciled.fixed, plan.review.head_sha, answer=not others_pending, evidence=evidence
        )
        notes = [*posted.notes, *closed]
        if posted.fault is None:
            notes += dismiss(self._ports.reviews, now, event)
        return self._finish(plan, replace(posted, notes=tuple(notes)), remember=True)

    def _find_comments(self, where: Mapping[Finding, Destination], login: str) -> dict[Finding, str]:
        """Returns the URLs of the findings' comments, as far as GitHub lists them."""
        markers = {
            finding: finding_marker(finding, destination)
            for finding, destination in where.items()
            if destination in (Destination.INLINE, Destination.FILE)
        }
        urls = self._ports.threads.urls(login) if markers else {}
        return {finding: urls[marker] for finding, marker in markers.items() if marker in urls}

    def _choose_event(self, plan: PublishPlan) -> ReviewEvent:
        return review_event(plan.review, self._settings.gates, may_approve=self._settings.own_review)

    def _draft_review(self, plan: PublishPlan, event: ReviewEvent) -> ReviewDraft:
        review, settings = plan.review, self._settings
        placement = place(
            plan.reconciliation.post, review.files, max_comments=settings.max_comments, strict=settings.strict
        )
        with ScopeFinder(seconds=CHECK_SECONDS) as parser:
            offered = Suggestions(self._files.read, parser.syntax_errors).offered(placement, review.files)
        view = plan.view(PostResult())
        return ReviewDraft(
            placement=placement,
            head_sha=review.head_sha,
            event=event,
            marker=review_marker(settings.run, review.head_sha),
            comment=lambda finding, where: comment(
                finding,
                server_url=settings.server_url,
                offered=offered.get(finding),
                where=where,
                for_agents=settings.for_agents,
                names_prompt=view.names_prompt,
            ),
            body=lambda placed, asked: review_body(view, placed, asked),
            reason_not_to_post=lambda: self._reason_not_to_post(plan.run_review, self._ports.conversation()),
        )

    def _finish_unposted(self, plan: PublishPlan, note: str) -> PublishedFindings:
        """Returns the result of a run that writes nothing: a dry run, or everything is on GitHub already."""
        comments = self._find_summaries(plan.conversation)
        url = comments[-1].url if comments and not self._settings.dry_run else None
        return PublishedFindings(plan.view(PostResult(url, notes=(note,))))

    def _finish(self, plan: PublishPlan, posted: PostResult, *, remember: bool = False) -> PublishedFindings:
        """Uploads to code scanning, annotates and completes the check run, then saves the summary comment.

        The findings of a stale review are left to the run for the newer state: they are only in the job summary.
        """
        head_sha, files_by_path = plan.review.head_sha, by_path(plan.review.files)
        warnings: tuple[str, ...] = ()
        unposted: tuple[Finding, ...] = ()
        if posted.stale:
            posted = replace(posted, notes=(*posted.notes, posted.stale))
        else:
            warnings, unposted = self._upload(plan.view(posted)), plan.unposted(posted)
            posted = replace(posted, notes=(*posted.notes, *warnings))
        names_prompt = len(plan.review.prompts) > 1
        annotations = [annotation(finding, files_by_path, names_prompt=names_prompt) for finding in unposted]
        annotated = self._ports.announcement.annotate(head_sha, annotations)
        view = plan.view(posted, annotated)
        older = self._ports.announcement.older(plan.conversation) if plan.conversation else ()
        self._ports.announcement.end(head_sha, view.verdict.conclusion, check_output(view), older=older)
        if remember:
            view = self._save_summary(plan, view)
        return PublishedFindings(view, unposted[annotated:], warnings)

    def _upload(self, view: PublishedReview) -> tuple[str, ...]:
        """Uploads to code scanning if it is requested; returns a sentence if GitHub refused it."""
        try:
            if self._ports.upload is not None:
                self._ports.upload(view)
        except GitHubError as error:
            return (f"The findings could not be uploaded to code scanning: {error}",)
        return ()

    def _save_summary(self, plan: PublishPlan, view: PublishedReview) -> PublishedReview:
        """Writes the summary comment; its URL becomes `review_url` where no review was posted."""
        posted, existing = view.posted, self._find_summaries(plan.conversation)
        try:
            saved = self._ports.comments.save(
                summary_comment(view, plan.state(view)), existing[-1].id if existing else None
            )
            for duplicate in existing[:-1]:
                self._ports.comments.delete(duplicate.id)
        except GitHubError as error:
            _log.warning("The summary comment could not be written: %s", error)
            note = f"The summary comment could not be written, so the next run reviews all again: {error.message}"
            return replace(view, posted=replace(posted, notes=(*posted.notes, note)))
        return replace(view, posted=replace(posted, review_url=posted.review_url or saved.url))

    def _find_summaries(self, conversation: Conversation | None) -> tuple[Comment, ...]:
        return summary_comments(conversation.comments) if conversation else ()


def is_empty(review: Review) -> bool:
    """Returns whether a comment would be noise (for example lock files only); what should be reviewed and was not, or
    only looks generated, or like data, always needs one."""
    coverage = review.coverage
    seen = coverage.reviewed_lines or coverage.unread_lines
    return not (review.findings or review.faults or seen) and coverage.complete
