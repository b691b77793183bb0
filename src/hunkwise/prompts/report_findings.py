"""The tool `report_findings`: its JSON schema, and the parser of its arguments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from hunkwise.prompts.report_call import (
    Rejected,
    Reported,
    ReportedCall,
    ReportedSeverity,
    has_suggestion,
    invalid_fields,
    normalized,
    read_call,
    readable_text,
    text_within,
    tool_schema,
)

REPORT = "report_findings"
DESCRIPTION = (
    "Report what you found. Text outside of this tool is not read. Each finding is checked against the diff at once; "
    "the answer says which were accepted, and why others were not."
)
MAX_FINDINGS = 100
"""Findings in one call; more can be reported in further calls, up to the limit of the run."""
_MAX_TITLE = 300
_MAX_BODY = 10_000
_MAX_SUMMARY = 5_000
_MAX_PATH = 4_096
_TOO_LARGE = 10_000_001
"""An invalid line number, with `lt`: `le` would be in the tool's schema."""
_SIDES = {
    **dict.fromkeys(("r", "new", "after", "added", "add", "addition", "head", "+"), "RIGHT"),
    **dict.fromkeys(("l", "old", "before", "removed", "deleted", "deletion", "base", "-"), "LEFT"),
}
_ROW = re.compile(r"(RIGHT|LEFT|R|L)\s*([0-9]{1,9})", re.IGNORECASE)
_RANGE = re.compile(r"([0-9]{1,9})\s*[-\u2013]\s*([0-9]{1,9})")


def _read_side(value: object) -> object:
    return _SIDES.get(value.strip().casefold(), value) if isinstance(value, str) else value


def _read_confidence(value: object) -> object:
    """Returns percent as a fraction. Between 1 and 10 it could be on another scale: it is then invalid."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value / 100 if 10 < value <= 100 else value


class RawFinding(Reported):
    """One finding as the model reported it: its types are valid, its anchor is not checked yet."""

    depends_on: ClassVar = {"suggestion": "start_line", "delete_lines": "start_line"}
    path: str = Field(min_length=1, max_length=_MAX_PATH, description="The file, as the diff names it.")
    line: int = Field(
        ge=1,
        lt=_TOO_LARGE,
        description="The line (the last, of several), by the number that the diff shows.",
    )
    start_line: int | None = Field(
        default=None,
        ge=1,
        lt=_TOO_LARGE,
        description="The first line, where the finding is about several in one hunk.",
    )
    side: Annotated[Literal["RIGHT", "LEFT"] | None, BeforeValidator(_read_side)] = Field(
        default=None,
        description="RIGHT (the default): the new file. LEFT: a removed line, by its old number.",
    )
    severity: ReportedSeverity
    category: str = Field(
        default="",
        max_length=100,
        description="One word: correctness, security, concurrency, performance, api, tests, ...",
    )
    title: str = Field(min_length=1, description="What is wrong, in one line.")
    body: str = Field(
        min_length=1, description="When it goes wrong, what then happens, and the evidence. Markdown."
    )
    suggestion: str | None = Field(
        default=None,
        description="The exact new text of the lines start_line..line, where it is short and sure.",
    )
    delete_lines: bool = Field(
        default=False, description="True to suggest that these lines are removed; without `suggestion`."
    )
    confidence: Annotated[float | None, BeforeValidator(_read_confidence)] = Field(
        default=None, ge=0, le=1, strict=False
    )

    @model_validator(mode="before")
    @classmethod
    def _read_rows(cls, value: object) -> object:
        """Reads a row's label (`R12`) and a range (`12-14`) where a number is wanted."""
        if not isinstance(value, dict):
            return value
        return _with_range(_with_row(_with_row(value, "start_line"), "line"))

    @property
    def replacement(self) -> str | None:
        """The suggestion, or an empty text to remove the lines; None if nothing is suggested."""
        if has_suggestion(self.suggestion):
            return self.suggestion
        return "" if self.delete_lines else None

    @field_validator("title")
    @classmethod
    def _short_title(cls, value: str) -> str:
        return value[:_MAX_TITLE]

    @field_validator("body", "suggestion")
    @classmethod
    def _short_text(cls, value: str | None) -> str | None:
        # Cut, not rejected: a finding with too much text is still a finding.
        return value if value is None else value[:_MAX_BODY]


