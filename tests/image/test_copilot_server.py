"""Tests the Copilot CLI as a server of examples/server: its entrypoint, its image, and its unit for systemd."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hunkwise.copilot.connection import BoundedClient, connect
from hunkwise.copilot.find_cli import CLI_VERSION
from hunkwise.copilot.sidecar import Address
from hunkwise.errors import ModelError
from tests.end_to_end.step import ROOT
from tests.end_to_end.world import wait_until
from tests.image.engine import Engine

EXAMPLE = ROOT / "examples" / "server"
IMAGE = "localhost/copilot-cli-server:dev"
TOKEN = "canary-connection-token"
_UID = "10001"
_MAX_EXPOSURE = 1.5
"""Of ten, as systemd rates the unit."""


@pytest.fixture
def server(engine: Engine, tmp_path: Path) -> Iterator[str]:
    """A container that runs as README.md says, with a read-only root folder."""
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    token.chmod(0o444)
    options = (
        *(
            "--read-only",
            "--tmpfs",
            "/tmp:noexec",
            "--cap-drop",
            "ALL",
            "--security-opt",
            "no-new-privileges",
        ),
        *("-v", f"{token}:/run/secrets/token:ro", "-v", "/var/lib/copilot"),
        *("-e", "COPILOT_CONNECTION_TOKEN_FILE=/run/secrets/token"),
    )
    with engine.started(IMAGE, *options) as container:
        wait_until(lambda: engine.execute(container, "/opt/copilot/healthcheck.sh") == 0)
        yield container


def entrypoint(environ: dict[str, str]) -> tuple[int, str]:
    """Returns the exit code and the message of the entrypoint, run here, where there is no CLI."""
    done = subprocess.run(
        [EXAMPLE / "entrypoint.sh"],
        env={"PATH": "/usr/bin:/bin", "COPILOT_HOME": "/nonexistent", **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({}, "COPILOT_CONNECTION_TOKEN is missing"),
        ({"COPILOT_CONNECTION_TOKEN": ""}, "COPILOT_CONNECTION_TOKEN is missing"),
        ({"COPILOT_CONNECTION_TOKEN": "fifteen-letters"}, "at least 16 characters"),
        ({"COPILOT_CONNECTION_TOKEN": 'sixteen-letters"'}, "letters, digits and"),
        ({"COPILOT_CONNECTION_TOKEN": "sixteen letters!"}, "letters, digits and"),
        ({"COPILOT_CONNECTION_TOKEN_FILE": "/nonexistent"}, "names /nonexistent, which user"),
        ({"COPILOT_CONNECTION_TOKEN": TOKEN, "COPILOT_ALLOW_ALL": "1"}, "COPILOT_ALLOW_ALL is set"),
        ({"COPILOT_CONNECTION_TOKEN": TOKEN}, "cannot write to /nonexistent"),
    ],
)
def test_entrypoint_refuses(environ: dict[str, str], reason: str) -> None:
    code, message = entrypoint(environ)
    if os.geteuid() == 0 and "COPILOT_CONNECTION_TOKEN" in environ and TOKEN in environ.values():
        reason = "does not run as root"
    assert code == 2
    assert reason in message
    assert TOKEN not in message


@pytest.mark.parametrize("options", [(), ("--user", "0", "-e", f"COPILOT_CONNECTION_TOKEN={TOKEN}")])
def test_container_refuses_to_start_without_token_and_as_root(
    engine: Engine, options: tuple[str, ...]
) -> None:
    with engine.started(IMAGE, *options) as container:
        assert engine.ask("wait", container).strip() == "2"
        reason = "does not run as root" if options else "COPILOT_CONNECTION_TOKEN is missing"
        assert reason in engine.logs(container)


def version_at(address: Address) -> str:
    """Connects as hunkwise does; returns the server's version. Raises ModelError."""

    async def main() -> str:
        connection = await connect(BoundedClient(address))
        try:
            return connection.cli_version
        finally:
            await connection.close()

    return asyncio.run(main())


def test_server_needs_its_token_and_has_few_privileges(engine: Engine, server: str) -> None:
    host = engine.address(server)
    assert version_at(Address(host, 4321, TOKEN)) == CLI_VERSION
    for wrong in (None, f"{TOKEN}2", TOKEN[:-1]):
        with pytest.raises(ModelError, match="could not be reached"):
            version_at(Address(host, 4321, wrong))
    status = Path(f"/proc/{engine.process_id(server)}/status").read_text()
    assert set(re.findall(r"^(?:Uid|Gid):\t(\d+)\t(\d+)\t(\d+)\t(\d+)$", status, re.M)) == {(_UID,) * 4}
    assert re.findall(r"^(?:CapEff|CapBnd):\t0+$", status, re.M)
    for folder in ("/", "/opt/copilot", "/usr/local/bin", "/var/lib"):
        assert engine.execute(server, "touch", f"{folder}/file") != 0
    assert engine.execute(server, "touch", "/var/lib/copilot/file") == 0
    assert TOKEN not in engine.logs(server)


def test_health_check_fails_for_a_server_that_hangs(engine: Engine, server: str) -> None:
    """Its port still accepts connections: the kernel does that."""
    engine.ask("kill", "--signal", "STOP", server)
    assert engine.execute(server, "/opt/copilot/healthcheck.sh") != 0
    engine.ask("kill", "--signal", "CONT", server)
    wait_until(lambda: engine.execute(server, "/opt/copilot/healthcheck.sh") == 0)


@pytest.fixture
def systemd_root(tmp_path: Path) -> Path:
    """A root folder with systemd's own units, our unit, and the programs that it names."""
    shutil.copytree("/usr/lib/systemd/system", tmp_path / "usr/lib/systemd/system", symlinks=True)
    for program in ("bin/sh", "opt/copilot/copilot"):
        path = tmp_path / program
        path.parent.mkdir(parents=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    shutil.copy(EXAMPLE / "copilot-cli@.service", units)
    return tmp_path


def analyze(root: Path, *arguments: str) -> str:
    """Returns the output of systemd-analyze on the instance at port 4321."""
    done = subprocess.run(
        ["systemd-analyze", f"--root={root}", "--man=no", *arguments, "copilot-cli@4321.service"],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    return done.stdout


def test_systemd_accepts_the_unit_and_rates_its_exposure_low(systemd_root: Path) -> None:
    assert analyze(systemd_root, "verify") == ""
    rated = re.search(r"exposure level .*: (\d+\.\d) ", analyze(systemd_root, "--offline=true", "security"))
    assert rated is not None
    assert float(rated[1]) <= _MAX_EXPOSURE


def test_unit_requires_a_connection_token(systemd_root: Path) -> None:
    unit = (systemd_root / "etc/systemd/system/copilot-cli@.service").read_text(encoding="utf-8")
    (line,) = re.findall(r"^ExecStartPre=/bin/sh -c '(.*)'$", unit, re.M)
    for token, code in (("", 78), ("x" * 15, 78), ("x" * 16, 0)):
        command = ["/bin/sh", "-c", line.replace("$$", "$")]
        environ = {"COPILOT_CONNECTION_TOKEN": token} if token else {}
        assert subprocess.run(command, env=environ, capture_output=True, check=False).returncode == code
