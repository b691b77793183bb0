"""Checks the image with fewer privileges than on GitHub."""

from __future__ import annotations

from typing import Any

import pytest

from tests.end_to_end.world import finding
from tests.fakes.model_script import report
from tests.image.container_world import ContainerWorld
from tests.image.runner_job import RUNNER_UID

_USER = str(RUNNER_UID)
_NO_NEW_PRIVILEGES = ("--security-opt", "no-new-privileges")


@pytest.mark.parametrize(
    "options",
    [("--cap-drop", "all"), ("--read-only", "--tmpfs", "/tmp")],
    ids=["without capabilities", "on a read-only root"],
)
def test_fails_when_sidecar_cannot_be_isolated(world: ContainerWorld, options: tuple[str, ...]) -> None:
    world.change()
    result = world.run(options=options, code=3)
    assert "could not be set apart" in result.error_text
    assert "as GitHub's runner does" in result.error_text
    assert world.model.requests == []
    assert world.posted == ""


_NEEDED = ("CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT")
_ADDED = [part for name in _NEEDED for part in ("--cap-add", name)]


@pytest.mark.parametrize(
    "given",
    [
        {"options": ("--user", _USER)},
        {"options": ("--user", f"{_USER}:{_USER}", "--cap-drop", "all", *_NO_NEW_PRIVILEGES)},
        {"options": ("--user", _USER, "--read-only", "--tmpfs", "/tmp")},
        {"options": ("--cap-drop", "all", *_ADDED, *_NO_NEW_PRIVILEGES)},
        {"read_only": ("/github/home",)},
    ],
    ids=[
        "another user",
        "another user without capabilities",
        "another user on a read-only root",
        "needed capabilities",
        "read-only home",
    ],
)
def test_reviews_with_fewer_privileges(world: ContainerWorld, given: dict[str, Any]) -> None:
    world.change(script=report([finding()]))
    result = world.run(**given, code=0)
    assert [comment.line for comment in world.github.comments] == [3]
    assert result.outputs["conclusion"] == "success"
