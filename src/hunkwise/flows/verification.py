"""Verifies findings: asks new sessions to refute them, and whether those of earlier runs still apply.

A suppressed finding appears only in the report, with the reason. It counts as if this run had not found it: a thread
that an earlier run opened for it follows the usual rules (tracking.reconcile). The thread stays open while its code is
there, and is closed when that code is gone and no finding in its place was confirmed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hunkwise.domain.diff import FileDiff, Side, by_path
from hunkwise.domain.finding import Finding, Severity, reading_order
from hunkwise.domain.model import Question, ReportTool
from hunkwise.domain.pull_request import Snapshot
from hunkwise.domain.text import header_size, shown_size
from hunkwise.errors import ModelError, ModelKind, SettingsError
from hunkwise.flows.analysis import MAX_SPLITS, Ask
from hunkwise.flows.models import Budgets, require_budget, run_all
from hunkwise.flows.prompting import PromptWriter
from hunkwise.flows.verdicts import INTERRUPTED, NO_VERDICT, MissingVerdict, Verdicts, VerificationResult
from hunkwise.plan.chunking import ChunkPart, LineSpan, allotted, hunks_around, removed_rows
from hunkwise.plan.globs import matches
from hunkwise.prompts.context import diff_text
from hunkwise.prompts.report_verdicts import DESCRIPTION, REPORT, VerdictCollector, parameters
from hunkwise.settings.config import Config

MOST_IN_BATCH = 12
MOST_OTHERS = 40
"""Findings of other questions that a question names."""
_ENOUGH = 6
"""Findings that start a question while other parts are still being reviewed."""
_CALLS_A_QUESTION = 5
"""Model calls that a question may need; findings are verified early only where the budget is large enough for all."""
_UNPROVED_LINE_MARGIN = 5
"""Lines by which a line that is not in the diff may be off."""
_MOST_LARGE_FILES = 4
"""Files too large to be shown whole that one question may be about."""
_CITED_MARGIN = 3
_MOST_CITED = 20
_CITED = re.compile(r"(?:(?P<path>[\w./@+-]{1,200}):|\blines? |\b(?P<side>[LR]))(?P<line>\d{1,7})(?!\d)")


@dataclass(frozen=True, slots=True)
class Claim:
    """A finding to verify: one of this run, or an earlier one that is still open and whose code has changed."""

    finding: Finding
    earlier: bool = False
    """Raised by an earlier run: the question is whether it still applies in the code as it is now."""
    old_code: str = ""
    """The code of an earlier finding as it was when the finding was raised."""


@dataclass(frozen=True, slots=True)
class FindingBatch:
    """Claims for one question; the model refers to them by position, from 1: new findings, then earlier ones."""

    claims: tuple[Claim, ...]

    @property
    def new(self) -> tuple[Finding, ...]:
        return tuple(claim.finding for claim in self.claims if not claim.earlier)

    @property
    def earlier(self) -> tuple[Finding, ...]:
        return tuple(claim.finding for claim in self.claims if claim.earlier)

    @property
    def halves(self) -> tuple[FindingBatch, ...]:
        """The claims in two batches; a single claim in one."""
        middle = len(self.claims) // 2
        return tuple(FindingBatch(part) for part in (self.claims[:middle], self.claims[middle:]) if part)


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


def take_batch(claims: Sequence[Claim], shown: ShownCode) -> tuple[FindingBatch, list[Claim]]:
    """Returns the most severe claims whose files fit into one question, at least one, and the other claims."""
    taken: list[Claim] = []
    rest: list[Claim] = []
    paths: set[str] = set()
    room = shown.room
    for claim in sorted(claims, key=lambda claim: -claim.finding.severity):
        path = claim.finding.path
        size = 0 if path in paths else min(_size(shown.files.get(path)), shown.room // _MOST_LARGE_FILES)
        if len(taken) < MOST_IN_BATCH and (size <= room or not taken):
            taken.append(claim)
            paths.add(path)
            room -= size
        else:
            rest.append(claim)
    taken.sort(key=lambda claim: (claim.earlier, reading_order(claim.finding)))
    return FindingBatch(tuple(taken)), rest


def _size(file: FileDiff | None) -> int:
    return 0 if file is None else header_size(file) + sum(map(shown_size, file.hunks))


def batches_of(claims: Iterable[Claim], shown: ShownCode) -> Iterator[FindingBatch]:
    """Yields each claim once, the most severe first: the least severe are skipped if the budget runs out."""
    left = list(claims)
    while left:
        batch, left = take_batch(left, shown)
        yield batch


def shown_code(snapshot: Snapshot, prompting: PromptWriter, config: Config) -> ShownCode:
    """Returns the code of a snapshot that a question may show."""
    shown = ShownCode(by_path(snapshot.files), min(config.chunk_size, _MAX_CODE))
    if prompting.surroundings is None:
        return shown
    return replace(shown, around=prompting.surroundings.text, room_around=config.context.size)


def build_variables(batch: FindingBatch, shown: ShownCode, others: Iterable[Finding] = ()) -> dict[str, Any]:
    """Returns the variables that only the template `verify` has: `findings`, `earlier`, `others` and `code`.

    `code` is empty if no file is part of the change, or their patches are not known.
    """
    values = [_finding_values(number, claim) for number, claim in enumerate(batch.claims, 1)]
    return {
        "findings": values[: len(batch.new)],
        "earlier": values[len(batch.new) :],
        "others": [_finding_values(0, Claim(finding)) for finding in others],
        "code": _code(batch, shown),
    }


def _finding_values(number: int, claim: Claim) -> dict[str, Any]:
    finding, anchor = claim.finding, claim.finding.anchor
    return {
        "number": number,
        "path": finding.path,
        "severity": finding.severity.label,
        "category": finding.category,
        "title": finding.title,
        "body": finding.body,
        "line": anchor.line if anchor else finding.reported_line,
        "start_line": anchor.start_line if anchor else None,
        "side": str(anchor.side) if anchor else str(Side.RIGHT),
        "suggestion": finding.suggestion,
        "prompt": finding.prompt,
        "placed": anchor is not None,
        "old_code": claim.old_code,
    }


def _code(batch: FindingBatch, shown: ShownCode) -> str:
    """Returns the rows around the findings, those that they cite, and every removed row of their files."""
    spans: dict[str, list[LineSpan]] = {}
    for claim in batch.claims:
        finding = claim.finding
        if finding.path in shown.files:
            spans.setdefault(finding.path, []).extend(_line_spans(finding))
    own = len(spans)
    for claim in batch.claims:
        for path, span in _cited(claim.finding, shown.files):
            spans.setdefault(path, []).append(span)
    files = [shown.files[path] for path in spans]
    parts, texts = [], []
    rooms = allotted([_size(file) for file in files], shown.room)
    for number, (file, room) in enumerate(zip(files, rooms, strict=True)):
        part = ChunkPart(file, hunks_around(file, spans[file.path], room))
        if not part.hunks:
            continue
        parts.append(part)
        texts.append(diff_text(part))
        left = room - len(texts[-1])
        if number < own and (removed := removed_rows(file, part.hunks, left)):
            texts.append(f"Other removed rows:\n\n{diff_text(ChunkPart(file, removed))}")
    around = shown.around(parts, shown.room_around) if parts else ""
    return "\n\n".join([*texts, around] if around else texts)


def _line_spans(finding: Finding) -> list[LineSpan]:
    anchor, line = finding.anchor, finding.reported_line
    if anchor is not None:
        return [LineSpan(anchor.side, anchor.lines)]
    return [] if line is None else [_near(Side.RIGHT, line, _UNPROVED_LINE_MARGIN)]


def _near(side: Side, line: int, margin: int) -> LineSpan:
    return LineSpan(side, range(max(1, line - margin), line + margin + 1))


def _cited(finding: Finding, files: Mapping[str, FileDiff]) -> Iterator[tuple[str, LineSpan]]:
    """Yields the rows that a finding's text names: `path:12`, or `line 12`, `R12` and `L12` of its own file."""
    for match in list(_CITED.finditer(finding.body))[:_MOST_CITED]:
        cited = match["path"]
        path = finding.path if cited is None else _path_of(cited, files)
        if path in files:
            side = Side.LEFT if match["side"] == "L" else Side.RIGHT
            yield path, _near(side, int(match["line"]), _CITED_MARGIN)


