"""What goes wrong around the image is told in the job's log, with what to do about it."""

from __future__ import annotations

import signal

import pytest

from tests.end_to_end.test_model_faults import by_file
from tests.end_to_end.world import HEAD, finding, wait_until
from tests.fakes.model_script import Answer, report
from tests.image.container_world import ContainerWorld


def test_a_wrong_github_token_is_told(world: ContainerWorld) -> None:
    world.change()
    result = world.run({"github-token": "ghs_wrong"})
    assert result.code == 3
    assert "github-token" in " ".join(result.commands("error"))
    assert world.model.requests == []


def test_a_wrong_copilot_token_is_told(world: ContainerWorld) -> None:
    world.change()
    world.copilot.tokens = set()
    result = world.run_copilot()
    assert result.code == 3
    assert "copilot-token" in " ".join(result.commands("error"))


def test_a_broken_configuration_is_told_with_its_line(world: ContainerWorld) -> None:
    world.change({".github/hunkwise.yml": "version: 1\nfail-one: high\n", "app.py": "a = 1\n"}, HEAD)
    result = world.run()
    assert result.code == 2
    assert "fail-on" in " ".join(result.commands("error"))
    assert world.model.requests == []


def test_a_missing_event_file_is_told(world: ContainerWorld) -> None:
    world.change()
    result = world.run(without_event=True)
    assert result.code == 2
    assert "GITHUB_EVENT_PATH" in " ".join(result.commands("error"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_what_was_found_before_the_job_was_cancelled_is_published(
    world: ContainerWorld, number: signal.Signals
) -> None:
    """The runner signals the engine's client, which passes it on to the container."""
    world.parts(["slow.py", "quick.py"])
    world.answers(by_file({"slow.py": Answer(delay=100), "quick.py": report([finding("quick.py", 2)])}))
    step = world.container_step()
    with step.started() as process:
        journal = step.job.temp / "hunkwise" / "journal.jsonl"
        wait_until(
            lambda: journal.is_file() and world.model.in_flight == 1 and len(world.model.requests) == 2
        )
        process.send_signal(number)
        result = world.done(step.finish(process))
    assert result.code == 4, result.log + result.errors
    assert [comment.path for comment in world.github.comments] == ["quick.py"]
    assert not world.engine.is_there(step.container)
