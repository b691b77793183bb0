"""Processes that outlive the CLI that started them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from hunkwise.copilot.procfs import end_stragglers

_SLEEP = ["sleep", "600"]


def test_whoever_names_the_home_or_works_in_it_is_ended_and_nobody_else(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    for folder in (home / "inner", other):
        folder.mkdir(parents=True)
    path = os.environ["PATH"]
    told = subprocess.Popen(_SLEEP, env={"PATH": path, "HOME": str(home)}, start_new_session=True)
    there = subprocess.Popen(_SLEEP, env={"PATH": path}, cwd=home / "inner", start_new_session=True)
    stranger = subprocess.Popen(_SLEEP, env={"PATH": path, "HOME": str(other)}, cwd=other)
    try:
        end_stragglers(home)
        assert (told.wait(10), there.wait(10)) == (-9, -9)
        assert stranger.poll() is None
    finally:
        for process in (told, there, stranger):
            process.kill()
            process.wait()


def test_where_the_kernel_tells_nothing_nobody_is_ended(tmp_path: Path) -> None:
    end_stragglers(tmp_path, tmp_path / "no proc")
    (tmp_path / "2147483647").mkdir()
    (tmp_path / "self").mkdir()
    end_stragglers(tmp_path, tmp_path)


def test_one_that_cannot_be_ended_is_not_waited_for(tmp_path: Path) -> None:
    process = tmp_path / "2147483647"
    process.mkdir()
    (process / "environ").write_text(f"HOME={tmp_path}")
    end_stragglers(tmp_path, tmp_path)
