"""Accounts: which login is ours, which ones are bots, who may write."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hunkwise.github.responses import JsonValue

GHOST = "ghost"
"""GitHub's own name for an account that is gone."""
_OWN_PEOPLE = ("OWNER", "MEMBER", "COLLABORATOR")
_SUFFIX = "[bot]"


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a token speaks for. A person may have the login that an app has without its suffix."""

    login: str
    """Without an app's suffix; empty where GitHub does not tell."""
    bot: bool = False

    def wrote(self, entry: JsonValue) -> bool:
        """Whether REST names it as the author. An unknown account wrote nothing."""
        author = entry.text_or("user.login", "")
        return bool(self.login) and bare(author) == self.login and is_bot(entry) == self.bot


def bare(login: str) -> str:
    """The login as GraphQL has it: without the suffix that REST gives an app."""
    return login.removesuffix(_SUFFIX)


def graphql_writers(entries: Iterable[JsonValue]) -> frozenset[str]:
    """Logins of the people among the authors that GraphQL says belong to the repository."""
    return frozenset(
        entry.text("author.login")
        for entry in entries
        if graphql_trusted(entry) and entry.text_or("author.__typename", "") == "User"
    )


def rest_writers(entries: Iterable[JsonValue]) -> frozenset[str]:
    """The same of REST's entries."""
    return frozenset(
        entry.text("user.login")
        for entry in entries
        if rest_trusted(entry) and entry.text_or("user.type", "") == "User"
    )


def is_bot(entry: JsonValue) -> bool:
    """Whether REST's author is an app."""
    return entry.text_or("user.type", "") == "Bot"


def graphql_trusted(entry: JsonValue) -> bool:
    return entry.text_or("authorAssociation", "") in _OWN_PEOPLE


def rest_trusted(entry: JsonValue) -> bool:
    return entry.text_or("author_association", "") in _OWN_PEOPLE
