"""Runs one review, from the plan to the result."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hunkwise.domain.diff import by_path
from hunkwise.domain.finding import Finding, Recheck, RecheckState, Severity, Walkthrough
from hunkwise.domain.model import ANSWER_PROMPTS
from hunkwise.domain.pull_request import CommitFiles, ReadableCode, SearchableCommit, Snapshot
from hunkwise.domain.review import Coverage, Review, ReviewFault, Usage
from hunkwise.errors import StoppedError
from hunkwise.flows.analysis import Analysis, Analyzer, Progress
from hunkwise.flows.code_context import CodeContext
from hunkwise.flows.models import Budgets, Model, ModelFallback, other_models
from hunkwise.flows.planning import (
    EarlierFinding,
    PromptTask,
    ReviewPlan,
    coverage_of,
    earlier_findings,
    not_raised_again,
    plan,
    refuted_again,
)
from hunkwise.flows.prompting import PromptWriter, settings_digest
from hunkwise.flows.publish_plan import merge, split_by_confidence
from hunkwise.flows.summary import Summarizer, SummaryResult
from hunkwise.flows.verdicts import VerificationResult
from hunkwise.flows.verification import Claim, Verifier
from hunkwise.prompts.context import paths_of
from hunkwise.prompts.renderer import Renderer
from hunkwise.settings.config import Config
from hunkwise.tracking.markers import HiddenState


@dataclass(frozen=True)
class ReviewRequest:
    """A snapshot to review, and the settings of its review."""

    snapshot: Snapshot
    config: Config
    templates: dict[str, str]
    local: bool = False
    """The snapshot is a range of commits without a pull request."""
    demo: bool = False
    state: HiddenState | None = None
    """The hidden state that the last run wrote; None if there is none."""
    full: bool = False
    """Review everything again, whatever was reviewed before."""
    earlier_summary: str = ""
    """The summary of the previous run."""
    earlier_walkthrough: Walkthrough | None = None
    """The walkthrough of the previous run; None if it had none."""
    text_at_head: Callable[[str], str | None] = lambda _path: None
    """Returns a file's text, empty if the head has no such file, None if it cannot be read."""
    earlier: tuple[EarlierFinding, ...] = ()
    """Open findings of earlier audits in the files of the snapshot, at their present places, by fingerprint."""


@dataclass(frozen=True)
class ReviewInput:
    """The input of a review: the request, and the repository at the head and at the base."""

    request: ReviewRequest
    repository: SearchableCommit
    base: CommitFiles | None = None
    """None if the files before the change cannot be read."""

    @property
    def code(self) -> ReadableCode:
        """The code that the model can read with its tools."""
        snapshot = self.request.snapshot
        return ReadableCode(self.repository, self.base, {} if snapshot.audit else by_path(snapshot.files))


@dataclass(frozen=True)
class RunHooks:
    """Callbacks of a running review, and the event that interrupts it."""

    journal: Callable[[Finding], None]
    progress: Progress
    interrupted: asyncio.Event
    clock: Callable[[], float]
    """Seconds on a monotonic clock."""
    started: float
    withhold: Callable[[Review], Review] = lambda review: review
    """Removes texts with a secret from what a second question would send to a model; see redaction."""


@dataclass(frozen=True)
class PreparedReview:
    """A plan with its prompts, ready to run."""

    plan: ReviewPlan
    prompting: PromptWriter
    settings: str
    """Digest of all settings that decide on what is found."""
    earlier: tuple[EarlierFinding, ...] = ()
    """Findings of earlier runs to ask about, if the plan has no questions: else that depends on the answers."""

    @property
    def asks(self) -> bool:
        """Whether there is anything to ask a model about."""
        return bool(self.plan.tasks) or any(each.asked for each in self.earlier)


@dataclass(frozen=True)
class FilteredFindings:
    """Findings within the requested severities, without duplicates."""

    findings: tuple[Finding, ...]
    dropped: int = 0
    """Number of findings below the minimum severity, and of duplicates."""


@dataclass(frozen=True)
class RunResult:
    """The results of all stages of a run."""

    analysis: Analysis
    filtered: FilteredFindings
    verification: VerificationResult
    summary: SummaryResult
    rechecks: Mapping[str, Recheck] = field(default_factory=dict)
    spent: Mapping[str, Usage] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    """A sentence for each model that was replaced after a failure."""
    seconds: float = 0.0
    interrupted: bool = False


def filter_findings(findings: Iterable[Finding], config: Config) -> FilteredFindings:
    """Lowers severities above a prompt's range, drops findings below it, and merges duplicates of several prompts."""
    by_name = {prompt.name: prompt for prompt in config.reviewing}
    all_findings = list(findings)
    in_range = []
    for finding in all_findings:
        prompt = by_name[finding.prompt]
        if prompt.max_severity is not None and finding.severity > prompt.max_severity:
            finding = replace(finding, severity=prompt.max_severity)
        if finding.severity >= (prompt.min_severity or config.min_severity):
            in_range.append(finding)
    merged, duplicates = merge(in_range, Severity.LOW)
    return FilteredFindings(merged, len(all_findings) - len(in_range) + duplicates)


