"""The first check: a run sends only the requests on a short list, without any approval or merge."""

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
        "unresolveReviewThread",
        "addPullRequestReviewThreadReply",
        "addPullRequestReviewThread",
        "deletePullRequestReviewComment",
    }
)


@dataclass(frozen=True)
class Scope:
    """Where a run may act: one pull request, and what is allowed there beside comments."""

    github: FakeGitHub
    number: int = 1
    heads: Collection[str] = ()
    """Commits that a check run may be about."""
    approves: bool = False
    """Whether the base's configuration allows an approval."""
    uploads: bool = False
    """Whether the workflow asked for an upload of SARIF."""


def unexpected_requests(scope: Scope, journal: Iterable[Request]) -> list[str]:
    """Describes writes other than comments on this pull request, and reads outside of it."""
    return [f"{one.method} {one.path}: {why}" for one in journal if (why := _fault(scope, one))]


def approvals(scope: Scope) -> list[str]:
    """Describes approvals and merges that GitHub has stored."""
    approved = [f"the review {one.id} approves" for one in scope.github.reviews if one.state == "APPROVED"]
    merged = [
        f"pull request {pull.number} was merged" for pull in scope.github.hub.pulls.values() if pull.merged
    ]
    return [*([] if scope.approves else approved), *merged]


def _fault(scope: Scope, request: Request) -> str:
    """Returns why the request is not allowed, or an empty string."""
    if ".." in request.path.split("/"):
        return "its path leads elsewhere"
    if request.path == "/graphql":
        return _graphql_fault(scope, request)
    if not request.is_write:
        return _read_fault(scope, request)
    inside = request.path.removeprefix(f"/repos/{scope.github.hub.repository}/")
    for method, pattern, look in _ALLOWED:
        found = re.fullmatch(pattern, inside)
        if found and method == request.method:
            numbers = found.groupdict()
            if int(numbers.get("pull") or scope.number) != scope.number:
                return "it is another pull request's"
            return look(scope, request.json or {}, int(numbers.get("id") or 0))
    return "no such write is on the list"


def _read_fault(scope: Scope, request: Request) -> str:
    repository = f"/repos/{scope.github.hub.repository}"
    if request.path in ("/user", "/rate_limit", repository):
        return ""
    inside = request.path.removeprefix(f"{repository}/")
    if inside.startswith("contents/") and not _SHA.fullmatch(request.query.get("ref", "")):
        return "it reads what is not pinned to a commit"
    talk = f"pulls/{scope.number}", "pulls/comments/", f"issues/{scope.number}/", "issues/comments/"
    code = "contents/", "git/", "commits/", "compare/", "collaborators/", "check-runs/"
    return "" if inside.startswith((*talk, *code)) else "no such read is on the list"


def _graphql_fault(scope: Scope, request: Request) -> str:
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
            mine = {thread.id for thread in scope.github.threads if thread.number == scope.number}
            given = [
                value
                for name, value in asked.get("variables", {}).items()
                if not re.fullmatch(r"b(ody|\d+)", name)
            ]
            if {str(value) for value in given if not isinstance(value, dict)} - mine:
                return "it names what is no thread of this pull request"
            # A review that was begun, and a comment of it, may have been deleted.
            posts: list[Review | Comment] = [*scope.github.reviews, *scope.github.comments]
            others = {node_id(one.id) for one in posts if one.number != scope.number}
            inputs = [one for one in given if isinstance(one, dict)]
            if others & {str(one.get("pullRequestReviewId", one.get("id"))) for one in inputs}:
                return "it names what is of another pull request"
    return ""


_FIELDS = {
    *("body", "message", "event", "path", "commit_id", "subject_type"),
    *("line", "side", "start_line", "start_side"),
}
_REACTIONS = ("eyes", "rocket", "+1", "confused")
_Look = Callable[[Scope, Any, int], str]


def _plain(_scope: Scope, body: Any, _id: int) -> str:
    return "" if body.keys() <= _FIELDS else "more"


