"""Several servers: which one is asked, losses, draining, and the sessions that are left."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from copilot.session import ProviderConfig

from hunkwise.copilot.connection import (
    SESSION_PREFIX,
    CopilotConnection,
    Heartbeat,
)
from hunkwise.copilot.pool import ServerPool, open_pool
from hunkwise.copilot.sidecar import Address
from hunkwise.domain.finding import Finding
from hunkwise.domain.model import Budget, ReportTool
from hunkwise.domain.model import Question as DomainQuestion
from hunkwise.errors import ModelError, ModelKind
from hunkwise.flows.finding_collector import FindingCollector
from hunkwise.prompts.report_findings import DESCRIPTION, REPORT, parameters
from tests.copilot.json_rpc_server import STATUS, FakeServer, json_rpc_server
from tests.copilot.programs import eventually
from tests.copilot.sessions import MODEL, Question, copilot, put
from tests.fakes.changes import added
from tests.fakes.http_server import free_port, serve
from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import Answer, ModelRequest, ToolCall
from tests.fakes_contract.cli import OFFLINE, RealCli, running_cli, session_names

QUICK = Heartbeat(0.05, 5.0)


@contextmanager
def fake_servers(count: int) -> Iterator[list[FakeServer]]:
    servers = [FakeServer() for _ in range(count)]
    with ExitStack() as stack:
        for server in servers:
            server.address = Address("127.0.0.1", stack.enter_context(json_rpc_server(server.answer)))
        yield servers


def with_pool(
    servers: Sequence[FakeServer | Address], scenario: Callable[[ServerPool], object], **options: object
) -> None:
    """Runs the scenario in a pool of which each server was tried."""

    async def run() -> None:
        addresses = [one.address if isinstance(one, FakeServer) else one for one in servers]
        async with open_pool(addresses, **{"heartbeat": QUICK, **options}) as pool:  # type: ignore[arg-type]
            await pool.wait_until_tried()
            result = scenario(pool)
            assert asyncio.iscoroutine(result)
            await asyncio.wait_for(result, 20)

    asyncio.run(run())


def test_fewest_leases_first_then_fewest_so_far() -> None:
    async def scenario(pool: ServerPool) -> None:
        first, second = pool.servers
        async with pool.lease(), pool.lease():
            assert (first.busy, second.busy) == (1, 1)
            async with pool.lease():
                assert (first.busy, second.busy) == (2, 1)
        for _ in range(3):
            async with pool.lease():
                pass
        assert (first.served, second.served) == (3, 3)
        assert (first.busy, second.busy) == (0, 0)

    with fake_servers(2) as fakes:
        with_pool(fakes, scenario)


def test_a_server_answers_a_limited_number_of_questions_at_once() -> None:
    async def scenario(pool: ServerPool) -> None:
        async with AsyncExitStack() as stack:
            for _ in range(2):
                await stack.enter_async_context(pool.lease())
            with pytest.raises(ModelError, match="busy until the end of the time") as raised:
                await stack.enter_async_context(pool.lease(seconds=0.1))
            assert raised.value.kind is ModelKind.TIMEOUT
            assert not raised.value.kind.fatal
            waiting = asyncio.create_task(stack.enter_async_context(pool.lease()))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            await stack.pop_all().aclose()
            await waiting
        assert sum(server.served for server in pool.servers) == 3

    with fake_servers(1) as fakes:
        with_pool(fakes, scenario, most=2)


def test_a_key_has_one_home_and_keys_are_spread() -> None:
    addresses = [Address("cli", 4321 + number) for number in range(4)]

    async def homes(addresses: Sequence[Address]) -> dict[str, str]:
        pool = ServerPool(addresses)
        return {key: str(pool.server_of(key).address) for key in map(str, range(200))}

    before = asyncio.run(homes(addresses))
    assert before == asyncio.run(homes(addresses[::-1]))
    assert all(30 < list(before.values()).count(str(address)) < 75 for address in addresses)
    after = asyncio.run(homes(addresses[:3]))
    moved = {key for key in before if before[key] != after[key]}
    assert moved == {key for key, home in before.items() if home == "cli:4324"}


def test_a_key_whose_server_is_down_or_drained_is_an_error() -> None:
    async def scenario(pool: ServerPool) -> None:
        up, down = pool.servers
        keys = {pool.server_of(str(key)): str(key) for key in range(20)}
        async with pool.lease(keys[up]):
            assert up.busy == 1
        for server, message in ((down, "could not be reached"), (up, "is drained")):
            pool.set_drained({str(up.address)})
            with pytest.raises(ModelError, match=message) as raised:
                async with pool.lease(keys[server]):
                    raise AssertionError
            assert raised.value.kind is ModelKind.SIDECAR
        pool.set_drained(())
        async with pool.lease(keys[up]):
            assert up.busy == 1

    with fake_servers(1) as fakes:
        with_pool([*fakes, Address("127.0.0.1", free_port())], scenario)


def test_a_drained_server_gets_no_questions_and_ends_those_it_has() -> None:
    async def scenario(pool: ServerPool) -> None:
        first, second = pool.servers
        async with pool.lease() as connection:
            pool.set_drained({str(first.address)})
            async with pool.lease(), pool.lease():
                assert (first.busy, second.busy) == (1, 2)
            assert not connection.lost.done()
        pool.set_drained({str(first.address), str(second.address)})
        with pytest.raises(ModelError, match=rf"{first.address}: It is drained\..*{second.address}: It is"):
            async with pool.lease():
                raise AssertionError

    with fake_servers(2) as fakes:
        with_pool(fakes, scenario, outage=0.0)


def test_error_names_every_unreachable_address() -> None:
    ports = [free_port(), free_port()]

    async def scenario() -> None:
        async with open_pool([Address("127.0.0.1", port) for port in ports]):
            raise AssertionError

    with pytest.raises(ModelError) as raised:
        asyncio.run(scenario())
    for port in ports:
        reason = f"127.0.0.1:{port}: The Copilot CLI could not be reached: Connection refused."
        assert reason in raised.value.message
    assert "copilot-connection-token" in raised.value.hint


def test_questions_wait_for_a_server_that_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(pool: ServerPool) -> None:
        (server,) = pool.servers
        assert server.connection is not None
        (fake,) = fakes
        fake.down = True
        await asyncio.wait_for(asyncio.shield(server.connection.lost), 10)
        waiting = asyncio.create_task(ask(pool))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        fake.down = False
        await waiting
        assert f"{fake.address} was lost: The Copilot CLI does not answer any more" in caplog.text
        assert f"{fake.address} answers again" in caplog.text

    async def ask(pool: ServerPool) -> None:
        async with pool.lease():
            pass

    with fake_servers(1) as fakes:
        with_pool(fakes, scenario)


def test_questions_do_not_wait_when_no_server_was_up_for_long() -> None:
    async def scenario(pool: ServerPool) -> None:
        (server,) = pool.servers
        assert server.connection is not None
        fakes[0].down = True
        await asyncio.wait_for(asyncio.shield(server.connection.lost), 10)
        began = time.monotonic()
        for _ in range(3):  # the later ones at once
            with pytest.raises(ModelError, match="No Copilot CLI answers") as raised:
                async with pool.lease():
                    raise AssertionError
            assert raised.value.kind is ModelKind.SIDECAR
        assert time.monotonic() - began < 5

    with fake_servers(1) as fakes:
        with_pool(fakes, scenario, outage=0.2)


def test_a_failed_question_takes_its_server_out_of_the_choice() -> None:
    async def scenario(pool: ServerPool) -> None:
        first, second = pool.servers
        fakes[0].down = True
        with pytest.raises(ModelError, match="gone"):
            async with pool.lease():
                raise ModelError(ModelKind.SIDECAR, "It is gone.")
        assert (first.up, second.up) == (False, True)
        async with pool.lease(), pool.lease():
            assert second.busy == 2
        with pytest.raises(ModelError):
            async with pool.lease():
                raise ModelError(ModelKind.RATE_LIMIT, "The model's fault, not the server's.")
        assert second.up

    with fake_servers(2) as fakes:
        with_pool(fakes, scenario, heartbeat=Heartbeat(60.0, 5.0))


def test_a_server_whose_token_copilot_refuses_gets_no_questions() -> None:
    async def scenario(pool: ServerPool) -> None:
        refused, accepted = pool.servers
        assert (refused.up, accepted.up) == (False, True)
        assert refused.error is not None
        assert refused.error.kind is ModelKind.FORBIDDEN

    model = {"id": "m", "name": "M", "capabilities": {"supports": {}, "limits": {}}}

    def offering(models: list[object]) -> Callable[[str], object]:
        return lambda method: {"models": models} if method == "models.list" else STATUS

    with json_rpc_server(offering([])) as one, json_rpc_server(offering([model])) as two:
        with_pool([Address("127.0.0.1", port) for port in (one, two)], scenario, copilot=True)


class LosingServers:
    """Servers that are lost as soon as they are asked."""

    leases = 0

    @asynccontextmanager
    async def lease(self, *, seconds: float = 0.0) -> AsyncIterator[CopilotConnection]:
        self.leases += 1
        raise ModelError(ModelKind.SIDECAR, f"Server {self.leases} is gone.")
        yield


def test_a_question_is_asked_a_limited_number_of_times() -> None:
    servers = LosingServers()
    result = asyncio.run(put(servers, "http://127.0.0.1:1", Question()))
    assert result.error is not None
    assert result.error.message == "Server 3 is gone."
    assert servers.leases == 3


# The real CLI

FILES = {file.path: file for file in (added("a.py", "one"), added("b.py", "two"))}


class Servers:
    """Real CLIs, each with a folder of its own, that can be killed and started again at the same port."""

    def __init__(self, folder: Path, stack: ExitStack, count: int = 2) -> None:
        self._folder = folder
        self._stack = stack
        self.all: list[RealCli] = [self._start(number) for number in range(count)]

    def _start(self, number: int, **same: int | str) -> RealCli:
        home = self._folder / f"cli-{number}"
        return self._stack.enter_context(running_cli(home, OFFLINE, **same))  # type: ignore[arg-type]

    @property
    def addresses(self) -> list[Address]:
        return [cli.address for cli in self.all]

    def kill(self, number: int) -> None:
        self.all[number].process.kill()
        self.all[number].process.wait(10)

    def restart(self, number: int) -> None:
        before = self.all[number]
        self.all[number] = self._start(number, port=before.port, token=before.token)

    def send(self, number: int, what: signal.Signals) -> None:
        os.kill(self.all[number].process.pid, what)

    def files(self, number: int) -> list[Path]:
        """Returns the files of sessions."""
        return [path for path in self._state(number).glob("*/*") if path.suffix != ".lock"]

    def locks(self, number: int) -> list[Path]:
        """Returns the empty locks that the CLI keeps of deleted sessions."""
        return list(self._state(number).glob("*/*.lock"))

    def _state(self, number: int) -> Path:
        return self._folder / f"cli-{number}" / "copilot" / "session-state"


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(tmp_path, stack)


class Findings:
    """Asks numbered questions; each is answered by one finding with its number."""

    def __init__(self, pool: ServerPool, url: str) -> None:
        provider = ProviderConfig(type="openai", base_url=url, api_key="key")
        self._copilot = copilot(pool, Question(seconds=120.0), provider)
        self._slots = asyncio.Semaphore(12)
        self.reported: list[str] = []
        self.failed: list[ModelError] = []

    async def ask_all(self, count: int) -> None:
        await asyncio.gather(*(self.ask(number) for number in range(count)))

    async def ask(self, number: int) -> None:
        def record(finding: Finding) -> None:
            self.reported.append(finding.title)

        collector = FindingCollector("review", FILES, record)
        tool = ReportTool(REPORT, DESCRIPTION, parameters(), collector.take, lambda: collector.answered)
        question = DomainQuestion("review", "You review.", f"Question {number}.", tool, Budget(), model=MODEL)
        async with self._slots:
            try:
                await self._copilot.ask(question)
            except ModelError as error:
                self.failed.append(error)

    @property
    def calls(self) -> int:
        return self._copilot.usage.model_calls


def finding_of(request: ModelRequest) -> dict[str, object]:
    """Returns a finding whose title names the question, in any session that asks it."""
    found = re.search(r"Question (\d+)\.", request.prompt)
    assert found is not None
    return {"path": "a.py", "line": 1, "severity": "low", "title": f"Finding {found[1]}", "body": "b"}


def answer_by_number(request: ModelRequest) -> Answer:
    call = {"findings": [finding_of(request)], "done": True}
    return Answer(tool_calls=(ToolCall(REPORT, call),))


def run_trouble(servers: Servers, count: int, latency: float, *, patience: float, stopped: float) -> Findings:
    """Asks questions while one server is killed, the other one stops for a while, and the first one returns."""

    async def trouble(pool: ServerPool) -> None:
        await asyncio.sleep(1.5 * latency)
        servers.kill(0)
        await asyncio.to_thread(servers.restart, 0)
        assert await eventually(lambda: pool.servers[0].up)
        servers.send(1, signal.SIGSTOP)
        assert await eventually(lambda: not pool.servers[1].up)
        await asyncio.sleep(stopped - patience)
        servers.send(1, signal.SIGCONT)

    async def scenario(url: str) -> Findings:
        async with open_pool(servers.addresses, heartbeat=Heartbeat(patience / 2, patience)) as pool:
            await pool.wait_until_tried()
            questions = Findings(pool, url)
            await asyncio.gather(trouble(pool), questions.ask_all(count))
            return questions

    with serve(ScriptedModel(answer_by_number, latency=latency)) as url:
        return asyncio.run(scenario(url))


def assert_each_reported_once(questions: Findings, count: int) -> None:
    assert questions.failed == []
    assert sorted(questions.reported) == sorted(f"Finding {number}" for number in range(count))


def test_each_question_is_answered_once_while_servers_die_stop_and_return(servers: Servers) -> None:
    questions = run_trouble(servers, 36, 0.3, patience=0.8, stopped=1.0)
    assert_each_reported_once(questions, 36)


@pytest.mark.nightly
@pytest.mark.parametrize("run", range(3))
def test_each_of_many_questions_is_answered_once_in_trouble(servers: Servers, run: int) -> None:
    questions = run_trouble(servers, 120, 0.7, patience=1.5, stopped=4.0)
    assert_each_reported_once(questions, 120)


def test_draining_loses_no_question_and_leaves_no_session(servers: Servers) -> None:
    model = ScriptedModel(answer_by_number, latency=0.3)

    async def scenario(url: str) -> Findings:
        async with open_pool(servers.addresses) as pool:
            await pool.wait_until_tried()
            questions = Findings(pool, url)
            asking = asyncio.create_task(questions.ask_all(30))
            assert await eventually(lambda: model.in_flight == 12)
            pool.set_drained({str(servers.addresses[0])})
            assert await eventually(lambda: pool.servers[0].busy == 0)
            assert not asking.done()
            assert await session_names(servers.addresses[0]) == set()
            servers.send(0, signal.SIGTERM)
            await asking
            assert await session_names(servers.addresses[1]) == set()
            return questions

    with serve(model) as url:
        questions = asyncio.run(scenario(url))
    assert_each_reported_once(questions, 30)
    assert (len(model.requests), questions.calls) == (30, 30)
    assert [servers.files(number) for number in (0, 1)] == [[], []]
    names = [lock.name for number in (0, 1) for lock in servers.locks(number)]
    assert (len(names), all(name.startswith(SESSION_PREFIX) for name in names)) == (30, True)


def test_what_was_reported_before_a_loss_is_reported_once(servers: Servers) -> None:
    """The server is lost after a first report; another one gets the question, and reports the same again."""

    def script(request: ModelRequest) -> Answer:
        if not request.tool_results:
            more = {"path": "b.py", "line": 1, "severity": "low", "title": "Another", "body": "b"}
            findings = [finding_of(request), *([more] if len(lost) else [])]
            call = {"findings": findings, "done": bool(lost)}
            return Answer(tool_calls=(ToolCall(REPORT, call),))
        lost.append(1)
        return Answer(text="This answer does not arrive.", delay=30.0)

    lost: list[int] = []

    async def scenario(url: str) -> Findings:
        async with open_pool(servers.addresses) as pool:
            questions = Findings(pool, url)
            asking = asyncio.create_task(questions.ask(7))
            assert await eventually(lambda: bool(lost))
            servers.kill(next(number for number, server in enumerate(pool.servers) if server.busy))
            await asking
            return questions

    with serve(ScriptedModel(script)) as url:
        questions = asyncio.run(scenario(url))
    assert questions.failed == []
    assert questions.reported == ["Finding 7", "Another"]
    assert questions.calls == 2  # that of the lost server is counted, as far as the server told


@pytest.mark.nightly
def test_a_hundred_questions_leave_no_session_and_no_open_file(servers: Servers) -> None:
    async def scenario(url: str) -> None:
        async with open_pool(servers.addresses) as pool:
            await pool.wait_until_tried()
            questions = Findings(pool, url)
            await questions.ask_all(20)
            opened = open_files(servers)
            await questions.ask_all(100)
            assert questions.failed == []
            assert all(after <= before + 4 for before, after in zip(opened, open_files(servers), strict=True))
            assert [await session_names(address) for address in servers.addresses] == [set(), set()]

    with serve(ScriptedModel(answer_by_number)) as url:
        asyncio.run(scenario(url))
    assert [servers.files(number) for number in (0, 1)] == [[], []]


def open_files(servers: Servers) -> list[int]:
    """Returns the number of open files of each server, and of this process at last."""
    pids = [*(cli.process.pid for cli in servers.all), os.getpid()]
    return [len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids]
