"""A step that runs the image, started and stopped as GitHub's runner does it (DockerCommandManager.cs)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.end_to_end.step import Step
from tests.image.engine import IMAGE, Engine
from tests.image.runner_job import Job


@dataclass
class ContainerStep(Step):
    """A step with the folders of a runner's job; `folder` has links to what it leaves."""

    engine: Engine = field(default_factory=lambda: Engine("docker"))
    socket: Path = Path("/var/run/docker.sock")
    """What is mounted in the place of Docker's socket."""
    options: tuple[str, ...] = ()
    """More options of `docker run`, as a self-hosted runner may add."""
    arguments: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    """Folders of the container that are mounted read-only."""
    temp_is_mounted: bool = True
    without_event: bool = False

    @property
    def needs_process(self) -> bool:
        """Always: a container is a process."""
        return True

    @property
    def job(self) -> Job:
        return Job(self.folder / "work", self.temp_is_mounted)

    @property
    def container(self) -> str:
        """The container's name in the engine."""
        return f"hunkwise-{self.folder.parent.name}-{self.folder.name}".lower()

    def environment(self) -> dict[str, str]:
        """Creates the folders, and returns the container's variables."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.temporary.mkdir(exist_ok=True)
        self.job.make(self.payload if self.payload is not None else self.opened_payload())
        for name, target in (
            ("output", self.job.output),
            ("summary", self.job.summary),
            ("temp", self.job.temp),
        ):
            link = self.folder / name
            if not link.is_symlink():
                link.symlink_to(target)
        if self.without_event:
            self.job.event.unlink()
        urls = {"GITHUB_API_URL": self.api_url, "GITHUB_GRAPHQL_URL": f"{self.api_url}/graphql"}
        event = {"GITHUB_EVENT_NAME": self.event_name, "GITHUB_REPOSITORY": self.repository}
        return self.job.environment(self.inputs, self.environ, urls | event)

    @contextmanager
    def started(self) -> Iterator[subprocess.Popen[str]]:
        """Yields the container's client, to which signals go; removes the container afterwards."""
        environment = self.environment()
        process = subprocess.Popen(
            self._command(environment),
            cwd=self.job.workspace,
            # The container gets the named ones. Podman's images are in a folder of HOME where it does not run as root.
            env={**os.environ, **environment, "HOME": os.environ.get("HOME", "/")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                self.engine.remove(self.container)
                process.kill()
            process.communicate()

    def _command(self, environment: dict[str, str]) -> list[str]:
        """Values are not on the command line, where other users of the machine could read them."""
        names = [name for name in environment if name != "HOME"]
        given = [part for name in names for part in ("-e", name)]
        mounts = [f"{self.socket}:/var/run/docker.sock"]
        for outside, inside in reversed(self.job.mounts.items()):
            mounts.append(f"{outside}:{inside}" + (":ro" if inside in self.read_only else ""))
        return self.engine.run_command(
            *("--name", self.container, "--workdir", "/github/workspace", "--rm"),
            *given,
            *("-e", f"HOME={environment['HOME']}", "-e", "GITHUB_ACTIONS=true", "-e", "CI=true"),
            *[part for mount in mounts for part in ("-v", mount)],
            *self.options,
            IMAGE,
            *self.arguments,
        )
