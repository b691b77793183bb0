"""One deadline holds, whatever hangs: GitHub in each phase, git, a template, the CLI; and foreign texts have caps."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.end_to_end.step import Result
from tests.end_to_end.test_model_faults import children_of
from tests.end_to_end.world import World, finding, wait_until
from tests.fakes.http_server import Dripping, serve
from tests.fakes.model_script import Answer, always, report

SOON = {"deadline": "0.1"}
"""Six seconds: the tests' own end of time is far behind it."""


LATER = {"deadline": "0.15"}
"""Time to get to what then hangs."""


def assert_late(result: Result, meanwhile: str) -> None:
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
def test_a_github_that_drips_while_it_is_read_is_left_at_the_deadline(
    world: World, method: str, path: str
) -> None:
    world.change()
    with serve(Dripping(world.github, method, path)) as url:
        world.github_url = url
        assert_late(world.run(SOON), "the change was being read")
    assert world.model.requests == []


def test_a_github_that_is_silent_is_left_at_the_deadline(world: World) -> None:
    world.change()
    world.github.fault("GET", "/pulls/1$", delay=100, times=9)
    assert_late(world.run(SOON), "the change was being read")


def test_a_review_of_whose_storing_github_tells_too_slowly_is_found_and_not_repeated(world: World) -> None:
    world.change()
    world.answers(report([finding()]))
    with serve(Dripping(world.github, "POST", "/pulls/1/reviews$")) as url:
        world.github_url = url
        result = world.run()
    assert result.code == 0
    assert len(world.github.reviews) == len(world.github.comments) == 1
    assert [found["where"] for found in result.report["findings"]] == ["inline"]


def test_a_git_that_hangs_is_ended_with_the_run(world: World) -> None:
    world.change()
    programs = world.folder / "programs"
    programs.mkdir()
    # It does not become the sleeper: that one must be ended too.
    (programs / "git").write_text("#!/bin/sh\nsleep 300\nexit 1\n")
    (programs / "git").chmod(0o755)
    environ = {"PATH": f"{programs}:{os.environ['PATH']}"}
    result = world.run(SOON, workspace=world.repository.path, environ=environ)
    assert_late(result, "the change was being read")


@pytest.mark.nightly
def test_a_template_that_does_not_end_is_ended_with_the_run(world: World) -> None:
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    config = "version: 1\nprompts:\n- name: mine\n  template: mine.md.j2\n"
    world.change({".github/hunkwise.yml": config, "mine.md.j2": endless}, {"app.py": "1\n"})
    assert_late(world.run(LATER), "the prompts were being written")


def sidecar_of(pid: int) -> int | None:
    """The headless CLI among the descendants of a step."""
    for child in children_of(pid):
        if b"--headless" in Path(f"/proc/{child}/cmdline").read_bytes():
            return child
    return None


def test_a_cli_that_is_stopped_while_it_is_idle_is_left_at_the_deadline(world: World) -> None:
    world.change()
    world.github.fault("GET", "/pulls/1$", delay=1)
    step = world.step(LATER)
    with step.started() as process:
        wait_until(lambda: sidecar_of(process.pid) is not None)
        os.kill(sidecar_of(process.pid) or 0, signal.SIGSTOP)
        assert_late(world.done(step.finish(process)), "the Copilot CLI was being reached")


def test_a_cli_that_is_stopped_in_a_turn_is_left_at_the_deadline(world: World) -> None:
    world.change()
    world.answers(always(Answer(delay=200)))
    step = world.step({"deadline": "0.25"})
    with step.started() as process:
        wait_until(lambda: world.model.in_flight == 1)
        os.kill(sidecar_of(process.pid) or 0, signal.SIGSTOP)
        result = world.done(step.finish(process))
    assert result.code == 3
    assert "did not answer before the run's deadline" in " ".join(result.commands("error"))


def test_a_cli_that_is_stopped_while_the_review_is_posted_is_ended_all_the_same(world: World) -> None:
    world.change()
    world.answers(report([finding()]))
    world.github.fault("POST", "/reviews$", delay=1)
    step = world.step()
    with step.started() as process:
        wait_until(lambda: any(request.path.endswith("/reviews") for request in world.github.journal))
        os.kill(sidecar_of(process.pid) or 0, signal.SIGSTOP)
        result = world.done(step.finish(process))
    assert result.code == 0
    assert len(world.github.comments) == 1


def test_inputs_that_are_too_long_are_named_and_not_shown(world: World) -> None:
    world.change()
    result = world.run({"config": "x" * 10_001, "github-token": "ghs_" + "y" * 10_000})
    assert result.code == 2
    said = result.commands("error")
    assert [text.partition(" has ")[0] for text in said] == ['Input "github-token"', 'Input "config"']
    assert "yyy" not in result.log + result.summary


def test_a_file_at_the_base_that_is_too_large_is_not_taken_for_missing(world: World) -> None:
    world.change({".github/hunkwise.yml": "# x\n" * 600_000}, {"app.py": "1\n"})
    for workspace in (None, world.repository.path):
        result = world.run(workspace=workspace)
        assert result.code == 2
        assert "'.github/hunkwise.yml' has more than 2,000,000 bytes" in " ".join(result.commands("error"))
