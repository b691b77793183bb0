"""The folders and variables that GitHub's runner gives a container action (actions/runner 2.336).

As in ContainerActionHandler.cs, ContainerInfo.cs and GitHubContext.cs: five folders are mounted, and variables with
one of them, or a path in one, are translated.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.end_to_end.step import GITHUB_TOKEN
from tests.image.engine import ACTION

RUNNER_UID = os.geteuid() or 1001
"""The owner of the folders: our own user or, for root, the user `runner`."""
RUNTIME_TOKEN = "canary-runtime-7Vd3KqTz8Lm"
_RUNNER_TEMP = "/github/runner_temp"


@dataclass(frozen=True)
class Job:
    """The runner's folders for one job, which `make` creates."""

    work: Path
    temp_is_mounted: bool = True
    """As since runner 2.329."""

    @property
    def temp(self) -> Path:
        return self.work / "_temp"

    @property
    def workspace(self) -> Path:
        return self.work / "repo" / "repo"

    @property
    def home(self) -> Path:
        return self.temp / "_github_home"

    @property
    def event(self) -> Path:
        return self.temp / "_github_workflow" / "event.json"

    @property
    def output(self) -> Path:
        return self.temp / "_runner_file_commands" / "set_output_4711"

    @property
    def summary(self) -> Path:
        return self.temp / "_runner_file_commands" / "step_summary_4711"

    @property
    def mounts(self) -> dict[Path, str]:
        """Folders of the host and of the container, in the order in which the runner translates them."""
        found = {
            self.workspace: "/github/workspace",
            self.output.parent: "/github/file_commands",
            self.event.parent: "/github/workflow",
            self.home: "/github/home",
        }
        return {**found, self.temp: _RUNNER_TEMP} if self.temp_is_mounted else found

    def make(self, event: Any) -> None:
        """Creates the folders; as root, for the runner's user."""
        for folder in (self.workspace, self.home, self.event.parent, self.output.parent):
            folder.mkdir(parents=True, exist_ok=True)
        self.event.write_text(json.dumps(event))
        for file in (self.output, self.summary):
            file.touch()
        if os.geteuid() == 0:
            for path in (self.work, *self.work.rglob("*")):
                os.chown(path, RUNNER_UID, RUNNER_UID, follow_symlinks=False)

    def translated(self, value: str) -> str:
        """Returns the value as the container sees it."""
        for outside, inside in self.mounts.items():
            if value == str(outside) or value.startswith(f"{outside}/"):
                return inside + value.removeprefix(str(outside))
        return value

    def environment(
        self, inputs: Mapping[str, str], own: Mapping[str, str], more: Mapping[str, str]
    ) -> dict[str, str]:
        """Returns the container's variables: the step's own `env`, all inputs, and the runner's own."""
        known = {**_default_inputs(), **inputs}
        found = {
            **own,
            **{f"INPUT_{name.upper()}": value for name, value in known.items()},
            "HOME": str(self.home),
            "GITHUB_EVENT_PATH": str(self.event),
            "GITHUB_OUTPUT": str(self.output),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_RUN_ID": "4711",
            "GITHUB_RUN_ATTEMPT": "1",
            "RUNNER_OS": "Linux",
            "RUNNER_ARCH": "X64",
            "RUNNER_TEMP": str(self.temp),
            "RUNNER_WORKSPACE": str(self.work / "repo"),
            "RUNNER_TOOL_CACHE": "/opt/hostedtoolcache",
            "ACTIONS_RUNTIME_URL": "https://runtime.invalid/",
            "ACTIONS_RUNTIME_TOKEN": RUNTIME_TOKEN,
            **more,
        }
        return {name: self.translated(value) for name, value in found.items()}


@cache
def _default_inputs() -> dict[str, str]:
    """Returns the defaults; an input without a default is an empty text."""
    inputs = yaml.safe_load(ACTION.read_text(encoding="utf-8"))["inputs"]
    found = {name: one.get("default", "") for name, one in inputs.items()}
    return {name: GITHUB_TOKEN if value == "${{ github.token }}" else value for name, value in found.items()}
