"""One repository, one GitHub, one model: the world that a step runs in, and what must hold when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hunkwise.tracking.state import SUMMARY_MARKER
from tests.end_to_end import step_checks
from tests.end_to_end.rungs import misplaced
from tests.end_to_end.step import (
    COPILOT_TOKEN,
    GITHUB_TOKEN,
    PERSONAL_TOKEN,
    PROVIDER_KEY,
    READ_TOKEN,
    Result,
    Step,
    own_provider,
)
from tests.fakes.command_line import shared_cli
from tests.fakes.copilot_api import FakeCopilot
from tests.fakes.git_repository import GitRepository
from tests.fakes.git_store import GitStore
from tests.fakes.github import FakeGitHub
from tests.fakes.github_state import PullRequest
from tests.fakes.http_server import serve
from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import REPORT_TOOL, Answer, Script, ToolCall, report

Files = Mapping[str, str | bytes | None]

SECRETS = (GITHUB_TOKEN, READ_TOKEN, COPILOT_TOKEN, PERSONAL_TOKEN, PROVIDER_KEY)
BASE = {"app.py": "".join(f"line {number}\n" for number in range(1, 41))}
HEAD = {
    "app.py": BASE["app.py"]
    .replace("line 3\n", "third\nadded\n")
    .replace("line 20\n", "")
    .replace("line 30\n", "thirty\n")
}
"""Added or changed on the right: 3, 4, 30. Removed on the left: 3, 20, 30. Three hunks; 6 changed lines."""


def finding(path: str = "app.py", line: int = 3, severity: str = "medium", **more: Any) -> dict[str, Any]:
    """What a model may report; the title tells findings apart."""
    title = more.pop("title", f"Fault at {path}:{line}")
    return {"path": path, "line": line, "severity": severity, "title": title, "body": "It breaks.", **more}


def said(*findings: Mapping[str, Any], **more: Any) -> Answer:
    """One call of the reporting tool."""
    return Answer(tool_calls=(ToolCall(REPORT_TOOL, {"findings": list(findings), "done": True, **more}),))


def wait_until(true: Callable[[], bool], seconds: float = 60.0, pause: float = 0.02) -> None:
    """Waits for something that a running step does. Raises TimeoutError."""
    limit = time.monotonic() + seconds
    while not true():
        if time.monotonic() > limit:
            raise TimeoutError("what the test waits for did not happen")
        time.sleep(pause)


class World:
    """Everything around a step, on loopback."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self.repository = GitRepository.create(folder / "repository")
        tokens = {GITHUB_TOKEN: "write", READ_TOKEN: "read"}
        self.github = FakeGitHub(self.repository.git_dir, tokens=tokens)
        self.github_url = stack.enter_context(serve(self.github))
        self.model = ScriptedModel(report())
        self.model_url = stack.enter_context(serve(self.model))
        self.copilot = FakeCopilot((COPILOT_TOKEN, PERSONAL_TOKEN, GITHUB_TOKEN), report())
        self._copilot_url = ""
        self._steps: list[Step] = []
        self._results: list[Result] = []
        self._posted_before: dict[Path, str] = {}
        self.more_secrets: list[str] = []

    @property
    def copilot_url(self) -> str:
        """Where GitHub's Copilot endpoints and the Copilot API are; served from the first time that it is asked."""
        if not self._copilot_url:
            self._copilot_url = self._stack.enter_context(serve(self.copilot))
        return self._copilot_url

    def change(self, base: Files = BASE, head: Files = HEAD, **given: Any) -> PullRequest:
        """Pull request 1: from `base` on main to `head` on feature. Ends on feature."""
        self.repository.commit(base)
        self.repository.branch("feature")
        self.repository.commit(head)
        return self.open(**given)

    def open(self, **given: Any) -> PullRequest:
        """Pull request 1 between the branches as they are."""
        return self.github.add_pull_request(1, base_sha="main", head_sha="feature", **given)

    def serve_repository(self, repository: GitRepository) -> None:
        """Puts another repository behind GitHub."""
        self.repository = repository
        self.github.hub.store = GitStore(repository.git_dir)

    def answers(self, script: Script) -> None:
        """How the model answers, whichever way it is asked."""
        self.model.script = script
        self.copilot.model.script = script

    def step(self, inputs: Mapping[str, str] | None = None, **given: Any) -> Step:
        """A step that asks the provider's model."""
        return self._step({**own_provider(self.model_url), **(inputs or {})}, given)

    def copilot_step(
        self, inputs: Mapping[str, str] | None = None, *, token: str | None = COPILOT_TOKEN, **given: Any
    ) -> Step:
        """A step that asks Copilot, whose addresses are in the job's environment."""
        url = self.copilot_url
        environ = {"COPILOT_API_URL": url, "COPILOT_DEBUG_GITHUB_API_URL": url, **given.pop("environ", {})}
        own = {"copilot-token": token} if token is not None else {}
        return self._step({**own, **(inputs or {})}, {**given, "environ": environ})

    def _step(self, inputs: Mapping[str, str], given: Mapping[str, Any]) -> Step:
        folder = self.folder / f"step{len(self._steps)}"
        made = Step(folder, self.github_url, inputs=dict(inputs), **given)
        self._steps.append(made)
        self._posted_before[folder] = self.posted
        return made

    def run(self, inputs: Mapping[str, str] | None = None, **given: Any) -> Result:
        """Runs such a step to its end."""
        return self.done(self.step(inputs, **given).run())

    def run_copilot(self, inputs: Mapping[str, str] | None = None, **given: Any) -> Result:
        """Runs a step on the Copilot path to its end."""
        return self.done(self.copilot_step(inputs, **given).run())

    def done(self, result: Result) -> Result:
        """Looks at what a run left on GitHub while it is fresh, and keeps the result for the last check."""
        if result.code in (2, 3):
            assert self.posted == self._posted_before[result.folder]
        if result.report is not None:
            assert misplaced(result.report, result.summary, self.github.hub) == []
        self._results.append(result)
        return result

    def parts(self, names: Sequence[str], lines: int = 40) -> None:
        """Pull request 1 adds a file of each name, and each of them fills a prompt of its own."""
        body = "".join(f"value_{number} = {number}  # {'x' * 40}\n" for number in range(lines))
        config = "version: 1\nchunk-size: 4000\n"
        self.change({".github/hunkwise.yml": config}, dict.fromkeys(names, body))

    @property
    def posted(self) -> str:
        """All text that was posted where people talk."""
        github = self.github
        bodies = [*(one.body for one in github.reviews), *(one.body for one in github.comments)]
        return "\n".join([*bodies, *(one.body for one in github.issue_comments)])

    @property
    def summary_comment(self) -> str:
        """The text of our summary comment, of which there is one at most; empty where there is none."""
        ours = [one.body for one in self.github.issue_comments if one.body.startswith(SUMMARY_MARKER)]
        assert len(ours) <= 1
        return ours[0] if ours else ""

    @property
    def checked(self) -> str:
        """All text that stands in check runs, annotations included."""
        notes = [str(note) for run in self.github.check_runs for note in run.annotations]
        return "\n".join([*self.markdown_of_checks, *notes])

    @property
    def markdown_of_checks(self) -> list[str]:
        """Summaries and texts of all check runs."""
        outputs = [run.output for run in self.github.check_runs]
        return [str(output.get(name) or "") for output in outputs for name in ("summary", "text")]

    def check(self) -> None:
        """What holds after every run, however it went."""
        assert self.github.violations == []
        for step in self._steps:
            assert step_checks.processes_of(step.temporary) == []
            assert [path.name for path in step.temporary.glob("hunkwise*")] == []
        for result in self._results:
            step_checks.assert_tells_one_story(result)
        step_checks.assert_nothing_hangs(self.github, self._results)
        assert self.summary_comment.count(SUMMARY_MARKER) <= 1
        secrets = [*SECRETS, *self.more_secrets, *shared_cli.secrets]
        for place, text in self._left():
            assert step_checks.secrets_in(text, secrets) == [], f"a secret in the {place}"

    def _left(self) -> list[tuple[str, str]]:
        """Every text that left a step, by where it went; headers of authorization excepted."""
        texts = [
            (name, text)
            for result in self._results
            for name, text in (
                ("log", step_checks.without_masks(result.log)),
                ("standard error", result.errors),
                ("outputs", repr(result.outputs)),
                ("summary", result.summary),
                ("report", repr(result.report)),
                ("journal", result.journal),
            )
        ]
        texts += [
            ("requests to GitHub", repr((request.path, request.query, request.json, headers)))
            for request in self.github.journal
            if (headers := {**request.headers, "authorization": ""})
        ]
        texts += [
            ("prompts", repr(request.body)) for request in (*self.model.requests, *self.copilot.requests)
        ]
        return texts
