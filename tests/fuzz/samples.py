"""Valid calls, events, states, reports and responses, which are changed by the fuzz tests."""

from __future__ import annotations

from typing import Any, Final

from hunkwise.domain.diff import KEY_LENGTH
from hunkwise.publish.report import as_json
from tests.publish.samples import HEAD, anchor, finding, review, view
from tests.settings.test_github_context import example, new_comment

FINDING: Final[dict[str, Any]] = {
    "path": "src/a.py",
    "line": 2,
    "start_line": 2,
    "side": "RIGHT",
    "severity": "high",
    "category": "tests",
    "title": "A title",
    "body": "A body.",
    "suggestion": "x",
    "confidence": 0.5,
}
CALL: Final[dict[str, Any]] = {
    "findings": [FINDING, {**FINDING, "line": 3}, FINDING],
    "summary": "s",
    "done": True,
}
VERDICTS: Final[dict[str, Any]] = {
    "verdicts": [
        {"finding": 1, "verdict": "lower", "severity": "low", "evidence": "Row 3 bounds it."},
        {"finding": 2, "verdict": "drop", "evidence": "Nobody calls it."},
    ],
    "done": True,
}
SUMMARY_CALL: Final[dict[str, Any]] = {
    "overview": "It pays once.",
    "areas": [{"area": "Payments", "what": "Retries end.", "why": "Nobody pays twice."}],
    "risk": {"level": "low", "why": "It is small."},
    "diagram": "flowchart LR\n  A --> B",
    "done": True,
}
EVENT: Final[Any] = {**new_comment(), **example("opened")}
"""What an event on a pull request and one on a comment have."""
RECORD: Final = ["0123456789abcdef", "a.py", 2, "t", "c", "review", "RIGHT", 3, 2, "", "inline", "deleted"]
STATE: Final[dict[str, Any]] = {
    "r": "o/r",
    "n": 7,
    "h": HEAD,
    "s": [HEAD],
    "b": "main",
    "w": 0,
    "d": "0",
    "k": "A" * KEY_LENGTH,
    "f": [RECORD, RECORD[:-1]],
    "c": "",
}
"""The hidden state of a summary comment, before encoding."""
REPORT: Final[dict[str, Any]] = as_json(
    view(
        review(
            finding("T", at=anchor(), category="c", suggestion="s", confidence=0.5),
            finding("U", path="gone.py"),
        )
    )
)

_MONA = {"__typename": "User", "login": "mona"}
_SAID: dict[str, Any] = {
    "fullDatabaseId": "5",
    "state": "SUBMITTED",
    "body": "Words",
    "url": "https://github.com/o/r/pull/7#discussion_r5",
    "viewerDidAuthor": True,
    "authorAssociation": "MEMBER",
    "author": _MONA,
    "editor": None,
}
_NO_MORE = {"hasNextPage": False, "endCursor": "x"}
_THREAD = {
    "id": "T",
    "isResolved": True,
    "isOutdated": False,
    "path": "src/a.py",
    "line": 3,
    "diffSide": "RIGHT",
    "subjectType": "LINE",
    "resolvedBy": {"login": "mona"},
    "opening": {"nodes": [{**_SAID, "reactions": {"nodes": [{"user": {"login": "eve"}}]}}]},
    "latest": {"nodes": [_SAID, {**_SAID, "fullDatabaseId": "6"}]},
}
_PULL = {
    "state": "OPEN",
    "headRefOid": HEAD,
    "authorAssociation": "NONE",
    "author": _MONA,
    "reviewThreads": {"pageInfo": _NO_MORE, "nodes": [_THREAD]},
    "comments": {"pageInfo": _NO_MORE, "nodes": [_SAID]},
    "reviews": {"pageInfo": _NO_MORE, "nodes": [{**_SAID, "state": "APPROVED", "commit": {"oid": HEAD}}]},
    "timelineItems": {"totalCount": 1, "nodes": [{"__typename": "HeadRefForcePushedEvent"}]},
    "commits": {"nodes": [{"commit": {"oid": HEAD, "checkSuites": {"nodes": []}}}]},
}
GRAPHQL: Final[dict[str, Any]] = {
    "data": {
        "viewer": {"login": "hunkwise[bot]"},
        "repository": {
            "pullRequest": _PULL,
            "commit": {"__typename": "Commit", "oid": HEAD},
            "path0": {"__typename": "Blob", "oid": HEAD, "text": "a\n"},
        },
    },
    "errors": [{"type": "FORBIDDEN", "path": ["repository", "path0"], "message": "no"}],
}
"""A response to the query that reads a conversation."""
REST: Final[list[dict[str, Any]]] = [
    {
        "id": 5,
        "user": {"login": "mona", "type": "User"},
        "body": "Words",
        "path": "src/a.py",
        "line": 3,
        "state": "open",
    }
]
