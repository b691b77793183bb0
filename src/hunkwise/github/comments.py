"""Writes the summary comment, and answers and resolves threads."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hunkwise.domain.pull_request import Comment, Thread
from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.client import GitHub
from hunkwise.github.responses import GraphqlResponse, JsonValue
from hunkwise.github.writer import OwnPosts, Writer, address, marker_line
from hunkwise.redaction import SecretScan
from hunkwise.tracking.markers import fixed_marker, is_fixed


class SummaryComments:
    """Writes comments of ours on one pull request. Methods raise GitHubError."""

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

    def save(self, body: str, comment_id: int | None) -> Comment:
        """Puts `body` into the comment, or into a new one where there is none any more.

        The body's last line must tell it from every other comment, as the line with the state does.
        """
        if comment_id is not None:
            try:
                return self._edited(body, comment_id)
            except GitHubError as error:
                if error.kind is not GitHubErrorKind.NOT_FOUND:
                    raise
        path = f"issues/{self._number}/comments"
        return self._outgoing.surely(
            lambda: _comment(self._outgoing.post(path, {"body": body})), lambda: self._stored(body)
        )

    def delete(self, comment_id: int) -> None:
        """Deletes a comment of ours; one that is gone is gone."""
        try:
            self._outgoing.surely(lambda: self._outgoing.delete(f"issues/comments/{comment_id}"))
        except GitHubError as error:
            if error.kind is not GitHubErrorKind.NOT_FOUND:
                raise

    def _edited(self, body: str, comment_id: int) -> Comment:
        path = f"issues/comments/{comment_id}"
        return self._outgoing.surely(lambda: _comment(self._outgoing.patch(path, {"body": body})))

    def _stored(self, body: str) -> Comment | None:
        known = marker_line(body)
        return next(
            (
                _comment(said)
                for said in self._own.comments()
                if marker_line(said.text_or("body", "")) == known
            ),
            None,
        )


def _comment(said: JsonValue) -> Comment:
    return Comment(said.number("id"), said.text_or("body", ""), address(said))


MOST_THREADS = 100
"""Closed in one run; the next one goes on."""
_AT_ONCE = 10
_BODY_LIMIT = 65_536
# GitHub lets a workflow's token resolve only where it may also write contents.
_REFUSED = (GitHubErrorKind.FORBIDDEN, GitHubErrorKind.NOT_FOUND, GitHubErrorKind.INVALID)
_ONLY_HERE = (GitHubErrorKind.NOT_FOUND, GitHubErrorKind.INVALID)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClosedThreads:
    """How many threads were resolved, edited to say that they are fixed, and left as they were."""

    resolved: int = 0
    edited: int = 0
    left: int = 0
    notes: tuple[str, ...] = ()


@dataclass
class _Closing:
    """What is to be done, and what was done so far."""

    head_sha: str
    answer: bool
    resolved: int = 0
    edited: int = 0
    left: int = 0
    notes: list[str] = field(default_factory=list)
    refused: list[Thread] = field(default_factory=list)
    """Those that GraphQL is known not to have resolved."""

    def leave(self, threads: Sequence[Thread], why: str) -> None:
        self.left += len(threads)
        if threads and why not in self.notes:
            self.notes.append(why)

    def is_to_answer(self, thread: Thread) -> bool:
        return self.answer and not any(reply.ours and is_fixed(reply.body) for reply in thread.replies)


class Threads:
    """Closes threads of one repository."""

    def __init__(
        self, github: GitHub, scan: SecretScan, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._outgoing = Writer(github, scan, sleep=sleep)

    def close(self, threads: Sequence[Thread], head_sha: str, *, answer: bool = True) -> ClosedThreads:
        """Touches only open threads of ours. Never raises GitHubError, and repeats nothing: the next run sees
        what is left.

        `answer` must be false while our account has a pending review: GitHub would make the answers a part of it.
        """
        ours = [thread for thread in threads if thread.ours and not thread.resolved]
        now = ours[:MOST_THREADS]
        closing = _Closing(head_sha, answer, refused=[thread for thread in now if not thread.id])
        closing.leave(ours[MOST_THREADS:], f"No more than {MOST_THREADS} threads are closed in one run.")
        self._resolve([thread for thread in now if thread.id], closing)
        self._edit(closing.refused, closing)
        return ClosedThreads(closing.resolved, closing.edited, closing.left, tuple(closing.notes))

    def _resolve(self, threads: Sequence[Thread], closing: _Closing) -> None:
        for start in range(0, len(threads), _AT_ONCE):
            batch, rest = threads[start : start + _AT_ONCE], threads[start + _AT_ONCE :]
            try:
                said = self._ask(batch, closing)
            except GitHubError as error:
                _log.warning("Threads could not be resolved: %s", error)
                if error.kind in _REFUSED:
                    closing.refused += [*batch, *rest]
                else:
                    closing.leave([*batch, *rest], f"Threads were not resolved: {error.message}")
                return
            before = closing.resolved
            refusals = _judge(batch, said, closing)
            if closing.resolved == before and refusals == {GitHubErrorKind.FORBIDDEN}:
                closing.refused += rest
                return

    def _ask(self, batch: Sequence[Thread], closing: _Closing) -> GraphqlResponse:
        """Each thread's answer and its resolution, under aliases: GitHub runs them one after the other."""
        declared, steps = [], []
        variables: dict[str, object] = {}
        answers = 0
        for place, thread in enumerate(batch):
            variables[f"t{place}"] = thread.id
            declared.append(f"$t{place}: ID!")
            aim = f"{{threadId: $t{place}}}"
            # First: an answer without the resolution would look like a thread that somebody opened again.
            steps.append(f"c{place}: resolveReviewThread(input: {aim}) {{ thread {{ isResolved }} }}")
            if closing.is_to_answer(thread):
                told = f"{{pullRequestReviewThreadId: $t{place}, body: $said}}"
                steps.append(
                    f"r{place}: addPullRequestReviewThreadReply(input: {told}) {{ comment {{ id }} }}"
                )
                answers += 1
        if answers:
            variables["said"] = f"Fixed in {closing.head_sha}.\n\n{fixed_marker(closing.head_sha)}"
            declared.append("$said: String!")
        document = f"mutation({', '.join(declared)}) {{\n" + "\n".join(steps) + "\n}"
        return self._outgoing.mutation(document, variables, writes=max(1, answers))

    def _edit(self, threads: Sequence[Thread], closing: _Closing) -> None:
        head = f"**Fixed in {closing.head_sha}.**\n\n{fixed_marker(closing.head_sha)}\n\n"
        for place, thread in enumerate(threads):
            if is_fixed(thread.body):
                closing.edited += 1
                continue
            body = head + thread.body
            if not thread.comment_id or len(body) > _BODY_LIMIT:
                closing.leave([thread], "A thread that was fixed could be neither resolved nor edited.")
                continue
            try:
                self._outgoing.patch(f"pulls/comments/{thread.comment_id}", {"body": body})
            except GitHubError as error:
                _log.warning("A comment could not be edited: %s", error)
                only_here = error.kind in _ONLY_HERE
                left = [thread] if only_here else threads[place:]
                closing.leave(left, f"Threads that were fixed stay open: {error.message}")
                if not only_here:
                    return
            else:
                closing.edited += 1


def _judge(batch: Sequence[Thread], said: GraphqlResponse, closing: _Closing) -> set[GitHubErrorKind]:
    """Notes the outcome of each thread; why some were refused."""
    refusals: set[GitHubErrorKind] = set()
    for place, thread in enumerate(batch):
        error = said.fault_at(f"c{place}")
        if said.data.at(f"c{place}").truth("thread.isResolved"):
            closing.resolved += 1
        elif error is not None and error.kind in _REFUSED:
            closing.refused.append(thread)
            refusals.add(error.kind)
        else:
            why = error.message if error else "GitHub did not say whether it did so."
            closing.leave([thread], f"Threads were not resolved: {why}")
    return refusals
