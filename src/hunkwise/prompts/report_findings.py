"""The tool `report_findings`: its JSON schema, and the parser of its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from hunkwise.domain.finding import SEVERITY_LABELS, SeverityLabel
from hunkwise.prompts.report_call import (
    Reported,
    ReportedCall,
    read_call,
    readable_text,
    text_within,
    tool_schema,
)

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
_NO_SUGGESTION = frozenset({"", "null", "none", "nil", "undefined", "n/a", "na", "not applicable"})
_TOO_LARGE = 10_000_001
"""An invalid line number, with `lt`: `le` would be in the tool's schema."""


class RawFinding(Reported):
    """One finding as the model reported it: its types are valid, its anchor is not checked yet."""

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
    side: Literal["RIGHT", "LEFT"] = Field(
        default="RIGHT",
        description="RIGHT (the default): the new file. LEFT: a removed line, by its old number.",
    )
    severity: SeverityLabel
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
    confidence: float | None = Field(default=None, ge=0, le=1, strict=False)

    @property
    def replacement(self) -> str | None:
        """The suggestion, or an empty text to remove the lines; None if nothing is suggested."""
        if (self.suggestion or "").strip(" \t\r\n.`'\"").lower() not in _NO_SUGGESTION:
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
    kept: tuple[RawFinding, ...] = ()
    """Invalid findings with a readable title or body; their `line` is 1 and has no meaning."""
    unreadable: int = 0
    """Number of invalid findings without a readable title or body."""
    beyond: int = 0
    """Number of findings above the limit of a call, which were ignored."""


def read_report(arguments: object) -> FindingsReport:
    """Parses the arguments of a call, which may be anything: a fault rejects as little of the call as possible."""
    items = arguments.get("findings") if isinstance(arguments, dict) else None
    faults = []
    if isinstance(arguments, dict) and isinstance(items, list) and len(items) > MAX_FINDINGS:
        arguments = {**arguments, "findings": items[:MAX_FINDINGS]}
        faults.append(
            f"findings: the first {MAX_FINDINGS} of {len(items)} were read; report the others in another call"
        )
    reading = read_call(_FindingsCall, arguments)
    partial = [_read_partially(value) for name, value in reading.rejected if name == "findings"]
    return FindingsReport(
        tuple(reading.call.findings),
        (*faults, *reading.faults),
        reading.call.done and isinstance(items, list),
        reading.call.summary,
        tuple(finding for finding in partial if finding is not None),
        partial.count(None),
        beyond=max(0, len(items) - MAX_FINDINGS) if isinstance(items, list) else 0,
    )


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


def parameters(categories: Sequence[str] = ()) -> dict[str, Any]:
    """Returns the tool's JSON schema; `categories` are the values that the prompt allows, if any."""
    schema = tool_schema(_FindingsCall)
    if categories:
        properties = schema["properties"]["findings"]["items"]["properties"]
        properties["category"] = {"type": "string", "enum": list(categories)}
    return schema
