"""The summary comment as the sign that a review is under way, where the token may not write check runs."""

from __future__ import annotations

from typing import Protocol

from hunkwise.domain.conversation import Comment, Conversation
from hunkwise.publish.state import claimed_by, summary_comments
from hunkwise.publish.summary_comment import claim_comment


class SummaryComments(Protocol):
    """Our comment in the conversation; see forge.comments. Both raise ForgeError."""

    def save(self, body: str, comment_id: int | None) -> Comment: ...

    def delete(self, comment_id: int) -> None: ...


class Claim:
    """One run's claim on one head."""

    def __init__(self, comments: SummaryComments, run: str, before: Conversation | None) -> None:
        """`before` is the conversation as it was when the run began."""
        said = summary_comments(before.comments) if before else ()
        self._comments = comments
        self._run = run
        self._previous = said[-1] if said else None
        self._taken: Comment | None = None

    def take(self, head_sha: str) -> None:
        """Says in the comment that this run is at work. Raises ForgeError."""
        previous = self._previous
        body = claim_comment(previous.body if previous else None, head_sha, self._run)
        self._taken = self._comments.save(body, previous.id if previous else None)

    def lost(self, conversation: Conversation) -> bool:
        """Whether a newer run has made the comment its own."""
        said = summary_comments(conversation.comments)
        by = claimed_by(said[-1].body) if said else ""
        return self._taken is not None and by not in ("", self._run)

    def release(self) -> None:
        """Puts back what stood there before, where the run ends without a summary. Raises ForgeError."""
        if self._taken is None:
            return
        if self._previous is None:
            self._comments.delete(self._taken.id)
        else:
            self._comments.save(self._previous.body, self._previous.id)
        self._taken = None
