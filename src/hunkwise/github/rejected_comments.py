"""Comments on files, earlier reviews, and the search for the comments that make GitHub reject a review.

Probing some comments costs one request if GitHub rejects them, and two if it accepts them, because the accepted
review must be deleted before the next probe. So the search splits by Fibonacci numbers, not in halves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from hunkwise.domain.finding import Finding
from hunkwise.domain.pull_request import ReviewState
from hunkwise.domain.review import Destination, ReviewEvent
from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.client import GitHub
from hunkwise.github.writer import OwnPosts, Writer, marker_line
from hunkwise.publish.placement import CommentPlan, ReviewDraft
from hunkwise.redaction import SecretScan


class FileComments:
    """Posts comments on files of one pull request, at one head commit."""

    def __init__(self, writer: Writer, own: OwnPosts, number: int, head_sha: str) -> None:
        self._writer = writer
        self._own = own
        self._path = f"pulls/{number}/comments"
        self._head_sha = head_sha

    def post(self, path: str, text: str) -> None:
        """Comments on the file. The last line of `text` must be unique on that file. Raises GitHubError."""
        comment = {"body": text, "path": path, "subject_type": "file", "commit_id": self._head_sha}
        self._writer.surely(
            lambda: self._writer.post(self._path, comment).number("id"), lambda: self._find_stored(path, text)
        )

    def _find_stored(self, path: str, text: str) -> int | None:
        key = (path, self._head_sha, marker_line(text))
        for comment in self._own.review_comments():
            # GitHub updates `commit_id` with each new head; a comment on another head is a different comment.
            head = comment.text_or("original_commit_id", comment.text_or("commit_id", ""))
            if (comment.text_or("path", ""), head, marker_line(comment.text_or("body", ""))) == key:
                return comment.number("id")
        return None


class OwnReviews:
    """Reviews of one pull request by the token's own account. Methods raise GitHubError."""

    def __init__(
        self,
        github: GitHub,
        number: int,
        scan: SecretScan,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._writer = Writer(github, scan, sleep=sleep)
        self._own = OwnPosts(github, number)
        self._number = number

    def dismiss(self, review_id: int, message: str) -> None:
        """Dismisses a request for changes or an approval, unless it is dismissed already. GitHub shows `message`."""
        path = f"pulls/{self._number}/reviews/{review_id}/dismissals"
        body = {"message": message, "event": "DISMISS"}
        try:
            self._writer.surely(
                lambda: self._writer.put(path, body).number("id"), lambda: self._find_dismissed(review_id)
            )
        except GitHubError as error:
            if error.kind is not GitHubErrorKind.INVALID or self._find_dismissed(review_id) is None:
                raise

    def delete_pending(self, review_id: int) -> None:
        """Deletes a review that was never submitted, if it still exists."""
        delete_pending(self._writer, self._number, review_id)

    def _find_dismissed(self, review_id: int) -> int | None:
        for review in self._own.reviews():
            if review.number("id") == review_id and review.text_or("state", "") == ReviewState.DISMISSED:
                return review_id
        return None


def delete_pending(writer: Writer, number: int, review_id: int) -> None:
    """As `OwnReviews.delete_pending`."""
    try:
        writer.surely(lambda: writer.delete(f"pulls/{number}/reviews/{review_id}").number("id"))
    except GitHubError as error:
        if error.kind is not GitHubErrorKind.NOT_FOUND:
            raise


_MAX_ATTEMPTS = 2


class ProbeReviews:
    """Pending reviews of one run, which test what GitHub accepts. Their body is `marker`, which identifies them."""

    def __init__(self, writer: Writer, own: OwnPosts, number: int, head_sha: str, marker: str) -> None:
        self._writer = writer
        self._own = own
        self._number = number
        self._head_sha = head_sha
        self._marker = marker
        self._open = False

    def accepts(self, comments: Sequence[Mapping[str, Any]]) -> bool:
        """Returns whether GitHub accepts these comments in one review. Raises GitHubError if that stays unknown."""
        body = {"commit_id": self._head_sha, "body": self._marker, "comments": list(comments)}
        for _ in range(_MAX_ATTEMPTS):
            self._open = True
            try:
                review_id = self._writer.surely(lambda: self._create(body), self._find_created)
            except GitHubError as error:
                if error.kind is not GitHubErrorKind.INVALID:
                    raise
                if not is_about_pending(error):
                    self._open = False
                    return False
                self.clear()
            else:
                delete_pending(self._writer, self._number, review_id)
                self._open = False
                return True
        raise pending_review_error()

    def clear(self) -> None:
        """Deletes pending reviews of this and of earlier runs of hunkwise. Raises GitHubError."""
        for review_id in list(self._own.pending(f"{self._marker.partition(' run=')[0]} ")):
            delete_pending(self._writer, self._number, review_id)

    def close(self) -> None:
        """Deletes this run's pending reviews after a failure, if GitHub allows it. Never raises."""
        if not self._open:
            return
        try:
            for review_id in list(self._own.pending(self._marker)):
                delete_pending(self._writer, self._number, review_id)
        except GitHubError:
            return  # a later run deletes the pending review if it blocks that run
        self._open = False

    def _create(self, body: Mapping[str, Any]) -> int:
        return self._writer.post(f"pulls/{self._number}/reviews", body).number("id")

    def _find_created(self) -> int | None:
        return next(self._own.pending(self._marker), None)


def is_about_pending(error: GitHubError) -> bool:
    """Returns whether GitHub rejected the request because the account has an unsubmitted review."""
    return error.kind is GitHubErrorKind.INVALID and "pending review" in error.message.lower()


def pending_review_error() -> GitHubError:
    """Returns the error for a pending review that hunkwise did not begin and must not delete."""
    return GitHubError(
        GitHubErrorKind.INVALID,
        "The token's account has a pending review on this pull request that hunkwise did not begin, and GitHub "
        "takes no second one.",
        "Submit or discard that review, or give hunkwise the token of an account of its own.",
    )


@dataclass
class ReviewAttempt:
    """The state of the attempts to post one review."""

    rendered: ReviewDraft
    probes: ProbeReviews
    files: FileComments
    placement: CommentPlan
    event: ReviewEvent
    notes: list[str] = field(default_factory=list)
    innocent: set[Finding] = field(default_factory=set)
    """Findings whose comments on lines GitHub is known to accept."""
    current: bool = False
    """The pull request was checked: it is open and its head is unchanged."""
    cleared: bool = False
    """Pending reviews of earlier runs were deleted."""
    limit: int = 0
    """The value of `Writer.sent` that the attempts must not exceed."""

    def move_to_file(self, finding: Finding) -> None:
        inline = tuple(other for other in self.placement.inline if other != finding)
        on_file = (*self.placement.on_file, finding)
        self.placement = replace(self.placement, inline=inline, on_file=on_file)

    def move_to_body(self, findings: Iterable[Finding]) -> None:
        moved = tuple(findings)
        inline = tuple(finding for finding in self.placement.inline if finding not in moved)
        in_body = (*self.placement.in_body, *moved)
        self.placement = replace(self.placement, inline=inline, in_body=in_body)


def line_comment(finding: Finding, rendered: ReviewDraft) -> dict[str, Any]:
    """Returns the comment as an element of `comments` in GitHub's request for a review."""
    anchor = finding.anchor
    assert anchor is not None  # `place` puts only findings with an anchor inline
    position: dict[str, Any] = {"path": anchor.path, "line": anchor.line, "side": anchor.side.value}
    if anchor.start_line is not None:
        position |= {"start_line": anchor.start_line, "start_side": anchor.side.value}
    return {**position, "body": rendered.comment(finding, Destination.INLINE)}


_T = TypeVar("_T")

REQUESTS_PER_PROBE = 2
"""At most."""


def offender(
    suspects: Sequence[_T], holds: Callable[[Sequence[_T]], bool], may_ask: Callable[[], bool]
) -> _T | None:
    """Returns one suspect that GitHub rejects; None if `may_ask` forbids a further probe before it is found.

    `suspects` must contain at least one offender. If `holds` returns true, all its suspects are innocent.
    """
    while len(suspects) > 1:
        if not may_ask():
            return None
        size = _probe_size(len(suspects))
        probed, rest = suspects[:size], suspects[size:]
        suspects = rest if holds(probed) else probed
    return suspects[0]


def _probe_size(count: int) -> int:
    """Returns the smallest number of suspects per probe for which the worst case costs the fewest requests."""
    reachable, cheaper = 1, 1  # suspects that can be searched with the requests so far, and with one less
    while reachable < count:
        reachable, cheaper = reachable + cheaper, reachable
    # An accepted probe costs two requests, so the rest must be searchable with two requests less.
    return max(1, count - (reachable - cheaper))
