"""The web process: webhooks, health, and the status page."""

from __future__ import annotations

import base64
import hmac
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from hunkwise import __version__
from hunkwise.service.database import QueueError
from hunkwise.service.metrics import ServiceMetrics
from hunkwise.service.queue import JobQueue
from hunkwise.service.settings import ServiceSettings
from hunkwise.service.status import status_values
from hunkwise.service.webhooks import MAX_BODY, WebhookError, jobs_of, read_webhook

_LOOPBACK: Final = ("127.0.0.1", "::1")
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_log = logging.getLogger(__name__)


class Web:
    """The handlers of the routes."""

    def __init__(
        self,
        settings: ServiceSettings,
        queue: JobQueue,
        metrics: ServiceMetrics,
        progress: Callable[[], dict[int, str]] = dict,
    ) -> None:
        """`progress`: returns the last line of the log of each job that runs in this process."""
        self._settings = settings
        self._queue = queue
        self._metrics = metrics
        self._progress = progress

    async def webhook(self, request: Request) -> Response:
        """Answers within a second: it checks, records and queues, and asks nobody else."""
        event = "unknown"
        try:
            body = await _read_body(request)
            webhook = read_webhook(request.headers, body, self._settings.webhook_secrets)
            event = webhook.event
            jobs = jobs_of(webhook)
            new = await self._queue.deliver(
                webhook.delivery, jobs.start, supersedes=jobs.supersedes, cancels=jobs.cancel
            )
            answer = JSONResponse({"queued": jobs.start is not None and new}, 202)
        except WebhookError as error:
            answer = JSONResponse({"error": error.reason}, error.status)
        except QueueError as error:
            _log.warning("A webhook was not queued: %s", error)
            answer = JSONResponse({"error": "The database does not answer: redeliver it later."}, 503)
        except ClientDisconnect:
            answer = JSONResponse({"error": "The body is incomplete."}, 400)
        self._metrics.deliveries.labels(event, str(answer.status_code)).inc()
        return answer

    async def health(self, _request: Request) -> Response:
        """The process answers."""
        return PlainTextResponse("ok\n")

    async def ready(self, _request: Request) -> Response:
        """The database answers and has its tables."""
        ready = await self._queue.is_ready()
        return PlainTextResponse(
            "ready\n" if ready else "The database does not answer, or has no tables.\n", 200 if ready else 503
        )

    async def status(self, request: Request) -> Response:
        """The status page, for those who have the password."""
        if not self._is_allowed(request):
            challenge = {"WWW-Authenticate": 'Basic realm="hunkwise"'}
            return PlainTextResponse("A password is needed.\n", 401, challenge)
        try:
            values = await status_values(self._queue, self._progress())
        except QueueError as error:
            return PlainTextResponse(f"{error.message}\n", 503)
        page = _template().render(version=__version__, server_url=self._settings.server_url, **values)
        return HTMLResponse(
            page, headers={"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"}
        )

    def _is_allowed(self, request: Request) -> bool:
        """Without a password, the page is for the machine itself and for a proxy on it."""
        if not self._settings.password:
            forwarded = request.headers.get("x-forwarded-for")
            return request.client is not None and request.client.host in _LOOPBACK and forwarded is None
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            given = (
                base64.b64decode(encoded, validate=True).partition(b":")[2]
                if scheme.lower() == "basic"
                else b""
            )
        except ValueError:
            given = b""
        return hmac.compare_digest(given, self._settings.password.encode())


async def _read_body(request: Request) -> bytes:
    """Returns the body. Raises WebhookError as soon as it is too large."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > MAX_BODY:
        raise WebhookError(413, f"The body has more than {MAX_BODY:,} bytes.")
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY:
            raise WebhookError(413, f"The body has more than {MAX_BODY:,} bytes.")
        chunks.append(chunk)
    return b"".join(chunks)


@cache
def _template() -> Any:
    loader = PackageLoader("hunkwise.service", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template(
        "status.html.j2"
    )


def make_web(
    settings: ServiceSettings,
    queue: JobQueue,
    metrics: ServiceMetrics,
    progress: Callable[[], dict[int, str]] = dict,
) -> Starlette:
    """Returns the web application. It connects to the database when it starts, and leaves when it ends."""
    web = Web(settings, queue, metrics, progress)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with queue.opened():
            yield

    routes = [
        Route("/", web.status),
        Route("/healthz", web.health),
        Route("/readyz", web.ready),
        Route("/webhooks/github", web.webhook, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def make_metrics(metrics: ServiceMetrics, queue: JobQueue) -> Starlette:
    """Returns the application of the port for metrics."""

    async def read(_request: Request) -> Response:
        try:
            depth = await queue.depth()
        except QueueError:
            depth = {"waiting": float("nan"), "running": float("nan"), "oldest": float("nan")}
        metrics.waiting.set(depth["waiting"])
        metrics.running.set(depth["running"])
        metrics.oldest.set(depth["oldest"])
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    return Starlette(routes=[Route("/metrics", read)])
