"""Renders a prompt as a review would send it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from hunkwise.domain.command import Command, CommandWord
from hunkwise.domain.diff import FileDiff, Side, by_path
from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.domain.model import ANSWER_PROMPTS, STAGE_PROMPTS, Question
from hunkwise.domain.pull_request import Thread
from hunkwise.domain.review import Coverage
from hunkwise.errors import SettingsError
from hunkwise.flows.analysis import Analysis
from hunkwise.flows.answering import AnswerRequest, prepare_answer
from hunkwise.flows.models import Budgets
from hunkwise.flows.planning import coverage_of
from hunkwise.flows.review import PreparedReview, ReviewInput, ReviewRequest, prepare
from hunkwise.flows.summary import Summarizer
from hunkwise.flows.verification import Claim, FindingBatch, Verifier, batches_of, shown_code
from hunkwise.publish.placement import resolve_anchor
from hunkwise.settings.config import Config

MOST_EXAMPLES: Final = 40
"""Maximum number of example findings, one per file."""
_CHARACTERS_A_TOKEN: Final = 4
_QUESTION: Final = "Is this an example?"
_BODY: Final = "An example that was made from the diff, for this preview: no model has found it."


@dataclass(frozen=True, slots=True)
class RenderedPart:
    """One question: its text, and the part of the change that it contains."""

    number: int
    count: int
    text: str
    changed_lines: dict[str, int]
    """Number of changed lines, or of example findings, by path."""

    @property
    def lines(self) -> int:
        return sum(self.changed_lines.values())

    @property
    def tokens(self) -> int:
        return estimate(self.text)


@dataclass(frozen=True, slots=True)
class PromptRendering:
    """All questions of one prompt."""

    name: str
    system: str
    parts: tuple[RenderedPart, ...]
    coverage: Coverage
    """The parts of the change that the questions contain, and the missing ones."""
    faults: tuple[str, ...] = ()
    """Errors of chunks for which the template fails."""
    instructions: tuple[str, ...] = ()
    """Paths of the repository's instructions that the prompts show."""
    notes: tuple[str, ...] = ()


