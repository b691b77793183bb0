"""The machine: old, missing, full and read-only things have their line and their remedy."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hunkwise.doctor import machine
from hunkwise.doctor.checks import State
from hunkwise.errors import RepositoryError


def says(text: str) -> Callable[[], str]:
    return lambda: text


def raises(error: Exception) -> Callable[[], str]:
    def raising() -> str:
        raise error

    return raising


@pytest.mark.parametrize(
    ("version", "state", "said"),
    [
        (says("git version 2.39.5\n"), State.OK, "2.39.5"),
        (says("git version 2.50.1 (Apple Git-155)"), State.OK, "2.50.1"),
        (says("git version 2.38.0.windows.1"), State.OK, "2.38.0.windows.1"),
        (says("git version 2.37.9"), State.FAULT, "git version 2.37.9 is older than 2.38."),
        (says("git version 1.99"), State.FAULT, "git version 1.99 is older than 2.38."),
        (says("hello"), State.FAULT, "`git --version` says 'hello', which is no version."),
        (raises(RepositoryError("git is gone.")), State.FAULT, "git is gone."),
    ],
)
def test_git_is_there_and_new_enough(version: Callable[[], str], state: State, said: str) -> None:
    check = machine.git_check(version, needed=True)
    assert (check.state, check.said) == (state, said)
    assert bool(check.remedy) is (state is not State.OK)
    if state is State.FAULT:
        assert machine.git_check(version, needed=False).state is State.WARNING


def test_python_is_named() -> None:
    assert machine.python_check().state is State.OK


def test_a_folder_for_temporary_files_is_there(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert machine.temporary_check({"TMPDIR": folder}, says(folder)).state is State.OK
    assert machine.temporary_check({}, says(folder)).state is State.OK
    other = machine.temporary_check({"TMPDIR": "/read-only"}, says("/tmp"))
    assert (other.state, other.said) == (
        State.WARNING,
        "/read-only cannot be written; /tmp is used instead.",
    )
    none = raises(FileNotFoundError(2, "No usable temporary directory found"))
    assert machine.temporary_check({}, none).state is State.FAULT
    assert machine.free_space(none) is None
    assert machine.free_space(says(folder)) is not None


@pytest.mark.parametrize(
    ("free", "state"), [(10 << 30, State.OK), (499 << 20, State.WARNING), (49 << 20, State.FAULT)]
)
def test_room_on_the_disk(free: int, state: State) -> None:
    assert machine.space_check(free, "/tmp").state is state


def test_reports_may_go_to_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert machine.reports_check(tmp_path / "deep" / "hunkwise").state is State.OK
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    check = machine.reports_check(tmp_path / "file" / "hunkwise")
    assert (check.state, "is not a folder" in check.said) == (State.WARNING, True)
    gone = machine.reports_check(Path("/proc/self/none"))
    assert gone.state is State.WARNING


def test_a_file_of_the_runner_is_tried_and_not_changed(tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.write_text("before\n")

    def state_of(path: str | os.PathLike[str] | None) -> State:
        environ = {} if path is None else {"GITHUB_OUTPUT": str(path)}
        return machine.runner_file_check("GITHUB_OUTPUT", environ, "outputs are lost").state

    assert state_of(output) is State.OK
    assert output.read_text() == "before\n"
    assert state_of(tmp_path / "new") is State.OK
    assert not (tmp_path / "new").exists()
    assert state_of(None) is State.WARNING
    assert state_of(tmp_path / "none" / "output") is State.WARNING
    assert state_of(tmp_path) is State.WARNING
    assert state_of(Path("/proc/none")) is State.WARNING
