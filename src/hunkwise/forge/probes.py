"""Asks GitHub whether it would take comments, by pending reviews: nobody but their author ever sees one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hunkwise.errors import ForgeError, ForgeKind
from hunkwise.forge.outgoing import Outgoing
from hunkwise.forge.own import OwnWords
from hunkwise.forge.reviews import delete_pending

_MOST_ATTEMPTS = 2


class Probes:
    """The pending reviews of one run. `marker` is their whole body, by which they are known again."""

    def __init__(self, outgoing: Outgoing, own: OwnWords, number: int, head_sha: str, marker: str) -> None:
        self._outgoing = outgoing
        self._own = own
        self._number = number
        self._head_sha = head_sha
        self._marker = marker
        self._open = False

    def hold(self, comments: Sequence[Mapping[str, Any]]) -> bool:
        """Whether GitHub takes them, all together. Raises ForgeError where that cannot be found out."""
        body = {"commit_id": self._head_sha, "body": self._marker, "comments": list(comments)}
        for _ in range(_MOST_ATTEMPTS):
            self._open = True
            try:
                review_id = self._outgoing.surely(lambda: self._begin(body), self._begun)
            except ForgeError as error:
                if error.kind is not ForgeKind.INVALID:
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
        """Deletes what a run of ours, this or another one, left pending. Raises ForgeError."""
        for review_id in list(self._own.pending(f"{self._marker.partition(' run=')[0]} ")):
            delete_pending(self._outgoing, self._number, review_id)

    def close(self) -> None:
        """Sees to it that nothing is left pending after a failure, as far as GitHub lets it. Never raises."""
        if not self._open:
            return
        try:
            for review_id in list(self._own.pending(self._marker)):
                delete_pending(self._outgoing, self._number, review_id)
        except ForgeError:
            return  # a later run that it stands in the way of deletes it
        self._open = False

    def _begin(self, body: Mapping[str, Any]) -> int:
        return self._outgoing.post(f"pulls/{self._number}/reviews", body).number("id")

    def _begun(self) -> int | None:
        return next(self._own.pending(self._marker), None)


def is_about_pending(error: ForgeError) -> bool:
    """Whether GitHub declined because the account has begun a review that it did not submit."""
    return error.kind is ForgeKind.INVALID and "pending review" in error.message.lower()


def foreign_pending() -> ForgeError:
    """What to say where the pending review is not ours to delete."""
    return ForgeError(
        ForgeKind.INVALID,
        "The token's account has a pending review on this pull request that hunkwise did not begin, and GitHub "
        "takes no second one.",
        "Submit or discard that review, or give hunkwise the token of an account of its own.",
    )
