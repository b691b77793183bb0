"""The tools for the model, as SDK objects: one to report, three to read the repository."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from copilot.tools import Tool, ToolInvocation, ToolResult

from hunkwise.domain.model import Budget, ReportTool
from hunkwise.domain.pull_request import SearchableCommit
from hunkwise.domain.text import encodable, visible
from hunkwise.errors import GitHubError, RepositoryError

MAX_READ_LINES = 400
MAX_ANSWER = 32_000
"""Characters in the result of a reading tool, at most."""
MAX_NAMES = 500
_LINE_LIMIT = 1_000
_MAX_PATHS = 20
_MAX_DEPTH = 10
"""Levels of lists and objects in a tool's arguments; three are used. Python's recursion ends at about 500."""
# Not asyncio's own threads: the SDK writes through them, and a slow search must not block its writes.
_READERS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="repository")


def report_tool(report: ReportTool, another: Callable[[], bool]) -> Tool:
    """Returns the terminal tool. `report` receives the arguments of each call as the model sent them.

    `another`: returns whether the model may retry a rejected call; otherwise the turn ends.
    """

    async def handle(invocation: ToolInvocation) -> ToolResult:
        reply = report.take(_make_encodable(invocation.arguments))
        refusal: Literal["failure", "rejected"] = "rejected"
        if not reply.accepted and another():
            refusal = "failure"
        return ToolResult(
            text_result_for_llm=encodable(reply.text), result_type="success" if reply.accepted else refusal
        )

    return Tool(
        name=report.name,
        description=report.description,
        parameters=dict(report.parameters),
        handler=handle,
        skip_permission=True,
        is_terminal=True,
    )


def _make_encodable(value: Any, depth: int = 0) -> Any:
    """Returns the JSON value with encodable texts: output of a model is written to files and sent.

    Values that are nested deeper than any tool needs become null.
    """
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, list | dict) and depth == _MAX_DEPTH:
        return None
    if isinstance(value, list):
        return [_make_encodable(member, depth + 1) for member in value]
    if isinstance(value, dict):
        return {encodable(key): _make_encodable(member, depth + 1) for key, member in value.items()}
    return value


def repository_tools(repository: SearchableCommit, budget: Budget, offered: Collection[str]) -> list[Tool]:
    """Returns the tools `repo_read`, `repo_search` and `repo_list`, as far as `offered` names them."""
    return [_tool(reading, repository, budget) for reading in _READING_TOOLS if reading.name in offered]


@dataclass(frozen=True, slots=True)
class _ReadingTool:
    """A reading tool: its description for the model, and the function that answers a call."""

    name: str
    description: str
    properties: Mapping[str, Any]
    required: tuple[str, ...]
    answer: Callable[[SearchableCommit, Mapping[str, Any]], str]


def _tool(reading: _ReadingTool, repository: SearchableCommit, budget: Budget) -> Tool:
    async def handle(invocation: ToolInvocation) -> ToolResult:
        if not budget.take_tool_call():
            # "rejected" ends the turn; the model is then asked to report.
            return ToolResult(text_result_for_llm="The budget is used up.", result_type="rejected")
        value = _make_encodable(invocation.arguments)
        arguments = value if isinstance(value, dict) else {}
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
    """Returns the path without leading and trailing slashes; None if it could lead out of the repository.

    The repository's root, also as `.` and `/`, is the empty string.
    """
    steps = [step for step in path.split("/") if step not in ("", ".")]
    has_control = any(unicodedata.category(character) in ("Cc", "Cs") for character in path)
    return None if ".." in steps or has_control else "/".join(steps)


def _read(repository: SearchableCommit, arguments: Mapping[str, Any]) -> str:
    requested = str(arguments.get("path", ""))
    path = confined(requested)
    content = repository.read(path) if path else None
    if content is None:
        return f"There is no file {requested[:_LINE_LIMIT]!r} at the head, or it is too large."
    if b"\0" in content[:8_000]:
        return f"{path!r} is binary."
    lines = content.decode("utf-8", "replace").removesuffix("\n").split("\n") if content else []
    first = _number(arguments.get("start_line"), 1)
    requested_last = _number(arguments.get("end_line"), len(lines))
    if not lines or first > len(lines):
        return f"{path!r} has {len(lines)} lines."
    if requested_last < first:
        return f"`end_line` {requested_last} is before `start_line` {first}."
    return _numbered(lines, first, min(requested_last, first + MAX_READ_LINES - 1, len(lines)))


def _numbered(lines: Sequence[str], first: int, last: int) -> str:
    """Returns lines first..last with their numbers, as many as a result can hold, and where to continue."""
    rows: list[str] = []
    size = 0
    for number in range(first, last + 1):
        row = f"{number:>6} {_cut(lines[number - 1])}"
        size += len(row) + 1
        if size > MAX_ANSWER - 200:
            break
        rows.append(row)
    end = first + len(rows) - 1
    if end < len(lines):
        rows.append(f"({len(lines) - end} more lines: read on from {end + 1})")
    return "\n".join(rows)


def _search(repository: SearchableCommit, arguments: Mapping[str, Any]) -> str:
    pattern = arguments.get("pattern")
    if not isinstance(pattern, str) or not 0 < len(pattern) <= 500 or "\0" in pattern or "\n" in pattern:
        return "`pattern` must be one line of 1 to 500 characters."
    paths = arguments.get("paths") or []
    requested = [confined(str(path)) for path in paths[:_MAX_PATHS]] if isinstance(paths, list) else []
    valid = tuple(path for path in requested if path)
    if requested and not valid and "" not in requested:
        return "None of these `paths` is in the repository."
    hits = repository.search(pattern, () if "" in requested else valid)
    if hits is None:
        return "Searching is not possible here: use repo_list and repo_read."
    if not hits:
        return "Nothing matches."
    return "\n".join(f"{visible(path)}:{line}: {_cut(text)}" for path, line, text in hits)


def _list(repository: SearchableCommit, arguments: Mapping[str, Any]) -> str:
    requested = str(arguments.get("path") or "")
    path = confined(requested)
    names = repository.list(path) if path is not None else None
    if names is None:
        return f"There is no folder {requested[:_LINE_LIMIT]!r} at the head."
    rest = f"\n({len(names) - MAX_NAMES} more)" if len(names) > MAX_NAMES else ""
    return "\n".join(map(visible, names[:MAX_NAMES])) + rest


def _cut(line: str) -> str:
    """Shortens a line and escapes characters that hide or reorder text, as in a prompt."""
    text = visible(line[:_LINE_LIMIT].removesuffix("\r"))
    return text if len(line) <= _LINE_LIMIT else text + " (cut)"


def _number(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default


_LINE = {"type": "integer", "minimum": 1}
_READING_TOOLS = (
    _ReadingTool(
        "repo_read",
        f"Read a file of the repository at the head of the change, {MAX_READ_LINES} lines a call.",
        {"path": {"type": "string"}, "start_line": _LINE, "end_line": _LINE},
        ("path",),
        _read,
    ),
    _ReadingTool(
        "repo_search",
        "Search the repository at the head of the change for a regular expression (POSIX extended).",
        {"pattern": {"type": "string"}, "paths": {"type": "array", "items": {"type": "string"}}},
        ("pattern",),
        _search,
    ),
    _ReadingTool(
        "repo_list",
        "List a folder of the repository at the head of the change; folders end in a slash.",
        {"path": {"type": "string"}},
        (),
        _list,
    ),
)
