"""The tools that a model is offered, as the SDK wants them: one to report with, three to read with."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from copilot.tools import Tool, ToolInvocation, ToolResult

from hunkwise.domain.model import Budget, ReportTool
from hunkwise.domain.text import visible
from hunkwise.errors import GitHubError, RepositoryError

MAX_READ_LINES = 400
MAX_ANSWER = 32_000
"""Characters that a reading tool answers with at the most."""
MAX_NAMES = 500
_LINE_LIMIT = 1_000
_MAX_PATHS = 20
_MAX_DEPTH = 10
"""Levels of lists and objects in a tool's arguments; three are read. Python gives up at some five hundred."""
# Not asyncio's own threads: the SDK writes through those, and a slow search must not keep it from writing.
_READERS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="repository")


class ToolRepository(Protocol):
    """The code at the head SHA. Each call is bounded; None means that there is no such thing there."""

    def read(self, path: str) -> bytes | None: ...

    def search(self, pattern: str, paths: tuple[str, ...]) -> list[tuple[str, int, str]] | None: ...

    def list(self, path: str) -> tuple[str, ...] | None: ...


def encodable(text: str) -> str:
    """The text without lone surrogates, which would hang the session to its timeout."""
    return text.encode("utf-8", "replace").decode("utf-8")


def report_tool(report: ReportTool, another: Callable[[], bool]) -> Tool:
    """The terminal tool: whoever stands behind it sees each call's arguments as the model gave them.

    `another`: whether the model may be asked once more, to mend its call; else the turn ends there.
    """

    async def handle(invocation: ToolInvocation) -> ToolResult:
        reply = report.take(_encodable_in(invocation.arguments))
        refused: Literal["failure", "rejected"] = "rejected"
        if not reply.accepted and another():
            refused = "failure"
        return ToolResult(
            text_result_for_llm=encodable(reply.text), result_type="success" if reply.accepted else refused
        )

    return Tool(
        name=report.name,
        description=report.description,
        parameters=dict(report.parameters),
        handler=handle,
        skip_permission=True,
        is_terminal=True,
    )


def _encodable_in(value: Any, depth: int = 0) -> Any:
    """The same JSON value with encodable texts: what a model says is written to files and sent on.

    Null stands for what is nested deeper than any tool reads.
    """
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, list | dict) and depth == _MAX_DEPTH:
        return None
    if isinstance(value, list):
        return [_encodable_in(member, depth + 1) for member in value]
    if isinstance(value, dict):
        return {encodable(key): _encodable_in(member, depth + 1) for key, member in value.items()}
    return value


def repository_tools(repository: ToolRepository, budget: Budget, offered: Collection[str]) -> list[Tool]:
    """Those of `repo_read`, `repo_search` and `repo_list` that are offered, over the repository at the head SHA."""
    return [_tool(reading, repository, budget) for reading in _READINGS if reading.name in offered]


@dataclass(frozen=True, slots=True)
class _Reading:
    """One of the reading tools: what the model is told of it, and the function that answers."""

    name: str
    description: str
    properties: Mapping[str, Any]
    required: tuple[str, ...]
    answer: Callable[[ToolRepository, Mapping[str, Any]], str]


def _tool(reading: _Reading, repository: ToolRepository, budget: Budget) -> Tool:
    async def handle(invocation: ToolInvocation) -> ToolResult:
        if not budget.take_tool_call():
            # "rejected" ends the turn; the model is then told to report.
            return ToolResult(text_result_for_llm="The budget is used up.", result_type="rejected")
        given = _encodable_in(invocation.arguments)
        arguments = given if isinstance(given, dict) else {}
        loop = asyncio.get_running_loop()
        try:
            text = await loop.run_in_executor(_READERS, reading.answer, repository, arguments)
        except (RepositoryError, GitHubError) as error:
            return ToolResult(text_result_for_llm=encodable(error.message), result_type="failure")
        return ToolResult(text_result_for_llm=encodable(text)[:MAX_ANSWER])

    parameters = {
        "type": "object",
        "properties": dict(reading.properties),
        "required": list(reading.required),
        "additionalProperties": False,
    }
    return Tool(reading.name, reading.description, handle, parameters, skip_permission=True)


