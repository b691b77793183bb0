"""Runs `python entrypoint.py` as GitHub's runner does, with its environment and its files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes import command_line as in_process
from tests.fakes.actions_runner import read_file_commands, read_log

ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 120
GITHUB_TOKEN = "ghs_CanaryWrite7Q2xVbN5Kd"
READ_TOKEN = "ghs_CanaryRead3Z8wLmP4Tg"
COPILOT_TOKEN = "ghs_CanaryCopilot6Y1uHcR9Jf"
PERSONAL_TOKEN = "github_pat_CanaryPersonal5X0tGbQ8He"
PROVIDER_KEY = "key-CanaryProvider4W9sFaM7Dd"
_READ_AS_VALUES = re.compile("(GITHUB|INPUT|RUNNER|COPILOT|HUNKWISE|ACTIONS|AWS|OPENAI)_|GH_TOKEN$")
"""Variables that hunkwise reads from the given mapping, passes to the CLI, or does not read."""
_KEPT = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG", "COVERAGE_FILE")


@dataclass(frozen=True)
class Result:
    """What a step left behind."""

    code: int
    log: str
    errors: str
    outputs: dict[str, str]
    summary: str
    report: Any
    """The JSON report, or None where none was written."""
    journal: str = ""
    """The collected findings, one JSON object a line."""
    folder: Path = Path()
    """The step's own folder, which identifies it."""

    def commands(self, name: str) -> list[str]:
        """Returns the messages of the workflow commands of that name."""
        return [command.message for command in read_log(self.log).commands if command.name == name]

    @property
    def error_text(self) -> str:
        """All error messages."""
        return " ".join(self.commands("error"))

    @property
    def warning_text(self) -> str:
        """All warning messages."""
        return " ".join(self.commands("warning"))

    @property
    def reasons(self) -> dict[str, str | None]:
        """Why each file of the change was not reviewed, or None, by path."""
        return {file["path"]: file["reason"] for file in self.report["coverage"]["files"]}


@dataclass
class Step:
    """A step of a job on `repository`, with the fake GitHub's address."""

    folder: Path
    api_url: str
    repository: str = "octo/repo"
    event_name: str = "pull_request"
    payload: Any = None
    inputs: dict[str, str] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    workspace: Path | None = None
    cwd: Path | None = None
    """The working directory; by default the step's own folder."""
    shell: str = ""
    """Shell commands that run first, for example to set limits or to close streams."""
    apart: bool = False
    """Run with mounts of its own. Only for root."""
    process: bool = False
    """Run in a process of its own, with a CLI of its own."""

    @property
    def temporary(self) -> Path:
        """The step's own TMPDIR, where everything that it leaves is found."""
        return self.folder / "tmp"

    def environment(self) -> dict[str, str]:
        """Returns the runner's variables, without those of the tests."""
        self.folder.mkdir(parents=True, exist_ok=True)
        event = self.folder / "event.json"
        event.write_text(json.dumps(self.payload if self.payload is not None else self.opened_payload()))
        for name in ("output", "summary"):
            (self.folder / name).touch()
        workspace = self.workspace or self.folder / "workspace"
        for folder in (workspace, self.temporary):
            folder.mkdir(exist_ok=True)
        given = {"github-token": GITHUB_TOKEN, **self.inputs}
        return {
            "PATH": os.environ["PATH"],
            "PYTHONFAULTHANDLER": "1",
            "HOME": str(self.folder),
            "TMPDIR": str(self.temporary),
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": self.event_name,
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": self.repository,
            "GITHUB_API_URL": self.api_url,
            "GITHUB_GRAPHQL_URL": f"{self.api_url}/graphql",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_WORKSPACE": str(workspace),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "GITHUB_RUN_ID": "4711",
            "GITHUB_RUN_ATTEMPT": "1",
            "RUNNER_TEMP": str(self.folder / "temp"),
            **{f"INPUT_{name.upper()}": value for name, value in given.items()},
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            **self.environ,
        }

    def opened_payload(self) -> dict[str, Any]:
        """Returns the event of a pull request that was opened."""
        side = {"sha": "0" * 40, "ref": "main", "repo": {"full_name": self.repository}}
        return {
            "action": "opened",
            "number": 1,
            "pull_request": {"number": 1, "state": "open", "head": side, "base": side},
            "repository": {"full_name": self.repository},
        }

    @contextmanager
    def started(self) -> Iterator[subprocess.Popen[str]]:
        """Yields the running step, and kills it if the block leaves it running."""
        command = [sys.executable, str(ROOT / "entrypoint.py")]
        if self.shell:
            command = ["bash", "-c", f'{self.shell}\nexec "$@"', "bash", *command]
        if self.apart:
            command = ["unshare", "--mount", *command]
        process = subprocess.Popen(
            command,
            cwd=self.cwd or self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def run(self) -> Result:
        """Runs the step, in this process unless it needs one of its own."""
        if self.needs_process:
            with self.started() as process:
                return self.finish(process)
        environ = in_process.with_shared_cli(self.environment())
        printed = in_process.run(["action"], environ, self.cwd or self.folder)
        return self._result(printed.code, printed.out, printed.errors)

    @property
    def needs_process(self) -> bool:
        """Whether this process cannot replace the step's own.

        Libraries read some variables, a proxy for example, from the process's own environment.
        """
        own_environment = any(not _READ_AS_VALUES.match(name) for name in self.environ)
        apart = self.process or self.apart or self.shell != ""
        return apart or own_environment or not in_process.is_possible()

    def finish(self, process: subprocess.Popen[str]) -> Result:
        """Waits for a started step."""
        try:
            log, errors = process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # Python then prints the stack of each thread
            log, errors = process.communicate()
            raise AssertionError(f"The step did not end in {_SECONDS} s.\n{log}\n{errors}") from None
        return self._result(process.returncode, log, errors)

    def _result(self, code: int, log: str, errors: str) -> Result:
        kept = self.folder / "temp" / "hunkwise"
        report, journal = kept / "report.json", kept / "journal.jsonl"
        return Result(
            code=code,
            log=log,
            errors=errors,
            outputs=dict(read_file_commands((self.folder / "output").read_text())),
            summary=(self.folder / "summary").read_text(),
            report=json.loads(report.read_text()) if report.is_file() else None,
            journal=journal.read_text() if journal.is_file() else "",
            folder=self.folder,
        )


def provider_inputs(url: str, kind: str = "openai", **more: str) -> dict[str, str]:
    """Returns the inputs of an own provider at `url`."""
    base_url = url if kind == "anthropic" else f"{url}/v1"
    return {
        "provider-type": kind,
        "provider-base-url": base_url if kind != "azure" else url,
        "provider-api-key": PROVIDER_KEY,
        "model": "scripted-model",
        **more,
    }
