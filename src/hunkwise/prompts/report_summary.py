"""The tool `report_summary`: its schema, and what a model's call of it means."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from hunkwise.domain.finding import (
    MAX_AREA,
    MAX_AREAS,
    MAX_DIAGRAM,
    MAX_OVERVIEW,
    MAX_WORDS,
    Area,
    Risk,
    RiskLevel,
    Walkthrough,
)

REPORT: Final = "report_summary"
DESCRIPTION: Final = (
    "Report the summary of the change. The only way to be heard: text outside of it is not read. It is checked at "
    "once, and you are told what is to be mended."
)
SHORT_AREAS: Final = 4
"""Areas of a short summary."""
Style = Literal["short", "full"]
_MOST_FAULTS: Final = 10
# Models write both out of habit: neither is wrong enough to lose a diagram for it.
_FENCED: Final = re.compile(r"```(?:mermaid)?[ \t]*\n(.*)\n```", re.DOTALL)
_BREAK: Final = re.compile(r"<br ?/?>")


@dataclass(frozen=True, slots=True)
class SummaryReport:
    """A call of the tool: what could be read of it, and the faults of the rest."""

    overview: str = ""
    walkthrough: Walkthrough = field(default_factory=Walkthrough)
    faults: tuple[str, ...] = ()
    done: bool = False


def read_telling(arguments: object, style: Style) -> SummaryReport:
    """Reads a call's arguments, whatever they are. What is too long is cut: it needs no second call."""
    if not isinstance(arguments, dict):
        return SummaryReport(faults=("the arguments: they must be an object",))
    faults: list[str] = []
    overview = _text(arguments.get("overview"), MAX_OVERVIEW)
    if not overview:
        faults.append("overview: it must be a text that says what changed and why it matters")
    areas = _areas(arguments.get("areas"), MAX_AREAS if style == "full" else SHORT_AREAS, faults)
    risk = _risk(arguments.get("risk"), faults)
    diagram = _diagram(arguments.get("diagram"), faults) if style == "full" else ""
    done = arguments.get("done")
    if not isinstance(done, bool):
        faults.append("done: it must be true or false")
    return SummaryReport(
        overview, Walkthrough(areas, risk, diagram), tuple(faults[:_MOST_FAULTS]), done is True
    )


def _areas(said: object, most: int, faults: list[str]) -> tuple[Area, ...]:
    """The areas that have a name and words; models write null for what they leave out."""
    if said is None:
        return ()
    if not isinstance(said, list):
        faults.append("areas: it must be a list, empty where there is only one")
        return ()
    areas = []
    for number, one in enumerate(said[:most]):
        if not isinstance(one, dict):
            faults.append(f"areas[{number}]: it must be an object with `area` and `what`")
            continue
        area, what = _text(one.get("area"), MAX_AREA), _text(one.get("what"), MAX_WORDS)
        faults += [
            f"areas[{number}].{name}: it must be a text that is not empty"
            for name, text in (("area", area), ("what", what))
            if not text
        ]
        if one.get("why") is not None and not isinstance(one["why"], str):
            faults.append(f"areas[{number}].why: it must be a text")
        if area and what:
            areas.append(Area(area, what, _text(one.get("why"), MAX_WORDS)))
    return tuple(areas)


def _risk(said: object, faults: list[str]) -> Risk | None:
    if not isinstance(said, dict):
        faults.append("risk: it must be an object with `level` and `why`")
        return None
    why, level = _text(said.get("why"), MAX_WORDS), said.get("level")
    if not why:
        faults.append("risk.why: it must say in a sentence what could go wrong, or why nothing much can")
    if not isinstance(level, str) or level.strip().lower() not in set(RiskLevel):
        faults.append("risk.level: it must be low, medium or high")
        return None
    return Risk(RiskLevel(level.strip().lower()), why)


def _diagram(said: object, faults: list[str]) -> str:
    """The source; one that is too long is no diagram any more, so it is left out whole."""
    if said is None:
        return ""
    if not isinstance(said, str):
        faults.append("diagram: it must be the source of a Mermaid diagram, or be left out")
        return ""
    if len(said) > MAX_DIAGRAM:
        faults.append(f"diagram: it must have {MAX_DIAGRAM:,} characters at the most, or be left out")
        return ""
    source = _encodable(said).strip()
    fenced = _FENCED.fullmatch(source)
    return _BREAK.sub(" ", fenced[1] if fenced else source).expandtabs(4).strip()


def _text(said: object, limit: int) -> str:
    """The text within its limit and without what is no character; empty for anything else."""
    if not isinstance(said, str):
        return ""
    text = _encodable(said[: limit + 1]).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def parameters(style: Style) -> dict[str, Any]:
    """The tool's JSON schema: a short summary has fewer areas and no diagram."""
    schema = deepcopy(_PARAMETERS)
    if style == "short":
        schema["properties"]["areas"]["maxItems"] = SHORT_AREAS
        del schema["properties"]["diagram"]
    return schema


_PARAMETERS: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["overview", "areas", "risk", "done"],
    "properties": {
        "overview": {
            "type": "string",
            "description": "What the change as a whole does and why it matters, in up to three sentences.",
        },
        "areas": {
            "type": "array",
            "maxItems": MAX_AREAS,
            "description": "The parts that it falls into, the most important first; empty where there is one.",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["area", "what"],
                "properties": {
                    "area": {"type": "string", "description": "Its name, in a few words."},
                    "what": {"type": "string", "description": "What changed in it, in one sentence."},
                    "why": {"type": "string", "description": "Why that matters, where it is not plain."},
                },
            },
        },
        "risk": {
            "type": "object",
            "additionalProperties": False,
            "required": ["level", "why"],
            "properties": {
                "level": {"type": "string", "enum": ["low", "medium", "high"]},
                "why": {
                    "type": "string",
                    "description": "What could go wrong, and for whom, in one sentence.",
                },
            },
        },
        "diagram": {
            "type": "string",
            "description": (
                "Only where it says more than words: the source of one small Mermaid diagram (flowchart, "
                "sequenceDiagram, stateDiagram-v2 or classDiagram), without a fence, links, styles or HTML."
            ),
        },
        "done": {"type": "boolean", "description": "True: nothing more is to be reported."},
    },
}
