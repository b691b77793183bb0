"""Checks that the run after a killed one gives the same result as without the kill."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import pytest

from tests.end_to_end import step_checks
from tests.end_to_end.github_snapshot import Snapshot, snapshot
from tests.end_to_end.step import Result, Step
from tests.end_to_end.world import World, finding, report_call, wait_until
from tests.end_to_end.write_log import report_faults
from tests.fakes.model_script import REPORT_TOOL, Answer, ModelRequest

_CONVERSATION = "reviewThreads"
_RESOLVE = "resolveReviewThread"
_WITH_EVENT = r'"event": '
"""Distinguishes a submitted review from one that is begun."""


def lines(**marked: str) -> str:
    """Returns sixty lines: `at3="…"` replaces the third."""
    return "".join(f"{marked.get(f'at{number}', f'line {number}')}\n" for number in range(1, 61))


BASE = {"app.py": lines()}
OPENED = {"app.py": lines(at3="fault(A)", at15="fault(D, low)", at30="fault(B, high)")}
PUSHED = {"app.py": lines(at3="fixed", at15="fault(D, low)", at30="fault(B, high)", at50="fault(C)")}
INPUTS = {"max-comments": "2"}
"""The least severe of three findings goes into the body of the first review."""


def report_at_all_levels(request: ModelRequest) -> Answer:
    """Reports the marked faults, and one of the file as a whole."""
    reported = report_faults(request).tool_calls[0].arguments
    assert isinstance(reported, Mapping)
    return report_call(*reported["findings"], finding("app.py", 45, title="Fault Whole"))


def open_first(world: World) -> None:
    world.change(BASE, OPENED, script=report_at_all_levels)


class Killer:
    """Kills a step once, when it is called."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self._calls = 0

    def __call__(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def at_call(self, number: int) -> Callable[[], None]:
        """Returns a function whose n-th call kills."""

        def count() -> None:
            self._calls += 1
            if self._calls == number:
                self()

        return count


@dataclass(frozen=True)
class Moment:
    """The request at which a run is killed: before it takes effect, or before its response arrives."""

    name: str
    method: str
    path: str
    stored: bool = False
    body: str = ""
    number: int = 1
    declined: bool = False
    """GitHub declines the review at first, so that single comments are tried."""

    def order(self, world: World, kill: Killer) -> None:
        github = world.github
        if self.declined:
            github.fault("POST", "/reviews$", status=422, body={"message": "Unprocessable Entity"})
        github.when(
            self.method,
            self.path,
            kill.at_call(self.number),
            after=self.stored,
            times=self.number,
            body=self.body,
        )
        if not self.stored and self.method != "GET" and self.number == 1:
            github.fault(self.method, self.path, disconnect=True, asking=self.body)


DAILY = {"before the conclusion", "after the review", "before threads are resolved"}
"""Run in each run of the tests; the other moments run nightly."""
FIRST_REVIEW = (
    Moment("before the pull request is read", "GET", "/pulls/1$"),
    Moment("before the files are read", "GET", "/files$"),
    Moment("after the check run", "POST", "/check-runs$", stored=True),
    Moment("before the second read of the conversation", "POST", "/graphql", body=_CONVERSATION, number=2),
    Moment("after the comment on a file", "POST", "/pulls/1/comments$", stored=True),
    Moment("before the review", "POST", "/reviews$", body=_WITH_EVENT),
    Moment("after a test of comments", "POST", "/reviews$", True, r'^(?!.*"event": )', declined=True),
    Moment("after the review", "POST", "/reviews$", stored=True, body=_WITH_EVENT),
    Moment("before the conclusion", "PATCH", "/check-runs/", body="completed"),
    Moment("after the conclusion", "PATCH", "/check-runs/", stored=True, body="completed"),
    Moment("after the summary comment", "POST", "/issues/1/comments$", stored=True),
)
LATER_REVIEW = (
    Moment("after the review of a push", "POST", "/reviews$", stored=True),
    Moment("before threads are resolved", "POST", "/graphql", body=_RESOLVE),
    Moment("after threads are resolved", "POST", "/graphql", stored=True, body=_RESOLVE),
    Moment("after the summary is edited", "PATCH", "/issues/comments/", stored=True),
)


def parametrize(moments: Sequence[Moment]) -> pytest.MarkDecorator:
    nightly = [() if moment.name in DAILY else pytest.mark.nightly for moment in moments]
    params = [
        pytest.param(moment, id=moment.name, marks=marks)
        for moment, marks in zip(moments, nightly, strict=True)
    ]
    return pytest.mark.parametrize("moment", params)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Snapshot, Snapshot]]:
    """Yields the states after a first review and after the review of a push, without any kill."""
    with ExitStack() as stack:
        world = World(tmp_path_factory.mktemp("undisturbed"), stack)
        open_first(world)
        assert world.run(INPUTS).code == 0
        first = snapshot(world)
        world.push(PUSHED)
        assert world.run(INPUTS).code == 0
        yield first, snapshot(world)
        world.check()