def nothing_to_ask(request: ReviewRequest, prepared: PreparedReview, seconds: float) -> Review:
    """Returns the review of a change with nothing, or nothing new, to ask a model about."""
    plan = prepared.plan
    analysis = Analysis(
        (),
        coverage_of(plan, {}, request.snapshot),
        (),
        hunks=plan.carried_hunks,
        carried_lines=plan.carried_lines,
    )
    result = RunResult(
        analysis,
        FilteredFindings(()),
        VerificationResult(()),
        _earlier_summary(request),
        rechecks={each.key: Recheck(RecheckState.UNDECIDED) for each in prepared.earlier},
        seconds=seconds,
    )
    return assemble(request, prepared, result)


def _earlier_summary(request: ReviewRequest) -> SummaryResult:
    if request.config.summary == "off":
        return SummaryResult()
    return SummaryResult(request.earlier_summary, walkthrough=request.earlier_walkthrough)


def assemble(request: ReviewRequest, prepared: PreparedReview, result: RunResult) -> Review:
    """Builds the review from the results of all stages."""
    config, analysis, summary = request.config, result.analysis, result.summary
    faults = (*analysis.faults, *result.verification.faults, *summary.faults)
    if result.interrupted:
        faults = (*faults, ReviewFault("interrupted", "The run was stopped from outside before it was done."))
    usage = sum(result.spent.values(), Usage())
    findings, unsure = split_by_confidence(result.verification.findings, config)
    stage_models = [model for model in (config.verify_model, config.summary_model) if model is not None]
    return Review(
        head_sha=request.snapshot.pull_request.head_sha,
        findings=findings,
        suppressed=(*result.verification.suppressed, *unsure),
        rechecks=result.rechecks,
        coverage=analysis.coverage,
        usage=usage,
        spent=result.spent,
        summary=summary.text,
        walkthrough=summary.walkthrough,
        faults=faults,
        notes=(
            *request.snapshot.notes,
            *prepared.prompting.notes,
            *result.changes,
            *summary.notes,
            *other_models((*config.model_order, *stage_models), usage),
        ),
        dropped=result.filtered.dropped,
        demo=request.demo,
        seconds=result.seconds,
        prompts=tuple(prompt.name for prompt in config.reviewing),
        instructions=prepared.prompting.instructions,
        files=request.snapshot.files,
        hunks=analysis.hunks,
        questions=analysis.questions,
        settings=prepared.settings,
        carried_lines=analysis.carried_lines,
    )


def prepare(
    request: ReviewRequest,
    seconds_left: Callable[[], float] = lambda: math.inf,
    code: ReadableCode | None = None,
) -> PreparedReview:
    """Returns the plan and its prompts. Raises SettingsError before any model call.

    `seconds_left`: the time in which the user's own templates are rendered and the code around the changes is looked
    up. `code`: what the model can read with its tools; without it there is no code around the changes.
    """
    renderer = Renderer(request.templates, seconds_left, request.config.own_files)
    prompting = PromptWriter(
        request.snapshot,
        renderer,
        local=request.local,
        context=request.config.context,
        searchable=code is None or code.head.searchable,
        base_readable=code is not None and code.base is not None,
        surroundings=CodeContext(code.head, left=seconds_left) if code is not None else None,
    )
    settings = settings_digest(
        request.config,
        request.templates,
        request.snapshot.instructions,
        demo=request.demo,
        system=prompting.system,
    )
    review_plan = plan(request.snapshot, request.config, reviewed_before(request, settings))
    names = [prompt.name for prompt in request.config.prompts if prompt.name not in ANSWER_PROMPTS]
    prompting.prepare(names, review_plan.tasks, review_plan.skipped)
    earlier = () if review_plan.tasks else _find_earlier(request, review_plan, review_plan.carried_hunks)
    return PreparedReview(review_plan, prompting, settings, earlier)


def _find_earlier(
    request: ReviewRequest, plan: ReviewPlan, reviewed: frozenset[str], found: Sequence[Finding] = ()
) -> tuple[EarlierFinding, ...]:
    snapshot, state, verified = request.snapshot, request.state, request.config.verify != "off"
    return earlier_findings(plan, snapshot, state, reviewed, found, request.text_at_head, verified=verified)


def reviewed_before(request: ReviewRequest, settings: str) -> frozenset[str]:
    """Returns the hunks that need no new review: none if head or base was rewritten, or the settings changed."""
    state, conversation = request.state, request.snapshot.conversation
    if state is None or conversation is None or request.full:
        return frozenset()
    is_unchanged = (state.base, state.rewrites, state.settings) == (
        request.snapshot.pull_request.base,
        conversation.rewrites,
        settings,
    )
    return state.hunks if is_unchanged else frozenset()


