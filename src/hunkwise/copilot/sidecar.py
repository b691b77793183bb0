"""The Copilot CLI as a child process: its start, port and end, and a fallback program if it does not start.

Only the standard library is imported here, so that the CLI starts while the SDK is still being imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import re
import resource
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

from hunkwise.copilot.find_cli import CliCommand, install_hint
from hunkwise.copilot.isolation import (
    Credential,
    Isolation,
    find_isolation,
    isolation_error,
    sidecar_environment,
)
from hunkwise.copilot.procfs import end_stragglers, end_user, listens, listens_as
from hunkwise.domain.model import Deadline
from hunkwise.errors import ModelError, ModelKind
from hunkwise.files import WIPE_SECONDS, PrivateFolder
from hunkwise.settings.parsing import host_of, parse_host_port, port_of

_PORT_LINE = re.compile(rb"listening on port (\d{1,5})\b")
_LINE_BYTES = 8_192
_LAST_OUTPUT_SECONDS = 0.5
_TERM_SECONDS = 1.0
"""For the CLI to end by itself, which takes it 0.15 s; as long again to find the processes that it left."""
_HOME_PREFIX = "hunkwise-sidecar-"


class CliProcess:
    """One process of the CLI, from its start to its end."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        home: PrivateFolder,
        connection_token: str,
        isolation: Isolation | None,
    ) -> None:
        self._process = process
        self._home = home
        self._isolation = isolation
        self.connection_token = connection_token
        self._port: Future[int] = Future()
        self._exit: Future[int] = Future()
        for future in (self._port, self._exit):
            future.set_running_or_notify_cancel()  # so that a caller that stops waiting does not cancel it
        self._tail: deque[str] = deque(maxlen=20)
        self._output_thread = threading.Thread(target=self._read_output, name="sidecar-output", daemon=True)
        # Separate from the output, which a child process of the CLI can keep open.
        self._exit_thread = threading.Thread(target=self._wait_for_exit, name="sidecar-end", daemon=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def watch(self) -> None:
        """Starts to read the output (a full pipe would block the CLI) and to wait for the end."""
        self._output_thread.start()
        self._exit_thread.start()

    def _read_output(self) -> None:
        output = self._process.stdout
        assert output is not None
        while line := output.readline(_LINE_BYTES):
            match = _PORT_LINE.search(line)
            if match and not self._port.done():
                self._port.set_result(int(match[1]))
            else:
                self._tail.append(line[:500].decode("utf-8", "replace").rstrip())

    def _wait_for_exit(self) -> None:
        code = self._process.wait()
        self._output_thread.join(_LAST_OUTPUT_SECONDS)
        self._exit.set_result(code)

    def _exit_error(self, code: int) -> ModelError:
        how = f"by signal {_signal_name(-code)}" if code < 0 else f"with status {code}"
        output = self._last_output()
        return ModelError(
            ModelKind.SIDECAR,
            f"The Copilot CLI ended {how}." + (f" It said: {output}" if output else ""),
            "Run it again; if it happens again, `COPILOT_CLI_PATH` lets you try another version.",
        )

    def _last_output(self) -> str:
        """Returns the end of its output; empty if that contains the connection token, which its environment has."""
        from hunkwise.redaction import SecretScan  # imported late: not needed while the CLI starts

        output = " ".join(line for line in self._tail if line)
        return "" if SecretScan([self.connection_token]).found_in(output) else output[-500:]

    async def port(self, seconds: float) -> int:
        """Waits for the port and verifies that our process listens on it. Raises ModelError (SIDECAR)."""
        port, exit_code = asyncio.wrap_future(self._port), asyncio.wrap_future(self._exit)
        futures: set[asyncio.Future[int]] = {port, exit_code}
        await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if exit_code.done():
            raise self._exit_error(exit_code.result())
        if not port.done():
            raise ModelError(
                ModelKind.SIDECAR,
                f"The Copilot CLI did not listen within {seconds:.0f} seconds.",
                "Look at the machine's load and disk, then run it again.",
            )
        if self._is_ours(port.result()) is False:
            raise ModelError(
                ModelKind.SIDECAR,
                f"Port {port.result()} is not the Copilot CLI's own; its token was not sent there.",
                "Look at what else runs on this machine.",
            )
        return port.result()

    def _is_ours(self, port: int) -> bool | None:
        if self._isolation is not None:  # we cannot see its open files, but no other process has its uid
            return listens_as(self._isolation.uid, port)
        return listens(self.pid, port)

    async def exited(self) -> ModelError:
        """Waits until the process ends, and returns the error for its end."""
        return self._exit_error(await asyncio.wrap_future(self._exit))

    def stop(self, *, last: bool) -> None:
        """Ends the process and all that it started, then deletes its home, in `WIPE_SECONDS`. May be called again.

        `last`: this process needs no other child process any more; see `end_stragglers`.
        """
        deadline = _deadline(WIPE_SECONDS)
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # a suspended process does not handle SIGTERM before
        self._wait(_TERM_SECONDS)
        self._signal(signal.SIGKILL)
        if self._isolation is not None:
            end_user(self._isolation.uid)
        else:
            end_stragglers(self._home.path, _deadline(_TERM_SECONDS), last=last)
        self._wait(deadline.remaining)
        self._output_thread.join(_LAST_OUTPUT_SECONDS)
        if not self._output_thread.is_alive() and self._process.stdout is not None:
            self._process.stdout.close()
        self._home.wipe(deadline.remaining)

    def _wait(self, seconds: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _deadline(seconds: float) -> Deadline:
    return Deadline(time.monotonic() + seconds, time.monotonic)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return str(number)


_PR_SET_PDEATHSIG = 1
# A review at `parallel: 32` needs at most, measured: 53 threads, 1.0 GB, and 145 MB for a file where it unpacks itself.
MAX_PROCESSES = 1_024
"""Processes and threads together. The kernel counts them by user, so only a user of its own can have this limit."""
MAX_MEMORY = 4 << 30
"""Bytes of data of each process. Not of its address space, of which V8 reserves more than it uses."""
MAX_FILE = 512 << 20


def spawn(
    command: CliCommand, credential: Credential, inherited: Mapping[str, str], isolation: Isolation | None
) -> CliProcess:
    """Starts the program in a private home. Raises OSError if it cannot be executed, ModelError (SIDECAR) if the
    required isolation fails."""
    connection_token = secrets.token_hex(32)
    home = _create_home(isolation)
    try:
        (home.path / "scratch").mkdir()
        folder = home.path
        if isolation is not None:  # all paths as the sidecar sees them
            inherited = {**inherited, **_furnish(isolation, folder, inherited)}
            folder, cache = isolation.inside(folder), command.package_cache
            command = replace(
                command,
                program=isolation.inside(command.program),
                package_cache=isolation.inside(cache) if cache is not None else None,
            )
        environment = sidecar_environment(
            inherited,
            home=folder,
            connection_token=connection_token,
            credential=credential,
            package_cache=command.package_cache,
        )
        process = _popen(command, environment, isolation)
    except (OSError, ModelError):
        home.wipe()
        raise
    cli = CliProcess(process, home, connection_token, isolation)
    cli.watch()
    return cli


def _create_home(isolation: Isolation | None) -> PrivateFolder:
    if isolation is None:
        return PrivateFolder(_HOME_PREFIX)
    try:
        return PrivateFolder(_HOME_PREFIX, isolation.homes)
    except OSError as error:
        raise isolation_error(str(error)) from error


def _furnish(isolation: Isolation, home: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    try:
        return isolation.prepare_home(home, inherited)
    except OSError as error:
        raise isolation_error(str(error)) from error


def _popen(
    command: CliCommand, environment: Mapping[str, str], isolation: Isolation | None
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command.arguments,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_confine(os.getpid(), isolation, environment["TMPDIR"]),
        )
    except subprocess.SubprocessError as error:  # Python gives no details of a failure between fork and exec
        raise isolation_error("no child of ours could become another user in another root folder") from error


def _limit(kind: int, most: int) -> None:
    """Limits this process and those that it starts, unless a lower limit is set already."""
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def _confine(parent: int, isolation: Isolation | None, folder: str) -> Callable[[], None]:
    """Returns what the child runs before exec. On Linux the kernel ends the CLI when we end, even by SIGKILL."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None  # before the fork

    def confine() -> None:
        if isolation is not None:
            isolation.enter()
            _limit(resource.RLIMIT_NPROC, MAX_PROCESSES)
        os.chdir(folder)
        _limit(resource.RLIMIT_FSIZE, MAX_FILE)
        if prctl is None:
            return
        _limit(resource.RLIMIT_DATA, MAX_MEMORY)
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # last: a change of user resets it
        if os.getppid() != parent:  # we ended before the call of prctl
            os._exit(1)

    return confine


_START_SECONDS = 15.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a headless CLI, and the token that it requires."""

    host: str
    port: int
    connection_token: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str, connection_token: str | None) -> Address:
        """Returns the address at `host:port`. Raises ValueError, whose message continues a sentence about the text."""
        name = parse_host_port(text)
        return cls(host_of(name), port_of(name), connection_token)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Sidecar:
    """The CLI of this run. Call `start` first and `stop` last."""

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
        self._cli: CliProcess | None = None

    @property
    def pid(self) -> int | None:
        return self._cli.pid if self._cli else None

    def start(self) -> None:
        """Starts the process and returns immediately. Raises ModelError (SIDECAR) if no program can be executed, or
        if the required isolation fails (see `copilot.isolation`).

        Call it from the main thread: the kernel ends the CLI when the thread that started it ends.
        """
        try:
            self._cli = spawn(
                self._command, self._credential, self._inherited, find_isolation(self._inherited)
            )
        except OSError as error:
            failure = ModelError(
                ModelKind.SIDECAR,
                f"The Copilot CLI could not be started: {error}.",
                "Look at the space on the disk and the rights of its folder.",
                f"Look at the space on the disk and the rights of its folder. {install_hint()}",
            )
            if not self.fall_back(failure):
                raise failure from error

    async def ready(self) -> Address:
        """Waits until the CLI listens, and returns its address; tries the fallback program once if it does not.

        Raises ModelError (SIDECAR). Run it on the event loop of the main thread: it may call `start` again.
        """
        while True:
            assert self._cli is not None, "call `start` first"
            try:
                port = await self._cli.port(self._start_seconds)
                return Address("127.0.0.1", port, self._cli.connection_token)
            except ModelError as failure:
                if not self.fall_back(failure):
                    raise

    def fall_back(self, failure: ModelError) -> bool:
        """Starts the fallback program in place of one that failed; returns False if there is none. Raises as `start`.

        Run it on the main thread.
        """
        fallback = self._command.instead
        if fallback is None:
            return False
        logger.warning("%s Trying %s instead.", failure.message, fallback.program)
        if self._cli is not None:
            self._cli.stop(last=False)
        self._command = fallback
        self.start()
        return True

    async def exited(self) -> ModelError:
        """Waits until the CLI ends, and returns the error for its end."""
        assert self._cli is not None, "call `start` first"
        return await self._cli.exited()

    def stop(self) -> None:
        """Ends the CLI, with all that a run's process has started, and deletes its home.

        May be called again, and before `start`.
        """
        if self._cli is not None:
            self._cli.stop(last=True)
