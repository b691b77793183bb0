"""The JSON of the fake GitHub's REST objects; missing properties are filled in from the contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.fakes.contracts import contracts
from tests.fakes.git_repository import ChangedFile, TreeEntry
from tests.fakes.github_messages import Json, Reply, encoded
from tests.fakes.github_state import (
    POSTED,
    Alert,
    CheckRun,
    Comment,
    Hub,
    Issue,
    IssueComment,
    PullRequest,
    Reaction,
    Review,
    node_id,
    updated_at,
)


class SaidShapes:
    """Shapes for one request: URLs in answers start with the base URL that the client used."""

    def __init__(self, hub: Hub, api: str, server: str) -> None:
        self.hub = hub
        self.api = api
        self.web = f"{server}/{hub.repository}"
        self.repo = f"{api}/repos/{hub.repository}"

    def user(self, login: str) -> Json:
        kind = "Bot" if login.endswith("[bot]") else "User"
        known = {"login": login, "id": sum(login.encode()), "type": kind}
        return self._complete("simple-user", {**known, "url": f"{self.api}/users/{quote(login)}"})

    def private_user(self, login: str) -> Json:
        return self._complete("private-user", self.user(login) | {"user_view_type": "private"})

    def permission(self, login: str) -> Json:
        """`permission` knows admin, write, read and none only; `role_name` all roles."""
        permission, role = self.hub.permission(login)
        user = self._complete("collaborator", self.user(login) | {"role_name": role})
        return {"permission": permission, "role_name": role, "user": user}

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
            known["submitted_at"] = POSTED
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
            "created_at": comment.created_at,
            "updated_at": updated_at(comment),
            "reactions": self._reactions(comment, url),
            "url": url,
            "html_url": html,
            "pull_request_url": pull,
            "_links": {"self": {"href": url}, "html": {"href": html}, "pull_request": {"href": pull}},
        }
        if comment.subject_type == "file":  # GitHub leaves these out on comments for the whole file
            known = {key: value for key, value in known.items() if "line" not in key and "side" not in key}
        if comment.in_reply_to is not None:
            known["in_reply_to_id"] = comment.in_reply_to
        return self._complete("pull-request-review-comment", known)

    def reaction(self, reaction: Reaction) -> Json:
        known = {"id": reaction.id, "node_id": node_id(reaction.id), "content": reaction.content}
        return self._complete("reaction", {**known, "user": self.user(reaction.login), "created_at": POSTED})

    def _reactions(self, comment: Comment | IssueComment, url: str) -> Json:
        """How often each reaction was given."""
        counts = Counter(reaction.content for reaction in comment.reactions)
        known = {**counts, "total_count": counts.total(), "url": f"{url}/reactions"}
        return self._complete("reaction-rollup", known)

    def issue_comment(self, comment: IssueComment) -> Json:
        url = f"{self.repo}/issues/comments/{comment.id}"
        app = {"id": 1, "node_id": node_id(1), "name": "An app", "owner": self.user("app-owner")}
        known = {
            "id": comment.id,
            "node_id": node_id(comment.id),
            "user": self.user(comment.author),
            "body": comment.body,
            "author_association": self.hub.association(comment.author),
            "created_at": comment.created_at,
            "updated_at": updated_at(comment),
            "performed_via_github_app": self._complete("integration", app) if comment.via_app else None,
            "reactions": self._reactions(comment, url),
            "url": url,
            "html_url": f"{self.web}/{self.hub.page(comment.number)}#issuecomment-{comment.id}",
            "issue_url": f"{self.repo}/issues/{comment.number}",
        }
        return self._complete("issue-comment", known)

    def issue(self, issue: Issue) -> Json:
        url, labels = f"{self.repo}/issues/{issue.number}", [self.label(name) for name in issue.labels]
        known = {
            "id": 7_000 + issue.number,
            "node_id": node_id(7_000 + issue.number),
            "number": issue.number,
            "title": issue.title,
            "body": issue.body,
            "state": issue.state,
            "locked": issue.locked,
            "user": self.user(issue.author),
            "labels": labels,
            "comments": sum(comment.number == issue.number for comment in self.hub.issue_comments),
            "author_association": self.hub.association(issue.author),
            "url": url,
            "comments_url": f"{url}/comments",
            "html_url": f"{self.web}/issues/{issue.number}",
        }
        return self._complete("issue", known)

    def label(self, name: str) -> Json:
        known = {"name": name, "color": self.hub.labels[name], "url": f"{self.repo}/labels/{quote(name)}"}
        return self._complete("label", known)

    def alert(self, alert: Alert) -> Json:
        dismissed = alert.state == "dismissed"
        url = f"{self.repo}/code-scanning/alerts/{alert.number}"
        known: Json = {
            "number": alert.number,
            "created_at": POSTED,
            "url": url,
            "html_url": f"{self.web}/security/code-scanning/{alert.number}",
            "instances_url": f"{url}/instances",
            "state": alert.state,
            "dismissed_by": self.user(alert.dismissed_by) if dismissed and alert.dismissed_by else None,
            "dismissed_at": POSTED if dismissed else None,
            "dismissed_reason": alert.reason if dismissed else None,
            "dismissed_comment": alert.comment or None if dismissed else None,
            "rule": {"id": alert.rule, "name": alert.rule, "severity": "warning", "description": alert.rule},
            "tool": {"name": alert.tool, "guid": None, "version": "1"},
            "most_recent_instance": {
                "ref": alert.ref,
                "analysis_key": "x",
                "environment": "{}",
                "category": alert.category,
                "state": alert.state,
                "commit_sha": alert.commit_sha,
                "message": {"text": alert.message},
                "location": {
                    "path": alert.path,
                    "start_line": alert.line,
                    "end_line": alert.end_line,
                    "start_column": 1,
                    "end_column": 1,
                },
                "classifications": [],
            },
        }
        return self._complete("code-scanning-alert-items", known)

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
            "started_at": run.started_at or POSTED,
            "completed_at": POSTED if run.status == "completed" else None,
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


class Shapes(SaidShapes):
    """All of a request's shapes: those of the code, beside those of what was said about it."""

    def repository(self, full_name: str) -> Json:
        owner, _, name = full_name.partition("/")
        known = {
            "id": sum(full_name.encode()),
            "full_name": full_name,
            "name": name,
            "owner": self.user(owner),
            "default_branch": self.hub.default_branch,
            "url": f"{self.api}/repos/{full_name}",
            "fork": full_name != self.hub.repository,
            "private": True,
        }
        return self._complete("full-repository", known)

    def pull(self, pull: PullRequest) -> Json:
        files = self.hub.changed_files(pull)
        url = f"{self.repo}/pulls/{pull.number}"
        issue = f"{self.repo}/issues/{pull.number}"
        head = self._end(pull.head_repository, pull.head_branch, pull.head_sha)
        known: Json = {
            "number": pull.number,
            "id": 5_000 + pull.number,
            "title": pull.title,
            "body": pull.body,
            "state": pull.state,
            "draft": pull.draft,
            "locked": pull.locked,
            "user": self.user(pull.author),
            "labels": [
                self._complete("label", {"name": name, "id": n}) for n, name in enumerate(pull.labels)
            ],
            "base": self._end(self.hub.repository, pull.base_branch, pull.base_sha),
            "head": head,
            "url": url,
            "issue_url": issue,
            "html_url": f"{self.web}/pull/{pull.number}",
            "comments_url": f"{issue}/comments",
            "review_comments_url": f"{url}/comments",
            "review_comment_url": f"{self.repo}/pulls/comments{{/number}}",
            "commits_url": f"{url}/commits",
            "changed_files": len(files),
            "additions": sum(file.additions for file in files),
            "deletions": sum(file.deletions for file in files),
            "comments": sum(comment.number == pull.number for comment in self.hub.issue_comments),
            "review_comments": sum(comment.number == pull.number for comment in self.hub.comments),
            "merged": pull.merged,
            "author_association": self.hub.association(pull.author),
        }
        return self._complete("pull-request", known)

    def _end(self, repository: str | None, branch: str, sha: str) -> Json:
        owner = repository.partition("/")[0] if repository else "ghost"
        repo = self._complete("repository", self.repository(repository)) if repository else None
        return {
            "label": f"{owner}:{branch}",
            "ref": branch,
            "sha": sha,
            "user": self.user(owner),
            "repo": repo,
        }

    def file(self, changed: ChangedFile, head: str, *, withheld: bool, uncounted: bool) -> Json:
        """`withheld`: without its patch. `uncounted`: as 0/0/0 too, past GitHub's limit of lines in all."""
        added, deleted = (0, 0) if uncounted else (changed.additions, changed.deletions)
        name = quote(changed.path)
        known: Json = {
            "sha": changed.sha,
            "filename": changed.path,
            "status": changed.status,
            "additions": added,
            "deletions": deleted,
            "changes": added + deleted,
            "blob_url": f"{self.web}/blob/{head}/{name}",
            "raw_url": f"{self.web}/raw/{head}/{name}",
            "contents_url": f"{self.repo}/contents/{name}?ref={head}",
        }
        if changed.old_path is not None:
            known["previous_filename"] = changed.old_path
        if changed.patch and not withheld:
            known["patch"] = changed.patch
        return known

    def commit(self, sha: str) -> Json:
        return self._complete("commit", {"sha": sha, "url": f"{self.repo}/commits/{sha}"})

    def content(self, entry: TreeEntry, ref: str, **known: object) -> Json:
        """What files, folders, links and submodules have in common in the contents API."""
        name = quote(entry.path)
        url = f"{self.repo}/contents/{name}?ref={ref}"
        git = f"{self.repo}/git/{'trees' if entry.kind == 'tree' else 'blobs'}/{entry.sha}"
        html = f"{self.web}/{'tree' if entry.kind == 'tree' else 'blob'}/{ref}/{name}"
        return {
            "name": entry.path.rpartition("/")[2],
            "path": entry.path,
            "sha": entry.sha,
            "size": entry.size or 0,
            "url": url,
            "git_url": git,
            "html_url": html,
            "download_url": None if entry.kind != "blob" else f"{self.web}/raw/{ref}/{name}",
            "_links": {"self": url, "git": git, "html": html},
            **known,
        }

    def blob(self, sha: str, raw: bytes) -> Json:
        known = {"sha": sha, "size": len(raw), "content": encoded(raw), "encoding": "base64"}
        return {**known, "url": f"{self.repo}/git/blobs/{sha}", "node_id": f"B_{sha}"}


@dataclass(frozen=True)
class Call:
    """One request to a route: what was in its path, its query, its body, and who asks."""

    hub: Hub
    shapes: Shapes
    params: Mapping[str, str]
    query: Mapping[str, str]
    json: Any
    login: str
    token: str
    url: str
    """Without the query, for Link headers."""

    @property
    def pull(self) -> PullRequest:
        return self.hub.pull(int(self.params["pull_number"]))

    @property
    def conversation(self) -> PullRequest | Issue:
        return self.hub.conversation(int(self.params["issue_number"]))


Route = Callable[[Call], Reply]
"""Takes a call and gives the reply, or raises RefusedError or MissingObjectError."""
