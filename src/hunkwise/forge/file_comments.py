"""Comments on whole files, each posted once."""

from __future__ import annotations

from hunkwise.forge.outgoing import Outgoing
from hunkwise.forge.own import OwnWords, last_line


class FileComments:
    """Posts to one pull request, on the files of one head."""

    def __init__(self, outgoing: Outgoing, own: OwnWords, number: int, head_sha: str) -> None:
        self._outgoing = outgoing
        self._own = own
        self._path = f"pulls/{number}/comments"
        self._head_sha = head_sha

    def post(self, path: str, text: str) -> None:
        """Comments on the file. The last line of `text` must tell it from others there. Raises ForgeError."""
        comment = {"body": text, "path": path, "subject_type": "file", "commit_id": self._head_sha}
        self._outgoing.surely(
            lambda: self._outgoing.post(self._path, comment).number("id"), lambda: self._stored(path, text)
        )

    def _stored(self, path: str, text: str) -> int | None:
        wanted = (path, self._head_sha, last_line(text))
        for said in self._own.review_comments():
            # `commit_id` moves along with the head; what was said on another head is another comment.
            head = said.text_or("original_commit_id", said.text_or("commit_id", ""))
            if (said.text_or("path", ""), head, last_line(said.text_or("body", ""))) == wanted:
                return said.number("id")
        return None
