"""Finds and writes the issue that an audit keeps, with its state comment; reads dismissed code-scanning alerts."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from hunkwise.domain.audit import DismissedAlert
from hunkwise.domain.pull_request import Comment
from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.accounts import GHOST, bare
from hunkwise.github.checks import NAME
from hunkwise.github.comments import SummaryComments
from hunkwise.github.connection import MOST_PAGES, PAGE, TooManyError, entries_of
from hunkwise.github.conversation_graphql import own_comment
from hunkwise.github.responses import JsonValue
from hunkwise.github.writer import Writer, address, marker_line

_LABEL_COLOR = "5319e7"
_LABEL_DESCRIPTION = "The issue that hunkwise keeps about its audits"
_PERMISSION = (
    "Give the job `permissions: issues: write` (a plan needs `issues: read`), and enable issues in the "
    "repository's settings.",
    'Give the token in GITHUB_TOKEN the permission "Issues: read and write" for this repository (a classic one the '
    "scope `repo`), and enable issues in the repository's settings.",
)
_HINTED = (GitHubErrorKind.FORBIDDEN, GitHubErrorKind.NOT_FOUND)
_log = logging.getLogger(__name__)


class StaleIssueError(GitHubError):
    """Somebody wrote to the issue after it was read; nothing was written."""

    def __init__(self, what: str) -> None:
        super().__init__(
            GitHubErrorKind.UNAVAILABLE,
            f"{what} since this audit read it.",
            "Run the audit again. `concurrency` in the workflow keeps two audits from running at once.",
            "Run the audit again.",
        )


@dataclass(frozen=True, slots=True)
class AuditIssue:
    """The issue of an audit, as it was read."""

    number: int
    url: str
    body: str
    state: str
    """`open` or `closed`."""
    body_editor: str = ""
    """Who edited the body last, for example by ticking a box; empty if nobody did."""
    state_comments: tuple[Comment, ...] = ()
    """Our comments, oldest first: of a long conversation, those among the first and the last fifty."""


COMMENTS_AT_EACH_END = 50
# At most about 1,000 nodes, of the 500,000 that GitHub allows per query.
_KEPT = f"""
fragment Kept on Issue {{
  number url body state viewerDidAuthor editor {{ login }}
  first: comments(first: {COMMENTS_AT_EACH_END}) {{ nodes {{ ...Said }} }}
  latest: comments(last: {COMMENTS_AT_EACH_END}) {{ nodes {{ ...Said }} }}
}}
fragment Said on IssueComment {{
  fullDatabaseId body url viewerDidAuthor author {{ login }} editor {{ login }}
}}
"""
_FIND = f"""
query($owner: String!, $name: String!, $label: String!) {{
  repository(owner: $owner, name: $name) {{
    issues(first: 10, labels: [$label], orderBy: {{field: CREATED_AT, direction: DESC}}) {{
      nodes {{ ...Kept }}
    }}
  }}
}}{_KEPT}"""
_READ = f"""
query($owner: String!, $name: String!, $number: Int!) {{
  repository(owner: $owner, name: $name) {{ issue(number: $number) {{ ...Kept }} }}
}}{_KEPT}"""


class AuditIssues:
    """The issues of audits in one repository. Methods raise GitHubError; a write happens once."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def find(self, marker: str, label: str) -> AuditIssue | None:
        """Returns our newest issue with the label and with `marker` as a line of its body, if possible an open one."""
        nodes = self._query(_FIND, label=label).objects("repository.issues.nodes")
        ours = [_issue(node) for node in nodes if node.certain("viewerDidAuthor")]
        marked = [issue for issue in ours if marker in (line.strip() for line in issue.body.splitlines())]
        return min(marked, key=lambda issue: issue.state != "open", default=None)

    def create(self, title: str, body: str, label: str, state_comment: str) -> AuditIssue:
        """Creates the issue with its state comment, and the label if it is missing.

        The last line of `body` must be its marker. Raises StaleIssueError if there is such an issue by now.
        """
        marker = marker_line(body)
        if self.find(marker, label) is not None:
            raise StaleIssueError("Another audit created the issue")
        with _hinted():
            self._ensure_label(label)
            issue = self._writer.surely(
                lambda: _created(
                    self._writer.post("issues", {"title": title, "body": body, "labels": [label]})
                ),
                lambda: self.find(marker, label),
            )
        return replace(issue, state_comments=(self.comment(issue, state_comment),))

    def write_state(self, issue: AuditIssue, text: str) -> Comment:
        """Writes the state comment, or a new one if there is none.

        The last line of `text` must be its marker: the newest comment of ours that ends in a marker of the same kind
        is edited. Raises StaleIssueError if since `issue` was read its body or one of our comments has changed.
        """
        current = _issue(self._query(_READ, number=issue.number).at("repository.issue"))
        if (current.body, current.state_comments) != (issue.body, issue.state_comments):
            raise StaleIssueError("Somebody edited the issue, or another audit wrote to it,")
        kind = _marker_kind(text)
        known = [comment.id for comment in issue.state_comments if _marker_kind(comment.body) == kind]
        with _hinted():
            return self._comments(issue).save(text, known[-1] if known else None)

    def edit(self, issue: AuditIssue, body: str) -> None:
        """Replaces the body. A closed issue stays closed."""
        path = f"issues/{issue.number}"
        with _hinted():
            self._writer.surely(lambda: self._writer.patch(path, {"body": body}).number("number"))

    def comment(self, issue: AuditIssue, body: str) -> Comment:
        """Adds a comment, whose last line must be unique among our comments on the issue."""
        with _hinted():
            return self._comments(issue).save(body, None)

    def dismissed_alerts(self) -> tuple[DismissedAlert, ...] | None:
        """Returns the dismissed alerts of the default branch that our uploads created, the newest first.

        Returns None, which decides nothing, if they cannot all be read; except for 404, the reason is logged.
        """
        github = self._writer.github
        path = f"/repos/{github.repository}/code-scanning/alerts"
        query = {"tool_name": NAME, "state": "dismissed"}
        try:
            entries = entries_of(github.connection, path, "dismissed alerts", query)
            return tuple(_alert(entry) for entry in entries)
        except TooManyError:
            reason = f"there are more than {PAGE * MOST_PAGES:,}."
        except GitHubError as error:
            if error.kind is GitHubErrorKind.NOT_FOUND:  # nothing was ever uploaded
                return None
            reason = error.message
        _log.warning("Dismissed alerts of code scanning are not taken into account: %s", reason)
        return None

    def _query(self, query: str, **variables: object) -> JsonValue:
        github = self._writer.github
        owner, _, name = github.repository.partition("/")
        with _hinted():
            return github.connection.graphql(query, {"owner": owner, "name": name, **variables})

    def _ensure_label(self, label: str) -> None:
        given = {"name": label, "color": _LABEL_COLOR, "description": _LABEL_DESCRIPTION}
        try:
            self._writer.surely(lambda: self._writer.post("labels", given))
        except GitHubError as error:
            if error.kind is not GitHubErrorKind.INVALID:  # the label exists
                raise

    def _comments(self, issue: AuditIssue) -> SummaryComments:
        return SummaryComments(self._writer.at(issue.number))


