"""The tool `answer`: its JSON schema, the parser of its arguments, and the reply to the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field
from pydantic_core import from_json

from hunkwise.domain.model import ReportTool, ToolReply
from hunkwise.domain.text import encodable
from hunkwise.prompts.report_call import (
    ReportedCall,
    has_suggestion,
    normalized,
    read_call,
    text_within,
    tool_schema,
)

REPORT: Final = "answer"
DESCRIPTION: Final = (
    "Give your answer. Text outside of this tool is not read. The reply says what to fix, if anything."
)
MAX_TEXT: Final = 6_000
"""Characters of an answer; a longer one is cut."""
MAX_SUGGESTION: Final = 9_999
"""Characters of a suggestion."""
_MAX_CALLS = 3


class _AnswerCall(ReportedCall):
    model_config = ConfigDict(json_schema_extra={"required": ["text", "done"]})

    text: Annotated[str, text_within(MAX_TEXT)] = Field(
        default="",
        min_length=1,
        description="The answer, in a few sentences of Markdown, with the file and line that show it.",
    )
    suggestion: str = Field(
        default="",
        max_length=MAX_SUGGESTION,
        description="The exact new text of the lines that the prompt names, where it is short and sure; else left out.",
    )
    done: bool = Field(default=False, description="True: the answer is complete.")


@dataclass(frozen=True, slots=True)
class AnswerReport:
    """A call of the tool: its valid parts, and the faults of the others."""

    text: str = ""
    suggestion: str = ""
    """Empty if nothing is suggested; else not checked yet."""
    faults: tuple[str, ...] = ()
    done: bool = False


def read_answer(arguments: object, *, suggests: bool) -> AnswerReport:
    """Parses the arguments of a call, which may be anything. `suggests`: a suggestion is possible; else it is not
    read."""
    arguments = normalized(_AnswerCall, arguments)
    if isinstance(arguments, dict) and not suggests:
        arguments = {name: value for name, value in arguments.items() if name != "suggestion"}
    reading = read_call(_AnswerCall, arguments)
    call = reading.call
    suggestion = call.suggestion if has_suggestion(call.suggestion) else ""
    return AnswerReport(call.text, suggestion, reading.faults, call.done)


def draft_text(arguments: str) -> str:
    """Returns the text in the JSON of a call that is still being written; empty if there is none yet."""
    try:
        values = from_json(arguments, allow_partial="trailing-strings")
    except ValueError:
        return ""
    text = values.get("text") if isinstance(values, dict) else None
    return encodable(text)[:MAX_TEXT] if isinstance(text, str) else ""


def parameters(*, suggests: bool) -> dict[str, Any]:
    """Returns the tool's JSON schema."""
    schema = tool_schema(_AnswerCall)
    if not suggests:
        del schema["properties"]["suggestion"]
    return schema


class AnswerCollector:
    """Handles the calls of `answer` in one session; keeps the last call that had a text."""

    def __init__(self, suggestion_fault: Callable[[str], str] | None = None) -> None:
        """`suggestion_fault` returns why a suggestion cannot be committed, empty if it can; None: none is possible."""
        self._suggestion_fault = suggestion_fault
        self._calls = 0
        self._ended = False
        self.report = AnswerReport()
        """The suggestion in it had no fault."""
        self.rejected = False
        """The last call with a text had a suggestion that cannot be committed."""

    @property
    def tool(self) -> ReportTool:
        schema = parameters(suggests=self._suggestion_fault is not None)
        return ReportTool(REPORT, DESCRIPTION, schema, self.take, self._answered)

    def take(self, arguments: object) -> ToolReply:
        """Reads one call. The reply is accepted if nothing is left to fix, or at the third call."""
        if self._ended:
            return ToolReply("The answer was taken already.", accepted=True)
        self._calls += 1
        report = read_answer(arguments, suggests=self._suggestion_fault is not None)
        fault = (
            self._suggestion_fault(report.suggestion) if self._suggestion_fault and report.suggestion else ""
        )
        faults = (*report.faults, *([f"suggestion: {fault}"] if fault else []))
        if report.text:
            self.rejected = bool(fault)
            self.report = AnswerReport(report.text, "" if fault else report.suggestion, faults, report.done)
        self._ended = report.done and not faults
        if self._ended or self._calls >= _MAX_CALLS:
            return ToolReply("Taken." if self._ended else "No more calls are taken.", accepted=True)
        if not faults:
            return ToolReply("Call again with the whole answer and `done: true`.", accepted=False)
        listed = "\n".join(f"- {fault}" for fault in faults)
        return ToolReply(
            f"Not taken:\n{listed}\nFix these and call again with the whole answer.", accepted=False
        )

    def _answered(self) -> bool:
        """Returns whether there is a usable answer: a call with faults is enough once the model reported `done`."""
        return self._ended or (self.report.done and bool(self.report.text))
