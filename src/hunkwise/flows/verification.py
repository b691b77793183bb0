"""Has a fresh session try to refute each finding.

A refuted finding is in the report with the reason, and nowhere else. It counts as if this run had not found it: a
thread that an earlier run began about it follows the usual rules (tracking.reconcile). It stays open while its code
is there, and is closed when that code is gone and no finding in its place was confirmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import Finding, Severity, Verification, reading_order
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
from hunkwise.prompts.report_verdicts import DESCRIPTION, PARAMETERS, REPORT, Verdict, VerdictCollector
from hunkwise.publish.placement import by_path
from hunkwise.settings.config import Config

MOST_IN_BATCH = 12
_AROUND_A_SAID_LINE = 5
"""Lines by which a line that could not be proved may be off."""


@dataclass(frozen=True, slots=True)
class FindingBatch:
    """Findings of one file for one question; the model knows them by their places, from 1 on."""

    path: str
    findings: tuple[Finding, ...]


def batches_of(findings: Iterable[Finding]) -> tuple[FindingBatch, ...]:
    """Each finding once, the gravest batch first: where the budget ends, the least grave go without."""
    by_file: dict[str, list[Finding]] = {}
    for finding in findings:
        by_file.setdefault(finding.path, []).append(finding)
    batches = [batch for path, of_file in by_file.items() for batch in _cut(path, of_file)]
    return tuple(sorted(batches, key=lambda batch: -max(one.severity for one in batch.findings)))


def _cut(path: str, findings: Sequence[Finding]) -> Iterator[FindingBatch]:
    grave = sorted(findings, key=lambda finding: -finding.severity)
    for start in range(0, len(grave), MOST_IN_BATCH):
        yield FindingBatch(path, tuple(sorted(grave[start : start + MOST_IN_BATCH], key=reading_order)))


@dataclass(frozen=True, slots=True)
class ShownCode:
    """What a question may show of the code."""

    files: Mapping[str, FileDiff]
    """Those of the change, by their names at the head."""
    room: int
    """Characters of rows of the diff."""
    around: Callable[[Sequence[ChunkPart], int], str] = lambda _parts, _room: ""
    """The functions around the hunks, in at most so many characters; see flows.prompting."""
    room_around: int = 0


def names_of(batch: FindingBatch, shown: ShownCode) -> dict[str, Any]:
    """What the template `verify` alone sees: `path`, `findings` and `code`.

    `code` is empty where the change has no such file, or its patch is not known.
    """
    return {
        "path": batch.path,
        "findings": [_values(number, finding) for number, finding in enumerate(batch.findings, 1)],
        "code": _code(batch, shown),
    }


def _values(number: int, finding: Finding) -> dict[str, Any]:
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
    places = [place for place in map(_place, batch.findings) if place is not None]
    hunks = hunks_around(file, places, shown.room)
    if not hunks:
        return ""
    part = ChunkPart(file, hunks)
    around = shown.around((part,), shown.room_around)
    return "\n\n".join([diff_text(part), around] if around else [diff_text(part)])


def _place(finding: Finding) -> LineSpan | None:
    anchor = finding.anchor
    if anchor is not None:
        return LineSpan(anchor.side, anchor.lines)
    said = finding.said_line
    if said is None:
        return None
    return LineSpan(Side.RIGHT, range(max(1, said - _AROUND_A_SAID_LINE), said + _AROUND_A_SAID_LINE + 1))


_NAME = "verify"
_KIND = "second opinion"
_MOST_CODE = 64_000
"""Characters of code in one question."""


@dataclass(frozen=True)
class VerificationResult:
    """What was left of the findings, and what was not."""

    findings: tuple[Finding, ...]
    refuted: tuple[RefutedFinding, ...] = ()
    faults: tuple[ReviewFault, ...] = ()


@dataclass(frozen=True, slots=True)
class _Why:
    """Why a finding has no verdict. Those of one `kind` are told together, in the words of the first."""

    kind: str
    message: str
    hint: str = ""


_INTERRUPTED = _Why(
    "interrupted", "The run was stopped from outside before it was asked, or before it answered."
)
_CONTRADICTION = _Why("contradiction", "It contradicted itself.")
_SILENCE = _Why("silence", "It gave no verdict that could be taken.")


class Verifier:
    """Asks, a file at a time, side by side."""

    def __init__(
        self, snapshot: Snapshot, ask: Ask, prompting: PromptWriter, budgets: Budgets, config: Config
    ) -> None:
        self._snapshot = snapshot
        self._ask = ask
        self._prompting = prompting
        self._budgets = budgets
        self._config = config

    async def on(self, findings: Sequence[Finding], interrupted: asyncio.Event) -> VerificationResult:
        """Raises nothing that the model, its prompt or the outside did wrong: the findings are kept then."""
        if self._config.verify == "off" or not findings:
            return VerificationResult(tuple(findings))
        files = by_path(self._snapshot.files)
        hearing = _Hearing(self._ask, self._prompting, self._budgets, self._config, files)
        batches = batches_of(finding for finding in findings if hearing.is_due(finding))
        await together((hearing.hear(batch, interrupted) for batch in batches), interrupted)
        return _opinion(findings, hearing, _least(self._config))


class _Hearing:
    """The questions of one run, and what came of each finding."""

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
        self._settings = config.stage(_NAME)
        self._budget = budgets.verification(self._settings)
        self._least = config.min_severity
        self._shown = ShownCode(files, min(config.chunk_size, _MOST_CODE))
        if prompting.surroundings is not None:
            self._shown = replace(self._shown, around=prompting.surroundings.text)
        self._slots = asyncio.Semaphore(config.parallel)
        self._writing = asyncio.Lock()
        """One prompt at a time: so the gravest findings come first to a small budget, too."""
        self._fatal: ModelError | None = None
        self.rulings: dict[Finding, Verdict] = {}
        self.reasons: dict[Finding, _Why] = {}
        """Of findings that have no ruling; _INTERRUPTED of those that are in neither."""

    def is_due(self, finding: Finding) -> bool:
        """Whether it is to be asked about: the prompt may name the only files that are."""
        return not self._settings.paths or matches(self._settings.paths, finding.path)

    async def hear(self, batch: FindingBatch, interrupted: asyncio.Event) -> None:
        """Asks about one batch, and keeps what holds of the answer."""
        async with self._slots:
            if interrupted.is_set():
                return
            desk = VerdictCollector(batch.findings)
            why = _INTERRUPTED
            try:
                await self._ask(batch, desk)
                why = _SILENCE
            except ModelError as error:
                why = _Why(str(error.kind), error.message, error.hint)
                if error.kind.fatal:
                    self._fatal = self._fatal or error
            except SettingsError as error:
                why = _Why("template", error.message)
            finally:
                self._keep(batch, desk, why)

    async def _ask(self, batch: FindingBatch, desk: VerdictCollector) -> None:
        """Raises ModelError, and SettingsError where the user's own template fails."""
        if self._fatal is not None:
            raise self._fatal
        limits = self._settings.chunk_budget.limits
        budget = with_something_left(self._budget.part(limits, f' of one question of the prompt "{_NAME}"'))
        async with self._writing:
            # What the user wrote is rendered by another process, which may take its time.
            prompt = await asyncio.to_thread(self._text, batch)
        tool = ReportTool(REPORT, DESCRIPTION, PARAMETERS, desk.take, lambda: desk.answered)
        system = self._prompting.system_for(_NAME)
        await self._ask_model(Question(_NAME, system, prompt, tool, budget, self._settings.tools))

    def _text(self, batch: FindingBatch) -> str:
        instructions, room = self._prompting.beside(batch.path)
        names = names_of(batch, replace(self._shown, room_around=room)) | {"instructions": instructions}
        return self._prompting.stage_text(self._settings, self._least, names)

    def _keep(self, batch: FindingBatch, desk: VerdictCollector, why: _Why) -> None:
        for number, finding in enumerate(batch.findings, 1):
            ruling = desk.ruling(number)
            if ruling is not None:
                self.rulings[finding] = ruling
            else:
                self.reasons[finding] = _CONTRADICTION if number in desk.contradicted else why


