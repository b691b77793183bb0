"""Private folders: held while their process lives, and wiped by the next run where it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from hunkwise.copilot.home import Home, wipe_abandoned

_HOLDER = """
import sys
from hunkwise.copilot.home import Home
print(Home().path, flush=True)
sys.stdin.read()
"""


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
    home = Home()
    (home.path / "scratch").mkdir()
    assert home.path.name.startswith("hunkwise-sidecar-")
    assert home.path.stat().st_mode & 0o077 == 0
    home.wipe()
    home.wipe()
    assert not home.path.exists()
    assert list(Path(tempfile.gettempdir()).glob(f"*{home.path.name}")) == []


def test_the_home_of_a_run_that_was_killed_is_wiped_by_the_next_one() -> None:
    with another_run() as (run, path):
        wipe_abandoned(Path(tempfile.gettempdir()))
        assert (path / "session.json").is_file()
        run.send_signal(signal.SIGKILL)
        run.wait()
        wipe_abandoned(Path(tempfile.gettempdir()))
        assert not path.exists()


def test_a_home_of_our_own_is_not_taken_for_abandoned() -> None:
    home = Home()
    wipe_abandoned(Path(tempfile.gettempdir()))
    assert home.path.is_dir()
    home.wipe()


def test_what_there_is_no_time_for_is_left_to_the_next_run(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for number in range(300):
        (home.path / str(number)).mkdir()
    home.wipe(100, count().__next__)
    assert 150 < len(list(home.path.iterdir())) < 300
    wipe_abandoned(tmp_path, 100, count().__next__)
    assert 50 < len(list(home.path.iterdir())) < 200
    wipe_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_homes_of_earlier_runs_have_one_time_together(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"hunkwise-sidecar-{number}").mkdir()
    wipe_abandoned(tmp_path, 50, count().__next__)
    assert 50 <= len(list(tmp_path.iterdir())) < 100
    wipe_abandoned(tmp_path)
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
        wipe_abandoned(Path(tempfile.gettempdir()))
        assert (elsewhere / "kept").is_file()
        assert (link.is_symlink(), file.is_file()) == (True, True)
    finally:
        link.unlink()
        file.unlink()
