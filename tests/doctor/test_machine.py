"""Checks of the machine: versions, folders, disk space, isolation and Docker."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from hunkwise.copilot.isolation_probe import ProbeAttempt
from hunkwise.doctor import machine
from hunkwise.doctor.checks import CheckState
from hunkwise.doctor.machine import attempt_checks, docker_check, shared_user_checks
from hunkwise.errors import RepositoryError
from tests.pages import page


def returns(text: str) -> Callable[[], str]:
    return lambda: text


def raises(error: Exception) -> Callable[[], str]:
    def raising() -> str:
        raise error

    return raising


@pytest.mark.parametrize(
    ("version", "state", "expected"),
    [
        (returns("git version 2.39.5\n"), CheckState.OK, "2.39.5"),
        (returns("git version 2.50.1 (Apple Git-155)"), CheckState.OK, "2.50.1"),
        (returns("git version 2.38.0.windows.1"), CheckState.OK, "2.38.0.windows.1"),
        (returns("git version 2.37.9"), CheckState.FAULT, "git version 2.37.9 is older than 2.38."),
        (returns("git version 1.99"), CheckState.FAULT, "git version 1.99 is older than 2.38."),
        (returns("hello"), CheckState.FAULT, "`git --version` says 'hello', which is no version."),
        (raises(RepositoryError("git is missing.")), CheckState.FAULT, "git is missing."),
    ],
)
def test_git_is_present_and_new_enough(version: Callable[[], str], state: CheckState, expected: str) -> None:
    check = machine.git_check(version, needed=True)
    assert (check.state, check.said) == (state, expected)
    assert bool(check.remedy) is (state is not CheckState.OK)
    if state is CheckState.FAULT:
        assert machine.git_check(version, needed=False).state is CheckState.WARNING


def test_python_version_is_reported() -> None:
    assert machine.python_check().state is CheckState.OK


def test_temporary_folder_is_checked(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert machine.temporary_check({"TMPDIR": folder}, returns(folder)).state is CheckState.OK
    assert machine.temporary_check({}, returns(folder)).state is CheckState.OK
    other = machine.temporary_check({"TMPDIR": "/read-only"}, returns("/tmp"))
    assert (other.state, other.said) == (
        CheckState.WARNING,
        "/read-only cannot be written; /tmp is used instead.",
    )
    none = raises(FileNotFoundError(2, "No usable temporary directory found"))
    assert machine.temporary_check({}, none).state is CheckState.FAULT
    assert machine.free_space(none) is None
    assert machine.free_space(returns(folder)) is not None


@pytest.mark.parametrize(
    ("free", "state"),
    [(10 << 30, CheckState.OK), (499 << 20, CheckState.WARNING), (49 << 20, CheckState.FAULT)],
)
def test_free_disk_space_is_checked(free: int, state: CheckState) -> None:
    assert machine.space_check(free, "/tmp").state is state


def test_report_folder_may_be_missing(tmp_path: Path) -> None:
    assert machine.reports_check(tmp_path / "deep" / "hunkwise").state is CheckState.OK
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    check = machine.reports_check(tmp_path / "file" / "hunkwise")
    assert (check.state, "is not a folder" in check.said) == (CheckState.WARNING, True)
    missing = machine.reports_check(Path("/proc/self/none"))
    assert missing.state is CheckState.WARNING


def test_runner_file_is_checked_and_not_changed(tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.write_text("before\n")

    def state_of(path: str | os.PathLike[str] | None) -> CheckState:
        environ = {} if path is None else {"GITHUB_OUTPUT": str(path)}
        return machine.runner_file_check("GITHUB_OUTPUT", environ, "outputs are lost").state

    assert state_of(output) is CheckState.OK
    assert output.read_text() == "before\n"
    assert state_of(tmp_path / "new") is CheckState.OK
    assert not (tmp_path / "new").exists()
    assert state_of(None) is CheckState.WARNING
    assert state_of(tmp_path / "none" / "output") is CheckState.WARNING
    assert state_of(tmp_path) is CheckState.WARNING
    assert state_of(Path("/proc/none")) is CheckState.WARNING


def test_every_escape_attempt_is_a_line_and_successful_one_a_fault() -> None:
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
def test_missing_isolation_is_reported_with_remedy(in_image: bool, remedy: str) -> None:
    found = {
        check.name: check for check in shared_user_checks(in_image=in_image, listener=True, started=True)
    }
    assert found["Listener"].state is CheckState.OK
    for name in ("Own user", "Own root folder"):
        assert found[name].state is CheckState.WARNING
        assert remedy in found[name].remedy


@pytest.mark.parametrize(("started", "why"), [(True, "kernel"), (False, "no CLI")])
def test_unverified_listener_is_unchecked(started: bool, why: str) -> None:
    found = {
        check.name: check for check in shared_user_checks(in_image=False, listener=None, started=started)
    }
    assert (found["Listener"].state, why in found["Listener"].said) == (CheckState.UNCHECKED, True)


def test_docker_socket_is_detected_without_connecting(tmp_path: Path) -> None:
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


@pytest.mark.parametrize(("system", "warnings"), [("linux", 0), ("darwin", 1)])
def test_losses_on_macos_are_reported_as_on_the_page(system: str, warnings: int) -> None:
    checks = list(machine.system_checks(system))
    assert [check.state for check in checks] == [CheckState.WARNING] * warnings
    assert machine.MACOS_LOSSES in " ".join(page("docs/install.md").split())
