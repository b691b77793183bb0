"""The tools that a model is offered, as the SDK wants them: one to report with, three to read with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from copilot.tools import Tool, ToolInvocation, ToolResult

from hunkwise.domain.limits import Budget
from hunkwise.errors import ForgeError, RepositoryError
from hunkwise.prompts.answers import PARAMETERS, Reply

REPORT = "report_findings"
MAX_READ_LINES = 400
MAX_ANSWER = 32_000
"""Characters that a reading tool answers with at the most."""
_LINE_LIMIT = 1_000


class Repository(Protocol):
    """The code at the head SHA. Each call is bounded; None means that there is no such thing there."""

    def read(self, path: str) -> bytes | None: ...

    def search(self, pattern: str, paths: tuple[str, ...]) -> list[tuple[str, int, str]] | None: ...

    def list(self, path: str) -> tuple[str, ...] | None: ...


def report_tool(take: Callable[[object], Reply]) -> Tool:
    """The terminal tool: `take` sees each call's arguments as the model gave them."""

    async def handle(invocation: ToolInvocation) -> ToolResult:
        reply = take(invocation.arguments)
        return ToolResult(
            text_result_for_llm=reply.text, result_type="success" if reply.accepted else "failure"
        )

    return Tool(
        name=REPORT,
        description=(
            "Report what you found. The only way to be heard: text outside of it is not read. Each finding "
            "is checked against the diff at once, and you are told which were taken and why others were not."
        ),
        parameters=PARAMETERS,
        handler=handle,
        skip_permission=True,
        is_terminal=True,
    )


def repository_tools(repository: Repository, budget: Budget) -> list[Tool]:
    """`repo_read`, `repo_search` and `repo_list` over the repository at the head SHA."""

    def tool(name: str, description: str, properties: dict[str, Any], answer: _Answer) -> Tool:
        async def handle(invocation: ToolInvocation) -> ToolResult:
            if budget.exhausted or not budget.take_tool_call():
                # "rejected" ends the turn: another model call is not to be had.
                return ToolResult(text_result_for_llm="The budget is used up.", result_type="rejected")
            arguments = invocation.arguments if isinstance(invocation.arguments, dict) else {}
            try:
                text = await asyncio.to_thread(answer, repository, arguments)
            except (RepositoryError, ForgeError) as error:
                return ToolResult(text_result_for_llm=error.message, result_type="failure")
            return ToolResult(text_result_for_llm=text[:MAX_ANSWER])

        required = [key for key, schema in properties.items() if not schema.pop("optional", False)]
        parameters = {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }
        return Tool(
            name=name, description=description, parameters=parameters, handler=handle, skip_permission=True
        )

    return [
        tool(
            "repo_read",
            f"Read a file of the repository at the head of the change, {MAX_READ_LINES} lines a call.",
            {
                "path": {"type": "string"},
                "start_line": {"type": "integer", "minimum": 1, "optional": True},
                "end_line": {"type": "integer", "minimum": 1, "optional": True},
            },
            _read,
        ),
        tool(
            "repo_search",
            "Search the repository at the head of the change for a regular expression (POSIX extended).",
            {
                "pattern": {"type": "string"},
                "paths": {"type": "array", "items": {"type": "string"}, "optional": True},
            },
            _search,
        ),
        tool(
            "repo_list",
            "List a folder of the repository at the head of the change; folders end in a slash.",
            {"path": {"type": "string", "optional": True}},
            _list,
        ),
    ]


_Answer = Callable[[Repository, Mapping[str, Any]], str]


def confined(path: str) -> str | None:
    """A path inside of the repository, without a leading `./` or slash; None for one that could lead out of it."""
    path = path.removeprefix("./").strip("/")
    steps = path.split("/")
    return None if {"", ".", ".."} & set(steps) or not path.isprintable() else path


def _read(repository: Repository, arguments: Mapping[str, Any]) -> str:
    path = confined(str(arguments.get("path", "")))
    content = repository.read(path) if path else None
    if content is None:
        return f"There is no file {path!r} at the head."
    if b"\0" in content[:8_000]:
        return f"{path!r} is binary."
    lines = content.decode("utf-8", "replace").split("\n")
    first = _number(arguments.get("start_line"), 1)
    last = min(_number(arguments.get("end_line"), len(lines)), first + MAX_READ_LINES - 1, len(lines))
    if first > len(lines):
        return f"{path!r} has {len(lines)} lines."
    shown = [f"{number:>6} {lines[number - 1][:_LINE_LIMIT]}" for number in range(first, last + 1)]
    rest = f"\n({len(lines) - last} more lines: read on from {last + 1})" if last < len(lines) else ""
    text = "\n".join(shown)
    if len(text) > MAX_ANSWER - 200:
        return text[: MAX_ANSWER - 200] + "\n(cut here: ask for fewer lines)"
    return text + rest


def _search(repository: Repository, arguments: Mapping[str, Any]) -> str:
    pattern = arguments.get("pattern")
    if not isinstance(pattern, str) or not pattern or len(pattern) > 500:
        return "`pattern` must be a text of 1 to 500 characters."
    paths = arguments.get("paths") or []
    asked = [confined(str(path)) for path in paths[:20]] if isinstance(paths, list) else []
    wanted = tuple(path for path in asked if path)
    hits = repository.search(pattern, wanted)
    if hits is None:
        return "Searching is not possible here: use repo_list and repo_read."
    if not hits:
        return "Nothing matches."
    return "\n".join(f"{path}:{line}: {text[:_LINE_LIMIT]}" for path, line, text in hits)


def _list(repository: Repository, arguments: Mapping[str, Any]) -> str:
    asked = str(arguments.get("path") or "").removeprefix(".").strip("/")
    path = confined(asked) if asked else ""
    names = repository.list(path) if path is not None else None
    if names is None:
        return f"There is no folder {asked!r} at the head."
    rest = f"\n({len(names) - 500} more)" if len(names) > 500 else ""
    return "\n".join(names[:500]) + rest


def _number(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default
