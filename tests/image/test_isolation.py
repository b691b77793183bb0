"""Checks the sidecar's isolation in the image: by attempts of its user, and by the kernel's data."""

from __future__ import annotations

import json
from pathlib import Path

from tests.end_to_end.world import wait_until
from tests.fakes.model_script import Answer, always
from tests.image.container_world import ContainerWorld
from tests.image.process_times import child_named

_UID = "10001"
_REQUIRED_ATTEMPTS = (
    "list /github/workspace",
    "list /github/home",
    "list /github/workflow",
    "list /github/file_commands",
    "list /github/runner_temp",
    "connect to /var/run/docker.sock",
    "open /proc/1/environ",
    "open /proc/1/mem",
    "become root",
    "change the root folder again",
    "win privileges by a program",
)


def test_doctor_reports_all_controls_ok(world: ContainerWorld, figures: list[str]) -> None:
    world.change()
    step = world.container_step(arguments=("doctor", "--format", "json"))
    with step.started() as process:
        log, errors = process.communicate(timeout=120)
    doctor_report = json.loads(log)
    attempts = [one for one in doctor_report["checks"] if one["section"] == "Isolation"]
    assert [one for one in attempts if one["state"] != "ok"] == [], errors
    assert [name for name in _REQUIRED_ATTEMPTS if name not in [one["name"] for one in attempts]] == []
    assert process.returncode == 0, log
    assert [request.path for request in world.model.requests] == []
    assert world.github.writes == []
    width = max(len(one["name"]) for one in attempts)
    figures += ["What the sidecar's user attempted, and the results:"]
    figures += [f"  {one['name']:<{width}}  {one['said']}" for one in attempts]


def test_running_sidecar_has_no_privileges(world: ContainerWorld) -> None:
    world.change(script=always(Answer(delay=100)))
    step = world.container_step()
    with step.started() as process:
        wait_until(lambda: world.model.in_flight == 1)
        first = world.engine.process_id(step.container)
        status = status_of(child_named(first, "copilot-runtime"))
        world.engine.remove(step.container)
        process.communicate(timeout=60)
    for ids in ("Uid", "Gid"):
        assert set(status[ids].split()) == {_UID}
    assert status["Groups"].split() == []
    assert status["NoNewPrivs"] == "1"
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name


def test_sidecars_user_owns_no_files(world: ContainerWorld) -> None:
    code = """
import os, stat
for folder, folders, files in os.walk("/"):
    if folder in ("/proc", "/sys", "/dev"):
        folders.clear()
        continue
    for name in (*folders, *files):
        path = os.path.join(folder, name)
        found = os.lstat(path)
        shared = stat.S_ISLNK(found.st_mode) or found.st_mode & stat.S_ISVTX
        if found.st_uid == 10001 or found.st_gid == 10001 or (found.st_mode & 0o002 and not shared):
            print(path)
"""
    assert world.engine.python(code) == ""


def test_no_program_gives_privileges(world: ContainerWorld) -> None:
    code = """
import os
for folder, _, files in os.walk("/opt/hunkwise"):
    for name in files:
        path = os.path.join(folder, name)
        if os.lstat(path).st_mode & 0o6000 or "security.capability" in os.listxattr(path, follow_symlinks=False):
            print(path)
"""
    assert world.engine.python(code) == ""


def status_of(process: int) -> dict[str, str]:
    """Returns the fields of /proc/…/status."""
    rows = [row.partition(":") for row in Path(f"/proc/{process}/status").read_text().splitlines()]
    return {name: value.strip() for name, _, value in rows}
