"""Reads a comment with a command, reacts and replies to it once, and resolves or reopens its thread."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from hunkwise.domain.diff import Side
from hunkwise.domain.pull_request import Comment
from hunkwise.domain.text import joined
from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.accounts import GHOST, account_of, has_write_access
from hunkwise.github.responses import REFUSED, JsonValue, malformed_response_error
from hunkwise.github.writer import Writer, marker_line, posted_comment
from hunkwise.tracking.markers import reply_marker

ReactionContent = Literal["eyes", "rocket", "confused"]

_EDITED = "query($id: ID!) { node(id: $id) { __typename ... on Comment { lastEditedAt } } }"
_RESOLVE_PERMISSION = (
    "A workflow's token can resolve and reopen threads only with `permissions: contents: write`."
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CommandComment:
    """A comment that may have a command, as it is now. `login` and `body` are untrusted text."""

    id: int
    body: str
    login: str
    is_person: bool
    """Written by a person: not by an app, by an app with a person's token, or by an account that was deleted.

    GitHub does not report the app for comments in threads.
    """
    created_at: str
    """In GitHub's format: `2026-01-02T03:04:05Z`."""
    edited: bool
    """Edited after it was posted, or GitHub does not say whether it was."""
    url: str
    thread_comment_id: int = 0
    """REST's id of the thread's first comment, as in `Thread.comment_id`; 0 if it is not in a thread."""
    path: str = ""
    """The thread's file; empty if it is not in a thread."""
    line: int | None = None
    """The line that GitHub shows the thread on; None if it is on the file, or its lines are not in the diff."""
    side: Side = Side.RIGHT


