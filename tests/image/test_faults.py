"""Checks errors of runs in the image."""

from __future__ import annotations

import signal
from functools import partial

import pytest

from tests.end_to_end.prompts import by_file
from tests.end_to_end.world import HEAD, finding
from tests.fakes.model_script import Answer, report
from tests.image.container_world import ContainerWorld


def test_reports_wrong_tokens(world: ContainerWorld) -> None:
    world.change()
    result = world.run({"github-token": "ghs_wrong"}, code=3)
    assert "github-token" in result.error_text
    assert world.model.requests == []
    world.copilot.tokens = set()
    assert "copilot-token" in world.run_copilot(code=3).error_text


def test_reports_invalid_configuration_and_missing_event(world: ContainerWorld) -> None:
    world.change({".github/hunkwise.yml": "version: 1\nfail-one: high\n", "app.py": "a = 1\n"}, HEAD)
    assert "fail-on" in world.run(code=2).error_text
    assert "GITHUB_EVENT_PATH" in world.run(without_event=True, code=2).error_text
    assert world.model.requests == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_posts_findings_from_before_the_cancellation(world: ContainerWorld, number: signal.Signals) -> None:
    """The runner signals the engine's client, which passes it on to the container."""
    world.change_parts(
        ["slow.py", "quick.py"],
        script=by_file({"slow.py": Answer(delay=100), "quick.py": report([finding("quick.py", 2)])}),
    )
    step = world.container_step()
    ready = partial(world.has_first_of_two_answers, step)
    world.run_until(step, ready, lambda process: process.send_signal(number), code=4)
    assert [comment.path for comment in world.github.comments] == ["quick.py"]
    assert not world.engine.is_there(step.container)
