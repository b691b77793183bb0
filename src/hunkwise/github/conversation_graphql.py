"""Reads the conversation, the check runs and the linked issues in one GraphQL query."""

from __future__ import annotations

from collections.abc import Iterable

from hunkwise.domain.diff import Side
from hunkwise.domain.pull_request import (
    CheckRun,
    Comment,
    Conversation,
    LinkedIssue,
    PostedReview,
    Reply,
    ReviewState,
    Thread,
)
from hunkwise.errors import GitHubError
from hunkwise.github.accounts import GHOST, bare, graphql_trusted
from hunkwise.github.connection import MOST_PAGES, PAGE, GitHubConnection, TooManyError
from hunkwise.github.graphql import GraphqlResponse
from hunkwise.github.responses import REFUSED, JsonValue, malformed_response_error

LINKED_ISSUES_FIELD = "closingIssuesReferences"
"""The field for linked issues of a pull request in GitHub's schema."""
LINKED_ISSUES_SELECTION = f"""{LINKED_ISSUES_FIELD}(first: 10) @include(if: $once) {{
        nodes {{ number title body repository {{ nameWithOwner }} }}
      }}"""
"""The selection of that field in a query, which must declare `$once`."""


def linked_issues(pull: JsonValue) -> tuple[LinkedIssue, ...]:
    """Returns the linked issues that the token may read; GitHub gives null for the others."""
    if not isinstance(pull.at(f"{LINKED_ISSUES_FIELD}.nodes").value, list):
        return ()
    return tuple(
        LinkedIssue(
            number,
            issue.text_or("title", ""),
            issue.text_or("body", ""),
            issue.text_or("repository.nameWithOwner", ""),
        )
        for issue in pull.entries(f"{LINKED_ISSUES_FIELD}.nodes")
        if (number := issue.number_or_none("number")) is not None
    )


def checks_by_graphql(pull: JsonValue, head_sha: str) -> tuple[CheckRun, ...] | None:
    """Returns check runs at `head_sha`, oldest first; none if the token may not read them or the head differs.

    Returns None if GraphQL gives them without ids, which can be too large for its 32-bit type.
    """
    checks: list[CheckRun] = []
    for commit in _entries_or_empty(pull, "commits.nodes"):
        if commit.text_or("commit.oid", "") != head_sha:
            continue
        for suite in _entries_or_empty(commit, "commit.checkSuites.nodes"):
            for run in _entries_or_empty(suite, "checkRuns.nodes"):
                number = run.number_or_none("databaseId")
                if number is None:
                    return None
                status, conclusion = run.text_or("status", ""), run.text_or("conclusion", "")
                checks.append(
                    CheckRun(number, status.lower(), conclusion.lower(), run.text_or("externalId", ""))
                )
    return _oldest_first(checks)


def checks_by_rest(
    connection: GitHubConnection, repository: str, head_sha: str, check_name: str
) -> tuple[CheckRun, ...]:
    """Reads the newest hundred, oldest first; none if the token may not read them. Raises GitHubError."""
    try:
        return read_check_runs(connection, repository, head_sha, check_name)
    except GitHubError as error:
        if error.kind in REFUSED:
            return ()
        raise


def read_check_runs(
    connection: GitHubConnection, repository: str, head_sha: str, check_name: str
) -> tuple[CheckRun, ...]:
    """Reads the newest hundred, oldest first. Raises GitHubError, also if the token may not read them."""
    query = {"check_name": check_name, "filter": "all", "per_page": PAGE}
    response = connection.get(f"/repos/{repository}/commits/{head_sha}/check-runs", query)
    return _oldest_first(
        CheckRun(
            run.number("id"),
            run.text("status"),
            run.text_or("conclusion", ""),
            run.text_or("external_id", ""),
        )
        for run in response.entries("check_runs")
    )


def _entries_or_empty(node: JsonValue, path: str) -> list[JsonValue]:
    """Returns the entries of a list; none if the token may not read it."""
    return node.entries(path) if isinstance(node.at(path).value, list) else []


def _oldest_first(checks: Iterable[CheckRun]) -> tuple[CheckRun, ...]:
    by_id = {check.id: check for check in checks}
    return tuple(by_id[check_id] for check_id in sorted(by_id))


