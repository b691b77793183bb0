"""Requests and replies of the fake GitHub as values, its refusals, and its paged and Base64 bodies."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

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


_Stored = TypeVar("_Stored")


def encoded(raw: bytes) -> str:
    """Base64 in lines of 60 characters, each ended by a line feed, as GitHub has it."""
    text = base64.b64encode(raw).decode()
    return "".join(f"{text[start : start + 60]}\n" for start in range(0, len(text), 60))


def page_of(
    everything: Sequence[_Stored], shape: Callable[[_Stored], Json], query: Mapping[str, str], url: str
) -> Reply:
    """One page of a list, 30 long unless asked, 100 at most, with GitHub's Link header."""
    size = min(max(int(query.get("per_page", "30")), 1), 100)
    number = max(int(query.get("page", "1")), 1)
    last = max(-(-len(everything) // size), 1)
    rest = "".join(
        f"&{key}={quote(value)}" for key, value in query.items() if key not in ("page", "per_page")
    )

    def link(page: int, rel: str) -> str:
        return f'<{url}?per_page={size}&page={page}{rest}>; rel="{rel}"'

    links = [link(number - 1, "prev"), link(1, "first")] if number > 1 else []
    if number < last:
        links += [link(number + 1, "next"), link(last, "last")]
    headers = {"link": ", ".join(links)} if links else {}
    return Reply(200, [shape(one) for one in everything[(number - 1) * size : number * size]], headers)
