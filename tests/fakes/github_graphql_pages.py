"""The fake GitHub's GraphQL connections: pages of a list, with GitHub's limits; and its errors."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from graphql import GraphQLError

from tests.fakes.github_messages import Json

_Listed = TypeVar("_Listed")
_PAGE = 100


def refusal(kind: str, message: str) -> GraphQLError:
    """An error in GitHub's shape: only those that have a type are GitHub's own."""
    return GraphQLError(message, extensions={"type": kind})


def connection(everything: Sequence[_Listed], page: Json, shape: Callable[[_Listed], Json]) -> Json:
    """A page after or before a cursor. GitHub wants `first` or `last`, and no more than 100."""
    name, size = _bound(page)
    start = _position(page["after"]) if page.get("after") else 0
    end = _position(page["before"]) - 1 if page.get("before") else len(everything)
    start, end = (start, min(start + size, end)) if name == "first" else (max(start, end - size), end)
    shown = everything[start:end]
    return {
        "nodes": [shape(one) for one in shown],
        "totalCount": len(everything),
        "pageInfo": {
            "hasNextPage": end < len(everything),
            "hasPreviousPage": start > 0,
            "startCursor": _cursor(start + 1) if shown else None,
            "endCursor": _cursor(end) if shown else None,
        },
    }


def _bound(page: Json) -> tuple[str, int]:
    """Which end is asked for, and how many."""
    asked = {name: page[name] for name in ("first", "last") if page.get(name) is not None}
    if not asked:
        raise refusal("MISSING_PAGINATION_BOUNDARIES", "You must provide a `first` or `last` value.")
    if len(asked) > 1:
        words = "Passing both `first` and `last` to paginate the connection is not supported."
        raise refusal("INVALID_PAGINATION_BOUNDARIES", words)
    ((name, size),) = asked.items()
    if not 0 <= size <= _PAGE:
        message = f"Requesting {size} records on a connection exceeds the `{name}` limit of 100 records."
        raise refusal("EXCESSIVE_PAGINATION", message)
    return name, size


def pages(everything: Sequence[_Listed], shape: Callable[[_Listed], Json]) -> Callable[..., Json]:
    """A resolver for a list without filters."""

    def resolve(_info: object, **page: Any) -> Json:
        return connection(everything, page, shape)

    return resolve


def _cursor(number: int) -> str:
    """Opaque, as GitHub's: of the entry with that number, from 1."""
    return base64.b64encode(f"cursor:{number}".encode()).decode()


def _position(cursor: str) -> int:
    try:
        return int(base64.b64decode(cursor).decode().removeprefix("cursor:"))
    except ValueError:
        raise refusal(
            "INVALID_CURSOR_ARGUMENTS", f"`{cursor}` does not appear to be a valid cursor."
        ) from None
