"""The fake GitHub's GraphQL queries: a pull request with all that was said on it, and the checks at its head."""

from __future__ import annotations

from typing import Any

from tests.fakes.github_checks import latest
from tests.fakes.github_graphql_objects import git_object
from tests.fakes.github_graphql_pages import Asking, actor, connection, no_node, pages, refusal
from tests.fakes.github_graphql_threads import comment_shape, thread_shape
from tests.fakes.github_messages import Json
from tests.fakes.github_state import CheckRun, IssueComment, LinkedIssue, PullRequest, Review, Thread, node_id


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
            "object": lambda _info, **named: git_object(self._asking, **named),
        }

    def node(self, _info: object, id: str) -> Json:  # noqa: A002  # GraphQL's name
        review = next((one for one in self._hub.reviews if node_id(one.id) == id), None)
        pending = review is not None and review.state == "PENDING"
        if review is None or (pending and not self._asking.authored(review.author)):
            raise no_node(id)
        mine = [comment for comment in self._hub.comments if comment.review_id == review.id]
        comments = pages(mine, lambda comment: comment_shape(self._asking, comment, pending))
        return {"__typename": "PullRequestReview", **self._review(review), "comments": comments}

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
            "url": f"{self._asking.web}/pull/{comment.number}#issuecomment-{comment.id}",
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
