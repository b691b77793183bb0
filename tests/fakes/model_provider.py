"""A scripted HTTP server for OpenAI (completions and responses), Azure and Anthropic."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.types import Receive, Scope, Send

from tests.fakes.http_server import drop_connection
from tests.fakes.model_formats import chunks, completion, message, message_events, response, response_events
from tests.fakes.model_script import (
    SECOND_TOOLS,
    Answer,
    Fault,
    Message,
    ModelRequest,
    OfferedTool,
    Script,
    agreeing,
    never_calls_tool,
)

_HTML = "<!DOCTYPE html><html><body><h1>Bad Gateway</h1></body></html>"
_JSON = "application/json"


class ScriptedModel:
    """An ASGI app that answers every model call by `script`; `requests` is its journal.

    What is asked behind the questions over the diff, the double-check and the summary, is answered by `second`
    and journaled in `second_requests`.
    """

    def __init__(self, script: Script | None = None, *, latency: float = 0.0) -> None:
        self.script = script or never_calls_tool()
        self.second: Script = agreeing
        self.second_requests: list[ModelRequest] = []
        self.latency = latency
        self.requests: list[ModelRequest] = []
        self.in_flight = 0
        self.in_flight_max = 0
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        http = HttpRequest(scope, receive)
        await self.respond(http, await http.body(), receive, send)

    async def respond(self, http: HttpRequest, body: bytes, receive: Receive, send: Send) -> int:
        """Answers a request whose body was read already; the status, or 0 where the socket was reset."""
        dialect = dialect_of(http.url.path)
        if http.method != "POST" or dialect is None:
            missing = f"no route {http.method} {http.url.path}"
            return await _send_whole(send, 404, json.dumps({"error": {"message": missing}}))
        request = self._record(dialect, http, body)
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            script = self.second if _is_second(request) else self.script
            return await _answer(script(request), dialect, request, receive, send)
        finally:
            with self._lock:
                self.in_flight -= 1

    def _record(self, dialect: Dialect, http: HttpRequest, body: bytes) -> ModelRequest:
        request = normalized(dialect, json.loads(body))
        journal = self.second_requests if _is_second(request) else self.requests
        with self._lock:
            self.in_flight += 1
            self.in_flight_max = max(self.in_flight_max, self.in_flight)
            request = replace(
                request,
                number=len(journal) + 1,
                path=http.url.path,
                query=dict(http.query_params),
                headers=dict(http.headers),
            )
            journal.append(request)
        return request


def _is_second(request: ModelRequest) -> bool:
    return not set(SECOND_TOOLS).isdisjoint(request.tool_names)


async def _answer(
    outcome: Answer | Fault, dialect: Dialect, request: ModelRequest, receive: Receive, send: Send
) -> int:
    match outcome:
        case Answer():
            if outcome.delay:
                await _pause(outcome.delay, receive)
            if request.stream:
                return await _send_stream(send, stream_of(dialect, request, outcome))
            return await _send_whole(send, 200, json.dumps(whole_of(dialect, request, outcome)))
        case Fault(cut=True):
            await asyncio.sleep(outcome.hang)
            return await _send_cut(dialect, request, receive, send)
        case Fault(disconnect=True):
            await asyncio.sleep(outcome.hang)
            await drop_connection(receive, send)
            return 0
        case Fault():
            await asyncio.sleep(outcome.hang)
            media = "text/html" if outcome.html else _JSON
            body = _HTML if outcome.html else _fault_body(outcome)
            return await _send_whole(send, outcome.status, body, media, outcome.headers)


async def _pause(seconds: float, receive: Receive) -> None:
    """Waits, and no longer than the client."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass


def _fault_body(fault: Fault) -> str:
    if isinstance(fault.body, str):
        return fault.body
    if fault.body is not None:
        return json.dumps(fault.body)
    return json.dumps({"error": {"message": f"scripted fault {fault.status}", "type": "scripted"}})


async def _send_whole(
    send: Send, status: int, body: str, media: str = _JSON, headers: Mapping[str, str] | None = None
) -> int:
    payload = body.encode()
    lines = {"content-type": media, "content-length": str(len(payload)), **(headers or {})}
    start = {"type": "http.response.start", "status": status, "headers": _encoded(lines)}
    await send(start)
    await send({"type": "http.response.body", "body": payload})
    return status


async def _send_stream(send: Send, events: list[str]) -> int:
    headers = _encoded({"content-type": "text/event-stream"})
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for event in events:
        await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
    await send({"type": "http.response.body", "body": b""})
    return 200