def _review(scope: Scope, body: Any, _id: int) -> str:
    event = body.get("event")
    fine = event in (None, "COMMENT", "REQUEST_CHANGES") or (scope.approves and event == "APPROVE")
    return "" if fine else f"its event is {event}"


def _dismissal(_scope: Scope, body: Any, _id: int) -> str:
    return "" if body.get("event") == "DISMISS" else f"its event is {body.get('event')}"


def _comment(scope: Scope, _body: Any, comment: int) -> str:
    return _owner_fault(scope, comment, ((one.id, one.number) for one in scope.github.comments))


def _issue_comment(scope: Scope, _body: Any, comment: int) -> str:
    return _owner_fault(scope, comment, ((one.id, one.number) for one in scope.github.issue_comments))


def _owner_fault(scope: Scope, wanted: int, known: Iterable[tuple[int, int]]) -> str:
    """Returns an error for a comment of another pull request; a deleted comment belongs to none."""
    others = {number for found, number in known if found == wanted} - {scope.number}
    return f"it is on pull request {others.pop()}" if others else ""


def _reaction_fault(body: Any) -> str:
    return "" if body.get("content") in _REACTIONS else f"it reacts with {body.get('content')}"


def _reply(scope: Scope, body: Any, comment: int) -> str:
    """Returns an error for a reply that is a command, or to a comment of another pull request."""
    if any(line.lstrip().startswith("/") for line in str(body.get("body")).split("\n")):
        return "it has a command"
    return _plain(scope, body, comment) or _comment(scope, body, comment)


def _thread_reaction(scope: Scope, body: Any, comment: int) -> str:
    return _reaction_fault(body) or _comment(scope, body, comment)


def _issue_reaction(scope: Scope, body: Any, comment: int) -> str:
    return _reaction_fault(body) or _issue_comment(scope, body, comment)


def _check_run(scope: Scope, body: Any, _id: int) -> str:
    return "" if body.get("head_sha") in scope.heads else "it is about another commit"


def _known_check_run(scope: Scope, body: Any, check: int) -> str:
    known = {run.id for run in scope.github.check_runs if run.head_sha in scope.heads}
    return "" if check in known and "head_sha" not in body else "it is no check run of this head"


def _upload(scope: Scope, body: Any, _id: int) -> str:
    mine = body.get("ref") == f"refs/pull/{scope.number}/head" and body.get("commit_sha") in scope.heads
    return "" if scope.uploads and mine else "nobody asked for it"


_PULL, _ID = r"pulls/(?P<pull>\d+)", r"(?P<id>\d+)"
_ALLOWED: tuple[tuple[str, str, _Look], ...] = (
    ("POST", rf"{_PULL}/reviews", _review),
    ("POST", rf"{_PULL}/reviews/{_ID}/events", _review),
    ("DELETE", rf"{_PULL}/reviews/{_ID}", _plain),
    ("PUT", rf"{_PULL}/reviews/{_ID}/dismissals", _dismissal),
    ("POST", rf"{_PULL}/comments", _plain),
    ("POST", rf"{_PULL}/comments/{_ID}/replies", _reply),
    ("PATCH", rf"pulls/comments/{_ID}", _comment),
    ("DELETE", rf"pulls/comments/{_ID}", _comment),
    ("POST", rf"pulls/comments/{_ID}/reactions", _thread_reaction),
    ("POST", r"issues/(?P<pull>\d+)/comments", _plain),
    ("PATCH", rf"issues/comments/{_ID}", _issue_comment),
    ("DELETE", rf"issues/comments/{_ID}", _issue_comment),
    ("POST", rf"issues/comments/{_ID}/reactions", _issue_reaction),
    ("POST", r"check-runs", _check_run),
    ("PATCH", rf"check-runs/{_ID}", _known_check_run),
    ("POST", r"code-scanning/sarifs", _upload),
)
