"""Reads the inputs of an audit's step, and its task. Standard library only, as `settings.inputs`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from hunkwise.domain.limits import MATRIX_JOBS
from hunkwise.domain.text import is_sha
from hunkwise.errors import SettingsError
from hunkwise.settings.parsing import BOOLEANS, InputReader, listed, quoted, wrong_value


class AuditStage(StrEnum):
    """What one step does of an audit."""

    ALL = "all"
    """Plan, run and merge, in one step."""
    PLAN = "plan"
    """Decides what is read; asks no model and writes nothing to GitHub."""
    RUN = "run"
    """Reads one shard of a plan; asks a model and writes nothing to GitHub."""
    MERGE = "merge"
    """Joins the parts of a plan; asks no model and writes to GitHub."""

    @property
    def asks_model(self) -> bool:
        return self in (AuditStage.ALL, AuditStage.RUN)


@dataclass(frozen=True, slots=True)
class AuditInputs:
    """The inputs of an audit; those of other stages are not set."""

    stage: AuditStage | None = None
    """None if the input `audit` is not set: then the event decides."""
    shards: int | None = None
    """The number of shards to plan; None lets the plan decide."""
    shard: int | None = None
    """The shard to run, from 1. Always set for RUN."""
    plan: Path | None = None
    """The plan's file. Always set for RUN and MERGE."""
    parts: tuple[Path, ...] = ()
    """The files of the shards' parts, or folders with them. Never empty for MERGE."""


@dataclass(frozen=True, slots=True)
class AuditTask:
    """A repository to audit, or one stage of its audit."""

    repository: str
    """`owner/name`, from GITHUB_REPOSITORY."""
    sha: str
    """The commit to audit, from GITHUB_SHA."""
    stage: AuditStage


AUDIT_EVENTS: Final = ("schedule", "workflow_dispatch")
"""Events on which a repository is audited: always on `schedule`, on the other one if the input `audit` is set."""
AUDIT_INPUTS: Final = ("audit", "shards", "shard", "plan", "parts")
_STAGES: Final = {
    "shards": (AuditStage.PLAN,),
    "shard": (AuditStage.RUN,),
    "plan": (AuditStage.RUN, AuditStage.MERGE),
    "parts": (AuditStage.MERGE,),
}
"""The stages that each input is for."""
_NEEDED: Final = {
    "shard": "the number of a shard, such as ${{ matrix.shard }}",
    "plan": "the path of the file that the step with audit: plan has written",
    "parts": "the paths of the parts that the steps with audit: run have written, or of their folder",
}
"""The inputs that their stages need, and what to set them to."""
_OF_REVIEWS: Final = ("publish", "pull-request", "full-review")


def read_audit_task(event: str, repository: str, sha: str, stage: AuditStage) -> AuditTask:
    """Returns the task of an event. Its payload is not needed: that of `schedule` does not name the repository.

    Raises SettingsError.
    """
    if event not in AUDIT_EVENTS:
        fault = (
            f'Input "audit" is set, and the event is {quoted(event)}; run audits on {listed(AUDIT_EVENTS)}.'
        )
        raise SettingsError([fault])
    if not is_sha(sha):
        raise SettingsError([f"GITHUB_SHA must be the SHA of the commit to audit, not {quoted(sha)}."])
    return AuditTask(repository, sha, stage)


def read_audit_inputs(reading: InputReader) -> AuditInputs:
    """Reads the inputs of an audit, and checks them against each other and against those of a review."""
    word = reading.word("audit", tuple(AuditStage))
    stage = AuditStage(word) if word else None
    if stage is not None or "audit" not in reading.texts:  # an invalid stage has a fault of its own
        reading.faults += _conflicts(reading, stage)
    plan = _read_paths(reading, "plan", "the path of a plan's file, such as hunkwise-plan/plan.json", 1)
    expected = "the paths of parts or of their folder, one a line, such as hunkwise-parts"
    return AuditInputs(
        stage,
        shards=reading.number("shards", MATRIX_JOBS),
        shard=reading.number("shard", MATRIX_JOBS),
        plan=plan[0] if plan else None,
        parts=_read_paths(reading, "parts", expected, MATRIX_JOBS),
    )


def _conflicts(reading: InputReader, stage: AuditStage | None) -> Iterator[str]:
    """Yields a sentence for each input that is not for the stage, and for each missing one."""
    for name, stages in _STAGES.items():
        if name in reading.texts and stage not in stages:
            words = listed([str(each) for each in stages])
            yield f'{reading.subject(name)} needs "audit" to be {words}; set that too, or leave "{name}" out.'
        elif stage in stages and name in _NEEDED and name not in reading.texts:
            yield f'{reading.subject(name)} is missing, and "audit: {stage}" needs it; set it to {_NEEDED[name]}.'
    for name in _OF_REVIEWS:
        if stage is not None and reading.texts.get(name, "false") != "false":
            yield (
                f'{reading.subject(name)} is for reviews of pull requests, and "audit" is set, too; leave one of the'
                " two out."
            )


def _read_paths(reading: InputReader, name: str, expected: str, most: int) -> tuple[Path, ...]:
    """Reads the paths of an input, one a line, without duplicates."""
    lines = [line.strip() for line in reading.texts.get(name, "").splitlines() if line.strip()]
    for line in lines:
        if not line.isprintable() or line.lower() in BOOLEANS:
            reading.faults.append(wrong_value(reading.subject(name), expected, reading.shown(line)))
            return ()
    if len(lines) > most:
        reading.faults.append(wrong_value(reading.subject(name), expected, f"{len(lines)} lines"))
        return ()
    return tuple(map(Path, dict.fromkeys(lines)))
