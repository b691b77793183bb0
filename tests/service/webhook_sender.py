"""Sends webhooks to the service as GitHub does, and holds the payloads that tests send."""

from __future__ import annotations

import base64
import hmac
import http.client
import itertools
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from hunkwise.service.queue import JobQueue
from hunkwise.service.settings import ServiceSettings
from tests.fakes.http_server import serve

SECRET, OLD_SECRET = b"a secret for webhooks", b"the secret before it"
HEAD = "a" * 40


def settings(database_url: str, **changes: Any) -> ServiceSettings:
    """Returns settings of the web process."""
    return ServiceSettings(
        data=Path("/nonexistent"),
        database_url=database_url,
        app_id=1,
        private_key="",
        webhook_secrets=(SECRET, OLD_SECRET),
        **changes,
    )


def pull_request(
    action: str = "opened", number: int = 5, *, repository: str = "acme/shop", **more: Any
) -> dict[str, Any]:
    """Returns the payload of a `pull_request` event, as far as it matters, with a part that does not."""
    side = {"sha": HEAD, "ref": "main", "repo": {"full_name": repository}}
    state = "closed" if action == "closed" else "open"
    pull = {"number": number, "state": state, "title": "A title", "head": side, "base": side}
    return {"action": action, "number": number, "pull_request": pull, **_common(repository), **more}


def issue_comment(body: str, number: int = 5, comment: int = 77, **of_comment: Any) -> dict[str, Any]:
    """Returns the payload of an `issue_comment` event on a pull request."""
    user = {"login": "ada", "type": "User"}
    return {
        "action": "created",
        "issue": {"number": number, "pull_request": {"url": "https://api.github.com"}},
        "comment": {"id": comment, "body": body, "user": user, **of_comment},
        **_common("acme/shop"),
    }


def _common(repository: str) -> dict[str, Any]:
    return {
        "repository": {"full_name": repository},
        "installation": {"id": 9},
        "sender": {"login": "ada"},
    }


def sign(body: bytes, secret: bytes = SECRET) -> str:
    return "sha256=" + hmac.new(secret, body, sha256).hexdigest()


def headers_of(body: bytes, event: str, delivery: str) -> dict[str, str]:
    """Returns the headers with which GitHub sends a webhook."""
    return {
        "content-type": "application/json",
        "x-github-event": event,
        "x-github-delivery": delivery,
        "x-hub-signature-256": sign(body),
    }


def basic(password: str, user: str = "hunkwise") -> dict[str, str]:
    """Returns the header with which a browser sends a password."""
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@dataclass
class WebhookSender:
    """Sends requests to one web process."""

    url: str
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def send(
        self,
        payload: object,
        event: str = "pull_request",
        delivery: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Returns the status and the JSON of the answer. `headers` replace those of GitHub; empty ones are not sent."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        sent = {
            **headers_of(body, event, delivery or f"delivery-{next(self._numbers)}"),
            **(headers or {}),
        }
        status, _, text = self.request(
            "POST", "/webhooks/github", body, {name: value for name, value in sent.items() if value}
        )
        return status, json.loads(text)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Returns the status and the text of the answer."""
        status, _, text = self.request("GET", path, None, headers or {})
        return status, text.decode()

    def request(
        self, method: str, path: str, body: Any, headers: Mapping[str, str]
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


@contextmanager
def serve_with(queue: JobQueue, *mounts: tuple[str, ASGIApp]) -> Iterator[WebhookSender]:
    """Serves applications by path, while the queue is open."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with queue.opened():
            yield

    app = Starlette(routes=[Mount(path, one) for path, one in mounts], lifespan=lifespan)
    with serve(app, lifespan="on") as url:
        yield WebhookSender(url)
