"""One question to a model: a session of its own, our tools alone, one turn, and what it cost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from copilot import CopilotSession
from copilot.session import ProviderConfig
from copilot.tools import Tool

from hunkwise.copilot.connection import Connection
from hunkwise.copilot.faults import SDK_ERRORS, fault, from_sdk
from hunkwise.copilot.tools import Repository, encodable, report_tool, repository_tools
from hunkwise.copilot.turn import Turn
from hunkwise.domain.limits import Budget, Deadline
from hunkwise.domain.outcome import Usage
from hunkwise.errors import ModelKind
from hunkwise.prompts.answers import Reply

_QUESTION_SECONDS = 600.0
_ABORT_SECONDS = 2.0
_CREATE_SECONDS = 30.0
_NUDGE = (
    "You have not reported. Call the tool `report_findings` now, with every finding that you stand by and "
    "`done: true`; with an empty list if there is none. Text outside of the tool is not read."
)
# Else each session asks GitHub's MCP server for tools that it may not use: 50 ms a turn.
_NO_MCP_SERVERS = ["github-mcp-server", "githubiq"]


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Model:
    """Who answers: a model of Copilot's by id (None: Copilot's choice), or one of the user's own provider."""

    name: str | None = None
    provider: ProviderConfig | None = field(default=None, repr=False)
    """None for Copilot."""


class Copilot:
    """Asks questions over one connection, within the run's deadline and budget; sums what they cost."""

    def __init__(
        self, connection: Connection, model: Model, repository: Repository, budget: Budget, deadline: Deadline
    ) -> None:
        self._connection = connection
        self._model = model
        self._repository = repository
        self._budget = budget
        self._deadline = deadline
        self.usage = Usage()

    async def ask(
        self, system: str, prompt: str, take: Callable[[object], Reply], answered: Callable[[], bool]
    ) -> None:
        """Puts one prompt before a fresh session, whose reports go to `take`, until `answered` is true.

        Raises ModelError, of kind REFUSED where the model was told twice and still did not report.
        """
        turn = Turn(self._budget, provider=self._own)
        tools = [report_tool(take, turn.another), *repository_tools(self._repository, self._budget)]
        turn.grant()
        try:
            session = await self._create(system, tools, turn)
            try:
                await self._turn(session, turn, prompt)
                if not answered():
                    turn.grant()
                    await self._turn(session, turn, _NUDGE)
            finally:
                await self._end(session, turn)
        finally:
            self.usage += turn.close()
        if not answered():
            said = " ".join(turn.text.split())[:200]
            message = "The model did not report its findings" + (f'; it said: "{said}"' if said else ".")
            raise fault(ModelKind.REFUSED, message, provider=self._own)

    @property
    def _own(self) -> bool:
        return self._model.provider is not None

    async def _create(self, system: str, tools: Sequence[Tool], turn: Turn) -> CopilotSession:
        create = self._connection.client.create_session(
            model=self._model.name,
            provider=self._model.provider,
            tools=list(tools),
            available_tools=[f"custom:{tool.name}" for tool in tools],
            system_message={"mode": "replace", "content": encodable(system)},
            on_permission_request=turn.deny,
            hooks={"on_pre_tool_use": turn.before_tool, "on_post_tool_use_failure": turn.after_failure},
            on_event=turn.observe,
            infinite_sessions={"enabled": False},
            disabled_mcp_servers=_NO_MCP_SERVERS,
            streaming=False,
        )
        return await self._guarded(create, _CREATE_SECONDS, "The Copilot CLI did not open a session")

    async def _turn(self, session: CopilotSession, turn: Turn, prompt: str) -> None:
        async def until_idle() -> None:
            await session.send(encodable(prompt))
            await turn.finished

        await self._guarded(until_idle(), _QUESTION_SECONDS, "The model did not answer")

    async def _guarded(self, work: Coroutine[Any, Any, _T], most: float, late: str) -> _T:
        """Waits for `work`, the loss of the connection, `most` seconds or the deadline: whichever is first."""
        task = asyncio.ensure_future(work)
        lost = self._connection.lost
        either: set[asyncio.Future[Any]] = {task, lost}
        left = self._deadline.remaining
        try:
            await asyncio.wait(either, timeout=min(most, left), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if lost.done():
                raise lost.result()
            within = f"within {most:.0f} seconds" if most < left else "before the run's deadline"
            raise fault(ModelKind.TIMEOUT, f"{late} {within}.", provider=self._own)
        except SDK_ERRORS as error:
            raise lost.result() if lost.done() else from_sdk(error, provider=self._own) from error
        finally:
            task.cancel()

    async def _end(self, session: CopilotSession, turn: Turn) -> None:
        """Cancels what still runs, which the SDK does not do on a timeout, and lets the session go."""
        if self._connection.lost.done():
            return
        with contextlib.suppress(TimeoutError, *SDK_ERRORS):
            async with asyncio.timeout(_ABORT_SECONDS):
                if not turn.idle:
                    await session.abort()
                await self._connection.forget(session)
