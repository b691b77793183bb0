"""One review, from the plan to the result."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from hunkwise.domain.finding import Finding, Severity, Walkthrough, reading_order
from hunkwise.domain.pull_request import Known, Snapshot
from hunkwise.domain.review import Review, ReviewFault, Usage
from hunkwise.errors import stopped
from hunkwise.flows.analysis import Analysis, Analyzer, Progress
from hunkwise.flows.models import Budgets, Model, ModelFallback
from hunkwise.flows.planning import ReviewPlan, coverage_of, hunks_of, plan
from hunkwise.flows.prompting import EnclosingCode, HeadCommit, PromptWriter, settings_digest
from hunkwise.flows.summary import Summarizer, SummaryResult
from hunkwise.flows.verification import VerificationResult, Verifier
from hunkwise.prompts.renderer import Renderer
from hunkwise.publish.sanitize import fence
from hunkwise.settings.config import Config
from hunkwise.tracking.markers import HiddenState

_LONGEST_BODY = 8_000


def merge(findings: Iterable[Finding], min_severity: Severity) -> tuple[tuple[Finding, ...], int]:
    """The findings to publish, by path, line and severity, and how many have no place of their own.

    Of findings on the same lines with the same title the most severe stays, and among equals the one that
    says most. Another title with the same fingerprint on overlapping lines may be a second fault at that
    place: its words are added to the first's body, not dropped.
    """
    offered = list(findings)
    wanted = [finding for finding in offered if finding.severity >= min_severity]
    wanted.sort(key=lambda finding: (-finding.severity, -len(finding.body), finding.title, finding.body))
    kept: list[Finding] = []
    titles: set[tuple[str, range | None, str, str]] = set()
    akin: dict[tuple[str, str], list[int]] = {}
    for finding in wanted:
        title = _title_key(finding)
        if title in titles:
            continue
        titles.add(title)
        places = akin.setdefault((finding.path, finding.fingerprint), [])
        twin = next((place for place in places if _overlap(finding, kept[place])), None)
        if twin is not None and len(kept[twin].body) + len(finding.body) <= _LONGEST_BODY:
            kept[twin] = _with(kept[twin], finding)
            continue
        places.append(len(kept))
        kept.append(finding)
    kept.sort(key=reading_order)
    return tuple(kept), len(offered) - len(kept)


def _with(finding: Finding, other: Finding) -> Finding:
    body = f"{finding.body}\n\n**Also:** {other.title}\n\n{other.body}"
    if other.suggestion is not None and other.suggestion != finding.suggestion:
        body += f"\n\n{fence(other.suggestion)}"
    return replace(finding, body=body)


def _title_key(finding: Finding) -> tuple[str, range | None, str, str]:
    anchor = finding.anchor
    spelt = finding.title.casefold()
    # Titles without any letter or digit are not all the same one.
    words = " ".join("".join(char if char.isalnum() else " " for char in spelt).split()) or spelt
    if anchor is None:
        return finding.path, None, "", words
    return finding.path, anchor.lines, anchor.side.value, words


def _overlap(one: Finding, other: Finding) -> bool:
    if one.anchor is None or other.anchor is None:
        return one.anchor is other.anchor
    lines, others = one.anchor.lines, other.anchor.lines
    same_side = one.anchor.side is other.anchor.side
    return same_side and lines.start < others.stop and others.start < lines.stop


@dataclass(frozen=True)
class ReviewRequest:
    """What to review, and by which rules."""

    snapshot: Snapshot
    config: Config
    templates: dict[str, str]
    local: bool = False
    """A range of commits, with no pull request around it."""
    demo: bool = False
    state: HiddenState | None = None
    """What earlier runs left behind."""
    full: bool = False
    """Review everything again, whatever was reviewed before."""
    earlier_summary: str = ""
    """What the run before said of the change."""
    earlier_walkthrough: Walkthrough | None = None
    """What it said beside that."""


class RepositoryAtHead(Protocol):
    """The code at the head, as a model may read it; see copilot.tools."""

    def read(self, path: str) -> bytes | None: ...

    def read_many(self, paths: Sequence[str]) -> Known: ...

    def search(self, pattern: str, paths: tuple[str, ...]) -> list[tuple[str, int, str]] | None: ...

    def list(self, path: str) -> tuple[str, ...] | None: ...


@dataclass(frozen=True)
class ReviewInput:
    """All that a review reads: what to review, and the code around it."""

    order: ReviewRequest
    repository: RepositoryAtHead


@dataclass(frozen=True)
class RunHooks:
    """Who is told while it runs, and who may stop it."""

    journal: Callable[[Finding], None]
    progress: Progress
    interrupted: asyncio.Event
    clock: Callable[[], float]
    """Seconds on a monotonic clock."""
    started: float


@dataclass(frozen=True)
class PreparedReview:
    """What will be asked, and how."""

    plan: ReviewPlan
    prompting: PromptWriter
    settings: str
    """Digest of all that decides on what is looked for."""


@dataclass(frozen=True)
class FilteredFindings:
    """Findings within the severities that were asked for, without twins."""

    findings: tuple[Finding, ...]
    dropped: int = 0
    """Below the least severity, or twins of others."""


@dataclass(frozen=True)
class RunResult:
    """All that a run has made of an order."""

    analysis: Analysis
    weighed: FilteredFindings
    opinion: VerificationResult
    account: SummaryResult
    spent: Mapping[str, Usage] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    """Models that were left for others."""
    seconds: float = 0.0
    interrupted: bool = False


def weigh(findings: Iterable[Finding], config: Config) -> FilteredFindings:
    """Lowers what is above a prompt's range, leaves out what is below it, and merges twins of several prompts."""
    by_name = {prompt.name: prompt for prompt in config.reviewing}
    offered = list(findings)
    ranged = []
    for finding in offered:
        prompt = by_name[finding.prompt]
        if prompt.max_severity is not None and finding.severity > prompt.max_severity:
            finding = replace(finding, severity=prompt.max_severity)
        if finding.severity >= (prompt.min_severity or config.min_severity):
            ranged.append(finding)
    merged, twins = merge(ranged, Severity.LOW)
    return FilteredFindings(merged, len(offered) - len(ranged) + twins)


