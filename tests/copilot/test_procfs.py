"""Who listens on a port, as the kernel tells it."""

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
def test_a_process_or_one_of_its_group_is_known_to_listen(host: str, wrapped: bool) -> None:
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


def test_a_foreign_listener_is_told_apart() -> None:
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        with socket.create_server(("127.0.0.1", 0)) as foreign:
            assert listens(process.pid, foreign.getsockname()[1]) is False
    finally:
        process.kill()
        process.wait()


def test_where_there_is_no_proc_nothing_is_known(tmp_path: Path) -> None:
    assert listens(1, 80, tmp_path) is None


def test_files_that_may_not_be_seen_are_not_known(tmp_path: Path) -> None:
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


def test_whoever_names_the_home_or_works_in_it_is_ended_and_nobody_else(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    for folder in (home / "inner", other):
        folder.mkdir(parents=True)
    path = os.environ["PATH"]
    told = subprocess.Popen(_SLEEP, env={"PATH": path, "HOME": str(home)}, start_new_session=True)
    there = subprocess.Popen(_SLEEP, env={"PATH": path}, cwd=home / "inner", start_new_session=True)
    stranger = subprocess.Popen(_SLEEP, env={"PATH": path, "HOME": str(other)}, cwd=other)
    try:
        end_stragglers(home, soon(), last=False)
        assert (told.wait(10), there.wait(10)) == (-9, -9)
        assert stranger.poll() is None
    finally:
        for process in (told, there, stranger):
            process.kill()
            process.wait()


def test_where_the_kernel_tells_nothing_nobody_is_ended(tmp_path: Path) -> None:
    end_stragglers(tmp_path, soon(), last=True, proc=tmp_path / "no proc")
    (tmp_path / "2147483647").mkdir()
    (tmp_path / "self").mkdir()
    end_stragglers(tmp_path, soon(), last=True, proc=tmp_path)


def test_one_that_cannot_be_ended_is_not_waited_for(tmp_path: Path) -> None:
    process = tmp_path / "2147483647"
    process.mkdir()
    (process / "environ").write_text(f"HOME={tmp_path}")
    end_stragglers(tmp_path, soon(), last=True, proc=tmp_path)
