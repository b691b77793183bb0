"""Which route of the fake GitHub answers which request."""

from __future__ import annotations

from tests.fakes import github_checks as checks
from tests.fakes import github_code as code
from tests.fakes import github_talk as talk
from tests.fakes.github_call import Call, Route
from tests.fakes.github_messages import RefusedError, Reply


def _user(call: Call) -> Reply:
    if call.token.startswith("ghs_"):
        raise RefusedError(403, "Resource not accessible by integration", page="/users/users")
    return Reply(200, call.shapes.private_user(call.login))


def _rate_limit(_call: Call) -> Reply:
    rate = {"limit": 5000, "used": 1, "remaining": 4999, "reset": 4_000_000_000}
    return Reply(200, {"resources": {"core": rate, "search": rate, "graphql": rate}, "rate": rate})


def _permission(call: Call) -> Reply:
    return Reply(200, call.shapes.permission(call.params["username"]))


_REPO = "/repos/{owner}/{repo}"
_PULL = f"{_REPO}/pulls/{{pull_number}}"
_REVIEW = f"{_PULL}/reviews/{{review_id}}"
_COMMENT = f"{_REPO}/pulls/comments/{{comment_id}}"
_ISSUE_COMMENTS = f"{_REPO}/issues/{{issue_number}}/comments"
_ISSUE_COMMENT = f"{_REPO}/issues/comments/{{comment_id}}"
_CHECK_RUN = f"{_REPO}/check-runs/{{check_run_id}}"

ROUTES: dict[tuple[str, str], Route] = {
    ("GET", _REPO): code.repository,
    ("GET", f"{_REPO}/pulls"): code.pulls,
    ("GET", _PULL): code.pull,
    ("GET", f"{_PULL}/files"): code.files,
    ("GET", f"{_REPO}/contents/{{path}}"): code.content,
    ("GET", f"{_REPO}/git/trees/{{tree_sha}}"): code.tree,
    ("GET", f"{_REPO}/git/blobs/{{file_sha}}"): code.blob,
    ("GET", f"{_REPO}/commits/{{ref}}"): code.commit,
    ("GET", f"{_REPO}/compare/{{basehead}}"): code.compare,
    ("GET", f"{_REPO}/collaborators/{{username}}/permission"): _permission,
    ("GET", f"{_PULL}/reviews"): talk.reviews,
    ("POST", f"{_PULL}/reviews"): talk.new_review,
    ("GET", _REVIEW): talk.review,
    ("PUT", _REVIEW): talk.edit_review,
    ("DELETE", _REVIEW): talk.drop_review,
    ("POST", f"{_REVIEW}/events"): talk.submitted_review,
    ("PUT", f"{_REVIEW}/dismissals"): talk.dismissed_review,
    ("GET", f"{_PULL}/comments"): talk.comments,
    ("POST", f"{_PULL}/comments"): talk.new_comment,
    ("POST", f"{_PULL}/comments/{{comment_id}}/replies"): talk.new_reply,
    ("GET", _COMMENT): talk.comment,
    ("PATCH", _COMMENT): talk.edit_comment,
    ("GET", _ISSUE_COMMENTS): talk.issue_comments,
    ("POST", _ISSUE_COMMENTS): talk.new_issue_comment,
    ("GET", _ISSUE_COMMENT): talk.issue_comment,
    ("PATCH", _ISSUE_COMMENT): talk.edit_issue_comment,
    ("DELETE", _ISSUE_COMMENT): talk.drop_issue_comment,
    ("POST", f"{_REPO}/check-runs"): checks.new_check_run,
    ("GET", _CHECK_RUN): checks.check_run,
    ("PATCH", _CHECK_RUN): checks.edit_check_run,
    ("GET", f"{_REPO}/commits/{{ref}}/check-runs"): checks.check_runs,
    ("POST", f"{_REPO}/code-scanning/sarifs"): checks.upload_sarif,
    ("GET", "/user"): _user,
    ("GET", "/rate_limit"): _rate_limit,
}
"""Method and path template, which is the key of GitHub's own description."""
