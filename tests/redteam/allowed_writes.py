"""The first check: what a run may ask of GitHub is a short list, and an approval or a merge is not on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from graphql import FieldNode, GraphQLSyntaxError, OperationDefinitionNode, OperationType, parse

from tests.fakes.github import FakeGitHub
from tests.fakes.github_messages import Request
from tests.fakes.github_state import Comment, Review, node_id

_SHA = re.compile("[0-9a-f]{40}")
_MUTATIONS = frozenset(
    {
        "resolveReviewThread",
        "addPullRequestReviewThreadReply",
        "addPullRequestReviewThread",
        "deletePullRequestReviewComment",
    }
)


@dataclass(frozen=True)
class Ground:
    """Where a run may act: one pull request, and what of it is allowed beside comments."""

    github: FakeGitHub
    number: int = 1
    heads: Collection[str] = ()
    """Commits that a check run may be about."""
    approves: bool = False
    """The base's configuration allows an approval."""
    uploads: bool = False
    """The workflow asked for an upload of SARIF."""


def unexpected_requests(ground: Ground, journal: Iterable[Request]) -> list[str]:
    """Writes that are no comment on this pull request, and reads that lead out of it."""
    return [f"{one.method} {one.path}: {why}" for one in journal if (why := _fault(ground, one))]


def approvals(ground: Ground) -> list[str]:
    """Approvals and merges that GitHub has stored, however they came there."""
    approved = [f"the review {one.id} approves" for one in ground.github.reviews if one.state == "APPROVED"]
    merged = [
        f"pull request {pull.number} was merged" for pull in ground.github.hub.pulls.values() if pull.merged
    ]
    return [*([] if ground.approves else approved), *merged]


def _fault(ground: Ground, request: Request) -> str:
    """Why the request should not have been; empty where it is on the list."""
    if ".." in request.path.split("/"):
        return "its path leads elsewhere"
    if request.path == "/graphql":
        return _graphql_fault(ground, request)
    if not request.is_write:
        return _read_fault(ground, request)
    inside = request.path.removeprefix(f"/repos/{ground.github.hub.repository}/")
    for method, pattern, look in _ALLOWED:
        found = re.fullmatch(pattern, inside)
        if found and method == request.method:
            numbers = found.groupdict()
            if int(numbers.get("pull") or ground.number) != ground.number:
                return "it is another pull request's"
            return look(ground, request.json or {}, int(numbers.get("id") or 0))
    return "no such write is on the list"


def _read_fault(ground: Ground, request: Request) -> str:
    repository = f"/repos/{ground.github.hub.repository}"
    if request.path in ("/user", "/rate_limit", repository):
        return ""
    inside = request.path.removeprefix(f"{repository}/")
    if inside.startswith("contents/") and not _SHA.fullmatch(request.query.get("ref", "")):
        return "it reads what is not pinned to a commit"
    talk = f"pulls/{ground.number}", "pulls/comments/", f"issues/{ground.number}/", "issues/comments/"
    code = "contents/", "git/", "commits/", "compare/", "collaborators/", "check-runs/"
    return "" if inside.startswith((*talk, *code)) else "no such read is on the list"


def _graphql_fault(ground: Ground, request: Request) -> str:
    asked = request.json if isinstance(request.json, dict) else {}
    try:
        document = parse(str(asked.get("query", "")), no_location=True)
    except GraphQLSyntaxError as error:
        return f"it cannot be read: {error.message}"
    for part in document.definitions:
        if isinstance(part, OperationDefinitionNode) and part.operation is not OperationType.QUERY:
            fields = [one for one in part.selection_set.selections if isinstance(one, FieldNode)]
            if len(fields) < len(part.selection_set.selections):
                return "it has parts that are no fields"
            if strange := {one.name.value for one in fields} - _MUTATIONS:
                return f"the mutation {sorted(strange)[0]} is not on the list"
            mine = {thread.id for thread in ground.github.threads if thread.number == ground.number}
            given = [value for name, value in asked.get("variables", {}).items() if name != "body"]
            if {str(value) for value in given if not isinstance(value, dict)} - mine:
                return "it names what is no thread of this pull request"
            # A review that was begun, and a comment of it, may be deleted by now.
            said: list[Review | Comment] = [*ground.github.reviews, *ground.github.comments]
            others = {node_id(one.id) for one in said if one.number != ground.number}
            if others & {
                str(one.get("pullRequestReviewId", one.get("id"))) for one in given if isinstance(one, dict)
            }:
                return "it names what is of another pull request"
    return ""


_WORDS = {
    *("body", "message", "event", "path", "commit_id", "subject_type"),
    *("line", "side", "start_line", "start_side"),
}
_Look = Callable[[Ground, Any, int], str]


def _plain(_ground: Ground, said: Any, _id: int) -> str:
    return "" if said.keys() <= _WORDS else "more"


def _review(ground: Ground, said: Any, _id: int) -> str:
    event = said.get("event")
    fine = event in (None, "COMMENT", "REQUEST_CHANGES") or (ground.approves and event == "APPROVE")
    return "" if fine else f"its event is {event}"


def _dismissal(_ground: Ground, said: Any, _id: int) -> str:
    return "" if said.get("event") == "DISMISS" else f"its event is {said.get('event')}"


def _comment(ground: Ground, _said: Any, comment: int) -> str:
    return _whose(ground, comment, ((one.id, one.number) for one in ground.github.comments))


def _issue_comment(ground: Ground, _said: Any, comment: int) -> str:
    return _whose(ground, comment, ((one.id, one.number) for one in ground.github.issue_comments))


def _whose(ground: Ground, wanted: int, known: Iterable[tuple[int, int]]) -> str:
    """One that is not there any more was deleted, and is nobody else's."""
    others = {number for found, number in known if found == wanted} - {ground.number}
    return f"it is on pull request {others.pop()}" if others else ""


def _check_run(ground: Ground, said: Any, _id: int) -> str:
    return "" if said.get("head_sha") in ground.heads else "it is about another commit"


def _known_check_run(ground: Ground, said: Any, check: int) -> str:
    known = {run.id for run in ground.github.check_runs if run.head_sha in ground.heads}
    return "" if check in known and "head_sha" not in said else "it is no check run of this head"


def _upload(ground: Ground, said: Any, _id: int) -> str:
    mine = said.get("ref") == f"refs/pull/{ground.number}/head" and said.get("commit_sha") in ground.heads
    return "" if ground.uploads and mine else "nobody asked for it"


_PULL, _ID = r"pulls/(?P<pull>\d+)", r"(?P<id>\d+)"
_ALLOWED: tuple[tuple[str, str, _Look], ...] = (
    ("POST", rf"{_PULL}/reviews", _review),
    ("POST", rf"{_PULL}/reviews/{_ID}/events", _review),
    ("DELETE", rf"{_PULL}/reviews/{_ID}", _plain),
    ("PUT", rf"{_PULL}/reviews/{_ID}/dismissals", _dismissal),
    ("POST", rf"{_PULL}/comments", _plain),
    ("PATCH", rf"pulls/comments/{_ID}", _comment),
    ("POST", r"issues/(?P<pull>\d+)/comments", _plain),
    ("PATCH", rf"issues/comments/{_ID}", _issue_comment),
    ("DELETE", rf"issues/comments/{_ID}", _issue_comment),
    ("POST", r"check-runs", _check_run),
    ("PATCH", rf"check-runs/{_ID}", _known_check_run),
    ("POST", r"code-scanning/sarifs", _upload),
)
