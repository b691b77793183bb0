"""The result of a review: findings, coverage, usage, conclusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum

from hunkwise.domain.diff import FileDiff
from hunkwise.domain.finding import Finding, Recheck, Severity, Walkthrough
from hunkwise.domain.model import NANO


class SkipReason(StrEnum):
    """Why changed lines were not reviewed."""

    IGNORED = "ignored by the configuration"
    BINARY = "binary"
    GENERATED = "generated"
    MARKED = "marked as generated or vendored in the base's .gitattributes"
    LOCK_FILE = "lock file"
    NO_CHANGED_LINES = "no changed lines"
    TOO_LARGE = "too large"
    NO_PATCH = "the patch was not available"
    NUL_BYTES = "source code with NUL bytes, which git shows as binary"
    LINE_TOO_LONG = "a line is too long to show whole"
    DATA = "lines of data that are too long to show whole"
    NO_PROMPT = "no prompt applies to it"
    BUDGET = "the budget ran out"
    DEADLINE = "the deadline was reached"
    FAILED = "the model did not answer"
    INTERRUPTED = "the run was interrupted"

    @property
    def deliberate(self) -> bool:
        """Skipped on purpose: not counted in the coverage, but always listed."""
        return self in _DELIBERATE


_DELIBERATE = frozenset(
    {
        SkipReason.IGNORED,
        SkipReason.BINARY,
        SkipReason.GENERATED,
        SkipReason.MARKED,
        SkipReason.LOCK_FILE,
        SkipReason.NO_CHANGED_LINES,
        SkipReason.NO_PROMPT,
        SkipReason.DATA,
    }
)
_LOOKS = (SkipReason.GENERATED, SkipReason.DATA)


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """One changed file: how many of its changed lines a model reviewed, and why the others were not.

    All its lines are skipped or counted for the same reason, except with DATA: then the others were reviewed.
    """

    path: str
    changed_lines: int
    reviewed_lines: int = 0
    reason: SkipReason | None = None
    """Why lines are missing; None if all were reviewed."""
    detail: str = ""

    @property
    def missing(self) -> bool:
        """Lines that should have been reviewed were not."""
        return self.reason is not None and not self.reason.deliberate

    @property
    def counted_lines(self) -> int:
        """Changed lines that count in the percentage."""
        return self.changed_lines if self.reason is None or self.missing else self.reviewed_lines


@dataclass(frozen=True)
class Coverage:
    """Every changed file, reviewed or not. Files skipped on purpose are listed and not part of the percentage."""

    files: tuple[FileCoverage, ...] = ()
    unlisted_files: int = 0

    @property
    def changed_lines(self) -> int:
        return sum(file.counted_lines for file in self.files)

    @property
    def reviewed_lines(self) -> int:
        return sum(file.reviewed_lines for file in self.files)

    @property
    def unread_lines(self) -> int:
        """Changed lines that look generated, or like data, though nobody configured that they are skipped."""
        return sum(file.changed_lines - file.reviewed_lines for file in self.files if file.reason in _LOOKS)

    @property
    def percent(self) -> int:
        """0..100, rounded down, so that 100 means all lines. It is 100 if there is nothing to review."""
        if self.changed_lines == 0:
            return 100 if self.complete and not self.unread_lines else 0
        percent = 100 * self.reviewed_lines // self.changed_lines
        return percent if self.complete else min(percent, 99)

    @property
    def missing(self) -> tuple[FileCoverage, ...]:
        return tuple(file for file in self.files if file.missing)

    @property
    def complete(self) -> bool:
        return not self.missing and not self.unlisted_files


@dataclass(frozen=True, slots=True)
class Usage:
    """The models' usage, summed up from the CLI's events."""

    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """The part of `input_tokens` that was in the provider's cache."""
    tool_calls: int = 0
    models: tuple[str, ...] = ()
    nano_credits: int = 0
    """Nano-credits as reported by Copilot (10**9 are one AI credit); 0 with the user's own provider."""

    @property
    def credits(self) -> float:
        """AI credits; one is 0.01 USD."""
        return self.nano_credits / NANO

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.model_calls + other.model_calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.tool_calls + other.tool_calls,
            tuple(dict.fromkeys(self.models + other.models)),
            self.nano_credits + other.nano_credits,
        )


class Conclusion(StrEnum):
    """The conclusion of a check run, and the value of the output `conclusion`, which is never CANCELLED."""

    SUCCESS = "success"
    FAILURE = "failure"
    NEUTRAL = "neutral"
    CANCELLED = "cancelled"


class ExitCode(IntEnum):
    """The exit codes of a run."""

    REVIEWED = 0
    GATE = 1
    WRONG_SETTINGS = 2
    NO_REVIEW = 3
    PARTIAL = 4

    @property
    def conclusion(self) -> Conclusion:
        if self is ExitCode.REVIEWED:
            return Conclusion.SUCCESS
        return Conclusion.NEUTRAL if self is ExitCode.PARTIAL else Conclusion.FAILURE


