"""The web process: webhooks, health, metrics, and which routes are at which port."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from hunkwise.service.database import QueueError, in_time
from hunkwise.service.metrics import CONTENT_TYPE, ServiceMetrics
from hunkwise.service.queue import JobQueue
from hunkwise.service.records import JobRecords
from hunkwise.service.servers import SharedServers
from hunkwise.service.settings import ServiceSettings
from hunkwise.service.status import StatusPage
from hunkwise.service.webhooks import MAX_BODY, Webhook, WebhookError, jobs_of, read_webhook

ANSWER_SECONDS: Final = 9.0
"""For receiving a webhook and queueing its job: GitHub waits for 10 s. Then it is redelivered; see upkeep.py."""
MAX_RECEIVED: Final = 4 * MAX_BODY
"""Bytes of all bodies that a process is receiving: their signatures can be checked only at their end."""
READY_SECONDS: Final = 2.0
"""For the answer of /readyz."""
_log = logging.getLogger(__name__)


class Web:
    """The handlers of the routes."""

    def __init__(
        self,
        settings: ServiceSettings,
        queue: JobQueue,
        metrics: ServiceMetrics,
        *,
        servers: SharedServers | None = None,
        answer_seconds: float = ANSWER_SECONDS,
        most_received: int = MAX_RECEIVED,
    ) -> None:
        """`servers`: None if no Copilot CLIs are shared."""
        self._settings = settings
        self._queue = queue
        self._metrics = metrics
        self._servers = servers
        self._answer_seconds = answer_seconds
        self._most_received = most_received
        self._received = 0
        """Bytes of the bodies that are being received."""
        self._ready_seconds = min(answer_seconds, READY_SECONDS)

    async def webhook(self, request: Request) -> Response:
        """Checks a webhook and queues its job. Sends no request to GitHub."""
        event = "unknown"
        ends = time.monotonic() + self._answer_seconds
        try:
            async with asyncio.timeout(self._answer_seconds):
                body = await self._read_body(request)
            webhook = read_webhook(request.headers, body, self._settings.webhook_secrets)
            event = webhook.event
            queued = await in_time(self._deliver(webhook), ends - time.monotonic())
            answer = JSONResponse({"queued": queued}, 202)
        except WebhookError as error:
            answer = _refusal(error.status, error.reason)
        except (QueueError, TimeoutError) as error:
            _log.warning(
                "A webhook (%s) was not queued: %s", event, str(error) or "It did not arrive in time."
            )
            answer = _refusal(503, "The webhook was not queued: redeliver it later.")
        except ClientDisconnect:
            answer = _refusal(400, "The body is incomplete.")
        self._metrics.deliveries.labels(event, str(answer.status_code)).inc()
        return answer

    async def _read_body(self, request: Request) -> bytes:
        """Returns the body. Raises WebhookError as soon as it, or all that are being received, are too large."""
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > MAX_BODY:
            raise WebhookError(413, f"The body has more than {MAX_BODY:,} bytes.")
        chunks, size = [], 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                self._received += len(chunk)
                if size > MAX_BODY:
                    raise WebhookError(413, f"The body has more than {MAX_BODY:,} bytes.")
                if self._received > self._most_received:
                    raise WebhookError(503, "Too much is being received: redeliver the webhook later.")
                chunks.append(chunk)
        finally:
            self._received -= size
        return b"".join(chunks)

    async def _deliver(self, webhook: Webhook) -> bool:
        """Returns whether the webhook is new and starts a job. Raises WebhookError and QueueError."""
        jobs = jobs_of(webhook)
        new = await self._queue.deliver(
            webhook.delivery, jobs.start, supersedes=jobs.supersedes, cancels=jobs.cancel
        )
        return new and jobs.start is not None

    async def health(self, _request: Request) -> Response:
        """Answers that the process runs."""
        return PlainTextResponse("ok\n")

    async def ready(self, _request: Request) -> Response:
        """Answers whether the database has its tables, and one of the shared Copilot CLIs answers."""
        ready = False
        with suppress(QueueError):
            ready = await in_time(self._queue.is_ready(), self._ready_seconds)
        if not ready:
            return PlainTextResponse("The database does not answer, or has no tables.\n", 503)
        if self._servers and not any(server.up for server in self._servers.pool.servers):
            return PlainTextResponse("No Copilot CLI at HUNKWISE_COPILOT_URLS answers.\n", 503)
        return PlainTextResponse("ready\n")


def _refusal(status: int, reason: str) -> JSONResponse:
    """Returns an answer after which the connection is closed, since the rest of the body may still be sent."""
    return JSONResponse({"error": reason}, status, {"Connection": "close"})


def make_web(
    settings: ServiceSettings,
    queue: JobQueue,
    metrics: ServiceMetrics,
    *,
    servers: SharedServers | None = None,
    answer_seconds: float = ANSWER_SECONDS,
    most_received: int = MAX_RECEIVED,
    api: Sequence[Route] = (),
) -> Starlette:
    """Returns the application of the public port. Serve it while the queue is open.

    `api`: the routes of the web API.
    """
    web = Web(
        settings,
        queue,
        metrics,
        servers=servers,
        answer_seconds=answer_seconds,
        most_received=most_received,
    )
    routes = [
        Route("/", partial(StatusPage(settings, queue, answer_seconds).show, public=True)),
        Route("/healthz", web.health),
        Route("/readyz", web.ready),
        Route("/webhooks/github", web.webhook, methods=["POST"]),
        *api,
    ]
    return Starlette(routes=routes)


def make_metrics(
    settings: ServiceSettings,
    queue: JobQueue,
    metrics: ServiceMetrics,
    servers: SharedServers | None = None,
    *,
    answer_seconds: float = ANSWER_SECONDS,
) -> Starlette:
    """Returns the application of the port for metrics, with health and the status page. Serve it on loopback."""
    web = Web(settings, queue, metrics, servers=servers, answer_seconds=answer_seconds)

    async def read(_request: Request) -> Response:
        try:
            metrics.set_depth(await in_time(JobRecords(queue).depth(), answer_seconds))
        except QueueError:
            metrics.set_depth(None)
        if servers is not None:
            metrics.set_servers(servers)
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    routes = [
        Route("/", partial(StatusPage(settings, queue, answer_seconds).show, public=False)),
        Route("/healthz", web.health),
        Route("/metrics", read),
    ]
    return Starlette(routes=routes)
