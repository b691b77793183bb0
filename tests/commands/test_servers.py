"""`hunkwise servers check` and `clean`, on a real Copilot CLI."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from copilot.session import ProviderConfig

from hunkwise.commands.server_drain import wait_until_up
from hunkwise.copilot.connection import BoundedClient, connect
from hunkwise.copilot.find_cli import CLI_VERSION
from hunkwise.copilot.sidecar import Address
from hunkwise.errors import ModelError
from tests.fakes.command_line import Printed, run
from tests.fakes.http_server import serve
from tests.fakes.model_provider import ScriptedModel
from tests.fakes_contract.cli import OFFLINE, RealCli, running_cli, session_names


@dataclass(frozen=True)
class Server:
    """A headless CLI, and its folder for state."""

    cli: RealCli
    home: Path
    folder: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.cli.port}"

    def run(self, *arguments: str, **environ: str) -> Printed:
        """Runs `hunkwise servers …` with the right token, unless `environ` has another."""
        usual = {"PATH": os.environ["PATH"], "COPILOT_CONNECTION_TOKEN": self.cli.token}
        return run(("servers", *arguments), {**usual, **environ}, self.folder)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with running_cli(folder / "cli", OFFLINE) as cli:
        yield Server(cli, folder / "cli" / "copilot", folder)


def test_check_tells_the_version_and_which_servers_do_not_answer(server: Server) -> None:
    checked = server.run("check", server.address)
    assert (checked.code, checked.out) == (0, f"{server.address}: version {CLI_VERSION}\n")
    assert server.run("check", HUNKWISE_COPILOT_URLS=server.address).code == 0
    wrong = server.run("check", server.address, "127.0.0.1:1", COPILOT_CONNECTION_TOKEN="wrong")
    assert wrong.code == 1
    assert sorted(wrong.out.splitlines()) == sorted(
        [
            "127.0.0.1:1: The Copilot CLI could not be reached: Connection refused.",
            f"{server.address}: The Copilot CLI could not be reached: it did not accept the connection token, or got"
            " none.",
        ]
    )


def test_token_in_a_file_is_used_first(server: Server) -> None:
    file = server.folder / "token"
    file.write_text(f"{server.cli.token}\n")
    file.chmod(0o600)
    environ = {"HUNKWISE_COPILOT_CONNECTION_TOKEN_FILE": str(file), "COPILOT_CONNECTION_TOKEN": "wrong"}
    assert server.run("check", server.address, **environ).code == 0
    file.chmod(0o644)
    readable = server.run("check", server.address, **environ)
    assert (readable.code, "chmod 600" in readable.errors) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["check"], "Name a server as HOST:PORT, or set HUNKWISE_COPILOT_URLS."),
        (["check", "cli"], "cli has no port; write host:port, such as 127.0.0.1:4321"),
        (["clean", "cli:1", "--older", "10m"], "it must be a time from 1h to 366d, such as 90m, 24h or 7d"),
        (["clean", "cli:1", "--older", "24"], "it must be a time from 1h to 366d"),
        (["drain"], "the following arguments are required: HOST:PORT"),
        (["drain", "cli:1"], "HUNKWISE_COPILOT_URLS is missing: set it as for the service."),
        (["recycle"], "the following arguments are required: --restart"),
    ],
)
def test_wrong_arguments_are_reported(tmp_path: Path, arguments: list[str], fault: str) -> None:
    printed = run(("servers", *arguments), {"PATH": os.environ["PATH"]}, tmp_path)
    assert printed.code == 2
    assert fault in printed.errors


def test_a_restarted_server_is_waited_for_a_limited_time() -> None:
    with pytest.raises(ModelError, match="could not be reached"):
        wait_until_up(Address("127.0.0.1", 1), seconds=0.0)


def test_only_an_address_of_the_service_is_drained(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "HUNKWISE_COPILOT_URLS": "cli-1:4321, cli-2:4321"}
    printed = run(("servers", "drain", "cli-3:4321"), environ, tmp_path)
    assert (printed.code, printed.errors) == (
        2,
        "hunkwise: cli-3:4321 is none of HUNKWISE_COPILOT_URLS, which has cli-1:4321, cli-2:4321.\n",
    )


def make_sessions(server: Server, names: list[str]) -> None:
    """Makes sessions of one message each: others are not kept."""

    async def scenario(url: str) -> None:
        connection = await connect(BoundedClient(server.cli.address))
        provider = ProviderConfig(type="openai", base_url=url, api_key="key")
        for name in names:
            session = await connection.client.create_session(
                session_id=name, model="m", provider=provider, available_tools=[]
            )
            await session.send_and_wait("Hello.")
            await session.disconnect()
        await connection.close()

    with serve(ScriptedModel()) as url:
        asyncio.run(scenario(url))


def listed(server: Server) -> set[str]:
    return asyncio.run(session_names(server.cli.address))


def make_old(path: Path, hours: float) -> None:
    for one in (path, *path.rglob("*")):
        moment = time.time() - hours * 3600
        os.utime(one, (moment, moment))


def test_clean_deletes_our_old_sessions_and_no_others(server: Server) -> None:
    names = ["hunkwise-old", "hunkwise-young", "other-old"]
    make_sessions(server, names)
    assert listed(server) == set(names)
    for name in ("hunkwise-old", "other-old"):
        make_old(server.home / "session-state" / name, 25)
    make_old(server.home / "session-state" / "hunkwise-young", 23)
    cleaned = server.run("clean", server.address)
    assert (cleaned.code, cleaned.out) == (0, f"{server.address}: 1 session deleted\n")
    assert listed(server) == {"hunkwise-young", "other-old"}
    assert server.run("clean", server.address, "--older", "1380m").out.endswith(": 1 session deleted\n")
    assert listed(server) == {"other-old"}


def test_clean_deletes_old_locks_in_a_home_of_this_machine(server: Server) -> None:
    make_sessions(server, ["hunkwise-a", "hunkwise-b"])
    make_old(server.home / "session-state" / "hunkwise-a", 25)
    make_old(server.home / "session-state" / "hunkwise-b", 25)
    home = ("--home", str(server.home))
    assert server.run("clean", server.address, *home).out.endswith(": 0 locks deleted\n")
    locks = server.home / "session-state" / ".session-operation-locks"
    made = {path.name for path in locks.iterdir()}
    assert {"hunkwise-a.lock", "hunkwise-b.lock"} <= made
    make_old(locks / "hunkwise-a.lock", 25)
    assert server.run("clean", server.address, *home).out.endswith(f"{server.home}: 1 lock deleted\n")
    assert {path.name for path in locks.iterdir()} == made - {"hunkwise-a.lock"}


def test_clean_continues_after_a_server_that_does_not_answer(server: Server) -> None:
    cleaned = server.run("clean", "127.0.0.1:1", server.address)
    assert cleaned.code == 3
    assert f"{server.address}: 0 sessions deleted\n" in cleaned.out
    assert cleaned.errors == "hunkwise: 1 of 2 servers could not be cleaned, as it says above.\n"
    elsewhere = server.run("clean", server.address, "--home", str(server.folder))
    assert (elsewhere.code, "is no COPILOT_HOME" in elsewhere.errors) == (2, True)
