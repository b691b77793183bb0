"""The world of a step: a repository, a GitHub, a model, and what must hold at the end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hunkwise.tracking.state import SUMMARY_MARKER
from tests.end_to_end import step_checks
from tests.end_to_end.destinations import TITLES, misplaced
from tests.end_to_end.step import (
    COPILOT_TOKEN,
    GITHUB_TOKEN,
    PERSONAL_TOKEN,
    PROVIDER_KEY,
    READ_TOKEN,
    Result,
    Step,
    provider_inputs,
)
from tests.fakes.command_line import shared_cli
from tests.fakes.copilot_api import FakeCopilot
from tests.fakes.git_repository import GitRepository, GitStore
from tests.fakes.github import FakeGitHub
from tests.fakes.github_state import PullRequest
from tests.fakes.http_server import serve
from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import REPORT_TOOL, Answer, Script, ToolCall, report, turns

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
    """Returns a finding as a model reports it; the title tells findings apart."""
    title = more.pop("title", f"Fault at {path}:{line}")
    return {"path": path, "line": line, "severity": severity, "title": title, "body": "It breaks.", **more}


def report_call(*findings: Mapping[str, Any], **more: Any) -> Answer:
    """Returns one call of the reporting tool."""
    return Answer(tool_calls=(ToolCall(REPORT_TOOL, {"findings": list(findings), "done": True, **more}),))


LINE = finding(title=TITLES[0], severity="high")
FILE = finding(line=900, title=TITLES[1])
BODY = finding("other.py", 1, title=TITLES[2], severity="low")


def wait_until(true: Callable[[], bool], seconds: float = 60.0, pause: float = 0.02) -> None:
    """Waits for something that a running step does. Raises TimeoutError."""
    limit = time.monotonic() + seconds
    while not true():
        if time.monotonic() > limit:
            raise TimeoutError("what the test waits for did not happen")
        time.sleep(pause)


class World:
    """Everything around a step, on loopback addresses."""

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
        """The address of GitHub's Copilot endpoints and the Copilot API, served when first needed."""
        if not self._copilot_url:
            self._copilot_url = self._stack.enter_context(serve(self.copilot))
        return self._copilot_url

    def change(
        self, base: Files = BASE, head: Files = HEAD, *, script: Script | None = None, **given: Any
    ) -> PullRequest:
        """Opens pull request 1 from `base` on main to `head` on feature, and stays on feature.

        `script` is how the model answers.
        """
        if script is not None:
            self.answer_with(script)
        self.repository.commit(base)
        self.repository.branch("feature")
        self.repository.commit(head)
        return self.open(**given)

    def open(self, **given: Any) -> PullRequest:
        """Opens pull request 1 between the branches as they are."""
        return self.github.add_pull_request(1, base_sha="main", head_sha="feature", **given)

    def serve_repository(self, repository: GitRepository) -> None:
        """Puts another repository behind GitHub."""
        self.repository = repository
        self.github.hub.store = GitStore(repository.git_dir)

    def answer_with(self, script: Script) -> None:
        """Sets how the model answers, the provider's and Copilot's."""
        self.model.script = script
        self.copilot.model.script = script

    def step(self, inputs: Mapping[str, str] | None = None, **given: Any) -> Step:
        """Returns a step that asks the provider's model."""
        return self.bare_step({**provider_inputs(self.model_url), **(inputs or {})}, **given)

    def copilot_step(
        self, inputs: Mapping[str, str] | None = None, *, token: str | None = COPILOT_TOKEN, **given: Any
    ) -> Step:
        """Returns a step that asks Copilot at the addresses in its environment."""
        url = self.copilot_url
        environ = {"COPILOT_API_URL": url, "COPILOT_DEBUG_GITHUB_API_URL": url, **given.pop("environ", {})}
        own = {"copilot-token": token} if token is not None else {}
        return self.bare_step({**own, **(inputs or {})}, **{**given, "environ": environ})

    def bare_step(self, inputs: Mapping[str, str], **given: Any) -> Step:
        """Returns a step with these inputs alone."""
        folder = self.folder / f"step{len(self._steps)}"
        step = Step(folder, self.github_url, inputs=dict(inputs), **given)
        self._steps.append(step)
        self._posted_before[folder] = self._posted_without_replies
        return step

    def run(
        self, inputs: Mapping[str, str] | None = None, *, code: int | None = None, **given: Any
    ) -> Result:
        """Runs a step that asks the provider's model, and checks its exit code."""
        return self.record(self.step(inputs, **given).run(), code=code)

    def run_copilot(
        self, inputs: Mapping[str, str] | None = None, *, code: int | None = None, **given: Any
    ) -> Result:
        """Runs a step that asks Copilot, and checks its exit code."""
        return self.record(self.copilot_step(inputs, **given).run(), code=code)

    def run_until(
        self,
        step: Step,
        condition: Callable[[], bool],
        act: Callable[[subprocess.Popen[str]], object],
        *,
        code: int,
        pause: float = 0.02,
    ) -> Result:
        """Starts the step, calls `act` with its process once the condition holds, and waits for its end."""
        with step.started() as process:
            wait_until(condition, pause=pause)
            act(process)
            return self.record(step.finish(process), code=code)

    def review_is_sent(self) -> bool:
        """Whether GitHub has received a review."""
        return any(request.path.endswith("/reviews") for request in self.github.journal)

    def has_first_of_two_answers(self, step: Step) -> bool:
        """Whether the step has written a finding to its journal and waits for the second answer."""
        journal = step.folder / "temp/hunkwise/journal.jsonl"
        return journal.is_file() and self.model.in_flight == 1 and len(self.model.requests) == 2

    def record(self, result: Result, *, code: int | None = None) -> Result:
        """Checks the exit code and what the run left on GitHub, and keeps the result for the final check."""
        assert code in (None, result.code), f"exit code {result.code}\n{result.log}\n{result.errors}"
        if result.code in (2, 3):
            assert self._posted_without_replies == self._posted_before[result.folder]
        if result.report is not None:
            assert misplaced(result.report, result.summary, self.github.hub) == []
        self._results.append(result)
        return result

    def open_three_findings(self) -> None:
        """Opens pull request 1, whose model reports a finding on a line, in a file and outside of the diff."""
        self.change(script=turns([report_call(LINE, FILE, BODY), report_call()]))

    def push(self, files: Files) -> None:
        """Commits the files and pushes them to pull request 1."""
        self.repository.commit(files)
        self.github.push(1, "feature")

    def change_parts(self, names: Sequence[str], *, script: Script | None = None) -> None:
        """Opens pull request 1, which adds a file of each name; each file fills a prompt."""
        body = "".join(f"value_{number} = {number}  # {'x' * 40}\n" for number in range(40))
        config = "version: 1\nchunk-size: 4000\n"
        self.change({".github/hunkwise.yml": config}, dict.fromkeys(names, body), script=script)

    @property
    def posted(self) -> str:
        """All text of reviews and comments of pull requests."""
        return "\n".join(self._posts())

    @property
    def _posted_without_replies(self) -> str:
        """The same without our replies to commands, which also say that a command failed."""
        return "\n".join(body for body in self._posts() if "<!-- hunkwise:reply " not in body)

    def _posts(self) -> list[str]:
        github = self.github
        bodies = [*(one.body for one in github.reviews), *(one.body for one in github.comments)]
        return [*bodies, *(one.body for one in github.issue_comments if one.number not in github.issues)]

    @property
    def summary_comment(self) -> str:
        """The text of our only summary comment, or an empty string."""
        ours = [one.body for one in self.github.issue_comments if one.body.startswith(SUMMARY_MARKER)]
        assert len(ours) <= 1
        return ours[0] if ours else ""

    @property
    def check_run_text(self) -> str:
        """All text of check runs, annotations included."""
        notes = [str(note) for run in self.github.check_runs for note in run.annotations]
        return "\n".join([*self.check_run_markdown, *notes])

    @property
    def check_run_markdown(self) -> list[str]:
        """Summaries and texts of all check runs."""
        outputs = [run.output for run in self.github.check_runs]
        return [str(output.get(name) or "") for output in outputs for name in ("summary", "text")]

    def check(self) -> None:
        """Checks what holds after every run."""
        assert self.github.violations == []
        for step in self._steps:
            assert step_checks.processes_of(step.temporary) == []
            assert [path.name for path in step.temporary.glob("hunkwise*")] == []
        for result in self._results:
            step_checks.assert_outputs_agree(result)
        step_checks.assert_nothing_unfinished(self.github, self._results)
        assert self.summary_comment.count(SUMMARY_MARKER) <= 1
        secrets = [*SECRETS, *self.more_secrets, *shared_cli.secrets]
        for place, text in self._output_texts():
            assert step_checks.secrets_in(text, secrets) == [], f"a secret in the {place}"

    def _output_texts(self) -> list[tuple[str, str]]:
        """Returns all texts that left a step, with their destination, except for authorization headers."""
        texts = []
        for result in self._results:
            texts += [
                ("log", step_checks.without_masks(result.log)),
                ("standard error", result.errors),
                ("outputs", repr(result.outputs)),
                ("summary", result.summary),
                ("report", repr(result.report)),
                ("journal", result.journal),
            ]
        for request in self.github.journal:
            headers = {**request.headers, "authorization": ""}
            texts.append(("requests to GitHub", repr((request.path, request.query, request.json, headers))))
        prompts = [*self.model.requests, *self.copilot.requests]
        return texts + [("prompts", repr(request.body)) for request in prompts]
