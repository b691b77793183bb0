"""What must hold of GitHub's answers, or of what answers in its place: they are understood, or refused in words."""

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
from hunkwise.github.responses import (
    ApiResponse,
    GraphqlResponse,
    JsonValue,
    read_answer,
    refusal_error,
    status_seen,
    wait_asked,
)

HEAD = "0123456789abcdef0123456789abcdef01234567"
_LONGEST_MESSAGE = 2_000


def is_told(status: int, headers: Mapping[str, str], text: str) -> None:
    """Any answer of any status is an error with a remedy, and asks to wait for a time that can be waited."""
    answer = ApiResponse(status, headers, text)
    _is_sayable(refusal_error(answer, "GET /x"))
    seconds = wait_asked(answer, 1_700_000_000.0)
    assert seconds is None or 0 <= seconds < 10**12
    assert status_seen(answer).status in (status, 429)


def is_understood(value: object, rest: object) -> None:
    """A conversation is read from any JSON that GraphQL, and then REST, can answer with; else it is refused."""
    try:
        connection = _Said(value, rest)
        said = read_conversation(connection, "o/r", 7, HEAD, lambda: read_account(connection))
        proven_entries(connection.graphql_partly("", {}), HEAD, {"path0": "AGENTS.md"})
    except GitHubError as error:
        _is_sayable(error)
        return
    assert isinstance(said, Conversation)
    assert all(thread.path.encode("utf-8", "surrogatepass") is not None for thread in said.threads)
    assert all(isinstance(writer, str) for writer in said.writers)


class _Said(GitHubConnection):
    """A connection to a server that answers the same to every query, and the same to every read."""

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


def _is_sayable(error: GitHubError) -> None:
    assert error.message
    assert len(str(error)) <= _LONGEST_MESSAGE
    json.dumps(str(error))
