"""Isolation: a table of attempts that all held, or the controls that are missing."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from hunkwise.copilot.isolation_probe import ProbeAttempt
from hunkwise.doctor.checks import CheckState
from hunkwise.doctor.machine import attempt_checks, docker_check, shared_user_checks


def test_every_attempt_is_a_line_and_one_that_succeeded_a_fault() -> None:
    held = ProbeAttempt("read it", "No such file or directory", True)
    open_door = ProbeAttempt("trace it", "it could", False)
    whole = list(attempt_checks([held, held], 10001))
    assert [check.state for check in whole] == [CheckState.OK] * 3
    assert "2 of 2 controls held" in whole[0].said
    broken = list(attempt_checks([held, open_door], 10001))
    assert [check.state for check in broken] == [CheckState.FAULT, CheckState.OK, CheckState.FAULT]
    assert all(check.remedy for check in broken if check.state is CheckState.FAULT)
    assert [check.state for check in attempt_checks([], 10001)] == [CheckState.FAULT]


@pytest.mark.parametrize(("in_image", "remedy"), [(True, "as root"), (False, "container action")])
def test_what_is_missing_elsewhere_is_said_with_how_to_get_it(in_image: bool, remedy: str) -> None:
    found = {
        check.name: check for check in shared_user_checks(in_image=in_image, listener=True, started=True)
    }
    assert found["Listener"].state is CheckState.OK
    for name in ("Own user", "Own root folder"):
        assert found[name].state is CheckState.WARNING
        assert remedy in found[name].remedy


@pytest.mark.parametrize(("started", "why"), [(True, "kernel"), (False, "no CLI")])
def test_a_listener_that_nobody_could_check_is_not_called_checked(started: bool, why: str) -> None:
    found = {
        check.name: check for check in shared_user_checks(in_image=False, listener=None, started=started)
    }
    assert (found["Listener"].state, why in found["Listener"].said) == (CheckState.UNCHECKED, True)


def test_dockers_socket_is_seen_and_never_connected_to(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    assert docker_check([path]).said == "is not there"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)
        assert docker_check([path]).state is CheckState.WARNING
        with pytest.raises(BlockingIOError):
            listener.accept()
        path.chmod(0)
        expected = CheckState.WARNING if os.geteuid() == 0 else CheckState.OK
        assert docker_check([path]).state is expected
