"""A proxy that changes GitHub's responses, and a server that must receive no request."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from starlette.requests import Request as HttpRequest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.redteam.attack import AttackWorld


@dataclass(frozen=True)
class Response:
    """A response. Header names are in lower case; the length is computed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    drip: float = 0.0
    """Seconds between one byte and the next."""

    def with_headers(self, **more: str) -> Response:
        """Adds headers, whose names are written with underscores."""
        named = {name.replace("_", "-"): text for name, text in more.items()}
        return replace(self, headers={**self.headers, **named})


Change = Callable[[Response], Response]


@dataclass
class Proxy:
    """An ASGI app in front of another. `changes`: method (`*`: any), path, request body, and the change."""

    app: ASGIApp
    changes: list[tuple[str, re.Pattern[str], re.Pattern[str], Change]] = field(default_factory=list)

    def change(self, method: str, path: str, by: Change, asking: str = "") -> None:
        self.changes.append((method, re.compile(path), re.compile(asking), by))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = HttpRequest(scope, receive)
        raw = await http.body()
        requests = raw.decode("utf-8", "replace")
        mine = [
            by
            for method, path, asking, by in self.changes
            if method in (scope["method"], "*") and path.search(scope["path"]) and asking.search(requests)
        ]
        if not mine:
            await self.app(scope, _again(raw, receive), send)
            return
        response = await _answer(self.app, scope, _again(raw, receive))
        for by in mine:
            response = by(response)
        await _send(response, send)


@dataclass
class Spy:
    """A server that records its requests, which there must not be."""

    requests: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        self.requests.append(f"{scope['method']} {scope['path']} {scope['headers']}")
        await _send(Response(200, {"content-type": "application/json"}, b"{}"), send)


def add_proxy(world: AttackWorld) -> Proxy:
    """Puts a proxy between the world's runs and its GitHub."""
    proxy = Proxy(world.github)
    world.github_url = world.serve(proxy)
    return proxy


def _again(raw: bytes, receive: Receive) -> Receive:
    """Returns a `receive` that returns the request's body again."""
    sent = False

    async def receive_again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": raw, "more_body": False}

    return receive_again


async def _answer(app: ASGIApp, scope: Scope, receive: Receive) -> Response:
    parts: list[Message] = []

    async def keep(message: Message) -> None:
        parts.append(message)

    await app(scope, receive, keep)
    headers = {name.decode(): text.decode("latin-1") for name, text in parts[0]["headers"]}
    return Response(parts[0]["status"], headers, b"".join(part.get("body", b"") for part in parts[1:]))


async def _send(response: Response, send: Send) -> None:
    headers = {**response.headers, "content-length": str(len(response.body))}
    lines = [(name.encode(), text.encode("latin-1")) for name, text in headers.items()]
    await send({"type": "http.response.start", "status": response.status, "headers": lines})
    if response.drip:
        for byte in response.body:
            await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
            await asyncio.sleep(response.drip)
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": response.body})
