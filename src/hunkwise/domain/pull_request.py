"""A pull request, its conversation and what is known of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hunkwise.domain.diff import FileDiff, Side

Entry = bytes | tuple[str, ...] | None
"""A file's bytes, the names in a folder (folders with a final slash), or None where there is neither."""

Known = Mapping[str, Entry]
"""By path. What is not in it may be anything: only asking for it will tell."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A comment of a thread behind its first. Author and body are foreign text."""

    author: str
    body: str
    ours: bool = False
    """GitHub says that the token's own account wrote it."""
    trusted: bool = False
    """Its author is the repository's owner, a member or a collaborator."""
    bot: bool = False
    edited: bool = False


@dataclass(frozen=True, slots=True)
class Thread:
    """A review thread: something already raised at this place. `author` and `body` are its first comment's."""

    path: str
    line: int | None
    """Where GitHub shows it now; None for a thread on the whole file, or one whose lines the diff has lost."""
    side: Side
    author: str
    body: str
    resolved: bool = False
    outdated: bool = False
    id: str = ""
    """GraphQL's id; empty where only REST could be read."""
    comment_id: int = 0
    """REST's id of the first comment."""
    ours: bool = False
    """GitHub says that the token's own account began it."""
    trusted: bool = False
    """Its author is the repository's owner, a member or a collaborator."""
    edited: bool = False
    """Somebody else than its author edited the first comment."""
    resolved_by: str = ""
    """Login; empty where nobody resolved it, or REST does not say who."""
    replies: tuple[Reply, ...] = ()
    thumbs_down: tuple[str, ...] = ()
    """Logins of those who gave the first comment a 👎."""
    url: str = ""


class ReviewState(StrEnum):
    """GitHub's states of a review."""

    APPROVED = "APPROVED"
    CHANGES_REQUESTED = "CHANGES_REQUESTED"
    COMMENTED = "COMMENTED"
    DISMISSED = "DISMISSED"
    PENDING = "PENDING"


@dataclass(frozen=True, slots=True)
class PostedReview:
    """A review that the token's own account wrote."""

    id: int
    state: ReviewState
    body: str
    commit_sha: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment in the pull request's conversation that the token's own account wrote."""

    id: int
    body: str
    url: str = ""
    edited: bool = False
    """Somebody else edited it: what it says is no longer ours."""


@dataclass(frozen=True, slots=True)
class CheckRun:
    """A check run of our name at the head."""

    id: int
    status: str
    """`queued`, `in_progress` or `completed`."""
    conclusion: str = ""
    external_id: str = ""


@dataclass(frozen=True, slots=True)
class LinkedIssue:
    """An issue that is closed with the pull request. Title and body are foreign text."""

    number: int
    title: str
    body: str
    repository: str = ""
    """`owner/name`."""


@dataclass(frozen=True)
class Conversation:
    """Everything that decides what may still be said. Read at the start, and again before anything is posted."""

    state: str = "open"
    """Of the pull request: `open`, `closed` or `merged`."""
    head_sha: str = ""
    viewer: str = ""
    """The token's own login, without an app's suffix `[bot]`; empty where GitHub does not say."""
    author: str = ""
    """Login of the pull request's author."""
    author_trusted: bool = False
    """The pull request's author is the repository's owner, a member or a collaborator."""
    threads: tuple[Thread, ...] = ()
    """Open and resolved, ours and others', oldest first."""
    reviews: tuple[PostedReview, ...] = ()
    """Ours, oldest first."""
    comments: tuple[Comment, ...] = ()
    """Ours, oldest first."""
    check_runs: tuple[CheckRun, ...] = ()
    """Of our name, at the head; empty where the token may not read them."""
    rewrites: int | None = None
    """How often head or base were force-pushed, or the base was changed; None where GitHub does not say."""
    writers: frozenset[str] = frozenset()
    """Logins known to be the repository's owner, members or collaborators."""
    linked_issues: tuple[LinkedIssue, ...] = ()
    """What the pull request closes; empty where GitHub does not say."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request as GitHub gave it. Title, body, author, labels and branch names are foreign text."""

    repository: str
    """`owner/name` of the base repository."""
    number: int
    title: str
    body: str
    author: str
    base: str
    """Name of the base branch."""
    base_sha: str
    head: str
    """Name of the head branch."""
    head_sha: str
    labels: tuple[str, ...] = ()
    draft: bool = False
    state: str = "open"
    """`open` or `closed`."""
    changed_files: int = 0
    """What GitHub counts, which can be more than it lists."""
    additions: int = 0
    deletions: int = 0
    url: str = ""
    fork: bool = False
    """The head is in another repository than the base, or in one that was deleted."""
    head_repository: str = ""
    """`owner/name` of the head's repository; empty where it was deleted."""


@dataclass(frozen=True, slots=True)
class Instructions:
    """A file of instructions for reviewers, read at the base SHA."""

    path: str
    text: str
    apply_to: tuple[str, ...] = ("**",)
    """Globs of the changed files that it speaks of."""


@dataclass(frozen=True)
class Snapshot:
    """Everything that a review reads, fetched once and shared by all prompts."""

    pull_request: PullRequest
    files: tuple[FileDiff, ...]
    threads: tuple[Thread, ...] = ()
    """Open ones that a model is shown as raised already."""
    instructions: tuple[Instructions, ...] = ()
    unlisted_files: int = 0
    """Files that GitHub counts and does not list (it lists 3,000 at the most)."""
    conversation: Conversation | None = None
    """What was said on the pull request; None where it could not be read, or there is none."""
    notes: tuple[str, ...] = field(default=())
    """What could not be read on the way, for the summary: one sentence each."""

    @property
    def linked_issues(self) -> tuple[LinkedIssue, ...]:
        """The issues that the pull request closes, as far as GitHub tells them."""
        return self.conversation.linked_issues if self.conversation else ()
