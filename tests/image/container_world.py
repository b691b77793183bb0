"""A world whose steps are containers, and what must hold beside the rest when they are over."""

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
from tests.redteam.checks import changed, contents


class ContainerWorld(World):
    """As any world. `socket_mode` is that of Docker's socket on the runner."""

    def __init__(self, folder: Path, stack: ExitStack, engine: Engine, socket_mode: int = 0o660) -> None:
        super().__init__(folder, stack)
        self.engine = engine
        self._socket = stack.enter_context(listening(folder / "docker.sock", socket_mode))
        self._workspaces: dict[Path, dict[str, str]] = {}

    def _step(self, inputs: Mapping[str, str], given: Mapping[str, Any]) -> Step:
        folder = self.folder / f"step{len(self._steps)}"
        made = ContainerStep(
            folder,
            self.github_url,
            inputs=dict(inputs),
            engine=self.engine,
            socket=self._socket.path,
            **given,
        )
        self._check_out(made.job.workspace)
        self._workspaces[made.job.workspace] = contents(made.job.workspace)
        self._steps.append(made)
        self._posted_before[folder] = self.posted
        return made

    def container_step(self, inputs: Mapping[str, str] | None = None, **given: Any) -> ContainerStep:
        """A step that asks the provider's model, as what it is."""
        made = self.step(inputs, **given)
        assert isinstance(made, ContainerStep)
        return made

    def _check_out(self, workspace: Path) -> None:
        """What actions/checkout leaves: the head, with its history."""
        shutil.copytree(self.repository.path, workspace, symlinks=True)

    def check(self) -> None:
        """Nobody knocked at Docker's door, nothing was changed, and no secret lies where others read."""
        super().check()
        assert self._socket.connections == []
        for step in self._steps:
            assert isinstance(step, ContainerStep)
            assert not self.engine.is_there(step.container)
            assert changed(self._workspaces[step.job.workspace], contents(step.job.workspace)) == []
            self._check_what_is_left(step)

    def _check_what_is_left(self, step: ContainerStep) -> None:
        left = [path for path in sorted(step.job.temp.rglob("*")) if path.is_file()]
        documented = {"report.json", "hunkwise.sarif", "journal.jsonl"}
        reports = (step.job.temp / "hunkwise", step.job.home / "hunkwise")
        runners_own = {step.job.event, step.job.output, step.job.summary}
        strange = [
            path
            for path in left
            if path not in runners_own and not (path.parent in reports and path.name in documented)
        ]
        assert strange == []
        for path in left:
            held = path.read_text("utf-8", "surrogateescape")
            assert step_checks.secrets_in(held, [*SECRETS, *self.more_secrets, RUNTIME_TOKEN]) == [], path
