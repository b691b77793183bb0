"""The shape of a case's `golden.json`, as a strict model; `schemas/golden.schema.json` is what it gives."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Severity
from hunkwise.settings.rules import SEVERITIES

MAX_GOLDENS: Final = 100
MAX_WINDOW: Final = 100
MAX_SPAN: Final = 1_000
"""Lines of one golden finding."""
DEFAULT_WINDOW: Final = 3
"""Lines that a finding may stand off and still be the golden one."""

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
    severity: Literal["low", "medium", "high", "critical"] | None = Field(
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
        return None if self.severity is None else Severity.parse(self.severity)


class PullRequestText(_Shape):
    """What the author says of the change."""

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
        description=f"Lines that a finding may stand off ({DEFAULT_WINDOW}).",
    )
    findings: Annotated[tuple[GoldenFinding, ...], Field(strict=False, max_length=MAX_GOLDENS)] = Field(
        description="What should be found; an empty list for a clean change."
    )

    @property
    def reach(self) -> int:
        """Lines that a finding may stand off."""
        return DEFAULT_WINDOW if self.window is None else self.window


assert Literal["low", "medium", "high", "critical"].__args__ == SEVERITIES  # type: ignore[attr-defined]  # of typing


def json_schema() -> dict[str, Any]:
    """The JSON Schema of `golden.json`, for editors (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Golden.model_json_schema(),
        "title": "hunkwise golden",
        "description": "What a review of a case of `hunkwise eval` should find: golden.json",
    }
