"""The Copilot CLI's process: spawned with an environment from scratch, watched, ended, and its home wiped.

Only the standard library is imported here, so that the CLI starts while the SDK is still being imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from pathlib import Path

from hunkwise.copilot.command import Command, fallback
from hunkwise.copilot.environment import Credential, sidecar_environment
from hunkwise.copilot.listener import listens
from hunkwise.errors import ModelError, ModelKind

_PORT_LINE = re.compile(rb"listening on port (\d{1,5})\b")
_START_SECONDS = 15.0
_TERM_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Address:
    """Where a headless CLI listens, and the token that it asks for."""

    host: str
    port: int
    connection_token: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Child:
    """One process of the CLI, from its spawn to its end."""

    def __init__(self, process: subprocess.Popen[bytes], home: Path, connection_token: str) -> None:
        self._process = process
        self._home = home
        self._connection_token = connection_token
        self._port: Future[int] = Future()
        self._exit: Future[int] = Future()
        self._exit.set_running_or_notify_cancel()  # so that whoever stops waiting for it does not cancel it
        self._tail: deque[str] = deque(maxlen=20)
        self._drain = threading.Thread(target=self._read_output, name="sidecar-output", daemon=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def watch(self) -> None:
        """Begins to drain the output: a full pipe would stop the CLI."""
        self._drain.start()

    def _read_output(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            match = _PORT_LINE.search(line)
            if match and not self._port.done():
                self._port.set_result(int(match[1]))
            else:
                self._tail.append(line[:500].decode("utf-8", "replace").rstrip())
        code = self._process.wait()
        if not self._port.done():
            self._port.set_exception(self._died(code))
        self._exit.set_result(code)

    def _died(self, code: int) -> ModelError:
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
        said = " ".join(line for line in self._tail if line)[-500:]
        return ModelError(
            ModelKind.SIDECAR,
            f"The Copilot CLI ended {how}." + (f" It said: {said}" if said else ""),
            "Run the job again; if it happens again, `COPILOT_CLI_PATH` lets you try another version.",
        )

    def address(self, timeout: float = _START_SECONDS) -> Address:
        """Waits for the port and proves that it is our child who listens. Raises ModelError (SIDECAR)."""
        try:
            port = self._port.result(timeout)
        except FutureTimeout:
            raise ModelError(
                ModelKind.SIDECAR,
                f"The Copilot CLI did not listen within {timeout:.0f} seconds.",
                "Look at the runner's load and disk, then run the job again.",
            ) from None
        if listens(self.pid, port) is False:
            raise ModelError(
                ModelKind.SIDECAR,
                f"Port {port} belongs to another process than the Copilot CLI; its token was not sent there.",
                "Look at what else runs on this machine.",
            )
        return Address("127.0.0.1", port, self._connection_token)

    async def exited(self) -> ModelError:
        """Waits until the process ends, and says how."""
        return self._died(await asyncio.wrap_future(self._exit))

    def stop(self) -> None:
        """Ends the process and its children, then wipes its home. May be called again."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(_TERM_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGCONT)  # one that was stopped cannot even die of some signals
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._drain.join(_TERM_SECONDS)
        if not self._drain.is_alive() and self._process.stdout is not None:
            self._process.stdout.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


class Sidecar:
    """The CLI that this run talks to. `start` and `stop` stand around everything else."""

    def __init__(self, command: Command, credential: Credential, inherited: Mapping[str, str]) -> None:
        self._command = command
        self._credential = credential
        self._inherited = inherited
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    def start(self) -> None:
        """Spawns the process and returns at once. Raises ModelError (SIDECAR) where nothing can be executed.

        To be called from the main thread: the kernel ends the CLI when the thread that spawned it ends.
        """
        try:
            self._child = _spawn(self._command, self._credential, self._inherited)
        except OSError as error:
            if not self._fall_back():
                raise ModelError(
                    ModelKind.SIDECAR,
                    f"The Copilot CLI could not be started: {error}.",
                    "Run `make setup` again, or look at the space on the disk and the rights of its folder.",
                ) from error

    async def ready(self) -> Address:
        """Waits until the CLI listens; one that ends before is tried once more as the plain CLI."""
        try:
            return await self._listening()
        except ModelError:
            if not self._fall_back():
                raise
            return await self._listening()

    async def _listening(self) -> Address:
        assert self._child is not None, "started before it is asked"
        return await asyncio.to_thread(self._child.address)

    def _fall_back(self) -> bool:
        other = fallback(self._command)
        if other is None:
            return False
        self.stop()
        self._command = other
        self.start()
        return True

    async def exited(self) -> ModelError:
        """Waits until the CLI ends, and says how."""
        assert self._child is not None, "started before it is watched"
        return await self._child.exited()

    def stop(self) -> None:
        """Ends the CLI and wipes its home. May be called again, and before `start`."""
        if self._child is not None:
            self._child.stop()


def _spawn(command: Command, credential: Credential, inherited: Mapping[str, str]) -> Child:
    home = Path(tempfile.mkdtemp(prefix="hunkwise-sidecar-"))
    connection_token = secrets.token_hex(32)
    try:
        scratch = home / "scratch"
        scratch.mkdir()
        process = subprocess.Popen(
            command.arguments,
            env=sidecar_environment(
                inherited,
                home=home,
                connection_token=connection_token,
                credential=credential,
                package_cache=command.package_cache,
            ),
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent(),  # no other thread runs yet
        )
    except OSError:
        shutil.rmtree(home, ignore_errors=True)
        raise
    child = Child(process, home, connection_token)
    child.watch()
    return child


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux the kernel ends the CLI when we die, even by SIGKILL."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up before the fork

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return ask_kernel
