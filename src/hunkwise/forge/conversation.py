"""What was said on a pull request: by GraphQL in one request, by REST where GraphQL is refused."""

from __future__ import annotations

import logging
from dataclasses import replace
from urllib.parse import quote

from hunkwise.domain.conversation import Conversation
from hunkwise.domain.known import Known
from hunkwise.errors import ForgeError, ForgeKind
from hunkwise.forge.connection import Connection
from hunkwise.forge.conversation_graphql import conversation_by_graphql
from hunkwise.forge.conversation_rest import conversation_by_rest
from hunkwise.forge.linked_issues import FIELD
from hunkwise.forge.look import Look
from hunkwise.forge.pages import TooManyError

_ANOTHER_WAY = (ForgeKind.FORBIDDEN, ForgeKind.NOT_FOUND, ForgeKind.INVALID, ForgeKind.UNAVAILABLE)
_MOST_PERMISSIONS = 5
_MAY_WRITE = ("admin", "maintain", "write")
_log = logging.getLogger(__name__)


def read_conversation(
    connection: Connection,
    repository: str,
    number: int,
    head_sha: str,
    look: Look,
    *,
    check_name: str = "hunkwise",
) -> tuple[Conversation, Known]:
    """Everything that decides what may still be said; check runs are those of that name at `head_sha`.

    With it comes what the look saw, which is nothing where GraphQL is refused.

    REST does not tell who resolved a thread or gave a 👎, nor how often the head was rewritten. To an app's
    token only GraphQL tells who we are: where it is refused altogether, `viewer` is empty and nothing is ours.
    Raises ForgeError where even that cannot be read, and TooManyError where a list is longer than 3,000: half
    a conversation would repeat comments.
    """
    try:
        conversation, known = _by_graphql(connection, repository, number, head_sha, check_name, look)
    except TooManyError:
        raise
    except ForgeError as error:
        if error.kind not in _ANOTHER_WAY:
            raise
        _log.info("The conversation is read by REST, because GraphQL failed: %s", error.message)
        return conversation_by_rest(connection, repository, number, head_sha, check_name), {}
    asked = _unknown_critics(conversation)
    found = {login for login in asked if _may_write(connection, repository, login)}
    return replace(conversation, writers=conversation.writers | found), known


def _by_graphql(
    connection: Connection, repository: str, number: int, head_sha: str, check_name: str, look: Look
) -> tuple[Conversation, Known]:
    """Asks a second time, without the linked issues, where an old server's schema does not know them."""
    try:
        return conversation_by_graphql(connection, repository, number, head_sha, check_name, look)
    except ForgeError as error:
        if error.kind is not ForgeKind.INVALID or FIELD not in error.message:
            raise
    return conversation_by_graphql(connection, repository, number, head_sha, check_name, look, linked=False)


def _unknown_critics(conversation: Conversation) -> tuple[str, ...]:
    """Who gave a 👎 that decides something, and of whom nothing is known; five at the most."""
    open_threads = [thread for thread in conversation.threads if thread.ours and not thread.resolved]
    logins = dict.fromkeys(login for thread in open_threads for login in thread.thumbs_down)
    known = conversation.writers | {conversation.author, conversation.viewer}
    return tuple(login for login in logins if login not in known)[:_MOST_PERMISSIONS]


def _may_write(connection: Connection, repository: str, login: str) -> bool:
    """Whether GitHub says that the login may write; whatever it says instead means no."""
    try:
        path = f"/repos/{repository}/collaborators/{quote(login, safe='')}/permission"
        return connection.get(path).text("permission") in _MAY_WRITE
    except ForgeError:
        return False
