"""What was found → the one value that everything published is made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hunkwise.domain.finding import Finding, Severity
from hunkwise.domain.outcome import Fault, Review, Usage
from hunkwise.flows.analysis import Analysis
from hunkwise.flows.order import Order, Prepared
from hunkwise.flows.planning import coverage_of, hunks_of
from hunkwise.flows.summing_up import Account
from hunkwise.flows.verification import Opinion
from hunkwise.publish.merge import merge
from hunkwise.settings.config import Config


@dataclass(frozen=True)
class Weighed:
    """Findings within the severities that were asked for, without twins."""

    findings: tuple[Finding, ...]
    dropped: int = 0
    """Below the least severity, or twins of others."""


@dataclass(frozen=True)
class Made:
    """All that a run has made of an order."""

    analysis: Analysis
    weighed: Weighed
    opinion: Opinion
    account: Account
    spent: Mapping[str, Usage] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    """Models that were left for others."""
    seconds: float = 0.0
    interrupted: bool = False


def weigh(findings: Iterable[Finding], config: Config) -> Weighed:
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
    return Weighed(merged, len(offered) - len(ranged) + twins)


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
    told = Account(order.earlier_summary, walkthrough=order.earlier_walkthrough)
    account = told if order.config.summary != "off" else Account()
    made = Made(analysis, Weighed(()), Opinion(()), account, seconds=seconds)
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


def assemble(order: Order, prepared: Prepared, made: Made) -> Review:
    """The whole result of a run."""
    config, analysis = order.config, made.analysis
    faults = (*analysis.faults, *made.opinion.faults, *made.account.faults)
    if made.interrupted:
        faults = (*faults, Fault("interrupted", "The run was stopped from outside before it was done."))
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
