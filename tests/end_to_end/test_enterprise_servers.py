"""Which Copilot gets the token of a job on GitHub Enterprise Server and on ghe.com, on the real CLI."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hunkwise.copilot.find_cli import find_cli
from tests.copilot.programs import script
from tests.end_to_end.audits import Audits, sources
from tests.end_to_end.commands import answer_call, command, reply
from tests.end_to_end.step import COPILOT_TOKEN, GITHUB_TOKEN
from tests.end_to_end.test_doctor import job
from tests.end_to_end.world import World, finding
from tests.fakes.enterprise_server import (
    GHE_COM,
    HOST,
    SERVER,
    EnterpriseServer,
    enterprise_server,
    ghe_com,
    proxy,
)
from tests.fakes.model_script import report


class RecordedCli:
    """The real CLI, behind a script that first writes its environment to a file."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "environment"
        real = find_cli(os.environ)
        program = script(folder, f'env > {self._file}\nexec {real.program} "$@"')
        cache = {"COPILOT_PKG_CACHE_HOME": str(real.package_cache)} if real.package_cache else {}
        self.variables = {"COPILOT_CLI_PATH": str(program), **cache}

    @property
    def environment(self) -> dict[str, str] | None:
        """The variables that it got; None if it was not started."""
        if not self._file.exists():
            return None
        return dict(line.split("=", 1) for line in self._file.read_text().splitlines() if "=" in line)


@pytest.fixture
def cli(world: World) -> RecordedCli:
    return RecordedCli(world.folder)


def test_token_of_server_without_copilot_is_sent_nowhere(world: World, cli: RecordedCli) -> None:
    world.change()
    result = world.run_copilot(token=None, environ={"GITHUB_SERVER_URL": SERVER, **cli.variables}, code=2)
    assert 'Input "copilot-token" is missing: GITHUB_SERVER_URL is neither' in result.error_text
    assert "copilot-token" in result.summary
    assert (world.github.journal, world.copilot.journal, cli.environment) == ([], [], None)


def test_server_without_copilot_is_reviewed_with_a_token_of_its_own(world: World, cli: RecordedCli) -> None:
    world.change(script=report([finding()]))
    world.run_copilot(environ={"GITHUB_SERVER_URL": SERVER, **cli.variables}, code=0)
    assert cli.environment is not None
    assert cli.environment["COPILOT_GITHUB_TOKEN"] == COPILOT_TOKEN
    assert "GH_HOST" not in cli.environment
    assert GITHUB_TOKEN not in cli.environment.values()
    assert [comment.line for comment in world.github.comments] == [3]


def test_cli_gets_host_of_ghe_com(world: World, cli: RecordedCli) -> None:
    world.change(script=report([finding()]))
    world.run_copilot(
        token=None, environ={"GITHUB_SERVER_URL": f"https://{GHE_COM}", **cli.variables}, code=0
    )
    assert cli.environment is not None
    assert cli.environment["GH_HOST"] == GHE_COM
    assert cli.environment["COPILOT_GITHUB_TOKEN"] == GITHUB_TOKEN
    assert [comment.line for comment in world.github.comments] == [3]


@pytest.fixture
def server(world: World) -> Iterator[EnterpriseServer]:
    """An Enterprise Server with the world's repository. Checks that nothing else was asked for anything."""
    with enterprise_server(world.github, world.folder / "server") as server:
        yield server
    assert server.hosts == {f"{HOST}:443"}
    assert {path.split("/")[2] for path in server.paths} == {"v3", "graphql"}
    assert "github.com" not in world.posted + world.summary_comment + world.check_run_text


def test_enterprise_server_has_the_whole_of_a_review(world: World, server: EnterpriseServer) -> None:
    world.change(script=report([finding()]))
    result = world.run({"upload-sarif": "true"}, environ=server.environ, code=0)
    assert [comment.line for comment in world.github.comments] == [3]
    assert result.outputs["review-url"].startswith(f"{SERVER}/")
    assert f"{SERVER}/octo/repo/blob/" in world.summary_comment


def test_enterprise_server_has_the_answer_to_a_command(world: World, server: EnterpriseServer) -> None:
    world.change(script=lambda _request: answer_call("Since the line is new."))
    comment, _ = command(world, "/hunkwise ask Why?", environ=server.environ)
    assert "Since the line is new." in reply(world, comment)


def test_enterprise_server_has_the_issue_of_an_audit(world: World, server: EnterpriseServer) -> None:
    audits = Audits(world, sources(1))
    audits.plant("src/part01.py")
    audits.run(environ=server.environ)
    assert f"{SERVER}/octo/repo/blob/" in audits.issue.body
    assert "github.com" not in audits.issue.body


def test_ghe_com_has_the_whole_of_a_review_and_its_copilot(world: World) -> None:
    world.change(script=report([finding()]))
    with ghe_com(world.github, world.copilot, world.folder / "server") as server:
        step = world.copilot_step(token=None, environ=server.environ)
        for name in ("COPILOT_API_URL", "COPILOT_DEBUG_GITHUB_API_URL"):
            del step.environ[name]
        world.record(step.run(), code=0)
    assert [comment.line for comment in world.github.comments] == [3]
    assert server.hosts == {f"api.{GHE_COM}:443", f"copilot-api.{GHE_COM}:443"}
    assert {entry.token for entry in world.copilot.journal} == {GITHUB_TOKEN}


def test_cli_asks_the_copilot_of_github_only(world: World) -> None:
    world.change()
    with proxy({}) as (address, hosts):
        step = world.copilot_step(token=None, environ={"HTTPS_PROXY": address})
        for name in ("COPILOT_API_URL", "COPILOT_DEBUG_GITHUB_API_URL"):
            del step.environ[name]
        world.record(step.run(), code=3)
    assert hosts == {"api.githubcopilot.com:443"}


def test_doctor_reports_server_without_copilot_and_sends_nothing(world: World, cli: RecordedCli) -> None:
    told = job(world, copilot=True, token=None, environ={"GITHUB_SERVER_URL": SERVER, **cli.variables})
    assert (told.code, told.stopping) == (2, ["Settings", "copilot-token"])
    assert "the server in GITHUB_SERVER_URL has no Copilot" in told.line("copilot-token")
    assert (world.github.journal, world.copilot.journal) == ([], [])
    assert cli.environment is not None, "without a token it is started to check the program"
    assert GITHUB_TOKEN not in cli.environment.values()


def test_doctor_reports_host_of_ghe_com(world: World, cli: RecordedCli) -> None:
    told = job(
        world, copilot=True, token=None, environ={"GITHUB_SERVER_URL": f"https://{GHE_COM}", **cli.variables}
    )
    assert (told.code, told.stopping) == (0, [])
    assert told.line("Copilot server").startswith(f"{GHE_COM}, as in GITHUB_SERVER_URL")
    assert cli.environment is not None
    assert cli.environment["GH_HOST"] == GHE_COM
