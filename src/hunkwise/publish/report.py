"""Writes the JSON report of a run, and defines its schema.

Version 1 has these keys:

`version`, `tool` (name, demo), `run`, `repository`, `pull_request` (null for a local range), `base_sha`,
`head_sha`, `head_repository` (empty if unknown), `conclusion`, `exit_code`, `review_url`,
`highest_severity`, `findings`, `refuted`, `fixed`, `dismissed`, `dropped`, `coverage`, `usage`, `prompts`,
`instructions` (paths of the instruction files in the prompts), `summary`,
`walkthrough`, `faults`, `notes`, `seconds` and `digest`.

`findings` are all open findings. Each has `fingerprint`, `path`, `line`, `start_line`, `side`, `said_line`,
`severity`, `category`, `confidence`, `prompt`, `title`, `body`, `suggestion`, `where` (inline, file, body,
annotation, summary or report), `known` (raised before this run), `thread_url` (of the thread that an
earlier run began, or null), `check` (confirmed, lowered or unverified; null if this run did not verify it) and
`evidence` (from the verification). `refuted` are the candidates that the verification dropped: each has the
keys of a finding up to `suggestion`, and `reason`. `fixed` has `fingerprint` (empty if it is unknown), `path` and
`thread_url` of each thread of ours whose code was fixed; `dismissed` has `fingerprint` and `path` of each finding
that a person dismissed. `summary` describes the whole change; `walkthrough`, or null, has `areas` (area, what,
why), `risk` (level, why; or null) and `diagram` (Mermaid, or empty). `digest` covers all other keys and detects a
damaged file; it does not authenticate the author. Texts are as the model wrote them, without invisible
characters: the reader of the report must escape them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field
from pydantic_core import PydanticCustomError

from hunkwise.domain.finding import Finding, SeverityLabel, Walkthrough
from hunkwise.domain.pull_request import Thread
from hunkwise.domain.review import Review, ReviewFault, SkipReason, Usage
from hunkwise.domain.text import plain
from hunkwise.publish.conclusion import PublishedReview
from hunkwise.tracking.markers import raised_in

VERSION = 1


def as_json(view: PublishedReview, *, base_sha: str = "", head_repository: str = "") -> dict[str, Any]:
    """Returns the report as JSON values; strings are valid UTF-8, so that `json.dump` cannot fail on them."""
    review, posted = view.review, view.posted
    report: dict[str, Any] = {
        "version": VERSION,
        "tool": {"name": "hunkwise", "demo": review.demo},
        "run": plain(view.run),
        "repository": plain(view.repository),
        "pull_request": view.number,
        "base_sha": plain(base_sha),
        "head_sha": plain(review.head_sha),
        "head_repository": plain(head_repository),
        "conclusion": view.verdict.exit_code.conclusion.value,
        "exit_code": view.verdict.exit_code.value,
        "review_url": _dump_address(posted.review_url),
        "highest_severity": review.highest.label if review.highest else None,
        "findings": [_dump_finding(finding, view) for finding in review.findings],
        "refuted": [
            {**_dump_finding_fields(refuted.finding), "reason": plain(refuted.reason)}
            for refuted in review.refuted
        ],
        "fixed": [_dump_fixed(thread) for thread in view.fixed],
        "dismissed": [
            {"fingerprint": plain(record.fingerprint), "path": plain(record.path)}
            for record in view.dismissed
        ],
        "dropped": review.dropped,
        "coverage": _dump_coverage(review),
        "usage": {**_dump_usage(review.usage), "by_prompt": _dump_usage_by_prompt(review)},
        "prompts": [plain(name) for name in review.prompts],
        "instructions": [plain(path) for path in review.instructions],
        "summary": plain(review.summary),
        "walkthrough": _dump_walkthrough(review.walkthrough),
        "faults": [
            _dump_fault(fault) for fault in (*review.faults, *([posted.fault] if posted.fault else []))
        ],
        "notes": [plain(note) for note in (*review.notes, *posted.notes)],
        "seconds": round(review.seconds, 3),
    }
    return {**report, "digest": digest_of(report)}


def digest_of(report: Mapping[str, Any]) -> str:
    """Returns `sha256:` and 64 hex digits, over the canonical JSON of all keys except `digest` itself."""
    values = {key: value for key, value in report.items() if key != "digest"}
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{sha256(canonical.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _dump_finding(finding: Finding, view: PublishedReview) -> dict[str, Any]:
    kept = view.kept_by_finding.get(finding)
    return {
        **_dump_finding_fields(finding),
        "where": view.where(finding).value,
        "known": view.known(finding),
        "thread_url": _dump_address(kept.thread.url) if kept and kept.thread else None,
        "check": finding.check.value if finding.check else None,
        "evidence": plain(finding.evidence),
    }


def _dump_finding_fields(finding: Finding) -> dict[str, Any]:
    """Returns the fields that open and refuted findings have in common."""
    anchor = finding.anchor
    return {
        "fingerprint": plain(finding.fingerprint),
        "path": plain(finding.path),
        "line": anchor.line if anchor else None,
        "start_line": anchor.start_line if anchor else None,
        "side": anchor.side.value if anchor else None,
        "said_line": finding.said_line,
        "severity": finding.severity.label,
        "category": plain(finding.category),
        "confidence": finding.confidence,
        "prompt": plain(finding.prompt),
        "title": plain(finding.title),
        "body": plain(finding.body),
        "suggestion": None if finding.suggestion is None else plain(finding.suggestion),
    }


def _dump_fixed(thread: Thread) -> dict[str, Any]:
    raised = raised_in(thread.body)
    return {
        "fingerprint": plain(raised[0].fingerprint) if raised else "",
        "path": plain(thread.path),
        "thread_url": _dump_address(thread.url),
    }


def _dump_fault(fault: ReviewFault) -> dict[str, str]:
    return {"kind": plain(fault.kind), "message": plain(fault.message), "hint": plain(fault.hint)}


def _dump_walkthrough(walkthrough: Walkthrough | None) -> dict[str, Any] | None:
    if walkthrough is None:
        return None
    risk = walkthrough.risk
    return {
        "areas": [
            {"area": plain(area.area), "what": plain(area.what), "why": plain(area.why)}
            for area in walkthrough.areas
        ],
        "risk": {"level": risk.level.value, "why": plain(risk.why)} if risk else None,
        "diagram": plain(walkthrough.diagram),
    }


def _dump_address(url: str | None) -> str | None:
    return plain(url) if url else None


def _dump_coverage(review: Review) -> dict[str, Any]:
    coverage = review.coverage
    return {
        "percent": coverage.percent,
        "changed_lines": coverage.changed_lines,
        "reviewed_lines": coverage.reviewed_lines,
        "carried_lines": review.carried_lines,
        "complete": coverage.complete,
        "unlisted_files": coverage.unlisted_files,
        "files": [
            {
                "path": plain(file.path),
                "changed_lines": file.changed_lines,
                "reviewed_lines": file.reviewed_lines,
                "reason": file.reason.value if file.reason else None,
                "missing": file.missing,
                "detail": plain(file.detail),
            }
            for file in coverage.files
        ],
    }


def _dump_usage(usage: Usage) -> dict[str, Any]:
    return {
        "model_calls": usage.model_calls,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "tool_calls": usage.tool_calls,
        "models": [plain(model) for model in usage.models],
        "nano_credits": usage.nano_credits,
    }


def _dump_usage_by_prompt(review: Review) -> list[dict[str, Any]]:
    """Returns the usage of each prompt; the sum is the whole usage."""
    return [{"prompt": plain(name), **_dump_usage(usage)} for name, usage in sorted(review.spent.items())]


MAX_FINDINGS: Final = 1_000
_MAX_EVIDENCE: Final = 4_000
"""Maximum characters; a model may write half as many."""
_Sha = Annotated[str, Field(pattern="^([0-9a-f]{40}|[0-9a-f]{64})$")]
_Path = Annotated[str, Field(max_length=4_096)]
_Address = Annotated[str, Field(max_length=2_000)]
_Name = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")]
_Word = Annotated[str, Field(max_length=300)]
_Words = Annotated[str, Field(max_length=2_000)]
_Text = Annotated[str, Field(max_length=100_000)]
_Line = Annotated[int, Field(ge=1, le=10_000_000)]
_Count = Annotated[int, Field(ge=0, le=10**12)]


def _limit_length(most: int) -> BeforeValidator:
    """Returns a validator of a list's length that runs before pydantic validates millions of items."""

    def check_length(value: object) -> object:
        if not isinstance(value, list):
            return value
        if len(value) > most:
            raise PydanticCustomError("too_long", "At most {most} are read", {"most": most})
        return tuple(value)

    return BeforeValidator(check_length)


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _FindingFields(_StrictModel):
    """The common fields of open and refuted findings; the place is not verified yet."""

    fingerprint: str = Field(pattern="^[0-9a-f]{16}$")
    path: _Path
    line: _Line | None
    start_line: _Line | None
    side: Literal["RIGHT", "LEFT"] | None
    said_line: _Line | None
    severity: SeverityLabel
    category: str = Field(max_length=100)
    confidence: float | None = Field(ge=0, le=1)
    prompt: _Name
    title: str = Field(max_length=300)
    # Longer than a model may write: duplicates in one place are joined in one body.
    body: str = Field(max_length=20_000)
    suggestion: str | None = Field(max_length=10_000)


