"""Asks a model one question: a session with only our tools, its turns, and their cost."""

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
from copilot.generated.rpc import PermissionDecisionReject
from copilot.session import PostToolUseFailureHookInput, PreToolUseHookInput, ProviderConfig
from copilot.session_events import (
    AssistantMessageData,
    AssistantTurnRetryData,
    AssistantTurnStartData,
    AssistantUsageData,
    SessionErrorData,
    SessionEvent,
    SessionIdleData,
)
from copilot.tools import Tool

from hunkwise.copilot.connection import SESSION_PREFIX, CopilotConnection, not_offered
from hunkwise.copilot.errors import SDK_ERRORS, fault, from_sdk, from_status
from hunkwise.copilot.tools import report_tool, repository_tools
from hunkwise.domain.model import Budget, Deadline, Question
from hunkwise.domain.pull_request import ReadableCode
from hunkwise.domain.review import Usage
from hunkwise.domain.text import encodable
from hunkwise.errors import ModelError, ModelKind
from hunkwise.telemetry import annotate, count, span

MAX_WORDS = 10_000
"""Characters that are kept of a message or an error's text: the CLI delivers up to 30 MB."""
_NO_ANSWER = "No response was returned"
"""In the CLI's message about an answer with no text and no tool call."""
_RATE_LIMITED = "The model's provider asks to wait: a rate limit was reached."
_TURN_ABORT_SECONDS = 0.1
"""Delay between the end of a turn and the answer to its last tool call: the abort reaches the CLI meanwhile."""


class Turn:
    """The turns of a session: calls, cost, last message, and outcome.

    The CLI has no budget. It calls a hook before each tool call, also of tools that do not exist, and continues
    when the hook returns: there the next model call is taken from the budget, or the turn ends.
    """

    def __init__(self, budget: Budget, *, provider: bool, report: str, impatient: bool = False) -> None:
        """`report` is the terminal tool's name; `impatient` ends the turn instead of waiting for a rate limit."""
        self._budget = budget
        self._report = report
        self._impatient = impatient
        self._provider = provider
        self._granted = 0
        self._started = 0
        self._filtered = False
        self.empty = False
        """The last answer had no text and no tool call."""
        self._usage = Usage()
        self.text = ""
        self.idle = True
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def grant(self) -> None:
        """Prepares for a message and takes its model call from the budget. Raises ModelError (BUDGET)."""
        if not self.another():
            raise self._budget_error()
        self.finished = asyncio.get_running_loop().create_future()
        self.empty = False

    def another(self) -> bool:
        """Returns whether one more model call is allowed; it is then taken from the budget, once."""
        if self._granted == self._started and self._budget.take_model_call():
            self._granted += 1
        return self._granted > self._started

    def close(self) -> Usage:
        """Returns the session's cost at its end, and gives back a call that was taken but never started."""
        self._budget.give_back(max(0, self._granted - self._started))
        self._granted = self._started
        return self._usage

    async def before_tool(self, call: PreToolUseHookInput, _context: object) -> None:
        """Hook that the CLI awaits before it runs a tool; without budget, it delays until the turn is aborted."""
        # The report tool ends the turn, or checks itself whether a retry is allowed.
        if call["toolName"] != self._report:
            self._usage += Usage(tool_calls=1)
            await self._check_budget()

    async def after_failure(self, _call: PostToolUseFailureHookInput, _context: object) -> None:
        """Does the same after a failed call, for example a report that is not JSON and did not reach our tool."""
        await self._check_budget()

    async def _check_budget(self) -> None:
        if not self.another():
            self._end(self._budget_error())
            # The caller that awaits the turn aborts it now; the CLI completes the abort only after this hook returns.
            await asyncio.sleep(_TURN_ABORT_SECONDS)

    def observe(self, event: SessionEvent) -> None:
        """Updates the state by an event of the session."""
        match event.data:
            case AssistantTurnStartData():
                self._start_call()
            case AssistantUsageData() as usage:
                self._add_usage(usage)
            case AssistantTurnRetryData(reason="rate_limit") if self._impatient:
                self._end(fault(ModelKind.RATE_LIMIT, _RATE_LIMITED, provider=self._provider))
            case AssistantMessageData() as message:
                self.empty = not message.content.strip() and not message.tool_requests
                self.text = message.content[:MAX_WORDS] or self.text
            case SessionErrorData(message=text) if self.empty and _NO_ANSWER in text:
                pass  # the turn ends when the session is idle
            case SessionErrorData() as error:
                self._end(from_status(error.status_code, error.message[:MAX_WORDS], provider=self._provider))
            case SessionIdleData():
                self.idle = True
                self._end(self._filter_error())
            case _:
                pass

    def deny(self, _request: object, _invocation: object) -> PermissionDecisionReject:
        """Denies every permission: no offered tool needs one."""
        if not self._budget.take_denial():
            message = "The model kept asking for what it may not do."
            self._end(fault(ModelKind.REFUSED, message, provider=self._provider))
        return PermissionDecisionReject(feedback="Denied: only the offered tools may be used.")

    def _start_call(self) -> None:
        self.idle = False
        if not self.another():
            # The CLI continues a truncated answer by itself, at most twice: it cannot be stopped before the call.
            self._end(self._budget_error())
        self._started += 1
        self._granted = max(self._granted, self._started)

    def _add_usage(self, usage: AssistantUsageData) -> None:
        self._filtered = bool(usage.content_filter_triggered) or usage.finish_reason == "content_filter"
        input_tokens, output_tokens = usage.input_tokens or 0, usage.output_tokens or 0
        charge = usage.copilot_usage.total_nano_aiu if usage.copilot_usage else 0
        nano_credits = _whole_number(charge)
        self._budget.spend(input_tokens + output_tokens, nano_credits)
        self._usage += Usage(
            model_calls=1,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached_tokens=usage.cache_read_tokens or 0,
            models=(usage.model,),
            nano_credits=nano_credits,
        )

    def _filter_error(self) -> ModelError | None:
        if not self._filtered:
            return None
        message = "A content filter blocked the model's answer."
        return fault(ModelKind.CONTENT_FILTER, message, provider=self._provider)

    def _budget_error(self) -> ModelError:
        return fault(ModelKind.BUDGET, f"The budget ran out: {self._budget.why}.", provider=self._provider)

    def _end(self, error: ModelError | None) -> None:
        if self.finished.done():
            return
        if error is None:
            self.finished.set_result(None)
        else:
            self.finished.set_exception(error)
            self.finished.exception()  # marks it as retrieved: asyncio does not log it as unhandled


