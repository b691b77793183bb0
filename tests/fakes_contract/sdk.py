"""Sends one prompt to the real CLI through the real SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from copilot import CopilotClient, RuntimeConnection
from copilot.session_events import AssistantMessageData, SessionEvent
from copilot.tools import Tool, ToolInvocation, ToolResult

from tests.fakes.model_script import REPORT_TOOL
from tests.fakes_contract.cli import RealCli

_SCHEMA = {
    "type": "object",
    "properties": {
        "findings": {"type": "array", "items": {"type": "object"}},
        "summary": {"type": "string"},
        "done": {"type": "boolean"},
    },
    "required": ["findings", "done"],
}


@dataclass
class Asked:
    """The result of one prompt."""

    reported: list[Any] = field(default_factory=list)
    """The arguments of each call of the reporting tool."""
    text: str = ""
    events: list[SessionEvent] = field(default_factory=list)


@asynccontextmanager
async def connected(cli: RealCli) -> AsyncIterator[CopilotClient]:
    """Yields a client in empty mode."""
    address = RuntimeConnection.for_uri(f"localhost:{cli.port}", connection_token=cli.token)
    client = CopilotClient(connection=address, mode="empty")
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


async def ask(
    client: CopilotClient,
    *,
    model: str | None,
    provider: Mapping[str, Any] | None = None,
    streaming: bool = False,
    declined: int = 0,
    seconds: float = 20,
    github_token: str | None = None,
) -> Asked:
    """Asks for a report; the first `declined` calls of the tool are rejected."""
    asked = Asked()

    async def take(invocation: ToolInvocation) -> ToolResult:
        asked.reported.append(invocation.arguments)
        if len(asked.reported) <= declined:
            return ToolResult(text_result_for_llm="line 7 is not in the diff", result_type="failure")
        return ToolResult(text_result_for_llm="taken", result_type="success")

    tool = Tool(
        name=REPORT_TOOL,
        description="Reports findings.",
        parameters=_SCHEMA,
        handler=take,
        skip_permission=True,
        is_terminal=True,
    )
    session = await client.create_session(
        model=model,
        provider=dict(provider) if provider else None,  # type: ignore[arg-type]  # a TypedDict by its keys
        tools=[tool],
        available_tools=[f"custom:{REPORT_TOOL}"],
        streaming=streaming,
        github_token=github_token,
        system_message={"mode": "replace", "content": "You review."},
        disabled_mcp_servers=["github-mcp-server", "githubiq"],
    )
    session.on(asked.events.append)
    answer = await session.send_and_wait("Review this.", timeout=seconds)
    if answer is not None and isinstance(answer.data, AssistantMessageData):
        asked.text = answer.data.content
    return asked
