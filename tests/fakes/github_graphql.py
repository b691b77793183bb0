"""The fake GitHub's GraphQL endpoint: node limit, mutations and execution on GitHub's own schema."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    build_schema,
    execute_sync,
    parse,
    validate,
)

from tests.fakes.github_graphql_objects import Asking, Reading, comment_shape, no_node, thread_shape
from tests.fakes.github_graphql_pages import refusal
from tests.fakes.github_messages import Json, RefusedError
from tests.fakes.github_reviews import add_reply, add_to_review, check_comment, remove_comment, thread_of
from tests.fakes.github_state import Comment, Hub, IssueComment, Permission, Review, Thread, node_id

NODE_LIMIT = 500_000


def possible_nodes(document: DocumentNode, variables: dict[str, Any]) -> int:
    """Each connection's size times those that it stands in, all added up."""
    return _Counting(document, variables).total


class _Counting:
    def __init__(self, document: DocumentNode, variables: dict[str, Any]) -> None:
        self._variables = variables
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        self.total = sum(self._below(node.selection_set, 1) for node in operations)

    def _below(self, chosen: SelectionSetNode | None, times: int) -> int:
        total = 0
        for node in chosen.selections if chosen is not None else ():
            if isinstance(node, FieldNode):
                size = self._size(node)
                total += times * (size or 0) + self._below(node.selection_set, times * (size or 1))
            elif isinstance(node, InlineFragmentNode):
                total += self._below(node.selection_set, times)
            elif isinstance(node, FragmentSpreadNode) and node.name.value in self._fragments:
                total += self._below(self._fragments[node.name.value].selection_set, times)
        return total

    def _size(self, field: FieldNode) -> int | None:
        """What `first` or `last` says."""
        for argument in field.arguments or ():
            if argument.name.value not in ("first", "last"):
                continue
            match argument.value:
                case IntValueNode(value=digits):
                    return int(digits)
                case VariableNode(name=name):
                    given = self._variables.get(name.value)
                    return given if isinstance(given, int) else None
        return None


class Writing:
    """The mutations that GitHub's schema has and a review sends. Each of a document fails on its own."""

    _asking: Asking

    def addPullRequestReviewThreadReply(self, _info: object, **arguments: Json) -> Json:  # noqa: N802
        self._may("addPullRequestReviewThreadReply")
        given, asking = arguments["input"], self._asking
        thread = self._thread(given["pullRequestReviewThreadId"])
        try:
            check_comment(given["body"])
        except RefusedError as refused:
            raise refusal("UNPROCESSABLE", f"{refused}: body") from None
        # Beside a review that is not submitted a reply becomes a part of it, and nobody else sees it.
        pending = asking.hub.pending_review(thread.number, asking.login)
        reply = add_reply(asking.hub, thread, asking.login, given["body"], pending.id if pending else None)
        return _payload(given, comment=comment_shape(asking, reply, pending is not None))

    def addPullRequestReviewThread(self, _info: object, **arguments: Json) -> Json:  # noqa: N802
        """A thread of a review that is not submitted. For most lines that it does not take GitHub gives no reason."""
        self._may("addPullRequestReviewThread")
        given, asking = arguments["input"], self._asking
        review = self._pending_review(given["pullRequestReviewId"])
        names = {"startLine": "start_line", "startSide": "start_side", "subjectType": "subject_type"}
        comment = {names.get(name, name): value for name, value in given.items()}
        comment["subject_type"] = given["subjectType"].lower()
        try:
            stored = add_to_review(asking.hub, review, comment)
        except RefusedError as refused:
            why = str(refused.reply.body["errors"][0])
            if "must" not in why:
                raise refusal("UNPROCESSABLE", why) from None
            return _payload(given, thread=None)
        return _payload(given, thread=thread_shape(asking, thread_of(asking.hub, stored)))

    def deletePullRequestReviewComment(self, _info: object, **arguments: Json) -> Json:  # noqa: N802
        self._may("deletePullRequestReviewComment")
        for comment in self._asking.hub.comments:
            if node_id(comment.id) == arguments["input"]["id"]:
                remove_comment(self._asking.hub, comment)
                return _payload(arguments["input"])
        raise no_node(arguments["input"]["id"])

    def resolveReviewThread(self, _info: object, **arguments: Json) -> Json:  # noqa: N802
        self._may("resolveReviewThread")
        thread = self._thread(arguments["input"]["threadId"])
        if not thread.resolved:
            thread.resolved, thread.resolved_by = True, self._asking.login
        return _payload(arguments["input"], thread=thread_shape(self._asking, thread))

    def unresolveReviewThread(self, _info: object, **arguments: Json) -> Json:  # noqa: N802
        self._may("unresolveReviewThread")
        thread = self._thread(arguments["input"]["threadId"])
        thread.resolved, thread.resolved_by = False, ""
        return _payload(arguments["input"], thread=thread_shape(self._asking, thread))

    def minimizeComment(self, _info: object, **arguments: Json) -> Json:  # noqa: N802
        self._may("minimizeComment")
        subject = arguments["input"]["subjectId"]
        said: list[Comment | IssueComment] = [*self._asking.hub.comments, *self._asking.hub.issue_comments]
        for comment in said:
            if node_id(comment.id) == subject:
                comment.minimized = True
                reason = str(arguments["input"]["classifier"]).lower()
                name = "PullRequestReviewComment" if isinstance(comment, Comment) else "IssueComment"
                minimized = {"isMinimized": True, "minimizedReason": reason, "__typename": name}
                return _payload(arguments["input"], minimizedComment=minimized)
        raise no_node(subject)

    def _may(self, mutation: str) -> None:
        self._asking.must("write", "pulls")
        if mutation in self._asking.hub.refused_mutations:
            raise refusal("FORBIDDEN", "Resource not accessible by integration")

    def _pending_review(self, review_id: str) -> Review:
        for review in self._asking.hub.reviews:
            if (node_id(review.id), review.state) == (review_id, "PENDING") and self._asking.authored(
                review.author
            ):
                return review
        raise no_node(review_id)

    def _thread(self, thread_id: str) -> Thread:
        for thread in self._asking.hub.threads:
            if thread.id == thread_id:
                return thread
        raise no_node(thread_id)


def _payload(given: Json, **made: Json | None) -> Json:
    return {"clientMutationId": given.get("clientMutationId"), **made}


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
