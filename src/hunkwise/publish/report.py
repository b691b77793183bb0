"""Writes the JSON report of a run, and defines its keys: the models here write it and read it.

Version 1 has the keys of `ReportedReview`. Texts are as the model wrote them, without invisible characters: the reader
of the report must escape them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import is_dataclass
from enum import Enum
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Final, Literal, Protocol, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field
from pydantic_core import PydanticCustomError

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import RiskLevel, SeverityLabel, Verification
from hunkwise.domain.review import Review, SkipReason, Suppression
from hunkwise.domain.text import plain
from hunkwise.publish.conclusion import PublishedReview
from hunkwise.publish.placement import PublishedFinding
from hunkwise.tracking.markers import raised_in

VERSION: Final = 1
MAX_FINDINGS: Final = 1_000
_MAX_EVIDENCE: Final = 4_000
"""Maximum characters; a model may write half as many."""
Sha = Annotated[str, Field(pattern="^([0-9a-f]{40}|[0-9a-f]{64})$")]
_Path = Annotated[str, Field(max_length=4_096)]
_Address = Annotated[str, Field(max_length=2_000)]
_Name = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")]
_Word = Annotated[str, Field(max_length=300)]
_Words = Annotated[str, Field(max_length=2_000)]
_Text = Annotated[str, Field(max_length=100_000)]
_Line = Annotated[int, Field(ge=1, le=10_000_000)]
_Count = Annotated[int, Field(ge=0, le=10**12)]
BY_VALUE = Field(strict=False)
"""JSON has the value of an enum's member."""


def limit_length(most: int) -> BeforeValidator:
    """Returns a validator of a list's length that runs before pydantic validates millions of items."""

    def check_length(value: object) -> object:
        if not isinstance(value, list):
            return value
        if len(value) > most:
            raise PydanticCustomError("too_long", "At most {most} are read", {"most": most})
        return tuple(value)

    return BeforeValidator(check_length)


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


_T = TypeVar("_T", bound=_Dataclass)


