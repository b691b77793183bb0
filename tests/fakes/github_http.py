"""The fake GitHub's wire: requests read into values, replies and faults written out."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.types import Send

from tests.fakes.faults import HttpFault
from tests.fakes.github_messages import Reply, Request

_HTML = "<!DOCTYPE html><html><body><h1>Unicorn!</h1></body></html>"


def read_request(http: HttpRequest, raw: bytes) -> Request:
    """The request as a value, its path without the prefixes of an enterprise server."""
    path = http.scope["path"]
    for prefix in ("/api/v3", "/api"):
        path = path.removeprefix(prefix)
    body: Any = None
    if raw:
        try:
            body = json.loads(raw)
        except ValueError:
            body = raw.decode("utf-8", "replace")
    headers = dict(http.headers)
    return Request(http.method, path, dict(http.query_params), body, headers.get("authorization"), headers)


def faulty_reply(fault: HttpFault) -> Reply:
    """What the fault answers by itself."""
    status = fault.effective_status if fault.replaces else 200
    headers = dict(fault.headers)
    if fault.redirect is not None:
        headers["location"] = fault.redirect
    if fault.html:
        return Reply(status, _HTML, {"content-type": "text/html; charset=utf-8", **headers})
    body = (
        fault.body
        if fault.body is not None
        else {"message": f"ordered fault {status}", "status": str(status)}
    )
    return Reply(status, body, headers)


async def send_reply(send: Send, reply: Reply, payload: bytes, *, truncate: bool) -> None:
    """Sends the reply; cut in half, the rest stays owed."""
    headers = {
        "content-type": "application/json; charset=utf-8",
        "content-length": str(len(payload)),
        "x-github-request-id": "FAKE:1",
        "x-ratelimit-limit": "5000",
        "x-ratelimit-remaining": "4999",
        "x-ratelimit-reset": "4000000000",
        **{name.lower(): value for name, value in reply.headers.items()},
    }
    lines = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": lines})
    part = payload[: len(payload) // 2] if truncate else payload
    await send({"type": "http.response.body", "body": part, "more_body": truncate})
