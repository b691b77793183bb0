"""The result of a review: findings, coverage, usage, conclusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from hunkwise.domain.diff import FileDiff
from hunkwise.domain.finding import Finding, Severity, Walkthrough
from hunkwise.domain.model import NANO


class SkipReason(StrEnum):
    """Why changed lines were not looked at."""

    IGNORED = "ignored by the configuration"
    BINARY = "binary"
    GENERATED = "generated"
    LOCK_FILE = "lock file"
    NO_CHANGED_LINES = "no changed lines"
    TOO_LARGE = "too large"
    NO_PATCH = "the patch could not be had"
    LINE_TOO_LONG = "a line is too long to show whole"
    NO_PROMPT = "no prompt applies to it"
    BUDGET = "the budget ran out"
    DEADLINE = "the deadline was reached"
    FAILED = "the model did not answer"
    INTERRUPTED = "the run was interrupted"

    @property
    def deliberate(self) -> bool:
        """Left out by choice: not counted in coverage, though always named."""
        return self in _DELIBERATE


_DELIBERATE = frozenset(
    {
        SkipReason.IGNORED,
        SkipReason.BINARY,
        SkipReason.GENERATED,
        SkipReason.LOCK_FILE,
        SkipReason.NO_CHANGED_LINES,
        SkipReason.NO_PROMPT,
    }
)


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """One changed file: how many of its changed lines were put before a model, and why not the rest."""

    path: str
    changed_lines: int
    reviewed_lines: int = 0
    reason: SkipReason | None = None
    """Why lines are missing; None where all were reviewed."""
    detail: str = ""

    @property
    def missing(self) -> bool:
        """Something that should have been reviewed was not."""
        return self.reason is not None and not self.reason.deliberate


@dataclass(frozen=True)
class Coverage:
    """Every changed file, reviewed or not. Deliberate omissions are named and stay out of the percentage."""

    files: tuple[FileCoverage, ...] = ()
    unlisted_files: int = 0

    @property
    def changed_lines(self) -> int:
        return sum(file.changed_lines for file in self.files if file.reason is None or file.missing)

    @property
    def reviewed_lines(self) -> int:
        return sum(file.reviewed_lines for file in self.files)

    @property
    def percent(self) -> int:
        """0..100, rounded down, so that 100 means all. With nothing to review it is 100."""
        if self.changed_lines == 0:
            return 0 if self.unlisted_files else 100
        percent = 100 * self.reviewed_lines // self.changed_lines
        return min(percent, 99) if self.unlisted_files else percent

    @property
    def missing(self) -> tuple[FileCoverage, ...]:
        return tuple(file for file in self.files if file.missing)

    @property
    def complete(self) -> bool:
        return not self.missing and not self.unlisted_files


@dataclass(frozen=True, slots=True)
class Usage:
    """What the models were asked for, summed from the CLI's own events."""

    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """The part of `input_tokens` that the provider had in its cache."""
    tool_calls: int = 0
    models: tuple[str, ...] = ()
    nano_credits: int = 0
    """Billionths of an AI credit, as Copilot tells them; 0 with a provider of one's own."""

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
    """The one word of the output `conclusion`."""

    SUCCESS = "success"
    FAILURE = "failure"
    NEUTRAL = "neutral"


class ExitCode(IntEnum):
    """CONTRACT.md's exit codes."""

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


class ReviewEvent(StrEnum):
    """What a review asks of GitHub. An approval needs `approve: true` at the base: a model's word never approves."""

    COMMENT = "COMMENT"
    REQUEST_CHANGES = "REQUEST_CHANGES"
    APPROVE = "APPROVE"


@dataclass(frozen=True, slots=True)
class ReviewFault:
    """Something that went wrong on the way and left a trace in the result: a kind, a sentence, a remedy."""

    kind: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class RefutedFinding:
    """A finding that the second opinion dropped, and why: told in the report, never posted."""

    finding: Finding
    reason: str
    """The second model's evidence; foreign text."""


@dataclass(frozen=True)
class Review:
    """The whole result of a run, before it is put anywhere."""

    head_sha: str
    findings: tuple[Finding, ...]
    coverage: Coverage
    usage: Usage
    summary: str = ""
    """The model's own words on the change; foreign text."""
    walkthrough: Walkthrough | None = None
    """What it says beside that, area by area; None where it was not asked."""
    faults: tuple[ReviewFault, ...] = ()
    notes: tuple[str, ...] = ()
    dropped: int = 0
    """Findings below min-severity, or twins of others: counted, so that the numbers add up."""
    refuted: tuple[RefutedFinding, ...] = ()
    spent: Mapping[str, Usage] = field(default_factory=dict)
    """`usage` by the name of the prompt that asked; together they are all of it."""
    demo: bool = False
    seconds: float = 0.0
    prompts: tuple[str, ...] = ()
    instructions: tuple[str, ...] = ()
    """Paths of the files of instructions that were shown to a model."""
    files: tuple[FileDiff, ...] = field(default=(), repr=False)
    hunks: frozenset[str] = field(default=frozenset(), repr=False)
    """`plan.increment.kept_keys` of the hunks that are reviewed at this head, by this run or by an earlier one."""
    asked: int = 0
    """Questions that this run put to a model; 0 where everything had been reviewed before."""
    settings: str = ""
    """`flows.settings_digest`: what decided on what was looked for."""
    carried_lines: int = 0
    """Changed lines, counted in the coverage, that an earlier run reviewed."""

    @property
    def highest(self) -> Severity | None:
        return max((finding.severity for finding in self.findings), default=None)


class Destination(StrEnum):
    """The rung of the ladder that a finding ended on, from the best to the last."""

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
    """What became of a review: its address, and each finding's rung."""

    review_url: str | None = None
    where: Mapping[Finding, Destination] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What went another way than asked, one sentence each."""
    fault: ReviewFault | None = None
    """Why no review could be posted; None where one was, or none was to be."""
