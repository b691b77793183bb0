"""What was said on a pull request, as far as a review lives with it: threads, our reviews, our comments, our checks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hunkwise.domain.diff import Side


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
