"""Runs the cases: each run returns a number for each measure."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tests.end_to_end.step import Step, provider_inputs
from tests.fakes.django import import_django
from tests.image.engine import find_engine

from bench import cases
from bench.audit_lap import audit_lap_once
from bench.cases import Case
from bench.changes import Built, build
from bench.children import ROOT, BenchError, MemoryWatch, check_result, child_environment, run_python
from bench.client import GITHUB_TOKEN, PERSON, Servers, start_servers
from bench.container import container_once
from bench.history import build_clone, build_history

Numbers = Mapping[str, float]
"""The numbers of one run by measure."""

_TIMED_IMPORT = """
import gc, json, time
gc.disable()  # as hunkwise does
began = time.perf_counter()
import copilot
print(json.dumps({"seconds": time.perf_counter() - began}))
"""


def measure(case: Case, runs: int) -> Iterator[Numbers]:
    """Yields the numbers of each run. Raises BenchError, and NoImageError where there is no image."""
    with ExitStack() as stack:
        run = _prepare(case, stack)
        for _ in range(runs):
            yield run()


def _prepare(case: Case, stack: ExitStack) -> Callable[[], Numbers]:
    if case.kind in ("import", "suite"):
        return import_once if case.kind == "import" else suite_once
    if case.kind == "servers":
        return partial(run_python, "-m", "bench.pool")
    if case.kind in ("webhooks", "webhook", "drain"):
        return partial(serve_once, case)
    engine = find_engine() if case.kind == "container" else None
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hunkwise-bench-"))
    if case.kind == "audit-plan":
        history = build_history(Path(folder) / "repository")
        os.sync()
        return partial(audit_plan_once, history)
    if case.kind == "local":
        clone = build_clone(Path(folder) / "clone")
        os.sync()
        head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=clone, text=True).strip()
        return partial(review_clone_once, clone, stack.enter_context(start_servers(clone, head, head)))
    if case.kind == "audit-lap":
        django = import_django(Path(folder) / "repository", {"main": "5.2"})
        return partial(audit_lap_once, django, Path(folder))
    built = build(case.shape, Path(folder) / "repository")
    os.sync()  # so that nothing is written to the disk during a measurement
    if case.kind == "plan":
        return partial(plan_once, built)
    servers = stack.enter_context(start_servers(built.path, built.base_sha, built.head_sha))
    if engine is not None:
        return partial(container_once, case, built, servers, engine)
    runs = {"review": review_once, "again": review_twice, "command": command_once}
    return partial(runs[case.kind], case, built, servers)


def review_once(case: Case, built: Built, servers: Servers) -> Numbers:
    """Runs `python entrypoint.py` from its start to its end."""
    servers.prepare(api_latency=case.api_latency, model_latency=case.model_latency)
    with _step(case, built, servers) as step:
        before, began = _processor_seconds(), time.monotonic()
        with step.started() as process:
            memory = MemoryWatch(process.pid)
            result = step.finish(process)
            ended = time.monotonic()
            memory.end()
        processor = _processor_seconds() - before
    check_result(result)
    (first_github, first_model, posted), seen = servers.seconds_to_post("reviews", began)
    return {
        cases.POSTED: posted,
        cases.FIRST_GITHUB: first_github,
        cases.FIRST_MODEL: first_model,
        cases.WALL: ended - began,
        cases.PROCESSOR: processor,
        cases.OWN_MEMORY: memory.own_peak,
        cases.SIDECAR_MEMORY: memory.child_peak,
        cases.BOTH_MEMORY: memory.own_peak + memory.child_peak,
        cases.COVERAGE: float(result.outputs["coverage"]),
        cases.REQUESTS: seen.github_requests,
        cases.CALLS: seen.model_calls,
        cases.CHARACTERS: seen.prompt_characters,
        cases.CALLS_A_LINE: 1_000 * seen.model_calls / case.shape.lines,
        cases.CHARACTERS_A_LINE: seen.prompt_characters / case.shape.lines,
        cases.COMMON_PREFIX: seen.common_prefix,
        cases.COMMENTS: seen.comments,
    }


def review_clone_once(clone: Path, servers: Servers) -> Numbers:
    """Runs `python -m hunkwise review` in a clone with uncommitted changes."""
    servers.prepare()
    provider = {
        "COPILOT_PROVIDER_BASE_URL": f"{servers.model_url}/v1",
        "COPILOT_PROVIDER_API_KEY": "key",
        "COPILOT_MODEL": "scripted-model",
    }
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "hunkwise", "review"],
        cwd=clone,
        env={**child_environment(), **provider},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None, "the process was started with a pipe"
        process.stderr.readline()
        printed = time.monotonic()
        process.stderr.read()
    ended = time.monotonic()
    first_model = servers.records().first_model_request
    if process.returncode != 0 or first_model is None:
        raise BenchError(f"hunkwise review ended with {process.returncode}.")
    return {
        cases.FIRST_OUTPUT: printed - began,
        cases.FIRST_MODEL: first_model - began,
        cases.WALL: ended - began,
    }


def review_twice(case: Case, built: Built, servers: Servers) -> Numbers:
    """Runs the action, and runs it again on what the first run left on GitHub."""
    servers.prepare()
    with _step(case, built, servers) as step:
        check_result(step.run())
    first = servers.records()
    servers.prepare(keep=True)
    with _step(case, built, servers) as step:
        began = time.monotonic()
        check_result(step.run())
        ended = time.monotonic()
    again = servers.records()
    return {
        cases.FIRST_REQUESTS: first.github_requests,
        cases.AGAIN_REQUESTS: again.github_requests,
        cases.AGAIN_WRITES: again.github_writes,
        cases.AGAIN_CALLS: again.model_calls,
        cases.AGAIN_WALL: ended - began,
    }


def command_once(case: Case, built: Built, servers: Servers) -> Numbers:
    """Answers a comment on the pull request, from the start of the step that its event starts."""
    body = "/hunkwise ask What happens with a negative limit?"
    user = {"login": PERSON, "type": "User"}
    comment = {"id": servers.prepare(comment=body), "body": body, "user": user}
    with _step(case, built, servers) as step:
        step.event_name = "issue_comment"
        step.payload = {
            "action": "created",
            "comment": comment,
            "issue": {"number": 1, "pull_request": {}},
            "repository": {"full_name": step.repository},
        }
        began = time.monotonic()
        check_result(step.run())
        ended = time.monotonic()
    (first_github, first_model, replied), seen = servers.seconds_to_post("comments", began)
    return {
        cases.REPLIED: replied,
        cases.FIRST_GITHUB: first_github,
        cases.FIRST_MODEL: first_model,
        cases.WALL: ended - began,
        cases.REQUESTS: seen.github_requests,
        cases.WRITES: seen.github_writes,
        cases.CALLS: seen.model_calls,
        cases.CHARACTERS: seen.prompt_characters,
    }


def plan_once(built: Built) -> Numbers:
    """Plans the change in a fresh process."""
    plan = run_python("-m", "bench.planning", str(built.path), built.base_sha, built.head_sha)
    if plan["planned_lines"] != plan["changed_lines"]:
        raise BenchError(f"Of {plan['changed_lines']} changed lines {plan['planned_lines']} are in the plan.")
    return {
        cases.PLAN: plan["seconds"],
        cases.PLAN_DIFF: plan["diff_seconds"],
        cases.PLAN_MEMORY: plan["peak"],
        cases.CHUNKS: plan["chunks"],
    }


def audit_plan_once(repository: Path) -> Numbers:
    """Plans an audit in a fresh process."""
    before = _processor_seconds()
    plan = run_python("-m", "bench.audit_planning", str(repository))
    processor = _processor_seconds() - before
    if plan["planned_files"] != plan["files"]:
        raise BenchError(f"Of {plan['files']} files {plan['planned_files']} are in the plan.")
    return {
        cases.PLAN: plan["seconds"],
        cases.PLAN_GIT: plan["git_seconds"],
        cases.PLAN_PROCESSOR: processor,
        cases.OWN_MEMORY: plan["own_peak"],
        cases.GIT_MEMORY: plan["git_peak"],
        cases.MEMORY_TOGETHER: plan["peak_together"],
        cases.QUESTIONS: plan["questions"],
    }


def import_once() -> Numbers:
    """Imports the SDK in a fresh process."""
    return {cases.IMPORT: run_python("-c", _TIMED_IMPORT)["seconds"]}


def serve_once(case: Case) -> Numbers:
    """Runs the service, and what sends to it, from a fresh process."""
    numbers: dict[str, float] = run_python("-m", "bench.service", case.kind)
    return numbers


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
def _step(case: Case, built: Built, servers: Servers) -> Iterator[Step]:
    with tempfile.TemporaryDirectory(prefix="hunkwise-bench-") as folder:
        off = {} if case.checked else {"verify": "off", "summary": "off"}
        inputs = {"github-token": GITHUB_TOKEN, **provider_inputs(servers.model_url), **off}
        step = Step(Path(folder), servers.github_url, inputs=inputs, process=True)
        step.workspace = built.path if case.checkout else None
        yield step


def _processor_seconds() -> float:
    """Returns the CPU time of all ended children, which shows how much a busy machine changed the other figures."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
