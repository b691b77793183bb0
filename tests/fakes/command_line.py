"""Runs hunkwise's command line in the test's own process, on one Copilot CLI that all such runs share.

About a quarter of the time of a process of its own. What only a process shows (exit of the interpreter, closed streams,
signals, kills, the start-up, a CLI with other settings) needs one: `Step.process`, `CommandLine.start`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hunkwise.cli import main
from hunkwise.copilot.find_cli import find_cli
from hunkwise.copilot.isolation import Credential
from hunkwise.copilot.sidecar import Address, Sidecar

_NOBODY = "http://127.0.0.1:9"
"""The shared CLI's own provider. Each session names another one."""


@dataclass(frozen=True)
class Printed:
    """What a command left on the terminal."""

    code: int
    out: str
    errors: str


class SharedCli:
    """A Copilot CLI that is started when it is first needed and runs until the tests end."""

    def __init__(self) -> None:
        self._sidecar: Sidecar | None = None
        self._address: Address | None = None

    @property
    def address(self) -> Address:
        """Where it listens. To be called from the main thread."""
        if self._address is None:
            environ = {"PATH": os.environ["PATH"]}
            self._sidecar = Sidecar(find_cli(environ), Credential(provider_base_url=_NOBODY), environ)
            self._sidecar.start()
            self._address = asyncio.run(self._sidecar.ready())
        return self._address

    @property
    def secrets(self) -> list[str]:
        """The token that clients need, once it runs."""
        return [self._address.connection_token or ""] if self._address else []

    def stop(self) -> None:
        """Ends it; a later use starts another."""
        if self._sidecar is not None:
            self._sidecar.stop()
        self._sidecar = self._address = None


shared_cli = SharedCli()


def is_possible() -> bool:
    """Whether a run may take place here, by the tests' options and by the thread.

    Signals can be set in the main thread only, and folder, streams and temporary folder are the whole process's.
    """
    return (
        "HUNKWISE_TESTS_IN_PROCESSES" not in os.environ
        and threading.current_thread() is threading.main_thread()
    )


def with_shared_cli(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The environment of a step, which asks the shared CLI where it would start a usual one for a provider."""
    own = any(name.startswith(("COPILOT_", "HUNKWISE_", "INPUT_COPILOT-URL")) for name in environ)
    if own or "INPUT_PROVIDER-BASE-URL" not in environ:
        return environ
    address = shared_cli.address
    return {
        **environ,
        "INPUT_COPILOT-URL": str(address),
        "INPUT_COPILOT-CONNECTION-TOKEN": address.connection_token or "",
    }


def run(arguments: Sequence[str], environ: Mapping[str, str], folder: Path) -> Printed:
    """`hunkwise ARGUMENTS` with that environment, started in `folder`. To be called from the main thread."""
    encoding = environ.get("PYTHONIOENCODING", "utf-8")
    bytes_out, bytes_errors = io.BytesIO(), io.BytesIO()
    out, errors = (
        io.TextIOWrapper(raw, encoding=encoding, write_through=True) for raw in (bytes_out, bytes_errors)
    )
    with (
        _process_state_restored(),
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        tempfile.tempdir = environ.get("TMPDIR")
        try:
            code = main(arguments, environ)
        except SystemExit as error:  # argparse
            code = error.code if isinstance(error.code, int) else 1
    if "TMPDIR" in environ and any(Path(environ["TMPDIR"]).glob("hunkwise-*")):
        gc.collect()  # folders that go with an object, which would go with the process
    return Printed(code, *(raw.getvalue().decode("utf-8", "replace") for raw in (bytes_out, bytes_errors)))


@contextlib.contextmanager
def _process_state_restored() -> Iterator[None]:
    """Puts back what a run leaves changed, since its process would end with it."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    threshold, temporary = gc.get_threshold(), tempfile.tempdir
    logger = logging.getLogger("hunkwise")
    level, propagate, log_handlers = logger.level, logger.propagate, logger.handlers
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        gc.set_threshold(*threshold)
        gc.unfreeze()
        gc.enable()
        tempfile.tempdir = temporary
        logger.setLevel(level)
        logger.propagate, logger.handlers = propagate, log_handlers


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
        if not is_possible():
            return self.finish(self.start(*arguments))
        return run(arguments, self.environment(), self.folder)

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
