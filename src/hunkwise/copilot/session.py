"""One question to a model: a session of its own, our tools alone, one turn, and what it cost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from copilot import CopilotSession
from copilot.generated.rpc import PermissionDecisionReject
from copilot.session import ProviderConfig
from copilot.session_events import (
    AssistantMessageData,
    AssistantTurnStartData,
    AssistantUsageData,
    SessionErrorData,
    SessionEvent,
    SessionIdleData,
)
from copilot.tools import Tool

from hunkwise.copilot.connection import Connection
from hunkwise.copilot.faults import SDK_ERRORS, fault, from_sdk, from_status
from hunkwise.copilot.tools import Repository, report_tool, repository_tools
from hunkwise.domain.limits import Budget, Deadline
from hunkwise.domain.outcome import Usage
from hunkwise.errors import ModelError, ModelKind
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
        tools = [report_tool(take), *repository_tools(self._repository, self._budget)]
        if not self._budget.take_model_call():
            raise fault(ModelKind.BUDGET, f"The budget ran out: {self._budget.why}.", provider=self._own)
        turn = _Turn(self._budget, provider=self._own)
        session = await self._create(system, tools, turn)
        try:
            await self._turn(session, turn, prompt)
            if not answered():
                turn.next()
                await self._turn(session, turn, _NUDGE)
        finally:
            self.usage += turn.usage
            await self._end(session, turn)
        if not answered():
            said = " ".join(turn.text.split())[:200]
            message = "The model did not report its findings" + (f'; it said: "{said}"' if said else ".")
            raise fault(ModelKind.REFUSED, message, provider=self._own)

    @property
    def _own(self) -> bool:
        return self._model.provider is not None

    async def _create(self, system: str, tools: Sequence[Tool], turn: _Turn) -> CopilotSession:
        create = self._connection.client.create_session(
            model=self._model.name,
            provider=self._model.provider,
            tools=list(tools),
            available_tools=[f"custom:{tool.name}" for tool in tools],
            system_message={"mode": "replace", "content": _encodable(system)},
            on_permission_request=turn.deny,
            on_event=turn.observe,
            infinite_sessions={"enabled": False},
            disabled_mcp_servers=_NO_MCP_SERVERS,
            streaming=False,
        )
        return await self._guarded(create, min(_CREATE_SECONDS, self._deadline.remaining))

    async def _turn(self, session: CopilotSession, turn: _Turn, prompt: str) -> None:
        async def until_idle() -> None:
            await session.send(_encodable(prompt))
            await turn.finished

        await self._guarded(until_idle(), min(_QUESTION_SECONDS, self._deadline.remaining))

    async def _guarded(self, work: Coroutine[Any, Any, _T], seconds: float) -> _T:
        """Waits for `work`, the loss of the connection or the time, whichever is first."""
        task = asyncio.ensure_future(work)
        lost = self._connection.lost
        either: set[asyncio.Future[Any]] = {task, lost}
        try:
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if lost.done():
                raise lost.result()
            raise fault(
                ModelKind.TIMEOUT,
                f"The model did not answer within {seconds:.0f} seconds.",
                provider=self._own,
            )
        except SDK_ERRORS as error:
            raise lost.result() if lost.done() else from_sdk(error, provider=self._own) from error
        finally:
            task.cancel()

    async def _end(self, session: CopilotSession, turn: _Turn) -> None:
        """Cancels what still runs, which the SDK does not do on a timeout, and lets the session go."""
        if self._connection.lost.done():
            return
        with contextlib.suppress(TimeoutError, *SDK_ERRORS):
            async with asyncio.timeout(_ABORT_SECONDS):
                if not turn.idle:
                    await session.abort()
                await self._connection.forget(session)


class _Turn:
    """What the events of a session say: its calls, its cost, its last words, and how it ended."""

    def __init__(self, budget: Budget, *, provider: bool) -> None:
        self._budget = budget
        self._provider = provider
        self._loop = asyncio.get_running_loop()
        self._granted = 1  # the first call was taken from the budget before the session began
        self._begun = 0
        self._filtered = False
        self.usage = Usage()
        self.text = ""
        self.idle = True
        self.finished: asyncio.Future[None] = self._loop.create_future()

    def next(self) -> None:
        """Makes ready for another message in the same session."""
        self.finished = self._loop.create_future()

    def observe(self, event: SessionEvent) -> None:
        match event.data:
            case AssistantTurnStartData():
                self._begin_call()
            case AssistantUsageData() as usage:
                self._count(usage)
            case AssistantMessageData() as message:
                self.text = message.content or self.text
            case SessionErrorData() as error:
                self._end(from_status(error.status_code, error.message, provider=self._provider))
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
        self._begun += 1
        if self._begun > self._granted:
            if not self._budget.take_model_call():
                message = f"The budget ran out: {self._budget.why}."
                self._end(fault(ModelKind.BUDGET, message, provider=self._provider))
            self._granted += 1

    def _count(self, usage: AssistantUsageData) -> None:
        self._filtered = bool(usage.content_filter_triggered) or usage.finish_reason == "content_filter"
        read, written = usage.input_tokens or 0, usage.output_tokens or 0
        self._budget.tokens += read + written
        self.usage += Usage(
            model_calls=1,
            input_tokens=read,
            output_tokens=written,
            cached_tokens=usage.cache_read_tokens or 0,
            models=(usage.model,),
        )

    def _silence(self) -> ModelError | None:
        if not self._filtered:
            return None
        message = "A content filter blocked the model's answer."
        return fault(ModelKind.CONTENT_FILTER, message, provider=self._provider)

    def _end(self, error: ModelError | None) -> None:
        if self.finished.done():
            return
        if error is None:
            self.finished.set_result(None)
        else:
            self.finished.set_exception(error)
            self.finished.exception()  # looked at, so that nobody is told of it twice


def _encodable(text: str) -> str:
    """A lone surrogate would hang the session to its timeout."""
    return text.encode("utf-8", "replace").decode("utf-8")
