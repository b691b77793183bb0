"""Answers the commands `ask`, `explain` and `suggest`: one question to a model about a thread or a pull request."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from hunkwise.domain.command import Command, CommandWord, parse_command
from hunkwise.domain.diff import FileDiff, Side, by_path
from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.domain.model import Deadline, Question
from hunkwise.domain.pull_request import ReadableCode, Reply, Snapshot, Thread
from hunkwise.domain.review import ReviewFault, Usage
from hunkwise.domain.text import cut
from hunkwise.enclosing.scopes import CHECK_SECONDS, ScopeFinder
from hunkwise.errors import Error, ModelError, ModelKind, StoppedError
from hunkwise.flows.code_context import CodeContext
from hunkwise.flows.models import Budgets, Model, ModelFallback, wait_unless
from hunkwise.flows.prompting import PromptWriter
from hunkwise.plan.chunking import ChunkPart, LineSpan, hunks_around
from hunkwise.prompts.context import diff_text
from hunkwise.prompts.renderer import Renderer
from hunkwise.prompts.report_answer import AnswerCollector
from hunkwise.publish.placement import CommentPlan, resolve_anchor
from hunkwise.publish.suggestions import Suggestions, SyntaxErrors, can_be_replaced
from hunkwise.settings.config import Config
from hunkwise.tracking.markers import HiddenState, without_markers

SECONDS: Final = 180.0
"""Time for an answer, from its preparation to the last model call."""
THREAD_ROOM: Final = 12_000
"""Characters of all comments of a thread together."""
_CODE_ROOM = 24_000
"""Characters for rows of the diff."""
_PROMPTS = {CommandWord.ASK: "answer", CommandWord.SUGGEST: "answer", CommandWord.EXPLAIN: "explain"}
"""The prompt of each command that asks a model: one of ANSWER_PROMPTS."""
_MAX_OVERVIEW = 2_000
_NOT_ON_LINES = (
    "a suggestion replaces lines of the new file that the change shows, and this thread is not on such lines"
)
_NOT_REPLACEABLE = "these lines cannot be replaced by a suggestion"
_NOT_MADE = "the model made none"
_NOT_PROVED = "the one that the model made does not apply to these lines, or adds a syntax error"


@dataclass(frozen=True)
class AnswerRequest:
    """A command that asks a model, and what the answer may be based on."""

    command: Command
    """ASK with its question, EXPLAIN or SUGGEST; the last two need a thread."""
    snapshot: Snapshot
    config: Config
    templates: Mapping[str, str]
    """The user's own at the base SHA, as for `prompts.renderer.Renderer`."""
    code: ReadableCode
    thread: Thread | None = None
    """The thread with the command; None if it is on the pull request."""
    state: HiddenState | None = None
    """The hidden state that the last review wrote; None if there is none."""
    writers: frozenset[str] = frozenset()
    """Logins with write access, beside those of the snapshot's conversation."""

    @property
    def prompt(self) -> str:
        """The name of the prompt."""
        return _PROMPTS[self.command.word]


@dataclass(frozen=True)
class Answer:
    """The answer to a command. All text is untrusted until `publish.sanitize` has processed it."""

    text: str = ""
    """Empty only if no model was asked, because no suggestion is possible."""
    suggestion: str = ""
    """The new text of the thread's lines, checked by `publish.suggestions`; empty if there is none."""
    why_none: str = ""
    """Why there is no suggestion, as the end of a sentence, if one was requested or the model made one."""
    usage: Usage = field(default_factory=Usage)
    faults: tuple[ReviewFault, ...] = ()
    """The error that ended the question after the model had answered."""


async def answer(
    request: AnswerRequest, model: Model, interrupted: asyncio.Event, *, seconds: float = SECONDS
) -> Answer:
    """Asks the model, in at most `seconds`, and checks its suggestion.

    Raises ModelError if there is no answer, SettingsError if the user's own template fails.
    """
    deadline = Deadline(time.monotonic() + seconds, time.monotonic)
    prepared = await asyncio.to_thread(prepare_answer, request, lambda: deadline.remaining)
    if prepared.impossible and request.command.word is CommandWord.SUGGEST:
        return Answer(why_none=prepared.impossible)
    fallback = ModelFallback(model, request.config.model_order)
    asking = asyncio.ensure_future(fallback.ask(prepared.question))
    faults: tuple[ReviewFault, ...] = ()
    try:
        await wait_unless(interrupted, asking, deadline.remaining)
        if not asking.done():
            raise StoppedError() if interrupted.is_set() else _late_error(seconds)
        asking.result()
    except ModelError as error:
        if not prepared.collector.report.text:
            raise
        faults = (ReviewFault(str(error.kind), error.message, error.hint, error.shell_hint),)
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    checked = await asyncio.to_thread(_with_suggestion, request, prepared)
    return replace(checked, usage=model.usage, faults=faults)


