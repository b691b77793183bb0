"""Reads the conversation, the check runs and the linked issues in one GraphQL query."""

from __future__ import annotations

from collections.abc import Iterable

from hunkwise.domain.diff import Side
from hunkwise.domain.pull_request import (
    CheckRun,
    Comment,
    Conversation,
    Known,
    LinkedIssue,
    PostedReview,
    Reply,
    ReviewState,
    Thread,
)
from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.accounts import GHOST, bare, graphql_trusted, graphql_writers
from hunkwise.github.blob_lookup import BlobLookup
from hunkwise.github.connection import MOST_PAGES, PAGE, GitHubConnection, TooManyError
from hunkwise.github.responses import GraphqlResponse, JsonValue, malformed_response_error

FIELD = "closingIssuesReferences"
ASKED = f"""{FIELD}(first: 10) @include(if: $once) {{
        nodes {{ number title body repository {{ nameWithOwner }} }}
      }}"""
"""The field of a pull request in GitHub's schema. `$once` must be declared."""


def linked_issues(pull: JsonValue) -> tuple[LinkedIssue, ...]:
    """What may be read of them; an issue that the token may not read is null."""
    if not isinstance(pull.at(f"{FIELD}.nodes").value, list):
        return ()
    return tuple(
        LinkedIssue(
            number,
            issue.text_or("title", ""),
            issue.text_or("body", ""),
            issue.text_or("repository.nameWithOwner", ""),
        )
        for issue in pull.entries(f"{FIELD}.nodes")
        if (number := issue.number_or_none("number")) is not None
    )


_HIDDEN = (GitHubErrorKind.FORBIDDEN, GitHubErrorKind.NOT_FOUND, GitHubErrorKind.INVALID)


def checks_by_graphql(pull: JsonValue, head_sha: str) -> tuple[CheckRun, ...] | None:
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
    connection: GitHubConnection, repository: str, head_sha: str, check_name: str
) -> tuple[CheckRun, ...]:
    """The newest hundred, oldest first; none where the token may not read them. Raises GitHubError."""
    query = {"check_name": check_name, "filter": "all", "per_page": PAGE}
    try:
        said = connection.get(f"/repos/{repository}/commits/{head_sha}/check-runs", query)
    except GitHubError as error:
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


def _readable(shape: JsonValue, path: str) -> list[JsonValue]:
    """The entries of a list that may be hidden from us."""
    return shape.entries(path) if isinstance(shape.at(path).value, list) else []


def _oldest_first(checks: Iterable[CheckRun]) -> tuple[CheckRun, ...]:
    by_number = {check.id: check for check in checks}
    return tuple(by_number[number] for number in sorted(by_number))


