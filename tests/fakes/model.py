"""A scripted stand-in for model providers: OpenAI (completions and responses), Azure and Anthropic."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from dataclasses import replace

from starlette.requests import Request as HttpRequest
from starlette.types import Receive, Scope, Send

from tests.fakes.model_script import (
    SECOND_TOOLS,
    Answer,
    Fault,
    ModelRequest,
    Script,
    agreeing,
    never_calls_tool,
)
from tests.fakes.model_wire import Dialect, dialect_of, normalized, stream_of, whole_of
from tests.fakes.server import drop_connection

_HTML = "<!DOCTYPE html><html><body><h1>Bad Gateway</h1></body></html>"
_JSON = "application/json"


class ScriptedModel:
    """An ASGI app that answers every model call by `script`; `requests` is its journal.

    What is asked behind the questions over the diff, the second opinion and the summary, is answered by `second`
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
                await asyncio.sleep(outcome.delay)
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
