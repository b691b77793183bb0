"""Checks that a review is posted on machines that lack something, or that the missing part is named."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.end_to_end.step import READ_TOKEN, Result, Step
from tests.end_to_end.world import World, finding
from tests.fakes.model_script import report

GONE = "/dev/null/gone"
"""A path that cannot exist and that not even root can create."""
FULL = "/dev/full"


def review(world: World, **given: object) -> Result:
    world.change(script=report([finding()]))
    return world.run(**given)  # type: ignore[arg-type]  # passed through


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
def test_posts_review_without(
    world: World, environ: dict[str, str], shell: str, missing: tuple[str, ...]
) -> None:
    result = review(world, environ=environ, shell=shell)
    assert result.code == 0
    assert len(world.github.comments) == 1
    assert [words for words in missing if words not in result.log] == []


@pytest.mark.parametrize(
    "shell",
    ["exec 1>&-", "exec 1>/dev/full", "exec 1> >(exec true); sleep 0.2", "exec 0<&- 1>&- 2>&-"],
    ids=["closed", "full", "broken pipe", "all closed"],
)
def test_posts_review_when_the_log_cannot_be_written(world: World, shell: str) -> None:
    result = review(world, shell=shell)
    assert result.code == 0
    assert result.log == ""
    assert len(world.github.comments) == 1
    assert result.outputs["conclusion"] == "success"


@pytest.mark.parametrize(
    ("summary", "temp", "level", "code"),
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
def test_names_fallback_level_that_was_written(
    world: World, summary: str | None, temp: str | None, level: str, code: int
) -> None:
    environ = {"GITHUB_STEP_SUMMARY": summary, "RUNNER_TEMP": temp}
    world.github.fault("POST", "/check-runs$", status=403, times=9)
    given = {name: value for name, value in environ.items() if value is not None}
    result = review(world, inputs={"github-token": READ_TOKEN}, environ=given)
    assert result.code == code
    warnings = result.warning_text
    assert ("the finding is in the job summary" in warnings) == (level == "summary")
    assert ("the finding is in the JSON report" in warnings) == (level == "report")
    assert ("in the log alone" in warnings) == (level == "")
    assert "It breaks." in " ".join([*result.commands("notice"), *result.commands("warning")])
    if temp is None:
        assert [found["where"] for found in result.report["findings"]] == [level]
    elif level:
        assert "Fault at" in result.summary
    assert json.loads(result.outputs["placement"]) == ({level: 1} if level else {})


def make_event(kind: str, step: Step) -> str:
    """Returns the path of an event file of that kind."""
    if kind.startswith("/"):
        return kind
    path = step.folder / "other-event"
    step.folder.mkdir(parents=True, exist_ok=True)
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "huge":
            with path.open("wb") as file:
                file.truncate(2**40)
        case _:
            path.write_bytes({"empty": b"", "binary": bytes(range(256)) * 40, "list": b"[]"}[kind])
    return str(path)


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
def test_names_unreadable_event_file(world: World, kind: str, words: str) -> None:
    world.change()
    step = world.step()
    step.environ["GITHUB_EVENT_PATH"] = make_event(kind, step)
    result = world.record(step.run(), code=2)
    (error,) = result.commands("error")
    assert words in error
    assert "the file that the runner wrote for this event" in error
    assert result.outputs["conclusion"] == "failure"
    assert world.github.journal == []


def test_fails_without_a_temporary_directory(world: World) -> None:
    world.change()
    result = world.run(shell="ulimit -f 0", code=3)
    assert "No usable temporary directory found" in result.error_text
    assert world.posted == ""


# In a namespace of its own, so that other processes do not see the disk. Where the kernel does not allow that, tests
# with a limit on file sizes replace these (tests/test_actions.py).
_CAN_MOUNT = subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode == 0


def mount_command(folder: str, options: str) -> str:
    return f"mkdir -p {folder}; mount -t tmpfs -o {options} none {folder}"


def fill_command(folder: str) -> str:
    return f"head -c 64k /dev/zero > {folder}/filler 2> /dev/null"


def disk_commands(disk: str, temporary: str, reports: str, home: str) -> str:
    """Returns the commands that prepare the disks of these folders."""
    match disk:
        case "full":
            mounts = [mount_command(folder, "size=16k") for folder in (temporary, reports)]
            return "; ".join([*mounts, fill_command(temporary), fill_command(reports)])
        case "read only":
            mounts = [mount_command(folder, "ro") for folder in (temporary, reports, home)]
            return "; ".join([*mounts, f"HOME={home}"])
        case _:
            # The CLI's last file before it asks: a disk that is full earlier is the first case.
            lock = f"{temporary}/hunkwise-sidecar-*/copilot/session-state/*/inuse.*.lock"
            begun = f"until ls {lock}; do sleep 0.05; done"
            return f"{mount_command(temporary, 'size=16k')}; ({begun}; {fill_command(temporary)}) > /dev/null 2>&1 &"


_MISSING = {
    "full": "report.json cannot be written (No space left",
    "read only": "report.json cannot be written (Read-only",
    "filled in mid-run": "",
}


@pytest.mark.parametrize("disk", _MISSING if _CAN_MOUNT else [])
def test_posts_review_with_full_or_read_only_disk(world: World, disk: str) -> None:
    """For the temporary files and the reports and, where it is read only, the home folder."""
    world.change(script=report([finding()]))
    step = world.step()
    environment = step.environment()
    step.shell = disk_commands(disk, environment["TMPDIR"], environment["RUNNER_TEMP"], f"{step.folder}/home")
    step.apart = True
    result = world.record(step.run(), code=0)
    assert len(world.github.comments) == 1
    assert _MISSING[disk] in result.log
    assert (result.outputs["report"] == "") == bool(_MISSING[disk])
