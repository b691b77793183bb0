"""The world of an attack: canaries wherever something could be stolen, run or changed, and the five checks."""

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
"""What a job's environment may hold beside the inputs; of no use to hunkwise or the CLI."""
FILE_CANARY = "canary-file-9Ug3CkPm6Sx"
"""What a file outside of the repository says."""
_NOT_OURS = ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE")
"""Files by which a step changes the steps behind it; they lie in the step's folder under these names."""
DEADLINE = 1.5
"""Minutes that a run gets, unless the case says otherwise."""


class Arena(World):
    """A world with canaries. `tripwires` is a folder that nothing may write to."""

    def __init__(self, folder: Path, stack: ExitStack, tried: Callable[[str], None]) -> None:
        super().__init__(folder, stack)
        self.tripwires = folder / "tripwires"
        self.tripwires.mkdir()
        self.canary_file = folder / "canary.txt"
        """Beside the workspace; what it says must be nowhere."""
        self.canary_file.write_text(f"{FILE_CANARY}\n")
        self.approves = False
        """Set where the base's configuration allows an approval."""
        self.deadline = DEADLINE
        self._tried = tried
        self._faults: list[str] = []
        self._begun: dict[Path, tuple[float, Path, dict[str, str]]] = {}
        self.heads: set[str] = set()

    @property
    def asked(self) -> list[ModelRequest]:
        """All model calls, whichever way they came."""
        return [*self.model.requests, *self.copilot.requests]

    def tries(self, *attacks: str) -> None:
        """Names what a case tries, for the count at the end."""
        for attack in attacks:
            self._tried(attack)

    def serves(self, app: ASGIApp) -> str:
        """The address of one more server, for as long as the case lasts."""
        return self._stack.enter_context(serve(app))

    def serves_again(self) -> None:
        """Serves GitHub and the models at new addresses: of the network that this thread is in."""
        self.github_url = self.serves(self.github)
        self.model_url = self.serves(self.model)
        self._copilot_url = self.serves(self.copilot)

    def trap(self, name: str) -> str:
        """A shell command that leaves a file in `tripwires` when something runs it."""
        return f"/bin/touch {shlex.quote(str(self.tripwires / name.replace('/', '_')))}"

    def program(self, name: str, folder: Path | None = None) -> Path:
        """A program that leaves such a file."""
        path = (folder or self.folder) / f"trap-{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{self.trap(name)}\n")
        path.chmod(0o755)
        return path

    def _step(self, inputs: Mapping[str, str], given: Mapping[str, Any]) -> Step:
        environ = {**ENVIRONMENT, **given.get("environ", {})}
        deadline = {"deadline": str(self.deadline)} if "publish" not in inputs else {}
        made = super()._step({**deadline, **inputs}, {**given, "environ": environ})
        for name in _NOT_OURS:
            made.environ.setdefault(name, str(made.folder / name))
        workspace = made.workspace or made.folder / "workspace"
        self._begun[made.folder] = (time.monotonic(), workspace, checks.contents(workspace))
        self._know_heads()
        return made

    def done(self, result: Result) -> Result:
        """Takes the clock and looks at the workspace while both are fresh."""
        begun, workspace, before = self._begun[result.folder]
        self._faults += checks.late(time.monotonic() - begun, self.deadline * 60 + 30)
        self._faults += checks.changed(before, checks.contents(workspace))
        self._know_heads()
        return super().done(result)

    def forgive(self, *words: str) -> None:
        """Forgets faults of the runs so far that hold one of the words: for tests of the checks themselves."""
        self._faults = [fault for fault in self._faults if not any(word in fault for word in words)]

    def _know_heads(self) -> None:
        self.heads |= {pull.head_sha for pull in self.github.hub.pulls.values() if pull.number == 1}

    def check(self) -> None:
        """The five checks, and what holds after every run of a world."""
        faults = [*self._faults, *checks.tripped(self.tripwires)]
        uploads = any(step.inputs.get("upload-sarif") == "true" for step in self._steps)
        ground = writes.Ground(self.github, 1, self.heads, self.approves, uploads)
        faults += writes.unexpected_requests(ground, self.github.journal) + writes.approvals(ground)
        held = [*SECRETS, *self.more_secrets, *shared_cli.secrets, *ENVIRONMENT.values()]
        faults += checks.leaks(self._left(), [*held, FILE_CANARY])
        for result in self._results:
            faults += checks.foreign_commands(result.log, held) + checks.foreign_commands(result.errors, [])
            faults += checks.unknown_outputs((result.folder / "output").read_text())
            faults += checks.written([result.folder / name for name in _NOT_OURS])
        for step in self._steps:
            faults += checks.left_behind(step.temporary)
        assert faults == []
        super().check()

    def _left(self) -> list[tuple[str, str]]:
        """As in every world; and all files of the steps, and the headers that went to models."""
        texts = super()._left()
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
        """The github-token is Copilot's only where the workflow gave no other."""
        said = request.headers.get("authorization", "").partition(" ")[2]
        shared = any(step.inputs.get("copilot-token", GITHUB_TOKEN) == GITHUB_TOKEN for step in self._steps)
        own = (COPILOT_TOKEN, PERSONAL_TOKEN, *((GITHUB_TOKEN,) if shared else ()))
        return said if said in own else ""