def _path_of(cited: str, files: Mapping[str, FileDiff]) -> str:
    """Returns the path of the one changed file whose path ends in the cited one; the cited one if there is none."""
    if cited in files:
        return cited
    matches = [path for path in files if path.endswith(f"/{cited}")]
    return matches[0] if len(matches) == 1 else cited


_PROMPT = "verify"
_MAX_CODE = 64_000
"""Characters of code in one question."""


class Verifier:
    """Asks about the findings of some files in one question, in the run's `slots` for questions.

    Findings may be given early, while other parts of the change are still being reviewed.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        ask: Ask,
        prompting: PromptWriter,
        budgets: Budgets,
        config: Config,
        slots: asyncio.Semaphore | None = None,
    ) -> None:
        self._ask_model = ask
        self._prompting = prompting
        self._config = config
        self._settings = config.stage(_PROMPT)
        self._budget = budgets.verification(self._settings)
        self._shown = shown_code(snapshot, prompting, config)
        self._slots = slots or asyncio.Semaphore(config.parallel)
        self._rendering = asyncio.Lock()
        """Held for one prompt at a time: so the most severe findings come first with a small budget, too."""
        self._fatal: ModelError | None = None
        self._too_large: list[tuple[int, ModelError]] = []
        """Sizes of prompts that were too large for the model; none of such a size is asked again."""
        self._given: dict[Claim, None] = {}
        self._ready: list[Claim] = []
        """Given claims that are in no question yet."""
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting = 0
        """Tasks that have no claims yet."""
        self._verdicts = Verdicts()

    def begin(self, findings: Iterable[Finding], questions_left: int) -> None:
        """Verifies findings to which nothing will be added, as soon as there are enough of them for a question.

        Does nothing where the budget might not be enough for `questions_left`, the questions that are still to be
        answered: those go first, and after them the most severe findings.
        """
        claims = [claim for claim in map(Claim, findings) if self._covers(claim.finding)]
        calls = _CALLS_A_QUESTION * (questions_left + len(self._ready) + len(claims))
        if not self._budget.covers(calls):
            return
        self._add(claims)
        while len(self._ready) >= _ENOUGH * (self._waiting + 1):
            self._start()

    async def verify(self, claims: Sequence[Claim], interrupted: asyncio.Event) -> VerificationResult:
        """Returns the verified findings. Never raises for a fault of the model, a prompt or the network: it keeps
        the findings then, unverified, and earlier ones undecided."""
        self._add(claim for claim in claims if self._covers(claim.finding))
        for _ in self._ready if not interrupted.is_set() else ():
            self._start()
        await run_all(self._tasks, interrupted)
        new = [claim.finding for claim in claims if not claim.earlier]
        earlier = [claim.finding for claim in claims if claim.earlier]
        return self._verdicts.result(new, earlier, _min_severities(self._config), self._covers)

    def _covers(self, finding: Finding) -> bool:
        """Returns whether the finding is to be verified: the prompt may be limited to some paths."""
        paths = self._settings.paths
        return self._config.verify != "off" and (not paths or matches(paths, finding.path))

    def _add(self, claims: Iterable[Claim]) -> None:
        new = [claim for claim in claims if claim not in self._given]
        self._given |= dict.fromkeys(new)
        self._ready += new

    def _start(self) -> None:
        self._waiting += 1
        self._tasks.append(asyncio.create_task(self._run_question()))

    async def _run_question(self) -> None:
        """Asks about as many of the ready claims as fit."""
        async with self._slots:
            self._waiting -= 1
            if self._ready:
                batch, self._ready = take_batch(self._ready, self._shown)
                await self._ask_or_split(batch)

    async def _ask_or_split(self, batch: FindingBatch, splits: int = 0) -> None:
        """Asks about a batch, in halves with half of the code if it is too large for the model, and stores the
        valid verdicts of the answers."""
        collector = VerdictCollector(batch.new, batch.earlier)
        missing = INTERRUPTED
        smaller: Sequence[FindingBatch] = ()
        try:
            await self._ask(batch, collector, splits)
            missing = NO_VERDICT
        except ModelError as error:
            if error.kind.fatal:
                self._fatal = self._fatal or error
            if error.kind is ModelKind.TOO_LARGE and not collector.answered and splits < MAX_SPLITS:
                smaller = batch.halves
            else:
                missing = MissingVerdict(str(error.kind), error.message, error.hint, error.shell_hint)
        except SettingsError as error:
            missing = MissingVerdict("template", error.message)
        finally:
            self._verdicts.store([claim.finding for claim in batch.claims], collector, missing)
        for half in smaller:
            await self._ask_or_split(half, splits + 1)

    async def _ask(self, batch: FindingBatch, collector: VerdictCollector, splits: int) -> None:
        """Asks the model. Raises ModelError, and SettingsError where the user's own template fails."""
        if self._fatal is not None:
            raise self._fatal
        limits = self._settings.chunk_budget.limits
        budget = require_budget(self._budget.part(limits, f' of one question of the prompt "{_PROMPT}"'))
        async with self._rendering:
            # The user's own template is rendered in another process, which may take long.
            others = [
                claim.finding for claim in self._given if claim not in batch.claims and not claim.earlier
            ]
            prompt = await asyncio.to_thread(self._text, batch, others[:MOST_OTHERS], splits)
        for size, error in self._too_large:
            if len(prompt) >= size:
                raise error
        tool = ReportTool(REPORT, DESCRIPTION, parameters(), collector.take, lambda: collector.answered)
        system = self._prompting.system_for(_PROMPT)
        try:
            await self._ask_model(Question(_PROMPT, system, prompt, tool, budget, self._settings.tools))
        except ModelError as error:
            if error.kind is ModelKind.TOO_LARGE:
                self._too_large.append((len(prompt), error))
            raise

    def _text(self, batch: FindingBatch, others: Sequence[Finding], splits: int) -> str:
        """Returns the prompt; each split halves the characters of its code."""
        paths = list(dict.fromkeys(claim.finding.path for claim in batch.claims))
        # The built-in template names the files of instructions: the review had their texts.
        instructions = self._prompting.instructions_for(paths)
        shown = self._shown
        shown = replace(shown, room=shown.room >> splits, room_around=shown.room_around >> splits)
        names = build_variables(batch, shown, others) | {"instructions": instructions}
        return self._prompting.stage_text(self._settings, self._config.min_severity, names)


def _min_severities(config: Config) -> Mapping[str, Severity]:
    """Returns the minimum severity of each reviewing prompt, by its name."""
    return {prompt.name: prompt.min_severity or config.min_severity for prompt in config.reviewing}
