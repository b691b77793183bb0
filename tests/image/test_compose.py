"""Tests examples/server/compose.yaml: the service with two Copilot CLI servers, from a webhook to a review."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from copilot.session_events import AssistantMessageData

from hunkwise.copilot.connection import BoundedClient, CopilotConnection, connect
from hunkwise.copilot.sidecar import Address
from tests.end_to_end.step import COPILOT_TOKEN
from tests.end_to_end.world import finding, report_call, wait_until
from tests.fakes.copilot_api import FakeCopilot
from tests.fakes.github_app import APP_ID, INSTALLATION, key_pair
from tests.fakes.http_server import free_port, serve
from tests.fakes.model_script import REPORT_TOOL, Answer, ModelRequest
from tests.image.compose import Compose, network
from tests.image.engine import Engine
from tests.image.test_copilot_server import EXAMPLE
from tests.image.test_copilot_server import IMAGE as COPILOT_IMAGE
from tests.service.service_world import REPOSITORIES, ServiceWorld, service_world
from tests.service.webhook_sender import SECRET, WebhookSender, pull_request

SERVICE_IMAGE = "localhost/hunkwise-service:dev"
_FILES = 6
"""Of the pull request; each is one question."""
_BASE = {".github/hunkwise.yml": "version: 1\nchunk-size: 4000\nverify: off\nsummary: off\n"}
_HEAD = {f"f{number}.py": f"x{number} = 1\n" * 200 for number in range(_FILES)}
_ANSWER_SECONDS = 6.0
_DOCUMENT: dict[str, Any] = yaml.safe_load((EXAMPLE / "compose.yaml").read_text(encoding="utf-8"))


def answer(request: ModelRequest) -> Answer:
    """Reports one finding for each file of the question; answers a question without tools at once."""
    if REPORT_TOOL not in request.tool_names or request.tool_results:
        return Answer(text=f"You wrote: {request.prompt.splitlines()[-1]}")
    numbers = sorted(set(re.findall(r"x(\d) = 1", request.prompt)))
    found = [finding(f"f{number}.py", 7) for number in numbers]
    return replace(report_call(*found), delay=_ANSWER_SECONDS)


def overrides(engine: Engine, outside: str, environ: dict[str, str], copilot_url: str) -> dict[str, Any]:
    """Returns what differs from the example: images, and addresses of fakes on the bridge of `outside`."""
    hunkwise = {"image": SERVICE_IMAGE, "environment": environ}
    urls = dict.fromkeys(("COPILOT_API_URL", "COPILOT_DEBUG_GITHUB_API_URL"), copilot_url)
    copilot = {"image": COPILOT_IMAGE, "environment": urls}
    services: dict[str, Any] = dict.fromkeys(("migrate", "web", "worker"), hunkwise)
    services |= dict.fromkeys(("copilot-1", "copilot-2"), copilot)
    if engine.program == "podman":
        stand_ins = engine.ask(
            "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter=reference=*postgres*"
        )
        services["postgres"] = {"image": stand_ins.split()[0]}
    return {"services": services, "networks": {"outside": {"external": True, "name": outside}}}


def make_secrets(folder: Path) -> str:
    """Makes the secrets as README.md says; returns the connection token."""
    secrets = folder / "secrets"
    secrets.mkdir()
    files = {
        "app.pem": key_pair()[0],
        "webhook-secret": SECRET.decode(),
        "copilot-token": COPILOT_TOKEN,
    }
    for name, text in files.items():
        (secrets / name).write_text(text)
    sudo = () if os.geteuid() == 0 else ("sudo",)
    subprocess.run([*sudo, folder / "make-secrets.sh"], check=True)
    read = subprocess.run(
        [*sudo, "cat", secrets / "connection-token"], capture_output=True, text=True, check=True
    )
    return read.stdout


@contextmanager
def connected(compose: Compose, service: str, token: str) -> Iterator[Any]:
    """Yields what runs a coroutine with a connection to a Copilot CLI server."""
    (container,) = compose.containers(service)
    address = Address(compose.engine.address(container), 4321, token)

    async def main(act: Any) -> Any:
        connection = await connect(BoundedClient(address))
        try:
            return await act(connection)
        finally:
            await connection.close()

    yield lambda act: asyncio.run(main(act))


@contextmanager
def running(folder: Path, engine: Engine) -> Iterator[tuple[Compose, ServiceWorld, FakeCopilot, str]]:
    """Starts the example beside a fake GitHub and a fake of Copilot's API; yields its connection token last."""
    example = folder / "server"
    shutil.copytree(EXAMPLE, example)
    token = make_secrets(example)
    project = f"hunkwise-test-{os.getpid()}"
    outside = f"{project}-outside"
    copilot = FakeCopilot((COPILOT_TOKEN,), answer)
    with (
        network(engine, outside) as host,
        service_world(folder, _BASE, _HEAD, host=host) as world,
        serve(copilot, host=host) as copilot_url,
    ):
        environ = {name: text for name, text in world.environ().items() if name.startswith("GITHUB_")}
        variables = {"HUNKWISE_APP_ID": str(APP_ID), "HUNKWISE_PORT": str(free_port())}
        compose = Compose(
            engine, project, example, overrides(engine, outside, environ, copilot_url), variables
        )
        with compose.started():
            try:
                yield compose, world, copilot, token
            except BaseException:
                print(compose.logs())
                raise


