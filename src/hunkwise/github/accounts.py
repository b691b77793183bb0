"""GitHub accounts: our own login, bots, and people with write access."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.connection import GitHubConnection
from hunkwise.github.responses import JsonValue

GHOST = "ghost"
"""GitHub's login for the author of posts whose account was deleted."""
_TRUSTED_ASSOCIATIONS = ("OWNER", "MEMBER", "COLLABORATOR")
_APP_SUFFIX = "[bot]"
_VIEWER_QUERY = "query { viewer { login } }"
_REFUSED = (GitHubErrorKind.FORBIDDEN, GitHubErrorKind.NOT_FOUND, GitHubErrorKind.INVALID)


@dataclass(frozen=True, slots=True)
class Account:
    """The account of a token. A person's login may equal an app's login without its suffix."""

    login: str
    """Without an app's suffix; empty if GitHub does not report it."""
    bot: bool = False

    def wrote(self, entry: JsonValue) -> bool:
        """Returns whether REST names this account as the author; always false for an unknown account."""
        author = entry.text_or("user.login", "")
        return bool(self.login) and bare(author) == self.login and is_bot(entry) == self.bot


def read_account(connection: GitHubConnection) -> Account:
    """Reads the token's account: REST reports a person's, GraphQL an app's. Unknown if both refuse.

    Raises GitHubError for a temporary failure: with an unknown account, our earlier posts would be repeated.
    """
    try:
        user = connection.get("/user")
        return Account(bare(user.text("login")), bot=user.text_or("type", "") == "Bot")
    except GitHubError as error:
        if error.kind not in _REFUSED:
            raise
        if error.kind is not GitHubErrorKind.FORBIDDEN:  # only an app's token is forbidden to ask
            return Account("")
    try:
        return Account(bare(connection.graphql(_VIEWER_QUERY, {}).text("viewer.login")), bot=True)
    except GitHubError as error:
        if error.kind not in _REFUSED:
            raise
    return Account("")


def bare(login: str) -> str:
    """Returns the login as GraphQL spells it: without the suffix that REST gives an app."""
    return login.removesuffix(_APP_SUFFIX)


def graphql_writers(entries: Iterable[JsonValue]) -> frozenset[str]:
    """Returns the logins of those authors (of GraphQL nodes) that are people and belong to the repository."""
    return frozenset(
        entry.text("author.login")
        for entry in entries
        if graphql_trusted(entry) and entry.text_or("author.__typename", "") == "User"
    )


def rest_writers(entries: Iterable[JsonValue]) -> frozenset[str]:
    """As `graphql_writers`, for REST's entries."""
    return frozenset(
        entry.text("user.login")
        for entry in entries
        if rest_trusted(entry) and entry.text_or("user.type", "") == "User"
    )


def is_bot(entry: JsonValue) -> bool:
    """Returns whether the author of a REST entry is an app."""
    return entry.text_or("user.type", "") == "Bot"


def graphql_trusted(entry: JsonValue) -> bool:
    return entry.text_or("authorAssociation", "") in _TRUSTED_ASSOCIATIONS


def rest_trusted(entry: JsonValue) -> bool:
    return entry.text_or("author_association", "") in _TRUSTED_ASSOCIATIONS
