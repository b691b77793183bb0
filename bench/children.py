"""Child processes of the benchmark: their environment, bytecode and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path
from typing import Any

from tests.end_to_end.step import Result
from tests.end_to_end.step_checks import children_of

ROOT = Path(__file__).resolve().parents[1]
_SAMPLE_SECONDS = 0.05


class BenchError(Exception):
    """A run that could not be measured."""


def child_environment() -> dict[str, str]:
    """Returns the environment of our Python processes, without variables that slow or change an interpreter."""
    path = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONPATH": path}


def compile_bytecode() -> None:
    """Writes the bytecode of our source and of all packages, as in an image."""
    folders = [str(ROOT / "src"), sysconfig.get_path("purelib")]
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", *folders],
        env=child_environment(),
        check=False,  # some templates in packages are not valid Python
        stdout=subprocess.DEVNULL,
    )


def run_python(*arguments: str) -> dict[str, Any]:
    """Returns the JSON that a fresh interpreter printed. Raises BenchError."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=child_environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchError(f"`python {' '.join(arguments)[:80]}` failed:\n{done.stderr[-2000:]}")
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def check_result(result: Result) -> None:
    """Raises BenchError unless the run succeeded."""
    if result.code != 0:
        raise BenchError(f"The run ended with {result.code}:\n{result.log[-2000:]}\n{result.errors[-2000:]}")


class MemoryWatch:
    """Samples the kernel's peaks (VmHWM) of a process and of some of its children until it ends. Linux only."""

    def __init__(self, pid: int, *, child: bytes = b"--headless") -> None:
        """`child`: in the command line of the children that are measured, by default the CLI that hunkwise starts."""
        self._pid = pid
        self._child = child
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self.own_peak = 0.0
        """Megabytes of the process alone."""
        self.child_peak = 0.0
        """Megabytes of the largest child, or 0."""
        self.peak_together = 0.0
        """Megabytes of the process and these children at the same time."""
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            children = [child for child in children_of(self._pid) if self._child in _read(child, "cmdline")]
            self.own_peak = max(self.own_peak, peak_megabytes(self._pid))
            self.child_peak = max([self.child_peak, *map(peak_megabytes, children)])
            together = sum(_megabytes(pid, b"VmRSS:") for pid in (self._pid, *children))
            self.peak_together = max(self.peak_together, together)


def peak_megabytes(pid: int | str) -> float:
    """Returns the peak of resident memory so far, or 0 where the process has ended."""
    return _megabytes(pid, b"VmHWM:")


def _megabytes(pid: int | str, name: bytes) -> float:
    for line in _read(pid, "status").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0


def _read(pid: int | str, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""  # the process has ended
