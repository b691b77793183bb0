"""The files that the jobs of an audit exchange: the plan, and the report of each part. Both are checked when read."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError
from pydantic_core import PydanticCustomError

from hunkwise.domain.audit import TreeFile
from hunkwise.domain.finding import Recheck, RecheckState
from hunkwise.domain.limits import MATRIX_JOBS
from hunkwise.domain.review import SkipReason
from hunkwise.domain.text import plain
from hunkwise.errors import SettingsError
from hunkwise.publish.conclusion import PublishedReview
from hunkwise.publish.report import (
    BY_VALUE,
    ReportedReview,
    ReportPart,
    Sha,
    as_json,
    digest_of,
    limit_length,
)
from hunkwise.publish.report_input import describe_faults, parse_json, read_report_as
from hunkwise.tracking.audit_state import AuditState, from_json
from hunkwise.tracking.audit_state import as_json as state_json

MAX_PLAN_BYTES: Final = 64 * 1024 * 1024
_MOST_FILES: Final = 500_000
_MOST_KEYS = 100_000
_PLAN_AGAIN = "Plan the audit again."
_SETTLED: Final = frozenset(reason for reason in SkipReason if reason.deliberate) | {
    SkipReason.NUL_BYTES,
    SkipReason.LINE_TOO_LONG,
    SkipReason.TOO_LARGE,
}
"""Reasons that a later audit would find again: the file is not read in this lap."""


def _read_files(value: object) -> tuple[TreeFile, ...]:
    """Returns the files from `[path, blob, bytes]`. Pydantic's `str` does not accept surrogates, which paths have."""
    if isinstance(value, tuple):  # those of a new plan
        return value
    if not isinstance(value, list) or len(value) > _MOST_FILES:
        raise PydanticCustomError("files", "It must be a list of files")
    files = []
    for entry in value:
        match entry:
            case [str(path), str(blob), int(size)] if path and size >= 0:
                files.append(TreeFile(path, blob, size))
            case _:
                raise PydanticCustomError("file", "A file must be path, blob and size")
    return tuple(files)


def _read_renames(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(path, str) for path in value.values()):
        raise PydanticCustomError("renames", "It must be new paths by old ones")
    return value


def _read_state(value: object) -> AuditState:
    state = value if isinstance(value, AuditState) else from_json(value)
    if state is None:
        raise PydanticCustomError("state", "It is no state of an audit")
    return state


_Count = Annotated[int, Field(ge=0, le=10**12)]


class PlannedShard(ReportPart):
    """What one job reads."""

    files: Annotated[tuple[_Count, ...], limit_length(_MOST_FILES)]
    """Indexes of the plan's files, riskiest first."""
    model_calls: Annotated[int, Field(ge=1, le=10_000)]
    tokens: Annotated[int, Field(ge=1)] | None = None
    credits: Annotated[float, Field(gt=0)] | None = None


class AuditPlan(ReportPart):
    """What one audit reads, and the state that it starts from."""

    version: Literal[1] = 1
    repository: Annotated[str, Field(max_length=300)]
    head_sha: Sha
    today: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    state: Annotated[Any, BeforeValidator(_read_state), PlainSerializer(state_json)]
    """The state as it was read, for the tree of the head: what is known to be read in this lap."""
    state_digest: Annotated[str, Field(max_length=100)]
    """Digest of the state as it was read; empty if there was none."""
    files: Annotated[
        Any,
        BeforeValidator(_read_files),
        PlainSerializer(lambda files: [[file.path, file.blob, file.size] for file in files]),
    ]
    shards: Annotated[tuple[PlannedShard, ...], limit_length(MATRIX_JOBS)]
    questions_left: _Count
    """Estimated questions of the lap after this audit."""
    renames: Annotated[Any, BeforeValidator(_read_renames)] = Field(default_factory=dict)
    """New paths of files with findings, by the old ones."""
    notes: Annotated[tuple[str, ...], limit_length(100)] = ()
    digest: str = ""

    @property
    def matrix(self) -> str:
        """The value of the output `matrix`."""
        include = [{"shard": number} for number in range(1, len(self.shards) + 1)]
        return json.dumps({"include": include}, separators=(",", ":"))

    def shard_files(self, number: int) -> tuple[TreeFile, ...]:
        """Returns the files of a shard; `number` counts from 1. Raises SettingsError."""
        if not 1 <= number <= len(self.shards):
            raise SettingsError(
                [f"The plan has no shard {number}: it has {len(self.shards)}, counted from 1."]
            )
        return tuple(self.files[index] for index in self.shards[number - 1].files)


def plan_json(plan: AuditPlan) -> dict[str, Any]:
    """Returns the plan as JSON values. Write it with `ensure_ascii`: paths may have surrogates."""
    return plan.model_dump(mode="python")


