"""Properties of GitHub's responses: they are parsed, or an error with a message."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hunkwise.domain.pull_request import Conversation
from hunkwise.errors import GitHubError
from hunkwise.github.accounts import read_account
from hunkwise.github.client import proven_entries
from hunkwise.github.connection import GitHubConnection
from hunkwise.github.conversation import read_conversation
from hunkwise.github.graphql_responses import GraphqlResponse, read_answer, status_seen
from hunkwise.github.responses import (
    ApiResponse,
    JsonValue,
    refusal_error,
    wait_asked,
)

HEAD = "0123456789abcdef0123456789abcdef01234567"
_LONGEST_MESSAGE = 2_000


def check_error(status: int, headers: Mapping[str, str], text: str) -> None:
    """Checks that any response is an error with a message, and that its waiting time is valid."""
    answer = ApiResponse(status, headers, text)
    _check_message(refusal_error(answer, "GET /x"))
    seconds = wait_asked(answer, 1_700_000_000.0)
    assert seconds is None or 0 <= seconds < 10**12
    assert status_seen(answer).status in (status, 429)


def check_conversation(value: object, rest: object) -> None:
    """Checks that a conversation is parsed from any JSON of GraphQL and REST, or an error."""
    try:
        connection = _FixedConnection(value, rest)
        conversation = read_conversation(connection, "o/r", 7, HEAD, lambda: read_account(connection))
        proven_entries(connection.graphql_partly("", {}), HEAD, {"path0": "AGENTS.md"})
    except GitHubError as error:
        _check_message(error)
        return
    assert isinstance(conversation, Conversation)
    assert all(thread.path.encode("utf-8", "surrogatepass") is not None for thread in conversation.threads)
    assert all(isinstance(writer, str) for writer in conversation.writers)


class _FixedConnection(GitHubConnection):
    """A connection with one response to every query, and one to every read."""

    def __init__(self, value: object, rest: object) -> None:
        super().__init__("t", "https://api.example.org", deadline=lambda: 60.0)
        self._value = value
        self._rest = rest

    def graphql_partly(
        self, query: str, variables: Mapping[str, Any], *, repeat: bool = True, writes: int = 1
    ) -> GraphqlResponse:
        return read_answer(JsonValue(self._value, "POST /graphql"))

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> JsonValue:
        return JsonValue(self._rest, f"GET {path}")


def _check_message(error: GitHubError) -> None:
    assert error.message
    assert len(str(error)) <= _LONGEST_MESSAGE
    json.dumps(str(error))