class ReportedFinding(_FindingFields):
    """An open finding."""

    where: _Word
    known: bool = False
    thread_url: _Address | None = None
    check: Literal["confirmed", "lowered", "unverified"] | None = None
    evidence: str = Field(default="", max_length=_MAX_EVIDENCE)


class ReportedRefutation(_FindingFields):
    """A finding that the verification dropped."""

    reason: str = Field(max_length=_MAX_EVIDENCE)


class ReportedFile(_StrictModel):
    """The coverage of one file, as reported."""

    path: _Path
    changed_lines: _Count
    reviewed_lines: _Count
    reason: Annotated[SkipReason | None, Field(strict=False)]
    missing: bool
    detail: _Text


class ReportedCoverage(_StrictModel):
    """The coverage of the change, as reported; its sums are computed again from `files`."""

    percent: int
    changed_lines: _Count
    reviewed_lines: _Count
    carried_lines: _Count = 0
    complete: bool
    unlisted_files: _Count
    files: Annotated[tuple[ReportedFile, ...], FailFast(), _limit_length(100_000)]


class ReportedUsage(_StrictModel):
    """The model usage of the run that wrote the report."""

    model_calls: _Count
    input_tokens: _Count
    output_tokens: _Count
    cached_tokens: _Count
    tool_calls: _Count
    models: Annotated[tuple[_Word, ...], _limit_length(100)]
    nano_credits: _Count = 0


