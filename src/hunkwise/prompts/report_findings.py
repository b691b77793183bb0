"""The tool `report_findings`: its JSON schema, and the parser of its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from hunkwise.domain.finding import SEVERITY_LABELS, SeverityLabel
from hunkwise.domain.text import encodable

REPORT = "report_findings"
DESCRIPTION = (
    "Report what you found. The only way to be heard: text outside of it is not read. Each finding "
    "is checked against the diff at once, and you are told which were taken and why others were not."
)
MAX_FINDINGS = 100
"""Findings in one call; more can be reported in further calls, up to the limit of the run."""
_MAX_TITLE = 300
_MAX_BODY = 10_000
_MAX_SUMMARY = 5_000
_MAX_PATH = 4_096
_MAX_WORD = 100


class RawFinding(BaseModel):
    """One finding as the model reported it: its types are valid, its anchor is not checked yet."""

    # Unknown keys are never used: ignoring them loses no finding and is not a risk.
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    path: str = Field(min_length=1, max_length=_MAX_PATH)
    line: int = Field(ge=1, le=10_000_000)
    start_line: int | None = Field(default=None, ge=1, le=10_000_000)
    side: Literal["RIGHT", "LEFT"] = "RIGHT"
    severity: SeverityLabel
    category: str = Field(default="", max_length=100)
    title: str = Field(min_length=1)
    body: str = Field(min_length=1)
    suggestion: str | None = None
    confidence: float | None = Field(default=None, ge=0, le=1, strict=False)

    @field_validator("title")
    @classmethod
    def _short_title(cls, value: str) -> str:
        return value[:_MAX_TITLE]

    @field_validator("body", "suggestion")
    @classmethod
    def _short_text(cls, value: str | None) -> str | None:
        # Cut, not rejected: a finding with too much text is still a finding.
        return value if value is None else value[:_MAX_BODY]


@dataclass(frozen=True, slots=True)
class FindingsReport:
    """A call of the tool: the valid findings, and the faults of the others."""

    findings: tuple[RawFinding, ...]
    faults: tuple[str, ...]
    done: bool
    summary: str = ""
    kept: tuple[RawFinding, ...] = ()
    """Invalid findings with a readable title or body; their `line` is 1 and has no meaning."""
    unreadable: int = 0
    """Number of invalid findings without a readable title or body."""
    beyond: int = 0
    """Number of findings above the limit of a call, which were ignored."""


def read_report(arguments: object) -> FindingsReport:
    """Parses the arguments of a call, which may be anything: a fault rejects as little of the call as possible."""
    if not isinstance(arguments, dict):
        return FindingsReport((), ("the arguments: they must be an object",), done=False, unreadable=1)
    items, done, summary = arguments.get("findings"), arguments.get("done"), arguments.get("summary")
    faults: list[str] = []
    if not isinstance(done, bool):
        faults.append("done: it must be true or false")
    if not isinstance(items, list):
        faults.append("findings: it must be a list, empty where there are none")
        return FindingsReport(
            (), tuple(faults), done=False, summary=readable_text(summary, _MAX_SUMMARY), unreadable=1
        )
    if len(items) > MAX_FINDINGS:
        faults.append(
            f"findings: the first {MAX_FINDINGS} of {len(items)} were read; report the others in another call"
        )
    findings, kept, unreadable = [], [], 0
    for number, item in enumerate(items[:MAX_FINDINGS]):
        try:
            findings.append(RawFinding.model_validate(without_nulls(item)))
        except ValidationError as error:
            faults += sentences(error, f"findings[{number}]")
            partial = _read_partially(item)
            kept += [partial] if partial else []
            unreadable += partial is None
    return FindingsReport(
        tuple(findings),
        tuple(faults),
        done is True,
        readable_text(summary, _MAX_SUMMARY),
        tuple(kept),
        unreadable,
        beyond=max(0, len(items) - MAX_FINDINGS),
    )


def without_nulls(value: object) -> object:
    """Returns an object without its null values, which models write for fields that they leave out."""
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if item is not None}
    return value


def _read_partially(item: object) -> RawFinding | None:
    """Returns the readable parts of an invalid finding, so that it is not lost if the model does not fix it."""
    if not isinstance(item, dict):
        return None
    title, body = readable_text(item.get("title"), _MAX_TITLE), readable_text(item.get("body"), _MAX_BODY)
    if not title and not body:
        return None
    severity = readable_text(item.get("severity"), _MAX_WORD).lower()
    return RawFinding(
        path=readable_text(item.get("path"), _MAX_PATH) or "(no file was named)",
        line=1,
        severity=next((label for label in SEVERITY_LABELS if label == severity), "medium"),
        title=title or body.splitlines()[0][:80],
        body=body or title,
    )


def readable_text(value: object, limit: int) -> str:
    """Returns the text with lone surrogates replaced, cut at `limit` characters; empty if it is not a text."""
    return encodable(value[:limit]).strip() if isinstance(value, str) else ""


def sentences(error: ValidationError, where: str) -> list[str]:
    """Returns one line for each of the first ten faults: `where.field: message`."""
    faults = []
    for detail in error.errors(include_url=False, include_input=False, include_context=False)[:10]:
        place = ".".join([where, *(str(part) for part in detail["loc"])])
        faults.append(f"{place}: {detail['msg']}")
    return faults


def parameters(categories: Sequence[str] = ()) -> dict[str, Any]:
    """Returns the tool's JSON schema; `categories` are the values that the prompt allows, if any."""
    if not categories:
        return PARAMETERS
    schema = deepcopy(PARAMETERS)
    properties = schema["properties"]["findings"]["items"]["properties"]
    properties["category"] = {"type": "string", "enum": list(categories)}
    return schema


PARAMETERS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["findings", "done"],
    "properties": {
        "findings": {
            "type": "array",
            "maxItems": MAX_FINDINGS,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["path", "line", "severity", "title", "body"],
                "properties": {
                    "path": {"type": "string", "description": "The file, as the diff names it."},
                    "line": {
                        "type": "integer",
                        "minimum": 1,
                        "description": "The line (the last, of several), by the number that the diff shows.",
                    },
                    "start_line": {
                        "type": "integer",
                        "minimum": 1,
                        "description": "The first line, where the finding is about several in one hunk.",
                    },
                    "side": {
                        "type": "string",
                        "enum": ["RIGHT", "LEFT"],
                        "description": "RIGHT (the default): the new file. LEFT: a removed line, by its old number.",
                    },
                    "severity": {"type": "string", "enum": list(SEVERITY_LABELS)},
                    "category": {
                        "type": "string",
                        "description": "One word: correctness, security, concurrency, performance, api, tests, ...",
                    },
                    "title": {"type": "string", "description": "What is wrong, in one line."},
                    "body": {
                        "type": "string",
                        "description": "When it goes wrong, what then happens, and the evidence. Markdown.",
                    },
                    "suggestion": {
                        "type": "string",
                        "description": "The exact new text of the lines start_line..line, where it is short and sure.",
                    },
                    "confidence": {"type": "number", "minimum": 0, "maximum": 1},
                },
            },
        },
        "summary": {"type": "string", "description": "The change in these files, in one or two sentences."},
        "done": {"type": "boolean", "description": "True when nothing more is to be reported."},
    },
}
"""The tool's JSON schema for the model; `RawFinding` validates."""
