"""Runs one review, or the questions of an evaluation, on an event loop; with deadlines and a journal."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from hunkwise.commands.signals import Signals
from hunkwise.copilot.connection import CopilotConnection, connected, not_offered, preflight, provider_config
from hunkwise.copilot.session import Copilot, ModelSource
from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.domain.finding import Finding
from hunkwise.domain.model import Deadline
from hunkwise.domain.review import Review
from hunkwise.errors import ModelError, ModelKind, stopped
from hunkwise.evaluation.cassette import Cassette, Recorder
from hunkwise.evaluation.preparation import ReadyCase
from hunkwise.evaluation.results import CaseResult
from hunkwise.flows.analysis import Progress
from hunkwise.flows.models import Model
from hunkwise.flows.review import ReviewInput, RunHooks, nothing_to_ask, prepare, review
from hunkwise.redaction import SecretScan
from hunkwise.settings.inputs import Provider

PUBLISHING_SECONDS: Final = 30.0
"""Kept for publishing what was found, of the run's time where that is five minutes or more."""
_PUBLISHING_SHARE = 0.1


class Deadlines:
    """Moments on a monotonic clock, in seconds. They move when the configuration has told its own `deadline`."""

    def __init__(
        self, started: float, minutes: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._started = started
        self._clock = clock
        self.minutes = minutes

    @property
    def asking_ends(self) -> float:
        """When reading, preparing and asking end: what was found by then is published."""
        seconds = self.minutes * 60
        return self._started + seconds - min(PUBLISHING_SECONDS, seconds * _PUBLISHING_SHARE)

    def seconds_to_ask(self) -> float:
        return self.asking_ends - self._clock()

    def seconds_left(self) -> float:
        """Until the deadline: nobody waits for his turn beyond it."""
        return max(0.0, self._started + self.minutes * 60 - self._clock())

    def last_seconds(self) -> float:
        """Until nothing is sent or read any more: the deadline, and later only where that leaves publishing less
        than its thirty seconds."""
        return max(0.0, self.asking_ends + PUBLISHING_SECONDS - self._clock())


logger = logging.getLogger(__name__)


class Journal:
    """A file of one JSON object a line. A disk that takes no more is said once, and stops no review.

    What holds a secret, as `holds_secret` says of the line, is not written.
    """

    def __init__(self, path: Path, holds_secret: Callable[[str], bool] = lambda _line: False) -> None:
        self._path = path
        self._holds_secret = holds_secret
        self._broken = False

    def __call__(self, finding: Finding) -> None:
        if self._broken:
            return
        line = json.dumps({**asdict(finding), "fingerprint": finding.fingerprint}, default=str)
        if self._holds_secret(line):
            return
        try:
            _make(self._path.parent)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            self._broken = True
            logger.warning(
                "The journal %s cannot be written (%s); the review goes on.", self._path, error.strerror
            )


def write_whole(path: Path, contents: object) -> str:
    """Writes values as JSON, whole or not at all; gives the path, or nothing where the disk does not take it."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        _make(path.parent)
        unfinished.write_text(json.dumps(contents, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        logger.warning("%s cannot be written (%s).", path, error.strerror)
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        return ""
    return str(path)


def _make(folder: Path) -> None:
    """Makes the folder; where we are root, as in a container, it is given to whose folder it is in: the runner
    wipes both at the end of the job, and is not root. Raises OSError."""
    if folder.is_dir():
        return
    folder.mkdir(parents=True)
    if os.geteuid() == 0:
        owner = folder.parent.stat()
        os.chown(folder, owner.st_uid, owner.st_gid)


_T = TypeVar("_T")


@dataclass(frozen=True)
class RunBackend:
    """Who answers."""

    where: Sidecar | Sequence[Address]
    provider: Provider | None


@dataclass(frozen=True)
class ReviewRun:
    """One review, from what is being fetched to the value that is published."""

    backend: RunBackend
    fetching: Future[ReviewInput]
    journal: Journal
    progress: Progress
    signals: Signals
    started: float
    """When the process began, on the monotonic clock."""
    deadlines: Deadlines

    async def review(self) -> Review:
        """Raises SettingsError, GitHubError or ModelError where no review can be made."""
        interrupted = asyncio.Event()
        loop = asyncio.get_running_loop()
        self.signals.tell(lambda: _set_soon(loop, interrupted))
        loop.set_exception_handler(_log_quietly)
        try:
            return await self._review(interrupted)
        finally:
            self.signals.hold()

    async def _review(self, interrupted: asyncio.Event) -> Review:
        async with AsyncExitStack() as stack:
            opening = asyncio.create_task(self._open(stack))
            try:
                fetching = asyncio.wrap_future(self.fetching)
                ready = await self._within(interrupted, fetching, "the change was being read")
                # A second more: the template is not to blame where it is the run's own time that ends.
                preparing = asyncio.to_thread(
                    prepare, ready.order, lambda: self.deadlines.seconds_to_ask() + 1.0, ready.repository
                )
                prepared = await self._within(interrupted, preparing, "the prompts were being written")
                _collect_from_now_on()
                if not prepared.plan.works:
                    return nothing_to_ask(ready.order, prepared, time.monotonic() - self.started)
                connection = await self._within(interrupted, opening, "the Copilot CLI was being reached")
                model = await self._model(connection, ready)
                watchers = RunHooks(self.journal, self.progress, interrupted, time.monotonic, self.started)
                return await review(ready.order, prepared, model, watchers)
            finally:
                opening.cancel()
                await asyncio.gather(opening, return_exceptions=True)

    async def _open(self, stack: AsyncExitStack) -> CopilotConnection:
        return await stack.enter_async_context(
            connected(self.backend.where, copilot=self.backend.provider is None)
        )

    async def _model(self, connection: CopilotConnection, ready: ReviewInput) -> Copilot:
        config = ready.order.config
        offered = None
        if self.backend.provider is None:
            # Asks nobody: the SDK keeps the list of models.
            offered = await preflight(connection, config.lineup)
        provider = provider_config(self.backend.provider) if self.backend.provider else None
        return Copilot(
            connection,
            ModelSource(provider, offered),
            ready.repository,
            Deadline(self.deadlines.asking_ends, time.monotonic),
        )

    async def _within(self, interrupted: asyncio.Event, work: Awaitable[_T], meanwhile: str) -> _T:
        """What `work` gives before the time for asking ends. Raises ModelError where it does not."""
        while True:
            task = asyncio.ensure_future(work)
            try:
                return await _unless(interrupted, task, self.deadlines.seconds_to_ask())
            except _LateError:
                if self.deadlines.seconds_to_ask() > 0:  # the configuration has told a later one meanwhile
                    work = task
                    continue
                task.cancel()
                message = f"The run's deadline ({self.deadlines.minutes:g} minutes) came while {meanwhile}."
                raise ModelError(ModelKind.TIMEOUT, message, "Raise `deadline`.") from None


def _collect_from_now_on() -> None:
    """What was imported and read lives to the end: looking for garbage in it takes a third of a large plan's time."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    gc.enable()


def _set_soon(loop: asyncio.AbstractEventLoop, interrupted: asyncio.Event) -> None:
    """A signal no longer ends us: it ends the asking, and what was found is published."""
    loop.call_soon_threadsafe(interrupted.set)


def _log_quietly(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """The SDK parses events in callbacks, where one that it does not know fails: nothing that we wait for.

    The loop's own message would print the event, which is foreign text.
    """
    error = context.get("exception")
    logger.debug("A callback failed: %s", type(error).__name__ if error else context.get("message"))


class _LateError(Exception):
    """The time was over first."""


async def _unless(interrupted: asyncio.Event, task: asyncio.Future[_T], seconds: float) -> _T:
    stop = asyncio.create_task(interrupted.wait())
    try:
        either: set[asyncio.Future[Any]] = {task, stop}
        await asyncio.wait(either, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise stopped() if stop.done() else _LateError
    finally:
        stop.cancel()


@dataclass(frozen=True)
class EvalBackend:
    """Whom to ask, and for how long."""

    provider: Provider | None
    lineup: Sequence[str | None]
    judge: str | None
    minutes: float
    """For each case."""
    record: Path | None
    scan: SecretScan


@asynccontextmanager
async def asking(sidecar: Sidecar, asked: EvalBackend) -> AsyncIterator[LiveModels]:
    """Raises ModelError where nobody answers, or the judge is not offered."""
    async with connected(sidecar, copilot=asked.provider is None) as connection:
        if asked.provider is not None:
            yield LiveModels(connection, ModelSource(provider_config(asked.provider)), asked)
            return
        offered = await preflight(connection, asked.lineup)
        if asked.judge is not None and asked.judge not in offered:
            raise not_offered((asked.judge,), offered)
        yield LiveModels(connection, ModelSource(None, offered), asked)


@dataclass
class LiveModels:
    """Gives each case a model of its own, over the one connection."""

    connection: CopilotConnection
    source: ModelSource
    asked: EvalBackend
    _tapes: dict[str, Cassette] = field(default_factory=dict)

    def model(self, ready: ReadyCase) -> Model:
        deadline = Deadline(time.monotonic() + self.asked.minutes * 60, time.monotonic)

        def fresh() -> Copilot:
            return Copilot(self.connection, self.source, ready.ready.repository, deadline)

        if self.asked.record is None:
            return fresh()
        tape = self._tapes[ready.case.name] = Cassette(ready.case.name)
        return Recorder(fresh, tape, self.asked.scan)

    def done(self, marks: CaseResult) -> None:
        """Writes down what was said of a case that was measured. Raises SettingsError."""
        tape = self._tapes.pop(marks.name, None)
        if tape is not None and self.asked.record is not None and marks.failure is None:
            tape.write(self.asked.record, self.asked.scan)
