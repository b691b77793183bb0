"""Writes the summary comment, and replies to and resolves threads."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from hunkwise.domain.limits import BODY_CHARACTERS
from hunkwise.domain.pull_request import Comment, Thread
from hunkwise.domain.text import joined
from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.accounts import bare
from hunkwise.github.graphql import GraphqlResponse
from hunkwise.github.responses import REFUSED
from hunkwise.github.writer import Writer, address, marker_line, posted_comment
from hunkwise.tracking.markers import fixed_marker, is_fixed


class SummaryComments:
    """Writes our summary comment on one pull request, or a comment on one issue. Methods raise GitHubError."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def save(self, body: str, comment_id: int | None) -> Comment:
        """Writes `body` into the comment, or into a new one if the comment no longer exists.

        The body's last line must be unique among all comments, as the line with the state is.
        """
        if comment_id is not None:
            try:
                return self._edit(body, comment_id)
            except GitHubError as error:
                if error.kind is not GitHubErrorKind.NOT_FOUND:
                    raise
        path = f"issues/{self._writer.number}/comments"
        return self._writer.surely(
            lambda: posted_comment(self._writer.post(path, {"body": body})), lambda: self._find_stored(body)
        )

    def delete(self, comment_id: int) -> None:
        """Deletes one of our comments, if it still exists."""
        try:
            self._writer.surely(lambda: self._writer.delete(f"issues/comments/{comment_id}"))
        except GitHubError as error:
            if error.kind is not GitHubErrorKind.NOT_FOUND:
                raise

    def _edit(self, body: str, comment_id: int) -> Comment:
        path = f"issues/comments/{comment_id}"
        return self._writer.surely(lambda: posted_comment(self._writer.patch(path, {"body": body})))

    def _find_stored(self, body: str) -> Comment | None:
        marker = marker_line(body)
        return next(
            (
                posted_comment(entry)
                for entry in self._writer.own_comments()
                if marker_line(entry.text_or("body", "")) == marker
            ),
            None,
        )


MOST_THREADS = 100
"""Threads closed per run; the next run continues."""
_BATCH = 10
_ONE_THREAD = (GitHubErrorKind.NOT_FOUND, GitHubErrorKind.INVALID)
_log = logging.getLogger(__name__)


@dataclass
class _Closing:
    """The state of one call of `Threads.close`."""

    head_sha: str
    answer: bool
    evidence: Mapping[Thread, str]
    notes: list[str] = field(default_factory=list)
    refused: list[Thread] = field(default_factory=list)
    """Threads that GraphQL certainly did not resolve."""

    def leave_unchanged(self, threads: Sequence[Thread], why: str) -> None:
        if threads and why not in self.notes:
            self.notes.append(why)

    def text(self, thread: Thread, opening: str, rest: str = "") -> str:
        """Returns the opening, the evidence that the thread is fixed, the marker and the rest."""
        return joined((opening, self.evidence.get(thread, ""), fixed_marker(self.head_sha), rest))

    def needs_reply(self, thread: Thread) -> bool:
        return self.answer and not any(reply.ours and is_fixed(reply.body) for reply in thread.replies)


