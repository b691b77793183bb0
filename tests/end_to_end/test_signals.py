"""Checks that a signal at any stage ends the sidecar and keeps what was found."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from functools import partial

import pytest

from tests.end_to_end.prompts import by_file
from tests.end_to_end.world import World, finding
from tests.fakes.model_script import Answer, always, report


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_posts_findings_from_before_the_signal(world: World, number: signal.Signals) -> None:
    world.change_parts(
        ["slow.py", "quick.py"],
        script=by_file({"slow.py": Answer(delay=100), "quick.py": report([finding("quick.py", 2)])}),
    )
    step = world.step()
    ready = partial(world.has_first_of_two_answers, step)
    result = world.run_until(step, ready, lambda process: process.send_signal(number), code=4)
    assert [comment.path for comment in world.github.comments] == ["quick.py"]
    assert result.reasons == {"slow.py": "the run was interrupted", "quick.py": None}
    assert "interrupted" in world.summary_comment


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("while the sidecar starts", signal.SIGINT),
        ("while the pull request is read", signal.SIGTERM),
        ("while the model answers", signal.SIGTERM),
    ],
)
def test_fails_when_stopped_before_the_first_finding(
    world: World, moment: str, number: signal.Signals
) -> None:
    world.change(script=always(Answer(delay=100)))
    step = world.step()
    if moment != "while the model answers":
        world.github.fault("GET", "/pulls/1$", delay=100)
    conditions: dict[str, Callable[[], bool]] = {
        # The folder is made before the process: the signal arrives between the two, or just after.
        "while the sidecar starts": lambda: any(step.temporary.glob("hunkwise-sidecar-*")),
        "while the pull request is read": lambda: len(world.github.journal) == 1,
        "while the model answers": lambda: world.model.in_flight == 1,
    }
    result = world.run_until(
        step, conditions[moment], lambda process: process.send_signal(number), code=3, pause=0
    )
    assert result.outputs["conclusion"] == "failure"
    assert "stopped" in result.summary
    asked = moment == "while the model answers"
    assert len(world.model.requests) == int(asked)
    assert [run.conclusion for run in world.github.check_runs] == ["cancelled"] * int(asked)


def test_completes_review_that_is_being_posted(world: World) -> None:
    world.change(script=report([finding()]))
    world.github.fault("POST", "/reviews$", delay=2)
    step = world.step()
    result = world.run_until(step, world.review_is_sent, subprocess.Popen.terminate, code=0)
    assert len(world.github.reviews) == 1
    assert result.outputs["review-url"]
