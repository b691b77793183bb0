"""What one run leaves for the next: which code was reviewed, and what was raised."""

from __future__ import annotations

from dataclasses import dataclass

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Check, Severity
from hunkwise.domain.outcome import Where
from hunkwise.domain.walkthrough import NOTHING_TOLD, Told


@dataclass(frozen=True, slots=True)
class Raised:
    """A finding that an earlier run raised, as our comments remember it."""

    fingerprint: str
    path: str
    severity: Severity
    title: str
    category: str = ""
    prompt: str = "review"
    side: Side = Side.RIGHT
    line: int | None = None
    """At the head at which it was raised last; None where it is about the file."""
    start_line: int | None = None
    code: str = ""
    """`finding.code_key` of the anchored lines; empty without an anchor."""
    where: Where = Where.INLINE
    """The rung that it was posted on."""
    deleted: bool = False
    """A person deleted its comment, and so dismissed it: nothing but the state can remember that."""
    check: Check | None = None
    """What the second opinion of that run made of it; None where nobody was asked."""

    @property
    def span(self) -> int:
        """Number of anchored lines; 0 without an anchor."""
        return 0 if self.line is None else self.line - (self.start_line or self.line) + 1


@dataclass(frozen=True)
class State:
    """What the summary comment carries, hidden. It counts only where we wrote that comment."""

    repository: str
    """`owner/name`, so that a copy on another pull request says nothing."""
    number: int
    head_sha: str
    """The head that was reviewed last."""
    reviewed_shas: tuple[str, ...]
    """Heads that were reviewed, the latest last; the newest 20."""
    base: str
    """Name of the base branch."""
    rewrites: int
    """`Conversation.rewrites` at that time."""
    settings: str
    """Digest of configuration, prompts and instructions: another one means another review."""
    hunks: frozenset[str] = frozenset()
    """`plan.increment.kept_keys` of the hunks that were reviewed whole by all of their prompts."""
    findings: tuple[Raised, ...] = ()
    """What stands: raised, neither fixed nor dismissed."""
    conclusion: str = ""
    """The output of that name."""
    told: Told = NOTHING_TOLD
    """What was said of the change as a whole, so that the next run may bring it up to date."""
