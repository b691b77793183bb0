"""A run that is killed at any moment: the next one ends as if it had never been, with nothing lost or doubled."""

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
from tests.end_to_end.world import World, finding, said, wait_until
from tests.end_to_end.write_log import stubborn
from tests.fakes.model_script import REPORT_TOOL, Answer, ModelRequest

_CONVERSATION = "reviewThreads"
_RESOLVE = "resolveReviewThread"
_IN_LINE = r'"event": '
"""Tells a review from one that is begun and not submitted yet."""


def lines(**marked: str) -> str:
    """Sixty lines: `at3="…"` replaces the third."""
    return "".join(f"{marked.get(f'at{number}', f'line {number}')}\n" for number in range(1, 61))


BASE = {"app.py": lines()}
OPENED = {"app.py": lines(at3="fault(A)", at15="fault(D, low)", at30="fault(B, high)")}
PUSHED = {"app.py": lines(at3="mended", at15="fault(D, low)", at30="fault(B, high)", at50="fault(C)")}
INPUTS = {"max-comments": "2"}
"""The least severe of three goes into the body of the first review."""


def on_every_rung(request: ModelRequest) -> Answer:
    """Beside what `stubborn` reports, a fault of the file as a whole."""
    told = stubborn(request).tool_calls[0].arguments
    assert isinstance(told, Mapping)
    return said(*told["findings"], finding("app.py", 45, title="Fault Whole"))


def open_one(world: World) -> None:
    world.answers(on_every_rung)
    world.change(BASE, OPENED)


def push_one(world: World) -> None:
    """One fault is mended, and there is a new one."""
    world.repository.commit(PUSHED)
    world.github.push(1, "feature")


