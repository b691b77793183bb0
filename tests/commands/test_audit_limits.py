"""Files of audits that are too large are refused, and only the first bytes of them are read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hunkwise.commands.audit_stores import _MOST_BYTES, MAX_PART_BYTES, StateFile, read_parts, read_plan_file
from hunkwise.errors import SettingsError
from hunkwise.publish.audit_files import MAX_PLAN_BYTES, AuditPlan, PlannedShard
from hunkwise.tracking.audit_state import AuditState

_PLAN = AuditPlan(
    repository="octo/repo",
    head_sha="a" * 40,
    today="2026-11-30",
    state=AuditState("octo/repo", "a" * 40, "", 0),
    state_digest="",
    files=(),
    shards=(PlannedShard(files=(), model_calls=1),),
    questions=0,
    questions_left=0,
)


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
