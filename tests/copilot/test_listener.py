"""Who listens on a port, as the kernel tells it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hunkwise.copilot.procfs import listens
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
