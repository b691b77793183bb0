"""The Copilot CLIs of the service: draining over several processes, restarts, readiness and metrics."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from hunkwise.copilot.find_cli import CLI_VERSION
from hunkwise.copilot.pool import ServerPool, open_pool
from hunkwise.copilot.sidecar import Address
from hunkwise.errors import ModelError, ModelKind
from hunkwise.service.metrics import ServiceMetrics
from hunkwise.service.process import ProcessParts, run_service
from hunkwise.service.queue import JobQueue
from hunkwise.service.servers import SharedServers, count_users, drain, undo_drain
from hunkwise.service.settings import read_service_settings
from hunkwise.service.web import Web
from tests.commands.test_servers import Server, listed, make_old, make_sessions
from tests.copilot.json_rpc_server import FakeServer, json_rpc_server
from tests.fakes.command_line import run
from tests.fakes.model_script import Answer, ModelRequest
from tests.fakes_contract.cli import OFFLINE, RealCli, cli_binary, running_cli
from tests.service.service_world import REPOSITORIES, ServiceWorld, review_of, service_world
from tests.service.test_metrics import samples
from tests.service.workers import idle, until

ONE, TWO = "cli-1:4321", "cli-2:4321"
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def shared(queue: JobQueue, count: int = 1) -> AsyncIterator[list[SharedServers]]:
    """Yields what several processes know of two servers."""
    addresses = [Address("cli-1", 4321), Address("cli-2", 4321)]
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                SharedServers(queue, ServerPool(addresses), refresh=0.05).opened()
            )
            for _ in range(count)
        ]


async def wait_unused(queue: JobQueue, address: str, moment: datetime) -> None:
    async with asyncio.timeout(10):
        while await count_users(queue, address, moment):  # noqa: ASYNC110  # the database has no event for it
            await asyncio.sleep(0.01)


def test_a_drained_server_is_given_to_no_job_and_jobs_wait_if_all_are(database: str) -> None:
    async def scenario() -> None:
        async with JobQueue(database).opened() as queue, shared(queue) as (servers,):
            async with servers.use() as addresses:
                assert addresses == (ONE, TWO)
                assert servers.busy() == {ONE: 1, TWO: 1}
            await wait_unused(queue, ONE, (await drain(queue, ONE))[0])
            async with servers.use() as addresses:
                assert addresses == (TWO,)
            await wait_unused(queue, TWO, (await drain(queue, TWO))[0])
            waiting = asyncio.create_task(use_once(servers))
            await asyncio.sleep(0.2)
            assert not waiting.done()
            assert [await undo_drain(queue, TWO) for _ in range(2)] == [True, False]
            assert await asyncio.wait_for(waiting, 10) == (TWO,)

    asyncio.run(scenario())


async def use_once(servers: SharedServers) -> tuple[str, ...]:
    async with servers.use() as addresses:
        return addresses


@pytest.mark.parametrize("answers", [True, False])
def test_a_job_waits_while_no_server_answers_but_not_for_ever(database: str, answers: bool) -> None:
    async def scenario() -> None:
        async with JobQueue(database).opened() as queue:
            pool = ServerPool([Address("cli-1", 4321), Address("cli-2", 4321)], outage=20 if answers else 0.4)
            for server in pool.servers:
                server.error = ModelError(ModelKind.SIDECAR, "It is down.")
            waiting = asyncio.create_task(use_once(SharedServers(queue, pool, refresh=0.05)))
            await asyncio.sleep(0.2)
            assert not waiting.done()
            pool.servers[1].error = None if answers else pool.servers[1].error
            assert await asyncio.wait_for(waiting, 5) == (ONE, TWO)

    asyncio.run(scenario())


def test_draining_waits_for_what_began_before_in_every_process(database: str) -> None:
    async def scenario() -> None:
        async with JobQueue(database).opened() as queue, shared(queue, 2) as (first, second):
            async with first.use():
                async with AsyncExitStack() as stack:
                    await stack.enter_async_context(second.use())
                    moment, was_used = await drain(queue, ONE)
                    assert was_used
                    assert (await drain(queue, ONE))[1] is False
                    await until(lambda: all(one.pool.servers[0].drained for one in (first, second)))
                    await asyncio.sleep(0.2)
                    assert await count_users(queue, ONE, moment) == 2
                    async with second.use() as addresses:  # what begins later
                        assert addresses == (TWO,)
                await asyncio.sleep(0.2)
                assert await count_users(queue, ONE, moment) == 1
            await wait_unused(queue, ONE, moment)
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute(
                    "INSERT INTO hunkwise_server_uses VALUES"
                    " ('died', now() - interval '31 s', ARRAY['cli-1:4321']),"
                    " ('does not know yet', now() - interval '5 s', '{}')"
                )
            assert await count_users(queue, ONE, moment) == 1

    asyncio.run(scenario())


def test_a_process_that_ends_uses_nothing(database: str) -> None:
    async def scenario() -> None:
        async with JobQueue(database).opened() as queue:
            async with shared(queue) as (servers,), servers.use():
                await asyncio.sleep(0.2)
                assert await count_users(queue, ONE, LONG_AGO) == 1
            assert await count_users(queue, ONE, LONG_AGO) == 0

    asyncio.run(scenario())


TOKEN = "canary-connection-token-0123456789"


@contextmanager
def two_servers(world: ServiceWorld) -> Iterator[tuple[list[RealCli], dict[str, str]]]:
    """Yields two real CLIs, and the variables of the service that name them."""
    file = world.folder / "connection-token"
    file.touch(mode=0o600)
    file.write_text(TOKEN)
    with ExitStack() as stack:
        servers = [
            stack.enter_context(running_cli(world.folder / name, OFFLINE, token=TOKEN))
            for name in ("cli-1", "cli-2")
        ]
        yield (
            servers,
            {
                "HUNKWISE_COPILOT_URLS": ",".join(f"127.0.0.1:{server.port}" for server in servers),
                "HUNKWISE_COPILOT_CONNECTION_TOKEN_FILE": str(file),
            },
        )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ServiceWorld]:
    with service_world(tmp_path) as world:
        yield world


def test_a_server_is_drained_and_stopped_while_reviews_go_on(world: ServiceWorld, database: str) -> None:
    """The review that runs is waited for; the next one uses the other server."""
    answer, released = world.model.script, threading.Event()

    def hold(request: ModelRequest) -> Answer:
        assert released.wait(30)
        answered = answer(request)
        assert isinstance(answered, Answer)
        return answered

    async def scenario(servers: list[RealCli], more: dict[str, str]) -> None:
        left = Server(servers[1], world.folder / "cli-2" / "copilot", world.folder)
        await asyncio.to_thread(make_sessions, left, ["hunkwise-left", "hunkwise-new"])
        make_old(left.home / "session-state" / "hunkwise-left", 25)
        environ = world.environ(database, **more)
        address = f"127.0.0.1:{servers[0].port}"
        async with JobQueue(database).opened() as queue:
            await queue.request(review_of())
            working = asyncio.create_task(
                run_service(read_service_settings(environ), ProcessParts(works=True, heartbeat=1.0), environ)
            )
            await until(lambda: world.model.in_flight == 1)
            draining = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "hunkwise",
                "servers",
                "drain",
                address,
                env=environ,
                stdout=subprocess.PIPE,
            )
            assert draining.stdout is not None
            first = await draining.stdout.readline()
            assert first.decode() == f"{address} gets no new jobs and requests.\n"
            assert (
                await draining.stdout.readline()
            ).decode() == f"{address}: waiting for 1 process of the service.\n"
            assert world.reviews() == []
            released.set()
            await asyncio.wait_for(draining.wait(), 30)
            assert draining.returncode == 0
            assert len(world.reviews()) > 0
            assert await asyncio.to_thread(listed, left) == {"hunkwise-new"}  # cleaned as the worker began
            servers[0].process.terminate()
            servers[0].process.wait()
            await queue.request(review_of(REPOSITORIES[1]))
            await idle(queue)
            os.kill(os.getpid(), signal.SIGTERM)
            await working

    world.model.script = hold
    with two_servers(world) as (servers, more):
        asyncio.run(scenario(servers, more))
    for repository in REPOSITORIES:
        assert sum("It breaks." in text for text in world.reviews(repository)) == 1


def test_servers_are_restarted_one_after_another(
    world: ServiceWorld, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command stops a server, and starts it at the same port, again and again, as a service manager does."""
    script = world.folder / "restart.sh"
    script.write_text(
        f'kill "$(cat "{world.folder}/$1.pid")"\n'
        f'export COPILOT_HOME="{world.folder}/$1"\n'
        # Until the old one has ended, its port cannot be used.
        f'setsid sh -c \'while :; do "$0" --headless --port "$1"; sleep 0.1; done\' "{cli_binary()}" "$1"'
        f' >/dev/null 2>&1 & echo $! > "{world.folder}/$1.pid"\n'
    )
    with two_servers(world) as (servers, more):
        pids = {server.port: server.process.pid for server in servers}
        for port, pid in pids.items():
            (world.folder / f"{port}.pid").write_text(str(pid))
        for name, value in {"COPILOT_CONNECTION_TOKEN": TOKEN, **OFFLINE}.items():
            monkeypatch.setenv(name, value)  # the command has the environment of the operator's shell
        environ, command = world.environ(database, **more), f"sh {script} {{port}}"
        try:
            restarted = run(["servers", "recycle", "--restart", command], environ, world.folder)
            answered = run(["servers", "check"], environ, world.folder)
        finally:
            new = {port: int((world.folder / f"{port}.pid").read_text()) for port in pids}
            for port, pid in new.items():
                if pid != pids[port]:
                    with suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)
    assert (restarted.code, answered.code) == (0, 0), restarted
    assert not set(pids.values()) & set(new.values())
    lines = [f"127.0.0.1:{port}: version {CLI_VERSION}" for port in pids]
    assert [line for line in restarted.out.splitlines() if "version" in line] == lines
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT address FROM hunkwise_drained").fetchall() == []