_PULL_PATH = "repository.pullRequest"
_LISTS = {"reviewThreads": "review threads", "comments": "comments", "reviews": "reviews"}
_MAX_REWRITES = 100
# At most about 18,000 nodes, of the 500,000 that GitHub allows per query.
_QUERY = """
query(
  $owner: String!, $name: String!, $number: Int!, $check: String!, $once: Boolean!
  $reviewThreads: Boolean!, $reviewThreadsAfter: String
  $comments: Boolean!, $commentsAfter: String
  $reviews: Boolean!, $reviewsAfter: String
) {
  viewer { login }
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      state headRefOid author { login }
      #linked
      reviewThreads(first: 100, after: $reviewThreadsAfter) @include(if: $reviewThreads) {
        pageInfo { hasNextPage endCursor }
        nodes {
          id isResolved isOutdated path line startLine diffSide subjectType resolvedBy { login }
          opening: comments(first: 1) {
            nodes { ...Said diffHunk reactions(content: THUMBS_DOWN, first: 20) { nodes { user { login } } } }
          }
          latest: comments(last: 50) { nodes { ...Said } }
        }
      }
      comments(first: 100, after: $commentsAfter) @include(if: $comments) {
        pageInfo { hasNextPage endCursor }
        nodes {
          fullDatabaseId body url viewerDidAuthor author { login } editor { login }
        }
      }
      reviews(first: 100, after: $reviewsAfter) @include(if: $reviews) {
        pageInfo { hasNextPage endCursor }
        nodes {
          fullDatabaseId body url viewerDidAuthor state commit { oid }
        }
      }
      timelineItems(
        last: 100, itemTypes: [HEAD_REF_FORCE_PUSHED_EVENT, BASE_REF_FORCE_PUSHED_EVENT, BASE_REF_CHANGED_EVENT]
      ) @include(if: $once) { totalCount nodes { __typename } }
      commits(last: 1) @include(if: $once) {
        nodes { commit { oid checkSuites(first: 100, filterBy: { checkName: $check }) { nodes {
          checkRuns(first: 100, filterBy: { checkName: $check, checkType: ALL }) {
            nodes { databaseId status conclusion externalId }
          }
        } } } }
      }
    }
  }
}
fragment Said on PullRequestReviewComment {
  fullDatabaseId state body url viewerDidAuthor authorAssociation author { __typename login } editor { login }
}
"""


def conversation_by_graphql(
    connection: GitHubConnection,
    repository: str,
    number: int,
    head_sha: str,
    check_name: str,
    *,
    linked: bool = True,
) -> Conversation:
    """Reads the conversation. Raises GitHubError, TooManyError past 30 pages of a list.

    Optional parts that a token may not read (check runs, number of rewrites, linked issues) stay empty; threads,
    comments and reviews are required. `linked`: whether the server's schema has linked issues.
    """
    query = _QUERY.replace("#linked", LINKED_ISSUES_SELECTION) if linked else _QUERY
    data, nodes = _read_pages(connection, query, repository, number, check_name)
    pull = data.at(_PULL_PATH)
    threads, comments, reviews = (nodes[name] for name in _LISTS)
    checks = checks_by_graphql(pull, head_sha)
    if checks is None:
        checks = checks_by_rest(connection, repository, head_sha, check_name)
    return Conversation(
        state=pull.text("state").lower(),
        head_sha=pull.text("headRefOid"),
        viewer=bare(data.text_or("viewer.login", "")),
        author=_author(pull),
        threads=tuple(_thread(node) for node in threads if _comments_of(node)),
        reviews=tuple(_review(node) for node in reviews if node.certain("viewerDidAuthor")),
        comments=tuple(own_comment(node) for node in comments if node.certain("viewerDidAuthor")),
        check_runs=checks,
        rewrites=_rewrites(pull),
        linked_issues=linked_issues(pull),
    )


def _read_pages(
    connection: GitHubConnection, query: str, repository: str, number: int, check_name: str
) -> tuple[JsonValue, dict[str, list[JsonValue]]]:
    """Returns the first page's data, and the nodes of all pages. A complete list is not requested again."""
    owner, _, repository_name = repository.partition("/")
    variables = {"owner": owner, "name": repository_name, "number": number, "check": check_name}
    nodes: dict[str, list[JsonValue]] = {name: [] for name in _LISTS}
    after: dict[str, str | None] = dict.fromkeys(_LISTS)
    first: JsonValue | None = None
    for _ in range(MOST_PAGES):
        cursors = {f"{name}After": after.get(name) for name in _LISTS}
        included = {name: name in after for name in _LISTS}
        answer = connection.graphql_partly(query, {**variables, **cursors, **included, "once": first is None})
        pull = _required(answer, _PULL_PATH)
        for name in after:
            nodes[name] += _required(answer, f"{_PULL_PATH}.{name}").objects("nodes")
        after = {
            name: pull.text(f"{name}.pageInfo.endCursor")
            for name in after
            if pull.truth(f"{name}.pageInfo.hasNextPage")
        }
        first = first or answer.data
        if not after:
            return first, nodes
    raise TooManyError(" or ".join(_LISTS[name] for name in after))


