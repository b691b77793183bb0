"""Which route of the fake GitHub answers which request."""

from __future__ import annotations

from tests.fakes import github_code as code
from tests.fakes import github_talk as talk
from tests.fakes.github_call import Call, Route
from tests.fakes.github_state import RefusedError, Reply


def _user(call: Call) -> Reply:
    if call.token.startswith("ghs_"):
        raise RefusedError(403, "Resource not accessible by integration", page="/users/users")
    return Reply(200, call.shapes.private_user(call.login))


def _rate_limit(_call: Call) -> Reply:
    rate = {"limit": 5000, "used": 1, "remaining": 4999, "reset": 4_000_000_000}
    return Reply(200, {"resources": {"core": rate, "search": rate, "graphql": rate}, "rate": rate})


_REPO = "/repos/{owner}/{repo}"
_PULL = f"{_REPO}/pulls/{{pull_number}}"
_ISSUE_COMMENTS = f"{_REPO}/issues/{{issue_number}}/comments"

ROUTES: dict[tuple[str, str], Route] = {
    ("GET", _REPO): code.repository,
    ("GET", _PULL): code.pull,
    ("GET", f"{_PULL}/files"): code.files,
    ("GET", f"{_REPO}/contents/{{path}}"): code.content,
    ("GET", f"{_REPO}/git/trees/{{tree_sha}}"): code.tree,
    ("GET", f"{_REPO}/git/blobs/{{file_sha}}"): code.blob,
    ("GET", f"{_REPO}/commits/{{ref}}"): code.commit,
    ("GET", f"{_REPO}/compare/{{basehead}}"): code.compare,
    ("GET", f"{_PULL}/reviews"): talk.reviews,
    ("POST", f"{_PULL}/reviews"): talk.new_review,
    ("PUT", f"{_PULL}/reviews/{{review_id}}"): talk.edit_review,
    ("GET", f"{_PULL}/comments"): talk.comments,
    ("POST", f"{_PULL}/comments"): talk.new_comment,
    ("POST", f"{_PULL}/comments/{{comment_id}}/replies"): talk.new_reply,
    ("GET", _ISSUE_COMMENTS): talk.issue_comments,
    ("POST", _ISSUE_COMMENTS): talk.new_issue_comment,
    ("PATCH", f"{_REPO}/issues/comments/{{comment_id}}"): talk.edit_issue_comment,
    ("POST", f"{_REPO}/check-runs"): talk.new_check_run,
    ("PATCH", f"{_REPO}/check-runs/{{check_run_id}}"): talk.edit_check_run,
    ("GET", "/user"): _user,
    ("GET", "/rate_limit"): _rate_limit,
}
"""Method and path template, which is the key of GitHub's own description."""
