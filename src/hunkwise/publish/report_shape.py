"""The shape of a JSON report of version 1, as a strict model: every text, list and number has its bound."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field
from pydantic_core import PydanticCustomError

from hunkwise.domain.outcome import SkipReason

MAX_FINDINGS: Final = 1_000
_MAX_EVIDENCE: Final = 4_000
"""Characters; a model may write half as many."""
_Sha = Annotated[str, Field(pattern="^([0-9a-f]{40}|[0-9a-f]{64})$")]
_Level = Literal["low", "medium", "high", "critical"]
_Path = Annotated[str, Field(max_length=4_096)]
_Address = Annotated[str, Field(max_length=2_000)]
_Name = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")]
_Word = Annotated[str, Field(max_length=300)]
_Words = Annotated[str, Field(max_length=2_000)]
_Text = Annotated[str, Field(max_length=100_000)]
_Line = Annotated[int, Field(ge=1, le=10_000_000)]
_Count = Annotated[int, Field(ge=0, le=10**12)]


def _up_to(most: int) -> BeforeValidator:
    """A list of at most so many, looked at before its members are: pydantic would look at millions of them first."""

    def counted(found: object) -> object:
        if not isinstance(found, list):
            return found
        if len(found) > most:
            raise PydanticCustomError("too_long", "At most {most} are read", {"most": most})
        return tuple(found)

    return BeforeValidator(counted)


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _Said(_Shape):
    """What was found, as the report says it: nothing of its place is proved yet."""

    fingerprint: str = Field(pattern="^[0-9a-f]{16}$")
    path: _Path
    line: _Line | None
    start_line: _Line | None
    side: Literal["RIGHT", "LEFT"] | None
    said_line: _Line | None
    severity: _Level
    category: str = Field(max_length=100)
    confidence: float | None = Field(ge=0, le=1)
    prompt: _Name
    title: str = Field(max_length=300)
    # Longer than a model may write: what several said of one place is joined in one body.
    body: str = Field(max_length=20_000)
    suggestion: str | None = Field(max_length=10_000)


class SaidFinding(_Said):
    """A finding that stands."""

    where: _Word
    known: bool = False
    thread_url: _Address | None = None
    check: Literal["confirmed", "lowered", "unverified"] | None = None
    evidence: str = Field(default="", max_length=_MAX_EVIDENCE)


class SaidRefuted(_Said):
    """A finding that a second opinion dropped."""

    reason: str = Field(max_length=_MAX_EVIDENCE)


class SaidFile(_Shape):
    """The coverage of one file, as the report says it."""

    path: _Path
    changed_lines: _Count
    reviewed_lines: _Count
    reason: Annotated[SkipReason | None, Field(strict=False)]
    missing: bool
    detail: _Text


class SaidCoverage(_Shape):
    """The coverage of the change, as the report says it; its sums are made again from `files`."""

    percent: int
    changed_lines: _Count
    reviewed_lines: _Count
    carried_lines: _Count = 0
    complete: bool
    unlisted_files: _Count
    files: Annotated[tuple[SaidFile, ...], FailFast(), _up_to(100_000)]


class SaidUsage(_Shape):
    """What the run that made the report asked of models."""

    model_calls: _Count
    input_tokens: _Count
    output_tokens: _Count
    cached_tokens: _Count
    tool_calls: _Count
    models: Annotated[tuple[_Word, ...], _up_to(100)]
    nano_credits: _Count = 0


class SaidSpending(SaidUsage):
    """What one prompt has asked of models."""

    prompt: _Name


class SaidWholeUsage(SaidUsage):
    """What all of them have; the parts are shown as they were said."""

    by_prompt: Annotated[tuple[SaidSpending, ...], _up_to(100)] = ()


class SaidFault(_Shape):
    """What went wrong on the way, in the words of the run that made the report."""

    kind: _Word
    message: _Text
    hint: _Text


class SaidTool(_Shape):
    """Who made the report."""

    name: Literal["hunkwise"]
    demo: bool


class SaidThread(_Shape):
    """An earlier finding that the run took for fixed or dismissed: read, and not believed."""

    fingerprint: _Word
    path: _Path
    thread_url: _Address | None = None


class SaidArea(_Shape):
    """A part of the change, as the report tells of it."""

    area: _Word
    what: _Words
    why: _Words


class SaidRisk(_Shape):
    """How much could go wrong, as the report says it: shown, and nothing else."""

    level: Literal["low", "medium", "high"]
    why: _Words


class SaidWalkthrough(_Shape):
    """What stands beside the summary. The diagram is looked at again before it is shown."""

    areas: Annotated[tuple[SaidArea, ...], _up_to(20)]
    risk: SaidRisk | None
    diagram: str = Field(max_length=10_000)


class ReportedReview(_Shape):
    """A whole report. Whoever opened the pull request may have written every word of it."""

    version: Literal[1]
    tool: SaidTool
    run: str = Field(default="", pattern="^[A-Za-z0-9._-]{0,100}$")
    repository: _Word
    pull_request: Annotated[int, Field(ge=1, le=999_999_999)] | None
    base_sha: _Sha | Literal[""] = ""
    head_sha: _Sha
    head_repository: _Word = ""
    conclusion: _Word
    exit_code: int
    review_url: _Address | None
    highest_severity: _Level | None
    findings: Annotated[tuple[SaidFinding, ...], _up_to(MAX_FINDINGS)]
    refuted: Annotated[tuple[SaidRefuted, ...], _up_to(MAX_FINDINGS)] = ()
    fixed: Annotated[tuple[SaidThread, ...], _up_to(10_000)] = ()
    dismissed: Annotated[tuple[SaidThread, ...], _up_to(10_000)] = ()
    dropped: _Count
    coverage: SaidCoverage
    usage: SaidWholeUsage
    prompts: Annotated[tuple[_Name, ...], _up_to(100)]
    instructions: Annotated[tuple[_Path, ...], _up_to(10_000)] = ()
    summary: str = Field(max_length=5_000_000)
    walkthrough: SaidWalkthrough | None = None
    faults: Annotated[tuple[SaidFault, ...], _up_to(1_000)]
    notes: Annotated[tuple[_Text, ...], _up_to(1_000)]
    seconds: float = Field(ge=0, le=10**7)
    digest: _Word
