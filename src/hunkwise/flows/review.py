"""The story of a review: plan, ask, assemble. What it reads and where it goes is its callers' affair."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hunkwise.domain.finding import Finding, Severity
from hunkwise.domain.outcome import Fault, Review, Usage
from hunkwise.domain.pull_request import Snapshot
from hunkwise.domain.state import State
from hunkwise.errors import stopped
from hunkwise.flows.analysis import Analysis, Analyst, Model, Progress
from hunkwise.flows.planning import Plan, coverage_of, hunks_of, plan
from hunkwise.flows.prompting import Prompting
from hunkwise.flows.settings_digest import settings_digest
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
    state: State | None = None
    """What earlier runs left behind."""
    full: bool = False
    """Review everything again, whatever was reviewed before."""


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
    settings: str
    """Digest of all that decides on what is looked for."""


def prepare(order: Order, seconds_left: Callable[[], float] = lambda: math.inf) -> Prepared:
    """The plan and its prompts. Raises SettingsError before anything is spent.

    `seconds_left`: until no template of the user's own is rendered any more.
    """
    prompting = Prompting(order.snapshot, Renderer(order.templates, seconds_left), local=order.local)
    settings = settings_digest(
        order.config,
        order.templates,
        order.snapshot.instructions,
        demo=order.demo,
        system=prompting.system,
    )
    what = plan(order.snapshot, order.config, reviewed_before(order, settings))
    prompting.prepare([prompt.name for prompt in order.config.prompts], what.works)
    return Prepared(what, prompting, settings)


def reviewed_before(order: Order, settings: str) -> frozenset[str]:
    """The hunks that need no second look: none where head or base were rewritten, or other things are asked now."""
    state, conversation = order.state, order.snapshot.conversation
    if state is None or conversation is None or order.full:
        return frozenset()
    same = (state.base, state.rewrites, state.settings) == (
        order.snapshot.pull_request.base,
        conversation.rewrites,
        settings,
    )
    return state.hunks if same else frozenset()


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
    watchers.progress(0, len(prepared.plan.works))
    analysis = await analyst.analyse(prepared.plan, watchers.interrupted)
    if prepared.plan.works and not analysis.answered and not analysis.findings:
        raise analysis.first_error or stopped()
    seconds = watchers.clock() - watchers.started
    interrupted = watchers.interrupted.is_set()
    return assemble(order, prepared, analysis, model.usage, seconds, interrupted=interrupted)


def nothing_to_ask(order: Order, prepared: Prepared, seconds: float) -> Review:
    """The review of a change in which nothing is to be put before a model, or nothing that is new."""
    what = prepared.plan
    analysis = Analysis(
        (),
        coverage_of(what, {}, order.snapshot),
        (),
        hunks=hunks_of(what, {}),
        carried_lines=what.carried_lines,
    )
    return assemble(order, prepared, analysis, Usage(), seconds, interrupted=False)


def other_models(asked: str | None, usage: Usage) -> tuple[str, ...]:
    """A note where another model answered than was asked for: the CLI replaces one that it cannot have silently."""
    if asked is None:
        return ()
    others = [name for name in usage.models if not (name.startswith(asked) or asked.startswith(name))]
    return (f'The model "{asked}" was asked for, and {", ".join(others)} answered.',) if others else ()


def assemble(
    order: Order,
    prepared: Prepared,
    analysis: Analysis,
    usage: Usage,
    seconds: float,
    *,
    interrupted: bool,
) -> Review:
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
        hunks=analysis.hunks,
        asked=analysis.asked,
        settings=prepared.settings,
        carried_lines=analysis.carried_lines,
    )
