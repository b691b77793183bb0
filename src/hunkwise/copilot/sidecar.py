"""The Copilot CLI that this run talks to: one program, and the one that takes its place if it fails.

Only the standard library is imported here, so that the CLI starts while the SDK is still being imported.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from hunkwise.copilot.child import Child
from hunkwise.copilot.command import Command
from hunkwise.copilot.environment import Credential
from hunkwise.copilot.isolation import isolation
from hunkwise.copilot.spawn import spawn
from hunkwise.errors import ModelError, ModelKind

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
        command: Command,
        credential: Credential,
        inherited: Mapping[str, str],
        start_seconds: float = _START_SECONDS,
    ) -> None:
        self._command = command
        self._credential = credential
        self._inherited = inherited
        self._start_seconds = start_seconds
        self._child: Child | None = None

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
