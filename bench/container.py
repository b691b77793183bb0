"""The same review by the image, run as GitHub's runner runs it; only where there is an engine that has the image."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.end_to_end.step import own_provider
from tests.image.container_step import ContainerStep
from tests.image.engine import Engine, engine
from tests.image.process_times import began
from tests.image.socket_canary import listening

from bench import cases
from bench.cases import ContainerCase
from bench.changes import Built
from bench.children import BenchError, MemoryWatch
from bench.counterparts import GITHUB_TOKEN, Counterparts

_ENTRY = b"/opt/hunkwise/entrypoint.py"
_LOOK_SECONDS = 0.01


class NoImageError(Exception):
    """There is nothing to measure: why, and what to do about it."""


def find_engine() -> Engine:
    """Raises NoImageError."""
    try:
        return engine()
    except RuntimeError as error:
        raise NoImageError(str(error)) from error


def container_once(
    case: ContainerCase, built: Built, others: Counterparts, at_hand: Engine
) -> Mapping[str, float]:
    """Runs the image from the engine's call to its end. Raises BenchError where the run fails."""
    others.prepare(api_latency=case.api_latency, model_latency=case.model_latency)
    with _step(built, others, at_hand) as step:
        seen = _Watch()
        called = time.monotonic()
        with step.started() as process:
            seen.begin()
            result = step.finish(process)
            ended = time.monotonic()
            entered, memory = seen.end()
    if result.code != 0:
        raise BenchError(f"The run ended with {result.code}:\n{result.log[-2000:]}\n{result.errors[-2000:]}")
    journal = others.journal()
    return {
        cases.ENTRY_MODEL: journal.first_model_request - entered,
        cases.FIRST_MODEL: journal.first_model_request - called,
        cases.POSTED: journal.review_posted - called,
        cases.WALL: ended - called,
        cases.OWN_MEMORY: memory.own_peak,
        cases.SIDECAR_MEMORY: memory.sidecar_peak,
        cases.COVERAGE: float(result.outputs["coverage"]),
        cases.COMMENTS: journal.comments,
    }


class _Watch:
    """Finds the container's first process among this machine's, and watches its memory."""

    def __init__(self) -> None:
        self._known = set(_entries())
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="entry", daemon=True)
        self._memory: MemoryWatch | None = None
        self._entered = 0.0

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> tuple[float, MemoryWatch]:
        """When it began, on the monotonic clock, and its memory. Raises BenchError where it was not found."""
        self._over.set()
        self._thread.join()
        if self._memory is None:
            raise BenchError("The container's first process was not found in /proc.")
        self._memory.end()
        return self._entered, self._memory

    def _look(self) -> None:
        asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
        while self._memory is None and not self._over.wait(_LOOK_SECONDS):
            for process in _entries() - self._known:
                self._entered = began(process) - asleep
                self._memory = MemoryWatch(process)
                break


def _entries() -> set[int]:
    """The processes that run the image's entrypoint."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                command = (folder / "cmdline").read_bytes()
            except OSError:  # it ended while we looked
                continue
            if command.startswith(b"/opt/hunkwise/bin/python\0") and _ENTRY in command:
                found.add(int(folder.name))
    return found


@contextmanager
def _step(built: Built, others: Counterparts, at_hand: Engine) -> Iterator[ContainerStep]:
    """A step that is ready to be started."""
    with tempfile.TemporaryDirectory(prefix="hunkwise-bench-") as given:
        folder = Path(given)
        with listening(folder / "docker.sock", 0o660) as canary:
            step = ContainerStep(
                folder / "step",
                others.github_url,
                inputs={"github-token": GITHUB_TOKEN, **own_provider(others.model_url)},
                engine=at_hand,
                socket=canary.path,
            )
            shutil.copytree(built.path, step.job.workspace, symlinks=True)
            yield step