class Threads:
    """Closes threads of one repository."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def close(
        self,
        threads: Sequence[Thread],
        head_sha: str,
        *,
        answer: bool = True,
        evidence: Mapping[Thread, str] = MappingProxyType({}),
    ) -> tuple[str, ...]:
        """Closes our threads, and no others; also replies to one that is resolved already. Returns notes.

        Never raises GitHubError, and retries nothing: the next run handles the rest. `answer` must be false while our
        account has a pending review: GitHub would add the replies to it. `evidence` has Markdown for the replies.
        """
        ours = [thread for thread in threads if thread.ours]
        current = ours[:MOST_THREADS]
        closing = _Closing(
            head_sha, answer, evidence, refused=[thread for thread in current if not thread.id]
        )
        closing.leave_unchanged(
            ours[MOST_THREADS:], f"No more than {MOST_THREADS} threads are closed in one run."
        )
        self._resolve([thread for thread in current if thread.id], closing)
        self._mark_fixed(closing.refused, closing)
        return tuple(closing.notes)

    def urls(self, login: str) -> dict[str, str]:
        """Returns the URLs of the newest comments on lines and files that `login` wrote, by their last lines.

        It is one request, for at most 100 comments. Empty if GitHub refuses it: only links are lost.
        """
        query = {"sort": "created", "direction": "desc", "per_page": 100}
        urls: dict[str, str] = {}
        try:
            for entry in self._writer.get(f"pulls/{self._writer.number}/comments", query).objects():
                if bare(entry.text_or("user.login", "")) == login:
                    urls.setdefault(marker_line(entry.text_or("body", "")), address(entry))
        except GitHubError as error:
            _log.info("The new comments were not listed, so the summary has no links to them: %s", error)
        return urls

    def _resolve(self, threads: Sequence[Thread], closing: _Closing) -> None:
        for start in range(0, len(threads), _BATCH):
            batch, rest = threads[start : start + _BATCH], threads[start + _BATCH :]
            try:
                response = self._send(batch, closing)
            except GitHubError as error:
                _log.warning("Threads could not be resolved: %s", error)
                # A workflow's token may resolve threads only with the permission `contents: write`.
                if error.kind in REFUSED:
                    closing.refused += [*batch, *rest]
                else:
                    closing.leave_unchanged([*batch, *rest], f"Threads were not resolved: {error.message}")
                return
            if _record_outcomes(batch, response, closing) == {GitHubErrorKind.FORBIDDEN}:
                closing.refused += rest
                return

    def _send(self, batch: Sequence[Thread], closing: _Closing) -> GraphqlResponse:
        """Sends each thread's resolution and reply in one mutation, with aliases: GitHub runs them in order."""
        declarations, fields = [], []
        variables: dict[str, object] = {}
        replies = 0
        opening = f"Fixed in {closing.head_sha}."
        for index, thread in enumerate(batch):
            variables[f"t{index}"] = thread.id
            declarations.append(f"$t{index}: ID!")
            target = f"{{threadId: $t{index}}}"
            # Resolve first: a reply without the resolution would look like a thread that somebody reopened.
            fields.append(f"c{index}: resolveReviewThread(input: {target}) {{ thread {{ isResolved }} }}")
            if closing.needs_reply(thread):
                reply = f"{{pullRequestReviewThreadId: $t{index}, body: $b{index}}}"
                variables[f"b{index}"] = closing.text(thread, opening)
                declarations.append(f"$b{index}: String!")
                fields.append(
                    f"r{index}: addPullRequestReviewThreadReply(input: {reply}) {{ comment {{ id }} }}"
                )
                replies += 1
        document = f"mutation({', '.join(declarations)}) {{\n" + "\n".join(fields) + "\n}"
        return self._writer.mutation(document, variables, writes=max(1, replies))

    def _mark_fixed(self, threads: Sequence[Thread], closing: _Closing) -> None:
        for index, thread in enumerate(threads):
            if is_fixed(thread.body):
                continue
            body = closing.text(thread, f"**Fixed in {closing.head_sha}.**", thread.body)
            if not thread.comment_id or len(body) > BODY_CHARACTERS:
                closing.leave_unchanged(
                    [thread], "A thread that was fixed could be neither resolved nor edited."
                )
                continue
            try:
                self._writer.patch(f"pulls/comments/{thread.comment_id}", {"body": body})
            except GitHubError as error:
                _log.warning("A comment could not be edited: %s", error)
                only_this = error.kind in _ONE_THREAD
                left = [thread] if only_this else threads[index:]
                closing.leave_unchanged(left, f"Threads that were fixed stay open: {error.message}")
                if not only_this:
                    return


def _record_outcomes(
    batch: Sequence[Thread], response: GraphqlResponse, closing: _Closing
) -> set[GitHubErrorKind | None]:
    """Records the outcome of each thread. Returns the kinds of the refusals, with None if any was resolved."""
    refusals: set[GitHubErrorKind | None] = set()
    for index, thread in enumerate(batch):
        error = response.fault_at(f"c{index}")
        if response.data.at(f"c{index}").truth("thread.isResolved"):
            refusals.add(None)
        elif error is not None and error.kind in REFUSED:
            closing.refused.append(thread)
            refusals.add(error.kind)
        else:
            why = error.message if error else "GitHub did not say whether it did so."
            closing.leave_unchanged([thread], f"Threads were not resolved: {why}")
    return refusals
