"""The tool `report_summary`: its JSON schema, and the parser of its arguments."""

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
from hunkwise.domain.text import encodable

REPORT: Final = "report_summary"
DESCRIPTION: Final = (
    "Report the summary of the change. The only way to be heard: text outside of it is not read. It is checked at "
    "once, and you are told what is to be mended."
)
SHORT_AREAS: Final = 4
"""Maximum number of areas in a short summary."""
Style = Literal["short", "full"]
_MAX_FAULTS: Final = 10
# Models often write both: they are removed instead of rejecting the diagram.
_FENCED: Final = re.compile(r"```(?:mermaid)?[ \t]*\n(.*)\n```", re.DOTALL)
_BREAK: Final = re.compile(r"<br ?/?>")


@dataclass(frozen=True, slots=True)
class SummaryReport:
    """A call of the tool: its valid parts, and the faults of the others."""

    overview: str = ""
    walkthrough: Walkthrough = field(default_factory=Walkthrough)
    faults: tuple[str, ...] = ()
    done: bool = False


def read_telling(arguments: object, style: Style) -> SummaryReport:
    """Parses the arguments of a call, which may be anything. Text that is too long is cut, without a fault."""
    if not isinstance(arguments, dict):
        return SummaryReport(faults=("the arguments: they must be an object",))
    faults: list[str] = []
    overview = _read_text(arguments.get("overview"), MAX_OVERVIEW)
    if not overview:
        faults.append("overview: it must be a text that says what changed and why it matters")
    areas = _read_areas(arguments.get("areas"), MAX_AREAS if style == "full" else SHORT_AREAS, faults)
    risk = _read_risk(arguments.get("risk"), faults)
    diagram = _read_diagram(arguments.get("diagram"), faults) if style == "full" else ""
    done = arguments.get("done")
    if not isinstance(done, bool):
        faults.append("done: it must be true or false")
    return SummaryReport(
        overview, Walkthrough(areas, risk, diagram), tuple(faults[:_MAX_FAULTS]), done is True
    )


def _read_areas(value: object, limit: int, faults: list[str]) -> tuple[Area, ...]:
    """Returns the areas with a name and a text; none for null, which models write for fields that they leave out."""
    if value is None:
        return ()
    if not isinstance(value, list):
        faults.append("areas: it must be a list, empty where there is only one")
        return ()
    areas = []
    for number, item in enumerate(value[:limit]):
        if not isinstance(item, dict):
            faults.append(f"areas[{number}]: it must be an object with `area` and `what`")
            continue
        area, what = _read_text(item.get("area"), MAX_AREA), _read_text(item.get("what"), MAX_WORDS)
        faults += [
            f"areas[{number}].{name}: it must be a text that is not empty"
            for name, text in (("area", area), ("what", what))
            if not text
        ]
        if item.get("why") is not None and not isinstance(item["why"], str):
            faults.append(f"areas[{number}].why: it must be a text")
        if area and what:
            areas.append(Area(area, what, _read_text(item.get("why"), MAX_WORDS)))
    return tuple(areas)


def _read_risk(value: object, faults: list[str]) -> Risk | None:
    if not isinstance(value, dict):
        faults.append("risk: it must be an object with `level` and `why`")
        return None
    why, level = _read_text(value.get("why"), MAX_WORDS), value.get("level")
    if not why:
        faults.append("risk.why: it must say in a sentence what could go wrong, or why nothing much can")
    if not isinstance(level, str) or level.strip().lower() not in set(RiskLevel):
        faults.append("risk.level: it must be low, medium or high")
        return None
    return Risk(RiskLevel(level.strip().lower()), why)


def _read_diagram(value: object, faults: list[str]) -> str:
    """Returns the source; empty if it is too long, because a cut diagram would be invalid."""
    if value is None:
        return ""
    if not isinstance(value, str):
        faults.append("diagram: it must be the source of a Mermaid diagram, or be left out")
        return ""
    if len(value) > MAX_DIAGRAM:
        faults.append(f"diagram: it must have {MAX_DIAGRAM:,} characters at the most, or be left out")
        return ""
    source = encodable(value).strip()
    fenced = _FENCED.fullmatch(source)
    return _BREAK.sub(" ", fenced[1] if fenced else source).expandtabs(4).strip()


def _read_text(value: object, limit: int) -> str:
    """Returns the text within its limit, with lone surrogates replaced; empty if it is not a text."""
    if not isinstance(value, str):
        return ""
    text = encodable(value[: limit + 1]).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def parameters(style: Style) -> dict[str, Any]:
    """Returns the tool's JSON schema: a short summary has fewer areas and no diagram."""
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
