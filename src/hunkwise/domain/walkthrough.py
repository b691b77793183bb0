"""What a model says of a change as a whole, beside the findings: by area, with a risk, and drawn where that helps."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

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
    """Source of a Mermaid diagram; shown only where `publish.diagram` finds nothing wrong with it."""

    @property
    def texts(self) -> tuple[str, ...]:
        """All of its words."""
        areas = (text for one in self.areas for text in (one.area, one.what, one.why))
        return (*areas, self.risk.why if self.risk else "", self.diagram)


@dataclass(frozen=True, slots=True)
class Told:
    """What a run leaves for the next one of what it said of the change."""

    overview: str = ""
    walkthrough: Walkthrough | None = None

    def __bool__(self) -> bool:
        return bool(self.overview or self.walkthrough)


NOTHING_TOLD: Final = Told()