def _with_row(finding: dict[str, Any], name: str) -> dict[str, Any]:
    """Reads a line that was named by its row's label, `R12` or `L12`. Others write `L12` for line 12, so it is read
    only together with the side LEFT."""
    row = _ROW.fullmatch(finding[name].strip()) if isinstance(finding.get(name), str) else None
    if row is None:
        return finding
    side = "RIGHT" if row[1][0] in "Rr" else "LEFT"
    reported = finding.get("side") or ("RIGHT" if side == "RIGHT" else None)
    return {**finding, name: int(row[2]), "side": side} if _read_side(reported) == side else finding


def _with_range(finding: dict[str, Any]) -> dict[str, Any]:
    line, start = finding.get("line"), finding.get("start_line")
    span = _RANGE.fullmatch(line.strip()) if isinstance(line, str) else None
    if span is None or start not in (None, int(span[1])):
        return finding
    return {**finding, "start_line": int(span[1]), "line": int(span[2])}


class _FindingsCall(ReportedCall):
    model_config = ConfigDict(json_schema_extra={"required": ["findings", "done"]})

    findings: list[RawFinding] = Field(default=[], max_length=MAX_FINDINGS)
    summary: Annotated[str, text_within(_MAX_SUMMARY)] = Field(
        default="", description="The change in these files, in one or two sentences."
    )
    done: bool = Field(default=False, description="True when nothing more is to be reported.")


@dataclass(frozen=True, slots=True)
class FindingsReport:
    """A call of the tool: the valid findings, and the faults of the others."""

    findings: tuple[RawFinding, ...]
    faults: tuple[str, ...]
    done: bool
    summary: str = ""
    kept: tuple[tuple[RawFinding, str], ...] = ()
    """Findings with an invalid field and a readable title or body, and what is wrong with each. The `line` is 0 if it
    could not be read."""
    unreadable: int = 0
    """Number of invalid findings without a readable title or body."""
    beyond: int = 0
    """Number of findings above the limit of a call, which were ignored."""


def read_report(arguments: object) -> FindingsReport:
    """Parses the arguments of a call, which may be anything: a fault rejects as little of the call as possible."""
    arguments = normalized(_FindingsCall, arguments)
    items = arguments.get("findings") if isinstance(arguments, dict) else None
    faults = []
    if isinstance(arguments, dict) and isinstance(items, list) and len(items) > MAX_FINDINGS:
        arguments = {**arguments, "findings": items[:MAX_FINDINGS]}
        faults.append(
            f"findings: the first {MAX_FINDINGS} of {len(items)} were read; report the others in another call"
        )
    reading = read_call(_FindingsCall, arguments)
    kept: list[tuple[RawFinding, str]] = []
    unreadable = 0
    for rejected in reading.rejected:
        finding = _read_partially(rejected) if rejected.field == "findings" else None
        if finding is not None:
            kept.append((finding, "; ".join(rejected.faults)))
        else:
            faults += rejected.faults
            unreadable += rejected.field == "findings"
    return FindingsReport(
        tuple(reading.call.findings),
        tuple(faults),
        reading.call.done and isinstance(items, list),
        reading.call.summary,
        tuple(kept),
        unreadable,
        beyond=max(0, len(items) - MAX_FINDINGS) if isinstance(items, list) else 0,
    )


def _read_partially(rejected: Rejected) -> RawFinding | None:
    """Returns the readable parts of an invalid finding, so that it is not lost if the model does not fix it."""
    item = rejected.value
    if not isinstance(item, dict):
        return None
    title, body = readable_text(item.get("title"), _MAX_TITLE), readable_text(item.get("body"), _MAX_BODY)
    if not title and not body:
        return None
    substitutes = {
        "path": readable_text(item.get("path"), _MAX_PATH) or "(no file was named)",
        "line": 1,
        "severity": "medium",
        "title": title or body.splitlines()[0][:80],
        "body": body or title,
    }
    try:
        RawFinding.model_validate(item)
    except ValidationError as error:
        invalid = invalid_fields(error)
        finding = RawFinding.model_validate(
            item | {name: substitutes[name] for name in invalid & substitutes.keys()}
        )
        return finding.model_copy(update={"line": 0, "start_line": None}) if "line" in invalid else finding
    return None


def parameters(categories: Sequence[str] = ()) -> dict[str, Any]:
    """Returns the tool's JSON schema; `categories` are the values that the prompt allows, if any."""
    schema = tool_schema(_FindingsCall)
    if categories:
        properties = schema["properties"]["findings"]["items"]["properties"]
        properties["category"] = {"type": "string", "enum": list(categories)}
    return schema
