"""What goes over the fake GitHub's wire, as values: requests, replies, and refusals in GitHub's words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
_MUTATION = re.compile(r"(?m)^\s*mutation\b")


@dataclass
class Request:
    """One request as it came in. `path` is without /api/v3; `status` is 0 where the socket was reset."""

    method: str
    path: str
    query: Mapping[str, str]
    json: Any
    authorization: str | None
    headers: Mapping[str, str]
    status: int = 0
    position: int = 0
    """Its place in the journal, from 0."""
    time: float = 0.0
    """When it came in, in seconds of the monotonic clock."""

    @property
    def text(self) -> str:
        """The JSON text of the body."""
        return json.dumps(self.json, ensure_ascii=False) if self.json is not None else ""

    @property
    def is_write(self) -> bool:
        if self.path == "/graphql":
            query = self.json.get("query", "") if isinstance(self.json, dict) else ""
            return bool(_MUTATION.search(str(query)))
        return self.method not in ("GET", "HEAD")


@dataclass(frozen=True)
class Reply:
    """An answer: a status and JSON; no body at all where `body` is None."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """GitHub says no: becomes an answer in GitHub's shape of errors."""

    def __init__(self, status: int, message: str, errors: list[Any] | None = None, page: str = "") -> None:
        super().__init__(message)
        body: Json = {"message": message}
        if errors is not None:
            body["errors"] = errors
        body["documentation_url"] = f"https://docs.github.com/rest{page}"
        body["status"] = str(status)
        self.reply = Reply(status, body)


def not_found() -> RefusedError:
    """GitHub's 404, also for what the token may not see."""
    return RefusedError(404, "Not Found")


def forbidden() -> RefusedError:
    """GitHub's 403 for a token whose permissions do not reach."""
    return RefusedError(403, "Resource not accessible by integration")
