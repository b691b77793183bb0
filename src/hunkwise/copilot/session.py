"""Asks a model one question: a session with only our tools."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Collection, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from copilot import CopilotSession
from copilot.session import ProviderConfig
from copilot.tools import Tool

from hunkwise.copilot.connection import SESSION_PREFIX, CopilotConnection, not_offered_error
from hunkwise.copilot.errors import SDK_ERRORS, model_error, sdk_error
from hunkwise.copilot.tools import report_tool, repository_tools
from hunkwise.copilot.turn import Turn
from hunkwise.domain.model import Deadline, Question
from hunkwise.domain.pull_request import ReadableCode
from hunkwise.domain.review import Usage
from hunkwise.domain.text import encodable
from hunkwise.errors import ModelError, ModelKind
from hunkwise.telemetry import annotate, count, span

_QUESTION_SECONDS = 600.0
_ABORT_SECONDS = 2.0
_CREATE_SECONDS = 30.0
_REPEAT_REQUEST = "No answer arrived. Answer the message above, and report with the tool `{tool}`."
_REPORT_REQUEST = (
    "You have not reported. Call the tool `{tool}` now, with all that you stand by and `done: true`; with an empty "
    "list if there is nothing. Text outside of the tool is not read."
)
# Otherwise each session lists the tools of GitHub's MCP server, which it may not use: 50 ms per turn.
_NO_MCP_SERVERS = ["github-mcp-server", "githubiq"]
_MOST_SERVERS: Final = 3
"""How often a question is asked in all, if its server is lost each time."""
_T = TypeVar("_T")

logger = logging.getLogger(__name__)


class ConnectionSource(Protocol):
    """A connection, or a pool of servers; see `pool.ServerPool.lease`."""

    def lease(self, *, seconds: float = ...) -> AbstractAsyncContextManager[CopilotConnection]: ...


@dataclass(frozen=True, slots=True)
class ModelSource:
    """The source of answers: Copilot or the user's own provider. Each question names its model."""

    provider: ProviderConfig | None = field(default=None, repr=False)
    """None for Copilot."""
    offered: Collection[str] | None = None
    """The models that Copilot offers to this account; None if they are not listed.

    The runtime silently replaces a model that it lacks, so such a model is never requested."""
    github_token: str = field(default="", repr=False)
    """Of the user whose Copilot answers; empty for the token of the CLI itself, or a provider."""


class SessionPolicy(Protocol):
    """Decides which session a question is asked in, and what becomes of it."""

    async def open(self, connection: CopilotConnection, options: dict[str, Any]) -> CopilotSession:
        """Returns a session. `options`: for the SDK. Raises SDK_ERRORS."""
        ...

    async def send(self, session: CopilotSession, prompt: str) -> None:
        """Sends a message. Raises SDK_ERRORS."""
        ...

    async def close(self, connection: CopilotConnection, session: CopilotSession) -> None:
        """Disconnects the session. Raises SDK_ERRORS."""
        ...


class _OneTimeSession:
    """Every question has a session of its own, which is deleted with its transcript."""

    async def open(self, connection: CopilotConnection, options: dict[str, Any]) -> CopilotSession:
        return await connection.client.create_session(session_id=f"{SESSION_PREFIX}{uuid.uuid4()}", **options)

    async def send(self, session: CopilotSession, prompt: str) -> None:
        await session.send(prompt)

    async def close(self, connection: CopilotConnection, session: CopilotSession) -> None:
        await connection.forget(session)


_ONE_TIME = _OneTimeSession()


def _attributes(question: Question) -> dict[str, str]:
    model = {"gen_ai.request.model": question.model} if question.model else {}
    return {"hunkwise.purpose": question.purpose, **model}


def usage_numbers(usage: Usage) -> dict[str, float]:
    """Returns what is recorded of a question's cost, by the names of telemetry."""
    return {
        "model_calls": usage.model_calls,
        "tool_calls": usage.tool_calls,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "credits": usage.credits,
    }


def _record_usage(purpose: str, usage: Usage) -> None:
    numbers = usage_numbers(usage)
    for name, number in numbers.items():
        count(name, number, {"hunkwise.purpose": purpose})
    annotate({f"hunkwise.{name}": number for name, number in numbers.items()})


