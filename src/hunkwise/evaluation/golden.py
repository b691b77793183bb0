"""Reads golden.json, which has the expected findings of a case."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import SEVERITY_LABELS, Severity, SeverityLabel
from hunkwise.evaluation.case_format import COMMON_WANTS, CaseFormat, CaseShape, PullRequestText
from hunkwise.settings.parsing import listed

MAX_GOLDENS: Final = 100
MAX_WINDOW: Final = 100
MAX_SPAN: Final = 1_000
"""Maximum number of lines of one place."""
DEFAULT_WINDOW: Final = 3
"""Number of lines that a finding may be away from a golden one and still match."""

_Line = Annotated[int, Field(ge=1, le=10_000_000)]


class CodePlace(CaseShape):
    """Lines of a changed file."""

    path: str = Field(
        min_length=1, max_length=4_096, description="The changed file, by its name at the head."
    )
    line: _Line = Field(description="The line that it is about, or the first of several.")
    end_line: _Line | None = Field(default=None, description="The last of several lines.")
    side: Literal["RIGHT", "LEFT"] = Field(
        default="RIGHT",
        description="RIGHT: numbered as at the head; LEFT: as at the base, for removed lines.",
    )

    @property
    def lines(self) -> range:
        return range(self.line, (self.end_line or self.line) + 1)

    @property
    def side_of_diff(self) -> Side:
        return Side(self.side)


class AcceptedFinding(CodePlace):
    """Something that is also true of the case, and that a review need not find."""

    text: str = Field(
        min_length=1,
        max_length=4_000,
        description="What is wrong there, in the words that a judge compares with.",
    )

    @property
    def level(self) -> Severity | None:
        return None


class GoldenFinding(AcceptedFinding):
    """Something that a review of the case should find."""

    severity: SeverityLabel | None = Field(
        default=None, description="How bad it is; agreement with it is reported, and is no condition."
    )

    @property
    def level(self) -> Severity | None:
        return None if self.severity is None else Severity.from_label(self.severity)


class Golden(CaseShape):
    """What a case is about, and what a review of it should find."""

    version: Literal[1] = Field(description="The version of this file's format.")
    description: str = Field(default="", max_length=2_000, description="What the case is for.")
    pull_request: PullRequestText | None = Field(
        default=None, description="Its words; without it the change is reviewed as a range of commits."
    )
    window: int | None = Field(
        default=None,
        ge=0,
        le=MAX_WINDOW,
        description=f"Lines between a finding and a golden one that it matches, at most ({DEFAULT_WINDOW}).",
    )
    findings: Annotated[tuple[GoldenFinding, ...], Field(strict=False, max_length=MAX_GOLDENS)] = Field(
        description="What should be found; an empty list for a clean change."
    )
    accept: Annotated[tuple[AcceptedFinding, ...], Field(strict=False, max_length=MAX_GOLDENS)] = Field(
        default=(),
        description="What is also true of the change: it need not be found, and is no noise in the adjusted figures.",
    )

    @property
    def reach(self) -> int:
        """The window, or its default."""
        return DEFAULT_WINDOW if self.window is None else self.window


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of `golden.json`, for editors (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Golden.model_json_schema(),
        "title": "hunkwise golden",
        "description": "What a review of a case of `hunkwise eval` should find: golden.json",
    }


_LINE: Final = "a line number, 1 or more"
PLACE_WANTS: Final = {
    "path": "the path of a changed file, relative to the tree's root",
    "line": _LINE,
    "end_line": _LINE,
    "side": "RIGHT (numbered as at the head) or LEFT (as at the base)",
}
"""What the keys of a CodePlace must be; see CaseFormat."""
SIDES: Final = ("RIGHT", "LEFT")
_FORMAT: Final = CaseFormat(
    Golden,
    wants={
        **COMMON_WANTS,
        **PLACE_WANTS,
        "window": f"a whole number from 0 to {MAX_WINDOW}",
        "findings": f"a list of up to {MAX_GOLDENS} objects, empty for a clean case",
        "findings[]": "an object with path, line and text",
        "accept": f"a list of up to {MAX_GOLDENS} objects, as in findings and without severity",
        "accept[]": "an object with path, line and text",
        "severity": listed(SEVERITY_LABELS),
        "text": "a text of 1 to 4,000 characters that says what is wrong there",
    },
    keys={
        "findings": tuple(GoldenFinding.model_fields),
        "accept": tuple(AcceptedFinding.model_fields),
    },
    choices={"severity": SEVERITY_LABELS, "side": SIDES},
    example='{"version": 1, "findings": []}',
)


def parse_golden(raw: bytes, path: str) -> tuple[Golden | None, list[str]]:
    """Returns the golden, or None and its faults as `path: findings[2]: …`. Never raises."""
    golden, faults = _FORMAT.parse(raw, path)
    for key, place in (places_of(golden) if golden else {}).items():
        if fault := span_fault(place):
            faults.append(f"{path}: {key}: {fault}")
    return (None if faults else golden), faults


def places_of(golden: Golden) -> dict[str, CodePlace]:
    """Returns the places of the expected and the accepted findings, by their keys in the file."""
    lists = {"findings": golden.findings, "accept": golden.accept}
    return {f"{key}[{index}]": place for key, places in lists.items() for index, place in enumerate(places)}


def span_fault(place: CodePlace) -> str:
    """Returns the fault of the range of lines; empty if it is valid."""
    if place.end_line is not None and place.end_line < place.line:
        return f'"end_line" {place.end_line} comes before "line" {place.line}; swap them'
    if len(place.lines) > MAX_SPAN:
        return (
            f"lines {place.line}–{place.end_line} are more than {MAX_SPAN:,}; name the few that it is about"
        )
    return ""
