"""One question to a model: a session with our tools alone, one turn, and what it cost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

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

from hunkwise.copilot.connection import CopilotConnection, not_offered
from hunkwise.copilot.errors import SDK_ERRORS, fault, from_sdk, from_status
from hunkwise.copilot.tools import ToolRepository, encodable, report_tool, repository_tools
from hunkwise.domain.model import Budget, Deadline, Question
from hunkwise.domain.review import Usage
from hunkwise.errors import ModelError, ModelKind

MAX_WORDS = 10_000
"""Characters that are kept of a message, or of an error's words: the CLI delivers 30 MB whole."""
_TOO_MANY = "The model's provider asks to wait: a rate limit was reached."
_TURN_ABORT_SECONDS = 0.1
"""Between the end of a turn and the answer to its last tool call: the abort is with the CLI by then."""


class Turn:
    """A session's turns: its calls, its cost, its last words, and how it ended.

    The CLI has no budget of its own. It asks before each tool call, of tools that do not exist too, and goes
    on when it is answered: there the model call that would follow is taken from the budget, or the turn ends.
    """

    def __init__(self, budget: Budget, *, provider: bool, report: str, impatient: bool = False) -> None:
        """`report` is the terminal tool's name; `impatient` ends the turn where the CLI would wait out a rate limit."""
        self._budget = budget
        self._report = report
        self._impatient = impatient
        self._provider = provider
        self._granted = 0
        self._begun = 0
        self._filtered = False
        self._usage = Usage()
        self.text = ""
        self.idle = True
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def grant(self) -> None:
        """Makes ready for a message, whose model call is taken from the budget. Raises ModelError (BUDGET)."""
        if not self.another():
            raise self._over_budget()
        self.finished = asyncio.get_running_loop().create_future()

    def another(self) -> bool:
        """Whether one more model call may follow; it is then taken from the budget, once."""
        if self._granted == self._begun and self._budget.take_model_call():
            self._granted += 1
        return self._granted > self._begun

    def close(self) -> Usage:
        """What the session cost, at its end; a call that was taken and never begun is given back."""
        self._budget.give_back(max(0, self._granted - self._begun))
        self._granted = self._begun
        return self._usage

    async def before_tool(self, call: PreToolUseHookInput, _context: object) -> None:
        """The CLI waits for this before it runs a tool; without budget, until it was told to abort."""
        if call["toolName"] != self._report:  # which ends the turn, or asks itself whether it may be mended
            self._usage += Usage(tool_calls=1)
            await self._gate()

    async def after_failure(self, _call: PostToolUseFailureHookInput, _context: object) -> None:
        """The same behind a call that failed, such as a report that is no JSON and never came here."""
        await self._gate()

    async def _gate(self) -> None:
        if not self.another():
            self._end(self._over_budget())
            # Whoever waits for the turn aborts it now; but the CLI ends an abort only after this answer.
            await asyncio.sleep(_TURN_ABORT_SECONDS)

    def observe(self, event: SessionEvent) -> None:
        match event.data:
            case AssistantTurnStartData():
                self._begin_call()
            case AssistantUsageData() as usage:
                self._count(usage)
            case AssistantTurnRetryData(reason="rate_limit") if self._impatient:
                self._end(fault(ModelKind.RATE_LIMIT, _TOO_MANY, provider=self._provider))
            case AssistantMessageData() as message:
                self.text = message.content[:MAX_WORDS] or self.text
            case SessionErrorData() as error:
                self._end(from_status(error.status_code, error.message[:MAX_WORDS], provider=self._provider))
            case SessionIdleData():
                self.idle = True
                self._end(self._silence())
            case _:
                pass

    def deny(self, _request: object, _invocation: object) -> PermissionDecisionReject:
        """Nothing that needs a permission is offered, so whatever asks for one is refused."""
        if not self._budget.take_denial():
            message = "The model kept asking for what it may not do."
            self._end(fault(ModelKind.REFUSED, message, provider=self._provider))
        return PermissionDecisionReject(feedback="Denied: only the offered tools may be used.")

    def _begin_call(self) -> None:
        self.idle = False
        if not self.another():
            # It asks on by itself, at most twice, where an answer was cut off: that is seen too late.
            self._end(self._over_budget())
        self._begun += 1
        self._granted = max(self._granted, self._begun)

    def _count(self, usage: AssistantUsageData) -> None:
        self._filtered = bool(usage.content_filter_triggered) or usage.finish_reason == "content_filter"
        read, written = usage.input_tokens or 0, usage.output_tokens or 0
        charged = usage.copilot_usage.total_nano_aiu if usage.copilot_usage else 0
        nano_credits = _whole(charged)
        self._budget.spend(read + written, nano_credits)
        self._usage += Usage(
            model_calls=1,
            input_tokens=read,
            output_tokens=written,
            cached_tokens=usage.cache_read_tokens or 0,
            models=(usage.model,),
            nano_credits=nano_credits,
        )

    def _silence(self) -> ModelError | None:
        if not self._filtered:
            return None
        message = "A content filter blocked the model's answer."
        return fault(ModelKind.CONTENT_FILTER, message, provider=self._provider)

    def _over_budget(self) -> ModelError:
        return fault(ModelKind.BUDGET, f"The budget ran out: {self._budget.why}.", provider=self._provider)

    def _end(self, error: ModelError | None) -> None:
        if self.finished.done():
            return
        if error is None:
            self.finished.set_result(None)
        else:
            self.finished.set_exception(error)
            self.finished.exception()  # looked at, so that nobody is told of it twice


def _whole(charged: float) -> int:
    """A charge as a whole number of billionths; what is no number, or below zero, charges nothing."""
    return round(charged) if 0 < charged < 1e18 else 0


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
class ModelSource:
    """Who answers: Copilot, or the user's own provider; the model's name comes with each question."""

    provider: ProviderConfig | None = field(default=None, repr=False)
    """None for Copilot."""
    offered: frozenset[str] | None = None
    """The models that Copilot has for this account; None where nobody lists them.

    The runtime silently answers with another model than one that it lacks, so it is never asked for one."""


class Copilot:
    """Asks questions over one connection, within the run's deadline and budget; sums what they cost."""

    def __init__(
        self,
        connection: CopilotConnection,
        source: ModelSource,
        repository: ToolRepository,
        deadline: Deadline,
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