def is_ready(sender: WebhookSender) -> bool:
    with suppress(OSError):
        return sender.get("/readyz")[0] == 200
    return False


async def remember(connection: CopilotConnection) -> None:
    """Has a conversation that stays on the server."""
    session = await connection.client.create_session(
        session_id="canary", model="gpt-5-mini", available_tools=[]
    )
    await session.send_and_wait("The number is 4711.", timeout=20)
    await session.disconnect()


async def recall(connection: CopilotConnection) -> list[str]:
    """Returns what was answered in that conversation."""
    session = await connection.client.resume_session("canary", available_tools=[])
    events = await session.get_events()
    await session.disconnect()
    return [event.data.content for event in events if isinstance(event.data, AssistantMessageData)]


def test_review_survives_the_restart_of_a_server_and_sessions_that_of_all(
    tmp_path: Path, engine: Engine
) -> None:
    with running(tmp_path, engine) as (compose, world, copilot, token):
        sender = WebhookSender(f"http://127.0.0.1:{compose.variables['HUNKWISE_PORT']}")
        wait_until(lambda: is_ready(sender), seconds=60)
        for service in ("copilot-1", "copilot-2", "web", "worker"):
            for container in compose.containers(service):
                wait_until(lambda container=container: engine.is_healthy(container), seconds=60)  # type: ignore[misc]
        with connected(compose, "copilot-1", token) as ask:
            ask(remember)

        push = pull_request("synchronize", 1, repository=REPOSITORIES[0], installation={"id": INSTALLATION})
        assert sender.send(push) == (202, {"queued": True})
        wait_until(lambda: copilot.model.in_flight > _FILES // 2, seconds=60)  # so both servers have some
        compose.run("restart", "copilot-1")
        github = world.app.repositories[REPOSITORIES[0]]
        wait_until(lambda: any(run.conclusion for run in github.check_runs), seconds=90)
        asked = [request for request in copilot.requests if REPORT_TOOL in request.tool_names]
        assert sorted(comment.path for comment in github.comments) == sorted(_HEAD)
        assert len(github.reviews) == 1
        assert len([request for request in asked if not request.tool_results]) > _FILES  # some were lost
        assert {entry.token for entry in copilot.journal} == {COPILOT_TOKEN}
        assert world.app.fetched  # the worker has a mirror: its Git can fetch

        logs = compose.logs()
        for secret in (COPILOT_TOKEN, token, SECRET.decode(), key_pair()[0].splitlines()[1]):
            assert secret not in logs
        worker = compose.containers("worker")[0]
        check = ("hunkwise", "servers", "check", "copilot-1:4321", "copilot-2:4321")
        # podman's name server takes some seconds to know the new address.
        wait_until(lambda: engine.execute(worker, *check) == 0, pause=0.5)

        compose.run("down")
        compose.up()
        wait_until(lambda: is_ready(sender), seconds=60)
        with connected(compose, "copilot-1", token) as ask:
            assert ask(recall) == ["You wrote: The number is 4711."]


def test_only_the_web_process_has_a_port_and_an_open_network() -> None:
    services = _DOCUMENT["services"]
    assert {name for name, service in services.items() if "ports" in service} == {"web"}
    (port,) = services["web"]["ports"]
    assert port.startswith("127.0.0.1:")
    assert {name for name, service in services.items() if "public" in service["networks"]} == {"web"}
    assert services["postgres"]["networks"] == ["internal"]
    assert _DOCUMENT["networks"]["internal"] == {"internal": True}


def test_secrets_are_files_and_each_process_has_only_its_own() -> None:
    declared = set(_DOCUMENT["secrets"])
    given = {name: set(service["secrets"]) for name, service in _DOCUMENT["services"].items()}
    assert declared == set.union(*given.values())
    assert given["copilot-1"] == given["copilot-2"] == {"connection-token", "copilot-token"}
    assert given["postgres"] == {"postgres-password"}
    assert "copilot-token" not in given["web"] | given["worker"] | given["migrate"]
    for service in _DOCUMENT["services"].values():
        for name, text in service["environment"].items():
            assert not re.search("TOKEN|PASSWORD|KEY|SECRET", name) or name.endswith("_FILE")
            assert "password=" not in json.dumps(text)


@pytest.mark.parametrize("name", ["copilot-1", "copilot-2", "migrate", "web", "worker"])
def test_containers_have_no_privileges(name: str) -> None:
    service = _DOCUMENT["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges"]
