"""Runs one review, or connects the models of an evaluation, on an event loop; with deadlines and a journal."""

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
"""Reserved for publishing, of the run's time, if that is at least five minutes."""
_PUBLISHING_SHARE = 0.1


class Deadlines:
    """Deadlines on a monotonic clock, in seconds. They move when `minutes` is set to the configuration's `deadline`."""

    def __init__(
        self, started: float, minutes: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._started = started
        self._clock = clock
        self.minutes = minutes

    @property
    def asking_ends(self) -> float:
        """When reading, preparing and asking end. The findings so far are published then."""
        seconds = self.minutes * 60
        return self._started + seconds - min(PUBLISHING_SECONDS, seconds * _PUBLISHING_SHARE)

    def seconds_to_ask(self) -> float:
        """Returns the seconds until `asking_ends`; negative after it."""
        return self.asking_ends - self._clock()

    def seconds_left(self) -> float:
        """Returns the seconds until the deadline, at least 0: no request waits for its turn after it."""
        return max(0.0, self._started + self.minutes * 60 - self._clock())

    def last_seconds(self) -> float:
        """Returns the seconds until the last moment to send or read: the deadline, or later where publishing would
        get less than thirty seconds."""
        return max(0.0, self.asking_ends + PUBLISHING_SECONDS - self._clock())


logger = logging.getLogger(__name__)


class Journal:
    """Appends findings to a file, one JSON object per line. If that fails, it warns once, and the review continues.

    A line for which `holds_secret` is true is not written.
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
            _make_folder(self._path.parent)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            self._broken = True
            logger.warning(
                "The journal %s cannot be written (%s); the review goes on.", self._path, error.strerror
            )


def write_whole(path: Path, contents: object) -> str:
    """Writes values as JSON, whole or not at all. Returns the path, or an empty text if it cannot be written."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        _make_folder(path.parent)
        unfinished.write_text(json.dumps(contents, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        logger.warning("%s cannot be written (%s).", path, error.strerror)
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        return ""
    return str(path)


def _make_folder(folder: Path) -> None:
    """Creates the folder; as root, with the owner of its parent folder. Raises OSError.

    The runner, which is not root, wipes both at the end of the job.
    """
    if folder.is_dir():
        return
    folder.mkdir(parents=True)
    if os.geteuid() == 0:
        owner = folder.parent.stat()
        os.chown(folder, owner.st_uid, owner.st_gid)


_T = TypeVar("_T")


@dataclass(frozen=True)
class RunBackend:
    """The CLI and the provider that answer."""

    where: Sidecar | Sequence[Address]
    provider: Provider | None


@dataclass(frozen=True)
class ReviewRun:
    """Runs one review: waits for the fetched change, prepares the prompts, and asks the model."""

    backend: RunBackend
    fetching: Future[ReviewInput]
    journal: Journal
    progress: Progress
    signals: Signals
    started: float
    """When the process started, on the monotonic clock."""
    deadlines: Deadlines

    async def review(self) -> Review:
        """Returns the review. Raises SettingsError, GitHubError or ModelError where no review can be made."""
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
                # One second more, so that the error names the run's deadline and not the template.
                preparing = asyncio.to_thread(
                    prepare, ready.order, lambda: self.deadlines.seconds_to_ask() + 1.0, ready.repository
                )
                prepared = await self._within(interrupted, preparing, "the prompts were being written")
                _enable_collection()
                if not prepared.plan.works:
                    return nothing_to_ask(ready.order, prepared, time.monotonic() - self.started)
                connection = await self._within(interrupted, opening, "the Copilot CLI was being reached")
                model = await self._model(connection, ready)
                hooks = RunHooks(self.journal, self.progress, interrupted, time.monotonic, self.started)
                return await review(ready.order, prepared, model, hooks)
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
            # Costs no request: the SDK caches the list of models.
            offered = await preflight(connection, config.model_order)
        provider = provider_config(self.backend.provider) if self.backend.provider else None
        return Copilot(
            connection,
            ModelSource(provider, offered),
            ready.repository,
            Deadline(self.deadlines.asking_ends, time.monotonic),
        )

    async def _within(self, interrupted: asyncio.Event, work: Awaitable[_T], meanwhile: str) -> _T:
        """Awaits `work` and returns its result. Raises ModelError if the time for asking ends before."""
        while True:
            task = asyncio.ensure_future(work)
            try:
                return await _wait_for(interrupted, task, self.deadlines.seconds_to_ask())
            except _LateError:
                if (
                    self.deadlines.seconds_to_ask() > 0
                ):  # the configuration has set a later deadline meanwhile
                    work = task
                    continue
                task.cancel()
                message = f"The run's deadline ({self.deadlines.minutes:g} minutes) came while {meanwhile}."
                raise ModelError(ModelKind.TIMEOUT, message, "Raise `deadline`.") from None


def _enable_collection() -> None:
    """Enables garbage collection, except for the objects so far.

    They live to the end, and scanning them would take a third of the time for planning a large change.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    gc.enable()


def _set_soon(loop: asyncio.AbstractEventLoop, interrupted: asyncio.Event) -> None:
    """Ends the questions to the model, from a signal handler. The findings so far are published."""
    loop.call_soon_threadsafe(interrupted.set)


def _log_quietly(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Logs only the error's type. The SDK's callbacks fail on unknown events, and nothing waits for them.

    The loop's own message would print the event, which is untrusted text.
    """
    error = context.get("exception")
    logger.debug("A callback failed: %s", type(error).__name__ if error else context.get("message"))


class _LateError(Exception):
    """The time was over before the work was done."""


async def _wait_for(interrupted: asyncio.Event, task: asyncio.Future[_T], seconds: float) -> _T:
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
    """The provider, models and recording of an evaluation."""

    provider: Provider | None
    models: Sequence[str | None]
    judge: str | None
    minutes: float
    """For each case."""
    record: Path | None
    scan: SecretScan


@asynccontextmanager
async def asking(sidecar: Sidecar, settings: EvalBackend) -> AsyncIterator[LiveModels]:
    """Connects to the CLI. Raises ModelError where it does not answer, or Copilot does not offer the judge."""
    async with connected(sidecar, copilot=settings.provider is None) as connection:
        if settings.provider is not None:
            yield LiveModels(connection, ModelSource(provider_config(settings.provider)), settings)
            return
        offered = await preflight(connection, settings.models)
        if settings.judge is not None and settings.judge not in offered:
            raise not_offered((settings.judge,), offered)
        yield LiveModels(connection, ModelSource(None, offered), settings)


@dataclass
class LiveModels:
    """Creates a model for each case, over one connection, and records its answers if a folder for that is set."""

    connection: CopilotConnection
    source: ModelSource
    settings: EvalBackend
    _tapes: dict[str, Cassette] = field(default_factory=dict)

    def model(self, ready: ReadyCase) -> Model:
        deadline = Deadline(time.monotonic() + self.settings.minutes * 60, time.monotonic)

        def fresh() -> Copilot:
            return Copilot(self.connection, self.source, ready.ready.repository, deadline)

        if self.settings.record is None:
            return fresh()
        tape = self._tapes[ready.case.name] = Cassette(ready.case.name)
        return Recorder(fresh, tape, self.settings.scan)

    def done(self, marks: CaseResult) -> None:
        """Writes the recorded answers of a case that was measured. Raises SettingsError."""
        tape = self._tapes.pop(marks.name, None)
        if tape is not None and self.settings.record is not None and marks.failure is None:
            tape.write(self.settings.record, self.settings.scan)
