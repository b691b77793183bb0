"""A project of Compose in the folder of a copied example, run with podman-compose or docker compose."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.image.engine import Engine

_CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
http_proxy = false
[engine]
runtime = "runc"
"""
"""What `Engine` has as options of podman, which podman-compose does not pass on."""
_SECONDS = 120


@dataclass(frozen=True)
class Compose:
    """One project."""

    engine: Engine
    project: str
    folder: Path
    """Has compose.yaml."""
    overrides: Mapping[str, Any]
    """A second file for Compose."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """What compose.yaml takes from the environment."""

    def run(self, *arguments: str) -> str:
        """Runs a command of Compose; returns its output. Raises CalledProcessError."""
        (self.folder / "overrides.yaml").write_text(json.dumps(self.overrides), encoding="utf-8")
        (self.folder / "containers.conf").write_text(_CONTAINERS_CONF, encoding="utf-8")
        program = ["podman-compose"] if self.engine.program == "podman" else ["docker", "compose"]
        files = ("-f", "compose.yaml", "-f", "overrides.yaml")
        done = subprocess.run(
            [*program, "-p", self.project, *files, *arguments],
            cwd=self.folder,
            env={**os.environ, **self.variables, "CONTAINERS_CONF": str(self.folder / "containers.conf")},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def up(self) -> None:
        self.run("up", "-d", "--no-build")

    @contextmanager
    def started(self) -> Iterator[None]:
        """Starts the project, and removes it at the end with its volumes."""
        try:
            self.up()
            yield
        finally:
            self.run("down", "-v")
            # podman-compose leaves the networks, and a container that is being restarted.
            for container in self.containers():
                self.engine.remove(container)
            label = f"--filter=label=com.docker.compose.project={self.project}"
            for left in self.engine.ask("network", "ls", "--quiet", label).split():
                self.engine.ask("network", "rm", left)

    def containers(self, service: str = "") -> list[str]:
        """Returns the ids of the containers, running or not, of a service or of all."""
        labels = {"project": self.project, **({"service": service} if service else {})}
        filters = [f"--filter=label=com.docker.compose.{name}={text}" for name, text in labels.items()]
        return self.engine.ask("ps", "--all", "--quiet", *filters).split()

    def logs(self) -> str:
        """Returns the logs of all containers."""
        return "\n".join(self.engine.logs(container) for container in self.containers())


@contextmanager
def network(engine: Engine, name: str) -> Iterator[str]:
    """Creates a network, and yields the address that this machine has in it once a container uses it."""
    engine.ask("network", "create", name)
    try:
        (described,) = json.loads(engine.ask("network", "inspect", name))
        subnets = described.get("subnets") or described["IPAM"]["Config"]
        yield next(subnet.get("gateway") or subnet["Gateway"] for subnet in subnets)
    finally:
        engine.ask("network", "rm", name)
