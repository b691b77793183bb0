from __future__ import annotations

import asyncio
import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from hunkwise.service.installation import HookDelivery
from hunkwise.service.metrics import ServiceMetrics
from hunkwise.service.queue import JobQueue
from hunkwise.service.upkeep import redeliver_missed
from hunkwise.service.web import MAX_RECEIVED, make_metrics, make_web
from hunkwise.service.webhooks import MAX_BODY
from tests.end_to_end.world import wait_until
from tests.service.postgres import Postgres
from tests.service.webhook_sender import (
    SECRET,
    WebhookSender,
    basic,
    headers_of,
    pull_request,
    serve_with,
    settings,
    sign,
)


@contextmanager
def run_web(
    database: str, answer_seconds: float = 9.0, most_received: int = MAX_RECEIVED, **changes: Any
) -> Iterator[WebhookSender]:
    """Serves the public port."""
    queue, chosen = JobQueue(database), settings(database, **changes)
    app = make_web(
        chosen, queue, ServiceMetrics(), answer_seconds=answer_seconds, most_received=most_received
    )
    with serve_with(queue, ("/", app)) as sender:
        yield sender


@contextmanager
def run_private(database: str, answer_seconds: float = 9.0, **changes: Any) -> Iterator[WebhookSender]:
    """Serves the port for metrics."""
    queue = JobQueue(database)
    app = make_metrics(settings(database, **changes), queue, ServiceMetrics(), answer_seconds=answer_seconds)
    with serve_with(queue, ("/", app)) as sender:
        yield sender


@pytest.fixture
def web(database: str) -> Iterator[WebhookSender]:
    with run_web(database) as sender:
        yield sender


