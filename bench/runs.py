"""Runs the cases: each run gives one number a measure."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import assert_never

from tests.end_to_end.step import Result, Step, own_provider

from bench import cases
from bench.cases import AgainCase, Case, ContainerCase, ImportCase, PlanCase, ReviewCase, SuiteCase
from bench.changes import Built, build
from bench.children import ROOT, BenchError, MemoryWatch, run_python
from bench.container import container_once, find_engine
from bench.counterparts import GITHUB_TOKEN, Counterparts, counterparts

Numbers = Mapping[str, float]
"""Measure's name → what one run gave."""

_TIMED_IMPORT = """
import gc, json, time
gc.disable()  # as hunkwise does
began = time.perf_counter()
import copilot
print(json.dumps({"seconds": time.perf_counter() - began}))
"""


def measured(case: Case, runs: int) -> Iterator[Numbers]:
    """The numbers of each run, as they come. Raises BenchError, and NoImageError where there is no image."""
    match case:
        case ReviewCase():
            with _repository(case) as built, counterparts(built) as others:
                for _ in range(runs):
                    yield review_once(case, built, others)
        case AgainCase():
            with _repository(case) as built, counterparts(built) as others:
                for _ in range(runs):
                    yield review_twice(case, built, others)
        case PlanCase():
            with _repository(case) as built:
                for _ in range(runs):
                    yield plan_once(built)
        case ImportCase():
            for _ in range(runs):
                yield import_once()
        case ContainerCase():
            at_hand = find_engine()
            with _repository(case) as built, counterparts(built) as others:
                for _ in range(runs):
                    yield container_once(case, built, others, at_hand)
        case SuiteCase():
            for _ in range(runs):
                yield suite_once()
        case _:
            assert_never(case)


def review_once(case: ReviewCase, built: Built, others: Counterparts) -> Numbers:
    """Runs `python entrypoint.py` from its start to its end."""
    others.prepare(api_latency=case.api_latency, model_latency=case.model_latency)
    with _step(case, built, others) as step:
        before, began = _processor_seconds(), time.monotonic()
        with step.started() as process:
            memory = MemoryWatch(process.pid)
            result = step.finish(process)
            ended = time.monotonic()
            memory.end()
        processor = _processor_seconds() - before
    _check(result)
    seen = others.journal()
    return {
        cases.POSTED: seen.review_posted - began,
        cases.FIRST_GITHUB: seen.first_github_request - began,
        cases.FIRST_MODEL: seen.first_model_request - began,
        cases.WALL: ended - began,
        cases.PROCESSOR: processor,
        cases.OWN_MEMORY: memory.own_peak,
        cases.SIDECAR_MEMORY: memory.sidecar_peak,
        cases.BOTH_MEMORY: memory.own_peak + memory.sidecar_peak,
        cases.COVERAGE: float(result.outputs["coverage"]),
        cases.REQUESTS: seen.github_requests,
        cases.CALLS: seen.model_calls,
        cases.CHARACTERS: seen.prompt_characters,
        cases.CALLS_A_LINE: 1_000 * seen.model_calls / case.shape.lines,
        cases.CHARACTERS_A_LINE: seen.prompt_characters / case.shape.lines,
        cases.COMMON_PREFIX: seen.common_prefix,
        cases.COMMENTS: seen.comments,
    }


def review_twice(case: AgainCase, built: Built, others: Counterparts) -> Numbers:
    """Runs it, and runs it again on what the first run left on GitHub."""
    others.prepare()
    with _step(case, built, others) as step:
        _check(step.run())
    first = others.counts()
    others.prepare(keep=True)
    with _step(case, built, others) as step:
        began = time.monotonic()
        _check(step.run())
        ended = time.monotonic()
    again = others.counts()
    return {
        cases.FIRST_REQUESTS: first.github_requests,
        cases.AGAIN_REQUESTS: again.github_requests,
        cases.AGAIN_WRITES: again.github_writes,
        cases.AGAIN_CALLS: again.model_calls,
        cases.AGAIN_WALL: ended - began,
    }


def _asked(case: ReviewCase | AgainCase) -> dict[str, str]:
    """The questions over the diff alone, unless the case is about all of them."""
    checked = isinstance(case, ReviewCase) and case.checked
    return {} if checked else {"verify": "off", "summary": "off"}


def plan_once(built: Built) -> Numbers:
    """Plans the change in a fresh process."""
    told = run_python("-m", "bench.planning", str(built.path), built.base_sha, built.head_sha)
    if told["planned_lines"] != told["changed_lines"]:
        raise BenchError(f"Of {told['changed_lines']} changed lines {told['planned_lines']} are in the plan.")
    return {
        cases.PLAN: told["seconds"],
        cases.PLAN_DIFF: told["diff_seconds"],
        cases.PLAN_MEMORY: told["peak"],
        cases.CHUNKS: told["chunks"],
    }


def import_once() -> Numbers:
    """Imports the SDK in a fresh process."""
    return {cases.IMPORT: run_python("-c", _TIMED_IMPORT)["seconds"]}


def suite_once() -> Numbers:
    """Runs the tests."""
    before, began = _processor_seconds(), time.monotonic()
    done = subprocess.run(["make", "test"], cwd=ROOT, capture_output=True, text=True, check=False)
    ended = time.monotonic()
    counted = re.search(r"(\d+) passed", done.stdout)
    if done.returncode != 0 or counted is None:
        raise BenchError(f"`make test` failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return {
        cases.SUITE: ended - began,
        cases.SUITE_PROCESSOR: _processor_seconds() - before,
        cases.SUITE_TESTS: int(counted[1]),
    }


@contextmanager
def _step(case: ReviewCase | AgainCase, built: Built, others: Counterparts) -> Iterator[Step]:
    """A step that is ready to be started."""
    with tempfile.TemporaryDirectory(prefix="hunkwise-bench-") as folder:
        step = Step(
            Path(folder),
            others.github_url,
            inputs={"github-token": GITHUB_TOKEN, **own_provider(others.model_url), **_asked(case)},
            process=True,
        )
        step.workspace = built.path if case.checkout else None
        yield step


@contextmanager
def _repository(case: ReviewCase | AgainCase | PlanCase | ContainerCase) -> Iterator[Built]:
    with tempfile.TemporaryDirectory(prefix="hunkwise-bench-") as folder:
        built = build(case.shape, Path(folder) / "repository")
        os.sync()  # what was written must not be written out while somebody is measured
        yield built


def _processor_seconds() -> float:
    """Of all children that have ended, and of theirs: says how much a busy machine bent the other figures."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _check(result: Result) -> None:
    if result.code != 0:
        raise BenchError(f"The run ended with {result.code}:\n{result.log[-2000:]}\n{result.errors[-2000:]}")
