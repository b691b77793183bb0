"""The fake GitHub's GraphQL: executed on GitHub's own schema, so that wrong names and enums are refused."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from graphql import GraphQLError, GraphQLSchema, build_schema, graphql_sync

from tests.fakes.github_state import BOT, Comment, Hub, IssueComment, Json, Thread, node_id

_SCHEMA = Path(__file__).resolve().parents[2] / "node_modules/@octokit/graphql-schema/schema.graphql"
_Listed = TypeVar("_Listed")


@cache
def schema() -> GraphQLSchema:
    """GitHub's schema, built once a process (about a second)."""
    if not _SCHEMA.is_file():
        raise FileNotFoundError(f"{_SCHEMA} is missing: run `npm ci` to install GitHub's contracts.")
    return build_schema(_SCHEMA.read_text("utf-8"), assume_valid=True, no_location=True)


def execute(hub: Hub, web: str, login: str, permission: str, given: Json) -> Json:
    """The JSON of the answer: `data`, and `errors` in GitHub's shape where there are any."""
    root = _Root(hub, web, login, permission)
    done = graphql_sync(
        schema(),
        given["query"],
        root_value=root,
        variable_values=given.get("variables"),
        operation_name=given.get("operationName"),
    )
    answer: Json = {"data": done.data}
    if done.errors:
        answer["errors"] = [_error(error) for error in done.errors]
    return answer


def _error(error: GraphQLError) -> Json:
    kind = (error.extensions or {}).get("type")
    shaped: Json = {"message": error.message, "path": error.path or []}
    return shaped | {"type": kind} if kind else shaped


def _refusal(kind: str, message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"type": kind})


class _Root:
    """Resolvers by GraphQL's names: a callable attribute is called with `info` and the arguments."""

    def __init__(self, hub: Hub, web: str, login: str, permission: str) -> None:
        self._hub = hub
        self._web = web
        self._permission = permission
        self._login = login
        self.viewer = {"login": login}

    def repository(self, _info: object, owner: str, name: str, **_options: object) -> Json:
        if f"{owner}/{name}" != self._hub.repository or self._permission == "none":
            message = f"Could not resolve to a Repository with the name '{owner}/{name}'."
            raise _refusal("NOT_FOUND", message)
        return {"nameWithOwner": self._hub.repository, "pullRequest": self._pull_request}

    def _pull_request(self, _info: object, number: int) -> Json:
        if number not in self._hub.pulls:
            message = f"Could not resolve to a PullRequest with the number of {number}."
            raise _refusal("NOT_FOUND", message)
        threads = [thread for thread in self._hub.threads if thread.number == number]

        def review_threads(_info: object, **page: Any) -> Json:
            return _connection(threads, page, self._thread)

        return {"number": number, "reviewThreads": review_threads}

    def resolveReviewThread(self, _info: object, **arguments: Json) -> Json:  # noqa: N802
        thread = self._writable_thread(arguments["input"]["threadId"])
        thread.resolved = True
        return {"thread": self._thread(thread)}

    def minimizeComment(self, _info: object, **arguments: Json) -> Json:  # noqa: N802
        self._must_write()
        subject = arguments["input"]["subjectId"]
        said: list[Comment | IssueComment] = [*self._hub.comments, *self._hub.issue_comments]
        for comment in said:
            if node_id(comment.id) == subject:
                comment.minimized = True
                reason = str(arguments["input"]["classifier"]).lower()
                name = "PullRequestReviewComment" if isinstance(comment, Comment) else "IssueComment"
                minimized = {"isMinimized": True, "minimizedReason": reason, "__typename": name}
                return {"minimizedComment": minimized}
        raise _refusal("NOT_FOUND", f"Could not resolve to a node with the global id of '{subject}'")

    def _writable_thread(self, thread_id: str) -> Thread:
        self._must_write()
        for thread in self._hub.threads:
            if thread.id == thread_id:
                return thread
        raise _refusal("NOT_FOUND", f"Could not resolve to a node with the global id of '{thread_id}'")

    def _must_write(self) -> None:
        if self._permission != "write":
            raise _refusal("FORBIDDEN", "Resource not accessible by integration")

    def _thread(self, thread: Thread) -> Json:
        first = thread.comments[0]

        def comments(_info: object, **page: Any) -> Json:
            return _connection(thread.comments, page, self._comment)

        return {
            "id": thread.id,
            "isResolved": thread.resolved,
            "isOutdated": thread.outdated,
            "path": first.path,
            "line": None if thread.outdated else first.line,
            "originalLine": first.line,
            "startLine": None if thread.outdated else first.start_line,
            "originalStartLine": first.start_line,
            "diffSide": first.side,
            "startDiffSide": first.start_side,
            "subjectType": first.subject_type.upper(),
            "comments": comments,
        }

    def _comment(self, comment: Comment) -> Json:
        bot = comment.author == BOT
        # GraphQL gives an app's login without the suffix that REST has.
        author = {"login": comment.author.removesuffix("[bot]"), "__typename": "Bot" if bot else "User"}
        return {
            "id": node_id(comment.id),
            "databaseId": comment.id,
            "fullDatabaseId": str(comment.id),
            "body": comment.body,
            "author": author,
            "authorAssociation": self._hub.associations.get(comment.author, "NONE"),
            "viewerDidAuthor": author["login"] == self._login.removesuffix("[bot]"),
            "url": f"{self._web}/pull/{comment.number}#discussion_r{comment.id}",
            "isMinimized": comment.minimized,
        }


def _connection(everything: Sequence[_Listed], page: Json, shape: Any) -> Json:
    """A page after a cursor. GitHub wants `first` or `last`, and no more than 100."""
    size = page.get("first")
    if size is None:
        raise _refusal("MISSING_PAGINATION_BOUNDARIES", "You must provide a `first` or `last` value.")
    if size > 100:
        message = f"Requesting {size} records on a connection exceeds the `first` limit of 100 records."
        raise _refusal("EXCESSIVE_PAGINATION", message)
    start = int(page["after"]) if page.get("after") else 0
    shown = everything[start : start + size]
    end = start + len(shown)
    info = {"hasNextPage": end < len(everything), "endCursor": str(end) if shown else None}
    return {
        "nodes": [shape(one) for one in shown],
        "totalCount": len(everything),
        "pageInfo": {**info, "hasPreviousPage": start > 0, "startCursor": str(start)},
    }