def rows(database: str, query: str) -> list[tuple[Any, ...]]:
    """Returns the rows of a query; an empty list for a command."""
    with psycopg.connect(database, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def jobs(database: str) -> list[tuple[Any, ...]]:
    """Returns the lock, the status and whether its end is requested, of each job."""
    return rows(database, "SELECT lock, status::text, abort_requested FROM procrastinate_jobs ORDER BY id")


def begin_all(database: str) -> None:
    """Lets all waiting jobs run, as a worker does."""
    rows(database, "UPDATE procrastinate_jobs SET status = 'doing'")


REVIEW, OTHER = "review:acme/shop#5", "review:acme/shop#6"


def test_a_webhook_is_queued_once(web: WebhookSender, database: str) -> None:
    assert web.send(pull_request(), delivery="one") == (202, {"queued": True})
    begin_all(database)  # so that a second one would be queued
    assert web.send(pull_request(), delivery="one") == (202, {"queued": False})
    assert web.send({"zen": "Keep it simple."}, "ping") == (202, {"queued": False})
    assert jobs(database) == [(REVIEW, "doing", False)]
    ((payload,),) = rows(database, "SELECT args -> 'job' -> 'payload' FROM procrastinate_jobs")
    assert "sha" not in json.dumps(payload)


def test_nothing_is_queued_for_a_wrong_signature(web: WebhookSender, database: str) -> None:
    body = json.dumps(pull_request()).encode()
    for signature in (sign(body, b"another"), sign(body + b" "), sign(body, SECRET[:-1]), ""):
        status, answer = web.send(body, delivery="one", headers={"x-hub-signature-256": signature})
        assert (status, list(answer)) == (401, ["error"])
    assert web.send(b"{}" + body, headers={"x-hub-signature-256": sign(body)})[0] == 401
    assert web.send({"action": "opened"})[0] == 400
    assert jobs(database) == []
    # The refused delivery is not recorded as one: GitHub can send it again when the secret is right.
    assert web.send(body, delivery="one") == (202, {"queued": True})


def test_a_body_above_githubs_limit_is_not_read_to_its_end(web: WebhookSender) -> None:
    headers = headers_of(b"", "pull_request", "large")
    announced = {**headers, "content-length": str(26 << 20)}
    assert web.request("POST", "/webhooks/github", b"", announced)[0] == 413

    sent = itertools.count(1)

    def pieces() -> Iterator[bytes]:
        while True:
            next(sent)
            yield b"x" * (1 << 20)

    try:  # uvicorn closes the connection while the rest is being sent
        status = web.request("POST", "/webhooks/github", pieces(), headers)[0]
    except (BrokenPipeError, ConnectionResetError):
        status = 413
    assert status == 413
    assert MAX_BODY >> 20 <= next(sent) < 60


def test_a_push_ends_the_review_of_the_head_before_it(web: WebhookSender, database: str) -> None:
    web.send(pull_request())
    web.send(pull_request(number=6))
    begin_all(database)
    web.send(pull_request("labeled"))
    assert jobs(database) == [(REVIEW, "doing", False), (OTHER, "doing", False), (REVIEW, "todo", False)]
    web.send(pull_request("synchronize"))
    assert jobs(database) == [(REVIEW, "doing", True), (OTHER, "doing", False), (REVIEW, "todo", False)]


def test_a_closed_pull_request_is_not_reviewed_any_more(web: WebhookSender, database: str) -> None:
    web.send(pull_request())
    web.send(pull_request(number=6))
    assert web.send(pull_request("closed")) == (202, {"queued": False})
    assert [job[:2] for job in jobs(database)] == [(REVIEW, "cancelled"), (OTHER, "todo")]


def test_a_sender_that_is_slow_or_leaves_is_answered_in_time(database: str) -> None:
    with run_web(database, answer_seconds=0.3) as web:
        place = urlsplit(web.url)
        head = "".join(
            f"{name}: {value}\r\n" for name, value in headers_of(b"", "pull_request", "slow").items()
        )
        with socket.create_connection((str(place.hostname), place.port or 0), timeout=20) as connection:
            connection.sendall(
                f"POST /webhooks/github HTTP/1.1\r\nHost: a\r\n{head}Content-Length: 99\r\n\r\n{{".encode()
            )
            assert connection.recv(1_000).startswith(b"HTTP/1.1 503 ")
        assert web.get("/healthz") == (200, "ok\n")


def test_bodies_that_are_received_at_the_same_time_are_limited_together(database: str) -> None:
    body = json.dumps(pull_request()).encode()
    with run_web(database, most_received=len(body) + 500) as web:
        place = urlsplit(web.url)
        with socket.create_connection((str(place.hostname), place.port or 0), timeout=20) as held:
            held.sendall(
                b"POST /webhooks/github HTTP/1.1\r\nHost: a\r\nContent-Length: 502\r\n\r\n" + b"x" * 501
            )
            wait_until(lambda: web.send(body)[0] == 503)
            held.sendall(b"x")
            assert held.recv(1_000).startswith(b"HTTP/1.1 401 ")
        assert web.send(body) == (202, {"queued": True})


def test_a_database_that_hangs_keeps_no_request_waiting(postgres: Postgres, database: str) -> None:
    with (
        run_web(database, answer_seconds=0.3, password="secret") as web,
        run_private(database, answer_seconds=0.3) as private,
    ):
        assert web.get("/readyz")[0] == 200
        with postgres.suspended():
            began = time.monotonic()
            statuses = [
                web.send(pull_request())[0],
                web.get("/readyz")[0],
                web.get("/", basic("secret"))[0],
                private.get("/metrics")[0],
            ]
            assert time.monotonic() - began < 4
        assert statuses == [503, 503, 503, 200]


class Hooks:
    """Sends webhooks to the service and remembers the answers, as GitHub does."""

    def __init__(self, web: WebhookSender) -> None:
        self.web = web
        self.sent: list[tuple[HookDelivery, bytes]] = []
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self._lock = threading.Lock()

    def send(self, guid: str, body: bytes) -> int:
        status, _ = self.web.send(body, delivery=guid)
        with self._lock:
            one = HookDelivery(len(self.sent) + 1, guid, self.now, 200 <= status < 500)
            self.sent.append((one, body))
        return status

    def deliveries(self, since: datetime) -> list[HookDelivery]:
        return [one for one, _ in reversed(self.sent) if one.at > since]

    def redeliver(self, delivery: int) -> None:
        one, body = self.sent[delivery - 1]
        self.send(one.guid, body)


@pytest.mark.parametrize(("count", "seconds"), [(8, 0), pytest.param(1_000, 10, marks=pytest.mark.nightly)])
def test_webhooks_that_came_while_the_database_was_down_are_redelivered(
    postgres: Postgres, database: str, count: int, seconds: float
) -> None:
    async def look(hooks: Hooks, minutes: float) -> int:
        hooks.now += timedelta(minutes=minutes)
        async with JobQueue(database).opened() as queue:
            return await redeliver_missed(queue, hooks, hooks.now)

    with run_web(database, answer_seconds=0.5) as web:
        hooks = Hooks(web)
        bodies = [json.dumps(pull_request(number=number)).encode() for number in range(1, count + 2)]
        assert hooks.send("first", bodies[0]) == 202
        postgres.stop()
        up_again = time.monotonic() + seconds
        try:
            with ThreadPoolExecutor(min(count, 64)) as threads:
                answers = set(threads.map(hooks.send, map("missed-{}".format, range(count)), bodies[1:]))
            time.sleep(max(0, up_again - time.monotonic()))
            ready, health = web.get("/readyz")[0], web.get("/healthz")[0]
        finally:
            postgres.start()
        assert (answers, ready, health) == ({503}, 503, 200)
        limit = time.monotonic() + 30
        while web.get("/readyz")[0] != 200 and time.monotonic() < limit:
            time.sleep(0.05)
        redelivered = asyncio.run(look(hooks, 10))
        while redelivered < count:
            redelivered += (more := asyncio.run(look(hooks, 10)))
            assert more
        assert redelivered == count
        assert len(jobs(database)) == count + 1
        assert asyncio.run(look(hooks, 2)) == 0
        assert asyncio.run(look(hooks, 10)) == 0


def test_the_public_status_page_needs_the_password(database: str) -> None:
    with run_web(database, password="pass wörd") as web:
        assert web.get("/", basic("pass wörd"))[0] == 200
        for headers in (
            {},
            basic("pass word"),
            basic(""),
            basic("pass wörd "),
            {"authorization": "Basic é:"},
            {"authorization": "Bearer pass wörd"},
        ):
            encoded = {name: value.encode().decode("latin-1") for name, value in headers.items()}
            status, answer, body = web.request("GET", "/", None, encoded)
            assert (status, body) == (401, b"A password is needed.\n")
            assert "Basic" in str(answer["www-authenticate"])
        assert web.get("/metrics")[0] == 404


def test_without_a_password_the_page_is_for_this_machine_at_the_private_port(database: str) -> None:
    with run_web(database) as web:
        status, text = web.get("/")
        assert (status, "HUNKWISE_PASSWORD_FILE" in text) == (403, True)
    with run_private(database) as private:
        assert private.get("/")[0] == 200
        assert private.get("/", {"host": "localhost"})[0] == 200
        # A page of somebody else in the browser can let its own name point to this machine.
        assert private.get("/", {"host": "evil.example"})[0] == 403
    with run_private(database, password="secret") as private:
        assert private.get("/")[0] == 401
        assert private.get("/", basic("secret"))[0] == 200


def test_metrics_count_webhooks_and_the_queue(database: str) -> None:
    """Over HTTP, at the private port, in the process that receives webhooks."""
    queue, metrics = JobQueue(database), ServiceMetrics()
    private = make_metrics(settings(database), queue, metrics)
    public = make_web(settings(database), queue, metrics)
    with serve_with(queue, ("/private", private), ("/", public)) as web:
        web.send(pull_request())
        web.send(pull_request(number=6))
        web.send(pull_request(), headers={"x-hub-signature-256": ""})
        begin_all(database)
        web.send(pull_request("synchronize"))
        status, text = web.get("/private/metrics")
        assert web.get("/private/healthz") == (200, "ok\n")
    assert status == 200
    for line in (
        'hunkwise_deliveries_total{event="pull_request",status="202"} 3.0',
        # The event of a request without a valid signature could be anything.
        'hunkwise_deliveries_total{event="unknown",status="401"} 1.0',
        "hunkwise_running_jobs 2.0",
        "hunkwise_waiting_jobs 1.0",
    ):
        assert line in text.splitlines()
