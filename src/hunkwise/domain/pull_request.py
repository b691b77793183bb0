"""The data model of a pull request: its conversation, files and snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from hunkwise.domain.diff import FileDiff, Side

Entry = bytes | tuple[str, ...] | None
"""A file's bytes, the names in a folder (subfolders with a final slash), or None if the path does not exist."""

Known = Mapping[str, Entry]
"""Entries by path. A path that is missing here may still exist: it has to be requested."""


class CommitFiles(Protocol):
    """Reads the files of one commit. Each call has limits; None means that the path does not exist."""

    def read(self, path: str) -> bytes | None: ...

    def read_many(self, paths: Sequence[str]) -> Known: ...

    def list(self, path: str) -> tuple[str, ...] | None: ...


MAX_HITS: Final = 100
"""Matches of a search that a model is shown."""


class SearchableCommit(CommitFiles, Protocol):
    """The files of a commit for a model; `search` returns None where there is no search.

    It returns (path, line, text) of the first `limit` lines that match, and takes `seconds` at most. The default limit
    is one more than MAX_HITS, which shows that there are more.
    """

    @property
    def searchable(self) -> bool: ...

    def search(
        self, pattern: str, paths: tuple[str, ...], *, limit: int = ..., seconds: float = ...
    ) -> list[tuple[str, int, str]] | None: ...


@dataclass(frozen=True)
class ReadableCode:
    """The code that a model can read with the tools."""

    head: SearchableCommit
    base: CommitFiles | None = None
    """The files before the change; None if they cannot be read."""
    changed: Mapping[str, FileDiff] = field(default_factory=dict)
    """The changed files by path at the head."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A comment of a thread after the first. Author and body are untrusted text."""

    author: str
    body: str
    ours: bool = False
    """Written by the token's own account, according to GitHub."""
    trusted: bool = False
    """Its author is the repository's owner, a member or a collaborator."""
    bot: bool = False
    edited: bool = False


@dataclass(frozen=True, slots=True)
class Thread:
    """A review thread: a problem that was already raised. `author` and `body` are those of its first comment."""

    path: str
    line: int | None
    """The line that GitHub shows it on now; None if it is on the whole file, or its lines are not in the diff."""
    side: Side
    author: str
    body: str
    resolved: bool = False
    outdated: bool = False
    id: str = ""
    """GraphQL's id; empty if only REST could be read."""
    comment_id: int = 0
    """REST's id of the first comment."""
    ours: bool = False
    """Started by the token's own account, according to GitHub."""
    trusted: bool = False
    """Its author is the repository's owner, a member or a collaborator."""
    edited: bool = False
    """The first comment was edited by someone other than its author."""
    resolved_by: str = ""
    """Login; empty if it is not resolved, or only REST could be read."""
    replies: tuple[Reply, ...] = ()
    thumbs_down: tuple[str, ...] = ()
    """Logins of users who reacted to the first comment with 👎."""
    url: str = ""
    diff_hunk: str = ""
    """The rows of the diff up to its line, as they were when it was started; untrusted text."""
    start_line: int | None = None
    """The first of several lines, the last of which is `line`; None if it is on one line or on none."""


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
    """Edited by someone else: its content is no longer trusted."""


@dataclass(frozen=True, slots=True)
class CheckRun:
    """A check run with hunkwise's name at the head."""

    id: int
    status: str
    """`queued`, `in_progress` or `completed`."""
    conclusion: str = ""
    external_id: str = ""


@dataclass(frozen=True, slots=True)
class LinkedIssue:
    """An issue that the pull request closes. Title and body are untrusted text."""

    number: int
    title: str
    body: str
    repository: str = ""
    """`owner/name`."""


@dataclass(frozen=True)
class Conversation:
    """The state of a pull request that decides what is posted. Read at the start, and again before posting."""

    state: str = "open"
    """The pull request's state: `open`, `closed` or `merged`."""
    head_sha: str = ""
    viewer: str = ""
    """The token's own login, without an app's suffix `[bot]`; empty if GitHub does not return it."""
    author: str = ""
    """Login of the pull request's author."""
    threads: tuple[Thread, ...] = ()
    """All threads, open and resolved, of all authors, oldest first."""
    reviews: tuple[PostedReview, ...] = ()
    """Reviews by the token's own account, oldest first."""
    comments: tuple[Comment, ...] = ()
    """Comments by the token's own account, oldest first."""
    check_runs: tuple[CheckRun, ...] = ()
    """Check runs with hunkwise's name at the head; empty if the token may not read them."""
    rewrites: int | None = None
    """Number of force pushes of head or base and of changes of the base; None if GitHub does not return it."""
    writers: frozenset[str] = frozenset()
    """Logins with write access, as GitHub confirmed; of those alone that `tracking.dismissal.deciding_logins` names."""
    linked_issues: tuple[LinkedIssue, ...] = ()
    """Issues that the pull request closes; empty if GitHub does not return them."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request as returned by GitHub. Title, body, author, labels and branch names are untrusted text."""

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
    """GitHub's count, which can be larger than its list of files."""
    additions: int = 0
    deletions: int = 0
    url: str = ""
    head_repository: str = ""
    """`owner/name` of the head's repository, of a fork for example; empty if it was deleted."""


@dataclass(frozen=True, slots=True)
class Instructions:
    """An instruction file for reviewers, read at the base SHA."""

    path: str
    text: str
    apply_to: tuple[str, ...] = ("**",)
    """Globs of the changed files that it applies to."""


@dataclass(frozen=True)
class Snapshot:
    """All input of a review, fetched once and shared by all prompts."""

    pull_request: PullRequest
    files: tuple[FileDiff, ...]
    threads: tuple[Thread, ...] = ()
    """Open threads, which are shown to the model as already raised."""
    instructions: tuple[Instructions, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    """The texts of the base's .gitattributes files, by folder; the top one's is empty."""
    unlisted_files: int = 0
    """Files that GitHub counts but does not list (it lists at most 3,000)."""
    conversation: Conversation | None = None
    """The pull request's conversation; None if it could not be read, or there is none."""
    notes: tuple[str, ...] = field(default=())
    """One sentence for each thing that could not be read, for the summary."""
    audit: bool = False
    """All files are existing code, shown as added from their first to their last line; there is no pull request."""

    @property
    def linked_issues(self) -> tuple[LinkedIssue, ...]:
        """The issues that the pull request closes, as far as GitHub returns them."""
        return self.conversation.linked_issues if self.conversation else ()