class ReportPart(BaseModel):
    """An object of the report: its fields are the keys, in their order. All that is read is untrusted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @classmethod
    def dump(cls, source: Any, **others: object) -> dict[str, Any]:
        """Returns the JSON values of a domain value: each from `others`, or from its attribute of that name."""
        return {
            key: _to_json(others[key] if key in others else getattr(source, key), field.annotation)
            for key, field in cls.model_fields.items()
        }

    def load(self, kind: type[_T], **others: object) -> _T:
        """Returns a domain value: each of its fields from `others`, or from the key of that name."""
        return kind(**{key: value for key, value in self if key in kind.__dataclass_fields__} | others)


def _to_json(value: object, annotation: object) -> Any:
    """Returns the JSON value: strings are valid UTF-8, so that `json.dump` cannot fail on them."""
    if isinstance(value, tuple):
        return [_to_json(entry, annotation) for entry in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict) or not is_dataclass(value):
        return value
    parts = (annotation, *get_args(annotation))
    return next(part.dump(value) for part in parts if isinstance(part, type) and issubclass(part, ReportPart))


class _FindingFields(ReportPart):
    """The common fields of open and suppressed findings; the place is not verified yet."""

    fingerprint: str = Field(pattern="^[0-9a-f]{16}$")
    path: _Path
    line: _Line | None
    start_line: _Line | None
    side: Annotated[Side | None, BY_VALUE]
    reported_line: _Line | None
    severity: SeverityLabel
    category: str = Field(max_length=100)
    confidence: float | None = Field(ge=0, le=1)
    prompt: _Name
    title: str = Field(max_length=300)
    # Longer than a model may write: duplicates in one place are joined in one body.
    body: str = Field(max_length=20_000)
    suggestion: str | None = Field(max_length=10_000)

    @classmethod
    def dump(cls, source: Any, **others: object) -> dict[str, Any]:
        anchor = source.anchor
        lines = {key: getattr(anchor, key, None) for key in ("line", "start_line", "side")}
        return super().dump(source, severity=source.severity.label, **lines, **others)


class ReportedFinding(_FindingFields):
    """An open finding."""

    where: _Word
    """The value of a `Destination`."""
    known: bool = False
    """Raised before this run."""
    thread_url: _Address | None = None
    """The thread that an earlier run began."""
    check: Annotated[Verification | None, BY_VALUE] = None
    """None if this run did not verify it."""
    evidence: str = Field(default="", max_length=_MAX_EVIDENCE)
    """From the verification."""


class ReportedSuppression(_FindingFields):
    """A finding without a comment, and why."""

    reason: str = Field(max_length=_MAX_EVIDENCE)
    kind: Annotated[Suppression, BY_VALUE] = Suppression.REFUTED

    @classmethod
    def dump(cls, source: Any, **others: object) -> dict[str, Any]:
        return super().dump(source.finding, reason=source.reason, kind=source.kind, **others)


class ReportedFile(ReportPart):
    """The coverage of one changed file."""

    path: _Path
    changed_lines: _Count
    reviewed_lines: _Count
    reason: Annotated[SkipReason | None, BY_VALUE]
    missing: bool
    detail: _Text


class _Coverage(ReportPart):
    """The coverage of the change; a reader computes its sums again from `files`."""

    percent: int
    changed_lines: _Count
    reviewed_lines: _Count
    carried_lines: _Count = 0
    complete: bool
    unlisted_files: _Count
    files: Annotated[tuple[ReportedFile, ...], FailFast(), limit_length(100_000)]


class ReportedUsage(ReportPart):
    model_calls: _Count
    input_tokens: _Count
    output_tokens: _Count
    cached_tokens: _Count
    tool_calls: _Count
    models: Annotated[tuple[_Word, ...], limit_length(100)]
    nano_credits: _Count = 0


class _Spending(ReportedUsage):
    prompt: _Name


class _TotalUsage(ReportedUsage):
    """The usage of all prompts; their sum is the whole usage, but a reader shows them as reported."""

    by_prompt: Annotated[tuple[_Spending, ...], limit_length(100)] = ()


class ReportedFault(ReportPart):
    kind: _Word
    message: _Text
    hint: _Text


class ToolName(ReportPart):
    name: Literal["hunkwise"]
    demo: bool


class _Dismissal(ReportPart):
    """An earlier finding that a person dismissed."""

    fingerprint: _Word
    path: _Path


class _Thread(_Dismissal):
    """A thread of ours whose code was fixed; the fingerprint is empty if it is unknown."""

    thread_url: _Address | None = None

    @classmethod
    def dump(cls, source: Any, **others: object) -> dict[str, Any]:
        raised = raised_in(source.body)
        fingerprint = raised[0].fingerprint if raised else ""
        return super().dump(source, fingerprint=fingerprint, thread_url=source.url or None, **others)


class _Area(ReportPart):
    area: _Word
    what: _Words
    why: _Words


class _Risk(ReportPart):
    """The risk of the change: it is shown, and decides nothing."""

    level: Annotated[RiskLevel, BY_VALUE]
    why: _Words


class _Walkthrough(ReportPart):
    """The parts of the summary besides the overview. The Mermaid diagram is checked again before it is shown."""

    areas: Annotated[tuple[_Area, ...], limit_length(20)]
    risk: _Risk | None
    diagram: str = Field(max_length=10_000)


class ReportedReview(ReportPart):
    """A whole report."""

    version: Literal[1]
    tool: ToolName
    run: str = Field(default="", pattern="^[A-Za-z0-9._-]{0,100}$")
    repository: _Word
    pull_request: Annotated[int, Field(ge=1, le=999_999_999)] | None
    """None for a local range."""
    base_sha: Sha | Literal[""] = ""
    head_sha: Sha
    head_repository: _Word = ""
    """Empty if it is unknown."""
    conclusion: _Word
    exit_code: int
    review_url: _Address | None
    highest_severity: SeverityLabel | None
    findings: Annotated[tuple[ReportedFinding, ...], limit_length(MAX_FINDINGS)]
    """All open findings."""
    suppressed: Annotated[tuple[ReportedSuppression, ...], limit_length(MAX_FINDINGS)] = ()
    fixed: Annotated[tuple[_Thread, ...], limit_length(10_000)] = ()
    dismissed: Annotated[tuple[_Dismissal, ...], limit_length(10_000)] = ()
    dropped: _Count
    coverage: _Coverage
    usage: _TotalUsage
    prompts: Annotated[tuple[_Name, ...], limit_length(100)]
    instructions: Annotated[tuple[_Path, ...], limit_length(10_000)] = ()
    """Paths of the instruction files in the prompts."""
    summary: str = Field(max_length=5_000_000)
    walkthrough: _Walkthrough | None = None
    faults: Annotated[tuple[ReportedFault, ...], limit_length(1_000)]
    notes: Annotated[tuple[_Text, ...], limit_length(1_000)]
    seconds: float = Field(ge=0, le=10**7)
    digest: _Word
    """`digest_of` all other keys: it detects a damaged file, and does not authenticate the author."""


def as_json(view: PublishedReview, *, head_repository: str = "") -> dict[str, Any]:
    """Returns the report as JSON values; strings are valid UTF-8, so that `json.dump` cannot fail on them."""
    review, posted, verdict = view.review, view.posted, view.verdict
    report = ReportedReview.dump(
        review,
        version=VERSION,
        tool=ToolName.dump(review, name="hunkwise"),
        run=view.run,
        repository=view.repository,
        pull_request=view.number,
        base_sha=view.base_sha,
        head_repository=head_repository,
        conclusion=verdict.exit_code.conclusion,
        exit_code=verdict.exit_code,
        review_url=posted.review_url or None,
        highest_severity=review.highest.label if review.highest else None,
        findings=[_dump_open_finding(published) for published in view.findings],
        fixed=view.fixed,
        dismissed=view.dismissed,
        coverage=_Coverage.dump(review.coverage, carried_lines=review.carried_lines),
        usage=_TotalUsage.dump(review.usage, by_prompt=_dump_usage_by_prompt(review)),
        faults=(*review.faults, *([posted.fault] if posted.fault else [])),
        notes=(*review.notes, *posted.notes),
        seconds=round(review.seconds, 3),
        digest="",
    )
    return {**report, "digest": digest_of(report)}


def digest_of(report: Mapping[str, Any]) -> str:
    """Returns `sha256:` and 64 hex digits, over the canonical JSON of all keys except `digest` itself."""
    values = {key: value for key, value in report.items() if key != "digest"}
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{sha256(canonical.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _dump_open_finding(published: PublishedFinding) -> dict[str, Any]:
    url = (published.thread.url or None) if published.thread else None
    return ReportedFinding.dump(
        published.finding, where=published.destination, known=published.known, thread_url=url
    )


def _dump_usage_by_prompt(review: Review) -> list[dict[str, Any]]:
    parts = sorted(review.spent.items())
    return [{"prompt": plain(name), **ReportedUsage.dump(usage)} for name, usage in parts]
