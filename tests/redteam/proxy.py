"""Somebody between hunkwise and GitHub, who changes what GitHub answers; and a server that nobody should ask."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from starlette.requests import Request as HttpRequest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.redteam.attack import Arena


@dataclass(frozen=True)
class Said:
    """An answer. Header names are in lower case; the length is counted anew."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    drip: float = 0.0
    """Seconds between one byte and the next."""

    def with_headers(self, **more: str) -> Said:
        """Names are written with underscores."""
        named = {name.replace("_", "-"): text for name, text in more.items()}
        return replace(self, headers={**self.headers, **named})

    def replaced(self, old: str, new: str) -> Said:
        """With another text in its place wherever it stands in the body."""
        return replace(self, body=self.body.replace(old.encode(), new.encode("utf-8", "surrogatepass")))


Change = Callable[[Said], Said]


@dataclass
class Between:
    """An ASGI app in front of another. `changes`: method (`*`: any), path, what is asked, and what becomes of it."""

    app: ASGIApp
    changes: list[tuple[str, re.Pattern[str], re.Pattern[str], Change]] = field(default_factory=list)

    def change(self, method: str, path: str, by: Change, asking: str = "") -> None:
        self.changes.append((method, re.compile(path), re.compile(asking), by))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = HttpRequest(scope, receive)
        raw = await http.body()
        asked = raw.decode("utf-8", "replace")
        mine = [
            by
            for method, path, asking, by in self.changes
            if method in (scope["method"], "*") and path.search(scope["path"]) and asking.search(asked)
        ]
        if not mine:
            await self.app(scope, _again(raw, receive), send)
            return
        said = await _answer(self.app, scope, _again(raw, receive))
        for by in mine:
            said = by(said)
        await _send(said, send)


@dataclass
class Spy:
    """A server that nobody should ask: what it was asked, with all headers."""

    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        self.asked.append(f"{scope['method']} {scope['path']} {scope['headers']}")
        await _send(Said(200, {"content-type": "application/json"}, b"{}"), send)


def between(arena: Arena) -> Between:
    """Puts somebody between the arena's runs and its GitHub."""
    made = Between(arena.github)
    arena.github_url = arena.serves(made)
    return made


def _again(raw: bytes, receive: Receive) -> Receive:
    """The request's body once more, for whoever is behind."""
    told = False

    async def receive_again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": raw, "more_body": False}

    return receive_again


async def _answer(app: ASGIApp, scope: Scope, receive: Receive) -> Said:
    parts: list[Message] = []

    async def keep(message: Message) -> None:
        parts.append(message)

    await app(scope, receive, keep)
    headers = {name.decode(): text.decode("latin-1") for name, text in parts[0]["headers"]}
    return Said(parts[0]["status"], headers, b"".join(part.get("body", b"") for part in parts[1:]))


async def _send(said: Said, send: Send) -> None:
    headers = {**said.headers, "content-length": str(len(said.body))}
    lines = [(name.encode(), text.encode("latin-1")) for name, text in headers.items()]
    await send({"type": "http.response.start", "status": said.status, "headers": lines})
    if said.drip:
        for byte in said.body:
            await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
            await asyncio.sleep(said.drip)
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": said.body})
