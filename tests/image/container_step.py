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
    """As any step; its folders are those of a runner's job, and `folder` has links to what it leaves."""

    engine: Engine = field(default_factory=lambda: Engine("docker"))
    socket: Path = Path("/var/run/docker.sock")
    """What is mounted in the place of Docker's."""
    options: tuple[str, ...] = ()
    """More of them for `docker run`: what a runner of one's own may have been told to add."""
    arguments: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    """Folders of the container that are mounted so."""
    temp_is_mounted: bool = True
    without_event: bool = False

    @property
    def needs_process(self) -> bool:
        """Always: the container is one."""
        return True

    @property
    def job(self) -> Job:
        return Job(self.folder / "work", self.temp_is_mounted)

    @property
    def container(self) -> str:
        """Its name, for the engine."""
        return f"hunkwise-{self.folder.parent.name}-{self.folder.name}".lower()

    def environment(self) -> dict[str, str]:
        """Makes the folders, and gives what the container gets."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.temporary.mkdir(exist_ok=True)
        self.job.make(self.payload if self.payload is not None else self.usual_payload())
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
        """The running container's client, to which signals go; the container is gone after the block."""
        environment = self.environment()
        process = subprocess.Popen(
            self._command(environment),
            cwd=self.job.workspace,
            env={**os.environ, **environment},  # of which the container gets what is named
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
        """Values stay out of the command line, where the machine's other users could read them."""
        given = [part for name in environment for part in ("-e", name)]
        mounts = [f"{self.socket}:/var/run/docker.sock"]
        for outside, inside in reversed(self.job.mounts.items()):
            mounts.append(f"{outside}:{inside}" + (":ro" if inside in self.read_only else ""))
        return self.engine.run_command(
            *("--name", self.container, "--workdir", "/github/workspace", "--rm"),
            *given,
            *("-e", "GITHUB_ACTIONS=true", "-e", "CI=true"),
            *[part for mount in mounts for part in ("-v", mount)],
            *self.options,
            IMAGE,
            *self.arguments,
        )
