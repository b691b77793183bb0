"""The container engine, podman or docker, and how an image is run with it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.end_to_end.step import ROOT

ACTION = Path(os.environ.get("HUNKWISE_ACTION", ROOT / "action.yml"))
"""The action.yml whose image is run, and that the inputs' defaults are from."""


def image_of(action: str) -> str:
    """Returns the image that an action.yml names; for a Dockerfile, what `make image` builds from it."""
    named: str = yaml.safe_load(action)["runs"]["image"]
    return named.removeprefix("docker://") if named != "Dockerfile" else "localhost/hunkwise:dev"


IMAGE = image_of(ACTION.read_text(encoding="utf-8"))
_FIRST_OF_OURS = "/etc/dpkg/dpkg.cfg.d/hunkwise"
"""A file of the first layer after the base image (Dockerfile)."""


class NoImageError(Exception):
    """No engine has the image."""


@dataclass(frozen=True)
class Engine:
    """A program with docker's command line."""

    program: str
    options: tuple[str, ...] = ()
    """Options before the command."""
    run_options: tuple[str, ...] = ()

    def ask(self, *arguments: str) -> str:
        """Returns the engine's output. Raises CalledProcessError."""
        done = subprocess.run(
            [self.program, *self.options, *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout

    def run_command(self, *arguments: str) -> list[str]:
        """Returns `docker run` on the machine's network: the fakes are on its loopback."""
        return [self.program, *self.options, "run", "--network", "host", *self.run_options, *arguments]

    @contextmanager
    def started(self, image: str, *options: str) -> Iterator[str]:
        """Starts an image in the background, on a network of containers; yields the container's id."""
        container = self.ask("run", "--detach", *self.run_options, *options, image).strip()
        try:
            yield container
        finally:
            self.remove(container)

    def execute(self, container: str, *command: str) -> int:
        """Returns the exit code of a command in a container."""
        return subprocess.run(
            [self.program, *self.options, "exec", container, *command], capture_output=True, check=False
        ).returncode

    def logs(self, container: str) -> str:
        """Returns what a container has written."""
        done = subprocess.run(
            [self.program, *self.options, "logs", container],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
        return done.stdout

    def address(self, container: str) -> str:
        """Returns an IP address of a container, which this machine reaches."""
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        return self.ask("inspect", "--format", form, container).split()[0]

    def is_healthy(self, container: str) -> bool:
        """Returns whether the container's health check succeeds; with docker, did so last."""
        if self.program == "podman":  # without systemd it checks only when it is asked
            command = [self.program, *self.options, "healthcheck", "run", container]
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        return self.ask("inspect", "--format", "{{.State.Health.Status}}", container).strip() == "healthy"

    def python(self, code: str) -> str:
        """Returns the output of the code, run as root with the image's Python."""
        program = "/opt/hunkwise/bin/python"
        command = self.run_command("--rm", "--entrypoint", program, IMAGE, "-I", "-c", code)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def remove(self, container: str) -> None:
        """Stops and removes the container, if there is one, with its volumes that have no name."""
        command = [self.program, *self.options, "rm", "--force", "--volumes", container]
        subprocess.run(command, capture_output=True, check=False)

    def is_there(self, container: str) -> bool:
        """Returns whether the container exists, running or not."""
        return container in self.ask("ps", "--all", "--format", "{{.Names}}").split()

    def process_id(self, container: str) -> int:
        """Returns the container's first process by this machine's number."""
        return int(self.ask("inspect", "--format", "{{.State.Pid}}", container))

    def beyond_base(self) -> tuple[int, int]:
        """Returns the bytes of the unpacked image, and of its layers after the base image."""
        history = self._history()
        first = next(place for place, (_, origin) in enumerate(history) if _FIRST_OF_OURS in origin)
        sizes = [size for size, _ in history]
        return sum(sizes), sum(sizes[: first + 1])

    def _history(self) -> list[tuple[int, str]]:
        """Returns size in bytes and origin of each layer, the newest first."""
        if self.program == "podman":
            return [
                (one["size"], one["CreatedBy"])
                for one in json.loads(self.ask("history", "--no-trunc", "--format", "json", IMAGE))
            ]
        form = "{{.Size}}\t{{.CreatedBy}}"
        listed = self.ask("history", "--no-trunc", "--human=false", "--format", form, IMAGE)
        lines = [line.partition("\t") for line in listed.splitlines()]
        return [(int(size), origin) for size, _, origin in lines]


def _podman() -> Engine:
    # crun fails on some kernels on which runc works, and the limits are below those of a nested machine.
    limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--http-proxy=false")
    return Engine("podman", ("--runtime", "runc"), limits)


def find_engine() -> Engine:
    """Returns the engine that ENGINE names, or the first that has the image. Raises NoImageError."""
    known = {"podman": _podman(), "docker": Engine("docker")}
    for name in os.environ.get("ENGINE", "docker podman").split():
        try:
            known[name].ask("image", "inspect", IMAGE)
        except (OSError, subprocess.CalledProcessError):
            continue
        return known[name]
    raise NoImageError(f"There is no image {IMAGE}: run `make image`.")
