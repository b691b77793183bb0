"""The fake GitHub's GraphQL objects: pull requests, threads, checks and git objects, in pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError

from tests.fakes.git_repository import MissingObjectError
from tests.fakes.github_graphql_pages import connection, pages, refusal
from tests.fakes.github_messages import Json
from tests.fakes.github_post_routes import latest
from tests.fakes.github_state import (
    EDITED,
    CheckRun,
    Comment,
    Hub,
    Issue,
    IssueComment,
    LinkedIssue,
    Permission,
    PullRequest,
    Review,
    Thread,
    level,
    node_id,
    updated_at,
)

_REACTIONS = {
    "+1": "THUMBS_UP", "-1": "THUMBS_DOWN", "laugh": "LAUGH", "confused": "CONFUSED", "heart": "HEART",
    "hooray": "HOORAY", "rocket": "ROCKET", "eyes": "EYES",
}  # fmt: skip


@dataclass(frozen=True)
class Asking:
    """One GraphQL request: over what, at which address, by whom, with which permission."""

    hub: Hub
    web: str
    login: str
    permission: Permission

    def must(self, wanted: str, scope: str) -> None:
        """Raises GitHub's FORBIDDEN unless the token may `read` or `write` there."""
        if level(self.permission, scope) not in (wanted, "write"):
            raise refusal("FORBIDDEN", "Resource not accessible by integration")

    def authored(self, login: str) -> bool:
        return login == self.login

    def said(self, author: str, edited_by: str) -> Json:
        """Whose a comment is, and who edited it."""
        return {
            "author": actor(author),
            "authorAssociation": self.hub.association(author),
            "viewerDidAuthor": self.authored(author),
            "lastEditedAt": EDITED if edited_by else None,
            "editor": actor(edited_by) if edited_by else None,
        }


def no_node(node: str) -> GraphQLError:
    """GitHub's answer for an id that nothing has."""
    return refusal("NOT_FOUND", f"Could not resolve to a node with the global id of '{node}'")


def actor(login: str) -> Json:
    """A person or an app. GraphQL gives an app's login without the suffix that REST has."""
    plain = login.removesuffix("[bot]")
    return {"login": plain, "__typename": "User" if plain == login else "Bot"}


_TEXT_LIMIT = 512_000
_NAMED = re.compile(r"([0-9a-f]{40}):(.*)", re.DOTALL)


def git_object(asking: Asking, oid: str | None = None, expression: str | None = None) -> Json | None:
    """A commit by its id, or what stands at `SHA:path`; null for what is not there. Other names are not known."""
    asking.must("read", "contents")
    store = asking.hub.store
    found = _NAMED.fullmatch(expression or "")
    try:
        if oid is not None:
            return {"__typename": "Commit", "oid": store.commit(oid)}
        if found is None:
            return None
        if not found[2]:
            return _tree(asking, store.commit(found[1]))
        entry = store.entry(found[1], found[2])
    except MissingObjectError:
        return None
    if entry.kind == "tree":
        return _tree(asking, entry.sha)
    return _blob(entry.sha, store.blob(entry.sha)) if entry.kind == "blob" else None


def _tree(asking: Asking, sha: str) -> Json:
    entries = asking.hub.store.tree(sha)
    listed = [{"name": entry.path, "type": entry.kind, "mode": int(entry.mode, 8)} for entry in entries]
    return {"__typename": "Tree", "oid": sha, "entries": listed}


def _blob(sha: str, raw: bytes) -> Json:
    """Text comes without a mark of UTF-8, with what is no UTF-8 replaced, and cut where it is long."""
    binary = b"\0" in raw
    text = raw.decode("utf-8-sig", "replace")[:_TEXT_LIMIT]
    return {
        "__typename": "Blob",
        "oid": sha,
        "byteSize": len(raw),
        "isBinary": binary,
        "isTruncated": len(raw) > _TEXT_LIMIT,
        "text": None if binary else text,
    }


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
        found = [one for one in comment.reactions if kind in (None, _REACTIONS[one.content])]
        return connection(
            found, page, lambda one: {"content": _REACTIONS[one.content], "user": {"login": one.login}}
        )

    return {
        **asking.said(comment.author, comment.edited_by),
        "id": node_id(comment.id),
        "databaseId": comment.id,
        "fullDatabaseId": str(comment.id),
        "body": comment.body,
        "createdAt": comment.created_at,
        "updatedAt": updated_at(comment),
        "diffHunk": comment.diff_hunk,
        "line": comment.shown_line,
        "url": f"{asking.web}/pull/{comment.number}#discussion_r{comment.id}",
        "state": "PENDING" if pending else "SUBMITTED",
        "isMinimized": comment.minimized,
        "outdated": comment.shown_line is None and comment.subject_type == "line",
        "reactions": reactions,
    }


