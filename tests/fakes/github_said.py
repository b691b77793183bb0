"""What people and apps said, as GitHub's JSON: reviews, comments, check runs, and their authors."""

from __future__ import annotations

from urllib.parse import quote

from tests.fakes.contracts import contracts
from tests.fakes.github_messages import Json
from tests.fakes.github_state import BOT, CheckRun, Comment, Hub, IssueComment, Review, node_id

_NOW = "2026-01-02T03:04:05Z"
_ROLES = {"OWNER": "admin", "MEMBER": "write", "COLLABORATOR": "write"}
_STRENGTHS = {"admin": "admin", "maintain": "write", "write": "write", "triage": "read", "read": "read"}


class SaidShapes:
    """Shapes for one request: URLs in answers start with the base URL that the client used."""

    def __init__(self, hub: Hub, api: str, server: str) -> None:
        self.hub = hub
        self.api = api
        self.web = f"{server}/{hub.repository}"
        self.repo = f"{api}/repos/{hub.repository}"

    def user(self, login: str) -> Json:
        known = {"login": login, "id": sum(login.encode()), "type": "Bot" if login == BOT else "User"}
        return self._complete("simple-user", {**known, "url": f"{self.api}/users/{quote(login)}"})

    def private_user(self, login: str) -> Json:
        return self._complete("private-user", self.user(login) | {"user_view_type": "private"})

    def permission(self, login: str) -> Json:
        """`permission` knows admin, write, read and none only; `role_name` all roles."""
        role = self.hub.permissions.get(login) or _ROLES.get(self.hub.association(login), "read")
        user = self._complete("collaborator", self.user(login) | {"role_name": role})
        return {"permission": _STRENGTHS.get(role, "none"), "role_name": role, "user": user}

    def review(self, review: Review) -> Json:
        pull = f"{self.repo}/pulls/{review.number}"
        html = f"{self.web}/pull/{review.number}#pullrequestreview-{review.id}"
        known: Json = {
            "id": review.id,
            "node_id": node_id(review.id),
            "user": self.user(review.author),
            "body": review.body,
            "state": review.state,
            "commit_id": review.commit_id,
            "html_url": html,
            "pull_request_url": pull,
            "author_association": self.hub.association(review.author),
            "_links": {"html": {"href": html}, "pull_request": {"href": pull}},
        }
        if review.state != "PENDING":
            known["submitted_at"] = _NOW
        return self._complete("pull-request-review", known)

    def comment(self, comment: Comment) -> Json:
        pull = f"{self.repo}/pulls/{comment.number}"
        html = f"{self.web}/pull/{comment.number}#discussion_r{comment.id}"
        url = f"{self.repo}/pulls/comments/{comment.id}"
        known: Json = {
            "id": comment.id,
            "node_id": node_id(comment.id),
            "user": self.user(comment.author),
            "body": comment.body,
            "path": comment.path,
            "line": comment.shown_line,
            "original_line": comment.line,
            "side": comment.side,
            "start_line": comment.shown_start,
            "original_start_line": comment.start_line,
            "start_side": comment.start_side,
            "subject_type": comment.subject_type,
            "diff_hunk": comment.diff_hunk,
            "commit_id": comment.commit_id,
            "original_commit_id": comment.commit_id,
            "pull_request_review_id": comment.review_id,
            "author_association": self.hub.association(comment.author),
            "url": url,
            "html_url": html,
            "pull_request_url": pull,
            "_links": {"self": {"href": url}, "html": {"href": html}, "pull_request": {"href": pull}},
        }
        if comment.subject_type == "file":  # GitHub leaves these out on comments for the whole file
            known = {key: value for key, value in known.items() if "line" not in key and "side" not in key}
        if comment.in_reply_to is not None:
            known["in_reply_to_id"] = comment.in_reply_to
        if comment.thumbs_down:
            counts = {"-1": len(comment.thumbs_down), "total_count": len(comment.thumbs_down)}
            known["reactions"] = self._complete("reaction-rollup", {**counts, "url": f"{url}/reactions"})
        return self._complete("pull-request-review-comment", known)

    def issue_comment(self, comment: IssueComment) -> Json:
        known = {
            "id": comment.id,
            "node_id": node_id(comment.id),
            "user": self.user(comment.author),
            "body": comment.body,
            "author_association": self.hub.association(comment.author),
            "url": f"{self.repo}/issues/comments/{comment.id}",
            "html_url": f"{self.web}/pull/{comment.number}#issuecomment-{comment.id}",
            "issue_url": f"{self.repo}/issues/{comment.number}",
        }
        return self._complete("issue-comment", known)

    def check_run(self, run: CheckRun) -> Json:
        url = f"{self.repo}/check-runs/{run.id}"
        known = {
            "id": run.id,
            "name": run.name,
            "head_sha": run.head_sha,
            "check_suite": {"id": 1},
            "status": run.status,
            "conclusion": run.conclusion,
            "external_id": run.external_id,
            "details_url": run.details_url,
            "started_at": run.started_at or _NOW,
            "completed_at": _NOW if run.status == "completed" else None,
            "output": {
                "title": run.output.get("title"),
                "summary": run.output.get("summary"),
                "text": run.output.get("text"),
                "annotations_count": len(run.annotations),
                "annotations_url": f"{url}/annotations",
            },
            "url": url,
            "html_url": f"{self.web}/runs/{run.id}",
        }
        return self._complete("check-run", known)

    def _complete(self, schema: str, known: Json) -> Json:
        return contracts().complete(schema, known, self.api)
