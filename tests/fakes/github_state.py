"""The state of the fake GitHub: tokens, pull requests, issues, comments, threads, check runs and alerts."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field

from tests.fakes.git_repository import ChangedFile, GitStore
from tests.fakes.github_messages import Json, not_found

Permission = str | frozenset[str]
"""`write`, `read` or `none` for everything; else `LEVEL:SCOPE`, several as a set or separated by commas.

Scopes: contents, pulls, issues, checks, security-events. `write:pulls,none:checks` writes to pull requests,
sees no check run, and reads the rest. Comments on a pull request follow `pulls` unless `issues` is named, for
GitHub takes either permission for them; issues and their comments need `issues`.
"""

_SCOPES = ("contents", "pulls", "issues", "checks", "security-events")
_CONVERSATION = "conversation"
_LEVELS = ("none", "read", "write")


def level(permission: Permission, scope: str) -> str:
    """`none`, `read` or `write`. Raises ValueError for words that no permission has."""
    if permission in _LEVELS:
        return str(permission)
    parts = permission if isinstance(permission, frozenset) else frozenset(permission.split(","))
    named = {name: given for given, _, name in (part.strip().partition(":") for part in parts)}
    if not set(named) <= set(_SCOPES) or not set(named.values()) <= set(_LEVELS):
        raise ValueError(
            f"{permission!r} is no permission of the fake GitHub: see tests/fakes/github_state.py"
        )
    if scope == _CONVERSATION:
        scope = "issues" if "issues" in named else "pulls"
    return named.get(scope, "read")


def scope_of(template: str) -> str:
    """The scope that a route needs, by its path template."""
    for part, scope in (
        ("/check-runs", "checks"),
        ("/code-scanning/", "security-events"),
        ("/issues/comments", _CONVERSATION),
        ("/{issue_number}/comments", _CONVERSATION),
        ("/issues", "issues"),
        ("/labels", "issues"),
        ("/pulls", "pulls"),
    ):
        if part in template:
            return scope
    return "contents"


BOT = "github-actions[bot]"
BODY_LIMIT = 65_536
POSTED = "2026-01-02T03:04:05Z"
PUBLISHED = "2026-01-02T03:04:06Z"
"""A review comment is created as a draft and published with its review, which counts as an update."""
EDITED = "2026-01-02T04:05:06Z"
_ROLES = {"OWNER": "admin", "MEMBER": "write", "COLLABORATOR": "write"}
_STRENGTHS = {"admin": "admin", "maintain": "write", "write": "write", "triage": "read", "read": "read"}


@dataclass(frozen=True)
class LinkedIssue:
    """An issue of this repository, or of another one."""

    number: int
    title: str
    body: str = ""
    repository: str = "octo/site"


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
    merged: bool = False
    timeline: list[str] = field(default_factory=list)
    """GraphQL's item types of what happened to its ends: HEAD_REF_FORCE_PUSHED_EVENT, …"""
    closes: list[LinkedIssue] = field(default_factory=list)
    """Issues that it closes."""
    locked: bool = False
    """Only people with write access can comment."""


@dataclass(frozen=True)
class Reaction:
    """A reaction to a comment. `content` is REST's word: `+1`, `-1`, `eyes`, `rocket`, `confused`, …"""

    id: int
    login: str
    content: str


@dataclass
class Review:
    """A review as GitHub stored it. `state` is COMMENTED, APPROVED, CHANGES_REQUESTED, DISMISSED or PENDING."""

    id: int
    number: int
    author: str
    body: str
    state: str
    commit_id: str
    dismissal: str = ""
    """The message with which it was dismissed."""


@dataclass
class Comment:
    """A review comment. `line` and `start_line` are as it was posted; None on a comment for the whole file."""

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
    base_sha: str = ""
    """The base at the time when it was posted."""
    edited_by: str = ""
    reactions: list[Reaction] = field(default_factory=list)
    created_at: str = POSTED
    updated_at: str = PUBLISHED
    """When it was last changed, unless somebody edited it: see `updated_at`."""
    shown_line: int | None = None
    """Where GitHub shows it at the head of today; None where the diff has lost it."""
    shown_start: int | None = None

    def __post_init__(self) -> None:
        if self.shown_line is None:
            self.shown_line, self.shown_start = self.line, self.start_line


@dataclass
class Thread:
    """Comments at one place, the first of which opened it. `id` is GraphQL's."""

    id: str
    number: int
    comments: list[Comment]
    resolved: bool = False
    outdated: bool = False
    resolved_by: str = ""

    @property
    def line(self) -> int | None:
        """Where GitHub shows it now."""
        return None if self.outdated else self.comments[0].shown_line

    @property
    def start_line(self) -> int | None:
        return None if self.outdated else self.comments[0].shown_start


@dataclass
class Issue:
    """An issue, which is no pull request. Tests may change it between runs."""

    number: int
    title: str
    author: str
    body: str = ""
    state: str = "open"
    labels: list[str] = field(default_factory=list)
    edited_by: str = ""
    """Who edited the body last."""
    locked: bool = False


@dataclass
class IssueComment:
    """A comment in the conversation of a pull request or an issue."""

    id: int
    number: int
    author: str
    body: str
    minimized: bool = False
    edited_by: str = ""
    reactions: list[Reaction] = field(default_factory=list)
    created_at: str = POSTED
    updated_at: str = POSTED
    via_app: bool = False
    """An app wrote it with its user's token."""


