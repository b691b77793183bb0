"""Tests that a file at an untrusted path is read up to a limit, and only if it is a regular file."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from hunkwise.files import PrivateFolder, empty, read_bounded


@pytest.mark.parametrize(("size", "read"), [(0, 0), (9, 9), (10, 10), (11, 11), (5_000, 11)])
def test_reads_one_byte_more_than_the_limit(tmp_path: Path, size: int, read: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    assert read_bounded(path, 10) == b"x" * read


def test_reads_link_to_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    assert read_bounded(tmp_path / "link", 10) == b"x"


def test_refuses_special_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (tmp_path / "pipe", "no regular file"),
        (Path("/dev/zero"), "no regular file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "gone", "No such file"),
    ):
        with pytest.raises(OSError, match=words) as refused:
            read_bounded(path, 10)
        assert refused.value.strerror


# Private folders

_HOLDER = """
import sys
from hunkwise.files import PrivateFolder
print(PrivateFolder("hunkwise-sidecar-").path, flush=True)
sys.stdin.read()
"""


def new_folder(folder: Path | None = None) -> PrivateFolder:
    return PrivateFolder("hunkwise-sidecar-", folder)


@contextmanager
def another_run() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that has made a home, with a file in it."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", _HOLDER]
    with subprocess.Popen(
        command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        try:
            assert run.stdout is not None
            path = Path(run.stdout.readline().strip())
            (path / "session.json").write_text("what the CLI was told")
            yield run, path
        finally:
            run.kill()
            run.wait()


def test_a_home_is_private_and_goes_when_it_is_wiped() -> None:
    home = new_folder()
    (home.path / "scratch").mkdir()
    assert home.path.name.startswith("hunkwise-sidecar-")
    assert home.path.stat().st_mode & 0o077 == 0
    home.wipe()
    home.wipe()
    assert not home.path.exists()
    assert list(Path(tempfile.gettempdir()).glob(f"*{home.path.name}")) == []


def test_the_home_of_a_run_that_was_killed_is_wiped_by_the_next_one() -> None:
    with another_run() as (run, path):
        new_folder().wipe()
        assert (path / "session.json").is_file()
        run.send_signal(signal.SIGKILL)
        run.wait()
        PrivateFolder("hunkwise-git-").wipe()
        assert path.exists(), "it is of another kind"
        new_folder().wipe()
        assert not path.exists()


def test_a_home_of_our_own_is_not_taken_for_abandoned() -> None:
    home = new_folder()
    new_folder().wipe()
    assert home.path.is_dir()
    home.wipe()


def test_what_there_is_no_time_for_is_left_to_the_next_run(tmp_path: Path) -> None:
    home = new_folder(tmp_path)
    for number in range(300):
        (home.path / str(number)).mkdir()
    home.wipe(100, count().__next__)
    assert 150 < len(list(home.path.iterdir())) < 300
    new_folder(tmp_path).wipe(100, count().__next__)
    assert 50 < len(list(home.path.iterdir())) < 200
    new_folder(tmp_path).wipe()
    assert list(tmp_path.iterdir()) == []


def test_the_homes_of_earlier_runs_have_one_time_together(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"hunkwise-sidecar-{number}").mkdir()
    new_folder(tmp_path).wipe(50, count().__next__)
    assert 50 <= len(list(tmp_path.iterdir())) < 100
    new_folder(tmp_path).wipe()
    assert list(tmp_path.iterdir()) == []


def test_neither_a_link_nor_a_file_of_such_a_name_is_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    temporary = Path(tempfile.gettempdir())
    link = temporary / f"hunkwise-sidecar-link-{os.getpid()}"
    file = temporary / f"hunkwise-sidecar-file-{os.getpid()}"
    link.symlink_to(elsewhere)
    file.touch()
    try:
        new_folder().wipe()
        assert (elsewhere / "kept").is_file()
        assert (link.is_symlink(), file.is_file()) == (True, True)
    finally:
        link.unlink()
        file.unlink()


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
        clock = count()
        empty(opened, lambda: next(clock) >= looks)
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