def seal(plan: AuditPlan) -> AuditPlan:
    """Returns the plan with its digest."""
    return plan.model_copy(update={"digest": digest_of(plan_json(plan))})


def read_plan(raw: bytes) -> AuditPlan:
    """Returns the plan from a file's bytes. Raises SettingsError."""
    values, digest_matches = parse_json(raw, "plan", MAX_PLAN_BYTES, _MOST_KEYS)
    if values.get("version") != 1:
        raise SettingsError(
            [
                "The plan is not of version 1, the only one that this hunkwise reads; use the same commit of hunkwise "
                "for the whole audit."
            ]
        )
    if not digest_matches:
        raise SettingsError([f"The plan is damaged: its digest does not fit what it says. {_PLAN_AGAIN}"])
    try:
        plan = AuditPlan.model_validate(values)
    except ValidationError as error:
        raise SettingsError(describe_faults(error, "plan")) from error
    if any(index >= len(plan.files) for shard in plan.shards for index in shard.files):
        raise SettingsError(
            [f"The plan is damaged: a shard names a file that it does not have. {_PLAN_AGAIN}"]
        )
    return plan


class _Recheck(ReportPart):
    """Whether a finding of an earlier audit still applies."""

    fingerprint: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    state: Annotated[RecheckState, BY_VALUE]
    evidence: Annotated[str, Field(max_length=4_000)]


class AuditPart(ReportedReview):
    """The report of one shard: that of a review, and what of the plan was read."""

    plan: Annotated[str, Field(max_length=100)]
    """The plan's digest."""
    settings: Annotated[str, Field(max_length=64)]
    shard: Annotated[int, Field(ge=1, le=MATRIX_JOBS)]
    read: Annotated[tuple[_Count, ...], limit_length(_MOST_FILES)]
    """Indexes of the plan's files that were read whole."""
    skipped: dict[str, Annotated[tuple[_Count, ...], limit_length(_MOST_FILES)]]
    """Indexes of files that need not be planned again in this lap, by reason."""
    rechecks: Annotated[tuple[_Recheck, ...], limit_length(10_000)]

    @property
    def answers(self) -> dict[str, Recheck]:
        """The answers on findings of earlier audits, by fingerprint."""
        return {each.fingerprint: Recheck(each.state, each.evidence) for each in self.rechecks}


def part_json(view: PublishedReview, plan: AuditPlan, shard: int) -> dict[str, Any]:
    """Returns the report of a shard as JSON values."""
    review = view.review
    index = {plan.files[number].path: number for number in plan.shards[shard - 1].files}
    coverage = {index[file.path]: file for file in review.coverage.files if file.path in index}
    skipped: dict[str, list[int]] = {}
    for number, file in sorted(coverage.items()):
        if file.reason in _SETTLED:
            skipped.setdefault(file.reason.value, []).append(number)
    values = as_json(view)
    # `read` has the others in a tenth of the space: a part can have 100,000 files, and is read up to a size.
    unread = [file for file in values["coverage"]["files"] if file["reason"] is not None]
    report = {
        **values,
        "coverage": {**values["coverage"], "files": unread},
        "plan": plan.digest,
        "settings": review.settings,
        "shard": shard,
        "read": [number for number, file in sorted(coverage.items()) if file.reason is None],
        "skipped": skipped,
        "rechecks": [
            {"fingerprint": key, "state": answer.state.value, "evidence": answer.evidence[:4_000]}
            for key, answer in review.rechecks.items()
        ],
    }
    return {**report, "digest": digest_of(report)}


def read_part(raw: bytes, plan: AuditPlan) -> AuditPart:
    """Returns the report of a shard of this plan. Raises SettingsError."""
    part = read_report_as(AuditPart, raw)
    if part.plan != plan.digest:
        raise SettingsError(
            [f"The report of shard {part.shard} is of another plan: take the artifacts of the same run."]
        )
    numbers = [*part.read, *(number for numbers in part.skipped.values() for number in numbers)]
    if part.shard > len(plan.shards) or not set(numbers) <= set(plan.shards[part.shard - 1].files):
        raise SettingsError([f"The report of shard {part.shard} names files that the plan does not give it."])
    if not set(part.skipped) <= {reason.value for reason in _SETTLED}:
        raise SettingsError([f"The report of shard {part.shard} has a reason that is unknown."])
    # A report has the printable form of a path that is not UTF-8.
    paths = {plain(file.path): file.path for file in plan.shard_files(part.shard)}
    findings = [
        finding.model_copy(update={"path": paths.get(finding.path, finding.path)})
        for finding in part.findings
    ]
    return part.model_copy(update={"findings": tuple(findings)})
