"""Verifies each finding: asks a new session to try to refute it.

A refuted finding appears only in the report, with the reason. It counts as if this run had not found it: a thread that
an earlier run opened for it follows the usual rules (tracking.reconcile). The thread stays open while its code is
there, and is closed when that code is gone and no finding in its place was confirmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import Finding, Recheck, RecheckState, Severity, Verification, reading_order
from hunkwise.domain.model import Question, ReportTool
from hunkwise.domain.pull_request import Snapshot
from hunkwise.domain.review import RefutedFinding, ReviewFault
from hunkwise.errors import ModelError, SettingsError
from hunkwise.flows.analysis import Ask
from hunkwise.flows.models import Budgets, together, with_something_left
from hunkwise.flows.prompting import PromptWriter
from hunkwise.plan.chunking import ChunkPart, LineSpan, hunks_around
from hunkwise.plan.selection import matches
from hunkwise.prompts.context import diff_text
from hunkwise.prompts.report_verdicts import DESCRIPTION, REPORT, Verdict, VerdictCollector, parameters
from hunkwise.publish.placement import by_path
from hunkwise.settings.config import Config

MOST_IN_BATCH = 12
_UNPROVED_LINE_MARGIN = 5
"""Lines by which a line that is not in the diff may be off."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A finding to verify: one of this run, or an earlier one that is still open and whose code has changed."""

    finding: Finding
    earlier: bool = False
    """Raised by an earlier run: the question is whether it still holds in the code as it is now."""
    old_code: str = ""
    """The code of an earlier finding as it was when the finding was raised."""


@dataclass(frozen=True, slots=True)
class FindingBatch:
    """Findings of one file for one question; the model refers to them by position, from 1."""

    path: str
    findings: tuple[Finding, ...]


def batches_of(findings: Iterable[Finding]) -> tuple[FindingBatch, ...]:
    """Returns each finding once, the most severe batch first: the least severe are skipped if the budget runs out."""
    by_file: dict[str, list[Finding]] = {}
    for finding in findings:
        by_file.setdefault(finding.path, []).append(finding)
    batches = [batch for path, of_file in by_file.items() for batch in _split(path, of_file)]
    return tuple(sorted(batches, key=lambda batch: -max(finding.severity for finding in batch.findings)))


def _split(path: str, findings: Sequence[Finding]) -> Iterator[FindingBatch]:
    by_severity = sorted(findings, key=lambda finding: -finding.severity)
    for start in range(0, len(by_severity), MOST_IN_BATCH):
        batch = by_severity[start : start + MOST_IN_BATCH]
        yield FindingBatch(path, tuple(sorted(batch, key=reading_order)))


@dataclass(frozen=True, slots=True)
class ShownCode:
    """The code that a question may show."""

    files: Mapping[str, FileDiff]
    """Changed files by their names at the head."""
    room: int
    """Characters for rows of the diff."""
    around: Callable[[Sequence[ChunkPart], int], str] = lambda _parts, _room: ""
    """Returns the functions around the hunks in at most that many characters; see flows.prompting."""
    room_around: int = 0


def names_of(batch: FindingBatch, shown: ShownCode) -> dict[str, Any]:
    """Returns the variables that only the template `verify` has: `path`, `findings` and `code`.

    `code` is empty if the file is not part of the change, or its patch is not known.
    """
    return {
        "path": batch.path,
        "findings": [_finding_values(number, finding) for number, finding in enumerate(batch.findings, 1)],
        "code": _code(batch, shown),
    }


def _finding_values(number: int, finding: Finding) -> dict[str, Any]:
    anchor = finding.anchor
    return {
        "number": number,
        "severity": finding.severity.label,
        "category": finding.category,
        "title": finding.title,
        "body": finding.body,
        "line": anchor.line if anchor else finding.said_line,
        "start_line": anchor.start_line if anchor else None,
        "side": str(anchor.side) if anchor else str(Side.RIGHT),
        "suggestion": finding.suggestion,
        "prompt": finding.prompt,
        "placed": anchor is not None,
    }


def _code(batch: FindingBatch, shown: ShownCode) -> str:
    file = shown.files.get(batch.path)
    if file is None:
        return ""
    spans = [span for span in map(_line_span, batch.findings) if span is not None]
    hunks = hunks_around(file, spans, shown.room)
    if not hunks:
        return ""
    part = ChunkPart(file, hunks)
    around = shown.around((part,), shown.room_around)
    return "\n\n".join([diff_text(part), around] if around else [diff_text(part)])


