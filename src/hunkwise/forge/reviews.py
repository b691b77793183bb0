"""Reviews of ours that were overtaken: dismissed, or deleted while nobody else has seen them."""

from __future__ import annotations

import time
from collections.abc import Callable

from hunkwise.domain.conversation import ReviewState
from hunkwise.errors import ForgeError, ForgeKind
from hunkwise.forge.client import GitHub
from hunkwise.forge.outgoing import Outgoing
from hunkwise.forge.own import OwnWords
from hunkwise.publish.secrets import SecretScan


class Reviews:
    """The reviews of one pull request that the token's own account wrote. Methods raise ForgeError."""

    def __init__(
        self,
        github: GitHub,
        number: int,
        scan: SecretScan,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._outgoing = Outgoing(github, scan, sleep=sleep)
        self._own = OwnWords(github, number)
        self._number = number

    def dismiss(self, review_id: int, message: str) -> None:
        """Takes a request for changes or an approval back. `message` is shown; one that is dismissed stays so."""
        path = f"pulls/{self._number}/reviews/{review_id}/dismissals"
        body = {"message": message, "event": "DISMISS"}
        try:
            self._outgoing.surely(
                lambda: self._outgoing.put(path, body).number("id"), lambda: self._dismissed(review_id)
            )
        except ForgeError as error:
            if error.kind is not ForgeKind.INVALID or self._dismissed(review_id) is None:
                raise

    def delete_pending(self, review_id: int) -> None:
        """Deletes a review that was never submitted; one that is gone is gone."""
        delete_pending(self._outgoing, self._number, review_id)

    def _dismissed(self, review_id: int) -> int | None:
        for review in self._own.reviews():
            if review.number("id") == review_id and review.text_or("state", "") == ReviewState.DISMISSED:
                return review_id
        return None


def delete_pending(outgoing: Outgoing, number: int, review_id: int) -> None:
    """As `Reviews.delete_pending`."""
    try:
        outgoing.surely(lambda: outgoing.delete(f"pulls/{number}/reviews/{review_id}").number("id"))
    except ForgeError as error:
        if error.kind is not ForgeKind.NOT_FOUND:
            raise