class Reading:
    """The queries that GitHub's schema has and a review asks."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._hub = asking.hub
        self.viewer = actor(asking.login)

    def repository(self, _info: object, owner: str, name: str, **_options: object) -> Json:
        if f"{owner}/{name}" != self._hub.repository or self._asking.permission == "none":
            message = f"Could not resolve to a Repository with the name '{owner}/{name}'."
            raise refusal("NOT_FOUND", message)
        return {
            "nameWithOwner": self._hub.repository,
            "pullRequest": self._pull_request,
            "issues": self._issues,
            "issue": self._one_issue,
            "object": lambda _info, **named: git_object(self._asking, **named),
        }

    def node(self, _info: object, id: str) -> Json:  # noqa: A002  # GraphQL's name
        for said in self._hub.issue_comments:
            if node_id(said.id) == id:
                return {"__typename": "IssueComment", **self._issue_comment(said)}
        pending_ids = self._hub.pending_ids()
        for comment in self._hub.comments:
            if node_id(comment.id) == id and comment.review_id not in pending_ids:
                return {
                    "__typename": "PullRequestReviewComment",
                    **comment_shape(self._asking, comment, pending=False),
                }
        review = next((one for one in self._hub.reviews if node_id(one.id) == id), None)
        pending = review is not None and review.state == "PENDING"
        if review is None or (pending and not self._asking.authored(review.author)):
            raise no_node(id)
        mine = [comment for comment in self._hub.comments if comment.review_id == review.id]
        comments = pages(mine, lambda comment: comment_shape(self._asking, comment, pending))
        return {"__typename": "PullRequestReview", **self._review(review), "comments": comments}

    def _issues(self, _info: object, **page: Any) -> Json:
        """The issues with one of the labels, oldest first unless otherwise asked. None is a pull request."""
        self._asking.must("read", "issues")
        order = page.get("orderBy") or {"field": "CREATED_AT", "direction": "ASC"}
        if order["field"] != "CREATED_AT" or page.get("filterBy"):
            raise GraphQLError("the fake orders issues by CREATED_AT and filters by `labels` and `states`")
        labels = {label.casefold() for label in page.get("labels") or ()}
        found = [
            issue
            for _, issue in sorted(self._hub.issues.items(), reverse=order["direction"] == "DESC")
            if (not labels or labels & {label.casefold() for label in issue.labels})
            and (not page.get("states") or issue.state.upper() in page["states"])
        ]
        return connection(found, page, self._issue)

    def _one_issue(self, _info: object, number: int) -> Json:
        self._asking.must("read", "issues")
        if number not in self._hub.issues:
            raise refusal("NOT_FOUND", f"Could not resolve to an Issue with the number of {number}.")
        return self._issue(self._hub.issues[number])

    def _issue(self, issue: Issue) -> Json:
        said = [comment for comment in self._hub.issue_comments if comment.number == issue.number]
        return {
            **self._asking.said(issue.author, issue.edited_by),
            "id": node_id(7_000 + issue.number),
            "number": issue.number,
            "title": issue.title,
            "body": issue.body,
            "state": issue.state.upper(),
            "url": f"{self._asking.web}/issues/{issue.number}",
            "comments": pages(said, self._issue_comment),
        }

    def _pull_request(self, _info: object, number: int) -> Json:
        if number not in self._hub.pulls:
            message = f"Could not resolve to a PullRequest with the number of {number}."
            raise refusal("NOT_FOUND", message)
        self._asking.must("read", "pulls")
        pull = self._hub.pulls[number]
        said = [comment for comment in self._hub.issue_comments if comment.number == number]
        return {
            "number": number,
            "state": "MERGED" if pull.merged else pull.state.upper(),
            "headRefOid": pull.head_sha,
            "headRefName": pull.head_branch,
            "baseRefOid": pull.base_sha,
            "baseRefName": pull.base_branch,
            "author": actor(pull.author),
            "authorAssociation": self._hub.association(pull.author),
            "closingIssuesReferences": lambda _info, **page: self._closes(pull, page),
            "comments": pages(said, self._issue_comment),
            "reviews": lambda _info, **page: self._reviews(pull, page),
            "reviewThreads": pages(self._threads(pull), lambda one: thread_shape(self._asking, one)),
            "timelineItems": lambda _info, **page: _timeline(pull, page),
            "commits": lambda _info, **page: self._commits(pull, page),
        }

    def _closes(self, pull: PullRequest, page: Json) -> Json:
        self._asking.must("read", "issues")
        return connection(pull.closes, page, _linked_issue)

    def _threads(self, pull: PullRequest) -> list[Thread]:
        """All threads, of a pending review's only the asking person's own."""
        foreign = {
            review.id
            for review in self._hub.reviews
            if review.state == "PENDING" and not self._asking.authored(review.author)
        }
        mine = (thread for thread in self._hub.threads if thread.number == pull.number)
        return [thread for thread in mine if thread.comments[0].review_id not in foreign]

    def _reviews(self, pull: PullRequest, page: Json) -> Json:
        found = [
            review
            for review in self._hub.reviews
            if review.number == pull.number
            and (review.state != "PENDING" or self._asking.authored(review.author))
            and (not page.get("states") or review.state in page["states"])
            and (not page.get("author") or actor(review.author)["login"] == page["author"])
        ]
        return connection(found, page, self._review)

    def _review(self, review: Review) -> Json:
        return {
            **self._asking.said(review.author, ""),
            "id": node_id(review.id),
            "databaseId": review.id,
            "fullDatabaseId": str(review.id),
            "state": review.state,
            "body": review.body,
            "url": f"{self._asking.web}/pull/{review.number}#pullrequestreview-{review.id}",
            "commit": {"oid": review.commit_id},
        }

    def _issue_comment(self, comment: IssueComment) -> Json:
        return {
            **self._asking.said(comment.author, comment.edited_by),
            "id": node_id(comment.id),
            "databaseId": comment.id,
            "fullDatabaseId": str(comment.id),
            "body": comment.body,
            "createdAt": comment.created_at,
            "updatedAt": updated_at(comment),
            "url": f"{self._asking.web}/{self._hub.page(comment.number)}#issuecomment-{comment.id}",
            "isMinimized": comment.minimized,
        }

    def _commits(self, pull: PullRequest, page: Json) -> Json:
        store = self._hub.store
        shas = store.commits(store.merge_base(pull.base_sha, pull.head_sha), pull.head_sha)
        return connection(shas or [pull.head_sha], page, lambda sha: {"commit": self._commit(sha)})

    def _commit(self, sha: str) -> Json:
        return {"oid": sha, "checkSuites": lambda _info, **page: self._check_suites(sha, page)}

    def _check_suites(self, sha: str, page: Json) -> Json:
        self._asking.must("read", "checks")
        runs = [run for run in self._hub.check_runs if run.head_sha == sha]
        return connection([runs] if runs else [], page, _check_suite)


def _linked_issue(issue: LinkedIssue) -> Json:
    return {
        "number": issue.number,
        "title": issue.title,
        "body": issue.body,
        "repository": {"nameWithOwner": issue.repository},
    }


def _check_suite(runs: list[CheckRun]) -> Json:
    def found(_info: object, **page: Any) -> Json:
        wanted = page.get("filterBy") or {}
        shown = runs if wanted.get("checkType") == "ALL" else latest(runs)
        if wanted.get("checkName"):
            shown = [run for run in shown if run.name == wanted["checkName"]]
        return connection(shown, page, _check_run)

    return {"databaseId": 1, "checkRuns": found}


def _check_run(run: CheckRun) -> Json:
    return {
        "databaseId": run.id,
        "name": run.name,
        "status": run.status.upper(),
        "conclusion": run.conclusion.upper() if run.conclusion else None,
        "externalId": run.external_id or None,
        "title": run.output.get("title"),
        "summary": run.output.get("summary"),
    }


def _timeline(pull: PullRequest, page: Json) -> Json:
    wanted = page.get("itemTypes")
    kinds = [kind for kind in pull.timeline if not wanted or kind in wanted]
    return connection(kinds, page, _event)


def _event(kind: str) -> Json:
    """HEAD_REF_FORCE_PUSHED_EVENT is GraphQL's HeadRefForcePushedEvent."""
    return {"__typename": "".join(word.capitalize() for word in kind.split("_"))}
