"""Listeners of a port and processes of a home, read from `/proc`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hunkwise.copilot.procfs import end_stragglers, listens
from hunkwise.domain.model import Deadline
from tests.copilot.programs import alive

LISTEN = (
    "import socket, sys, time; s = socket.create_server((sys.argv[1], 0), "
    "family=socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET); "
    "print(s.getsockname()[1], flush=True); time.sleep(600)"
)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_listener_in_process_group_is_found(host: str, wrapped: bool) -> None:
    command = [sys.executable, "-c", LISTEN, host]
    if wrapped:
        command = ["/bin/sh", "-c", '"$@"; true', "sh", *command]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        assert listens(process.pid, port) is True
        assert listens(os.getpid(), port) is (os.getpgid(0) == process.pid)
        assert listens(process.pid, 1) is False
    finally:
        os.killpg(process.pid, 9)
        process.communicate()
    assert not alive(process.pid)


def test_other_listener_is_distinguished() -> None:
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        with socket.create_server(("127.0.0.1", 0)) as other:
            assert listens(process.pid, other.getsockname()[1]) is False
    finally:
        process.kill()
        process.wait()


def test_result_is_unknown_without_proc(tmp_path: Path) -> None:
    assert listens(1, 80, tmp_path) is None


def test_result_is_unknown_without_permission(tmp_path: Path) -> None:
    net = tmp_path / "net"
    net.mkdir()
    row = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1"
    other = row.replace(" 0A ", " 01 ").replace("4711", "4712")
    (net / "tcp").write_text(f"header\n{row}\n{other}\n")
    leader = 4_000_001
    assert listens(leader, 8080, tmp_path) is None
    files = tmp_path / str(leader) / "fd"
    files.mkdir(parents=True)
    assert listens(leader, 8080, tmp_path) is False
    (files / "3").write_text("no link")
    (files / "4").symlink_to("socket:[4711]")
    assert listens(leader, 8080, tmp_path) is True
    assert listens(leader, 8081, tmp_path) is False
    (tmp_path / "4000002").mkdir()
    assert listens(4_000_003, 8080, tmp_path) is None


_SLEEP = ["sleep", "600"]


def soon() -> Deadline:
    return Deadline(time.monotonic() + 10, time.monotonic)


def test_only_processes_with_home_or_cwd_in_folder_are_ended(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    for folder in (home / "inner", other):
        folder.mkdir(parents=True)
    path = os.environ["PATH"]
    by_home = subprocess.Popen(_SLEEP, env={"PATH": path, "HOME": str(home)}, start_new_session=True)
    there = subprocess.Popen(_SLEEP, env={"PATH": path}, cwd=home / "inner", start_new_session=True)
    unrelated = subprocess.Popen(_SLEEP, env={"PATH": path, "HOME": str(other)}, cwd=other)
    try:
        end_stragglers(home, soon(), last=False)
        assert (by_home.wait(10), there.wait(10)) == (-9, -9)
        assert unrelated.poll() is None
    finally:
        for process in (by_home, there, unrelated):
            process.kill()
            process.wait()


def test_nothing_is_ended_without_proc(tmp_path: Path) -> None:
    end_stragglers(tmp_path, soon(), last=True, proc=tmp_path / "no proc")
    (tmp_path / "2147483647").mkdir()
    (tmp_path / "self").mkdir()
    end_stragglers(tmp_path, soon(), last=True, proc=tmp_path)


def test_process_that_cannot_be_ended_is_not_awaited(tmp_path: Path) -> None:
    process = tmp_path / "2147483647"
    process.mkdir()
    (process / "environ").write_text(f"HOME={tmp_path}")
    end_stragglers(tmp_path, soon(), last=True, proc=tmp_path)
