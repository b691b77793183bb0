"""What is measured, what it must stay under, and what the peer takes for a change of the same shape."""

from __future__ import annotations

from dataclasses import dataclass

from bench.changes import Shape


@dataclass(frozen=True, slots=True)
class Goal:
    """What the median must reach. `at_least` turns the direction round."""

    limit: float
    at_least: bool = False

    def met(self, median: float) -> bool:
        return median >= self.limit if self.at_least else median <= self.limit


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a case. `peer` is pr-agent 0.49.0's on the same shape, where it was measured."""

    name: str
    unit: str
    goal: Goal | None = None
    peer: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """Something that is run several times. `name` is what `--only` takes."""

    name: str
    title: str
    measures: tuple[Measure, ...]
    runs: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewCase(_Case):
    """Whole runs of the action. Latencies in seconds, before each answer."""

    shape: Shape
    api_latency: float = 0.0
    model_latency: float = 0.0
    checkout: bool = True
    """Whether the workflow checked the repository out, with its history."""
    checked: bool = False
    """With the second opinion and the summary, as by default; else the questions over the diff alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainCase(_Case):
    """A whole run of the action, and another of the same pull request, to which nothing happened since."""

    shape: Shape
    checkout: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCase(_Case):
    """A large change, read from git and planned."""

    shape: Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportCase(_Case):
    """The import of the SDK, the largest part of a run's start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerCase(_Case):
    """Whole runs of the image, as GitHub's runner runs it. Latencies in seconds, before each answer."""

    shape: Shape
    api_latency: float = 0.0
    model_latency: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteCase(_Case):
    """The tests, as `make test` runs them."""


Case = ReviewCase | AgainCase | PlanCase | ImportCase | ContainerCase | SuiteCase


POSTED, WALL = "start to review posted", "whole run"
PROCESSOR = "processor time, CLI included"
FIRST_GITHUB, FIRST_MODEL = "start to first GitHub request", "start to first model request"
OWN_MEMORY, SIDECAR_MEMORY = "own peak memory", "sidecar peak memory"
BOTH_MEMORY = "both peaks together"
REQUESTS, CALLS, CHARACTERS = "GitHub requests", "model calls", "prompt characters"
CALLS_A_LINE, CHARACTERS_A_LINE = "model calls a 1,000 lines", "characters a changed line"
COMMON_PREFIX = "common prefix of the prompts"
COVERAGE, COMMENTS = "changed lines covered", "inline comments"
FIRST_REQUESTS, AGAIN_REQUESTS = "requests, first review", "requests, identical second run"
AGAIN_WRITES, AGAIN_CALLS = "writes, identical second run", "model calls, second run"
AGAIN_WALL = "identical second run"
PLAN, PLAN_DIFF, PLAN_MEMORY, CHUNKS = "plan", "of it, git's diff", "peak memory", "chunks"
ENTRY_MODEL = "entrypoint to first model request"
IMPORT = "import copilot"
SUITE, SUITE_PROCESSOR, SUITE_TESTS = "make test", "processor time of all processes", "tests"

_SMALL, _MEDIUM = Shape(11, 199, 16), Shape(62, 1_094, 1_507)
_LARGE, _MANY, _HUGE = Shape(314, 28_311, 3_009), Shape(1_200, 40_000, 12_000), Shape(4_000, 240_000, 60_000)
_SLIM = Shape(4_000, 24_000, 8_000)
_EVERYTHING = Goal(100, at_least=True)
_MEMORY = Goal(500)


def _review(
    *, posted: Measure | None = None, wall: Measure | None = None, first: Goal | None = None,
    own: Measure | None = None, coverage: Measure | None = None, requests: Measure | None = None,
    calls: float | None = None, characters: float | None = None, github: float | None = None,
    memory: Goal | None = None,
) -> tuple[Measure, ...]:  # fmt: skip
    return (
        posted or Measure(POSTED, "s"),
        Measure(FIRST_GITHUB, "s", peer=github),
        Measure(FIRST_MODEL, "s", first),
        wall or Measure(WALL, "s"),
        Measure(PROCESSOR, "s"),
        own or Measure(OWN_MEMORY, "MB"),
        Measure(SIDECAR_MEMORY, "MB"),
        Measure(BOTH_MEMORY, "MB", memory),
        coverage or Measure(COVERAGE, "%"),
        requests or Measure(REQUESTS, ""),
        Measure(CALLS, "", peer=calls),
        Measure(CHARACTERS, "", peer=characters),
        Measure(CALLS_A_LINE, ""),
        Measure(CHARACTERS_A_LINE, ""),
        Measure(COMMON_PREFIX, "%"),
        Measure(COMMENTS, ""),
    )


def _again(first: int, again: int = 5) -> tuple[Measure, ...]:
    """GitHub requests of the first review, and of the one after it."""
    return (
        Measure(FIRST_REQUESTS, "", Goal(first), 47),
        Measure(AGAIN_REQUESTS, "", Goal(again)),
        Measure(AGAIN_WRITES, "", Goal(0)),
        Measure(AGAIN_CALLS, "", Goal(0)),
        Measure(AGAIN_WALL, "s"),
    )


