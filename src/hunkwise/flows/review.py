"""The story of a review: plan, ask, assemble. What it reads and where it goes is its callers' affair."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from hunkwise.domain.outcome import Review
from hunkwise.errors import stopped
from hunkwise.flows.analysis import Analyst
from hunkwise.flows.assembly import Made, assemble, nothing_to_ask, weigh
from hunkwise.flows.budgets import Budgets
from hunkwise.flows.lineup import Lineup, Model
from hunkwise.flows.order import Order, Prepared, Ready, Repository, Watchers
from hunkwise.flows.planning import plan
from hunkwise.flows.prompting import Prompting
from hunkwise.flows.settings_digest import settings_digest
from hunkwise.flows.summing_up import SummingUp
from hunkwise.flows.surroundings import Head, Surroundings
from hunkwise.flows.verification import SecondOpinion
from hunkwise.prompts.render import Renderer

__all__ = ["Order", "Prepared", "Ready", "Repository", "Watchers", "nothing_to_ask", "prepare", "review"]


def prepare(
    order: Order, seconds_left: Callable[[], float] = lambda: math.inf, head: Head | None = None
) -> Prepared:
    """The plan and its prompts. Raises SettingsError before anything is spent.

    `seconds_left`: until no template of the user's own is rendered any more, and no enclosing code is looked up,
    which is read from `head`.
    """
    renderer = Renderer(order.templates, seconds_left, order.config.own_files)
    prompting = Prompting(
        order.snapshot,
        renderer,
        local=order.local,
        context=order.config.context,
        surroundings=Surroundings(head, left=seconds_left) if head is not None else None,
    )
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
    """Asks what the plan holds, then for a second opinion and a summary of what came.

    Raises Error where not one question was answered and nothing was found.
    """
    config, snapshot = order.config, order.snapshot
    budgets, lineup = Budgets(config), Lineup(model, config.lineup)
    analyst = Analyst(
        snapshot,
        lineup.ask,
        prepared.prompting,
        budgets=budgets,
        parallel=config.parallel,
        journal=watchers.journal,
        progress=watchers.progress,
    )
    watchers.progress(0, len(prepared.plan.works))
    analysis = await analyst.analyse(prepared.plan, watchers.interrupted)
    if prepared.plan.works and not analysis.answered and not analysis.findings:
        raise analysis.first_error or stopped()
    weighed = weigh(analysis.findings, config)
    checking, telling = lineup.after(config.verify_model), lineup.after(config.summary_model)
    opinion, account = await asyncio.gather(
        SecondOpinion(snapshot, checking.ask, prepared.prompting, budgets, config).on(
            weighed.findings, watchers.interrupted
        ),
        SummingUp(snapshot, telling.ask, prepared.prompting, budgets, config).of(
            analysis, weighed.findings, watchers.interrupted, order.earlier_summary
        ),
    )
    return assemble(
        order,
        prepared,
        Made(
            analysis,
            weighed,
            opinion,
            account,
            spent=model.spent,
            changes=(*lineup.changes, *checking.changes, *telling.changes),
            seconds=watchers.clock() - watchers.started,
            interrupted=watchers.interrupted.is_set(),
        ),
    )