def _late_error(seconds: float) -> ModelError:
    return ModelError(
        ModelKind.TIMEOUT,
        f"The model gave no answer within {seconds:g} seconds.",
        "Ask again, or ask for less.",
    )


@dataclass(frozen=True)
class PreparedAnswer:
    """A question to a model, and what handles its answer."""

    question: Question
    collector: AnswerCollector
    anchor: Anchor | None = None
    """The lines that a suggestion replaces; None if none is possible."""
    head: bytes = b""
    """The content of the anchor's file at the head."""
    impossible: str = ""
    """Why no suggestion is possible; empty if one is."""


def prepare_answer(
    request: AnswerRequest, seconds_left: Callable[[], float] = lambda: math.inf
) -> PreparedAnswer:
    """Renders the question. Blocks: reads files, parses one, and renders the user's own template.

    Raises SettingsError if that template fails.
    """
    config, prompt = request.config, request.config.stage(request.prompt)
    target = _suggestion_target(request)
    anchor, head = target if isinstance(target, tuple) else (None, b"")
    fault = None if anchor is None else partial(_suggestion_fault, request, anchor, head)
    collector = AnswerCollector(fault)
    prompting = PromptWriter(
        request.snapshot,
        Renderer(request.templates, seconds_left, config.own_files),
        context=config.context,
        searchable=request.code.head.searchable,
        base_readable=request.code.base is not None,
        surroundings=CodeContext(request.code.head, left=seconds_left),
    )
    names = answer_variables(request, prompting) | {"suggestible": anchor is not None}
    question = Question(
        prompt.name,
        prompting.system_for(prompt.name),
        prompting.stage_text(prompt, config.min_severity, names),
        collector.tool,
        Budgets(config).answer(prompt),
        prompt.tools,
    )
    return PreparedAnswer(question, collector, anchor, head, target if isinstance(target, str) else "")


def _suggestion_target(request: AnswerRequest) -> tuple[Anchor, bytes] | str:
    """Returns the lines that a suggestion replaces and their file at the head, or why none is possible.

    Only in our own threads: they are on lines of one side. `explain` makes no suggestion.
    """
    thread = request.thread
    if thread is None or not thread.ours or thread.line is None or thread.side is not Side.RIGHT:
        return _NOT_ON_LINES
    if request.command.word is CommandWord.EXPLAIN:
        return _NOT_MADE
    files = by_path(request.snapshot.files)
    anchor = resolve_anchor(thread.path, thread.line, thread.start_line, thread.side, files)
    if not isinstance(anchor, Anchor) or anchor.path != thread.path:
        return _NOT_ON_LINES
    try:
        content = request.code.head.read(anchor.path)
    except Error:
        content = None
    if not content or not can_be_replaced(anchor, content, files[anchor.path]):
        return _NOT_REPLACEABLE
    return anchor, content


def _suggestion_fault(request: AnswerRequest, anchor: Anchor, head: bytes, suggestion: str) -> str:
    """Returns what to fix in a suggestion, except for its syntax; empty if it can be committed."""
    if _proved(request.snapshot.files, anchor, head, suggestion, lambda _path, _text: ()):
        return ""
    start, end = anchor.lines.start, anchor.line
    lines = f"line {end}" if start == end else f"lines {start} to {end}"
    return (
        f"it cannot be committed as it is; give the whole new text of {lines} of the file and nothing else, without a "
        "fence, marks of a diff, line numbers or placeholders, or leave it out and say in `text` what has to change"
    )


def _proved(
    files: Sequence[FileDiff], anchor: Anchor, head: bytes, suggestion: str, syntax_errors: SyntaxErrors
) -> str:
    """Returns the text to commit; empty if the suggestion cannot be committed."""
    finding = Finding(anchor.path, Severity.LOW, "", "", anchor, suggestion=suggestion)
    plan = CommentPlan(inline=(finding,))
    return Suggestions(lambda _path: head, syntax_errors).offered(plan, files).get(finding, "")


