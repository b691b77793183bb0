"""Audits a repository as a step of a workflow: one stage, or all of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hunkwise.actions import Runner
from hunkwise.commands.audit_stages import (
    Audit,
    AuditOutcome,
    AuditSources,
)
from hunkwise.commands.audit_stores import PLAN_NAME, StateIssue, read_parts, read_plan_file
from hunkwise.commands.journal import Journal, write_json
from hunkwise.commands.signals import Signals
from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.domain.model import Deadlines
from hunkwise.domain.review import ExitCode
from hunkwise.domain.text import count
from hunkwise.errors import GitHubError, SettingsError
from hunkwise.github.checks import CodeScanning
from hunkwise.github.client import GitHub
from hunkwise.github.issues import AuditIssues
from hunkwise.github.writer import Writer
from hunkwise.publish.audit_files import AuditPart, AuditPlan, plan_json
from hunkwise.publish.audit_issue import issue_body
from hunkwise.publish.audit_report import report_json
from hunkwise.redaction import SecretScan, without_secrets
from hunkwise.repository.git import Git
from hunkwise.repository.trees import readable
from hunkwise.settings.audit_inputs import AuditStage, AuditTask
from hunkwise.settings.github_context import RunnerEnvironment
from hunkwise.settings.inputs import Inputs


def run_audit_step(
    environment: RunnerEnvironment,
    inputs: Inputs,
    task: AuditTask,
    started: float,
    runner: Runner,
    environ: Mapping[str, str],
    start: Callable[[], Sidecar | Sequence[Address]],
) -> ExitCode:
    """Runs a step of an audit, and writes its log, outputs and summary. `start` starts a CLI. Raises Error."""
    step = _AuditStep(environment, inputs, task, started, runner, environ, start)
    try:
        return step.run()
    finally:
        step.close()


class _AuditStep:
    """One step. Call `close` at its end."""

    def __init__(
        self,
        environment: RunnerEnvironment,
        inputs: Inputs,
        task: AuditTask,
        started: float,
        runner: Runner,
        environ: Mapping[str, str],
        start: Callable[[], Sidecar | Sequence[Address]],
    ) -> None:
        self._environment = environment
        self._inputs = inputs
        self._task = task
        self._started = started
        self._runner = runner
        self._environ = environ
        self._start = start
        self._scan = SecretScan(inputs.secrets)
        overrides = inputs.overrides()
        self._deadlines = Deadlines(started, 60.0)
        self._git = _checkout(environment.workspace)
        self._github = GitHub(
            inputs.github_token,
            environment.api_url,
            environment.repository,
            deadline=self._deadlines.seconds_left,
            last=self._deadlines.last_seconds,
        )
        self._writer = Writer(self._github, 0, self._scan)
        self._store = StateIssue(AuditIssues(self._writer), environment.repository)
        sources = AuditSources(
            git=self._git,
            repository=environment.repository,
            head_sha=task.sha,
            config_path=inputs.config_path,
            overrides=overrides,
            now=time.time(),
            scan=self._scan,
            github=self._github,
            server_url=environment.server_url,
        )
        self._audit = Audit(sources, self._store)

    def run(self) -> ExitCode:
        """Runs the stage of the task."""
        if not self._git.has(self._task.sha):
            raise SettingsError(
                [
                    f"The checkout does not have the commit {self._task.sha[:12]}: check out the workflow's own commit."
                ]
            )
        config = self._audit.config
        self._deadlines.minutes = config.deadline
        wanted = self._inputs.audit
        match self._task.stage:
            case AuditStage.PLAN:
                return self._plan()
            case AuditStage.RUN:
                assert wanted.plan is not None, "the inputs are checked"
                assert wanted.shard is not None, "the inputs are checked"
                plan = read_plan_file(wanted.plan)
                values = self._ask(plan, wanted.shard)
                path = self._write(f"part-{wanted.shard}.json", values)
                self._set_outputs({"part": path, "conclusion": "success"})
                return ExitCode.REVIEWED
            case AuditStage.MERGE:
                assert wanted.plan is not None, "the inputs are checked"
                plan = read_plan_file(wanted.plan)
                parts, faults = read_parts(wanted.parts, plan)
                return self._finish(self._merge(plan, parts, faults))
            case AuditStage.ALL:
                plan = self._audit.plan(shards=1)
                parts = [self._audit.as_part(plan, self._ask(plan, 1))] if plan.shards else []
                return self._finish(self._merge(plan, parts, []))

    def close(self) -> None:
        """Ends the connections and git."""
        self._github.close()
        self._git.close()

    def _plan(self) -> ExitCode:
        plan = self._audit.plan(shards=self._inputs.audit.shards)
        path = self._write(PLAN_NAME, plan_json(plan))
        self._annotate(plan.notes)
        self._runner.log(f"{count(len(plan.files), 'file')} in {count(len(plan.shards), 'shard')}.")
        outputs = {"matrix": plan.matrix, "shards": str(len(plan.shards)), "plan": path}
        self._set_outputs({**outputs, "conclusion": "success"})
        return ExitCode.REVIEWED

    def _ask(self, plan: AuditPlan, shard: int) -> Any:
        """Starts a CLI, and asks the model about a shard."""
        plan.shard_files(shard)  # a wrong number is an error before anything is started
        signals = Signals()
        signals.install()
        where = self._start()
        signals.raise_on_second()
        return self._audit.run(
            plan,
            shard,
            where,
            self._inputs.provider,
            signals=signals,
            started=self._started,
            journal=Journal(self._environment.reports.inside / "journal.jsonl", self._scan.found_in),
            progress=self._progress,
        )

    def _progress(self, done: int, total: int) -> None:
        if done:
            self._runner.log(f"Read {done} of {total} parts.")

    def _merge(self, plan: AuditPlan, parts: list[AuditPart], faults: list[str]) -> AuditOutcome:
        post = not self._audit.config.dry_run
        return self._audit.merge(plan, parts, faults=faults, post=post)

    def _finish(self, outcome: AuditOutcome) -> ExitCode:
        """Writes the report, uploads the SARIF, and sets the outputs."""
        report = outcome.report
        paths = {
            "report": self._write(
                "audit.json",
                without_secrets(report_json(report, outcome.merged.usage, outcome.merged.faults), self._scan),
            ),
            "sarif": self._write("hunkwise.sarif", outcome.sarif),
        }
        config = self._audit.config
        if config.upload_sarif and not config.dry_run and outcome.error is None:
            self._upload(outcome)
        self._annotate(report.notes)
        for sentence in outcome.failed:
            self._runner.warning(sentence)
        self._runner.summary(issue_body(report))
        open_findings = report.open
        self._set_outputs(
            {
                "conclusion": str(outcome.exit_code.conclusion),
                "findings": str(len(open_findings)),
                "highest-severity": open_findings[0][0].severity.label if open_findings else "",
                "issue-url": self._store.url,
                "model-calls": str(outcome.merged.usage.model_calls),
                **paths,
            }
        )
        if outcome.error is not None:
            raise outcome.error
        return outcome.exit_code

    def _annotate(self, notes: Sequence[str]) -> None:
        for note in notes:
            annotate = self._runner.warning if note in self._audit.warnings else self._runner.notice
            annotate(note)

    def _upload(self, outcome: AuditOutcome) -> None:
        ref = self._environ.get("GITHUB_REF") or "refs/heads/main"
        try:
            CodeScanning(self._writer).upload(json.dumps(outcome.sarif), self._task.sha, ref)
        except GitHubError as error:
            self._runner.warning(f"The findings were not uploaded to code scanning: {error}")

    def _write(self, name: str, contents: Mapping[str, Any]) -> str:
        """Writes a file for later steps; returns its path as they see it. Raises SettingsError."""
        reports = self._environment.reports
        if not write_json(reports.inside / name, contents, ascii_only=True):
            raise SettingsError(
                [f"{reports.outside / name} cannot be written: free space on the runner's disk."]
            )
        return str(reports.outside / name)

    def _set_outputs(self, outputs: Mapping[str, str]) -> None:
        for name, value in outputs.items():
            self._runner.set_output(name, value)


def _checkout(workspace: Path | None) -> Git:
    git = readable(Git(workspace)) if workspace is not None else None
    if git is None:
        raise SettingsError(
            ["An audit reads the checkout, and there is none: run actions/checkout before it."]
        )
    return git
