"""Audits of a repository as steps of a workflow: in one job, or as a matrix of jobs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from hunkwise.domain.pull_request import Comment
from hunkwise.tracking.audit_state import AuditState, decode_comment, is_state_comment
from tests.end_to_end.prompts import paths_in
from tests.end_to_end.step import Result, Step
from tests.end_to_end.world import Files, World, finding
from tests.fakes.github_messages import Request
from tests.fakes.github_state import Issue, IssueComment
from tests.fakes.model_script import REPORT_TOOL, Answer, ModelRequest, ToolCall

CONFIG = ".github/hunkwise.yml"
PLAN = {"audit": "plan", "model": "scripted-model"}
"""The plan has to know the model: another one begins a new lap."""


def source(name: str, *, fault: str = "") -> str:
    """Returns a file that fills a prompt of 4,000 characters; line 3 is the fault, if there is one."""
    lines = [f"{name}_{number} = {number}  # {'x' * 30}" for number in range(1, 41)]
    if fault:
        lines[2] = fault
    return "\n".join(lines) + "\n"


def sources(number: int) -> dict[str, str]:
    """Returns that many files, each of which fills a prompt."""
    return {f"src/part{index:02}.py": source(f"part{index:02}") for index in range(1, number + 1)}


def config(audit: str = "", *, rest: str = "") -> dict[str, str]:
    """Returns the configuration file: one file per prompt, only those of `src`, and the lines below `audit`."""
    lines = "".join(f"  {line}\n" for line in ['paths: ["src/**"]', *audit.splitlines()])
    return {CONFIG: f"version: 1\nchunk-size: 4000\n{rest}audit:\n{lines}"}


class Audits:
    """Audits of the world's repository, on a schedule. The model reports `found`, by path."""

    def __init__(self, world: World, files: Files | None = None, audit: str = "", *, rest: str = "") -> None:
        self.world = world
        self.found: dict[str, list[dict[str, Any]]] = {}
        self._asked = self._sent = 0
        self.shards: list[Result] = []
        """The steps of the last matrix."""
        world.answer_with(self.answer)
        world.repository.commit({**config(audit, rest=rest), **(files if files is not None else {})})

    def answer(self, request: ModelRequest) -> Answer:
        """Reports the findings of the files in the prompt."""
        if request.tool_results or REPORT_TOOL not in request.tool_names:
            return Answer(text="That is all.")
        found = [one for path in paths_in(request) for one in self.found.get(path, ())]
        return Answer(tool_calls=(ToolCall(REPORT_TOOL, {"findings": found, "done": True}),))

    def plant(self, *paths: str, severity: str = "high", **more: Any) -> None:
        """Lets the model report a fault at line 3 of each file."""
        for path in paths:
            self.found[path] = [finding(path, 3, severity, **more)]

    def commit(self, files: Files) -> str:
        return self.world.repository.commit(files)

    def environment(self, **more: Any) -> dict[str, Any]:
        """Returns the step's environment: a schedule's event does not name the repository."""
        environ = {
            "GITHUB_SHA": self.world.repository.git("rev-parse", "HEAD"),
            "GITHUB_REF": "refs/heads/main",
            **more.pop("environ", {}),
        }
        return {
            "event_name": "schedule",
            "payload": {"schedule": "23 3 * * 1"},
            "workspace": self.world.repository.path,
            "environ": environ,
            **more,
        }

    def run(self, inputs: Mapping[str, str] | None = None, *, code: int = 0, **given: Any) -> Result:
        """Runs an audit in one step."""
        return self.world.run(inputs, code=code, **self.environment(**given))

    def step(self, inputs: Mapping[str, str] | None = None, **given: Any) -> Step:
        return self.world.step(inputs, **self.environment(**given))

    def plan(
        self, shards: int = 3, inputs: Mapping[str, str] | None = None, *, code: int = 0, **given: Any
    ) -> Result:
        """Runs the step that plans; it has no access to a model."""
        return self._without_model({**PLAN, "shards": str(shards), **(inputs or {})}, code, given)

    def read(
        self,
        plan: Result,
        shard: int,
        inputs: Mapping[str, str] | None = None,
        *,
        code: int = 0,
        **given: Any,
    ) -> Result:
        """Runs the step that reads a shard."""
        own = {"audit": "run", "plan": plan.outputs["plan"], "shard": str(shard)}
        return self.world.run({**own, **(inputs or {})}, code=code, **self.environment(**given))

    def merge(
        self,
        plan: Result,
        parts: Iterable[Result],
        inputs: Mapping[str, str] | None = None,
        *,
        code: int = 0,
        **given: Any,
    ) -> Result:
        """Runs the step that merges the parts; they are in a folder with the plan, as after a download."""
        folder = self.world.folder / f"parts{sum(1 for _ in self.world.folder.glob('parts*'))}"
        folder.mkdir()
        shutil.copy(plan.outputs["plan"], folder)
        for part in parts:
            path = Path(part.outputs["part"])
            (folder / path.name).write_bytes(path.read_bytes())
        given_inputs = {
            "audit": "merge",
            "model": "scripted-model",
            "plan": plan.outputs["plan"],
            "parts": str(folder),
            **(inputs or {}),
        }
        return self._without_model(given_inputs, code, given)

    def matrix(
        self,
        shards: int = 3,
        inputs: Mapping[str, str] | None = None,
        *,
        lost: Collection[int] = (),
        code: int = 0,
    ) -> Result:
        """Runs plan, shards and merge; the parts of the `lost` shards do not arrive."""
        plan = self.plan(shards)
        numbers = [entry["shard"] for entry in json.loads(plan.outputs["matrix"])["include"]]
        self.shards = [self.read(plan, number) for number in numbers if number not in lost]
        return self.merge(plan, self.shards, inputs, code=code)

    def _without_model(self, inputs: Mapping[str, str], code: int, given: Mapping[str, Any]) -> Result:
        world = self.world
        return world.record(world.bare_step(inputs, **self.environment(**given)).run(), code=code)

    @property
    def issue(self) -> Issue:
        """The only issue."""
        (issue,) = self.world.github.issues.values()
        return issue

    @property
    def state_comment(self) -> IssueComment:
        (comment,) = [one for one in self.world.github.issue_comments if is_state_comment(one.body)]
        return comment

    @property
    def state(self) -> AuditState:
        """The state in the issue's comment."""
        state = decode_comment(Comment(1, self.state_comment.body), "octo/repo")
        assert state is not None
        return state

    @property
    def news(self) -> list[str]:
        """The comments besides the state."""
        comments = self.world.github.issue_comments
        return [one.body for one in comments if not is_state_comment(one.body)]

    def statuses(self) -> dict[str, str]:
        """Returns the status of each finding by its path."""
        return {entry.record.path: entry.status.value for entry in self.state.entries}

    def asked(self) -> list[str]:
        """Returns the files in the prompts since the last call, in order."""
        requests = self.world.model.requests[self._asked :]
        self._asked += len(requests)
        return [path for request in requests if not request.tool_results for path in paths_in(request)]

    def writes(self) -> list[tuple[str, str]]:
        """Returns method and path of what was written to GitHub since the last call."""
        return [(request.method, request.path) for request in self.sent() if request.is_write]

    def sent(self) -> list[Request]:
        """Returns the requests to GitHub since the last call."""
        sent = self.world.github.journal[self._sent :]
        self._sent += len(sent)
        return sent


def results_of(step: Result) -> dict[str, str]:
    """Returns the messages of the step's SARIF file by path."""
    (run,) = json.loads(Path(step.outputs["sarif"]).read_bytes())["runs"]
    assert run["automationDetails"]["id"] == "hunkwise-audit/"
    return {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]: result["message"]["text"]
        for result in run["results"]
    }


def tick(body: str, title: str, mark: str = "x") -> str:
    """Returns the issue's body with the box of the finding ticked, or cleared."""
    lines = body.split("\n")
    (number,) = [index for index, line in enumerate(lines) if line.startswith("- [") and title in line]
    lines[number] = f"- [{mark}]{lines[number][5:]}"
    return "\n".join(lines)