def _whole_number(charge: float) -> int:
    """Rounds a charge in billionths of a credit to an integer; 0 for NaN, infinity and negative numbers."""
    return round(charge) if 0 < charge < 1e18 else 0


_QUESTION_SECONDS = 600.0
_ABORT_SECONDS = 2.0
_CREATE_SECONDS = 30.0
_AGAIN = "No answer arrived. Answer the message above, and report with the tool `{tool}`."
_NUDGE = (
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


class OneTimeSession:
    """Every question has a session of its own, which is deleted with its transcript."""

    async def open(self, connection: CopilotConnection, options: dict[str, Any]) -> CopilotSession:
        return await connection.client.create_session(session_id=f"{SESSION_PREFIX}{uuid.uuid4()}", **options)

    async def send(self, session: CopilotSession, prompt: str) -> None:
        await session.send(prompt)

    async def close(self, connection: CopilotConnection, session: CopilotSession) -> None:
        await connection.forget(session)


_ONE_TIME = OneTimeSession()


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
            raise not_offered((question.model,), offered)
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
                for message in (_AGAIN, _NUDGE):
                    if not report.answered() and turn.empty is (message is _AGAIN):
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
                raise fault(ModelKind.PROVIDER, message, provider=self._has_provider)
            text = " ".join(turn.text.split())[:200]
            message = f"The model did not call the tool `{report.name}`" + (
                f'; it said: "{text}"' if text else "."
            )
            raise fault(ModelKind.REFUSED, message, provider=self._has_provider)

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
            raise fault(ModelKind.TIMEOUT, f"{timeout_message} {within}.", provider=self._has_provider)
        except SDK_ERRORS as error:
            raise lost.result() if lost.done() else from_sdk(error, provider=self._has_provider) from error
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
