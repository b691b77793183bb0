"""The image with less than GitHub gives it: it goes on where it may, and else it says why not."""

from __future__ import annotations

import pytest

from tests.end_to_end.step import Result
from tests.end_to_end.world import finding
from tests.fakes.model_script import report
from tests.image.container_world import ContainerWorld
from tests.image.runner_job import RUNNER_UID

_USER = str(RUNNER_UID)


def assert_set_apart_or_not_at_all(world: ContainerWorld, result: Result) -> None:
    """The sidecar could not be set apart, and so no model was asked."""
    assert result.code == 3, result.log + result.errors
    said = " ".join(result.commands("error"))
    assert "could not be set apart" in said
    assert "as GitHub's runner does" in said
    assert world.model.requests == []
    assert world.posted == ""


def test_without_capabilities_no_sidecar_is_started(world: ContainerWorld) -> None:
    world.change()
    result = world.run(options=("--cap-drop", "all"))
    assert_set_apart_or_not_at_all(world, result)


def test_on_a_root_that_cannot_be_written_no_sidecar_is_started(world: ContainerWorld) -> None:
    world.change()
    result = world.run(options=("--read-only", "--tmpfs", "/tmp"))
    assert_set_apart_or_not_at_all(world, result)


@pytest.mark.parametrize(
    "options",
    [
        ("--user", _USER),
        ("--user", f"{_USER}:{_USER}", "--cap-drop", "all", "--security-opt", "no-new-privileges"),
        ("--user", _USER, "--read-only", "--tmpfs", "/tmp"),
    ],
    ids=["alone", "without capabilities", "on a read-only root"],
)
def test_a_user_who_is_not_root_gets_a_review(world: ContainerWorld, options: tuple[str, ...]) -> None:
    world.change()
    world.answers(report([finding()]))
    result = world.run(options=options)
    assert result.code == 0, result.log + result.errors
    assert [comment.line for comment in world.github.comments] == [3]
    assert result.outputs["conclusion"] == "success"


def test_no_new_privileges_and_the_capabilities_that_are_needed_suffice(world: ContainerWorld) -> None:
    world.change()
    world.answers(report([finding()]))
    needed = ("CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT")
    added = [part for name in needed for part in ("--cap-add", name)]
    result = world.run(options=("--cap-drop", "all", *added, "--security-opt", "no-new-privileges"))
    assert result.code == 0, result.log + result.errors


def test_a_home_that_cannot_be_written_is_not_needed(world: ContainerWorld) -> None:
    world.change()
    world.answers(report([finding()]))
    result = world.run(read_only=("/github/home",))
    assert result.code == 0, result.log + result.errors
    assert [comment.line for comment in world.github.comments] == [3]
