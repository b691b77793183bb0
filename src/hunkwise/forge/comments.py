"""The one summary comment in a pull request's conversation: written once, then edited in place."""

from __future__ import annotations

import time
from collections.abc import Callable

from hunkwise.domain.conversation import Comment
from hunkwise.errors import ForgeError, ForgeKind
from hunkwise.forge.client import GitHub
from hunkwise.forge.outgoing import Outgoing
from hunkwise.forge.own import OwnWords, address, last_line
from hunkwise.forge.shapes import Shape
from hunkwise.publish.secrets import SecretScan


class SummaryComments:
    """Writes comments of ours on one pull request. Methods raise ForgeError."""

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

    def save(self, body: str, comment_id: int | None) -> Comment:
        """Puts `body` into the comment, or into a new one where there is none any more.

        The body's last line must tell it from every other comment, as the line with the state does.
        """
        if comment_id is not None:
            try:
                return self._edited(body, comment_id)
            except ForgeError as error:
                if error.kind is not ForgeKind.NOT_FOUND:
                    raise
        path = f"issues/{self._number}/comments"
        return self._outgoing.surely(
            lambda: _comment(self._outgoing.post(path, {"body": body})), lambda: self._stored(body)
        )

    def delete(self, comment_id: int) -> None:
        """Deletes a comment of ours; one that is gone is gone."""
        try:
            self._outgoing.surely(lambda: self._outgoing.delete(f"issues/comments/{comment_id}"))
        except ForgeError as error:
            if error.kind is not ForgeKind.NOT_FOUND:
                raise

    def _edited(self, body: str, comment_id: int) -> Comment:
        path = f"issues/comments/{comment_id}"
        return self._outgoing.surely(lambda: _comment(self._outgoing.patch(path, {"body": body})))

    def _stored(self, body: str) -> Comment | None:
        known = last_line(body)
        return next(
            (_comment(said) for said in self._own.comments() if last_line(said.text_or("body", "")) == known),
            None,
        )


def _comment(said: Shape) -> Comment:
    return Comment(said.number("id"), said.text_or("body", ""), address(said))
