"""What a call of `report_findings` may carry, checked strictly and told back in words that a model can mend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

MAX_FINDINGS = 100
"""Findings a call; a hundred thousand would be taken in calls of a hundred, up to the run's own cap."""
_MAX_TITLE = 300
_MAX_BODY = 10_000
_MAX_SUMMARY = 5_000


class SaidFinding(BaseModel):
    """One finding as the model said it: its shape is right, its anchor is not proved yet."""

    # Unknown keys say nothing that is used: ignoring them loses no finding and gives no power.
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    path: str = Field(min_length=1, max_length=4_096)
    line: int = Field(ge=1, le=10_000_000)
    start_line: int | None = Field(default=None, ge=1, le=10_000_000)
    side: Literal["RIGHT", "LEFT"] = "RIGHT"
    severity: Literal["low", "medium", "high", "critical"]
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
        # Cut, not refused: a finding that says too much is still a finding.
        return value if value is None else value[:_MAX_BODY]


class _Call(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    findings: list[Any] = Field(max_length=MAX_FINDINGS)
    summary: str | None = None
    done: bool


@dataclass(frozen=True, slots=True)
class Report:
    """A call of the tool: what could be read of it, and the faults of the rest."""

    findings: tuple[SaidFinding, ...]
    faults: tuple[str, ...]
    done: bool
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a report is answered with. `accepted` ends the model's turn; else it may mend its call."""

    text: str
    accepted: bool


def read_report(arguments: object) -> Report:
    """Reads a call's arguments. A bad finding costs that finding, a bad call is a report of faults alone."""
    try:
        call = _Call.model_validate(arguments)
    except ValidationError as error:
        return Report((), tuple(_sentences(error, "")), done=False)
    findings, faults = [], []
    for number, said in enumerate(call.findings):
        try:
            findings.append(SaidFinding.model_validate(_without_nulls(said)))
        except ValidationError as error:
            faults += _sentences(error, f"findings[{number}]")
    return Report(tuple(findings), tuple(faults), call.done, (call.summary or "")[:_MAX_SUMMARY])


def _without_nulls(said: object) -> object:
    """Models write null for what they leave out."""
    if isinstance(said, dict):
        return {key: value for key, value in said.items() if value is not None}
    return said


def _sentences(error: ValidationError, where: str) -> list[str]:
    faults = []
    for detail in error.errors(include_url=False, include_input=False)[:10]:
        place = ".".join([where, *(str(part) for part in detail["loc"])]).strip(".")
        faults.append(f"{place or 'the arguments'}: {detail['msg']}")
    return faults


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
                    "severity": {"type": "string", "enum": ["low", "medium", "high", "critical"]},
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
"""The tool's JSON schema; `SaidFinding` is what holds."""
