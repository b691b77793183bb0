"""Runs `hunkwise` as a person would: a folder, an environment from scratch, and what it printed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes import in_process
from tests.fakes.in_process import Printed

ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 60
_KEPT = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG", "COVERAGE_FILE")


@dataclass(frozen=True)
class CommandLine:
    """A terminal in `folder`, with a home and a folder for temporary files of its own under `home`."""

    folder: Path
    home: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def temporary(self) -> Path:
        return self.home / "tmp"

    def environment(self) -> dict[str, str]:
        """From scratch: nothing of the tests' own but what measures them."""
        self.temporary.mkdir(parents=True, exist_ok=True)
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONIOENCODING": "utf-8",
            "COLUMNS": "200",
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            **self.environ,
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The running command as a process, in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "hunkwise", *arguments],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )

    def run(self, *arguments: str) -> Printed:
        """Runs the command to its end: in this process where that is possible."""
        if not in_process.is_possible():
            return self.finish(self.start(*arguments))
        return in_process.run(arguments, self.environment(), self.folder)

    def finish(self, process: subprocess.Popen[str]) -> Printed:
        """Waits for a started command."""
        try:
            out, errors = process.communicate(timeout=_SECONDS)
        finally:
            process.kill()
        return Printed(process.returncode, out, errors)

    def left_behind(self) -> list[str]:
        """Temporary files, and processes that were started with this terminal's environment."""
        files = [str(path) for path in self.temporary.iterdir()]
        return files + [line for line in _environments() if str(self.temporary) in line]


def _environments() -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:  # it has ended, or is somebody else's
            continue
        found.append(words.decode("utf-8", "replace"))
    return found