CASES: tuple[Case, ...] = (
    ReviewCase(
        name="small",
        title=f"small pull request ({_SMALL}), no latency",
        measures=_review(
            posted=Measure(POSTED, "s", Goal(2.5), 6.8),
            first=Goal(1.9),
            own=Measure(OWN_MEMORY, "MB", Goal(200), 297),
            coverage=Measure(COVERAGE, "%", _EVERYTHING, 100),
            requests=Measure(REQUESTS, "", peer=47),
            calls=1,
            characters=27_356,
            github=4.1,
        ),
        shape=_SMALL,
    ),
    ReviewCase(
        name="small-100ms",
        title=f"small pull request ({_SMALL}), 100 ms a GitHub request",
        measures=_review(
            posted=Measure(POSTED, "s", Goal(3.5), 11.4), requests=Measure(REQUESTS, "", peer=47)
        ),
        shape=_SMALL,
        api_latency=0.1,
    ),
    ReviewCase(
        name="small-bare",
        title=f"small pull request ({_SMALL}), 100 ms a GitHub request, nothing checked out",
        measures=_review(),
        runs=3,
        shape=_SMALL,
        api_latency=0.1,
        checkout=False,
    ),
    AgainCase(
        name="again", title=f"small pull request ({_SMALL}), twice", measures=_again(8), runs=3, shape=_SMALL
    ),
    AgainCase(
        name="again-bare",
        title=f"small pull request ({_SMALL}), twice, nothing checked out",
        measures=_again(11, 6),  # the base, AGENTS.md in folders, and the code around the changes
        runs=3,
        shape=_SMALL,
        checkout=False,
    ),
    ReviewCase(
        name="medium",
        title=f"medium pull request ({_MEDIUM}), model latency 2 s",
        measures=_review(
            wall=Measure(WALL, "s", Goal(5.0), 9.0),
            coverage=Measure(COVERAGE, "%", _EVERYTHING, 49),
            requests=Measure(REQUESTS, "", Goal(10), 121),
            calls=1,
            characters=120_902,
            github=4.1,
        ),
        shape=_MEDIUM,
        model_latency=2.0,
    ),
    ReviewCase(
        name="large",
        title=f"large pull request ({_LARGE}), model latency 2 s",
        measures=_review(
            wall=Measure(WALL, "s", Goal(12.0)),
            coverage=Measure(COVERAGE, "%", _EVERYTHING),
            requests=Measure(REQUESTS, "", Goal(12), 123),
            calls=1,
            characters=117_764,
            github=3.9,
        ),
        runs=3,
        shape=_LARGE,
        model_latency=2.0,
    ),
    ReviewCase(
        name="small-checked",
        title=f"small pull request ({_SMALL}), no latency, with second opinion and summary",
        measures=_review(coverage=Measure(COVERAGE, "%", _EVERYTHING)),
        runs=5,
        shape=_SMALL,
        model_latency=0.0,
        checked=True,
    ),
    ReviewCase(
        name="medium-checked",
        title=f"medium pull request ({_MEDIUM}), model latency 2 s, with second opinion and summary",
        measures=_review(coverage=Measure(COVERAGE, "%", _EVERYTHING)),
        runs=3,
        shape=_MEDIUM,
        model_latency=2.0,
        checked=True,
    ),
    ReviewCase(
        name="large-checked",
        title=f"large pull request ({_LARGE}), model latency 2 s, with second opinion and summary",
        measures=_review(coverage=Measure(COVERAGE, "%", _EVERYTHING)),
        runs=3,
        shape=_LARGE,
        model_latency=2.0,
        checked=True,
    ),
    ReviewCase(
        name="many",
        title=f"many files ({_MANY}), model latency 2 s",
        measures=_review(coverage=Measure(COVERAGE, "%", _EVERYTHING)),
        runs=1,
        shape=_MANY,
        model_latency=2.0,
    ),
    ReviewCase(
        name="huge",
        title=f"a few lines in each of very many files ({_SLIM})",
        measures=_review(coverage=Measure(COVERAGE, "%", _EVERYTHING), memory=_MEMORY),
        runs=1,
        shape=_SLIM,
    ),
    PlanCase(
        name="plan",
        title=f"plan alone ({_HUGE})",
        measures=(
            Measure(PLAN, "s", Goal(3.0)),
            Measure(PLAN_DIFF, "s"),
            Measure(PLAN_MEMORY, "MB", Goal(400)),
            Measure(CHUNKS, ""),
        ),
        runs=3,
        shape=_HUGE,
    ),
    ImportCase(
        name="import",
        title="importing the SDK, fresh processes",
        measures=(Measure(IMPORT, "s"),),
    ),
    ContainerCase(
        name="container",
        title=f"small pull request ({_SMALL}) in the container, from the engine's call",
        measures=(
            Measure(ENTRY_MODEL, "s", Goal(2.5)),
            Measure(FIRST_MODEL, "s"),
            Measure(POSTED, "s"),
            Measure(WALL, "s"),
            Measure(OWN_MEMORY, "MB"),
            Measure(SIDECAR_MEMORY, "MB"),
            Measure(COVERAGE, "%", _EVERYTHING),
            Measure(COMMENTS, ""),
        ),
        shape=_SMALL,
    ),
    SuiteCase(
        name="suite",
        title="the tests, installed before",
        measures=(
            Measure(SUITE, "s", Goal(600)),
            Measure(SUITE_PROCESSOR, "s"),
            Measure(SUITE_TESTS, ""),
        ),
        runs=1,
    ),
)