def _least(config: Config) -> Mapping[str, Severity]:
    """The least severity that is asked for, by the name of the prompt."""
    return {prompt.name: prompt.min_severity or config.min_severity for prompt in config.reviewing}


def _opinion(
    findings: Iterable[Finding], hearing: _Hearing, least: Mapping[str, Severity]
) -> VerificationResult:
    kept: list[Finding] = []
    refuted: list[RefutedFinding] = []
    reasons: list[_Why] = []
    for finding in findings:
        ruling = hearing.rulings.get(finding)
        if not hearing.is_due(finding):
            kept.append(finding)
        elif ruling is None:
            reasons.append(hearing.reasons.get(finding, _INTERRUPTED))
            kept.append(replace(finding, check=Verification.UNVERIFIED))
        else:
            judged = _judged(finding, ruling, least.get(finding.prompt, Severity.LOW))
            if isinstance(judged, RefutedFinding):
                refuted.append(judged)
            else:
                kept.append(judged)
    return VerificationResult(tuple(kept), tuple(refuted), _faults(reasons))


def _judged(finding: Finding, ruling: Verdict, least: Severity) -> Finding | RefutedFinding:
    """The finding as it stands after its ruling. Nothing that is taken away by one goes without its reason."""
    if ruling.verdict == "drop":
        return RefutedFinding(finding, ruling.evidence)
    if ruling.severity is None:
        return replace(finding, check=Verification.CONFIRMED, evidence=ruling.evidence)
    if ruling.severity < least:
        said = f"Lowered to {ruling.severity.label}, and {least.label} is the least that is asked for:"
        return RefutedFinding(finding, f"{said} {ruling.evidence}")
    return replace(finding, severity=ruling.severity, check=Verification.LOWERED, evidence=ruling.evidence)


def _faults(reasons: Iterable[_Why]) -> tuple[ReviewFault, ...]:
    """One fault a kind of reason, which says how many findings it left without a check."""
    by_kind: dict[str, list[_Why]] = {}
    for why in reasons:
        by_kind.setdefault(why.kind, []).append(why)
    return tuple(ReviewFault(_KIND, _sentence(same), same[0].hint) for same in by_kind.values())


def _sentence(same: Sequence[_Why]) -> str:
    first = same[0].message
    if len(same) == 1:
        return f"1 finding was not verified by a second opinion, and stands as it was found. {first}"
    return (
        f"{len(same):,} findings were not verified by a second opinion, and stand as they were found. {first}"
    )
