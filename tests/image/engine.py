"""The container engine at hand: podman or docker, and how an image is run with it on this machine."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass

IMAGE = os.environ.get("HUNKWISE_IMAGE", "localhost/hunkwise:dev")
_FIRST_OF_OURS = "/etc/dpkg/dpkg.cfg.d/hunkwise"
"""What the first layer beyond the base image brings (Dockerfile)."""


@dataclass(frozen=True)
class Engine:
    """A program that takes docker's command line."""

    program: str
    options: tuple[str, ...] = ()
    """Before the command."""
    run_options: tuple[str, ...] = ()

    def ask(self, *arguments: str) -> str:
        """What the engine says. Raises CalledProcessError."""
        done = subprocess.run(
            [self.program, *self.options, *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout

    def run_command(self, *arguments: str) -> list[str]:
        """`docker run`, on the network of the machine: the fakes are on its loopback."""
        return [self.program, *self.options, "run", "--network", "host", *self.run_options, *arguments]

    def python(self, code: str) -> str:
        """What a Python of the image prints that runs the code as root."""
        program = "/opt/hunkwise/bin/python"
        command = self.run_command("--rm", "--entrypoint", program, IMAGE, "-I", "-c", code)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def remove(self, container: str) -> None:
        """Ends and removes a container; there need not be one."""
        command = [self.program, *self.options, "rm", "--force", container]
        subprocess.run(command, capture_output=True, check=False)

    def is_there(self, container: str) -> bool:
        """Whether there is a container of that name, running or not."""
        return container in self.ask("ps", "--all", "--format", "{{.Names}}").split()

    def process_id(self, container: str) -> int:
        """The container's first process, as this machine numbers it."""
        return int(self.ask("inspect", "--format", "{{.State.Pid}}", container))

    def beyond_base(self) -> tuple[int, int]:
        """Bytes of the whole image, unpacked, and of what it adds to its base image."""
        history = self._history()
        first = next(place for place, (_, origin) in enumerate(history) if _FIRST_OF_OURS in origin)
        sizes = [size for size, _ in history]
        return sum(sizes), sum(sizes[: first + 1])

    def _history(self) -> list[tuple[int, str]]:
        """Size in bytes and origin of each layer, the newest first."""
        if self.program == "podman":
            return [
                (one["size"], one["CreatedBy"])
                for one in json.loads(self.ask("history", "--no-trunc", "--format", "json", IMAGE))
            ]
        form = "{{.Size}}\t{{.CreatedBy}}"
        told = self.ask("history", "--no-trunc", "--human=false", "--format", form, IMAGE)
        lines = [line.partition("\t") for line in told.splitlines()]
        return [(int(size), origin) for size, _, origin in lines]


def _podman() -> Engine:
    # crun fails on some kernels that runc runs on, and the limits are less than what a nested machine grants.
    limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--http-proxy=false")
    return Engine("podman", ("--runtime", "runc"), limits)


def engine() -> Engine:
    """What ENGINE names, else the first that has the image. Raises RuntimeError where none has."""
    known = {"podman": _podman(), "docker": Engine("docker")}
    for name in os.environ.get("ENGINE", "docker podman").split():
        try:
            known[name].ask("image", "inspect", IMAGE)
        except (OSError, subprocess.CalledProcessError):
            continue
        return known[name]
    raise RuntimeError(f"There is no image {IMAGE}: run `make image`.")
