"""One question to a model: a session of its own, our tools alone, one turn, and what it cost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from copilot import CopilotSession
from copilot.session import ProviderConfig
from copilot.tools import Tool

from hunkwise.copilot.connection import Connection, not_offered
from hunkwise.copilot.faults import SDK_ERRORS, fault, from_sdk
from hunkwise.copilot.tools import Repository, encodable, report_tool, repository_tools
from hunkwise.copilot.turn import Turn
from hunkwise.domain.limits import Deadline
from hunkwise.domain.outcome import Usage
from hunkwise.domain.question import Question
from hunkwise.errors import ModelKind

_QUESTION_SECONDS = 600.0
_ABORT_SECONDS = 2.0
_CREATE_SECONDS = 30.0
_NUDGE = (
    "You have not reported. Call the tool `{tool}` now, with all that you stand by and `done: true`; with an empty "
    "list if there is nothing. Text outside of the tool is not read."
)
# Else each session asks GitHub's MCP server for tools that it may not use: 50 ms a turn.
_NO_MCP_SERVERS = ["github-mcp-server", "githubiq"]


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Source:
    """Who answers: Copilot, or the user's own provider; the model's name comes with each question."""

    provider: ProviderConfig | None = field(default=None, repr=False)
    """None for Copilot."""
    offered: frozenset[str] | None = None
    """The models that Copilot has for this account; None where nobody lists them.

    The runtime silently answers with another model than one that it lacks, so it is never asked for one."""


class Copilot:
    """Asks questions over one connection, within the run's deadline and budget; sums what they cost."""

    def __init__(
        self, connection: Connection, source: Source, repository: Repository, deadline: Deadline
    ) -> None:
        self._connection = connection
        self._source = source
        self._repository = repository
        self._deadline = deadline
        self.spent: dict[str, Usage] = {}
        """What was asked for, by the question's purpose; together they are all that the CLI told."""

    @property
    def usage(self) -> Usage:
        """The sum over all purposes."""
        return sum(self.spent.values(), Usage())

    async def ask(self, question: Question) -> None:
        """Puts a question before a fresh session, until its tool says that it is answered.

        Raises ModelError, of kind REFUSED where the model was told twice and still did not report.
        """
        budget, report, offered = question.budget, question.tool, self._source.offered
        if offered is not None and question.model is not None and question.model not in offered:
            raise not_offered((question.model,), offered)
        turn = Turn(budget, provider=self._own, report=report.name, impatient=question.impatient)
        reading = repository_tools(self._repository, budget, question.reading)
        turn.grant()
        try:
            session = await self._create(question, [report_tool(report, turn.another), *reading], turn)
            try:
                await self._turn(session, turn, question.prompt)
                if not report.answered():
                    turn.grant()
                    await self._turn(session, turn, _NUDGE.format(tool=report.name))
            finally:
                await self._end(session, turn)
        finally:
            self.spent[question.purpose] = self.spent.get(question.purpose, Usage()) + turn.close()
        if not report.answered():
            said = " ".join(turn.text.split())[:200]
            message = "The model did not report its findings" + (f'; it said: "{said}"' if said else ".")
            raise fault(ModelKind.REFUSED, message, provider=self._own)

    @property
    def _own(self) -> bool:
        return self._source.provider is not None

    async def _create(self, question: Question, tools: Sequence[Tool], turn: Turn) -> CopilotSession:
        create = self._connection.client.create_session(
            model=question.model,
            provider=self._source.provider,
            tools=list(tools),
            available_tools=[f"custom:{tool.name}" for tool in tools],
            system_message={"mode": "replace", "content": encodable(question.system)},
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
