"""A conversation by REST, for tokens and servers whose GraphQL cannot be used."""

from __future__ import annotations

from hunkwise.domain.conversation import (
    Comment,
    Conversation,
    PostedReview,
    Reply,
    ReviewState,
    Thread,
)
from hunkwise.domain.diff import Side
from hunkwise.errors import ForgeError, ForgeKind
from hunkwise.forge.connection import Connection
from hunkwise.forge.conversation_checks import checks_by_rest
from hunkwise.forge.pages import entries_of
from hunkwise.forge.people import GHOST, Account, bare, is_bot, rest_trusted, rest_writers
from hunkwise.forge.shapes import Shape

_HIDDEN = (ForgeKind.FORBIDDEN, ForgeKind.NOT_FOUND, ForgeKind.INVALID)
_WHO = "query { viewer { login } }"


def conversation_by_rest(
    connection: Connection, repository: str, number: int, head_sha: str, check_name: str
) -> Conversation:
    """The conversation, as far as REST tells it. Raises ForgeError, TooManyError past 30 pages of a list."""
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


def _viewer(connection: Connection) -> Account:
    """The token's own account: people's have one REST call, and GraphQL knows an app's.

    Raises ForgeError where it can only not be asked now: to know nothing of what we said would repeat it.
    """
    try:
        me = connection.get("/user")
        return Account(bare(me.text("login")), bot=me.text_or("type", "") == "Bot")
    except ForgeError as error:
        if error.kind not in _HIDDEN:
            raise
    try:
        return Account(bare(connection.graphql(_WHO, {}).text("viewer.login")), bot=True)
    except ForgeError as error:
        if error.kind not in _HIDDEN:
            raise
    return Account("")


def _threads(said: list[Shape], viewer: Account) -> tuple[Thread, ...]:
    """Comments by the one that they answer, which may be gone."""
    by_first: dict[int, list[Shape]] = {}
    for entry in said:
        answered = entry.number_or_none("in_reply_to_id")
        by_first.setdefault(entry.number("id") if answered is None else answered, []).append(entry)
    return tuple(_thread(entries, viewer) for entries in by_first.values())


def _thread(entries: list[Shape], viewer: Account) -> Thread:
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


def _reply(entry: Shape, viewer: Account) -> Reply:
    return Reply(
        author=_author(entry),
        body=entry.text("body"),
        ours=viewer.wrote(entry),
        trusted=rest_trusted(entry),
        bot=is_bot(entry),
    )


def _comment(entry: Shape) -> Comment:
    return Comment(entry.number("id"), entry.text_or("body", ""), entry.text_or("html_url", ""))


def _review(entry: Shape) -> PostedReview:
    word = entry.text("state")
    state = ReviewState(word) if word in ReviewState.__members__ else ReviewState.COMMENTED
    commit, url = entry.text_or("commit_id", ""), entry.text_or("html_url", "")
    return PostedReview(entry.number("id"), state, entry.text_or("body", ""), commit, url)


def _author(entry: Shape) -> str:
    return bare(entry.text_or("user.login", GHOST))