def nothing_to_ask(order: ReviewRequest, prepared: PreparedReview, seconds: float) -> Review:
    """The review of a change in which nothing is to be put before a model, or nothing that is new."""
    what = prepared.plan
    analysis = Analysis(
        (),
        coverage_of(what, {}, order.snapshot),
        (),
        hunks=hunks_of(what, {}),
        carried_lines=what.carried_lines,
    )
    told = SummaryResult(order.earlier_summary, walkthrough=order.earlier_walkthrough)
    account = told if order.config.summary != "off" else SummaryResult()
    made = RunResult(analysis, FilteredFindings(()), VerificationResult(()), account, seconds=seconds)
    return assemble(order, prepared, made)


def other_models(asked: Sequence[str | None], usage: Usage) -> tuple[str, ...]:
    """A note where another model answered than was asked for: the CLI replaces one that it cannot have silently."""
    names = [name for name in asked if name is not None]
    if len(names) < len(asked):
        return ()
    others = [model for model in usage.models if not any(_same(model, name) for name in names)]
    if not others:
        return ()
    were = f'The model "{names[0]}" was' if len(names) == 1 else f"The models {', '.join(names)} were"
    return (f"{were} asked for, and {', '.join(others)} answered.",)


def _same(model: str, name: str) -> bool:
    return model.startswith(name) or name.startswith(model)


def assemble(order: ReviewRequest, prepared: PreparedReview, made: RunResult) -> Review:
    """The whole result of a run."""
    config, analysis = order.config, made.analysis
    faults = (*analysis.faults, *made.opinion.faults, *made.account.faults)
    if made.interrupted:
        faults = (*faults, ReviewFault("interrupted", "The run was stopped from outside before it was done."))
    usage = sum(made.spent.values(), Usage())
    besides = [model for model in (config.verify_model, config.summary_model) if model is not None]
    return Review(
        head_sha=order.snapshot.pull_request.head_sha,
        findings=made.opinion.findings,
        refuted=made.opinion.refuted,
        coverage=analysis.coverage,
        usage=usage,
        spent=made.spent,
        summary=made.account.text,
        walkthrough=made.account.walkthrough,
        faults=faults,
        notes=(
            *order.snapshot.notes,
            *prepared.prompting.notes,
            *made.changes,
            *made.account.notes,
            *other_models((*config.lineup, *besides), usage),
        ),
        dropped=made.weighed.dropped,
        demo=order.demo,
        seconds=made.seconds,
        prompts=tuple(prompt.name for prompt in config.reviewing),
        instructions=prepared.prompting.instructions,
        files=order.snapshot.files,
        hunks=analysis.hunks,
        asked=analysis.asked,
        settings=prepared.settings,
        carried_lines=analysis.carried_lines,
    )


def prepare(
    order: ReviewRequest, seconds_left: Callable[[], float] = lambda: math.inf, head: HeadCommit | None = None
) -> PreparedReview:
    """The plan and its prompts. Raises SettingsError before anything is spent.

    `seconds_left`: until no template of the user's own is rendered any more, and no enclosing code is looked up,
    which is read from `head`.
    """
    renderer = Renderer(order.templates, seconds_left, order.config.own_files)
    prompting = PromptWriter(
        order.snapshot,
        renderer,
        local=order.local,
        context=order.config.context,
        surroundings=EnclosingCode(head, left=seconds_left) if head is not None else None,
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
    return PreparedReview(what, prompting, settings)


def reviewed_before(order: ReviewRequest, settings: str) -> frozenset[str]:
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


async def review(order: ReviewRequest, prepared: PreparedReview, model: Model, watchers: RunHooks) -> Review:
    """Asks what the plan holds, then for a second opinion and a summary of what came.

    Raises Error where not one question was answered and nothing was found.
    """
    config, snapshot = order.config, order.snapshot
    budgets, lineup = Budgets(config), ModelFallback(model, config.lineup)
    analyst = Analyzer(
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
        Verifier(snapshot, checking.ask, prepared.prompting, budgets, config).on(
            weighed.findings, watchers.interrupted
        ),
        Summarizer(snapshot, telling.ask, prepared.prompting, budgets, config).of(
            analysis, weighed.findings, watchers.interrupted, order.earlier_summary
        ),
    )
    return assemble(
        order,
        prepared,
        RunResult(
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
