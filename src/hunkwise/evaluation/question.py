"""Reads question.json, which has a command with a question and what its answer should state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import Field

from hunkwise.domain.text import joined
from hunkwise.evaluation.case_format import COMMON_WANTS, CaseFormat, CaseShape, PullRequestText
from hunkwise.evaluation.golden import PLACE_WANTS, SIDES, CodePlace, span_fault
from hunkwise.evaluation.statements import key_words
from hunkwise.settings.parsing import listed

MAX_STATEMENTS: Final = 20
"""Maximum number of required statements, and of forbidden ones."""
MAX_COMMENTS: Final = 50
_QUESTIONS: Final = {
    "explain": "Explain the problem that the thread is about: why it goes wrong, how to see it, what would fix it.",
    "suggest": "Write a suggestion that solves the problem of the thread.",
}
"""The questions of the commands without one."""
_Word = Literal["ask", "explain", "suggest"]
_Role = Literal["us", "writer", "author", "other"]
_Statements = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=1_000)], ...],
    Field(strict=False, max_length=MAX_STATEMENTS),
]


class CommentText(CaseShape):
    """A comment of a thread."""

    by: _Role = Field(
        description="us: hunkwise; writer: somebody with write access; author: the author of the change; "
        "other: anyone else."
    )
    text: str = Field(min_length=1, max_length=12_000, description="The comment.")


class ThreadText(CodePlace):
    """The review thread in which the command was written."""

    comments: Annotated[
        tuple[CommentText, ...], Field(strict=False, min_length=1, max_length=MAX_COMMENTS)
    ] = Field(description="Its comments without the command, the oldest first.")


class ExpectedAnswer(CaseShape):
    """A command that asks a model, and what the answer should state and should not."""

    version: Literal[1] = Field(description="The version of this file's format.")
    description: str = Field(default="", max_length=2_000, description="What the case is for.")
    pull_request: PullRequestText | None = Field(default=None, description="Its title and description.")
    command: _Word = Field(
        default="ask",
        description="The command's word. The others but ask need a thread, and have no question.",
    )
    question: str = Field(default="", max_length=6_000, description="The question of the command ask.")
    thread: ThreadText | None = Field(
        default=None,
        description="The thread with the command; without it the command is on the pull request.",
    )
    required: _Statements = Field(default=(), description="What the answer should state.")
    forbidden: _Statements = Field(default=(), description="What the answer should not state.")

    @property
    def asked(self) -> str:
        """The comments of the thread and the question, for the judge."""
        comments = self.thread.comments if self.thread else ()
        question = _QUESTIONS.get(self.command, self.question)
        return joined((*(comment.text for comment in comments), question))


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of `question.json`, for editors (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **ExpectedAnswer.model_json_schema(),
        "title": "hunkwise question",
        "description": "A question of a case of `hunkwise eval`, and what its answer should state: question.json",
    }


_STATEMENTS: Final = f"a list of up to {MAX_STATEMENTS} texts"
_STATEMENT: Final = "a text of 1 to 1,000 characters"
_FORMAT: Final = CaseFormat(
    ExpectedAnswer,
    wants={
        **COMMON_WANTS,
        **PLACE_WANTS,
        "command": listed(get_args(_Word)),
        "question": "a text of up to 6,000 characters",
        "thread": "an object with path, line and comments",
        "comments": f"a list of 1 to {MAX_COMMENTS} objects",
        "comments[]": "an object with by and text",
        "by": listed(get_args(_Role)),
        "text": "a text of 1 to 12,000 characters",
        "required": _STATEMENTS,
        "required[]": _STATEMENT,
        "forbidden": _STATEMENTS,
        "forbidden[]": _STATEMENT,
    },
    keys={"thread": tuple(ThreadText.model_fields), "comments": tuple(CommentText.model_fields)},
    choices={"command": get_args(_Word), "by": get_args(_Role), "side": SIDES},
    example='{"version": 1, "question": "Why?", "required": ["It blocks."]}',
)


def parse_question(raw: bytes, path: str) -> tuple[ExpectedAnswer | None, list[str]]:
    """Returns what is asked and expected, or None and the faults as `path: required[2]: …`. Never raises."""
    expected, faults = _FORMAT.parse(raw, path)
    if expected is not None:
        faults = [f"{path}: {fault}" for fault in _faults(expected)]
    return (None if faults else expected), faults


def _faults(expected: ExpectedAnswer) -> Iterator[str]:
    asks = expected.command == "ask"
    if asks and not expected.question.strip():
        yield '"question" is missing; give the text of the question, or another "command"'
    if not asks and expected.question:
        yield f'the command "{expected.command}" has no question; remove "question", or make the command "ask"'
    if not asks and expected.thread is None:
        yield f'"thread" is missing: the command "{expected.command}" is answered in a thread alone; add one'
    if expected.thread is not None and (fault := span_fault(expected.thread)):
        yield f"thread: {fault}"
    if not expected.required and not expected.forbidden:
        yield 'nothing is expected of the answer; add statements to "required" or "forbidden"'
    for key, statements in (("required", expected.required), ("forbidden", expected.forbidden)):
        for index, statement in enumerate(statements):
            if not key_words(statement):
                yield f"{key}[{index}]: it has no key word; put the words that matter in backticks"
