"""Reads the conversation of a pull request: by GraphQL, or by REST if GraphQL is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable

from hunkwise.domain.diff import Side
from hunkwise.domain.pull_request import (
    Comment,
    Conversation,
    PostedReview,
    Reply,
    ReviewState,
    Thread,
)
from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.accounts import GHOST, Account, bare, is_bot, rest_trusted
from hunkwise.github.connection import GitHubConnection, TooManyError, entries_of
from hunkwise.github.conversation_graphql import LINKED_ISSUES_FIELD, checks_by_rest, conversation_by_graphql
from hunkwise.github.responses import REFUSED, JsonValue


def conversation_by_rest(
    connection: GitHubConnection,
    repository: str,
    number: int,
    head_sha: str,
    check_name: str,
    viewer: Account,
) -> Conversation:
    """Reads the conversation by REST, which lacks parts of it. Raises GitHubError, TooManyError past 30 pages."""
    root = f"/repos/{repository}"
    pull = connection.get(f"{root}/pulls/{number}")
    review_comments = list(entries_of(connection, f"{root}/pulls/{number}/comments", "review comments"))
    comments = list(entries_of(connection, f"{root}/issues/{number}/comments", "comments"))
    reviews = list(entries_of(connection, f"{root}/pulls/{number}/reviews", "reviews"))
    return Conversation(
        state="merged" if pull.truth("merged") else pull.text("state"),
        head_sha=pull.text("head.sha"),
        viewer=viewer.login,
        author=_author(pull),
        threads=_threads(review_comments, viewer),
        reviews=tuple(_review(entry) for entry in reviews if viewer.wrote(entry)),
        comments=tuple(_comment(entry) for entry in comments if viewer.wrote(entry)),
        check_runs=checks_by_rest(connection, repository, head_sha, check_name),
        rewrites=None,
    )


def _threads(review_comments: list[JsonValue], viewer: Account) -> tuple[Thread, ...]:
    """Groups comments by the comment that they reply to, which may be deleted."""
    by_first: dict[int, list[JsonValue]] = {}
    for entry in review_comments:
        parent = entry.number_or_none("in_reply_to_id")
        by_first.setdefault(entry.number("id") if parent is None else parent, []).append(entry)
    return tuple(_thread(entries, viewer) for entries in by_first.values())


def _thread(entries: list[JsonValue], viewer: Account) -> Thread:
    first, *replies = entries
    on_file = first.text_or("subject_type", "") == "file"
    line = None if on_file else first.number_or_none("line")
    return Thread(
        path=first.text("path"),
        line=line,
        side=Side.LEFT if first.text_or("side", "") == "LEFT" else Side.RIGHT,
        author=_author(first),
        body=first.text("body"),
        outdated=line is None and not on_file,
        comment_id=first.number("id"),
        ours=viewer.wrote(first),
        trusted=rest_trusted(first),
        replies=tuple(_reply(entry, viewer) for entry in replies),
        url=first.text_or("html_url", ""),
        diff_hunk=first.text_or("diff_hunk", ""),
        start_line=None if line is None else first.number_or_none("start_line"),
    )


def _reply(entry: JsonValue, viewer: Account) -> Reply:
    return Reply(
        author=_author(entry),
        body=entry.text("body"),
        ours=viewer.wrote(entry),
        trusted=rest_trusted(entry),
        bot=is_bot(entry),
    )


def _comment(entry: JsonValue) -> Comment:
    return Comment(entry.number("id"), entry.text_or("body", ""), entry.text_or("html_url", ""))


def _review(entry: JsonValue) -> PostedReview:
    word = entry.text("state")
    state = ReviewState(word) if word in ReviewState.__members__ else ReviewState.COMMENTED
    commit, url = entry.text_or("commit_id", ""), entry.text_or("html_url", "")
    return PostedReview(entry.number("id"), state, entry.text_or("body", ""), commit, url)


def _author(entry: JsonValue) -> str:
    return bare(entry.text_or("user.login", GHOST))


_TRY_REST = (*REFUSED, GitHubErrorKind.UNAVAILABLE)
_log = logging.getLogger(__name__)


def read_conversation(
    connection: GitHubConnection,
    repository: str,
    number: int,
    head_sha: str,
    viewer: Callable[[], Account],
    *,
    check_name: str = "hunkwise",
) -> Conversation:
    """Reads the conversation, and the check runs of that name at `head_sha`.

    `viewer` reads the token's account, which only REST needs.

    REST does not report who resolved a thread or gave a 👎, nor how often the head was rewritten. Only
    GraphQL reports the account of an app's token: if it is refused, `viewer` is empty and nothing is ours.
    Raises GitHubError if it cannot be read, and TooManyError if a list is longer than 3,000: with an incomplete
    conversation, comments would be posted again.
    """
    try:
        return _read_by_graphql(connection, repository, number, head_sha, check_name)
    except TooManyError:
        raise
    except GitHubError as error:
        if error.kind not in _TRY_REST:
            raise
        _log.info("The conversation is read by REST, because GraphQL failed: %s", error.message)
        return conversation_by_rest(connection, repository, number, head_sha, check_name, viewer())


def _read_by_graphql(
    connection: GitHubConnection,
    repository: str,
    number: int,
    head_sha: str,
    check_name: str,
) -> Conversation:
    """Reads by GraphQL; retries without the linked issues if the schema of an old server lacks them."""
    try:
        return conversation_by_graphql(connection, repository, number, head_sha, check_name)
    except GitHubError as error:
        if error.kind is not GitHubErrorKind.INVALID or LINKED_ISSUES_FIELD not in error.message:
            raise
    return conversation_by_graphql(connection, repository, number, head_sha, check_name, linked=False)