_PULL = "repository.pullRequest"
_LISTS = {"reviewThreads": "review threads", "comments": "comments", "reviews": "reviews"}
_MOST_REWRITES = 100
# At most some 18,000 nodes, of the 500,000 that GitHub allows a query.
_QUERY = """
query(
  $owner: String!, $name: String!, $number: Int!, $check: String!, $once: Boolean!
  $reviewThreads: Boolean!, $reviewThreadsAfter: String
  $comments: Boolean!, $commentsAfter: String
  $reviews: Boolean!, $reviewsAfter: String
  #declared
) {
  viewer { login }
  repository(owner: $owner, name: $name) {
    #looked
    pullRequest(number: $number) {
      state headRefOid authorAssociation author { __typename login }
      #linked
      reviewThreads(first: 100, after: $reviewThreadsAfter) @include(if: $reviewThreads) {
        pageInfo { hasNextPage endCursor }
        nodes {
          id isResolved isOutdated path line diffSide subjectType resolvedBy { login }
          opening: comments(first: 1) {
            nodes { ...Said reactions(content: THUMBS_DOWN, first: 20) { nodes { user { login } } } }
          }
          latest: comments(last: 50) { nodes { ...Said } }
        }
      }
      comments(first: 100, after: $commentsAfter) @include(if: $comments) {
        pageInfo { hasNextPage endCursor }
        nodes {
          fullDatabaseId body url viewerDidAuthor authorAssociation
          author { __typename login } editor { login }
        }
      }
      reviews(first: 100, after: $reviewsAfter) @include(if: $reviews) {
        pageInfo { hasNextPage endCursor }
        nodes {
          fullDatabaseId body url viewerDidAuthor authorAssociation
          author { __typename login } state commit { oid }
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
    look: BlobLookup,
    *,
    linked: bool = True,
) -> tuple[Conversation, Known]:
    """The whole conversation, and what the look saw. Raises GitHubError, TooManyError past 30 pages of a list.

    What a token may leave unread (check runs, the number of rewrites, linked issues) stays empty; without threads,
    comments and reviews there is no conversation. `linked`: whether the server's schema knows linked issues.
    """
    query = look.added_to(_QUERY.replace("#linked", ASKED) if linked else _QUERY)
    answer, nodes = _read(connection, query, repository, number, check_name, look)
    data = answer.data
    pull = data.at(_PULL)
    threads, comments, reviews = (nodes[name] for name in _LISTS)
    checks = checks_by_graphql(pull, head_sha)
    if checks is None:
        checks = checks_by_rest(connection, repository, head_sha, check_name)
    said = [comment for thread in threads for comment in _comments_of(thread)]
    conversation = Conversation(
        state=pull.text("state").lower(),
        head_sha=pull.text("headRefOid"),
        viewer=bare(data.text_or("viewer.login", "")),
        author=_author(pull),
        author_trusted=graphql_trusted(pull),
        threads=tuple(_thread(node) for node in threads if _comments_of(node)),
        reviews=tuple(_review(node) for node in reviews if node.certain("viewerDidAuthor")),
        comments=tuple(_comment(node) for node in comments if node.certain("viewerDidAuthor")),
        check_runs=checks,
        rewrites=_rewrites(pull),
        writers=graphql_writers([pull, *said, *comments, *reviews]),
        linked_issues=linked_issues(pull),
    )
    return conversation, look.known(answer)


def _read(
    connection: GitHubConnection, query: str, repository: str, number: int, check_name: str, look: BlobLookup
) -> tuple[GraphqlResponse, dict[str, list[JsonValue]]]:
    """The first page's answer, and the nodes of all. A list that ended is not asked for again."""
    owner, _, name = repository.partition("/")
    asked = {"owner": owner, "name": name, "number": number, "check": check_name, **look.variables}
    nodes: dict[str, list[JsonValue]] = {listed: [] for listed in _LISTS}
    after: dict[str, str | None] = dict.fromkeys(_LISTS)
    first: GraphqlResponse | None = None
    for _ in range(MOST_PAGES):
        cursors = {f"{listed}After": after.get(listed) for listed in _LISTS}
        wanted = {listed: listed in after for listed in _LISTS}
        answer = connection.graphql_partly(query, {**asked, **cursors, **wanted, "once": first is None})
        pull = _needed(answer, _PULL)
        for listed in after:
            nodes[listed] += _needed(answer, f"{_PULL}.{listed}").objects("nodes")
        after = {
            listed: pull.text(f"{listed}.pageInfo.endCursor")
            for listed in after
            if pull.truth(f"{listed}.pageInfo.hasNextPage")
        }
        first = first or answer
        if not after:
            return first, nodes
    raise TooManyError(" or ".join(_LISTS[listed] for listed in after))


def _needed(answer: GraphqlResponse, path: str) -> JsonValue:
    """The value at the path, which may not be missing. Raises the error that GitHub gave in its place."""
    value = answer.data.at(path)
    if value.value is None:
        refused = answer.fault_at(*path.split("."))
        raise refused or malformed_response_error(value.request, f"nothing at `{path}`")
    return value


def _comments_of(thread: JsonValue) -> list[JsonValue]:
    """The first comment and the latest 50; none where the first is pending, which only we see."""
    opening = thread.objects("opening.nodes")[:1]
    if not opening or _is_pending(opening[0]):
        return []
    first = _id(opening[0])
    latest = thread.objects("latest.nodes")
    return opening + [one for one in latest if _id(one) != first and not _is_pending(one)]


def _thread(node: JsonValue) -> Thread:
    first, *replies = _comments_of(node)
    critics = first.entries("reactions.nodes") if first.at("reactions.nodes").value else []
    logins = [critic.text_or("user.login", "") for critic in critics]
    return Thread(
        path=node.text("path"),
        line=None if node.text_or("subjectType", "") == "FILE" else node.number_or_none("line"),
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


def _comment(node: JsonValue) -> Comment:
    return Comment(_id(node), node.text("body"), node.text_or("url", ""), _is_edited(node))


def _review(node: JsonValue) -> PostedReview:
    word = node.text("state")
    state = ReviewState(word) if word in ReviewState.__members__ else ReviewState.COMMENTED
    commit = node.text_or("commit.oid", "")
    return PostedReview(_id(node), state, node.text("body"), commit, node.text_or("url", ""))


def _rewrites(pull: JsonValue) -> int | None:
    """The events that are listed: GitHub does not say whether `totalCount` heeds their type."""
    events = pull.at("timelineItems.nodes").value
    if not isinstance(events, list):
        return None
    return len(events) if len(events) < _MOST_REWRITES else pull.number_or_none("timelineItems.totalCount")


def _author(node: JsonValue) -> str:
    return bare(node.text_or("author.login", GHOST))


def _is_edited(node: JsonValue) -> bool:
    """Whether somebody else than its author edited it."""
    editor = node.text_or("editor.login", "")
    return bool(editor) and bare(editor) != _author(node)


def _id(node: JsonValue) -> int:
    """REST's id: GraphQL gives it as text, because it has outgrown 32 bits."""
    said = node.at("fullDatabaseId").value
    if isinstance(said, str) and said.isascii() and said.isdecimal() and len(said) < 20:
        return int(said)
    return node.number("fullDatabaseId")
