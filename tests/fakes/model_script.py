"""Requests to a scripted model as values, its answers and faults, and ready-made scripts."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

REPORT_TOOL = "report_findings"
_CALL_IDS = itertools.count(1)


@dataclass(frozen=True)
class Message:
    """One message of the conversation. `role` is system, user, assistant or tool; `text` has no markup."""

    role: str
    text: str


@dataclass(frozen=True)
class OfferedTool:
    """A tool that the caller offers to the model. `schema` is the JSON Schema of its arguments."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class ModelRequest:
    """One call to the model, the same for every dialect; `body` is what was on the wire."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[OfferedTool, ...]
    stream: bool
    body: Mapping[str, Any]
    number: int = 0
    """1-based, over all calls to this fake."""
    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""

    @property
    def system(self) -> str:
        return "\n".join(message.text for message in self.messages if message.role == "system")

    @property
    def prompt(self) -> str:
        """The last thing that the user said."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")

    @property
    def tool_results(self) -> tuple[str, ...]:
        """What tools answered in this conversation so far, oldest first."""
        return tuple(message.text for message in self.messages if message.role == "tool")

    @property
    def tool_names(self) -> tuple[str, ...]:
        return tuple(tool.name for tool in self.tools)


@dataclass(frozen=True)
class ToolCall:
    """A call of a tool. Arguments as a string go out as they are: that is how broken JSON is scripted."""

    name: str
    arguments: Mapping[str, Any] | str
    id: str = field(default_factory=lambda: f"call_{next(_CALL_IDS)}")


@dataclass(frozen=True)
class Answer:
    """What the model says. Without `finish_reason`: tool_calls where tools are called, else stop."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    input_tokens: int = 100
    output_tokens: int = 20
    cached_tokens: int = 0
    nano_credits: int = 0
    """Billionths of an AI credit, as Copilot's own API tells them beside the usage; 0 tells nothing."""
    finish_reason: str | None = None
    """In OpenAI's words: stop, tool_calls, length, content_filter."""
    delay: float = 0.0
    """Seconds before the answer, beside the fake's own latency."""

    @property
    def reason(self) -> str:
        return self.finish_reason or ("tool_calls" if self.tool_calls else "stop")


@dataclass(frozen=True)
class Fault:
    """An answer that is none: a status, HTML, a reset connection, a cut stream; after `hang` seconds."""

    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | str | None = None
    html: bool = False
    disconnect: bool = False
    hang: float = 0.0
    cut: bool = False


Script = Callable[[ModelRequest], Answer | Fault]
Step = Answer | Fault | Script


def always(outcome: Answer | Fault) -> Script:
    """The same to every request."""
    return lambda _request: outcome


def never_calls_tool(text: str = "I looked at the change and it seems fine to me.") -> Script:
    """A model that talks and does not use its tools."""
    return always(Answer(text=text))


def report(
    findings: Sequence[Mapping[str, Any]] = (), summary: str | None = None, *, done: bool = True
) -> Script:
    """Reports the findings in one tool call, and says a closing word if it is asked again after that."""
    arguments: dict[str, Any] = {"findings": list(findings), "done": done}
    if summary is not None:
        arguments["summary"] = summary

    def script(request: ModelRequest) -> Answer:
        if request.tool_results or REPORT_TOOL not in request.tool_names:
            return Answer(text="That is all.")
        return Answer(tool_calls=(ToolCall(REPORT_TOOL, arguments),))

    return script


VERDICTS_TOOL = "report_verdicts"
SUMMARY_TOOL = "report_summary"
SECOND_TOOLS = (VERDICTS_TOOL, SUMMARY_TOOL)
"""What is asked once the questions over the diff are done; other tools belong to those."""
_NUMBERED = re.compile(r"^#+ Finding (\d+)\b", re.M)


def numbers(request: ModelRequest) -> list[int]:
    """The numbers of the findings that a double-check is asked about, as its prompt's headings say them."""
    return [int(number) for number in _NUMBERED.findall(request.prompt)]


def verdicts(
    verdict: str = "keep", evidence: str = "The code does what the finding says.", **more: Any
) -> Script:
    """The same verdict on every finding."""

    def script(request: ModelRequest) -> Answer:
        if request.tool_results:
            return Answer(text="That is all.")
        each = [
            {"finding": one, "verdict": verdict, "evidence": evidence, **more} for one in numbers(request)
        ]
        return Answer(tool_calls=(ToolCall(VERDICTS_TOOL, {"verdicts": each, "done": True}),))

    return script


def agreeing(request: ModelRequest) -> Answer:
    """Keeps every finding, and tells a change in a sentence."""
    if VERDICTS_TOOL in request.tool_names:
        outcome = verdicts()(request)
        assert isinstance(outcome, Answer)
        return outcome
    told = {
        "overview": "The change does what it says.",
        "areas": [],
        "risk": {"level": "low", "why": "It is small."},
        "done": True,
    }
    return Answer(tool_calls=(ToolCall(SUMMARY_TOOL, told),))


def sequence(steps: Sequence[Step]) -> Script:
    """The n-th step to the n-th request; the last one for all that follow."""
    return lambda request: _outcome(steps[min(request.number, len(steps)) - 1], request)


def turns(steps: Sequence[Step]) -> Script:
    """The step by the number of tool results in the conversation, so that parallel sessions do not mix."""
    return lambda request: _outcome(steps[min(len(request.tool_results), len(steps) - 1)], request)


def _outcome(step: Step, request: ModelRequest) -> Answer | Fault:
    return step if isinstance(step, (Answer, Fault)) else step(request)
