"""What the fake GitHub knows: pull requests, reviews, comments, threads, check runs, and who may do what."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.git_store import ChangedFile, GitStore

Json = dict[str, Any]
BOT = "github-actions[bot]"
BODY_LIMIT = 65_536


@dataclass
class Request:
    """One request as it came in. `path` is without /api/v3; `status` is 0 where the socket was reset."""

    method: str
    path: str
    query: Mapping[str, str]
    json: Any
    authorization: str | None
    headers: Mapping[str, str]
    status: int = 0

    @property
    def is_write(self) -> bool:
        if self.path == "/graphql":
            return isinstance(self.json, dict) and "mutation" in str(self.json.get("query", "")).split("{")[0]
        return self.method not in ("GET", "HEAD")


@dataclass
class PullRequest:
    """A pull request over two commits of the repository. Tests may change it between runs."""

    number: int
    base_sha: str
    head_sha: str
    base_branch: str = "main"
    head_branch: str = "feature"
    title: str = "Change something"
    body: str | None = ""
    author: str = "octocat"
    labels: tuple[str, ...] = ()
    draft: bool = False
    state: str = "open"
    head_repository: str | None = None
    """None: the head's repository was deleted."""
    withhold: frozenset[str] = frozenset()
    """Paths whose patch GitHub does not give."""


@dataclass
class Review:
    """A review as GitHub stored it. `state` is COMMENTED, APPROVED, CHANGES_REQUESTED or PENDING."""

    id: int
    number: int
    author: str
    body: str
    state: str
    commit_id: str


@dataclass
class Comment:
    """A review comment. `line` is None on a comment for the whole file."""

    id: int
    number: int
    author: str
    body: str
    path: str
    commit_id: str
    diff_hunk: str
    line: int | None = None
    side: str = "RIGHT"
    start_line: int | None = None
    start_side: str | None = None
    subject_type: str = "line"
    review_id: int | None = None
    in_reply_to: int | None = None
    minimized: bool = False


@dataclass
class Thread:
    """Comments at one place, the first of which opened it. `id` is GraphQL's."""

    id: str
    number: int
    comments: list[Comment]
    resolved: bool = False
    outdated: bool = False


@dataclass
class IssueComment:
    """A comment in the conversation of a pull request."""

    id: int
    number: int
    author: str
    body: str
    minimized: bool = False


@dataclass
class CheckRun:
    """A check run with all annotations that were ever sent to it."""

    id: int
    name: str
    head_sha: str
    status: str
    conclusion: str | None
    output: Json = field(default_factory=dict)
    annotations: list[Json] = field(default_factory=list)


def node_id(number: int) -> str:
    """GitHub's global id of a comment or review, the same in REST (`node_id`) and GraphQL (`id`)."""
    return f"NODE_{number}"


@dataclass(frozen=True)
class Reply:
    """An answer: a status and JSON."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """GitHub says no: becomes an answer in GitHub's shape of errors."""

    def __init__(self, status: int, message: str, errors: list[Any] | None = None, page: str = "") -> None:
        super().__init__(message)
        body: Json = {"message": message}
        if errors is not None:
            body["errors"] = errors
        body["documentation_url"] = f"https://docs.github.com/rest{page}"
        body["status"] = str(status)
        self.reply = Reply(status, body)


def not_found() -> RefusedError:
    """GitHub's 404, also for what the token may not see."""
    return RefusedError(404, "Not Found")


@dataclass
class Hub:
    """The whole state. Routes hold `lock` while they read or change it."""

    store: GitStore
    repository: str
    tokens: dict[str, str]
    default_branch: str = "main"
    user_login: str = "hubot"
    associations: dict[str, str] = field(default_factory=dict)
    """What people are to the repository (OWNER, MEMBER, COLLABORATOR, …), by login; others are NONE."""
    patch_line_limit: int = 3_000
    total_patch_lines: int = 20_000
    file_limit: int = 3_000
    pulls: dict[int, PullRequest] = field(default_factory=dict)
    reviews: list[Review] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    threads: list[Thread] = field(default_factory=list)
    issue_comments: list[IssueComment] = field(default_factory=list)
    check_runs: list[CheckRun] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1001))

    def next_id(self) -> int:
        return next(self._ids)

    def pull(self, number: int) -> PullRequest:
        """Raises RefusedError (404) where there is none."""
        if number not in self.pulls:
            raise not_found()
        return self.pulls[number]

    def changed_files(self, pull: PullRequest) -> tuple[ChangedFile, ...]:
        return self.store.diff(pull.base_sha, pull.head_sha)

    def login_of(self, token: str) -> str:
        """Tokens of an Actions run act as the bot; all others as `user_login`."""
        return BOT if token.startswith("ghs_") else self.user_login
