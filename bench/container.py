"""Measures the review by the image, run as GitHub's runner runs it, where an engine has the image."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.end_to_end.step import provider_inputs
from tests.image.container_step import ContainerStep
from tests.image.engine import Engine
from tests.image.process_times import began
from tests.image.socket_canary import listening

from bench import cases
from bench.cases import Case
from bench.changes import Built
from bench.children import BenchError, MemoryWatch, check_result
from bench.client import GITHUB_TOKEN, Servers

_ENTRY = b"/opt/hunkwise/entrypoint.py"
_POLL_SECONDS = 0.01


def container_once(case: Case, built: Built, servers: Servers, engine: Engine) -> Mapping[str, float]:
    """Runs the image from the engine's call to its end. Raises BenchError where the run fails."""
    servers.prepare(api_latency=case.api_latency, model_latency=case.model_latency)
    with _step(built, servers, engine) as step:
        seen = _Watch()
        called = time.monotonic()
        with step.started() as process:
            seen.begin()
            result = step.finish(process)
            ended = time.monotonic()
            entered, memory = seen.end()
    check_result(result)
    (_, first_model, posted), records = servers.seconds_to_post("reviews", called)
    return {
        cases.ENTRY_MODEL: first_model + called - entered,
        cases.FIRST_MODEL: first_model,
        cases.POSTED: posted,
        cases.WALL: ended - called,
        cases.OWN_MEMORY: memory.own_peak,
        cases.SIDECAR_MEMORY: memory.child_peak,
        cases.COVERAGE: float(result.outputs["coverage"]),
        cases.COMMENTS: records.comments,
    }


class _Watch:
    """Finds the container's first process on this machine, and watches its memory."""

    def __init__(self) -> None:
        self._known = set(_entries())
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="entry", daemon=True)
        self._memory: MemoryWatch | None = None
        self._entered = 0.0

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> tuple[float, MemoryWatch]:
        """Returns when it began, on the monotonic clock, and its memory. Raises BenchError if it was not found."""
        self._over.set()
        self._thread.join()
        if self._memory is None:
            raise BenchError("The container's first process was not found in /proc.")
        self._memory.end()
        return self._entered, self._memory

    def _look(self) -> None:
        asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
        while self._memory is None and not self._over.wait(_POLL_SECONDS):
            for process in _entries() - self._known:
                self._entered = began(process) - asleep
                self._memory = MemoryWatch(process)
                break


def _entries() -> set[int]:
    """Returns the processes that run the image's entrypoint."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                command = (folder / "cmdline").read_bytes()
            except OSError:  # it has ended
                continue
            if command.startswith(b"/opt/hunkwise/bin/python\0") and _ENTRY in command:
                found.add(int(folder.name))
    return found


@contextmanager
def _step(built: Built, servers: Servers, engine: Engine) -> Iterator[ContainerStep]:
    with tempfile.TemporaryDirectory(prefix="hunkwise-bench-") as given:
        folder = Path(given)
        with listening(folder / "docker.sock", 0o660) as canary:
            step = ContainerStep(
                folder / "step",
                servers.github_url,
                inputs={"github-token": GITHUB_TOKEN, **provider_inputs(servers.model_url)},
                engine=engine,
                socket=canary.path,
            )
            shutil.copytree(built.path, step.job.workspace, symlinks=True)
            yield step
