"""The Copilot CLI as a child process: start, port, end; and the program that replaces one that does not start.

Only the standard library is imported here, so that the CLI starts while the SDK is still being imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
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
from dataclasses import dataclass, field, replace
from pathlib import Path

from hunkwise.copilot.find_cli import CliCommand
from hunkwise.copilot.home import Home, wipe_abandoned
from hunkwise.copilot.isolation import Credential, Isolation, isolation, sidecar_environment, unconfined
from hunkwise.copilot.procfs import end_stragglers, listens, listens_as
from hunkwise.errors import ModelError, ModelKind

_PORT_LINE = re.compile(rb"listening on port (\d{1,5})\b")
_LINE_BYTES = 8_192
_LAST_WORDS_SECONDS = 0.5
_TERM_SECONDS = 2.0


class CliProcess:
    """One process of the CLI, from its spawn to its end."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        home: Home,
        connection_token: str,
        isolation: Isolation | None,
    ) -> None:
        self._process = process
        self._home = home
        self._isolation = isolation
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
        said = self._last_words()
        return ModelError(
            ModelKind.SIDECAR,
            f"The Copilot CLI ended {how}." + (f" It said: {said}" if said else ""),
            "Run the job again; if it happens again, `COPILOT_CLI_PATH` lets you try another version.",
        )

    def _last_words(self) -> str:
        """What it said at the end, unless it told the connection token: its environment holds that."""
        from hunkwise.redaction import SecretScan  # not needed while it starts

        said = " ".join(line for line in self._tail if line)
        return "" if SecretScan([self.connection_token]).found_in(said) else said[-500:]

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
        if self._is_ours(port.result()) is False:
            raise ModelError(
                ModelKind.SIDECAR,
                f"Port {port.result()} is not the Copilot CLI's own; its token was not sent there.",
                "Look at what else runs on this machine.",
            )
        return port.result()

    def _is_ours(self, port: int) -> bool | None:
        if self._isolation is not None:  # its open files are not ours to see, but nobody else has its uid
            return listens_as(self._isolation.uid, port)
        return listens(self.pid, port)

    async def exited(self) -> ModelError:
        """Waits until the process ends, and says how."""
        return self._died(await asyncio.wrap_future(self._exit))

    def stop(self) -> None:
        """Ends the process and whatever it started, then wipes its home. May be called again."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # one that was stopped cannot heed the first
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_TERM_SECONDS)
        self._signal(signal.SIGKILL)
        self._process.wait()
        if self._isolation is None:  # else it is in a container, and ends with us
            end_stragglers(self._home.path)
        self._drain.join(_TERM_SECONDS)
        if not self._drain.is_alive() and self._process.stdout is not None:
            self._process.stdout.close()
        self._home.wipe()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return str(number)


_PR_SET_PDEATHSIG = 1


def spawn(
    command: CliCommand, credential: Credential, inherited: Mapping[str, str], isolation: Isolation | None
) -> CliProcess:
    """Starts the program in a private home. Raises OSError where it cannot be executed, ModelError (SIDECAR) where
    it should be set apart but cannot."""
    connection_token = secrets.token_hex(32)
    home = _home(isolation)
    try:
        (home.path / "scratch").mkdir()
        start = _start_of(command, home, inherited, isolation)
        environment = sidecar_environment(
            start.inherited,
            home=start.home,
            connection_token=connection_token,
            credential=credential,
            package_cache=start.package_cache,
        )
        process = _popen(start, environment, isolation)
    except (OSError, ModelError):
        home.wipe()
        raise
    child = CliProcess(process, home, connection_token, isolation)
    child.watch()
    wipe_abandoned(home.path.parent)  # only now: the CLI is starting meanwhile
    return child


def _home(isolation: Isolation | None) -> Home:
    if isolation is None:
        return Home()
    try:
        return Home(isolation.homes)
    except OSError as error:
        raise unconfined(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Start:
    """What is executed, with all paths as the sidecar sees them."""

    arguments: tuple[str, ...]
    home: Path
    package_cache: Path | None
    inherited: Mapping[str, str]


def _start_of(
    command: CliCommand, home: Home, inherited: Mapping[str, str], isolation: Isolation | None
) -> _Start:
    if isolation is None:
        return _Start(command.arguments, home.path, command.package_cache, inherited)
    cache = command.package_cache
    try:
        variables = isolation.furnish(home.path, inherited)
    except OSError as error:
        raise unconfined(str(error)) from error
    return _Start(
        replace(command, program=isolation.inside(command.program)).arguments,
        isolation.inside(home.path),
        isolation.inside(cache) if cache is not None else None,
        {**inherited, **variables},
    )


def _popen(
    start: _Start, environment: Mapping[str, str], isolation: Isolation | None
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            start.arguments,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_confine(os.getpid(), isolation, str(start.home / "scratch")),
        )
    except subprocess.SubprocessError as error:  # all that Python tells of a failure between fork and exec
        raise unconfined("no child of ours could become another user in another root folder") from error


def _confine(parent: int, isolation: Isolation | None, folder: str) -> Callable[[], None]:
    """What the child does before it becomes the CLI. On Linux the kernel ends the CLI when we die, even by SIGKILL."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None  # before the fork

    def confine() -> None:
        if isolation is not None:
            isolation.enter()
        os.chdir(folder)
        if prctl is None:
            return
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # last: the kernel forgets it at a change of user
        if os.getppid() != parent:  # we died before the kernel was asked
            os._exit(1)

    return confine


_START_SECONDS = 15.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a headless CLI listens, and the token that it asks for."""

    host: str
    port: int
    connection_token: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Sidecar:
    """The CLI that this run talks to. `start` and `stop` stand around everything else."""

    def __init__(
        self,
        command: CliCommand,
        credential: Credential,
        inherited: Mapping[str, str],
        start_seconds: float = _START_SECONDS,
    ) -> None:
        self._command = command
        self._credential = credential
        self._inherited = inherited
        self._start_seconds = start_seconds
        self._child: CliProcess | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    def start(self) -> None:
        """Spawns the process and returns at once. Raises ModelError (SIDECAR) where nothing can be executed, and where
        it should be set apart from us but cannot (`copilot.isolation`).

        To be called from the main thread: the kernel ends the CLI when the thread that spawned it ends.
        """
        try:
            self._child = spawn(self._command, self._credential, self._inherited, isolation(self._inherited))
        except OSError as error:
            failure = ModelError(
                ModelKind.SIDECAR,
                f"The Copilot CLI could not be started: {error}.",
                "Run `make setup` again, or look at the space on the disk and the rights of its folder.",
            )
            if not self._fall_back(failure):
                raise failure from error

    async def ready(self) -> Address:
        """Waits until the CLI listens; where it does not, what stands by instead is tried once.

        Raises ModelError (SIDECAR). On the event loop of the main thread, as `start` is called again.
        """
        try:
            return await self._listening()
        except ModelError as failure:
            if not self._fall_back(failure):
                raise
            return await self._listening()

    async def _listening(self) -> Address:
        assert self._child is not None, "started before it is asked"
        port = await self._child.port(self._start_seconds)
        return Address("127.0.0.1", port, self._child.connection_token)

    def _fall_back(self, failure: ModelError) -> bool:
        other = self._command.instead
        if other is None:
            return False
        logger.warning("%s Trying %s instead.", failure.message, other.program)
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
