"""The check runs of our name at the head: by GraphQL with the rest of a conversation, or by REST."""

from __future__ import annotations

from collections.abc import Iterable

from hunkwise.domain.conversation import CheckRun
from hunkwise.errors import ForgeError, ForgeKind
from hunkwise.forge.connection import Connection
from hunkwise.forge.pages import PAGE
from hunkwise.forge.shapes import Shape

_HIDDEN = (ForgeKind.FORBIDDEN, ForgeKind.NOT_FOUND, ForgeKind.INVALID)


def checks_by_graphql(pull: Shape, head_sha: str) -> tuple[CheckRun, ...] | None:
    """Those at `head_sha`, oldest first; none where the token may not read them or the head is another.

    None where GraphQL gives them without their numbers, which have outgrown its type for them.
    """
    found: list[CheckRun] = []
    for commit in _readable(pull, "commits.nodes"):
        if commit.text_or("commit.oid", "") != head_sha:
            continue
        for suite in _readable(commit, "commit.checkSuites.nodes"):
            for run in _readable(suite, "checkRuns.nodes"):
                number = run.number_or_none("databaseId")
                if number is None:
                    return None
                status, conclusion = run.text_or("status", ""), run.text_or("conclusion", "")
                found.append(
                    CheckRun(number, status.lower(), conclusion.lower(), run.text_or("externalId", ""))
                )
    return _oldest_first(found)


def checks_by_rest(
    connection: Connection, repository: str, head_sha: str, check_name: str
) -> tuple[CheckRun, ...]:
    """The newest hundred, oldest first; none where the token may not read them. Raises ForgeError."""
    query = {"check_name": check_name, "filter": "all", "per_page": PAGE}
    try:
        said = connection.get(f"/repos/{repository}/commits/{head_sha}/check-runs", query)
    except ForgeError as error:
        if error.kind in _HIDDEN:
            return ()
        raise
    return _oldest_first(
        CheckRun(
            run.number("id"),
            run.text("status"),
            run.text_or("conclusion", ""),
            run.text_or("external_id", ""),
        )
        for run in said.entries("check_runs")
    )


def _readable(shape: Shape, path: str) -> list[Shape]:
    """The entries of a list that may be hidden from us."""
    return shape.entries(path) if isinstance(shape.at(path).value, list) else []


def _oldest_first(checks: Iterable[CheckRun]) -> tuple[CheckRun, ...]:
    by_number = {check.id: check for check in checks}
    return tuple(by_number[number] for number in sorted(by_number))
