"""Who answers an evaluation: one connection to one sidecar for all cases; what is said can be recorded."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hunkwise.copilot.connection import Connection, not_offered, preflight
from hunkwise.copilot.provider import provider_config
from hunkwise.copilot.service import connected
from hunkwise.copilot.session import Copilot, Source
from hunkwise.copilot.sidecar import Sidecar
from hunkwise.domain.limits import Deadline
from hunkwise.evaluation.marks import Marks
from hunkwise.evaluation.ready import ReadyCase
from hunkwise.evaluation.recording import Recorder
from hunkwise.evaluation.tape import Tape
from hunkwise.flows.lineup import Model
from hunkwise.publish.secrets import SecretScan
from hunkwise.settings.provider import Provider


@dataclass(frozen=True)
class Asked:
    """Whom to ask, and for how long."""

    provider: Provider | None
    lineup: Sequence[str | None]
    judge: str | None
    minutes: float
    """For each case."""
    record: Path | None
    scan: SecretScan


@asynccontextmanager
async def asking(sidecar: Sidecar, asked: Asked) -> AsyncIterator[LiveCast]:
    """Raises ModelError where nobody answers, or the judge is not offered."""
    async with connected(sidecar, copilot=asked.provider is None) as connection:
        if asked.provider is not None:
            yield LiveCast(connection, Source(provider_config(asked.provider)), asked)
            return
        offered = await preflight(connection, asked.lineup)
        if asked.judge is not None and asked.judge not in offered:
            raise not_offered((asked.judge,), offered)
        yield LiveCast(connection, Source(None, offered), asked)


@dataclass
class LiveCast:
    """Gives each case a model of its own, over the one connection."""

    connection: Connection
    source: Source
    asked: Asked
    _tapes: dict[str, Tape] = field(default_factory=dict)

    def model(self, ready: ReadyCase) -> Model:
        deadline = Deadline(time.monotonic() + self.asked.minutes * 60, time.monotonic)

        def fresh() -> Copilot:
            return Copilot(self.connection, self.source, ready.ready.repository, deadline)

        if self.asked.record is None:
            return fresh()
        tape = self._tapes[ready.case.name] = Tape(ready.case.name)
        return Recorder(fresh, tape, self.asked.scan)

    def done(self, marks: Marks) -> None:
        """Writes down what was said of a case that was measured. Raises SettingsError."""
        tape = self._tapes.pop(marks.name, None)
        if tape is not None and self.asked.record is not None and marks.failure is None:
            tape.write(self.asked.record, self.asked.scan)
