"""Findings, their order and fingerprints, and a model's summary of a change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from hashlib import sha256
from typing import Final, Literal, get_args

from hunkwise.domain.diff import Side

SeverityLabel = Literal["low", "medium", "high", "critical"]
SEVERITY_LABELS: Final[tuple[SeverityLabel, ...]] = get_args(SeverityLabel)


class Severity(IntEnum):
    """The severity of a finding. An IntEnum, so that a gate can compare with `>=`."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        return SEVERITY_LABELS[self - 1]

    @classmethod
    def from_label(cls, label: str) -> Severity:
        """Returns the severity with this label. Raises KeyError for any other text."""
        return {severity.label: severity for severity in cls}[label]


class Verification(StrEnum):
    """The result of the verification of a finding that it did not refute."""

    CONFIRMED = "confirmed"
    CORRECTED = "corrected"
    """Confirmed with a new text."""
    LOWERED = "lowered"
    """Confirmed with a lower severity."""
    UNCLEAR = "unclear"
    """The model could not tell from what it could read: the finding is kept as it was."""
    UNVERIFIED = "unverified"
    """The verification failed, contradicted itself or had no budget: the finding is kept as it was."""
    RECHECKED = "rechecked"
    """Raised by an earlier run; asked again after a later push, and it still applies."""
    OUTDATED = "outdated"
    """Raised by an earlier run; the code has changed since, and whether it still applies is not known."""


VERIFIED: Final = frozenset((Verification.CONFIRMED, Verification.CORRECTED, Verification.LOWERED))
"""The results of findings that the verification found to be true."""
UNVERIFIED: Final = frozenset((Verification.UNCLEAR, Verification.UNVERIFIED))


class RecheckState(StrEnum):
    """Whether a finding of an earlier run still applies in the code as it is now."""

    FIXED = "fixed"
    OPEN = "open"
    UNDECIDED = "undecided"
    """No verdict that could be taken, or the model could not tell: it stays open."""


@dataclass(frozen=True, slots=True)
class Recheck:
    """The answer to whether a finding of an earlier run still applies."""

    state: RecheckState
    evidence: str = ""
    """Untrusted text; never empty for FIXED."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A line, or the lines `start_line`..`line`, on one side of a file's diff; verified to be in one hunk."""

    path: str
    line: int
    side: Side = Side.RIGHT
    start_line: int | None = None
    code: str = ""
    """The text of the anchored lines, joined by line feeds. It identifies the code if line numbers change."""

    @property
    def lines(self) -> range:
        return range(self.start_line or self.line, self.line + 1)

    def overlaps(self, other: Anchor) -> bool:
        """Returns whether the two have a line of one side in common; both must be of the same file."""
        lines, other_lines = self.lines, other.lines
        return self.side is other.side and lines.start < other_lines.stop and other_lines.start < lines.stop


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem that a model reported. All text is untrusted until `publish.sanitize` has processed it."""

    path: str
    severity: Severity
    title: str
    body: str
    anchor: Anchor | None = None
    """None if no line of the diff could be verified: the finding is then about the file."""
    category: str = ""
    suggestion: str | None = None
    """Replacement for exactly the anchored lines of the RIGHT side."""
    confidence: float | None = None
    """0..1, as reported by the model."""
    prompt: str = "review"
    """The name of the prompt that produced it."""
    reported_line: int | None = None
    """The line that the model reported, kept if it could not be verified."""
    check: Verification | None = None
    """The result of the verification; None if it was not verified."""
    evidence: str = ""
    """The evidence of the verification; untrusted text."""
    raised_as: str | None = None
    """The fingerprint under which an earlier run posted it; None if it is new."""

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits of path, anchored code and category: independent of line numbers and wording."""
        if self.raised_as:
            return self.raised_as
        code = self.anchor.code if self.anchor else self.title
        return _hash_text("\0".join([self.path, _collapse_spaces(code), self.category.lower()]), 16)

    @property
    def code(self) -> str:
        """The `code_key` of the anchored lines; empty without an anchor."""
        return code_key(self.anchor.code) if self.anchor else ""


def joint_confidence(findings: Iterable[Finding]) -> float | None:
    """Returns the confidence in what all of these findings say: the highest one; None if one of them has none."""
    stated = [finding.confidence for finding in findings]
    known = [confidence for confidence in stated if confidence is not None]
    return max(known) if known and len(known) == len(stated) else None


def code_key(code: str) -> str:
    """Returns twelve hex digits that identify lines of code, independent of their position and indentation."""
    return _hash_text(_collapse_spaces(code), 12)


def _collapse_spaces(code: str) -> str:
    return " ".join(code.split())


def _hash_text(text: str, digits: int) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:digits]


def reading_order(finding: Finding) -> tuple[str, int, int, str]:
    """Returns a sort key: path, line (findings on the whole file first), most severe first."""
    line = finding.anchor.line if finding.anchor else 0
    return finding.path, line, -finding.severity, finding.title


def severity_order(finding: Finding) -> tuple[int, tuple[str, int, int, str]]:
    """Returns a sort key: the most severe first, then the reading order."""
    return -finding.severity, reading_order(finding)


MAX_OVERVIEW: Final = 1_200
"""Characters of an overview; a longer one would be a review in itself."""
MAX_AREAS: Final = 8
MAX_AREA: Final = 80
MAX_WORDS: Final = 400
"""Characters of each text of an area or of the risk note."""
MAX_DIAGRAM: Final = 3_000


class RiskLevel(StrEnum):
    """A model's estimate of the change's risk; nothing depends on it."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Risk:
    """The risk note of a change summary."""

    level: RiskLevel
    why: str = ""


@dataclass(frozen=True, slots=True)
class Area:
    """One area of the change: what changed in it, and why that matters."""

    area: str
    what: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Walkthrough:
    """The details below the overview. All text is untrusted until `publish.sanitize` has processed it."""

    areas: tuple[Area, ...] = ()
    risk: Risk | None = None
    diagram: str = ""
    """Source of a Mermaid diagram; shown only if `publish.change_summary` accepts it."""

    @property
    def texts(self) -> tuple[str, ...]:
        """All of its texts."""
        areas = (text for area in self.areas for text in (area.area, area.what, area.why))
        return (*areas, self.risk.why if self.risk else "", self.diagram)


@dataclass(frozen=True, slots=True)
class ChangeSummary:
    """The summary of a change, which the next run can reuse."""

    overview: str = ""
    walkthrough: Walkthrough | None = None

    def __bool__(self) -> bool:
        return bool(self.overview or self.walkthrough)


NO_SUMMARY: Final = ChangeSummary()
