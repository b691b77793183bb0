"""Sessions that go on over several messages, each of one user, on the servers of a pool."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from copilot import CopilotSession
from copilot.generated.rpc import PermissionDecisionReject
from copilot.session_events import (
    AssistantMessageData,
    AssistantToolCallDeltaData,
    SessionEvent,
    ToolExecutionStartData,
    UserMessageData,
)

from hunkwise.copilot.connection import CopilotConnection
from hunkwise.copilot.errors import SDK_ERRORS, sdk_error
from hunkwise.copilot.pool import ServerPool
from hunkwise.copilot.session import Copilot, ModelSource
from hunkwise.domain.model import Deadline, Question
from hunkwise.domain.pull_request import ReadableCode
from hunkwise.domain.review import Usage
from hunkwise.domain.text import encodable
from hunkwise.errors import ModelError, ModelKind

CALL_SECONDS: Final = 20.0
"""For one call of the CLI that asks no model."""
_MISSING: Final = "Session not found"
"""In the CLI's message for a session that it does not have."""


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The model has called a tool. Name and arguments are untrusted."""

    name: str
    arguments: object


@dataclass(frozen=True, slots=True)
class ToolDraft:
    """The model is writing a call of a tool."""

    name: str
    arguments: str
    """The JSON so far."""


ChatEvent: TypeAlias = ToolUse | ToolDraft


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """A message of a user, and what the model reported on it."""

    text: str
    reports: tuple[object, ...] = ()
    """The arguments of each call of the tool that reports, as the model sent them."""


@dataclass(frozen=True)
class Chat:
    """A session of one user. The CLI takes an id that exists as it is: use ids that nobody else can have."""

    id: str
    github_token: str = field(repr=False)
    """Of the user. Without it a resumed session would be billed to the token of the CLI."""


class ChatModel:
    """Answers in a chat: resumes its session, or creates it. See `flows.models.Model`.

    If its server is down and another one is up, a question is answered there: in a session of its own, without the
    history.
    """

    def __init__(
        self,
        pool: ServerPool,
        chat: Chat,
        message: ChatMessage,
        code: ReadableCode,
        deadline: Deadline,
        *,
        next_prompt: str,
        offered: tuple[str, ...] | None,
        progress: Callable[[ChatEvent], None],
    ) -> None:
        """`message`: what the history shows; `next_prompt`: what the model is sent where the session has a history,
        instead of the question's prompt. `offered`: see ModelSource. `progress` is called in the event loop.
        """
        source = ModelSource(offered=offered, github_token=chat.github_token)
        self._pool = pool
        self._server = pool.server_of(chat.id)
        self._session = _ChatSession(chat, message.text, next_prompt, progress)
        self._in_chat = Copilot(_ServerOfChat(pool, chat.id), source, code, deadline, self._session)
        self._without_history = Copilot(pool, source, code, deadline)
        self.kept = True
        """Whether the history has the last question."""

    @property
    def resumed(self) -> bool:
        """Whether the last question was asked in a session that had a history."""
        return self.kept and self._session.resumed

    @property
    def spent(self) -> Mapping[str, Usage]:
        """The usage by purpose."""
        spent = dict(self._in_chat.spent)
        for purpose, usage in self._without_history.spent.items():
            spent[purpose] = spent.get(purpose, Usage()) + usage
        return spent

    @property
    def usage(self) -> Usage:
        """The sum over all purposes."""
        return self._in_chat.usage + self._without_history.usage

    async def ask(self, question: Question) -> None:
        """Asks the question. Raises ModelError."""
        try:
            await self._in_chat.ask(question)
        except ModelError as error:
            if error.kind is not ModelKind.SIDECAR or not self._is_another_up():
                raise
            self.kept = False
            await self._without_history.ask(question)

    def _is_another_up(self) -> bool:
        others = (server for server in self._pool.servers if server is not self._server)
        return any(server.up and not server.drained for server in others)


@dataclass(frozen=True)
class _ServerOfChat:
    """Leases the server that has a chat; see `session.ConnectionSource`."""

    pool: ServerPool
    chat: str
    """Its id."""

    def lease(self, *, seconds: float = CALL_SECONDS) -> AbstractAsyncContextManager[CopilotConnection]:
        return self.pool.lease(self.chat, seconds=seconds)


class _ChatSession:
    """Opens the session of a chat; see `session.SessionPolicy`."""

    def __init__(
        self, chat: Chat, shown: str, next_prompt: str, progress: Callable[[ChatEvent], None]
    ) -> None:
        self._chat = chat
        self._shown = shown
        self._next_prompt = next_prompt
        self._progress = progress
        self._drafts: dict[str, ToolDraft] = {}
        self._is_first = True
        self.resumed = False

    async def open(self, connection: CopilotConnection, options: dict[str, Any]) -> CopilotSession:
        observe: Callable[[SessionEvent], None] = options["on_event"]

        def on_event(event: SessionEvent) -> None:
            observe(event)
            self._report(event)

        options = {**options, "on_event": on_event, "streaming": True}
        self._is_first = True
        try:
            session = await connection.client.resume_session(self._chat.id, **options)
        except SDK_ERRORS as error:
            if _MISSING not in str(error):
                raise
            self.resumed = False
            return await connection.client.create_session(session_id=self._chat.id, **options)
        self.resumed = True
        return session

    async def send(self, session: CopilotSession, prompt: str) -> None:
        if not self._is_first:  # a reminder of ours, which is no message of the user
            await session.send(prompt, source="system")
            return
        self._is_first = False
        text = self._next_prompt if self.resumed else prompt
        await session.send(encodable(text), display_prompt=encodable(self._shown))

    async def close(self, _connection: CopilotConnection, session: CopilotSession) -> None:
        await session.disconnect()

    def _report(self, event: SessionEvent) -> None:
        match event.data:
            case AssistantToolCallDeltaData() as delta:
                before = self._drafts.get(delta.tool_call_id)
                name = delta.tool_name or (before.name if before else "")
                draft = ToolDraft(name, (before.arguments if before else "") + delta.input_delta)
                self._drafts[delta.tool_call_id] = draft
                self._progress(draft)
            case ToolExecutionStartData() as start:
                self._drafts.pop(start.tool_call_id, None)
                self._progress(ToolUse(start.tool_name, start.arguments))
            case _:
                pass


async def read_chat(
    pool: ServerPool, chat: Chat, tool: str, *, seconds: float
) -> tuple[ChatMessage, ...] | None:
    """Returns the messages of a chat, the oldest first; None if it does not exist. Raises ModelError.

    `tool`: the name of the one that reports. `seconds`: for all calls of the CLI.
    """
    async with _calling(pool, chat.id, seconds) as connection:
        try:
            session = await connection.client.resume_session(
                chat.id,
                github_token=chat.github_token,
                available_tools=[],
                on_permission_request=_deny,
                infinite_sessions={"enabled": False},
                streaming=False,
            )
        except SDK_ERRORS as error:
            if _MISSING in str(error):
                return None
            raise
        try:
            events = await session.get_events()
        finally:
            with contextlib.suppress(*SDK_ERRORS):
                await session.disconnect()
    messages: list[ChatMessage] = []
    for event in events:
        match event.data:
            case UserMessageData(source="system"):
                pass
            case UserMessageData() as message:
                messages.append(ChatMessage(message.content))
            case AssistantMessageData(tool_requests=[*requests]) if messages:
                reports = tuple(request.arguments for request in requests if request.name == tool)
                last = messages.pop()
                messages.append(ChatMessage(last.text, (*last.reports, *reports)))
            case _:
                pass
    return tuple(messages)


async def delete_chat(pool: ServerPool, chat: Chat, *, seconds: float) -> bool:
    """Deletes a chat with its history; returns whether it existed. Raises ModelError."""
    async with _calling(pool, chat.id, seconds) as connection:
        if await connection.client.get_session_metadata(chat.id) is None:
            return False
        await connection.client.delete_session(chat.id)
        return True


def _deny(_request: object, _invocation: object) -> PermissionDecisionReject:
    return PermissionDecisionReject(feedback="No tool is offered.")


@asynccontextmanager
async def _calling(pool: ServerPool, session: str, seconds: float) -> AsyncIterator[CopilotConnection]:
    """Provides a connection to the server of a session. Raises ModelError for failed and late calls in the block."""
    async with pool.lease(session, seconds=seconds) as connection:
        try:
            async with asyncio.timeout(seconds):
                yield connection
        except TimeoutError as error:
            message = f"The Copilot CLI did not answer within {seconds:g} seconds."
            raise ModelError(ModelKind.TIMEOUT, message) from error
        except SDK_ERRORS as error:
            raise (
                connection.lost.result() if connection.lost.done() else sdk_error(error, provider=False)
            ) from error
