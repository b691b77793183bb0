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

from hunkwise.copilot.connection import Connection, preflight
from hunkwise.copilot.provider import provider_config
from hunkwise.copilot.service import connected
from hunkwise.copilot.session import Copilot, Model
from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.domain.limits import Budget, Deadline
from hunkwise.domain.outcome import Review
from hunkwise.errors import stopped
from hunkwise.flows.analysis import Progress
from hunkwise.flows.review import Ready, Watchers, nothing_to_ask, prepare, review
from hunkwise.journal import Journal
from hunkwise.settings.config import Config
from hunkwise.settings.provider import Provider
from hunkwise.signals import Signals

logger = logging.getLogger(__name__)
_T = TypeVar("_T")
_PUBLISHING_SHARE = 0.1
_PUBLISHING_SECONDS = 30.0


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
                ready = await _unless(interrupted, asyncio.wrap_future(self.fetching))
                prepared = await _unless(interrupted, asyncio.to_thread(prepare, ready.order))
                _collect_from_now_on()
                if not prepared.plan.works:
                    return nothing_to_ask(ready.order, prepared, time.monotonic() - self.started)
                connection = await _unless(interrupted, opening)
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
        if self.backend.provider is None:
            await preflight(connection, config.model)  # asks nobody: the SDK keeps the list of models
        provider = provider_config(self.backend.provider) if self.backend.provider else None
        budget = Budget(config.max_model_calls, config.max_tokens)
        return Copilot(
            connection, Model(config.model, provider), ready.repository, budget, self._deadline(config)
        )

    def _deadline(self, config: Config) -> Deadline:
        """The models' part of the run's time: some is kept for publishing what they found."""
        seconds = config.deadline * 60
        kept = min(_PUBLISHING_SECONDS, seconds * _PUBLISHING_SHARE)
        return Deadline(self.started + seconds - kept, time.monotonic)


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


async def _unless(interrupted: asyncio.Event, work: Awaitable[_T]) -> _T:
    task = asyncio.ensure_future(work)
    stop = asyncio.create_task(interrupted.wait())
    try:
        either: set[asyncio.Future[Any]] = {task, stop}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise stopped()
    finally:
        stop.cancel()