def _with_suggestion(request: AnswerRequest, prepared: PreparedAnswer) -> Answer:
    """Returns the reported answer, with its suggestion only if it applies and parses."""
    collector, anchor = prepared.collector, prepared.anchor
    text, suggestion = collector.report.text, collector.report.suggestion
    if suggestion and anchor is not None:
        with ScopeFinder(seconds=CHECK_SECONDS) as parser:
            proved = _proved(request.snapshot.files, anchor, prepared.head, suggestion, parser.syntax_errors)
        return Answer(text, proved, "" if proved else _NOT_PROVED)
    if collector.rejected:
        return Answer(text, why_none=_NOT_PROVED)
    return Answer(text, why_none=_NOT_MADE if request.command.word is CommandWord.SUGGEST else "")


def answer_variables(request: AnswerRequest, prompting: PromptWriter) -> dict[str, Any]:
    """Returns the template variables that only these prompts have, and the instructions for the files."""
    thread = request.thread
    paths = [thread.path] if thread else [file.path for file in request.snapshot.files]
    return {
        "command": str(request.command.word),
        "question": request.command.text,
        "thread": None if thread is None else _thread_values(request, thread),
        "code": "" if thread is None else _code(request, thread, prompting),
        "old_code": "" if thread is None or not thread.outdated else thread.diff_hunk,
        "summary": None if request.state is None or thread else _summary_values(request.state),
        "instructions": prompting.instructions_for(paths),
    }


def _code(request: AnswerRequest, thread: Thread, prompting: PromptWriter) -> str:
    """Returns the rows around the thread's lines, and the functions around them; the file's first rows if the diff
    does not show its lines."""
    file = by_path(request.snapshot.files).get(thread.path)
    if file is None:
        return ""
    line = thread.line or 0
    place = LineSpan(thread.side, range(thread.start_line or line, line + 1))
    part = ChunkPart(file, hunks_around(file, [place], min(request.config.chunk_size, _CODE_ROOM)))
    if not part.hunks:
        return ""
    around = ""
    if prompting.surroundings is not None:
        prompting.surroundings.look_up([part])
        around = prompting.surroundings.text([part], request.config.context.size)
    return f"{diff_text(part)}\n\n{around}" if around else diff_text(part)


def _thread_values(request: AnswerRequest, thread: Thread) -> dict[str, Any]:
    comments, omitted = fitting_comments(list(_comments(request, thread)))
    return {
        "path": thread.path,
        "line": thread.line,
        "start_line": thread.start_line if thread.start_line != thread.line else None,
        "side": str(thread.side),
        "resolved": thread.resolved,
        "outdated": thread.outdated,
        "comments": [{"role": role, "body": body} for role, body in comments],
        "omitted": omitted,
    }


def _comments(request: AnswerRequest, thread: Thread) -> Iterator[tuple[str, str]]:
    """Yields role and body of each comment, without our hidden markers; not the one with the command itself."""
    first = Reply(thread.author, thread.body, ours=thread.ours, edited=thread.edited)
    comments = [first, *thread.replies]
    own = [index for index, each in enumerate(comments) if parse_command(each.body) == request.command][-1:]
    for index, each in enumerate(comments):
        if index not in own:
            yield _role(request, each), without_markers(each.body)


def _role(request: AnswerRequest, comment: Reply) -> str:
    """Returns `us`, `writer`, `author` or `other`, as far as GitHub confirms it."""
    conversation, login = request.snapshot.conversation, comment.author.casefold()
    if comment.ours and not comment.edited:
        return "us"
    writers = request.writers | (conversation.writers if conversation else frozenset())
    if not comment.bot and login in map(str.casefold, writers):
        return "writer"
    return "author" if login == request.snapshot.pull_request.author.casefold() else "other"


def fitting_comments(comments: Sequence[tuple[str, str]]) -> tuple[list[tuple[str, str]], int]:
    """Returns the comments, as pairs of role and body, that fit into THREAD_ROOM, and how many are left out.

    The middle is left out first: the first comment stays, then as many of the last ones as fit, then follows how many
    are missing between. Of a long comment, the end is cut.
    """
    if not comments:
        return [], 0
    (role, body), *replies = comments
    kept: list[tuple[str, str]] = []
    first = (role, cut(body, THREAD_ROOM // 2))
    room = THREAD_ROOM - len(first[1])
    for number, (role, body) in enumerate(reversed(replies)):
        if len(body) > room and number:
            break
        kept.insert(0, (role, cut(body, room)))
        room -= len(kept[0][1])
    return [first, *kept], len(replies) - len(kept)


def _summary_values(state: HiddenState) -> dict[str, Any]:
    return {
        "overview": cut(state.summary.overview, _MAX_OVERVIEW),
        "findings": [
            {
                "path": finding.path,
                "line": finding.line,
                "severity": finding.severity.label,
                "title": finding.title,
            }
            for finding in state.findings
            if not finding.fixed and not finding.deleted
        ],
    }
