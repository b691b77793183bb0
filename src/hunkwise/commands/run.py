"""Runs one review, or connects the models of an evaluation, on an event loop. Imports the SDK."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from hunkwise.commands.journal import Journal
from hunkwise.commands.signals import Signals, quiet_loop
from hunkwise.copilot.connection import (
    CopilotConnection,
    connect_sidecar,
    not_offered_error,
    preflight,
    provider_config,
)
from hunkwise.copilot.pool import open_servers
from hunkwise.copilot.session import ConnectionSource, Copilot, ModelSource
from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.domain.model import Deadline, Deadlines
from hunkwise.domain.review import Review
from hunkwise.errors import ModelError, ModelKind, StoppedError
from hunkwise.evaluation.cassette import Cassette, Recorder
from hunkwise.evaluation.preparation import ReadyCase
from hunkwise.evaluation.results import CaseResult
from hunkwise.flows.analysis import Progress
from hunkwise.flows.answering import Answer, AnswerRequest, answer
from hunkwise.flows.models import Model, wait_unless
from hunkwise.flows.review import ReviewInput, RunHooks, nothing_to_ask, prepare, review
from hunkwise.redaction import SecretScan, withhold
from hunkwise.settings.inputs import Provider
from hunkwise.telemetry import span

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
    scan: SecretScan
    """The secrets that no later question may show to a model."""

    async def review(self) -> Review:
        """Returns the review. Raises SettingsError, GitHubError or ModelError where no review can be made."""
        with quiet_loop(self.signals) as interrupted:
            return await self._review(interrupted)

    async def _review(self, interrupted: asyncio.Event) -> Review:
        async with AsyncExitStack() as stack:
            opening = asyncio.create_task(self._open(stack))
            try:
                fetching = asyncio.wrap_future(self.fetching)
                ready = await self._within(interrupted, fetching, "the change was being read")
                # One second more, so that the error names the run's deadline and not the template.
                preparing = asyncio.to_thread(
                    span("prepare")(prepare),
                    ready.request,
                    lambda: self.deadlines.seconds_to_ask() + 1.0,
                    ready.code,
                )
                prepared = await self._within(interrupted, preparing, "the prompts were being written")
                enable_collection()
                if not prepared.asks:
                    return nothing_to_ask(ready.request, prepared, time.monotonic() - self.started)
                servers = await self._within(interrupted, opening, "the Copilot CLI was being reached")
                model = await self._model(servers, ready)
                hooks = RunHooks(
                    self.journal,
                    self.progress,
                    interrupted,
                    time.monotonic,
                    self.started,
                    lambda review: withhold(review, self.scan),
                )
                return await review(ready.request, prepared, model, hooks)
            finally:
                opening.cancel()
                await asyncio.gather(opening, return_exceptions=True)

    async def _open(self, stack: AsyncExitStack) -> ConnectionSource:
        return await stack.enter_async_context(
            open_servers(self.backend.where, copilot=self.backend.provider is None)
        )

    async def _model(self, servers: ConnectionSource, ready: ReviewInput) -> Copilot:
        source = await _model_source(servers, self.backend.provider, ready.request.config.model_order)
        return Copilot(
            servers,
            source,
            ready.code,
            Deadline(self.deadlines.asking_ends, time.monotonic),
        )

    async def _within(self, interrupted: asyncio.Event, work: Awaitable[_T], meanwhile: str) -> _T:
        """Awaits `work` and returns its result. Raises ModelError if the time for asking ends before."""
        task = asyncio.ensure_future(work)
        while not task.done():
            if interrupted.is_set():
                raise StoppedError()
            seconds = self.deadlines.seconds_to_ask()  # the configuration may have moved it meanwhile
            if seconds <= 0:
                task.cancel()
                message = f"The run's deadline ({self.deadlines.minutes:g} minutes) came while {meanwhile}."
                raise ModelError(ModelKind.TIMEOUT, message, "Raise `deadline`.")
            await wait_unless(interrupted, task, seconds)
        return task.result()


@dataclass(frozen=True)
class AnswerRun:
    """Answers one command: connects to the CLI, and asks the model."""

    backend: RunBackend
    request: AnswerRequest
    deadlines: Deadlines
    signals: Signals

    async def answer(self) -> Answer:
        """Returns the answer. Raises SettingsError, ModelError."""
        provider = self.backend.provider
        config = self.request.config
        with quiet_loop(self.signals) as interrupted:
            async with open_servers(self.backend.where, copilot=provider is None) as servers:
                source = await _model_source(servers, provider, config.model_order)
                deadline = Deadline(self.deadlines.asking_ends, time.monotonic)
                model = Copilot(servers, source, self.request.code, deadline)
                return await answer(self.request, model, interrupted)


async def _model_source(
    servers: ConnectionSource, provider: Provider | None, models: Sequence[str | None]
) -> ModelSource:
    """Raises ModelError if Copilot offers none of the models."""
    if provider is not None:
        return ModelSource(provider_config(provider))
    async with servers.lease() as connection:
        # Costs no request: the SDK caches the list of models.
        return ModelSource(None, await preflight(connection, models))


def enable_collection() -> None:
    """Enables garbage collection, which `cli` disables, except for the objects so far.

    They live to the end, and scanning them would take a third of the time for planning a large change.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    gc.enable()


@dataclass(frozen=True)
class EvalBackend:
    """The models and the recording of one run of an evaluation."""

    models: Sequence[str | None]
    judge: str | None
    minutes: float
    """For each case."""
    record: Path | None
    scan: SecretScan


@asynccontextmanager
async def connect_models(
    sidecar: Sidecar, provider: Provider | None, runs: Sequence[EvalBackend]
) -> AsyncIterator[tuple[LiveModels, ...]]:
    """Connects to the CLI, and yields the models of each run.

    Raises ModelError where the CLI does not answer, or Copilot does not offer a model or a judge.
    """
    async with connect_sidecar(sidecar, copilot=provider is None) as connection:
        if provider is not None:
            source = ModelSource(provider_config(provider))
            yield tuple(LiveModels(connection, source, settings) for settings in runs)
            return
        sources = [await _offered_models(connection, settings) for settings in runs]
        yield tuple(
            LiveModels(connection, source, settings) for source, settings in zip(sources, runs, strict=True)
        )


async def _offered_models(connection: CopilotConnection, settings: EvalBackend) -> ModelSource:
    offered = await preflight(connection, settings.models)
    if settings.judge is not None and settings.judge not in offered:
        raise not_offered_error((settings.judge,), offered)
    return ModelSource(None, offered)


@dataclass
class LiveModels:
    """Creates a model for each case, over one connection, and records its answers if a folder for that is set."""

    connection: CopilotConnection
    source: ModelSource
    settings: EvalBackend
    _cassettes: dict[str, Cassette] = field(default_factory=dict)

    def model(self, ready: ReadyCase) -> Model:
        deadline = Deadline(time.monotonic() + self.settings.minutes * 60, time.monotonic)

        def fresh() -> Copilot:
            return Copilot(self.connection, self.source, ready.ready.code, deadline)

        if self.settings.record is None:
            return fresh()
        cassette = self._cassettes[ready.case.name] = Cassette(ready.case.name)
        return Recorder(fresh, cassette, self.settings.scan)

    def done(self, result: CaseResult) -> None:
        """Writes the recorded answers of a case that was measured. Raises SettingsError."""
        cassette = self._cassettes.pop(result.name, None)
        if cassette is not None and self.settings.record is not None and result.failure is None:
            cassette.write(self.settings.record, self.settings.scan)
