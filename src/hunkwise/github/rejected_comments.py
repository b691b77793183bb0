"""Comments on files, earlier reviews, and the search for the comments for which GitHub declines a review.

To try some comments costs one request where GitHub declines them, and two where it accepts them, because what it
accepted must be deleted before the next try. So the parts are Fibonacci numbers, not halves.
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
    """Posts to one pull request, on the files of one head."""

    def __init__(self, outgoing: Writer, own: OwnPosts, number: int, head_sha: str) -> None:
        self._outgoing = outgoing
        self._own = own
        self._path = f"pulls/{number}/comments"
        self._head_sha = head_sha

    def post(self, path: str, text: str) -> None:
        """Comments on the file. The last line of `text` must tell it from others there. Raises GitHubError."""
        comment = {"body": text, "path": path, "subject_type": "file", "commit_id": self._head_sha}
        self._outgoing.surely(
            lambda: self._outgoing.post(self._path, comment).number("id"), lambda: self._stored(path, text)
        )

    def _stored(self, path: str, text: str) -> int | None:
        wanted = (path, self._head_sha, marker_line(text))
        for said in self._own.review_comments():
            # `commit_id` moves along with the head; what was said on another head is another comment.
            head = said.text_or("original_commit_id", said.text_or("commit_id", ""))
            if (said.text_or("path", ""), head, marker_line(said.text_or("body", ""))) == wanted:
                return said.number("id")
        return None


class OwnReviews:
    """The reviews of one pull request that the token's own account wrote. Methods raise GitHubError."""

    def __init__(
        self,
        github: GitHub,
        number: int,
        scan: SecretScan,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._outgoing = Writer(github, scan, sleep=sleep)
        self._own = OwnPosts(github, number)
        self._number = number

    def dismiss(self, review_id: int, message: str) -> None:
        """Takes a request for changes or an approval back. `message` is shown; one that is dismissed stays so."""
        path = f"pulls/{self._number}/reviews/{review_id}/dismissals"
        body = {"message": message, "event": "DISMISS"}
        try:
            self._outgoing.surely(
                lambda: self._outgoing.put(path, body).number("id"), lambda: self._dismissed(review_id)
            )
        except GitHubError as error:
            if error.kind is not GitHubErrorKind.INVALID or self._dismissed(review_id) is None:
                raise

    def delete_pending(self, review_id: int) -> None:
        """Deletes a review that was never submitted; one that is gone is gone."""
        delete_pending(self._outgoing, self._number, review_id)

    def _dismissed(self, review_id: int) -> int | None:
        for review in self._own.reviews():
            if review.number("id") == review_id and review.text_or("state", "") == ReviewState.DISMISSED:
                return review_id
        return None


def delete_pending(outgoing: Writer, number: int, review_id: int) -> None:
    """As `Reviews.delete_pending`."""
    try:
        outgoing.surely(lambda: outgoing.delete(f"pulls/{number}/reviews/{review_id}").number("id"))
    except GitHubError as error:
        if error.kind is not GitHubErrorKind.NOT_FOUND:
            raise


_MOST_ATTEMPTS = 2


class ProbeReviews:
    """The pending reviews of one run. `marker` is their whole body, by which they are known again."""

    def __init__(self, outgoing: Writer, own: OwnPosts, number: int, head_sha: str, marker: str) -> None:
        self._outgoing = outgoing
        self._own = own
        self._number = number
        self._head_sha = head_sha
        self._marker = marker
        self._open = False

    def hold(self, comments: Sequence[Mapping[str, Any]]) -> bool:
        """Whether GitHub takes them, all together. Raises GitHubError where that cannot be found out."""
        body = {"commit_id": self._head_sha, "body": self._marker, "comments": list(comments)}
        for _ in range(_MOST_ATTEMPTS):
            self._open = True
            try:
                review_id = self._outgoing.surely(lambda: self._begin(body), self._begun)
            except GitHubError as error:
                if error.kind is not GitHubErrorKind.INVALID:
                    raise
                if not is_about_pending(error):
                    self._open = False
                    return False
                self.clear()
            else:
                delete_pending(self._outgoing, self._number, review_id)
                self._open = False
                return True
        raise foreign_pending()

    def clear(self) -> None:
        """Deletes what a run of ours, this or another one, left pending. Raises GitHubError."""
        for review_id in list(self._own.pending(f"{self._marker.partition(' run=')[0]} ")):
            delete_pending(self._outgoing, self._number, review_id)

    def close(self) -> None:
        """Sees to it that nothing is left pending after a failure, as far as GitHub lets it. Never raises."""
        if not self._open:
            return
        try:
            for review_id in list(self._own.pending(self._marker)):
                delete_pending(self._outgoing, self._number, review_id)
        except GitHubError:
            return  # a later run that it stands in the way of deletes it
        self._open = False

    def _begin(self, body: Mapping[str, Any]) -> int:
        return self._outgoing.post(f"pulls/{self._number}/reviews", body).number("id")

    def _begun(self) -> int | None:
        return next(self._own.pending(self._marker), None)


def is_about_pending(error: GitHubError) -> bool:
    """Whether GitHub declined because the account has begun a review that it did not submit."""
    return error.kind is GitHubErrorKind.INVALID and "pending review" in error.message.lower()


def foreign_pending() -> GitHubError:
    """What to say where the pending review is not ours to delete."""
    return GitHubError(
        GitHubErrorKind.INVALID,
        "The token's account has a pending review on this pull request that hunkwise did not begin, and GitHub "
        "takes no second one.",
        "Submit or discard that review, or give hunkwise the token of an account of its own.",
    )


@dataclass
class ReviewAttempt:
    """What was tried so far."""

    rendered: ReviewDraft
    probes: ProbeReviews
    files: FileComments
    placement: CommentPlan
    event: ReviewEvent
    notes: list[str] = field(default_factory=list)
    innocent: set[Finding] = field(default_factory=set)
    """Comments on lines that GitHub is known to take."""
    current: bool = False
    """The head was seen to be where it was."""
    cleared: bool = False
    """Reviews that an earlier run left pending were deleted."""
    limit: int = 0
    """How many writes may have been tried when the review stands."""

    def onto_file(self, finding: Finding) -> None:
        inline = tuple(other for other in self.placement.inline if other != finding)
        on_file = (*self.placement.on_file, finding)
        self.placement = replace(self.placement, inline=inline, on_file=on_file)

    def into_body(self, moved: Iterable[Finding]) -> None:
        gone = tuple(moved)
        inline = tuple(finding for finding in self.placement.inline if finding not in gone)
        in_body = (*self.placement.in_body, *gone)
        self.placement = replace(self.placement, inline=inline, in_body=in_body)


def line_comment(finding: Finding, rendered: ReviewDraft) -> dict[str, Any]:
    """The comment as an element of `comments` of GitHub's reviews."""
    anchor = finding.anchor
    assert anchor is not None  # `place` puts nothing else inline
    place: dict[str, Any] = {"path": anchor.path, "line": anchor.line, "side": anchor.side.value}
    if anchor.start_line is not None:
        place |= {"start_line": anchor.start_line, "start_side": anchor.side.value}
    return {**place, "body": rendered.comment(finding, Destination.INLINE)}


_T = TypeVar("_T")

COST_OF_A_QUESTION = 2
"""Requests, at the most."""


def offender(
    suspects: Sequence[_T], holds: Callable[[Sequence[_T]], bool], may_ask: Callable[[], bool]
) -> _T | None:
    """One that GitHub declines; None where no further question may be asked before it is found.

    `suspects` must hold at least one offender. Where `holds` says yes, all that it was asked about are innocent.
    """
    while len(suspects) > 1:
        if not may_ask():
            return None
        size = _asked_at_once(len(suspects))
        asked, rest = suspects[:size], suspects[size:]
        suspects = rest if holds(asked) else asked
    return suspects[0]


def _asked_at_once(count: int) -> int:
    """The fewest to ask about with which the worst case stays the least."""
    dearer, cheaper = 1, 1  # how many suspects can be told apart at the cost so far, and at one request less
    while dearer < count:
        dearer, cheaper = dearer + cheaper, dearer
    # A yes costs two, so what is not asked about must be as few as two requests less can tell apart.
    return max(1, count - (dearer - cheaper))