def _line_span(finding: Finding) -> LineSpan | None:
    anchor = finding.anchor
    if anchor is not None:
        return LineSpan(anchor.side, anchor.lines)
    line = finding.said_line
    if line is None:
        return None
    return LineSpan(Side.RIGHT, range(max(1, line - _UNPROVED_LINE_MARGIN), line + _UNPROVED_LINE_MARGIN + 1))


_PROMPT = "verify"
_FAULT_KIND = "second opinion"
_MAX_CODE = 64_000
"""Characters of code in one question."""


@dataclass(frozen=True)
class VerificationResult:
    """The findings that remain after verification, and the refuted ones."""

    findings: tuple[Finding, ...]
    refuted: tuple[RefutedFinding, ...] = ()
    faults: tuple[ReviewFault, ...] = ()
    rechecked: Mapping[Finding, Recheck] = field(default_factory=dict)
    """The answer for the finding of each earlier claim; `findings` and `refuted` have none of them."""


@dataclass(frozen=True, slots=True)
class _Reason:
    """Why a finding has no verdict. Reasons of one `kind` are reported together, with the first one's message."""

    kind: str
    message: str
    hint: str = ""


_INTERRUPTED = _Reason(
    "interrupted", "The run was stopped from outside before it was asked, or before it answered."
)
_CONTRADICTION = _Reason("contradiction", "It contradicted itself.")
_NO_VERDICT = _Reason("silence", "It gave no verdict that could be taken.")


class Verifier:
    """Asks about the findings of a file in one question, at most `parallel` questions at a time."""

    def __init__(
        self, snapshot: Snapshot, ask: Ask, prompting: PromptWriter, budgets: Budgets, config: Config
    ) -> None:
        self._snapshot = snapshot
        self._ask = ask
        self._prompting = prompting
        self._budgets = budgets
        self._config = config

    async def verify(self, claims: Sequence[Claim], interrupted: asyncio.Event) -> VerificationResult:
        """Returns the verified findings. Never raises for a fault of the model, a prompt or the network: it keeps
        the findings then, unverified, and earlier ones undecided."""
        findings = [claim.finding for claim in claims if not claim.earlier]
        rechecked = {claim.finding: Recheck(RecheckState.UNDECIDED) for claim in claims if claim.earlier}
        if self._config.verify == "off" or not findings:
            return VerificationResult(tuple(findings), rechecked=rechecked)
        files = by_path(self._snapshot.files)
        questions = _Questions(self._ask, self._prompting, self._budgets, self._config, files)
        batches = batches_of(finding for finding in findings if questions.covers(finding))
        await together((questions.put(batch, interrupted) for batch in batches), interrupted)
        result = _build_result(findings, questions, _min_severities(self._config))
        return replace(result, rechecked=rechecked)


