"""Posts a review: inline comments, comments on files, and its body."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from hunkwise.domain.finding import Finding
from hunkwise.domain.pull_request import ReviewState
from hunkwise.domain.review import Destination, PostResult, ReviewEvent, ReviewFault
from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.client import GitHub
from hunkwise.github.rejected_comments import (
    REQUESTS_PER_PROBE,
    FileComments,
    ProbeReviews,
    ReviewAttempt,
    is_about_pending,
    line_comment,
    offender,
    pending_review_error,
)
from hunkwise.github.writer import OwnPosts, Writer, address
from hunkwise.publish.placement import CommentPlan, Page, ReviewDraft
from hunkwise.redaction import SecretScan

_MAX_REQUESTS = 40
"""Requests that one review may cost if GitHub rejects some of its comments."""
# For a comment on a file, and three ways to post the review: unchanged, with fewer inline comments, with none.
_RESERVED_REQUESTS = 4
_PERMANENT = (GitHubErrorKind.AUTHENTICATION, GitHubErrorKind.FORBIDDEN, GitHubErrorKind.NOT_FOUND)
_EVENT_REFUSED = ("own pull request", "not permitted to approve")
_RATE_LIMITED = "submitted too quickly"  # a limit on writes that GitHub reports as 422
_log = logging.getLogger(__name__)


class _PullRequestChangedError(GitHubError):
    """The pull request changed after the review."""


class ReviewPublisher:
    """Posts one review of one pull request, once."""

    def __init__(
        self,
        github: GitHub,
        number: int,
        scan: SecretScan,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._github = github
        self._number = number
        self._writer = Writer(github, scan, sleep=sleep)
        self._own = OwnPosts(github, number)

    def publish(self, rendered: ReviewDraft) -> PostResult:
        """Posts the review. Never raises GitHubError: `where` holds posted findings, `fault` why others failed."""
        number, head_sha = self._number, rendered.head_sha
        attempt = ReviewAttempt(
            rendered,
            ProbeReviews(self._writer, self._own, number, head_sha, rendered.marker),
            FileComments(self._writer, self._own, number, head_sha),
            replace(rendered.placement, on_file=()),
            rendered.event,
        )
        try:
            self._comment_on_files(rendered.placement.on_file, attempt)
            page, url = self._post_review(attempt)
        except GitHubError as error:
            _log.warning("The review could not be posted: %s", error)
            attempt.probes.close()
            message = f"The review could not be posted: {error.message}"
            where = dict.fromkeys(attempt.placement.on_file, Destination.FILE)
            result = PostResult(None, where, tuple(attempt.notes))
            if isinstance(error, _PullRequestChangedError):
                return replace(result, stale=message)
            return replace(result, fault=ReviewFault(f"github {error.kind}", message, error.hint))
        if page.counted:
            attempt.notes.append(f"The review's body had no room for {len(page.counted)} of the findings.")
        return PostResult(url, _destinations(attempt.placement, page), tuple(attempt.notes))

    def _comment_on_files(self, findings: Iterable[Finding], attempt: ReviewAttempt) -> None:
        """Posts a comment per finding; failed ones move to the body. Raises if no further request can succeed."""
        rate_limit: GitHubError | None = None
        for finding in findings:
            error = rate_limit or self._comment_on_file(finding, attempt)
            if error is None:
                continue
            attempt.move_to_body([finding])
            if error is not rate_limit:
                attempt.notes.append(f"A comment on a file could not be posted: {error.message}")
            rate_limit = error if error.kind is GitHubErrorKind.RATE_LIMIT else None

    def _comment_on_file(self, finding: Finding, attempt: ReviewAttempt) -> GitHubError | None:
        """Posts a comment on a file; returns the error if it failed. Raises if no further request can succeed."""
        text = attempt.rendered.comment(finding, Destination.FILE)
        try:
            attempt.files.post(finding.path, text)
        except GitHubError as error:
            if error.kind in _PERMANENT:
                raise
            if is_about_pending(error) and not attempt.cleared:
                self._clear(attempt)
                return self._comment_on_file(finding, attempt)
            return error
        attempt.move_to_file(finding)
        return None

    def _post_review(self, attempt: ReviewAttempt) -> tuple[Page, str]:
        """Returns the page and the URL of the posted review. Raises GitHubError if all ways have failed."""
        attempt.limit = self._writer.sent + _MAX_REQUESTS - 1  # one is for the check of the head
        while True:
            page = attempt.rendered.body(attempt.placement, attempt.event)
            try:
                return page, self._post(attempt, page)
            except GitHubError as error:
                if error.kind is not GitHubErrorKind.INVALID or isinstance(error, _PullRequestChangedError):
                    raise
                self._adjust(error, attempt)

    def _post(self, attempt: ReviewAttempt, page: Page) -> str:
        rendered = attempt.rendered
        request = {
            "commit_id": rendered.head_sha,
            "event": attempt.event.value,
            "body": page.text,
            "comments": [line_comment(finding, rendered) for finding in attempt.placement.inline],
        }

        def again() -> None:
            if why := rendered.reason_not_to_post():
                raise _PullRequestChangedError(GitHubErrorKind.INVALID, why)

        return self._writer.surely(
            lambda: address(self._writer.post(f"pulls/{self._number}/reviews", request, again=again)),
            lambda: self._find_stored(rendered.marker),
            again,
        )

    def _find_stored(self, marker: str) -> str | None:
        for review in self._own.reviews():
            submitted = review.text_or("state", "") != ReviewState.PENDING
            if submitted and marker in review.text_or("body", ""):
                return address(review)
        return None

    def _adjust(self, error: GitHubError, attempt: ReviewAttempt) -> None:
        """Changes the attempt so that GitHub may accept it. Raises if no change is left."""
        message = error.message.lower()
        if attempt.event is not ReviewEvent.COMMENT and any(words in message for words in _EVENT_REFUSED):
            verdict = "approval" if attempt.event is ReviewEvent.APPROVE else "request for changes"
            attempt.notes.append(
                f"GitHub takes no {verdict} from this account here: the review is a comment."
            )
            attempt.event = ReviewEvent.COMMENT
        elif is_about_pending(error):
            if attempt.cleared:
                raise pending_review_error() from error
            self._clear(attempt)
        else:
            self._check_head(attempt)
            if _RATE_LIMITED in message or not attempt.placement.inline:
                raise error
            self._remove_rejected(error, attempt)

    def _clear(self, attempt: ReviewAttempt) -> None:
        attempt.cleared = True
        attempt.probes.clear()

    def _check_head(self, attempt: ReviewAttempt) -> None:
        """Raises if the pull request was closed or its head changed after the review."""
        if attempt.current:
            return
        now = self._github.pull_request(self._number)
        if now.state != "open":
            message = "The pull request was closed while it was reviewed."
            raise _PullRequestChangedError(
                GitHubErrorKind.INVALID, message, "Open it again to have it reviewed."
            )
        if now.head_sha != attempt.rendered.head_sha:
            message = f"The pull request moved on to {now.head_sha[:10]} while it was reviewed."
            raise _PullRequestChangedError(
                GitHubErrorKind.INVALID, message, "The run for the new head reviews it again."
            )
        attempt.current = True

    def _remove_rejected(self, error: GitHubError, attempt: ReviewAttempt) -> None:
        """Moves one inline comment that GitHub rejects elsewhere, or all that it may reject."""
        inline, rendered = attempt.placement.inline, attempt.rendered
        suspects = [finding for finding in inline if finding not in attempt.innocent]

        def probe(findings: Iterable[Finding]) -> bool:
            accepted = attempt.probes.accepts([line_comment(finding, rendered) for finding in findings])
            attempt.innocent.update(findings if accepted else ())
            return accepted

        rejected = offender(suspects, probe, lambda: self._may_probe(attempt)) if suspects else None
        if rejected is None:
            remaining = [finding for finding in inline if finding not in attempt.innocent]
            attempt.move_to_body(remaining or inline)
        elif self._comment_on_file(rejected, attempt) is not None:
            attempt.move_to_body([rejected])
        if not any(note.endswith(error.message) for note in attempt.notes):
            where = "each is on its file or in the review's body"
            attempt.notes.append(f"GitHub declined comments on lines; {where}. {error.message}")

    def _may_probe(self, attempt: ReviewAttempt) -> bool:
        return self._writer.sent + REQUESTS_PER_PROBE + _RESERVED_REQUESTS <= attempt.limit


def _destinations(placement: CommentPlan, page: Page) -> dict[Finding, Destination]:
    where = {
        **dict.fromkeys(placement.inline, Destination.INLINE),
        **dict.fromkeys(placement.on_file, Destination.FILE),
        **dict.fromkeys(placement.in_body, Destination.BODY),
    }
    return {finding: destination for finding, destination in where.items() if finding not in page.counted}
