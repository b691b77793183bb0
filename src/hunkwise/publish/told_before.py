"""What was said of the change, as values for the hidden state: bounded where it is written, and where it is read."""

from __future__ import annotations

from typing import Any

from hunkwise.domain.walkthrough import (
    MAX_AREA,
    MAX_AREAS,
    MAX_DIAGRAM,
    MAX_OVERVIEW,
    MAX_WORDS,
    Area,
    Risk,
    RiskLevel,
    Told,
    Walkthrough,
)
from hunkwise.publish.characters import cut


def bounded(overview: str, walkthrough: Walkthrough | None) -> Told:
    """What of it is remembered: it is the same when it is bounded again."""
    if walkthrough is None:
        return Told(cut(overview, MAX_OVERVIEW))
    areas = tuple(
        Area(cut(one.area, MAX_AREA), cut(one.what, MAX_WORDS), cut(one.why, MAX_WORDS))
        for one in walkthrough.areas[:MAX_AREAS]
    )
    risk = Risk(walkthrough.risk.level, cut(walkthrough.risk.why, MAX_WORDS)) if walkthrough.risk else None
    diagram = walkthrough.diagram if len(walkthrough.diagram) <= MAX_DIAGRAM else ""
    return Told(cut(overview, MAX_OVERVIEW), Walkthrough(areas, risk, diagram))


def told_values(told: Told) -> list[Any]:
    """The overview; then, where there is a walkthrough, areas, the risk's level and reason, and the diagram."""
    walkthrough = told.walkthrough
    if walkthrough is None:
        return [told.overview]
    areas = [[one.area, one.what, one.why] for one in walkthrough.areas]
    risk = walkthrough.risk
    level, why = (risk.level.value, risk.why) if risk else ("", "")
    return [told.overview, areas, level, why, walkthrough.diagram]


def told_from(values: object) -> Told | None:
    """What `told_values` made the list of; None for anything that it cannot have made."""
    match values:
        case [str(overview)]:
            told = Told(overview)
        case [str(overview), list(rows), str(level), str(why), str(diagram)]:
            areas = _areas(rows)
            if areas is None or (level and level not in set(RiskLevel)):
                return None
            risk = Risk(RiskLevel(level), why) if level else None
            told = Told(overview, Walkthrough(areas, risk, diagram))
        case _:
            return None
    return told if told == bounded(told.overview, told.walkthrough) else None


def _areas(rows: list[Any]) -> tuple[Area, ...] | None:
    areas = []
    for row in rows:
        match row:
            case [str(area), str(what), str(why)]:
                areas.append(Area(area, what, why))
            case _:
                return None
    return tuple(areas)