def test_a_restart_that_fails_leaves_the_server_in_use(world: ServiceWorld, database: str) -> None:
    environ = world.environ(database, HUNKWISE_COPILOT_URLS="cli-1:4321,cli-2:4321")
    for command, message in (
        ("false {host}", "false cli-1 failed with status 1."),
        ("/none/x", "could not be run"),
    ):
        failed = run(["servers", "recycle", "--restart", command], environ, world.folder)
        assert (failed.code, message in failed.errors) == (3, True)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT address FROM hunkwise_drained").fetchall() == []


def test_a_server_that_was_drained_before_is_not_restarted(world: ServiceWorld, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("INSERT INTO hunkwise_drained (address) VALUES ('cli-1:4321')")
        environ = world.environ(database, HUNKWISE_COPILOT_URLS="cli-1:4321")
        left = run(["servers", "recycle", "--restart", "false"], environ, world.folder)
        assert (left.code, left.out) == (
            0, "cli-1:4321 is drained already: it is not restarted, and stays drained.\n"
        )  # fmt: skip
        assert connection.execute("SELECT address FROM hunkwise_drained").fetchall() == [("cli-1:4321",)]


def test_ready_and_metrics_tell_whether_servers_answer(database: str) -> None:
    fake = FakeServer(down=True)

    async def scenario(port: int) -> None:
        addresses = [Address("127.0.0.1", port), Address("127.0.0.1", 1)]
        metrics = ServiceMetrics()
        async with (
            JobQueue(database).opened() as queue,
            open_pool(addresses, wait=False) as pool,
            SharedServers(queue, pool, refresh=0.05).opened() as servers,
        ):
            web = Web(None, queue, metrics, servers=servers)  # type: ignore[arg-type]  # not read here
            before = await web.ready(None)  # type: ignore[arg-type]  # not read here
            fake.down = False
            await until(lambda: pool.servers[0].up)
            async with servers.use(), pool.lease():
                after = await web.ready(None)  # type: ignore[arg-type]  # not read here
                metrics.set_servers(servers)
            assert (before.status_code, after.status_code) == (503, 200)
            assert b"HUNKWISE_COPILOT_URLS" in before.body
            found = samples(metrics)
            names = [f"127.0.0.1:{port}", "127.0.0.1:1"]
            assert [found["hunkwise_copilot_server_up", name] for name in names] == [1, 0]
            assert [found["hunkwise_copilot_server_busy", name] for name in names] == [2, 1]

    with json_rpc_server(fake.answer) as port:
        asyncio.run(scenario(port))