def _withhold(
    snapshot: Snapshot, analysis: Analysis, filtered: FilteredFindings, withhold: Callable[[Review], Review]
) -> tuple[Analysis, FilteredFindings]:
    """Returns what the stages after the first one may show to a model: no text in it has a secret."""
    reported = Review(
        snapshot.pull_request.head_sha,
        filtered.findings,
        analysis.coverage,
        Usage(),
        notes=analysis.summaries,
    )
    safe = withhold(reported)
    return (
        replace(analysis, summaries=safe.notes, faults=(*analysis.faults, *safe.faults)),
        FilteredFindings(safe.findings, filtered.dropped + safe.dropped),
    )


class _EarlyVerification:
    """Gives the verifier the findings of each file as soon as no question about that file is left."""

    def __init__(
        self,
        verifier: Verifier,
        tasks: Sequence[PromptTask],
        config: Config,
        withhold: Callable[[Review], Review],
    ) -> None:
        self._verifier = verifier
        self._config = config
        self._withhold = withhold
        self._left = len(tasks)
        self._questions = Counter(path for task in tasks for path in set(paths_of(task.chunk)))
        """Questions about each file that are not answered."""

    def task_ended(self, task: PromptTask, findings: Sequence[Finding]) -> None:
        """Counts the task as done, and verifies the findings of the files that it completed."""
        self._left -= 1
        paths = set(paths_of(task.chunk))
        self._questions.subtract(paths)
        complete = {path for path in paths if self._questions[path] == 0}
        if self._config.verify == "off" or not any(finding.path in complete for finding in findings):
            self._verifier.begin((), self._left)
            return
        # Duplicates are merged file by file: these are what the last merge will give. A secret may be in pieces in the
        # findings of several files.
        filtered = filter_findings(findings, self._config).findings
        safe = self._withhold(Review("", filtered, Coverage(), Usage())).findings
        self._verifier.begin([finding for finding in safe if finding.path in complete], self._left)


async def review(request: ReviewRequest, prepared: PreparedReview, model: Model, hooks: RunHooks) -> Review:
    """Asks the questions of the plan, then verifies the findings and asks for a summary.

    Raises Error if no question was answered and nothing was found.
    """
    config, snapshot = request.config, request.snapshot
    budgets, fallback = Budgets(config), ModelFallback(model, config.model_order)
    slots = asyncio.Semaphore(config.parallel)
    verify_fallback = fallback if config.verify_model is None else fallback.after(config.verify_model)
    verifier = Verifier(snapshot, verify_fallback.ask, prepared.prompting, budgets, config, slots)
    analyzer = Analyzer(
        snapshot,
        fallback.ask,
        prepared.prompting,
        budgets=budgets,
        slots=slots,
        journal=hooks.journal,
        progress=hooks.progress,
        ended=_EarlyVerification(verifier, prepared.plan.tasks, config, hooks.withhold).task_ended,
    )
    hooks.progress(0, len(prepared.plan.tasks))
    analysis = await analyzer.analyse(prepared.plan, hooks.interrupted)
    if prepared.plan.tasks and not analysis.answered and not analysis.findings:
        if hooks.interrupted.is_set() or analysis.first_error is None:
            raise StoppedError()
        raise analysis.first_error
    filtered = filter_findings(analysis.findings, config)
    analysis, filtered = _withhold(snapshot, analysis, filtered, hooks.withhold)
    earlier = prepared.earlier or await asyncio.to_thread(
        _find_earlier, request, prepared.plan, analysis.hunks, filtered.findings
    )
    if config.verify != "off":
        earlier += not_raised_again(request.earlier, filtered.findings, analysis.coverage)
    claims = [Claim(finding) for finding in filtered.findings]
    claims += [Claim(each.finding, earlier=True, old_code=each.old_code) for each in earlier if each.asked]
    summary_fallback = fallback.after(config.summary_model)
    verification, summary = await asyncio.gather(
        verifier.verify(claims, hooks.interrupted),
        Summarizer(snapshot, summary_fallback.ask, prepared.prompting, budgets, config).summarize(
            analysis, filtered.findings, hooks.interrupted, request.earlier_summary
        ),
    )
    if not prepared.plan.tasks:
        summary = _earlier_summary(request)
    undecided = Recheck(RecheckState.UNDECIDED)
    return assemble(
        request,
        prepared,
        RunResult(
            analysis,
            filtered,
            verification,
            summary,
            rechecks={
                **{each.key: verification.rechecked.get(each.finding, undecided) for each in earlier},
                **refuted_again(request.earlier, verification.suppressed, verification.findings),
            },
            spent=model.spent,
            changes=tuple(
                dict.fromkeys((*fallback.changes, *verify_fallback.changes, *summary_fallback.changes))
            ),
            seconds=hooks.clock() - hooks.started,
            interrupted=hooks.interrupted.is_set(),
        ),
    )
