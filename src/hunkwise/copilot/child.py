"""One process of the Copilot CLI: drained, watched, ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import threading
from collections import deque
from concurrent.futures import Future

from hunkwise.copilot.homes import Home
from hunkwise.copilot.isolation import Isolation
from hunkwise.copilot.listener import listens, listens_as
from hunkwise.copilot.stragglers import end_stragglers
from hunkwise.errors import ModelError, ModelKind

_PORT_LINE = re.compile(rb"listening on port (\d{1,5})\b")
_LINE_BYTES = 8_192
_LAST_WORDS_SECONDS = 0.5
_TERM_SECONDS = 2.0


class Child:
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
        from hunkwise.publish.secrets import SecretScan  # not needed while it starts

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
