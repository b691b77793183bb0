"""Reads the conversation of a pull request: GraphQL first, REST where it is refused."""

from __future__ import annotations

import logging
from dataclasses import replace
from urllib.parse import quote

from hunkwise.domain.diff import Side
from hunkwise.domain.pull_request import (
    Comment,
    Conversation,
    Known,
    PostedReview,
    Reply,
    ReviewState,
    Thread,
)
from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.accounts import GHOST, Account, bare, is_bot, rest_trusted, rest_writers
from hunkwise.github.blob_lookup import BlobLookup
from hunkwise.github.connection import GitHubConnection, TooManyError, entries_of
from hunkwise.github.conversation_graphql import FIELD, checks_by_rest, conversation_by_graphql
from hunkwise.github.responses import JsonValue

_HIDDEN = (GitHubErrorKind.FORBIDDEN, GitHubErrorKind.NOT_FOUND, GitHubErrorKind.INVALID)
_WHO = "query { viewer { login } }"


def conversation_by_rest(
    connection: GitHubConnection, repository: str, number: int, head_sha: str, check_name: str
) -> Conversation:
    """The conversation, as far as REST tells it. Raises GitHubError, TooManyError past 30 pages of a list."""
    root = f"/repos/{repository}"
    pull = connection.get(f"{root}/pulls/{number}")
    viewer = _viewer(connection)
    said = list(entries_of(connection, f"{root}/pulls/{number}/comments", "review comments"))
    comments = list(entries_of(connection, f"{root}/issues/{number}/comments", "comments"))
    reviews = list(entries_of(connection, f"{root}/pulls/{number}/reviews", "reviews"))
    return Conversation(
        state="merged" if pull.truth("merged") else pull.text("state"),
        head_sha=pull.text("head.sha"),
        viewer=viewer.login,
        author=_author(pull),
        author_trusted=rest_trusted(pull),
        threads=_threads(said, viewer),
        reviews=tuple(_review(entry) for entry in reviews if viewer.wrote(entry)),
        comments=tuple(_comment(entry) for entry in comments if viewer.wrote(entry)),
        check_runs=checks_by_rest(connection, repository, head_sha, check_name),
        rewrites=None,
        writers=rest_writers([pull, *said, *comments, *reviews]),
    )


def _viewer(connection: GitHubConnection) -> Account:
    """The token's own account: people's have one REST call, and GraphQL knows an app's.

    Raises GitHubError where it can only not be asked now: to know nothing of what we said would repeat it.
    """
    try:
        me = connection.get("/user")
        return Account(bare(me.text("login")), bot=me.text_or("type", "") == "Bot")
    except GitHubError as error:
        if error.kind not in _HIDDEN:
            raise
    try:
        return Account(bare(connection.graphql(_WHO, {}).text("viewer.login")), bot=True)
    except GitHubError as error:
        if error.kind not in _HIDDEN:
            raise
    return Account("")


def _threads(said: list[JsonValue], viewer: Account) -> tuple[Thread, ...]:
    """Comments by the one that they answer, which may be gone."""
    by_first: dict[int, list[JsonValue]] = {}
    for entry in said:
        answered = entry.number_or_none("in_reply_to_id")
        by_first.setdefault(entry.number("id") if answered is None else answered, []).append(entry)
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


_ANOTHER_WAY = (
    GitHubErrorKind.FORBIDDEN,
    GitHubErrorKind.NOT_FOUND,
    GitHubErrorKind.INVALID,
    GitHubErrorKind.UNAVAILABLE,
)
_MOST_PERMISSIONS = 5
_MAY_WRITE = ("admin", "maintain", "write")
_log = logging.getLogger(__name__)


def read_conversation(
    connection: GitHubConnection,
    repository: str,
    number: int,
    head_sha: str,
    look: BlobLookup,
    *,
    check_name: str = "hunkwise",
) -> tuple[Conversation, Known]:
    """Everything that decides what may still be said; check runs are those of that name at `head_sha`.

    With it comes what the look saw, which is nothing where GraphQL is refused.

    REST does not tell who resolved a thread or gave a 👎, nor how often the head was rewritten. To an app's
    token only GraphQL tells who we are: where it is refused altogether, `viewer` is empty and nothing is ours.
    Raises GitHubError where even that cannot be read, and TooManyError where a list is longer than 3,000: half
    a conversation would repeat comments.
    """
    try:
        conversation, known = _by_graphql(connection, repository, number, head_sha, check_name, look)
    except TooManyError:
        raise
    except GitHubError as error:
        if error.kind not in _ANOTHER_WAY:
            raise
        _log.info("The conversation is read by REST, because GraphQL failed: %s", error.message)
        return conversation_by_rest(connection, repository, number, head_sha, check_name), {}
    asked = _unknown_critics(conversation)
    found = {login for login in asked if _may_write(connection, repository, login)}
    return replace(conversation, writers=conversation.writers | found), known


def _by_graphql(
    connection: GitHubConnection,
    repository: str,
    number: int,
    head_sha: str,
    check_name: str,
    look: BlobLookup,
) -> tuple[Conversation, Known]:
    """Asks a second time, without the linked issues, where an old server's schema does not know them."""
    try:
        return conversation_by_graphql(connection, repository, number, head_sha, check_name, look)
    except GitHubError as error:
        if error.kind is not GitHubErrorKind.INVALID or FIELD not in error.message:
            raise
    return conversation_by_graphql(connection, repository, number, head_sha, check_name, look, linked=False)


def _unknown_critics(conversation: Conversation) -> tuple[str, ...]:
    """Who gave a 👎 that decides something, and of whom nothing is known; five at the most."""
    open_threads = [thread for thread in conversation.threads if thread.ours and not thread.resolved]
    logins = dict.fromkeys(login for thread in open_threads for login in thread.thumbs_down)
    known = conversation.writers | {conversation.author, conversation.viewer}
    return tuple(login for login in logins if login not in known)[:_MOST_PERMISSIONS]


def _may_write(connection: GitHubConnection, repository: str, login: str) -> bool:
    """Whether GitHub says that the login may write; whatever it says instead means no."""
    try:
        path = f"/repos/{repository}/collaborators/{quote(login, safe='')}/permission"
        return connection.get(path).text("permission") in _MAY_WRITE
    except GitHubError:
        return False