class CommandComments:
    """The comments with commands on one pull request or issue, and our replies. All methods raise GitHubError.

    The kind is LOCKED where the conversation is locked, and FORBIDDEN where the token is read-only.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def read(self, comment_id: int, in_thread: bool) -> CommandComment | None:
        """Reads a comment; None if it was deleted, or is on another pull request or issue than the writer's.

        `in_thread`: it is on lines or on a file, not in the conversation.
        """
        parent = "pulls" if in_thread else "issues"
        try:
            entry = self._writer.get(f"{parent}/comments/{comment_id}")
        except GitHubError as error:
            if error.kind is not GitHubErrorKind.NOT_FOUND:
                raise
            return None
        if entry.number("id") != comment_id:
            raise malformed_response_error(entry.request, "it is another comment")
        parent_url = entry.text("pull_request_url" if in_thread else "issue_url")
        if not parent_url.endswith(f"/{parent}/{self._writer.number}"):
            return None
        return self._comment(entry, in_thread)

    def may_write(self, login: str) -> bool:
        """Reads whether the user has write access now; false if there is no such user."""
        github = self._writer.github
        try:
            return has_write_access(github.connection, github.repository, login)
        except GitHubError as error:
            if error.kind is not GitHubErrorKind.NOT_FOUND:
                raise
            return False

    def react(self, comment: CommandComment, content: ReactionContent) -> None:
        """Adds a reaction, which may already exist."""
        parent = "pulls" if comment.thread_comment_id else "issues"
        path = f"{parent}/comments/{comment.id}/reactions"
        stored = self._writer.surely(lambda: _reaction(self._writer.post(path, {"content": content})))
        account = account_of(stored)
        if account.login:  # saves the two requests that read an app's account
            self._writer.github.account = account

    def own_reply(self, comment: CommandComment) -> bool:
        """Returns whether we have replied to the comment."""
        return next(self._own_replies(comment), None) is not None

    def reply(self, comment: CommandComment, body: str) -> Comment:
        """Posts a reply with its marker, in the thread or the conversation, and returns it.

        If another run replied at the same time, the first reply stays and is returned, and ours is deleted.
        """
        path = f"issues/{self._writer.number}/comments"
        if comment.thread_comment_id:
            # GitHub supports replies to a thread's first comment only.
            path = f"pulls/{self._writer.number}/comments/{comment.thread_comment_id}/replies"
        text = joined((body, reply_marker(comment.id)))
        posted = self._writer.surely(
            lambda: posted_comment(self._writer.post(path, {"body": text})),
            lambda: next(self._own_replies(comment), None),
        )
        try:
            return self._keep_first(comment, posted)
        except GitHubError as error:
            _log.warning("It is not known whether another run replied as well: %s", error)
            return posted

    def resolve(self, thread_id: str) -> None:
        """Resolves a thread, by GraphQL's id. A thread that is resolved stays so."""
        self._set_resolved(thread_id, "resolveReviewThread", resolved=True)

    def unresolve(self, thread_id: str) -> None:
        """Reopens a thread, by GraphQL's id. A thread that is open stays so."""
        self._set_resolved(thread_id, "unresolveReviewThread", resolved=False)

    def _comment(self, entry: JsonValue, in_thread: bool) -> CommandComment:
        login = entry.text_or("user.login", GHOST)
        is_user = entry.text_or("user.type", "") == "User" and login != GHOST
        number, created_at = entry.number("id"), entry.text("created_at")
        top = entry.number_or_none("in_reply_to_id")
        on_file = entry.text_or("subject_type", "") == "file"
        return CommandComment(
            id=number,
            body=entry.text_or("body", ""),
            login=login,
            is_person=is_user and entry.at("performed_via_github_app").value is None,
            created_at=created_at,
            edited=entry.text("updated_at") != created_at and self._is_edited(entry.text("node_id")),
            url=entry.text_or("html_url", ""),
            thread_comment_id=(number if top is None else top) if in_thread else 0,
            path=entry.text("path") if in_thread else "",
            line=None if on_file else entry.number_or_none("line"),
            side=Side.LEFT if entry.text_or("side", "") == "LEFT" else Side.RIGHT,
        )

    def _is_edited(self, node_id: str) -> bool:
        """Reads whether a comment was edited: publishing a review also updates its comments."""
        try:
            node = self._writer.github.connection.graphql(_EDITED, {"id": node_id}).at("node")
        except GitHubError as error:
            if error.kind not in REFUSED:
                raise
            return True
        node.text("__typename")
        return node.at("lastEditedAt").value is not None

    def _own_replies(self, comment: CommandComment) -> Iterator[Comment]:
        """Yields our replies to the comment, oldest first."""
        writer, marker = self._writer, reply_marker(comment.id)
        own = writer.own_review_comments if comment.thread_comment_id else writer.own_comments
        for entry in own(comment.created_at):
            if marker_line(entry.text_or("body", "")) == marker:
                yield posted_comment(entry)

    def _keep_first(self, comment: CommandComment, posted: Comment) -> Comment:
        """Returns the first of our replies. Deletes `posted` if it is another one."""
        replies = {reply.id: reply for reply in self._own_replies(comment)}
        if posted.id not in replies or posted.id == min(replies):
            return posted
        parent = "pulls" if comment.thread_comment_id else "issues"
        self._writer.delete(f"{parent}/comments/{posted.id}")
        return replies[min(replies)]

    def _set_resolved(self, thread_id: str, mutation: str, *, resolved: bool) -> None:
        document = (
            f"mutation($id: ID!) {{ {mutation}(input: {{threadId: $id}}) {{ thread {{ isResolved }} }} }}"
        )
        try:
            answer = self._writer.surely(
                lambda: self._writer.mutation(document, {"id": thread_id}, writes=1).whole
            )
        except GitHubError as error:
            if error.kind is not GitHubErrorKind.FORBIDDEN:
                raise
            raise GitHubError(error.kind, error.message, _RESOLVE_PERMISSION) from error
        if answer.certain(f"{mutation}.thread.isResolved") is not resolved:
            raise malformed_response_error(answer.request, f"`{mutation}` had no effect")


def _reaction(entry: JsonValue) -> JsonValue:
    """Returns a stored reaction. Raises GitHubError if the value is none."""
    entry.number("id")
    return entry
