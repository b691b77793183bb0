"""GraphQL's answers: data, errors, or both, with GitHub's types of errors as ForgeError."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from hunkwise.errors import ForgeError
from hunkwise.forge.errors import Answer, refusal, senseless
from hunkwise.forge.shapes import Shape

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
_STUMBLED = "something went wrong"  # GitHub's words for a query that ran out of time, with status 200


@dataclass(frozen=True)
class GraphqlFault:
    """One error of an answer: where in the data it belongs, and what it means. An empty path: everywhere."""

    path: tuple[str | int, ...]
    error: ForgeError


@dataclass(frozen=True)
class GraphqlAnswer:
    """What GitHub answered, as far as it answered."""

    data: Shape
    """An object; null stands where a fault is."""
    faults: tuple[GraphqlFault, ...] = ()

    def fault_at(self, *path: str | int) -> ForgeError | None:
        """The first error at this place, below it, or above it."""
        for fault in self.faults:
            shared = min(len(path), len(fault.path))
            if fault.path[:shared] == path[:shared]:
                return fault.error
        return None

    @property
    def whole(self) -> Shape:
        """The data, where nothing is missing. Raises the first error otherwise."""
        if self.faults:
            raise self.faults[0].error
        return self.data


def status_seen(answer: Answer) -> Answer:
    """The answer with the status that its errors stand for, where it has no data and a limit is the cause."""
    if answer.status != 200 or "rate" not in answer.text.lower():
        return answer
    said = _parsed(answer.text)
    data = said.get("data") if isinstance(said, dict) else None
    if isinstance(data, dict) and any(value is not None for value in data.values()):
        return answer  # some of it took effect: sent again, it would do so twice
    limited = any(_status(error) == 429 for error in _errors(said))
    return replace(answer, status=429) if limited else answer


def read_answer(said: Shape) -> GraphqlAnswer:
    """Data and errors of an answer with status 200. Raises ForgeError where there is no data at all."""
    faults = tuple(_fault(error, said.request) for error in _errors(said.value))
    data = said.at("data")
    if isinstance(data.value, dict):
        return GraphqlAnswer(data, faults)
    raise faults[0].error if faults else senseless(said.request, "it has neither data nor errors")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _errors(value: object) -> list[dict[str, Any]]:
    errors = value.get("errors") if isinstance(value, dict) else None
    if not errors:
        return []
    listed = errors if isinstance(errors, list) else [errors]
    return [error if isinstance(error, dict) else {"message": error} for error in listed[:200]]


def _status(error: dict[str, Any]) -> int:
    message = _word(error, "message").lower()
    if "rate limit" in message:
        return 429
    otherwise = 502 if message.startswith(_STUMBLED) else _INVALID
    return _STATUS.get(_word(error, "type"), otherwise)


def _word(error: dict[str, Any], key: str) -> str:
    """The text at the key; empty for all else, which may be nested too deeply to be written out."""
    word = error.get(key)
    return word if isinstance(word, str) else ""


def _fault(error: dict[str, Any], request: str) -> GraphqlFault:
    path = error.get("path")
    steps = tuple(step for step in path if isinstance(step, str | int)) if isinstance(path, list) else ()
    said = Answer(_status(error), {}, json.dumps({"message": _word(error, "message")}))
    return GraphqlFault(steps, refusal(said, request))
