"""GitHub accounts: our own login, bots, and people with write access."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.connection import GitHubConnection
from hunkwise.github.responses import REFUSED, JsonValue

GHOST = "ghost"
"""GitHub's login for the author of posts whose account was deleted."""
_TRUSTED_ASSOCIATIONS = ("OWNER", "MEMBER", "COLLABORATOR")
_APP_SUFFIX = "[bot]"
_WRITE_PERMISSIONS = ("admin", "maintain", "write")
MAX_PERMISSIONS = 20
_log = logging.getLogger(__name__)
_VIEWER_QUERY = "query { viewer { login } }"


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
        if error.kind not in REFUSED:
            raise
        if error.kind is not GitHubErrorKind.FORBIDDEN:  # only an app's token is forbidden to ask
            return Account("")
    try:
        return Account(bare(connection.graphql(_VIEWER_QUERY, {}).text("viewer.login")), bot=True)
    except GitHubError as error:
        if error.kind not in REFUSED:
            raise
    return Account("")


def bare(login: str) -> str:
    """Returns the login as GraphQL spells it: without the suffix that REST gives an app."""
    return login.removesuffix(_APP_SUFFIX)


class WriteAccess:
    """Reads who may write to the repository: each person once, and at most `MAX_PERMISSIONS` people.

    A person whose permission GitHub does not report counts as one who may not; their number is logged once.
    """

    def __init__(self, connection: GitHubConnection, repository: str) -> None:
        self._connection = connection
        self._repository = repository
        self._known: dict[str, bool] = {}
        self._is_logged = False

    def writers(self, logins: Sequence[str]) -> frozenset[str]:
        reason = f"more than {MAX_PERMISSIONS} people"
        new = [login for login in logins if login not in self._known]
        unknown = len(new)
        for login in new[: MAX_PERMISSIONS - len(self._known)]:
            try:
                self._known[login] = has_write_access(self._connection, self._repository, login)
                unknown -= 1
            except GitHubError as error:
                self._known[login] = False
                reason = error.message
        if unknown and not self._is_logged:
            self._is_logged = True
            _log.warning(
                "People whose dismissals do not count because their write access is unknown: %d (%s)",
                unknown,
                reason,
            )
        return frozenset(login for login in logins if self._known.get(login))


def has_write_access(connection: GitHubConnection, repository: str, login: str) -> bool:
    """Reads `permission`, to which GitHub maps every role: the name of a custom role says nothing.

    Raises GitHubError, with NOT_FOUND for a login that does not exist.
    """
    path = f"/repos/{repository}/collaborators/{quote(login, safe='')}/permission"
    return connection.get(path).text("permission") in _WRITE_PERMISSIONS


def account_of(entry: JsonValue) -> Account:
    """Returns the account that REST names as the author of an entry."""
    return Account(bare(entry.text_or("user.login", "")), is_bot(entry))


def is_bot(entry: JsonValue) -> bool:
    """Returns whether the author of a REST entry is an app."""
    return entry.text_or("user.type", "") == "Bot"


def graphql_trusted(entry: JsonValue) -> bool:
    return entry.text_or("authorAssociation", "") in _TRUSTED_ASSOCIATIONS


def rest_trusted(entry: JsonValue) -> bool:
    return entry.text_or("author_association", "") in _TRUSTED_ASSOCIATIONS
