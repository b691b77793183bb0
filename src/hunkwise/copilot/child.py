"""One process of the Copilot CLI: spawned with an environment from scratch, drained, watched, ended."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future

from hunkwise.copilot.command import Command
from hunkwise.copilot.environment import Credential, sidecar_environment
from hunkwise.copilot.homes import Home, wipe_abandoned
from hunkwise.copilot.listener import listens
from hunkwise.errors import ModelError, ModelKind

_PORT_LINE = re.compile(rb"listening on port (\d{1,5})\b")
_LINE_BYTES = 8_192
_LAST_WORDS_SECONDS = 0.5
_TERM_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1


class Child:
    """One process of the CLI, from its spawn to its end."""

    def __init__(self, process: subprocess.Popen[bytes], home: Home, connection_token: str) -> None:
        self._process = process
        self._home = home
        self.connection_token = connection_token
        self._port: Future[int] = Future()
        self._exit: Future[int] = Future()
        for promise in (self._port, self._exit):
            promise.set_running_or_notify_cancel()  # so that whoever stops waiting does not cancel it
        self._tail: deque[str] = deque(maxlen=20)
        self._drain = threading.Thread(target=self._read_output, name="sidecar-output", daemon=True)
        # Apart from the output's end, which a child of the CLI can hold open.
        self._wait = threading.Thread(target=self._await_end, name="sidecar-end", daemon=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def watch(self) -> None:
        """Begins to drain the output (a full pipe would stop the CLI) and to wait for the end."""
        self._drain.start()
        self._wait.start()

    def _read_output(self) -> None:
        output = self._process.stdout
        assert output is not None
        while line := output.readline(_LINE_BYTES):
            match = _PORT_LINE.search(line)
            if match and not self._port.done():
                self._port.set_result(int(match[1]))
            else:
                self._tail.append(line[:500].decode("utf-8", "replace").rstrip())

    def _await_end(self) -> None:
        code = self._process.wait()
        self._drain.join(_LAST_WORDS_SECONDS)
        self._exit.set_result(code)

    def _died(self, code: int) -> ModelError:
        how = f"by signal {_signal_name(-code)}" if code < 0 else f"with status {code}"
        said = " ".join(line for line in self._tail if line)[-500:]
        return ModelError(
            ModelKind.SIDECAR,
            f"The Copilot CLI ended {how}." + (f" It said: {said}" if said else ""),
            "Run the job again; if it happens again, `COPILOT_CLI_PATH` lets you try another version.",
        )

    async def port(self, seconds: float) -> int:
        """Waits for the port and proves that it is our child who listens. Raises ModelError (SIDECAR)."""
        port, ended = asyncio.wrap_future(self._port), asyncio.wrap_future(self._exit)
        either: set[asyncio.Future[int]] = {port, ended}
        await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            raise self._died(ended.result())
        if not port.done():
            raise ModelError(
                ModelKind.SIDECAR,
                f"The Copilot CLI did not listen within {seconds:.0f} seconds.",
                "Look at the runner's load and disk, then run the job again.",
            )
        if listens(self.pid, port.result()) is False:
            raise ModelError(
                ModelKind.SIDECAR,
                f"Port {port.result()} is not the Copilot CLI's own; its token was not sent there.",
                "Look at what else runs on this machine.",
            )
        return port.result()

    async def exited(self) -> ModelError:
        """Waits until the process ends, and says how."""
        return self._died(await asyncio.wrap_future(self._exit))

    def stop(self) -> None:
        """Ends the process and its children, then wipes its home. May be called again."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # one that was stopped cannot heed the first
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_TERM_SECONDS)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._drain.join(_TERM_SECONDS)
        if not self._drain.is_alive() and self._process.stdout is not None:
            self._process.stdout.close()
        self._home.wipe()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def spawn(command: Command, credential: Credential, inherited: Mapping[str, str]) -> Child:
    """Starts the program in a private home. Raises OSError where it cannot be executed."""
    home = Home()
    connection_token = secrets.token_hex(32)
    environment = sidecar_environment(
        inherited,
        home=home.path,
        connection_token=connection_token,
        credential=credential,
        package_cache=command.package_cache,
    )
    try:
        scratch = home.path / "scratch"
        scratch.mkdir()
        process = subprocess.Popen(
            command.arguments,
            env=environment,
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent(os.getpid()),
        )
    except OSError:
        home.wipe()
        raise
    child = Child(process, home, connection_token)
    child.watch()
    wipe_abandoned()  # only now: the CLI is starting meanwhile
    return child


def _die_with_parent(parent: int) -> Callable[[], None] | None:
    """On Linux the kernel ends the CLI when we die, even by SIGKILL."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up before the fork

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # we died before the kernel was asked
            os._exit(1)

    return ask_kernel


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return str(number)