@dataclass(frozen=True, slots=True)
class CheckOutput:
    """The texts that a check run shows: a plain title, and two Markdown texts."""

    title: str
    summary: str
    text: str = ""


class ReviewEvent(StrEnum):
    """GitHub's event of a review. APPROVE requires `approve: true` at the base: a model alone can never approve."""

    COMMENT = "COMMENT"
    REQUEST_CHANGES = "REQUEST_CHANGES"
    APPROVE = "APPROVE"


@dataclass(frozen=True, slots=True)
class ReviewFault:
    """A problem during the run that is part of the result: a kind, a sentence, and how to fix it."""

    kind: str
    message: str
    hint: str = ""
    shell_hint: str = ""
    """How to fix it in a shell; empty if `hint` is for both. It is not published."""

    def in_shell(self) -> ReviewFault:
        """Returns the fault with the hint for a shell."""
        return replace(self, hint=self.shell_hint or self.hint)


class Suppression(StrEnum):
    """Why a finding that a model reported gets no comment."""

    REFUTED = "refuted"
    MERGED = "merged"
    """Another finding says the same."""
    NOT_WORTH_COMMENT = "not-worth-comment"
    """It is true, and too small for a comment: the summary lists it."""
    LOW_CONFIDENCE = "low-confidence"
    """The model is less sure than `min-confidence` asks for: the summary lists it."""


@dataclass(frozen=True, slots=True)
class SuppressedFinding:
    """A finding without a comment, and why. It is in the report; the summary lists some kinds."""

    finding: Finding
    reason: str
    """The verification's evidence, which is untrusted text, or the setting that it does not meet."""
    kind: Suppression = Suppression.REFUTED


@dataclass(frozen=True)
class Review:
    """The complete result of a run, before it is published."""

    head_sha: str
    findings: tuple[Finding, ...]
    coverage: Coverage
    usage: Usage
    summary: str = ""
    """The model's summary of the change; untrusted text."""
    walkthrough: Walkthrough | None = None
    """The details of the summary, by area; None if they were not requested."""
    faults: tuple[ReviewFault, ...] = ()
    notes: tuple[str, ...] = ()
    dropped: int = 0
    """Number of findings that were below min-severity or duplicates, so that the numbers add up."""
    suppressed: tuple[SuppressedFinding, ...] = ()
    rechecks: Mapping[str, Recheck] = field(default_factory=dict, repr=False)
    """Whether findings of earlier runs still apply, by `tracking.previous.TrackedFinding.key`."""
    spent: Mapping[str, Usage] = field(default_factory=dict)
    """`usage` by prompt name; the values add up to `usage`."""
    demo: bool = False
    seconds: float = 0.0
    prompts: tuple[str, ...] = ()
    instructions: tuple[str, ...] = ()
    """Paths of the instruction files that were shown to a model."""
    files: tuple[FileDiff, ...] = field(default=(), repr=False)
    hunks: frozenset[str] = field(default=frozenset(), repr=False)
    """`plan.incremental.kept_keys` of the hunks that are reviewed at this head, by this run or an earlier one."""
    questions: int = 0
    """Number of questions that this run sent to a model; 0 if everything had been reviewed before."""
    settings: str = ""
    """`flows.prompting.settings_digest`: a digest of the settings that decide what is looked for."""
    carried_lines: int = 0
    """Changed lines, counted in the coverage, that an earlier run reviewed."""

    def in_shell(self) -> Review:
        """Returns the review with the hints for a shell."""
        return replace(self, faults=tuple(fault.in_shell() for fault in self.faults))

    @property
    def low_confidence(self) -> tuple[SuppressedFinding, ...]:
        """The findings below `min-confidence`."""
        return tuple(entry for entry in self.suppressed if entry.kind is Suppression.LOW_CONFIDENCE)

    @property
    def highest(self) -> Severity | None:
        return max((finding.severity for finding in self.findings), default=None)


class Destination(StrEnum):
    """Where a finding is published, from the best place to the last fallback."""

    INLINE = "inline"
    FILE = "file"
    BODY = "body"
    ANNOTATION = "annotation"
    """An annotation of the check run."""
    SUMMARY = "summary"
    """The job summary."""
    REPORT = "report"
    """The JSON report."""


@dataclass(frozen=True, slots=True)
class PostResult:
    """The result of posting a review: its URL, and the destination of each finding that it holds."""

    review_url: str | None = None
    where: Mapping[Finding, Destination] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """One sentence for each thing that was posted differently than requested."""
    fault: ReviewFault | None = None
    """Why the review could not be posted; None if it was posted, or there was none to post."""
    stale: str | None = None
    """Why the review must not be posted any more, for example a new head; None if it may be."""
    comments: Mapping[Finding, str] = field(default_factory=dict)
    """The URLs of the comments that were posted."""