def confined(path: str) -> str | None:
    """A path inside of the repository, without slashes around it; None for one that could lead out of it.

    The repository itself is the empty text, also as `.` and `/`.
    """
    steps = [step for step in path.split("/") if step not in ("", ".")]
    strange = any(unicodedata.category(character) in ("Cc", "Cs") for character in path)
    return None if ".." in steps or strange else "/".join(steps)


def _read(repository: ToolRepository, arguments: Mapping[str, Any]) -> str:
    asked = str(arguments.get("path", ""))
    path = confined(asked)
    content = repository.read(path) if path else None
    if content is None:
        return f"There is no file {asked[:_LINE_LIMIT]!r} at the head, or it is too large."
    if b"\0" in content[:8_000]:
        return f"{path!r} is binary."
    lines = content.decode("utf-8", "replace").removesuffix("\n").split("\n") if content else []
    first = _number(arguments.get("start_line"), 1)
    asked_last = _number(arguments.get("end_line"), len(lines))
    if not lines or first > len(lines):
        return f"{path!r} has {len(lines)} lines."
    if asked_last < first:
        return f"`end_line` {asked_last} is before `start_line` {first}."
    return _numbered(lines, first, min(asked_last, first + MAX_READ_LINES - 1, len(lines)))


def _numbered(lines: Sequence[str], first: int, last: int) -> str:
    """The lines first..last with their numbers, as many as an answer holds, and where to read on."""
    shown: list[str] = []
    size = 0
    for number in range(first, last + 1):
        row = f"{number:>6} {_cut(lines[number - 1])}"
        size += len(row) + 1
        if size > MAX_ANSWER - 200:
            break
        shown.append(row)
    end = first + len(shown) - 1
    if end < len(lines):
        shown.append(f"({len(lines) - end} more lines: read on from {end + 1})")
    return "\n".join(shown)


def _search(repository: ToolRepository, arguments: Mapping[str, Any]) -> str:
    pattern = arguments.get("pattern")
    if not isinstance(pattern, str) or not 0 < len(pattern) <= 500 or "\0" in pattern or "\n" in pattern:
        return "`pattern` must be one line of 1 to 500 characters."
    paths = arguments.get("paths") or []
    asked = [confined(str(path)) for path in paths[:_MAX_PATHS]] if isinstance(paths, list) else []
    wanted = tuple(path for path in asked if path)
    if asked and not wanted and "" not in asked:
        return "None of these `paths` is in the repository."
    hits = repository.search(pattern, () if "" in asked else wanted)
    if hits is None:
        return "Searching is not possible here: use repo_list and repo_read."
    if not hits:
        return "Nothing matches."
    return "\n".join(f"{visible(path)}:{line}: {_cut(text)}" for path, line, text in hits)


def _list(repository: ToolRepository, arguments: Mapping[str, Any]) -> str:
    asked = str(arguments.get("path") or "")
    path = confined(asked)
    names = repository.list(path) if path is not None else None
    if names is None:
        return f"There is no folder {asked[:_LINE_LIMIT]!r} at the head."
    rest = f"\n({len(names) - MAX_NAMES} more)" if len(names) > MAX_NAMES else ""
    return "\n".join(map(visible, names[:MAX_NAMES])) + rest


def _cut(line: str) -> str:
    """The line as a prompt shows it, too: what hides or re-orders text is written out."""
    shown = visible(line[:_LINE_LIMIT].removesuffix("\r"))
    return shown if len(line) <= _LINE_LIMIT else shown + " (cut)"


def _number(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default


_LINE = {"type": "integer", "minimum": 1}
_READINGS = (
    _Reading(
        "repo_read",
        f"Read a file of the repository at the head of the change, {MAX_READ_LINES} lines a call.",
        {"path": {"type": "string"}, "start_line": _LINE, "end_line": _LINE},
        ("path",),
        _read,
    ),
    _Reading(
        "repo_search",
        "Search the repository at the head of the change for a regular expression (POSIX extended).",
        {"pattern": {"type": "string"}, "paths": {"type": "array", "items": {"type": "string"}}},
        ("pattern",),
        _search,
    ),
    _Reading(
        "repo_list",
        "List a folder of the repository at the head of the change; folders end in a slash.",
        {"path": {"type": "string"}},
        (),
        _list,
    ),
)
