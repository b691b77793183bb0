"""A world whose steps are containers, with more checks at the end."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.end_to_end import step_checks
from tests.end_to_end.step import Step
from tests.end_to_end.world import SECRETS, World
from tests.image.container_step import ContainerStep
from tests.image.engine import Engine
from tests.image.runner_job import RUNTIME_TOKEN
from tests.image.socket_canary import listening
from tests.redteam.checks import folder_changes, folder_contents


class ContainerWorld(World):
    """A world of containers. `socket_mode` is that of Docker's socket on the runner."""

    def __init__(self, folder: Path, stack: ExitStack, engine: Engine, socket_mode: int = 0o660) -> None:
        super().__init__(folder, stack)
        self.engine = engine
        self._socket = stack.enter_context(listening(folder / "docker.sock", socket_mode))
        self._workspaces: dict[Path, dict[str, str]] = {}

    def bare_step(self, inputs: Mapping[str, str], **given: Any) -> Step:
        folder = self.folder / f"step{len(self._steps)}"
        step = ContainerStep(
            folder,
            self.github_url,
            inputs=dict(inputs),
            engine=self.engine,
            socket=self._socket.path,
            **given,
        )
        self._check_out(step.job.workspace)
        self._workspaces[step.job.workspace] = folder_contents(step.job.workspace)
        self._steps.append(step)
        self._posted_before[folder] = self._posted_without_replies
        return step

    def container_step(self, inputs: Mapping[str, str] | None = None, **given: Any) -> ContainerStep:
        """Returns a step that asks the provider's model."""
        step = self.step(inputs, **given)
        assert isinstance(step, ContainerStep)
        return step

    def _check_out(self, workspace: Path) -> None:
        """Copies what actions/checkout leaves: the head with its history."""
        shutil.copytree(self.repository.path, workspace, symlinks=True)

    def check(self) -> None:
        """Checks that Docker's socket was not used, the workspace not changed, and no secret left."""
        super().check()
        assert self._socket.connections == []
        for step in self._steps:
            assert isinstance(step, ContainerStep)
            assert not self.engine.is_there(step.container)
            assert (
                folder_changes(self._workspaces[step.job.workspace], folder_contents(step.job.workspace))
                == []
            )
            self._check_leftovers(step)

    def _check_leftovers(self, step: ContainerStep) -> None:
        files = [path for path in sorted(step.job.temp.rglob("*")) if path.is_file()]
        documented = {"report.json", "hunkwise.sarif", "journal.jsonl"}
        reports = (step.job.temp / "hunkwise", step.job.home / "hunkwise")
        runners_own = {step.job.event, step.job.output, step.job.summary}
        unexpected = [
            path
            for path in files
            if path not in runners_own and not (path.parent in reports and path.name in documented)
        ]
        assert unexpected == []
        for path in files:
            held = path.read_text("utf-8", "surrogateescape")
            assert step_checks.secrets_in(held, [*SECRETS, *self.more_secrets, RUNTIME_TOKEN]) == [], path