class _Questions:
    """The questions of one run, and the verdict on each finding."""

    def __init__(
        self,
        ask: Ask,
        prompting: PromptWriter,
        budgets: Budgets,
        config: Config,
        files: Mapping[str, FileDiff],
    ) -> None:
        self._ask_model = ask
        self._prompting = prompting
        self._settings = config.stage(_PROMPT)
        self._budget = budgets.verification(self._settings)
        self._min_severity = config.min_severity
        self._shown = ShownCode(files, min(config.chunk_size, _MAX_CODE))
        if prompting.surroundings is not None:
            self._shown = replace(self._shown, around=prompting.surroundings.text)
        self._slots = asyncio.Semaphore(config.parallel)
        self._rendering = asyncio.Lock()
        """Held for one prompt at a time: so the most severe findings come first with a small budget, too."""
        self._fatal: ModelError | None = None
        self.verdicts: dict[Finding, Verdict] = {}
        self.reasons: dict[Finding, _Reason] = {}
        """Of findings without a verdict; a finding in neither mapping was _INTERRUPTED."""

    def covers(self, finding: Finding) -> bool:
        """Returns whether the finding is to be verified: the prompt may be limited to some paths."""
        return not self._settings.paths or matches(self._settings.paths, finding.path)

    async def put(self, batch: FindingBatch, interrupted: asyncio.Event) -> None:
        """Asks about one batch, and stores the valid verdicts of the answer."""
        async with self._slots:
            if interrupted.is_set():
                return
            collector = VerdictCollector(batch.findings)
            reason = _INTERRUPTED
            try:
                await self._ask(batch, collector)
                reason = _NO_VERDICT
            except ModelError as error:
                reason = _Reason(str(error.kind), error.message, error.hint)
                if error.kind.fatal:
                    self._fatal = self._fatal or error
            except SettingsError as error:
                reason = _Reason("template", error.message)
            finally:
                self._store(batch, collector, reason)

    async def _ask(self, batch: FindingBatch, collector: VerdictCollector) -> None:
        """Asks the model. Raises ModelError, and SettingsError where the user's own template fails."""
        if self._fatal is not None:
            raise self._fatal
        limits = self._settings.chunk_budget.limits
        budget = with_something_left(self._budget.part(limits, f' of one question of the prompt "{_PROMPT}"'))
        async with self._rendering:
            # The user's own template is rendered in another process, which may take long.
            prompt = await asyncio.to_thread(self._text, batch)
        tool = ReportTool(REPORT, DESCRIPTION, parameters(), collector.take, lambda: collector.answered)
        system = self._prompting.system_for(_PROMPT)
        await self._ask_model(Question(_PROMPT, system, prompt, tool, budget, self._settings.tools))

    def _text(self, batch: FindingBatch) -> str:
        instructions, room = self._prompting.beside(batch.path)
        names = names_of(batch, replace(self._shown, room_around=room)) | {"instructions": instructions}
        return self._prompting.stage_text(self._settings, self._min_severity, names)

    def _store(self, batch: FindingBatch, collector: VerdictCollector, reason: _Reason) -> None:
        for number, finding in enumerate(batch.findings, 1):
            verdict = collector.verdict_on(number)
            if verdict is not None:
                self.verdicts[finding] = verdict
            else:
                self.reasons[finding] = _CONTRADICTION if number in collector.contradicted else reason


def _min_severities(config: Config) -> Mapping[str, Severity]:
    """Returns the minimum severity of each reviewing prompt, by its name."""
    return {prompt.name: prompt.min_severity or config.min_severity for prompt in config.reviewing}


def _build_result(
    findings: Iterable[Finding], questions: _Questions, min_severities: Mapping[str, Severity]
) -> VerificationResult:
    kept: list[Finding] = []
    refuted: list[RefutedFinding] = []
    reasons: list[_Reason] = []
    for finding in findings:
        verdict = questions.verdicts.get(finding)
        if not questions.covers(finding):
            kept.append(finding)
        elif verdict is None:
            reasons.append(questions.reasons.get(finding, _INTERRUPTED))
            kept.append(replace(finding, check=Verification.UNVERIFIED))
        else:
            verified = _apply(verdict, finding, min_severities.get(finding.prompt, Severity.LOW))
            if isinstance(verified, RefutedFinding):
                refuted.append(verified)
            else:
                kept.append(verified)
    return VerificationResult(tuple(kept), tuple(refuted), _faults(reasons))


def _apply(verdict: Verdict, finding: Finding, min_severity: Severity) -> Finding | RefutedFinding:
    """Returns the finding after its verdict; a finding that the verdict removes has the reason with it."""
    if verdict.verdict == "drop":
        return RefutedFinding(finding, verdict.evidence)
    if verdict.severity is None:
        return replace(finding, check=Verification.CONFIRMED, evidence=verdict.evidence)
    if verdict.severity < min_severity:
        reason = (
            f"Lowered to {verdict.severity.label}, and {min_severity.label} is the least that is asked for:"
        )
        return RefutedFinding(finding, f"{reason} {verdict.evidence}")
    return replace(finding, severity=verdict.severity, check=Verification.LOWERED, evidence=verdict.evidence)


def _faults(reasons: Iterable[_Reason]) -> tuple[ReviewFault, ...]:
    """Returns one fault for each kind of reason, with the number of findings that were not verified."""
    by_kind: dict[str, list[_Reason]] = {}
    for reason in reasons:
        by_kind.setdefault(reason.kind, []).append(reason)
    return tuple(ReviewFault(_FAULT_KIND, _sentence(same), same[0].hint) for same in by_kind.values())


def _sentence(same: Sequence[_Reason]) -> str:
    first = same[0].message
    if len(same) == 1:
        return f"1 finding was not verified by a second opinion, and stands as it was found. {first}"
    return (
        f"{len(same):,} findings were not verified by a second opinion, and stand as they were found. {first}"
    )
