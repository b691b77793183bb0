"""Emptying a folder that somebody else filled."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from hunkwise.copilot.home import empty
from hunkwise.domain.model import Deadline

_NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where nobody, too, has a way to."""
    made = Path(tempfile.mkdtemp())
    yield made
    shutil.rmtree(made, ignore_errors=True)


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Root is kept by no permission: what is tested about them is tested as somebody who is."""
    if os.geteuid() != 0:
        yield
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, _NOBODY, _NOBODY, follow_symlinks=False)
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def emptied(folder: Path, looks: float = 1_000_000) -> list[str]:
    """What is left when the clock was looked at so many times."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        empty(opened, Deadline(looks, count().__next__))
    finally:
        os.close(opened)
    return sorted(path.name for path in folder.iterdir())


def descend(folder: Path, depth: int) -> None:
    """As many folders, each in the last."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


def test_depth_is_no_hindrance(folder: Path) -> None:
    descend(folder, 1_500)
    (folder / "moved-0").mkdir()
    (folder / "moved-0" / "file").touch()
    assert emptied(folder) == []


def spread(folder: Path, width: int) -> None:
    for number in range(width):
        (folder / f"d{number}").mkdir()


def spread_within(folder: Path, width: int) -> None:
    (folder / "inner").mkdir()
    spread(folder / "inner", width)


def spread_above(folder: Path, width: int) -> None:
    spread(folder, width // 2)
    for path in list(folder.iterdir()):
        (path / "file").touch()
        (path / "d").mkdir()


@pytest.mark.parametrize("fill", [descend, spread, spread_within, spread_above])
def test_a_removal_ends_at_its_time_and_the_next_ones_go_on(
    folder: Path, fill: Callable[[Path, int], None]
) -> None:
    fill(folder, 400)
    assert emptied(folder, 100) != []
    for _ in range(20):
        emptied(folder, 100)
    assert list(folder.iterdir()) == []


def test_a_removal_without_time_removes_nothing(folder: Path) -> None:
    spread(folder, 3)
    assert len(emptied(folder, 0)) == 3


def test_links_are_removed_and_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("kept")
    (folder / "inner").mkdir()
    for place in (folder, folder / "inner"):
        (place / "link").symlink_to(tmp_path)
        (place / "dangling").symlink_to(place / "nowhere")
        os.mkfifo(place / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "socket"))
    assert emptied(folder) == []
    assert (tmp_path / "kept").read_text() == "kept"


@pytest.mark.parametrize("mode", [0o000, 0o500, 0o300])
def test_permissions_that_were_taken_off_are_given_back(folder: Path, mode: int) -> None:
    inner = folder / "locked" / "inner"
    (inner / "deeper").mkdir(parents=True)
    (inner / "deeper" / "file").touch()
    with as_nobody(folder):
        for path in (inner / "deeper", inner, folder / "locked"):
            path.chmod(mode)
        assert emptied(folder) == []


def test_what_cannot_be_removed_ends_the_removal() -> None:
    """The kernel's own folders: even root removes nothing there."""
    assert emptied(Path("/proc/self/task")) != []