def updated_at(comment: Comment | IssueComment) -> str:
    """When a comment was last changed, by an edit or otherwise."""
    return EDITED if comment.edited_by else comment.updated_at


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
    external_id: str = ""
    details_url: str | None = None
    started_at: str | None = None
    outputs: list[tuple[str, str]] = field(default_factory=list)
    """Title and summary of every output that was ever sent, so that progress can be looked at."""


@dataclass(frozen=True)
class SarifUpload:
    """A file for code scanning, unpacked."""

    id: str
    commit_sha: str
    ref: str
    text: str
    tool_name: str = ""


@dataclass
class Alert:
    """An alert of code scanning. `state` is open, dismissed or fixed."""

    number: int
    rule: str
    path: str
    line: int
    end_line: int
    message: str
    commit_sha: str
    ref: str = "refs/heads/main"
    tool: str = "hunkwise"
    category: str = ""
    fingerprint: str = ""
    """By which a later upload recognizes it."""
    state: str = "open"
    dismissed_by: str = ""
    reason: str = ""
    comment: str = ""


@dataclass(frozen=True)
class GraphqlRefusal:
    """What GraphQL answers to everything: a status, or 200 with errors."""

    status: int = 200
    errors: tuple[Json, ...] = ()


def node_id(number: int) -> str:
    """GitHub's global id of a comment or review, the same in REST (`node_id`) and GraphQL (`id`)."""
    return f"NODE_{number}"


@dataclass
class Hub:
    """The whole state. Routes hold `lock` while they read or change it."""

    store: GitStore
    repository: str
    tokens: dict[str, Permission]
    default_branch: str = "main"
    time: str = POSTED
    """When comments are written. Tests may let time pass."""
    user_login: str = "hubot"
    people: dict[str, str] = field(default_factory=dict)
    """Logins of people by their tokens; other tokens of people act as `user_login`."""
    associations: dict[str, str] = field(default_factory=dict)
    """What people are to the repository (OWNER, MEMBER, COLLABORATOR, …), by login; others are NONE."""
    permissions: dict[str, str] = field(default_factory=dict)
    """GitHub's word for what people may do (admin, write, read, none), where associations do not say it."""
    patch_line_limit: int = 3_000
    total_patch_lines: int = 20_000
    file_limit: int = 3_000
    graphql_refusal: GraphqlRefusal | None = None
    refused_mutations: set[str] = field(default_factory=set)
    refused_lines: set[int] = field(default_factory=set)
    """Lines of any file that GitHub takes no comment on, although they are in the diff."""
    pulls: dict[int, PullRequest] = field(default_factory=dict)
    reviews: list[Review] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    threads: list[Thread] = field(default_factory=list)
    issue_comments: list[IssueComment] = field(default_factory=list)
    check_runs: list[CheckRun] = field(default_factory=list)
    sarifs: list[SarifUpload] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    issues: dict[int, Issue] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    """Name → colour."""
    has_issues: bool = True
    has_code_scanning: bool = True
    lock: threading.RLock = field(default_factory=threading.RLock)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1001))

    def next_id(self) -> int:
        return next(self._ids)

    def next_number(self) -> int:
        """The number of the next issue: pull requests and issues share them."""
        return max([0, *self.pulls, *self.issues]) + 1

    def conversation(self, number: int) -> PullRequest | Issue:
        """The pull request or issue. Raises RefusedError (404) where there is neither."""
        return self.issues[number] if number in self.issues else self.pull(number)

    def page(self, number: int) -> str:
        """The path of a pull request's or an issue's page, within the repository."""
        return f"issues/{number}" if number in self.issues else f"pull/{number}"

    def pull(self, number: int) -> PullRequest:
        """Raises RefusedError (404) where there is none."""
        if number not in self.pulls:
            raise not_found()
        return self.pulls[number]

    def changed_files(self, pull: PullRequest) -> tuple[ChangedFile, ...]:
        return self.store.diff(pull.base_sha, pull.head_sha)

    def login_of(self, token: str) -> str:
        """Tokens of an Actions run act as the bot; all others as `user_login`."""
        return BOT if token.startswith("ghs_") else self.people.get(token, self.user_login)

    def association(self, login: str) -> str:
        """What somebody is to the repository."""
        return self.associations.get(login, "NONE")

    def permission(self, login: str) -> tuple[str, str]:
        """What somebody may do (admin, write, read, none), and the name of the role, which may be a custom one."""
        named = self.permissions.get(login) or _ROLES.get(self.association(login), "read")
        role, _, base = named.partition("/")  # a custom role, and the one that it extends
        return _STRENGTHS.get(base or role, "none"), role

    def pending_review(self, number: int, login: str) -> Review | None:
        """The review that somebody has begun and not submitted; there is one at most."""
        mine = (review for review in self.reviews if (review.number, review.author) == (number, login))
        return next((review for review in mine if review.state == "PENDING"), None)

    def pending_ids(self) -> frozenset[int]:
        """The ids of all reviews that are not submitted: only their authors see them."""
        return frozenset(review.id for review in self.reviews if review.state == "PENDING")