def kill_step(world: World, order: Callable[[Killer], None], machine: Step | None = None) -> Step:
    """Runs and kills a step, on the machine of an earlier one if given, and waits for its processes."""
    kill = Killer()
    shared = {"TMPDIR": str(machine.temporary)} if machine else {}
    step = world.step(INPUTS, environ=shared)
    order(kill)
    with step.started() as process:
        kill.process = process
        process.wait(timeout=60)
        assert process.returncode == -signal.SIGKILL, process.communicate()
    wait_until(lambda: step_checks.processes_of((machine or step).temporary) == [])
    # Requests that it sent before are answered before faults for the next run are set up.
    wait_until(lambda: step_checks.connections_to(world.github_url) == 0 and world.github.underway == 0)
    return step


def run_again(world: World, machine: Step) -> Result:
    """Runs the same job once more on the same machine."""
    environ = {"GITHUB_RUN_ATTEMPT": "2", "TMPDIR": str(machine.temporary)}
    return world.run(INPUTS, environ=environ, process=True, code=0)


def test_reviews_have_finding_at_each_level(undisturbed: tuple[Snapshot, Snapshot]) -> None:
    first, then = undisturbed
    assert first.comments == (
        ("app.py", 3, "Fault A"),
        ("app.py", 30, "Fault B"),
        ("app.py", None, "Fault Whole"),
    )
    assert first.in_bodies == ("Fault D",)
    assert first.remembered == (
        ("Fault A", "inline"),
        ("Fault B", "inline"),
        ("Fault D", "body"),
        ("Fault Whole", "file"),
    )
    assert then.threads == (
        ("Fault A", True, 1),
        ("Fault B", False, 0),
        ("Fault C", False, 0),
        ("Fault Whole", False, 0),
    )


@parametrize(FIRST_REVIEW)
def test_completes_killed_first_review(
    world: World, undisturbed: tuple[Snapshot, Snapshot], moment: Moment
) -> None:
    open_first(world)
    step = kill_step(world, partial(moment.order, world))
    run_again(world, step)
    assert snapshot(world) == undisturbed[0]


@parametrize(LATER_REVIEW)
def test_completes_killed_later_review(
    world: World, undisturbed: tuple[Snapshot, Snapshot], moment: Moment
) -> None:
    open_first(world)
    world.run(INPUTS, code=0)
    world.push(PUSHED)
    step = kill_step(world, partial(moment.order, world))
    run_again(world, step)
    assert snapshot(world) == undisturbed[1]


def test_run_killed_before_its_first_request_leaves_no_process(
    world: World, undisturbed: tuple[Snapshot, Snapshot]
) -> None:
    open_first(world)
    step = world.step(INPUTS)
    with step.started() as process:
        wait_until(lambda: any(step.temporary.glob("hunkwise-sidecar-*")), pause=0)
        process.kill()
        process.wait()
    assert world.github.journal == []
    wait_until(lambda: step_checks.processes_of(step.temporary) == [])
    run_again(world, step)
    assert snapshot(world) == undisturbed[0]


@pytest.mark.nightly
def test_completes_review_killed_while_the_model_answers(
    world: World, undisturbed: tuple[Snapshot, Snapshot]
) -> None:
    open_first(world)

    def order(kill: Killer) -> None:
        def answer(request: ModelRequest) -> Answer:
            kill()
            return Answer(text=f"Nobody receives {REPORT_TOOL}.")

        world.answer_with(answer)

    step = kill_step(world, order)
    world.answer_with(report_at_all_levels)
    run_again(world, step)
    assert snapshot(world) == undisturbed[0]


@pytest.mark.nightly
def test_completes_review_killed_at_each_moment_in_turn(
    world: World, undisturbed: tuple[Snapshot, Snapshot]
) -> None:
    open_first(world)
    first, *others = [moment for moment in FIRST_REVIEW if not moment.declined]
    machine = kill_step(world, partial(first.order, world))
    for moment in others:
        kill_step(world, partial(moment.order, world), machine)
    run_again(world, machine)
    assert list(machine.temporary.glob("hunkwise-sidecar*")) == [], "it wipes what the killed ones left"
    assert snapshot(world) == undisturbed[0]
