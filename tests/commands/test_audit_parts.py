"""The files that the jobs of an audit exchange: skipped files come back, and what is too large is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hunkwise.commands.audit_stores import _MOST_BYTES, MAX_PART_BYTES, StateFile, read_parts, read_plan_file
from hunkwise.domain.audit import TreeFile
from hunkwise.domain.review import Coverage, FileCoverage, Review, SkipReason, Usage
from hunkwise.errors import SettingsError
from hunkwise.publish.audit_files import MAX_PLAN_BYTES, AuditPlan, PlannedShard, part_json, read_part, seal
from hunkwise.publish.conclusion import Gates, PublishedReview, conclude
from hunkwise.tracking.audit_state import AuditState

_PLAN = seal(
    AuditPlan(
        repository="octo/repo",
        head_sha="a" * 40,
        today="2026-11-30",
        state=AuditState("octo/repo", "a" * 40, "", 0),
        state_digest="",
        files=tuple(TreeFile(name, name * 40, 10) for name in "abc"),
        shards=(PlannedShard(files=(0, 1, 2), model_calls=1),),
        questions_left=0,
    )
)


def test_files_that_were_skipped_come_back() -> None:
    reasons = {"a": None, "b": SkipReason.BINARY, "c": SkipReason.LINE_TOO_LONG}
    files = tuple(FileCoverage(path, 1, int(reason is None), reason) for path, reason in reasons.items())
    review = Review("a" * 40, (), Coverage(files), Usage())
    view = PublishedReview(review, conclude(review, Gates()), (), repository="octo/repo")
    part = read_part(json.dumps(part_json(view, _PLAN, 1)).encode(), _PLAN)
    assert part.read == (0,)
    assert part.skipped == {SkipReason.BINARY.value: (1,), SkipReason.LINE_TOO_LONG.value: (2,)}


def sparse(path: Path, size: int) -> Path:
    """Creates a file of null bytes that take no space on the disk."""
    path.touch()
    os.truncate(path, size)
    return path


@pytest.mark.parametrize(
    ("read", "most", "message"),
    [
        (read_plan_file, MAX_PLAN_BYTES, "The plan has more than 67,108,864 bytes"),
        (lambda path: StateFile(path, "site").read(), _MOST_BYTES, "is damaged, or is no state of an audit"),
    ],
)
def test_a_file_that_is_too_large_is_refused(
    tmp_path: Path, read: Callable[[Path], object], most: int, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        read(sparse(tmp_path / "large.json", most + 1))


def test_a_report_that_is_too_large_is_named(tmp_path: Path) -> None:
    path = sparse(tmp_path / "part-1.json", MAX_PART_BYTES + 1)
    parts, (fault,) = read_parts([tmp_path], _PLAN)
    assert parts == []
    assert fault.startswith(f"{path}: The report has more than 10,485,760 bytes")