@contextmanager
def _hinted() -> Iterator[None]:
    """Names the permission if GitHub refuses."""
    try:
        yield
    except GitHubError as error:
        if error.kind not in _HINTED:
            raise
        raise GitHubError(error.kind, error.message, *_PERMISSION) from error


def _marker_kind(text: str) -> str:
    """Returns the start of the marker in the last line, which is the same for all markers of its kind."""
    return marker_line(text).partition(" v1 ")[0]


def _issue(node: JsonValue) -> AuditIssue:
    comments = [*node.objects("first.nodes"), *node.objects("latest.nodes")]
    ours = (own_comment(comment) for comment in comments if comment.certain("viewerDidAuthor"))
    by_id = {comment.id: comment for comment in ours}
    return AuditIssue(
        number=node.number("number"),
        url=node.text_or("url", ""),
        body=node.text("body"),
        state=node.text("state").lower(),
        body_editor=bare(node.text_or("editor.login", "")),
        state_comments=tuple(by_id[comment_id] for comment_id in sorted(by_id)),
    )


def _created(entry: JsonValue) -> AuditIssue:
    url = address(entry)
    return AuditIssue(entry.number("number"), url, entry.text_or("body", ""), entry.text("state"))


def _alert(entry: JsonValue) -> DismissedAlert:
    place = entry.at("most_recent_instance.location")
    start = place.number_or_none("start_line") or 0
    return DismissedAlert(
        number=entry.number("number"),
        rule=entry.text_or("rule.id", ""),
        path=place.text_or("path", ""),
        start_line=start,
        end_line=place.number_or_none("end_line") or start,
        message=entry.text_or("most_recent_instance.message.text", ""),
        commit_sha=entry.text_or("most_recent_instance.commit_sha", ""),
        dismissed_by=bare(entry.text_or("dismissed_by.login", GHOST)),
        reason=entry.text_or("dismissed_reason", ""),
        comment=entry.text_or("dismissed_comment", ""),
    )
