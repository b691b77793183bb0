"""Checks the deadline against each thing that can hang, and the limits of untrusted texts."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.step import Result
from tests.end_to_end.step_checks import children_of, listening_ports
from tests.end_to_end.world import World, finding, wait_until
from tests.fakes.http_server import Dripping, serve
from tests.fakes.model_script import Answer, always, report

SOON = {"deadline": "0.1"}
"""Six seconds, far below the tests' own timeout."""
LATER = {"deadline": "0.15"}
"""Time to reach the part that hangs."""


def assert_deadline_error(result: Result, meanwhile: str) -> None:
    assert result.code == 3
    (error,) = result.commands("error")
    assert f"minutes) came while {meanwhile}" in error
    assert "Raise `deadline`" in error
    assert meanwhile in result.summary


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/pulls/1$"), ("GET", "/pulls/1/files$"), ("POST", "/graphql$")],
    ids=["pull request", "files", "conversation"],
)
def test_deadline_ends_slow_responses_of_github(world: World, method: str, path: str) -> None:
    world.change()
    with serve(Dripping(world.github, method, path)) as url:
        world.github_url = url
        assert_deadline_error(world.run(SOON), "the change was being read")
    assert world.model.requests == []


def test_deadline_ends_wait_for_silent_github(world: World) -> None:
    world.change()
    world.github.fault("GET", "/pulls/1$", delay=100, times=9)
    assert_deadline_error(world.run(SOON), "the change was being read")


def test_finds_stored_review_after_slow_response(world: World) -> None:
    world.change(script=report([finding()]))
    with serve(Dripping(world.github, "POST", "/pulls/1/reviews$")) as url:
        world.github_url = url
        result = world.run()
    assert result.code == 0
    assert len(world.github.reviews) == len(world.github.comments) == 1
    assert [found["where"] for found in result.report["findings"]] == ["inline"]


def test_deadline_ends_hanging_git(world: World) -> None:
    world.change()
    programs = world.folder / "programs"
    programs.mkdir()
    # Without exec, so that the sleeping child must be ended too.
    (programs / "git").write_text("#!/bin/sh\nsleep 300\nexit 1\n")
    (programs / "git").chmod(0o755)
    environ = {"PATH": f"{programs}:{os.environ['PATH']}"}
    result = world.run(SOON, workspace=world.repository.path, environ=environ)
    assert_deadline_error(result, "the change was being read")


@pytest.mark.nightly
def test_deadline_ends_endless_template(world: World) -> None:
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    config = "version: 1\nprompts:\n- name: mine\n  template: mine.md.j2\n"
    world.change({".github/hunkwise.yml": config, "mine.md.j2": endless}, {"app.py": "1\n"})
    assert_deadline_error(world.run(LATER), "the prompts were being written")


def sidecar_of(pid: int) -> int | None:
    """Returns the headless CLI among the descendants of a step."""
    for child in children_of(pid):
        if b"--headless" in Path(f"/proc/{child}/cmdline").read_bytes():
            return child
    return None


def stop_sidecar(process: subprocess.Popen[str]) -> None:
    os.kill(sidecar_of(process.pid) or 0, signal.SIGSTOP)


def test_deadline_ends_stopped_idle_cli(world: World) -> None:
    world.change()
    world.github.fault("GET", "/pulls/1$", delay=1)
    step = world.step(LATER)
    with step.started() as process:
        wait_until(lambda: listening_ports(sidecar_of(process.pid) or process.pid) != [])
        stop_sidecar(process)
        assert_deadline_error(world.record(step.finish(process)), "the Copilot CLI was being reached")


def test_deadline_ends_cli_stopped_in_a_turn(world: World) -> None:
    world.change(script=always(Answer(delay=200)))
    step = world.step({"deadline": "0.25"})
    result = world.run_until(step, lambda: world.model.in_flight == 1, stop_sidecar, code=3)
    assert "did not answer before the run's deadline" in result.error_text


def test_ends_cli_stopped_while_the_review_is_posted(world: World) -> None:
    world.change(script=report([finding()]))
    world.github.fault("POST", "/reviews$", delay=1)
    world.run_until(world.step(), world.review_is_sent, stop_sidecar, code=0)
    assert len(world.github.comments) == 1


def test_names_too_long_inputs_without_their_values(world: World) -> None:
    world.change()
    result = world.run({"config": "x" * 10_001, "github-token": "ghs_" + "y" * 10_000}, code=2)
    errors = result.commands("error")
    assert [text.partition(" has ")[0] for text in errors] == ['Input "github-token"', 'Input "config"']
    assert "yyy" not in result.log + result.summary


def test_too_large_configuration_is_an_error(world: World) -> None:
    world.change({".github/hunkwise.yml": "# x\n" * 600_000}, {"app.py": "1\n"})
    for workspace in (None, world.repository.path):
        result = world.run(workspace=workspace, code=2)
        assert "'.github/hunkwise.yml' has more than 2,000,000 bytes" in result.error_text
