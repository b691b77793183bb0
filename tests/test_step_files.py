"""Whether a job summary takes a text is found out by writing it; tests/test_actions.py has the writing itself."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from hunkwise.actions import takes
from hunkwise.domain.limits import JOB_SUMMARY_BYTES


def test_a_summary_that_takes_the_text_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "summary"
    path.write_text("before\n")
    assert takes(path, "# Review\ud800\n", 1_000)
    assert path.read_text() == "before\n"


def test_a_summary_that_is_not_there_yet_takes_it_too(tmp_path: Path) -> None:
    assert takes(tmp_path / "summary", "# Review\n", 0)


def test_what_swallows_refuses_or_has_no_room_takes_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    full = tmp_path / "full"
    full.write_bytes(b"x" * (JOB_SUMMARY_BYTES - 100))
    for path in (None, Path("/dev/full"), Path("/dev/null"), tmp_path / "pipe", tmp_path, full, full / "x"):
        assert not takes(path, "x" * 101, 0), path
    assert takes(full, "x" * 100, 0)
    assert not takes(full, "x" * 100, 1)


@pytest.fixture
def small_disk() -> object:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, hard))
    yield None
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_disk")
def test_a_disk_that_is_too_small_is_noticed_before(tmp_path: Path) -> None:
    path = tmp_path / "summary"
    path.write_text("before\n")
    assert takes(path, "x" * 4_000, 0)
    assert not takes(path, "x" * 4_000, 200)
    assert path.read_text() == "before\n"
