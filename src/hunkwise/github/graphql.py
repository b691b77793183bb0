"""GitHub's GraphQL responses, which can have data and errors together."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from hunkwise.errors import GitHubError
from hunkwise.github.responses import (
    ApiResponse,
    JsonValue,
    has_limit_words,
    malformed_response_error,
    refusal_error,
)

_STATUS = {
    "NOT_FOUND": 404,
    "FORBIDDEN": 403,
    "INSUFFICIENT_SCOPES": 403,
    "RATE_LIMIT": 429,
    "RATE_LIMITED": 429,
    "INTERNAL": 500,
    "SERVICE_UNAVAILABLE": 503,
}
_INVALID = 422
_QUERY_TIMEOUT = "something went wrong"  # GitHub's message for a query that timed out, with status 200


@dataclass(frozen=True)
class GraphqlError:
    """One error of a GraphQL response, and its path in the data. An empty path applies to all data."""

    path: tuple[str | int, ...]
    error: GitHubError


@dataclass(frozen=True)
class GraphqlResponse:
    """The data of a GraphQL response, which may be partial, and its errors."""

    data: JsonValue
    """An object, with null in place of each fault."""
    faults: tuple[GraphqlError, ...] = ()

    def fault_at(self, *path: str | int) -> GitHubError | None:
        """Returns the first error at this path, below it, or above it."""
        for fault in self.faults:
            shared = min(len(path), len(fault.path))
            if fault.path[:shared] == path[:shared]:
                return fault.error
        return None

    @property
    def whole(self) -> JsonValue:
        """The data, if it is complete. Raises the first error otherwise."""
        if self.faults:
            raise self.faults[0].error
        return self.data


def status_seen(answer: ApiResponse) -> ApiResponse:
    """Returns the response with status 429 if it has no data and an error reports a rate limit."""
    if answer.status != 200 or '"errors"' not in answer.text:
        return answer
    body = _parse_json(answer.text)
    data = body.get("data") if isinstance(body, dict) else None
    if isinstance(data, dict) and any(value is not None for value in data.values()):
        return answer  # part of it took effect: a retry would repeat that part
    limited = any(_status(error) == 429 for error in _errors(body))
    return replace(answer, status=429) if limited else answer


def read_answer(body: JsonValue) -> GraphqlResponse:
    """Returns data and errors of a response with status 200. Raises GitHubError if it has no data."""
    faults = tuple(_graphql_error(error, body.request) for error in _errors(body.value))
    data = body.at("data")
    if isinstance(data.value, dict):
        return GraphqlResponse(data, faults)
    raise (
        faults[0].error
        if faults
        else malformed_response_error(body.request, "it has neither data nor errors")
    )


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _errors(value: object) -> list[dict[str, Any]]:
    errors = value.get("errors") if isinstance(value, dict) else None
    if not errors:
        return []
    entries = errors if isinstance(errors, list) else [errors]
    return [error if isinstance(error, dict) else {"message": error} for error in entries[:200]]


def _status(error: dict[str, Any]) -> int:
    message = _text_at(error, "message").lower()
    if has_limit_words(message):
        return 429
    otherwise = 502 if message.startswith(_QUERY_TIMEOUT) else _INVALID
    return _STATUS.get(_text_at(error, "type"), otherwise)


def _text_at(error: dict[str, Any], key: str) -> str:
    """Returns the text at the key; empty for any other type, which may be nested too deeply to format."""
    value = error.get(key)
    return value if isinstance(value, str) else ""


def _graphql_error(error: dict[str, Any], request: str) -> GraphqlError:
    path = error.get("path")
    steps = tuple(step for step in path if isinstance(step, str | int)) if isinstance(path, list) else ()
    response = ApiResponse(_status(error), {}, json.dumps({"message": _text_at(error, "message")}))
    return GraphqlError(steps, refusal_error(response, request))