def estimate(text: str) -> int:
    """Returns the estimated number of tokens, characters divided by 4; a tokenizer counts differently."""
    return -(-len(text) // _CHARACTERS_A_TOKEN)


def render_texts(ready: ReviewInput, name: str) -> PromptRendering:
    """Renders the texts of a prompt of the request's configuration. Raises SettingsError where that is not possible."""
    request, prepared = ready.request, prepare(ready.request, code=ready.code)
    if name == "verify":
        return _verification(request, prepared)
    if name == "summary":
        return _summary(request, prepared)
    if name in ANSWER_PROMPTS:
        return _answer(ready, prepared, name)
    parts, faults = [], []
    for task in prepared.plan.tasks:
        try:
            text = prepared.prompting.text(task)
        except SettingsError as error:
            faults += [f"chunk {task.chunk.index + 1} of {task.count}: {fault}" for fault in error.faults]
            continue
        lines: dict[str, int] = {}
        for part in task.chunk.parts:
            lines[part.file.path] = lines.get(part.file.path, 0) + part.changed_lines
        parts.append(RenderedPart(task.chunk.index + 1, task.count, text, lines))
    return _rendering(request, prepared, name, parts, faults)


def _verification(request: ReviewRequest, prepared: PreparedReview) -> PromptRendering:
    """Renders the verification's questions with example findings, one for each file."""
    shown = shown_code(request.snapshot, prepared.prompting, request.config)
    batches = tuple(batches_of(map(Claim, _examples(prepared)), shown))
    parts, faults = [], []
    for number, batch in enumerate(batches, 1):
        question, fault = asyncio.run(_verification_question(request, prepared, batch))
        if question is None:
            faults.append(f"part {number} of {len(batches)}: {fault}")
        else:
            findings = Counter(finding.path for finding in batch.new)
            parts.append(RenderedPart(number, len(batches), question.prompt, dict(findings)))
    return _rendering(request, prepared, "verify", parts, faults)


async def _verification_question(
    request: ReviewRequest, prepared: PreparedReview, batch: FindingBatch
) -> tuple[Question | None, str]:
    """Returns the question, or None and the reasons."""
    verify = "on" if request.config.verify == "off" else request.config.verify
    config = request.config.model_copy(update={"verify": verify})
    model = _CapturingModel()
    verifier = Verifier(request.snapshot, model.ask, prepared.prompting, Budgets(Config()), config)
    opinion = await verifier.verify(batch.claims, asyncio.Event())
    return model.question, " ".join(fault.message for fault in opinion.faults)


def _summary(request: ReviewRequest, prepared: PreparedReview) -> PromptRendering:
    """Renders the question for the summary, with example findings and example summaries of the parts."""
    question, fault = asyncio.run(_summary_question(request, prepared))
    if question is None:
        return _rendering(request, prepared, "summary", (), (fault,))
    lines = {file.path: file.changed_lines for file in request.snapshot.files}
    return _rendering(request, prepared, "summary", (RenderedPart(1, 1, question.prompt, lines),), ())


async def _summary_question(request: ReviewRequest, prepared: PreparedReview) -> tuple[Question | None, str]:
    """Returns the question, or None and the reasons."""
    style = "short" if request.config.summary == "off" else request.config.summary
    config = request.config.model_copy(update={"summary": style})
    tasks = prepared.plan.tasks
    summaries = tuple(f"An example of what is said of part {number}." for number in range(1, len(tasks) + 1))
    count = max(2, len(tasks))  # with a single question, no separate summary would be asked for
    coverage = coverage_of(prepared.plan, {task.key: None for task in tasks}, request.snapshot)
    analysis = Analysis((), coverage, (), summaries, questions=count, answered=count)
    model = _CapturingModel()
    summarizer = Summarizer(request.snapshot, model.ask, prepared.prompting, Budgets(Config()), config)
    account = await summarizer.summarize(analysis, tuple(_examples(prepared)), asyncio.Event(), "")
    return model.question, " ".join(fault.message for fault in account.faults)


def _answer(ready: ReviewInput, prepared: PreparedReview, name: str) -> PromptRendering:
    """Renders the question for an example command in an example thread, which is on the first changed line."""
    request = ready.request
    example = next(_examples(prepared), None)
    if example is None or example.anchor is None:
        return _rendering(request, prepared, name, (), ("the change shows no line for an example thread",))
    anchor = example.anchor
    thread = Thread(anchor.path, anchor.line, anchor.side, "hunkwise", f"{example.title}. {_BODY}", ours=True)
    command = Command(CommandWord.EXPLAIN) if name == "explain" else Command(CommandWord.ASK, _QUESTION)
    asked = AnswerRequest(
        command, request.snapshot, request.config, request.templates, ready.code, thread, request.state
    )
    try:
        prepared.prompting.prepare((name,), ())  # for its notes
        text = prepare_answer(asked).question.prompt
    except SettingsError as error:
        return _rendering(request, prepared, name, (), error.faults)
    return _rendering(request, prepared, name, (RenderedPart(1, 1, text, {anchor.path: 1}),), ())


class _CapturingModel:
    """A fake model that stores the question and does not answer."""

    def __init__(self) -> None:
        self.question: Question | None = None

    async def ask(self, question: Question) -> None:
        self.question = question


def _examples(prepared: PreparedReview) -> Iterator[Finding]:
    """Yields a finding on the first changed line of each file that is sent to a model."""
    files = by_path(part.file for task in prepared.plan.tasks for part in task.chunk.parts)
    for file in list(files.values())[:MOST_EXAMPLES]:
        anchor = _first_change(file)
        if anchor is not None:
            title = f"An example: line {anchor.line} of {file.path}"
            yield Finding(file.path, Severity.MEDIUM, title, _BODY, anchor, category="example")


def _first_change(file: FileDiff) -> Anchor | None:
    """Returns the first added line; in a file without added lines, the first removed line."""
    lines = [line for hunk in file.hunks for line in hunk.lines]
    added = ((Side.RIGHT, line.new) for line in lines if line.kind == "+")
    removed = ((Side.LEFT, line.old) for line in lines if line.kind == "-")
    side, number = next(chain(added, removed), (Side.RIGHT, None))
    proof = resolve_anchor(file.path, number or 0, None, side, by_path([file]))
    return proof if isinstance(proof, Anchor) else None


def _rendering(
    request: ReviewRequest,
    prepared: PreparedReview,
    name: str,
    parts: Sequence[RenderedPart],
    faults: Sequence[str],
) -> PromptRendering:
    answered = {task.key: None for task in prepared.plan.tasks}
    coverage = coverage_of(prepared.plan, answered, request.snapshot)
    if name in ANSWER_PROMPTS:
        coverage = Coverage()
    prompting = prepared.prompting
    return PromptRendering(
        name,
        prompting.system_for(name),
        tuple(parts),
        coverage,
        tuple(faults),
        prompting.instructions if name not in STAGE_PROMPTS else (),
        (*request.snapshot.notes, *prompting.notes),
    )