def _required(answer: GraphqlResponse, path: str) -> JsonValue:
    """Returns the value at the path. Raises GitHub's error for this place if the value is missing."""
    value = answer.data.at(path)
    if value.value is None:
        error = answer.fault_at(*path.split("."))
        raise error or malformed_response_error(value.request, f"nothing at `{path}`")
    return value


def _comments_of(thread: JsonValue) -> list[JsonValue]:
    """Returns the first comment and the latest 50; none if the first is pending, which only we can see."""
    opening = thread.objects("opening.nodes")[:1]
    if not opening or _is_pending(opening[0]):
        return []
    first = _id(opening[0])
    latest = thread.objects("latest.nodes")
    return opening + [comment for comment in latest if _id(comment) != first and not _is_pending(comment)]


def _thread(node: JsonValue) -> Thread:
    first, *replies = _comments_of(node)
    critics = first.entries("reactions.nodes") if first.at("reactions.nodes").value else []
    logins = [critic.text_or("user.login", "") for critic in critics]
    line = None if node.text_or("subjectType", "") == "FILE" else node.number_or_none("line")
    return Thread(
        path=node.text("path"),
        line=line,
        side=Side.LEFT if node.text_or("diffSide", "") == "LEFT" else Side.RIGHT,
        author=_author(first),
        body=first.text("body"),
        resolved=node.truth("isResolved"),
        outdated=node.truth("isOutdated"),
        id=node.text("id"),
        comment_id=_id(first),
        ours=first.certain("viewerDidAuthor"),
        trusted=graphql_trusted(first),
        edited=_is_edited(first),
        resolved_by=bare(node.text_or("resolvedBy.login", "")),
        replies=tuple(_reply(reply) for reply in replies),
        thumbs_down=tuple(login for login in logins if login),
        url=first.text_or("url", ""),
        diff_hunk=first.text_or("diffHunk", ""),
        start_line=None if line is None else node.number_or_none("startLine"),
    )


def _is_pending(comment: JsonValue) -> bool:
    return comment.text("state") == "PENDING"


def _reply(node: JsonValue) -> Reply:
    return Reply(
        author=_author(node),
        body=node.text("body"),
        ours=node.certain("viewerDidAuthor"),
        trusted=graphql_trusted(node),
        bot=node.text_or("author.__typename", "") == "Bot",
        edited=_is_edited(node),
    )


def own_comment(node: JsonValue) -> Comment:
    """Returns a comment of ours in a conversation."""
    return Comment(_id(node), node.text("body"), node.text_or("url", ""), _is_edited(node))


def _review(node: JsonValue) -> PostedReview:
    word = node.text("state")
    state = ReviewState(word) if word in ReviewState.__members__ else ReviewState.COMMENTED
    commit = node.text_or("commit.oid", "")
    return PostedReview(_id(node), state, node.text("body"), commit, node.text_or("url", ""))


def _rewrites(pull: JsonValue) -> int | None:
    """Counts the listed events: GitHub does not document whether `totalCount` respects the filter by type."""
    events = pull.at("timelineItems.nodes").value
    if not isinstance(events, list):
        return None
    return len(events) if len(events) < _MAX_REWRITES else pull.number_or_none("timelineItems.totalCount")


def _author(node: JsonValue) -> str:
    return bare(node.text_or("author.login", GHOST))


def _is_edited(node: JsonValue) -> bool:
    """Returns whether somebody other than its author edited it."""
    editor = node.text_or("editor.login", "")
    return bool(editor) and bare(editor) != _author(node)


def _id(node: JsonValue) -> int:
    """Returns REST's id: GraphQL gives it as text, because it needs more than 32 bits."""
    value = node.at("fullDatabaseId").value
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        return int(value)
    return node.number("fullDatabaseId")
