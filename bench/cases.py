"""The benchmark's cases: measures, goals, and figures of pr-agent 0.49.0 for changes of the same size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bench.changes import Shape
from bench.history import CLONE_CHANGED, CLONE_FILES, COMMITS, FILES

POSTED, REPLIED, WALL = "start to review posted", "start to reply posted", "whole run"
PROCESSOR = "processor time, CLI included"
FIRST_GITHUB, FIRST_MODEL = "start to first GitHub request", "start to first model request"
OWN_MEMORY, SIDECAR_MEMORY = "own peak memory", "sidecar peak memory"
BOTH_MEMORY = "both peaks together"
REQUESTS, WRITES = "GitHub requests", "of them writes"
CALLS, CHARACTERS = "model calls", "prompt characters"
CALLS_A_LINE, CHARACTERS_A_LINE = "model calls a 1,000 lines", "characters a changed line"
COMMON_PREFIX = "common prefix of the prompts"
COVERAGE, COMMENTS = "changed lines covered", "inline comments"
FIRST_REQUESTS, AGAIN_REQUESTS = "requests, first review", "requests, identical second run"
AGAIN_WRITES, AGAIN_CALLS = "writes, identical second run", "model calls, second run"
AGAIN_WALL = "identical second run"
PLAN_GIT, PLAN_PROCESSOR = "of it, git's files and log", "processor time, git included"
GIT_MEMORY, MEMORY_TOGETHER = "git's peak memory", "both at the same time"
QUESTIONS = "questions of a lap"
LAP, LONGEST_SHARD, MERGE = "all jobs, one after another", "longest shard", "merge"
PLAN_REQUESTS, RUN_REQUESTS, MERGE_REQUESTS = (
    f"GitHub requests, {job}" for job in ("plan", "all shards", "merge")
)
PLAN, PLAN_DIFF, PLAN_MEMORY, CHUNKS = "plan", "of it, git's diff", "peak memory", "chunks"
FIRST_OUTPUT = "start to first line of output"
ENTRY_MODEL = "entrypoint to first model request"
IMPORT = "import copilot"
DELIVERIES, DELIVERY, SLOW_DELIVERY = "webhooks a second", "webhook answered", "99 of 100 answered"
WEBHOOK_MODEL, WEBHOOK_POSTED = "webhook to first model request", "webhook to review posted"
QUEUED, DRAINED = "jobs queued", "jobs done"
ONE_SERVER, TWO_SERVERS = "on one server", "on two servers"
SERVER_MEMORY = "a server's peak memory, 300 questions"
SUITE, SUITE_PROCESSOR, SUITE_TESTS = "make test", "processor time of all processes", "tests"

Kind = Literal[
    "review",
    "local",
    "again",
    "command",
    "plan",
    "audit-plan",
    "audit-lap",
    "import",
    "container",
    "webhooks",
    "webhook",
    "drain",
    "servers",
    "suite",
]
UNITS: Mapping[Kind, Mapping[str, str]] = {
    "review": {
        **dict.fromkeys((POSTED, FIRST_GITHUB, FIRST_MODEL, WALL, PROCESSOR), "s"),
        **dict.fromkeys((OWN_MEMORY, SIDECAR_MEMORY, BOTH_MEMORY), "MB"),
        COVERAGE: "%",
        **dict.fromkeys((REQUESTS, CALLS, CHARACTERS, CALLS_A_LINE, CHARACTERS_A_LINE), ""),
        COMMON_PREFIX: "%",
        COMMENTS: "",
    },
    "local": dict.fromkeys((FIRST_OUTPUT, FIRST_MODEL, WALL), "s"),
    "again": {
        **dict.fromkeys((FIRST_REQUESTS, AGAIN_REQUESTS, AGAIN_WRITES, AGAIN_CALLS), ""),
        AGAIN_WALL: "s",
    },
    "command": {
        **dict.fromkeys((REPLIED, FIRST_GITHUB, FIRST_MODEL, WALL), "s"),
        **dict.fromkeys((REQUESTS, WRITES, CALLS, CHARACTERS), ""),
    },
    "plan": {PLAN: "s", PLAN_DIFF: "s", PLAN_MEMORY: "MB", CHUNKS: ""},
    "audit-plan": {
        **dict.fromkeys((PLAN, PLAN_GIT, PLAN_PROCESSOR), "s"),
        **dict.fromkeys((OWN_MEMORY, GIT_MEMORY, MEMORY_TOGETHER), "MB"),
        QUESTIONS: "",
    },
    "audit-lap": {
        **dict.fromkeys((LAP, PLAN, LONGEST_SHARD, MERGE), "s"),
        **dict.fromkeys((PLAN_REQUESTS, RUN_REQUESTS, MERGE_REQUESTS, CALLS, CHARACTERS), ""),
    },
    "import": {IMPORT: "s"},
    "container": {
        **dict.fromkeys((ENTRY_MODEL, FIRST_MODEL, POSTED, WALL), "s"),
        **dict.fromkeys((OWN_MEMORY, SIDECAR_MEMORY), "MB"),
        COVERAGE: "%",
        COMMENTS: "",
    },
    "webhooks": {DELIVERIES: "", DELIVERY: "ms", SLOW_DELIVERY: "ms", OWN_MEMORY: "MB"},
    "webhook": {DELIVERY: "ms", WEBHOOK_MODEL: "s", WEBHOOK_POSTED: "s"},
    "drain": {QUEUED: "s", DRAINED: "s"},
    "servers": {ONE_SERVER: "s", TWO_SERVERS: "s", SERVER_MEMORY: "MB"},
    "suite": {SUITE: "s", SUITE_PROCESSOR: "s", SUITE_TESTS: ""},
}
"""The measures of each kind of case, in the order of the table, with their units."""
_SMALL, _MEDIUM = Shape(11, 199, 16), Shape(62, 1_094, 1_507)
_LARGE, _MANY, _HUGE = Shape(314, 28_311, 3_009), Shape(1_200, 40_000, 12_000), Shape(4_000, 240_000, 60_000)
_SLIM = Shape(4_000, 24_000, 8_000)
_ALL_LINES = {COVERAGE: 100}


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a case. `peer` is pr-agent's on the same shape, where it was measured."""

    name: str
    unit: str
    goal: float | None = None
    peer: float | None = None

    @property
    def goal_is_at_least(self) -> bool:
        """Whether the median must reach the goal instead of staying below it."""
        return self.name == COVERAGE and self.goal is not None

    def is_met(self, median: float) -> bool | None:
        """Returns None where there is no goal."""
        if self.goal is None:
            return None
        return median >= self.goal if self.goal_is_at_least else median <= self.goal


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Something that is run several times. `name` is an argument of `--only`. Latencies are seconds.

    A `review` is a whole run of the action, `local` one of `hunkwise review` in a clone, `again` two of the same pull
    request, a `command` the answer to a comment, `plan` reads a change from git and plans it, `audit-plan` plans an
    audit, `audit-lap` reads a whole repository in 8 shards, `import` imports the SDK, a `container` runs the image as
    GitHub's runner does, `webhooks` sends many to the service, `webhook` one that starts a review, `drain` runs many
    jobs that do nothing, `servers` asks Copilot CLIs that run as servers, `suite` is `make test`.
    """

    kind: Kind
    name: str
    title: str
    goals: Mapping[str, float] = field(default_factory=dict)
    peers: Mapping[str, float] = field(default_factory=dict)
    runs: int = 5
    shape: Shape = _SMALL
    api_latency: float = 0.0
    model_latency: float = 0.0
    checkout: bool = True
    """Whether the workflow checked the repository out, with its history."""
    checked: bool = False
    """Whether double-check and summary are on, as by default."""

    @property
    def measures(self) -> list[Measure]:
        units = UNITS[self.kind]
        return [
            Measure(name, unit, self.goals.get(name), self.peers.get(name)) for name, unit in units.items()
        ]


CASES = (
    Case(
        kind="review",
        name="small",
        title=f"small pull request ({_SMALL}), no latency",
        goals={POSTED: 2.5, FIRST_MODEL: 1.9, OWN_MEMORY: 200, **_ALL_LINES},
        peers={
            POSTED: 6.8,
            FIRST_GITHUB: 4.1,
            OWN_MEMORY: 297,
            COVERAGE: 100,
            REQUESTS: 47,
            CALLS: 1,
            CHARACTERS: 27_356,
        },
    ),
    Case(
        kind="review",
        name="small-100ms",
        title=f"small pull request ({_SMALL}), 100 ms a GitHub request",
        goals={POSTED: 3.5},
        peers={POSTED: 11.4, REQUESTS: 47},
        api_latency=0.1,
    ),
    Case(
        kind="review",
        name="small-bare",
        title=f"small pull request ({_SMALL}), 100 ms a GitHub request, nothing checked out",
        runs=3,
        api_latency=0.1,
        checkout=False,
    ),
    *(
        Case(
            kind="again",
            name=name,
            title=f"small pull request ({_SMALL}), twice{more}",
            goals={FIRST_REQUESTS: first, AGAIN_REQUESTS: again, AGAIN_WRITES: 0, AGAIN_CALLS: 0},
            peers={FIRST_REQUESTS: 47},
            runs=3,
            checkout=checkout,
        )
        for name, more, checkout, first, again in (
            ("again", "", True, 9, 5),
            # More requests for the base, AGENTS.md in folders, and the code around the changes.
            ("again-bare", ", nothing checked out", False, 12, 6),
        )
    ),
    *(
        Case(
            kind="command",
            name=name,
            title=f"/hunkwise ask on the small pull request ({_SMALL}), no latency{more}",
            goals={REPLIED: 1.5, REQUESTS: requests, CALLS: 1},
            checkout=checkout,
        )
        for name, more, checkout, requests in (
            ("command", "", True, 10),
            ("command-bare", ", nothing checked out", False, 12),
        )
    ),
    Case(
        kind="local",
        name="local",
        title=f"hunkwise review of {CLONE_CHANGED} uncommitted files of {CLONE_FILES:,}, no latency",
        goals={FIRST_MODEL: 1.5},
    ),
    Case(
        kind="review",
        name="medium",
        title=f"medium pull request ({_MEDIUM}), model latency 2 s",
        goals={WALL: 5.0, REQUESTS: 10, **_ALL_LINES},
        peers={WALL: 9.0, FIRST_GITHUB: 4.1, COVERAGE: 49, REQUESTS: 121, CALLS: 1, CHARACTERS: 120_902},
        shape=_MEDIUM,
        model_latency=2.0,
    ),
    Case(
        kind="review",
        name="large",
        title=f"large pull request ({_LARGE}), model latency 2 s",
        goals={WALL: 12.0, REQUESTS: 12, **_ALL_LINES},
        peers={FIRST_GITHUB: 3.9, REQUESTS: 123, CALLS: 1, CHARACTERS: 117_764},
        runs=3,
        shape=_LARGE,
        model_latency=2.0,
    ),
    *(
        Case(
            kind="review",
            name=f"{name}-checked",
            title=f"{name} pull request ({shape}), {latency}, with double-check and summary",
            goals={WALL: wall, CALLS: calls, **_ALL_LINES},
            runs=runs,
            shape=shape,
            model_latency=seconds,
            checked=True,
        )
        for name, shape, latency, seconds, runs, wall, calls in (
            ("small", _SMALL, "no latency", 0.0, 5, 2.5, 2),
            ("medium", _MEDIUM, "model latency 2 s", 2.0, 3, 6.0, 8),
            ("large", _LARGE, "model latency 2 s", 2.0, 3, 12.0, 30),
        )
    ),
    Case(
        kind="review",
        name="many",
        title=f"many files ({_MANY}), model latency 2 s",
        goals=_ALL_LINES,
        runs=1,
        shape=_MANY,
        model_latency=2.0,
    ),
    Case(
        kind="review",
        name="huge",
        title=f"a few lines in each of very many files ({_SLIM})",
        goals={BOTH_MEMORY: 500, **_ALL_LINES},
        runs=1,
        shape=_SLIM,
    ),
    Case(
        kind="plan",
        name="plan",
        title=f"plan alone ({_HUGE})",
        goals={PLAN: 3.0, PLAN_MEMORY: 400},
        runs=3,
        shape=_HUGE,
    ),
    Case(
        kind="audit-plan",
        name="audit-plan",
        title=f"plan of an audit ({FILES:,} files, {COMMITS:,} commits)",
        goals={PLAN: 5.0, MEMORY_TOGETHER: 300},
        runs=3,
    ),
    Case(
        kind="audit-lap",
        name="audit-lap",
        title="audit of Django 5.2, a whole lap in 8 shards, no latency",
        goals={PLAN_REQUESTS: 6, RUN_REQUESTS: 0, MERGE_REQUESTS: 8},
        runs=1,
    ),
    Case(kind="import", name="import", title="importing the SDK, fresh processes"),
    Case(
        kind="container",
        name="container",
        title=f"small pull request ({_SMALL}) in the container, from the engine's call",
        goals={ENTRY_MODEL: 2.5, **_ALL_LINES},
    ),
    Case(
        kind="webhooks",
        name="webhooks",
        title="1,000 webhooks of 25 kB to the service, 32 at once",
        goals={SLOW_DELIVERY: 1_000},
        runs=3,
    ),
    Case(
        kind="webhook",
        name="webhook",
        title="a webhook to the service, and the review of a one-line change, no latency",
        goals={WEBHOOK_MODEL: 2.0},
    ),
    Case(kind="drain", name="drain", title="1,000 jobs that do nothing, 4 at a time", runs=3),
    Case(
        kind="servers",
        name="servers",
        title="64 questions at once to Copilot CLIs that run as servers, model latency 1 s",
        runs=3,
    ),
    Case(kind="suite", name="suite", title="the tests, installed before", goals={SUITE: 600}, runs=1),
)