class ReportedSpending(ReportedUsage):
    """The model usage of one prompt."""

    prompt: _Name


class ReportedTotalUsage(ReportedUsage):
    """The usage of all prompts; the parts are shown as reported."""

    by_prompt: Annotated[tuple[ReportedSpending, ...], _limit_length(100)] = ()


class ReportedFault(_StrictModel):
    """A fault of the run that wrote the report, in its own words."""

    kind: _Word
    message: _Text
    hint: _Text


class ReportedTool(_StrictModel):
    """The tool that wrote the report."""

    name: Literal["hunkwise"]
    demo: bool


class ReportedThread(_StrictModel):
    """An earlier finding that was fixed or dismissed according to the report: validated, but not trusted."""

    fingerprint: _Word
    path: _Path
    thread_url: _Address | None = None


class ReportedArea(_StrictModel):
    """A part of the change, as reported."""

    area: _Word
    what: _Words
    why: _Words


class ReportedRisk(_StrictModel):
    """The risk of the change, as reported: it is shown, and decides nothing."""

    level: Literal["low", "medium", "high"]
    why: _Words


class ReportedWalkthrough(_StrictModel):
    """The parts of the summary besides the overview. The diagram is checked again before it is shown."""

    areas: Annotated[tuple[ReportedArea, ...], _limit_length(20)]
    risk: ReportedRisk | None
    diagram: str = Field(max_length=10_000)


class ReportedReview(_StrictModel):
    """A whole report. All of it is untrusted: the pull request's author may have written it."""

    version: Literal[1]
    tool: ReportedTool
    run: str = Field(default="", pattern="^[A-Za-z0-9._-]{0,100}$")
    repository: _Word
    pull_request: Annotated[int, Field(ge=1, le=999_999_999)] | None
    base_sha: _Sha | Literal[""] = ""
    head_sha: _Sha
    head_repository: _Word = ""
    conclusion: _Word
    exit_code: int
    review_url: _Address | None
    highest_severity: SeverityLabel | None
    findings: Annotated[tuple[ReportedFinding, ...], _limit_length(MAX_FINDINGS)]
    refuted: Annotated[tuple[ReportedRefutation, ...], _limit_length(MAX_FINDINGS)] = ()
    fixed: Annotated[tuple[ReportedThread, ...], _limit_length(10_000)] = ()
    dismissed: Annotated[tuple[ReportedThread, ...], _limit_length(10_000)] = ()
    dropped: _Count
    coverage: ReportedCoverage
    usage: ReportedTotalUsage
    prompts: Annotated[tuple[_Name, ...], _limit_length(100)]
    instructions: Annotated[tuple[_Path, ...], _limit_length(10_000)] = ()
    summary: str = Field(max_length=5_000_000)
    walkthrough: ReportedWalkthrough | None = None
    faults: Annotated[tuple[ReportedFault, ...], _limit_length(1_000)]
    notes: Annotated[tuple[_Text, ...], _limit_length(1_000)]
    seconds: float = Field(ge=0, le=10**7)
    digest: _Word
