"""Machines that lack something: the review goes out on the rungs that work, or it is told what is missing."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable

import pytest

from tests.end_to_end.step import READ_TOKEN, Result, Step
from tests.end_to_end.world import World, finding
from tests.fakes.model_script import report

GONE = "/dev/null/gone"
"""Not there, and nobody can make it, not even root."""
FULL = "/dev/full"


def reviewed(world: World, **given: object) -> Result:
    world.change()
    world.answers(report([finding()]))
    return world.run(**given)  # type: ignore[arg-type]  # handed on as they come


@pytest.mark.parametrize(
    ("environ", "shell", "missing"),
    [
        (
            {"GITHUB_OUTPUT": GONE, "GITHUB_STEP_SUMMARY": GONE, "RUNNER_TEMP": GONE},
            "",
            (
                "GITHUB_OUTPUT names a file that cannot be written (Not a directory)",
                "GITHUB_STEP_SUMMARY names a file that cannot be written (Not a directory)",
                "report.json cannot be written (Not a directory)",
            ),
        ),
        (
            {"GITHUB_OUTPUT": FULL, "GITHUB_STEP_SUMMARY": FULL, "RUNNER_TEMP": "/proc/gone"},
            "",
            (
                "GITHUB_OUTPUT names a file that cannot be written (No space left",
                "GITHUB_STEP_SUMMARY names a file that cannot be written (No space left",
                "report.json cannot be written (No such file",
            ),
        ),
        ({"GITHUB_OUTPUT": "", "GITHUB_WORKSPACE": ""}, "", ("GITHUB_OUTPUT is not set",)),
        ({"TMPDIR": "/proc", "HOME": GONE, "GITHUB_WORKSPACE": GONE}, "", ()),
        ({"TMPDIR": GONE, "HOME": ""}, "", ()),
        ({}, "ulimit -n 64; ulimit -v 4000000; exec 0<&- 2>&-", ()),
    ],
    ids=["files", "full files", "unset files", "folders", "unset home", "limits and closed streams"],
)
def test_a_review_goes_out_without(
    world: World, environ: dict[str, str], shell: str, missing: tuple[str, ...]
) -> None:
    result = reviewed(world, environ=environ, shell=shell)
    assert result.code == 0
    assert len(world.github.comments) == 1
    assert [words for words in missing if words not in result.log] == []


@pytest.mark.parametrize(
    "shell",
    ["exec 1>&-", "exec 1>/dev/full", "exec 1> >(exec true); sleep 0.2", "exec 0<&- 1>&- 2>&-"],
    ids=["closed", "full", "broken pipe", "all closed"],
)
def test_a_log_that_takes_nothing_costs_neither_review_nor_exit_code(world: World, shell: str) -> None:
    result = reviewed(world, shell=shell)
    assert result.code == 0
    assert result.log == ""
    assert len(world.github.comments) == 1
    assert result.outputs["conclusion"] == "success"


@pytest.mark.parametrize(
    ("summary", "temp", "rung", "code"),
    [
        (None, None, "summary", 0),
        (FULL, None, "report", 0),
        ("/dev/null", None, "report", 0),
        (GONE, None, "report", 0),
        (None, GONE, "summary", 0),
        (FULL, GONE, "", 4),
    ],
    ids=["both", "full summary", "swallowed summary", "no summary", "no report", "neither"],
)
def test_a_rung_is_named_only_where_it_holds(
    world: World, summary: str | None, temp: str | None, rung: str, code: int
) -> None:
    environ = {"GITHUB_STEP_SUMMARY": summary, "RUNNER_TEMP": temp}
    world.github.fault("POST", "/check-runs$", status=403, times=9)
    given = {name: value for name, value in environ.items() if value is not None}
    result = reviewed(world, inputs={"github-token": READ_TOKEN}, environ=given)
    assert result.code == code
    warnings = " ".join(result.commands("warning"))
    assert ("1 in the job summary" in warnings) == (rung == "summary")
    assert ("1 in the JSON report" in warnings) == (rung == "report")
    assert ("in the log alone" in warnings) == (rung == "")
    assert "It breaks." in " ".join([*result.commands("notice"), *result.commands("warning")])
    if temp is None:
        assert [found["where"] for found in result.report["findings"]] == [rung]
    elif rung:
        assert "Fault at" in result.summary
    assert json.loads(result.outputs["placement"]) == ({rung: 1} if rung else {})


def made(kind: str) -> Callable[[Step], str]:
    """Something of that kind in the event's place, by its path."""

    def make(step: Step) -> str:
        path = step.folder / "other-event"
        step.folder.mkdir(parents=True, exist_ok=True)
        match kind:
            case "folder":
                path.mkdir()
            case "pipe":
                os.mkfifo(path)
            case "empty":
                path.touch()
            case "binary":
                path.write_bytes(bytes(range(256)) * 40)
            case "huge":
                with path.open("wb") as file:
                    file.truncate(2**40)
            case "list":
                path.write_text("[]")
            case _:
                return kind
        return str(path)

    return make


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (GONE, "cannot be read (Not a directory)"),
        ("/nowhere", "cannot be read (No such file or directory)"),
        ("folder", "cannot be read (Is a directory)"),
        ("pipe", "cannot be read (it is no regular file)"),
        ("/dev/zero", "cannot be read (it is no regular file)"),
        ("empty", "is not JSON"),
        ("binary", "is not JSON"),
        ("huge", "has more than 26,214,400 bytes"),
        ("list", "has no object at its top"),
    ],
)
def test_an_event_that_is_none_is_named_with_what_belongs_there(world: World, kind: str, words: str) -> None:
    world.change()
    step = world.step()
    step.environ["GITHUB_EVENT_PATH"] = made(kind)(step)
    result = world.done(step.run())
    assert result.code == 2
    (error,) = result.commands("error")
    assert words in error
    assert "the file that the runner wrote for this event" in error
    assert result.outputs["conclusion"] == "failure"
    assert world.github.journal == []


