"""The fake GitHub's GraphQL: executed on GitHub's own schema, so that wrong names and enums are refused."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    build_schema,
    execute_sync,
    parse,
    validate,
)

from tests.fakes.github_graphql_cost import NODE_LIMIT, possible_nodes
from tests.fakes.github_graphql_pages import Asking
from tests.fakes.github_graphql_reading import Reading
from tests.fakes.github_graphql_writing import Writing
from tests.fakes.github_messages import Json
from tests.fakes.github_state import Hub
from tests.fakes.github_tokens import Permission

_SCHEMA = Path(__file__).resolve().parents[2] / "node_modules/@octokit/graphql-schema/schema.graphql"


@cache
def schema() -> GraphQLSchema:
    """GitHub's schema, built once a process (about a second)."""
    if not _SCHEMA.is_file():
        raise FileNotFoundError(f"{_SCHEMA} is missing: run `npm ci` to install GitHub's contracts.")
    return build_schema(_SCHEMA.read_text("utf-8"), assume_valid=True, no_location=True)


def execute(hub: Hub, web: str, login: str, permission: Permission, given: Json) -> Json:
    """The JSON of the answer: `data`, and `errors` in GitHub's shape where there are any."""
    document, _ = _read(given["query"])
    nodes = possible_nodes(document, given.get("variables") or {}) if document else 0
    if nodes > NODE_LIMIT:
        words = (
            f"This query requests up to {nodes:,} possible nodes which exceeds the maximum limit of 500,000."
        )
        return {"errors": [{"type": "MAX_NODE_LIMIT_EXCEEDED", "message": words}]}
    done = _executed(
        given["query"],
        root_value=_Root(Asking(hub, web, login, permission)),
        variable_values=given.get("variables"),
        operation_name=given.get("operationName"),
    )
    answer: Json = {"data": done.data}
    if done.errors:
        answer["errors"] = [_error(error) for error in done.errors]
    return answer


def _executed(query: str, **more: Any) -> ExecutionResult:
    document, errors = _read(query)
    if errors:
        return ExecutionResult(data=None, errors=errors)
    assert document is not None  # else there were errors
    return execute_sync(schema(), document, **more)


@lru_cache(maxsize=1_000)
def _read(query: str) -> tuple[DocumentNode | None, list[GraphQLError]]:
    """The query and what is wrong with it. The same few are asked again and again."""
    try:
        document = parse(query)
    except GraphQLError as error:
        return None, [error]
    return document, validate(schema(), document)


def _error(error: GraphQLError) -> Json:
    kind = (error.extensions or {}).get("type")
    shaped: Json = {"message": error.message, "path": error.path or []}
    return shaped | {"type": kind} if kind else shaped


class _Root(Reading, Writing):
    """Queries and mutations by GraphQL's names: a callable attribute is called with `info` and arguments."""
