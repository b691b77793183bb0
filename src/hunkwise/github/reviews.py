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
    COST_OF_A_QUESTION,
    FileComments,
    ProbeReviews,
    ReviewAttempt,
    foreign_pending,
    is_about_pending,
    line_comment,
    offender,
)
from hunkwise.github.writer import OwnPosts, Writer, address
from hunkwise.publish.placement import STALE, CommentPlan, Page, ReviewDraft
from hunkwise.redaction import SecretScan

_MOST_REQUESTS = 40
"""What a review may cost where GitHub declines comments of it."""
_TO_END_WITH = (
    4  # a comment on a file, and three ways to post the review: as it is, with less, with none inline
)
_HOPELESS = (GitHubErrorKind.AUTHENTICATION, GitHubErrorKind.FORBIDDEN, GitHubErrorKind.NOT_FOUND)
_NOT_OURS_TO_SAY = ("own pull request", "not permitted to approve")
_TOO_QUICKLY = "submitted too quickly"  # a limit on writing that GitHub words as 422
_log = logging.getLogger(__name__)


class _MovedOnError(GitHubError):
    """The pull request is not what was reviewed any more."""


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
        self._outgoing = Writer(github, scan, sleep=sleep)
        self._own = OwnPosts(github, number)

    def publish(self, rendered: ReviewDraft) -> PostResult:
        """Never raises GitHubError: `where` holds what found a place, and the fault says why the rest did not."""
        number, head_sha = self._number, rendered.head_sha
        attempt = ReviewAttempt(
            rendered,
            ProbeReviews(self._outgoing, self._own, number, head_sha, rendered.marker),
            FileComments(self._outgoing, self._own, number, head_sha),
            replace(rendered.placement, on_file=()),
            rendered.event,
        )
        try:
            self._comment_on_files(rendered.placement.on_file, attempt)
            page, url = self._review(attempt)
        except GitHubError as error:
            _log.warning("The review could not be posted: %s", error)
            attempt.probes.close()
            kind = STALE if isinstance(error, _MovedOnError) else f"github {error.kind}"
            fault = ReviewFault(kind, f"The review could not be posted: {error.message}", error.hint)
            where = dict.fromkeys(attempt.placement.on_file, Destination.FILE)
            return PostResult(None, where, tuple(attempt.notes), fault)
        if page.counted:
            attempt.notes.append(f"The review's body had no room for {len(page.counted)} of the findings.")
        return PostResult(url, _rungs(attempt.placement, page), tuple(attempt.notes))

    def _comment_on_files(self, findings: Iterable[Finding], attempt: ReviewAttempt) -> None:
        """One comment a file; each that fails falls into the body. Raises where nothing can succeed."""
        limit: GitHubError | None = None
        for finding in findings:
            failed = limit or self._comment_on_file(finding, attempt)
            if failed is None:
                continue
            attempt.into_body([finding])
            if failed is not limit:
                attempt.notes.append(f"A comment on a file could not be posted: {failed.message}")
            limit = failed if failed.kind is GitHubErrorKind.RATE_LIMIT else None

    def _comment_on_file(self, finding: Finding, attempt: ReviewAttempt) -> GitHubError | None:
        """Why it could not be posted. Raises where nothing can succeed."""
        text = attempt.rendered.comment(finding, Destination.FILE)
        try:
            attempt.files.post(finding.path, text)
        except GitHubError as error:
            if error.kind in _HOPELESS:
                raise
            if is_about_pending(error) and not attempt.cleared:
                self._clear(attempt)
                return self._comment_on_file(finding, attempt)
            return error
        attempt.onto_file(finding)
        return None

    def _review(self, attempt: ReviewAttempt) -> tuple[Page, str]:
        """The page and the address of the stored review. Raises GitHubError when the last way has failed."""
        attempt.limit = self._outgoing.sent + _MOST_REQUESTS - 1  # one is the look at the head
        while True:
            page = attempt.rendered.body(attempt.placement, attempt.event)
            try:
                return page, self._posted(attempt, page)
            except GitHubError as error:
                if error.kind is not GitHubErrorKind.INVALID or isinstance(error, _MovedOnError):
                    raise
                self._give_way(error, attempt)

    def _posted(self, attempt: ReviewAttempt, page: Page) -> str:
        rendered = attempt.rendered
        request = {
            "commit_id": rendered.head_sha,
            "event": attempt.event.value,
            "body": page.text,
            "comments": [line_comment(finding, rendered) for finding in attempt.placement.inline],
        }

        def again() -> None:
            if why := rendered.hindrance():
                raise _MovedOnError(GitHubErrorKind.INVALID, why)

        return self._outgoing.surely(
            lambda: address(self._outgoing.post(f"pulls/{self._number}/reviews", request, again=again)),
            lambda: self._stored(rendered.marker),
            again,
        )

    def _stored(self, marker: str) -> str | None:
        for review in self._own.reviews():
            submitted = review.text_or("state", "") != ReviewState.PENDING
            if submitted and marker in review.text_or("body", ""):
                return address(review)
        return None

    def _give_way(self, error: GitHubError, attempt: ReviewAttempt) -> None:
        """Changes the attempt to what GitHub may take after it declined. Raises where nothing is left."""
        said = error.message.lower()
        if attempt.event is not ReviewEvent.COMMENT and any(words in said for words in _NOT_OURS_TO_SAY):
            asked = "approval" if attempt.event is ReviewEvent.APPROVE else "request for changes"
            attempt.notes.append(f"GitHub takes no {asked} from this account here: the review is a comment.")
            attempt.event = ReviewEvent.COMMENT
        elif is_about_pending(error):
            if attempt.cleared:
                raise foreign_pending() from error
            self._clear(attempt)
        else:
            self._look_at_head(attempt)
            if _TOO_QUICKLY in said or not attempt.placement.inline:
                raise error
            self._set_aside(error, attempt)

    def _clear(self, attempt: ReviewAttempt) -> None:
        attempt.cleared = True
        attempt.probes.clear()

    def _look_at_head(self, attempt: ReviewAttempt) -> None:
        """Raises where GitHub declines because the pull request is not what was reviewed."""
        if attempt.current:
            return
        now = self._github.pull_request(self._number)
        if now.state != "open":
            message = "The pull request was closed while it was reviewed."
            raise _MovedOnError(GitHubErrorKind.INVALID, message, "Open it again to have it reviewed.")
        if now.head_sha != attempt.rendered.head_sha:
            message = f"The pull request moved on to {now.head_sha[:10]} while it was reviewed."
            raise _MovedOnError(
                GitHubErrorKind.INVALID, message, "The run for the new head reviews it again."
            )
        attempt.current = True

    def _set_aside(self, error: GitHubError, attempt: ReviewAttempt) -> None:
        """Takes one comment that GitHub declines from the lines, or all that it may decline."""
        inline, rendered = attempt.placement.inline, attempt.rendered
        suspects = [finding for finding in inline if finding not in attempt.innocent]

        def hold(asked: Iterable[Finding]) -> bool:
            taken = attempt.probes.hold([line_comment(finding, rendered) for finding in asked])
            attempt.innocent.update(asked if taken else ())
            return taken

        found = offender(suspects, hold, lambda: self._may_ask(attempt)) if suspects else None
        if found is None:
            declined = [finding for finding in inline if finding not in attempt.innocent]
            attempt.into_body(declined or inline)
        elif self._comment_on_file(found, attempt) is not None:
            attempt.into_body([found])
        if not any(note.endswith(error.message) for note in attempt.notes):
            where = "each is on its file or in the review's body"
            attempt.notes.append(f"GitHub declined comments on lines; {where}. {error.message}")

    def _may_ask(self, attempt: ReviewAttempt) -> bool:
        return self._outgoing.sent + COST_OF_A_QUESTION + _TO_END_WITH <= attempt.limit


def _rungs(placement: CommentPlan, page: Page) -> dict[Finding, Destination]:
    where = {
        **dict.fromkeys(placement.inline, Destination.INLINE),
        **dict.fromkeys(placement.on_file, Destination.FILE),
        **dict.fromkeys(placement.in_body, Destination.BODY),
    }
    return {finding: rung for finding, rung in where.items() if finding not in page.counted}