async def _send_cut(dialect: Dialect, request: ModelRequest, receive: Receive, send: Send) -> int:
    """Begins an answer that never ends: half of a stream, or of a body whose length was promised."""
    answer = Answer(text="This sentence is cut in its")
    if request.stream:
        events = stream_of(dialect, request, answer)
        payload = "".join(events[: len(events) // 2]).encode()
        headers = _encoded({"content-type": "text/event-stream"})
    else:
        whole = json.dumps(whole_of(dialect, request, answer)).encode()
        payload = whole[: len(whole) // 2]
        headers = _encoded({"content-type": _JSON, "content-length": str(len(whole))})
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": payload, "more_body": True})
    await asyncio.sleep(0.02)  # lets the bytes leave before the socket goes
    await drop_connection(receive, send)
    return 200


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


Json = dict[str, Any]


class Dialect(Enum):
    """Whose words are spoken on a path."""

    COMPLETIONS = r"(/v1|/openai/v1|/openai/deployments/[^/]+)?/chat/completions"
    RESPONSES = r"(/v1|/openai/v1|/openai/deployments/[^/]+)?/responses"
    ANTHROPIC = r"(/v1)?/messages"


def dialect_of(path: str) -> Dialect | None:
    """The dialect that is spoken on this path, or None."""
    return next((dialect for dialect in Dialect if re.fullmatch(dialect.value, path)), None)


def normalized(dialect: Dialect, body: Mapping[str, Any]) -> ModelRequest:
    """The request in words that all dialects share."""
    match dialect:
        case Dialect.COMPLETIONS:
            messages = [Message(_role(m["role"]), _text(m.get("content"))) for m in body["messages"]]
            tools = [_tool(t["function"], "parameters") for t in body.get("tools") or ()]
        case Dialect.RESPONSES:
            messages = list(_responses_messages(body))
            tools = [_tool(t, "parameters") for t in body.get("tools") or ()]
        case Dialect.ANTHROPIC:
            messages = list(_anthropic_messages(body))
            tools = [_tool(t, "input_schema") for t in body.get("tools") or ()]
    return ModelRequest(
        model=str(body.get("model", "")),
        messages=tuple(messages),
        tools=tuple(tools),
        stream=bool(body.get("stream")),
        body=body,
    )


def whole_of(dialect: Dialect, request: ModelRequest, answer: Answer) -> Json:
    """The answer as one JSON body."""
    match dialect:
        case Dialect.COMPLETIONS:
            return completion(request, answer)
        case Dialect.RESPONSES:
            return response(request, answer)
        case Dialect.ANTHROPIC:
            return message(request, answer)


def stream_of(dialect: Dialect, request: ModelRequest, answer: Answer) -> list[str]:
    """The answer as server-sent events, each with its blank line."""
    match dialect:
        case Dialect.COMPLETIONS:
            return [
                *(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks(request, answer)),
                "data: [DONE]\n\n",
            ]
        case Dialect.RESPONSES:
            events = response_events(response(request, answer))
        case Dialect.ANTHROPIC:
            events = list(message_events(message(request, answer)))
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]


def _role(role: str) -> str:
    return "system" if role == "developer" else role


def _text(content: object) -> str:
    """The text of a content that is a string, a list of parts, or nothing."""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        return ""
    return "".join(
        part if isinstance(part, str) else str(part.get("text") or _text(part.get("content")))
        for part in content
    )


def _tool(offered: Mapping[str, Any], schema: str) -> OfferedTool:
    return OfferedTool(
        str(offered.get("name", "")), str(offered.get("description", "")), offered.get(schema) or {}
    )


def _responses_messages(body: Mapping[str, Any]) -> Iterator[Message]:
    if body.get("instructions"):
        yield Message("system", str(body["instructions"]))
    asked = body["input"]
    if isinstance(asked, str):
        yield Message("user", asked)
        return
    for part in asked:
        match part.get("type", "message"):
            case "message":
                yield Message(_role(part["role"]), _text(part.get("content")))
            case "function_call_output":
                yield Message("tool", _text(part.get("output")))


def _anthropic_messages(body: Mapping[str, Any]) -> Iterator[Message]:
    if body.get("system"):
        yield Message("system", _text(body["system"]))
    for said in body["messages"]:
        content = said["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for part in parts:
            if part["type"] == "tool_result":
                yield Message("tool", _text(part.get("content")))
        text = "".join(part["text"] for part in parts if part["type"] == "text")
        if text:
            yield Message(said["role"], text)
