"""A finding of a model, the order of findings and their duplicates; and a model's summary of a change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from hashlib import sha256
from typing import Final

from hunkwise.domain.diff import Side


class Severity(IntEnum):
    """How bad it is. An IntEnum, so that a gate is `>=`."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        return self.name.lower()

    @classmethod
    def parse(cls, label: str) -> Severity:
        """The severity of that name. Raises KeyError for any other text."""
        by_label = {severity.label: severity for severity in cls}
        return by_label[label]


class Verification(StrEnum):
    """What a second session made of a finding that it was asked to refute, and did not."""

    CONFIRMED = "confirmed"
    LOWERED = "lowered"
    """It holds, and is less bad than was said."""
    UNVERIFIED = "unverified"
    """The check failed, contradicted itself or had no budget: the finding is kept as it was."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A line, or the lines `start_line`..`line`, of one side of a file's diff; proved to be in one hunk."""

    path: str
    line: int
    side: Side = Side.RIGHT
    start_line: int | None = None
    code: str = ""
    """The anchored lines' text, joined by line feeds: what the finding speaks of, whatever its number."""

    @property
    def lines(self) -> range:
        return range(self.start_line or self.line, self.line + 1)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the author should know. All text is foreign until `publish.sanitize` has seen it."""

    path: str
    severity: Severity
    title: str
    body: str
    anchor: Anchor | None = None
    """None where no line of the diff could be proved: the finding is then about the file."""
    category: str = ""
    suggestion: str | None = None
    """Replacement for exactly the anchored lines of the RIGHT side."""
    confidence: float | None = None
    """0..1, as the model said."""
    prompt: str = "review"
    """The name of the prompt that asked."""
    said_line: int | None = None
    """The line that the model named, kept where it could not be proved."""
    check: Verification | None = None
    """What became of it before the second opinion; None where nobody was asked."""
    evidence: str = ""
    """What the second opinion says for it; foreign text."""
    raised_as: str = ""
    """The fingerprint under which an earlier run raised it; empty for what is new."""

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that survive shifted lines and another wording: path, anchored code, category."""
        if self.raised_as:
            return self.raised_as
        code = self.anchor.code if self.anchor else self.title
        return _digest("\0".join([self.path, _squeezed(code), self.category.lower()]), 16)

    @property
    def code(self) -> str:
        """`code_key` of the anchored lines; empty without an anchor."""
        return code_key(self.anchor.code) if self.anchor else ""


def code_key(code: str) -> str:
    """Twelve hex digits by which lines of code are known again wherever they stand, however they are indented."""
    return _digest(_squeezed(code), 12)


def _squeezed(code: str) -> str:
    return " ".join(code.split())


def _digest(text: str, digits: int) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:digits]


def reading_order(finding: Finding) -> tuple[str, int, int, str]:
    """Sort key: path, line (those of the whole file first), the most severe first."""
    line = finding.anchor.line if finding.anchor else 0
    return finding.path, line, -finding.severity, finding.title


MAX_OVERVIEW: Final = 1_200
"""Characters of an overview; what says more is a review of its own."""
MAX_AREAS: Final = 8
MAX_AREA: Final = 80
MAX_WORDS: Final = 400
"""Characters of what an area, or the risk, says at once."""
MAX_DIAGRAM: Final = 3_000


class RiskLevel(StrEnum):
    """How much could go wrong by the change, as a model sees it; it decides nothing."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Risk:
    """The risk note."""

    level: RiskLevel
    why: str = ""


@dataclass(frozen=True, slots=True)
class Area:
    """One part of the change: what changed in it, and why that matters."""

    area: str
    what: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Walkthrough:
    """What stands beside the overview. All text is foreign until `publish.sanitize` has seen it."""

    areas: tuple[Area, ...] = ()
    risk: Risk | None = None
    diagram: str = ""
    """Source of a Mermaid diagram; shown only where `publish.change_summary` finds nothing wrong with it."""

    @property
    def texts(self) -> tuple[str, ...]:
        """All of its words."""
        areas = (text for one in self.areas for text in (one.area, one.what, one.why))
        return (*areas, self.risk.why if self.risk else "", self.diagram)


@dataclass(frozen=True, slots=True)
class ChangeSummary:
    """What a run leaves for the next one of what it said of the change."""

    overview: str = ""
    walkthrough: Walkthrough | None = None

    def __bool__(self) -> bool:
        return bool(self.overview or self.walkthrough)


NOTHING_TOLD: Final = ChangeSummary()