class Copilot:
    """Asks questions, within the run's deadline and budget, and sums up their cost."""

    def __init__(
        self,
        connections: ConnectionSource,
        source: ModelSource,
        code: ReadableCode,
        deadline: Deadline,
        sessions: SessionPolicy = _ONE_TIME,
    ) -> None:
        self._connections = connections
        self._sessions = sessions
        self._source = source
        self._code = code
        self._deadline = deadline
        self.spent: dict[str, Usage] = {}
        """The usage by the question's purpose; their sum is all usage that the CLI reported."""

    @property
    def usage(self) -> Usage:
        """The sum over all purposes."""
        return sum(self.spent.values(), Usage())

    async def ask(self, question: Question) -> None:
        """Asks the question in a session, until its tool reports that it is answered.

        If the server is lost meanwhile, it is asked again on another one; what was reported stays. Raises ModelError,
        of kind REFUSED if the model did not report after a second request.
        """
        offered = self._source.offered
        if offered is not None and question.model is not None and question.model not in offered:
            raise not_offered_error((question.model,), offered)
        for attempt in range(1, _MOST_SERVERS + 1):
            try:
                async with self._connections.lease(seconds=self._deadline.remaining) as connection:
                    with span("question", _attributes(question)):  # the CLI's own spans are below it
                        await self._ask_once(connection, question)
                return
            except ModelError as error:
                if error.kind is not ModelKind.SIDECAR or attempt == _MOST_SERVERS:
                    raise
                if question.tool.answered():
                    return
                logger.info("A question is asked again, as its Copilot CLI was lost.")

    async def _ask_once(self, connection: CopilotConnection, question: Question) -> None:
        budget, report = question.budget, question.tool
        turn = Turn(budget, provider=self._has_provider, report=report.name, impatient=question.impatient)
        reading_tools = repository_tools(self._code, budget, question.reading)
        turn.grant()
        try:
            session = await self._create_session(
                connection, question, [report_tool(report, turn.another), *reading_tools], turn
            )
            try:
                await self._run_turn(connection, session, turn, question.prompt)
                for message in (_REPEAT_REQUEST, _REPORT_REQUEST):
                    if not report.answered() and turn.empty is (message is _REPEAT_REQUEST):
                        turn.grant()
                        await self._run_turn(connection, session, turn, message.format(tool=report.name))
            finally:
                await self._end_session(connection, session, turn)
        finally:
            usage = turn.close()
            _record_usage(question.purpose, usage)
            self.spent[question.purpose] = self.spent.get(question.purpose, Usage()) + usage
        if not report.answered():
            if turn.empty:
                message = (
                    "The model answered without text and without a tool call, also when it was asked again."
                )
                raise model_error(ModelKind.PROVIDER, message, provider=self._has_provider)
            text = " ".join(turn.text.split())[:200]
            message = f"The model did not call the tool `{report.name}`" + (
                f'; it said: "{text}"' if text else "."
            )
            raise model_error(ModelKind.REFUSED, message, provider=self._has_provider)

    @property
    def _has_provider(self) -> bool:
        return self._source.provider is not None

    async def _create_session(
        self, connection: CopilotConnection, question: Question, tools: Sequence[Tool], turn: Turn
    ) -> CopilotSession:
        options = {
            "model": question.model,
            "provider": self._source.provider,
            "github_token": self._source.github_token or None,
            "tools": list(tools),
            "available_tools": [f"custom:{tool.name}" for tool in tools],
            "system_message": {"mode": "replace", "content": encodable(question.system)},
            "on_permission_request": turn.deny,
            "hooks": {"on_pre_tool_use": turn.before_tool, "on_post_tool_use_failure": turn.after_failure},
            "on_event": turn.observe,
            "infinite_sessions": {"enabled": False},
            # Or the CLI replaces an answer of our tools above 20 KB by a file's name.
            "large_output": {"enabled": False},
            "disabled_mcp_servers": _NO_MCP_SERVERS,
            "streaming": False,
        }
        create = self._sessions.open(connection, options)
        message = "The Copilot CLI did not open a session"
        return await self._wait_for(connection, create, _CREATE_SECONDS, message)

    async def _run_turn(
        self, connection: CopilotConnection, session: CopilotSession, turn: Turn, prompt: str
    ) -> None:
        async def until_idle() -> None:
            await self._sessions.send(session, encodable(prompt))
            await turn.finished

        await self._wait_for(connection, until_idle(), _QUESTION_SECONDS, "The model did not answer")

    async def _wait_for(
        self,
        connection: CopilotConnection,
        work: Coroutine[Any, Any, _T],
        limit: float,
        timeout_message: str,
    ) -> _T:
        """Waits for `work`, the loss of the connection, `limit` seconds or the deadline: whichever is first."""
        task = asyncio.ensure_future(work)
        lost = connection.lost
        futures: set[asyncio.Future[Any]] = {task, lost}
        remaining = self._deadline.remaining
        try:
            await asyncio.wait(futures, timeout=min(limit, remaining), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if lost.done():
                raise lost.result()
            within = f"within {limit:.0f} seconds" if limit < remaining else "before the run's deadline"
            raise model_error(ModelKind.TIMEOUT, f"{timeout_message} {within}.", provider=self._has_provider)
        except SDK_ERRORS as error:
            raise lost.result() if lost.done() else sdk_error(error, provider=self._has_provider) from error
        finally:
            task.cancel()

    async def _end_session(self, connection: CopilotConnection, session: CopilotSession, turn: Turn) -> None:
        """Aborts a running turn, which the SDK does not do on a timeout, and disconnects the session."""
        if connection.lost.done():
            return
        with contextlib.suppress(TimeoutError, *SDK_ERRORS):
            async with asyncio.timeout(_ABORT_SECONDS):
                if not turn.idle:
                    await session.abort()
                await self._sessions.close(connection, session)
