"""A server whose answers to some requests come a byte at a time, and never to their end."""

from __future__ import annotations

import asyncio
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PAUSE = 0.2


class Dripping:
    """Stands before another server. A request takes effect; what is slow is to hear of it."""

    def __init__(self, app: ASGIApp, method: str, path: str) -> None:
        self._app = app
        self._method = method
        self._path = re.compile(path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def slowly(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
                return
            for byte in message.get("body", b"")[:-1]:
                await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
                await asyncio.sleep(_PAUSE)

        meant = scope.get("method") == self._method and self._path.search(scope["path"])
        await self._app(scope, receive, slowly if meant else send)
