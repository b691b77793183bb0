"""Reads golden.json, which has the expected findings of a case."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import SEVERITY_LABELS, Severity, SeverityLabel
from hunkwise.settings.parsing import did_you_mean, listed, quoted

MAX_BYTES: Final = 512 * 1024
MAX_GOLDENS: Final = 100
MAX_WINDOW: Final = 100
MAX_SPAN: Final = 1_000
"""Maximum number of lines of one golden finding."""
DEFAULT_WINDOW: Final = 3
"""Number of lines that a finding may be away from a golden one and still match."""

_Line = Annotated[int, Field(ge=1, le=10_000_000)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class GoldenFinding(_Shape):
    """Something that a review of the case should find."""

    path: str = Field(
        min_length=1, max_length=4_096, description="The changed file, by its name at the head."
    )
    line: _Line = Field(description="The line that it is about, or the first of several.")
    end_line: _Line | None = Field(default=None, description="The last of several lines.")
    side: Literal["RIGHT", "LEFT"] = Field(
        default="RIGHT",
        description="RIGHT: numbered as at the head; LEFT: as at the base, for removed lines.",
    )
    severity: SeverityLabel | None = Field(
        default=None, description="How bad it is; agreement with it is reported, and is no condition."
    )
    text: str = Field(
        min_length=1,
        max_length=4_000,
        description="What is wrong there, in the words that a judge compares with.",
    )

    @property
    def lines(self) -> range:
        return range(self.line, (self.end_line or self.line) + 1)

    @property
    def side_of_diff(self) -> Side:
        return Side(self.side)

    @property
    def level(self) -> Severity | None:
        return None if self.severity is None else Severity.from_label(self.severity)


class PullRequestText(_Shape):
    """The author's title and description of the change."""

    title: str = Field(default="", max_length=1_000, description="The title.")
    body: str = Field(default="", max_length=65_536, description="The description.")


class Golden(_Shape):
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


_LINE = "a line number, 1 or more"
_WANTS: Final = {
    "version": "1, the only version that this hunkwise reads",
    "description": "a text of up to 2,000 characters",
    "pull_request": 'an object with "title" and "body"',
    "title": "a text of up to 1,000 characters",
    "body": "a text of up to 65,536 characters",
    "window": f"a whole number from 0 to {MAX_WINDOW}",
    "findings": f"a list of up to {MAX_GOLDENS} objects, empty for a clean case",
    "path": "the path of a changed file, relative to the tree's root",
    "line": _LINE,
    "end_line": _LINE,
    "side": "RIGHT (numbered as at the head) or LEFT (as at the base)",
    "severity": listed(SEVERITY_LABELS),
    "text": "a text of 1 to 4,000 characters that says what is wrong there",
}
_KEYS: Final = {
    "": tuple(Golden.model_fields),
    "pull_request": tuple(PullRequestText.model_fields),
    "findings": tuple(GoldenFinding.model_fields),
}
_CHOICES: Final = {"severity": SEVERITY_LABELS, "side": ("RIGHT", "LEFT")}


def parse_golden(raw: bytes, path: str) -> tuple[Golden | None, list[str]]:
    """Returns the golden, or None and its faults as `path: findings[2]: …`. Never raises."""
    if len(raw) > MAX_BYTES:
        return None, [f"{path}: the file has more than {MAX_BYTES:,} bytes; shorten it"]
    try:
        value = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_object)
    except UnicodeDecodeError:
        return None, [f"{path}: the file is not UTF-8; save it as UTF-8"]
    except json.JSONDecodeError as error:
        return None, [f"{path}:{error.lineno}: not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}"]
    except RecursionError:
        return None, [f"{path}: too many levels of nesting; flatten the file"]
    except ValueError as error:  # a duplicate key, or a number of thousands of digits
        return None, [f"{path}: {str(error)[:300]}"]
    if not isinstance(value, dict):
        return None, [f'{path}: the file must be an object, such as {{"version": 1, "findings": []}}']
    try:
        golden = Golden.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False)
        return None, [f"{path}: {_sentence(one['type'], one['loc'], one['input'])}" for one in details]
    faults = [
        f"{path}: findings[{index}]: {fault}"
        for index, finding in enumerate(golden.findings)
        if (fault := _span_fault(finding))
    ]
    return (None if faults else golden), faults


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    counts = Counter(key for key, _ in pairs)
    for key, count in counts.items():
        if count > 1:
            raise ValueError(f"{quoted(key)} appears {count} times in one object; keep one of them")
    return dict(pairs)


def _sentence(kind: str, loc: tuple[int | str, ...], value: object) -> str:
    place = f"findings[{loc[1]}]: " if loc[0] == "findings" and len(loc) > 1 else ""
    key = next((str(part) for part in reversed(loc) if isinstance(part, str)), "")
    if kind == "extra_forbidden":
        keys = _KEYS[next((part for part in loc[:-1] if isinstance(part, str)), "")]
        near = did_you_mean(key.replace("-", "_"), keys) or f"; there is {listed(keys)}"
        return f"{place}unknown key {quoted(key)}{near}"
    if kind == "missing":
        return f"{place}{quoted(key)} is missing; give {_WANTS[key]}"
    if isinstance(loc[-1], int):
        return f"{place}it must be an object with path, line and text, not {quoted(value)}"
    near = did_you_mean(value, _CHOICES[key]) if isinstance(value, str) and key in _CHOICES else ""
    many = f"; there are {len(value)}" if kind == "too_long" and isinstance(value, list | tuple) else ""
    return f"{place}{quoted(key)} must be {_WANTS[key]}, not {quoted(value)}{near or many}"


def _span_fault(finding: GoldenFinding) -> str:
    """Returns the fault of the range of lines; empty if it is valid."""
    if finding.end_line is not None and finding.end_line < finding.line:
        return f'"end_line" {finding.end_line} comes before "line" {finding.line}; swap them'
    if len(finding.lines) > MAX_SPAN:
        return (
            f"lines {finding.line}–{finding.end_line} are more than {MAX_SPAN:,}; "
            "name the few that it is about"
        )
    return ""