def test_a_machine_on_which_nothing_can_be_written_is_told_so(world: World) -> None:
    world.change()
    result = world.run(shell="ulimit -f 0")
    assert result.code == 3
    assert "No usable temporary directory found" in " ".join(result.commands("error"))
    assert world.posted == ""


# In a namespace of its own, so that nobody else sees the disk. Where the kernel gives none to us, a file's largest
# size is what stands for a full disk (tests/test_actions.py, tests/test_actions.py).
_CAN_MOUNT = subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode == 0


def mounted(folder: str, options: str) -> str:
    return f"mkdir -p {folder}; mount -t tmpfs -o {options} none {folder}"


def filled(folder: str) -> str:
    return f"head -c 64k /dev/zero > {folder}/filler 2> /dev/null"


def shell_of(disk: str, temporary: str, reports: str, home: str) -> str:
    """What makes the disks of these folders so."""
    match disk:
        case "full":
            mounts = [mounted(folder, "size=16k") for folder in (temporary, reports)]
            return "; ".join([*mounts, filled(temporary), filled(reports)])
        case "read only":
            mounts = [mounted(folder, "ro") for folder in (temporary, reports, home)]
            return "; ".join([*mounts, f"HOME={home}"])
        case _:
            begun = f"until ls {temporary}/hunkwise-sidecar-*/copilot; do sleep 0.05; done"
            return f"{mounted(temporary, 'size=16k')}; ({begun}; {filled(temporary)}) > /dev/null 2>&1 &"


_MISSING = {
    "full": "report.json cannot be written (No space left",
    "read only": "report.json cannot be written (Read-only",
    "filled in mid-run": "",
}


@pytest.mark.parametrize("disk", _MISSING if _CAN_MOUNT else [])
def test_a_disk_that_is_full_or_read_only_costs_no_review(world: World, disk: str) -> None:
    """The disk of temporary files, that of the reports and, where it is read only, that of the home."""
    world.change()
    world.answers(report([finding()]))
    step = world.step()
    environment = step.environment()
    step.shell = shell_of(disk, environment["TMPDIR"], environment["RUNNER_TEMP"], f"{step.folder}/home")
    step.apart = True
    result = world.done(step.run())
    assert result.code == 0
    assert len(world.github.comments) == 1
    assert _MISSING[disk] in result.log
    assert (result.outputs["report"] == "") == bool(_MISSING[disk])
