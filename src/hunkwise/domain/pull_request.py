"""What is under review, as values: the pull request, what was said on it, and the texts at its base."""

from __future__ import annotations

from dataclasses import dataclass, field

from hunkwise.domain.conversation import Conversation, LinkedIssue, Thread
from hunkwise.domain.diff import FileDiff


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
