"""Signals at every stage: the sidecar goes, its home is wiped, and what was found is kept."""

from __future__ import annotations

import signal

import pytest

from tests.end_to_end.test_model_faults import by_file
from tests.end_to_end.world import World, finding, wait_until
from tests.fakes.model_script import Answer, always, report

BOTH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)


@BOTH
def test_what_was_found_before_a_signal_is_published(world: World, number: signal.Signals) -> None:
    world.parts(["slow.py", "quick.py"])
    world.answers(by_file({"slow.py": Answer(delay=100), "quick.py": report([finding("quick.py", 2)])}))
    step = world.step()
    with step.started() as process:
        journal = step.folder / "temp/hunkwise/journal.jsonl"
        wait_until(
            lambda: journal.is_file() and world.model.in_flight == 1 and len(world.model.requests) == 2
        )
        process.send_signal(number)
        result = world.done(step.finish(process))
    assert result.code == 4
    assert [comment.path for comment in world.github.comments] == ["quick.py"]
    reasons = {file["path"]: file["reason"] for file in result.report["coverage"]["files"]}
    assert reasons == {"slow.py": "the run was interrupted", "quick.py": None}
    assert "interrupted" in world.summary_comment


def test_a_signal_before_anything_was_found_makes_no_review(world: World) -> None:
    world.change()
    world.answers(always(Answer(delay=100)))
    step = world.step()
    with step.started() as process:
        wait_until(lambda: world.model.in_flight == 1)
        process.send_signal(signal.SIGTERM)
        result = world.done(step.finish(process))
    assert result.code == 3
    assert "stopped" in result.summary


def test_a_signal_while_the_sidecar_starts_leaves_nothing_behind(world: World) -> None:
    world.change()
    world.github.fault("GET", "/pulls/1$", delay=100)
    step = world.step()
    with step.started() as process:
        # The folder is made before the process: the signal falls between the two, or just after.
        wait_until(lambda: any(step.temporary.glob("hunkwise-sidecar-*")), pause=0)
        process.send_signal(signal.SIGINT)
        result = world.done(step.finish(process))
    assert result.code == 3
    assert result.outputs["conclusion"] == "failure"
    assert "stopped" in result.summary


def test_a_signal_while_the_pull_request_is_fetched_leaves_nothing_behind(world: World) -> None:
    world.change()
    world.github.fault("GET", "/pulls/1$", delay=100)
    step = world.step()
    with step.started() as process:
        wait_until(lambda: len(world.github.journal) == 1)
        process.send_signal(signal.SIGTERM)
        result = world.done(step.finish(process))
    assert result.code == 3
    assert world.model.requests == []


def test_a_signal_while_the_review_is_posted_does_not_lose_it(world: World) -> None:
    world.change()
    world.answers(report([finding()]))
    world.github.fault("POST", "/reviews$", delay=2)
    step = world.step()
    with step.started() as process:
        wait_until(lambda: any(request.path.endswith("/reviews") for request in world.github.journal))
        process.send_signal(signal.SIGTERM)
        result = world.done(step.finish(process))
    assert result.code == 0
    assert len(world.github.reviews) == 1
    assert result.outputs["review-url"]