class Killer:
    """Kills a step, once, at whatever moment it is called."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self._calls = 0

    def __call__(self) -> None:
        assert self.process is not None, "it asks nothing before it was started"
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def at_call(self, number: int) -> Callable[[], None]:
        """Kills at the n-th of its moments."""

        def count() -> None:
            self._calls += 1
            if self._calls == number:
                self()

        return count


@dataclass(frozen=True)
class Moment:
    """When a run is killed: at a request that never takes effect, or at one whose answer never arrives."""

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


DAILY = {"the check run is to end", "the review stands", "threads are to be resolved"}
"""Tried in each run of the tests; the other moments are tried nightly."""
FIRST_REVIEW = (
    Moment("the pull request is asked for", "GET", "/pulls/1$"),
    Moment("the files are asked for", "GET", "/files$"),
    Moment("the check run stands", "POST", "/check-runs$", stored=True),
    Moment("the conversation is read again", "POST", "/graphql", body=_CONVERSATION, number=2),
    Moment("the comment on a file stands", "POST", "/pulls/1/comments$", stored=True),
    Moment("the review is sent", "POST", "/reviews$", body=_IN_LINE),
    Moment("a question about comments stands", "POST", "/reviews$", True, r'^(?!.*"event": )', declined=True),
    Moment("the review stands", "POST", "/reviews$", stored=True, body=_IN_LINE),
    Moment("the check run is to end", "PATCH", "/check-runs/", body="completed"),
    Moment("the check run has ended", "PATCH", "/check-runs/", stored=True, body="completed"),
    Moment("the summary stands", "POST", "/issues/1/comments$", stored=True),
)
LATER_REVIEW = (
    Moment("the review of a push stands", "POST", "/reviews$", stored=True),
    Moment("threads are to be resolved", "POST", "/graphql", body=_RESOLVE),
    Moment("threads are resolved", "POST", "/graphql", stored=True, body=_RESOLVE),
    Moment("the summary is edited", "PATCH", "/issues/comments/", stored=True),
)


def each(moments: Sequence[Moment]) -> pytest.MarkDecorator:
    nightly = [() if moment.name in DAILY else pytest.mark.nightly for moment in moments]
    params = [
        pytest.param(moment, id=moment.name, marks=marks)
        for moment, marks in zip(moments, nightly, strict=True)
    ]
    return pytest.mark.parametrize("moment", params)


@pytest.fixture(scope="module")
def unharmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Snapshot, Snapshot]]:
    """What stands after a first review and after that of a push, where nobody kills anything."""
    with ExitStack() as stack:
        world = World(tmp_path_factory.mktemp("unharmed"), stack)
        open_one(world)
        assert world.run(INPUTS).code == 0
        first = snapshot(world)
        push_one(world)
        assert world.run(INPUTS).code == 0
        yield first, snapshot(world)
        world.check()


def killed(world: World, order: Callable[[Killer], None], machine: Step | None = None) -> Step:
    """A step that was killed, and left no process behind; on the machine that an earlier one ran on, if named."""
    kill = Killer()
    shared = {"TMPDIR": str(machine.temporary)} if machine else {}
    step = world.step(INPUTS, environ=shared)
    order(kill)
    with step.started() as process:
        kill.process = process
        process.wait(timeout=60)
        assert process.returncode == -signal.SIGKILL, process.communicate()
    wait_until(lambda: step_checks.processes_of((machine or step).temporary) == [])
    # What it sent before it died comes in, and is answered, before anything is ordered for the next run.
    wait_until(lambda: step_checks.connections_to(world.github_url) == 0 and world.github.underway == 0)
    return step


def again(world: World, machine: Step) -> Result:
    """The same job once more, on the same machine."""
    environ = {"GITHUB_RUN_ATTEMPT": "2", "TMPDIR": str(machine.temporary)}
    return world.run(INPUTS, environ=environ, process=True)


def test_the_story_has_a_finding_on_every_rung(unharmed: tuple[Snapshot, Snapshot]) -> None:
    first, then = unharmed
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


@each(FIRST_REVIEW)
def test_a_first_review_that_is_killed_is_made_good(
    world: World, unharmed: tuple[Snapshot, Snapshot], moment: Moment
) -> None:
    open_one(world)
    step = killed(world, partial(moment.order, world))
    assert again(world, step).code == 0
    assert snapshot(world) == unharmed[0]


@each(LATER_REVIEW)
def test_a_later_review_that_is_killed_is_made_good(
    world: World, unharmed: tuple[Snapshot, Snapshot], moment: Moment
) -> None:
    open_one(world)
    assert world.run(INPUTS).code == 0
    push_one(world)
    step = killed(world, partial(moment.order, world))
    assert again(world, step).code == 0
    assert snapshot(world) == unharmed[1]


def test_a_run_that_is_killed_before_its_first_request_leaves_nothing(
    world: World, unharmed: tuple[Snapshot, Snapshot]
) -> None:
    open_one(world)
    step = world.step(INPUTS)
    with step.started() as process:
        wait_until(lambda: any(step.temporary.glob("hunkwise-sidecar-*")), pause=0)
        process.kill()
        process.wait()
    assert world.github.journal == []
    wait_until(lambda: step_checks.processes_of(step.temporary) == [])
    assert again(world, step).code == 0
    assert snapshot(world) == unharmed[0]


@pytest.mark.nightly
def test_a_run_that_is_killed_while_the_model_answers_is_made_good(
    world: World, unharmed: tuple[Snapshot, Snapshot]
) -> None:
    open_one(world)

    def order(kill: Killer) -> None:
        def answer(request: ModelRequest) -> Answer:
            kill()
            return Answer(text=f"Nobody hears of {REPORT_TOOL}.")

        world.answers(answer)

    step = killed(world, order)
    world.answers(on_every_rung)
    assert again(world, step).code == 0
    assert snapshot(world) == unharmed[0]


@pytest.mark.nightly
def test_a_run_that_is_killed_at_every_moment_in_turn_says_everything_once(
    world: World, unharmed: tuple[Snapshot, Snapshot]
) -> None:
    open_one(world)
    first, *others = [moment for moment in FIRST_REVIEW if not moment.declined]
    machine = killed(world, partial(first.order, world))
    for moment in others:
        killed(world, partial(moment.order, world), machine)
        assert len(list(machine.temporary.glob("hunkwise*"))) == 1, "each run wipes what the last one left"
    assert again(world, machine).code == 0
    assert snapshot(world) == unharmed[0]
