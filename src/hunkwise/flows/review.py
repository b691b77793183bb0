"""The story of a review: plan, ask, assemble. What it reads and where it goes is its callers' affair."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hunkwise.domain.finding import Finding, Severity
from hunkwise.domain.outcome import Coverage, Fault, Review, Usage
from hunkwise.domain.pull_request import Snapshot
from hunkwise.errors import stopped
from hunkwise.flows.analysis import Analysis, Analyst, Model, Plan, Progress, plan
from hunkwise.flows.prompting import Prompting
from hunkwise.prompts.render import Renderer
from hunkwise.publish.merge import merge
from hunkwise.settings.config import Config


@dataclass(frozen=True)
class Order:
    """What to review, and by which rules."""

    snapshot: Snapshot
    config: Config
    templates: dict[str, str]
    local: bool = False
    """A range of commits, with no pull request around it."""
    demo: bool = False


class Repository(Protocol):
    """The code at the head, as a model may read it; see copilot.tools."""

    def read(self, path: str) -> bytes | None: ...

    def search(self, pattern: str, paths: tuple[str, ...]) -> list[tuple[str, int, str]] | None: ...

    def list(self, path: str) -> tuple[str, ...] | None: ...


@dataclass(frozen=True)
class Ready:
    """All that a review reads: what to review, and the code around it."""

    order: Order
    repository: Repository


@dataclass(frozen=True)
class Watchers:
    """Who is told while it runs, and who may stop it."""

    journal: Callable[[Finding], None]
    progress: Progress
    interrupted: asyncio.Event
    clock: Callable[[], float]
    """Seconds on a monotonic clock."""
    started: float


@dataclass(frozen=True)
class Prepared:
    """What will be asked, and how."""

    plan: Plan
    prompting: Prompting


def prepare(order: Order) -> Prepared:
    """The plan and its prompts. Raises SettingsError before anything is spent."""
    what = plan(order.snapshot, order.config)
    prompting = Prompting(order.snapshot, Renderer(order.templates), local=order.local)
    prompting.prepare([prompt.name for prompt in order.config.prompts], what.works)
    return Prepared(what, prompting)


async def review(order: Order, prepared: Prepared, model: Model, watchers: Watchers) -> Review:
    """Asks what the plan holds. Raises Error where not one question was answered and nothing was found."""
    analyst = Analyst(
        order.snapshot,
        model,
        prepared.prompting,
        parallel=order.config.parallel,
        journal=watchers.journal,
        progress=watchers.progress,
    )
    analysis = await analyst.analyse(prepared.plan, watchers.interrupted)
    if prepared.plan.works and not analysis.answered and not analysis.findings:
        raise analysis.first_error or stopped()
    seconds = watchers.clock() - watchers.started
    return assemble(order, analysis, model.usage, seconds, interrupted=watchers.interrupted.is_set())


def nothing_to_ask(order: Order, what: Plan, seconds: float) -> Review:
    """The review of a change in which nothing is to be put before a model."""
    analysis = Analysis((), Coverage(what.skipped, order.snapshot.unlisted_files), ())
    return assemble(order, analysis, Usage(), seconds, interrupted=False)


def other_models(asked: str | None, usage: Usage) -> tuple[str, ...]:
    """A note where another model answered than was asked for: the CLI replaces one that it cannot have silently."""
    if asked is None:
        return ()
    others = [name for name in usage.models if not (name.startswith(asked) or asked.startswith(name))]
    return (f'The model "{asked}" was asked for, and {", ".join(others)} answered.',) if others else ()


def assemble(order: Order, analysis: Analysis, usage: Usage, seconds: float, *, interrupted: bool) -> Review:
    """The one value that everything published is made from."""
    least = {prompt.name: prompt.min_severity or order.config.min_severity for prompt in order.config.prompts}
    kept = [finding for finding in analysis.findings if finding.severity >= least[finding.prompt]]
    findings, twins = merge(kept, Severity.LOW)
    faults = analysis.faults
    if interrupted:
        faults = (*faults, Fault("interrupted", "The run was stopped from outside before it was done."))
    return Review(
        head_sha=order.snapshot.pull_request.head_sha,
        findings=findings,
        coverage=analysis.coverage,
        usage=usage,
        summary="\n\n".join(analysis.summaries),
        faults=faults,
        notes=(*order.snapshot.notes, *other_models(order.config.model, usage)),
        dropped=len(analysis.findings) - len(kept) + twins,
        demo=order.demo,
        seconds=seconds,
        prompts=tuple(prompt.name for prompt in order.config.prompts),
        files=order.snapshot.files,
    )
