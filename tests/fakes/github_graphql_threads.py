"""Review threads and their comments, as the fake GitHub's GraphQL shows them."""

from __future__ import annotations

from typing import Any

from tests.fakes.github_graphql_pages import Asking, actor, connection, pages
from tests.fakes.github_messages import Json
from tests.fakes.github_state import Comment, Thread, node_id


def thread_shape(asking: Asking, thread: Thread) -> Json:
    """One thread, for the person who asks."""
    first = thread.comments[0]
    pending = asking.hub.pending_ids()
    seen = [
        comment
        for comment in thread.comments
        if comment.review_id not in pending or asking.authored(comment.author)
    ]
    return {
        "id": thread.id,
        "isResolved": thread.resolved,
        "resolvedBy": actor(thread.resolved_by) | {"__typename": "User"} if thread.resolved_by else None,
        "isOutdated": thread.outdated,
        "path": first.path,
        "line": thread.line,
        "originalLine": first.line,
        "startLine": thread.start_line,
        "originalStartLine": first.start_line,
        "diffSide": first.side,
        "startDiffSide": first.start_side,
        "subjectType": first.subject_type.upper(),
        "comments": pages(seen, lambda comment: comment_shape(asking, comment, comment.review_id in pending)),
    }


def comment_shape(asking: Asking, comment: Comment, pending: bool) -> Json:
    """One comment of a thread."""

    def reactions(_info: object, **page: Any) -> Json:
        kind = page.get("content")
        logins = comment.thumbs_down if kind in (None, "THUMBS_DOWN") else []
        return connection(logins, page, lambda login: {"content": "THUMBS_DOWN", "user": _user(login)})

    return {
        **asking.said(comment.author, comment.edited_by),
        "id": node_id(comment.id),
        "databaseId": comment.id,
        "fullDatabaseId": str(comment.id),
        "body": comment.body,
        "line": comment.shown_line,
        "url": f"{asking.web}/pull/{comment.number}#discussion_r{comment.id}",
        "state": "PENDING" if pending else "SUBMITTED",
        "isMinimized": comment.minimized,
        "outdated": comment.shown_line is None and comment.subject_type == "line",
        "reactions": reactions,
    }


def _user(login: str) -> Json:
    return {"login": login}
