"""Runs the real CLI as a child process, for tests that compare the fakes with it."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hunkwise.copilot.connection import BoundedClient, connect
from hunkwise.copilot.sidecar import Address

OFFLINE: Final = {"COPILOT_OFFLINE": "true", "COPILOT_PROVIDER_BASE_URL": "http://127.0.0.1:1"}
"""Variables of a CLI that sends nothing to GitHub; each question names its provider."""
ROOT = Path(__file__).resolve().parents[2]
_MODULES = ROOT / "node_modules"
_START_SECONDS = 30.0


@dataclass(frozen=True)
class RealCli:
    """A listening CLI: connect the SDK to `localhost:port` with `token`."""

    port: int
    token: str = field(repr=False)
    process: subprocess.Popen[str]

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self.port, self.token)


async def session_names(address: Address) -> set[str]:
    """Returns the ids of a CLI's sessions."""
    connection = await connect(BoundedClient(address))
    try:
        return {one.session_id for one in await connection.client.list_sessions()}
    finally:
        await connection.close()


def cli_binary() -> Path:
    """Returns the packaged runtime if it is unpacked, otherwise the CLI itself."""
    unpacked = sorted(_MODULES.glob(".cache/copilot/pkg/*/*/prebuilds/*/copilot-runtime"))
    return unpacked[-1] if unpacked else next(_MODULES.glob("@github/copilot-*/copilot"))


@contextmanager
def running_cli(
    home: Path, environment: Mapping[str, str], *, port: int = 0, token: str = ""
) -> Iterator[RealCli]:
    """Starts the CLI with only this environment and its homes below `home`. Port and token: any, if not given."""
    token = token or secrets.token_hex(16)
    binary = cli_binary()
    home.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [str(binary), "--headless", "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        cwd=home,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "COPILOT_HOME": str(home / "copilot"),
            "COPILOT_PKG_CACHE_HOME": str(_MODULES / ".cache" / "copilot"),
            "COPILOT_CONNECTION_TOKEN": token,
            **environment,
        },
    )
    try:
        yield RealCli(_port_of(process), token, process)
    finally:
        process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def _port_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    timer = threading.Timer(_START_SECONDS, process.kill)
    timer.start()
    try:
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if found := re.search(r"listening on port (\d+)", line):
                return int(found[1])
    finally:
        timer.cancel()
    raise RuntimeError(f"The CLI did not listen. It wrote: {''.join(lines)!r}")
