"""Runs one review on an event loop: model and code are made ready side by side, signals end it in good order."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from hunkwise.commands.deadlines import Deadlines
from hunkwise.commands.journal import Journal
from hunkwise.commands.signals import Signals
from hunkwise.copilot.connection import Connection, preflight
from hunkwise.copilot.provider import provider_config
from hunkwise.copilot.service import connected
from hunkwise.copilot.session import Copilot, Source
from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.domain.limits import Deadline
from hunkwise.domain.outcome import Review
from hunkwise.errors import ModelError, ModelKind, stopped
from hunkwise.flows.analysis import Progress
from hunkwise.flows.review import Ready, Watchers, nothing_to_ask, prepare, review
from hunkwise.settings.provider import Provider

logger = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True)
class Backend:
    """Who answers."""

    where: Sidecar | Sequence[Address]
    provider: Provider | None


@dataclass(frozen=True)
class Run:
    """One review, from what is being fetched to the value that is published."""

    backend: Backend
    fetching: Future[Ready]
    journal: Journal
    progress: Progress
    signals: Signals
    started: float
    """When the process began, on the monotonic clock."""
    deadlines: Deadlines

    async def review(self) -> Review:
        """Raises SettingsError, ForgeError or ModelError where no review can be made."""
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
                watchers = Watchers(self.journal, self.progress, interrupted, time.monotonic, self.started)
                return await review(ready.order, prepared, model, watchers)
            finally:
                opening.cancel()
                await asyncio.gather(opening, return_exceptions=True)

    async def _open(self, stack: AsyncExitStack) -> Connection:
        return await stack.enter_async_context(
            connected(self.backend.where, copilot=self.backend.provider is None)
        )

    async def _model(self, connection: Connection, ready: Ready) -> Copilot:
        config = ready.order.config
        offered = None
        if self.backend.provider is None:
            # Asks nobody: the SDK keeps the list of models.
            offered = await preflight(connection, config.lineup)
        provider = provider_config(self.backend.provider) if self.backend.provider else None
        return Copilot(
            connection,
            Source(provider, offered),
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
