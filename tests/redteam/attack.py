"""The world of an attack: canaries that an attack could steal, run or change, and the five checks."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from tests.end_to_end import step_checks
from tests.end_to_end.step import COPILOT_TOKEN, GITHUB_TOKEN, PERSONAL_TOKEN, PROVIDER_KEY, Result, Step
from tests.end_to_end.world import SECRETS, World
from tests.fakes.command_line import shared_cli
from tests.fakes.http_server import serve
from tests.fakes.model_script import ModelRequest
from tests.redteam import allowed_writes as writes
from tests.redteam import checks

ENVIRONMENT = {
    "ACTIONS_RUNTIME_TOKEN": "canary-runtime-8Rz2LqVw5Xc",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "canary-identity-3Hn7TbKe1Yd",
    "AWS_SECRET_ACCESS_KEY": "canary-cloud-6Mp4JsGu9Fa",
    "GH_TOKEN": "canary-stray-2Wv8DxBo7Qi",
    "OPENAI_API_KEY": "canary-openai-5Kt1ZrEy4Nh",
}
"""Variables of a job beside the inputs, which neither hunkwise nor the CLI needs."""
FILE_CANARY = "canary-file-9Ug3CkPm6Sx"
"""The text of a file outside of the repository."""
_NOT_OURS = ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE")
"""Files by which a step changes later steps; they are in the step's folder under these names."""
DEADLINE = 1.5
"""Minutes of a run, unless the case sets others."""


class AttackWorld(World):
    """A world with canaries. Nothing may write to the folder `tripwires`."""

    def __init__(self, folder: Path, stack: ExitStack, tried: Callable[[str], None]) -> None:
        super().__init__(folder, stack)
        self.tripwires = folder / "tripwires"
        self.tripwires.mkdir()
        self.canary_file = folder / "canary.txt"
        """Beside the workspace; its text must not appear anywhere."""
        self.canary_file.write_text(f"{FILE_CANARY}\n")
        self.approves = False
        """Whether the base's configuration allows an approval."""
        self.deadline = DEADLINE
        self._tried = tried
        self._faults: list[str] = []
        self._begun: dict[Path, tuple[float, Path, dict[str, str]]] = {}
        self.heads: set[str] = set()

    @property
    def model_requests(self) -> list[ModelRequest]:
        """All model calls, to the provider and to Copilot."""
        return [*self.model.requests, *self.copilot.requests]

    def record_attacks(self, *attacks: str) -> None:
        """Counts what a case tries."""
        for attack in attacks:
            self._tried(attack)

    def serve(self, app: ASGIApp) -> str:
        """Returns the address of another server, which runs until the end of the case."""
        return self._stack.enter_context(serve(app))

    def serve_in_this_network(self) -> None:
        """Serves GitHub and the models at new addresses, in the network of this thread."""
        self.github_url = self.serve(self.github)
        self.model_url = self.serve(self.model)
        self._copilot_url = self.serve(self.copilot)

    def trap_command(self, name: str) -> str:
        """Returns a shell command that creates a file in `tripwires`."""
        return f"/bin/touch {shlex.quote(str(self.tripwires / name.replace('/', '_')))}"

    def trap_program(self, name: str, folder: Path | None = None) -> Path:
        """Returns a program that creates a file in `tripwires`."""
        path = (folder or self.folder) / f"trap-{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{self.trap_command(name)}\n")
        path.chmod(0o755)
        return path

    def bare_step(self, inputs: Mapping[str, str], **given: Any) -> Step:
        environ = {**ENVIRONMENT, **given.get("environ", {})}
        deadline = {"deadline": str(self.deadline)} if "publish" not in inputs else {}
        step = super().bare_step({**deadline, **inputs}, **{**given, "environ": environ})
        for name in _NOT_OURS:
            step.environ.setdefault(name, str(step.folder / name))
        workspace = step.workspace or step.folder / "workspace"
        self._begun[step.folder] = (time.monotonic(), workspace, checks.folder_contents(workspace))
        self._add_heads()
        return step

    def record(self, result: Result, *, code: int | None = None) -> Result:
        """Measures the time and compares the workspace directly after the run."""
        begun, workspace, before = self._begun[result.folder]
        self._faults += checks.deadline_faults(time.monotonic() - begun, self.deadline * 60 + 30)
        self._faults += checks.folder_changes(before, checks.folder_contents(workspace))
        self._add_heads()
        return super().record(result, code=code)

    def ignore_faults(self, *words: str) -> None:
        """Removes the faults so far that contain one of the words, for tests of the checks."""
        self._faults = [fault for fault in self._faults if not any(word in fault for word in words)]

    def _add_heads(self) -> None:
        self.heads |= {pull.head_sha for pull in self.github.hub.pulls.values() if pull.number == 1}

    def check(self) -> None:
        """Runs the five checks, and the checks of every world."""
        faults = [*self._faults, *checks.triggered_traps(self.tripwires)]
        uploads = any(step.inputs.get("upload-sarif") == "true" for step in self._steps)
        scope = writes.Scope(self.github, 1, self.heads, self.approves, uploads)
        faults += writes.unexpected_requests(scope, self.github.journal) + writes.approvals(scope)
        held = [*SECRETS, *self.more_secrets, *shared_cli.secrets, *ENVIRONMENT.values()]
        faults += checks.find_leaks(self._output_texts(), [*held, FILE_CANARY])
        for result in self._results:
            faults += checks.unexpected_commands(result.log, held) + checks.unexpected_commands(
                result.errors, []
            )
            faults += checks.unknown_outputs((result.folder / "output").read_text())
            faults += checks.nonempty_files([result.folder / name for name in _NOT_OURS])
        for step in self._steps:
            faults += checks.find_leftover_files(step.temporary)
        assert faults == []
        super().check()

    def _output_texts(self) -> list[tuple[str, str]]:
        """Adds all files of the steps, and the headers that went to models."""
        texts = super()._output_texts()
        for step in self._steps:
            texts += [
                (path.name, step_checks.without_masks(path.read_text("utf-8", "surrogateescape")))
                for folder in (step.folder, step.folder / "temp")
                for path in (folder.rglob("*") if folder.name == "temp" else folder.glob("*"))
                if path.is_file() and path.name != "event.json"
            ]
        asked = [("model", PROVIDER_KEY, one) for one in self.model.requests]
        asked += [("Copilot", self._copilot_credential(one), one) for one in self.copilot.requests]
        texts += [
            (f"headers to the {whom}", checks.without_own(one.headers, own)) for whom, own, one in asked
        ]
        return texts

    def _copilot_credential(self, request: ModelRequest) -> str:
        """Returns the credential for Copilot: the github-token only if the workflow gave no other."""
        token = request.headers.get("authorization", "").partition(" ")[2]
        shared = any(step.inputs.get("copilot-token", GITHUB_TOKEN) == GITHUB_TOKEN for step in self._steps)
        own = (COPILOT_TOKEN, PERSONAL_TOKEN, *((GITHUB_TOKEN,) if shared else ()))
        return token if token in own else ""
