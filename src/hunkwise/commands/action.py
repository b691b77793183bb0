"""Runs hunkwise as a step of a workflow: reads the runner's environment, and writes review, outputs, summary, report.

Only fast imports are at the top: the sidecar starts before the slow ones.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, assert_never

from hunkwise.actions import Runner
from hunkwise.commands.signals import Signals
from hunkwise.copilot.find_cli import find_cli
from hunkwise.copilot.isolation import Credential, refuse_unsafe
from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.domain.review import ExitCode
from hunkwise.domain.text import count
from hunkwise.errors import Error, GitHubError, SettingsError
from hunkwise.files import read_bounded
from hunkwise.settings.audit_inputs import AuditTask
from hunkwise.settings.events import (
    MAX_PAYLOAD_BYTES,
    CommandTask,
    MergeQueueTask,
    NothingToDo,
    PublishTask,
    ReviewTask,
    Task,
    read_event,
)
from hunkwise.settings.github_context import RunnerEnvironment, read_environment
from hunkwise.settings.inputs import Inputs, read_inputs

if TYPE_CHECKING:
    from hunkwise.commands.publish import PublishedRun

_SUMMARY_CHARACTERS = 2_000


class Action:
    """One step of a workflow, from its environment to its exit code. Call `close` last."""

    def __init__(self, environ: Mapping[str, str], stream: TextIO) -> None:
        self._environ = environ
        self._stream = stream
        self._started = time.monotonic()
        self._runner: Runner | None = None
        self._sidecar: Sidecar | list[Address] = []

    def run(self) -> ExitCode:
        """Reviews the pull request of the event, publishes a report, audits, or carries out a command. Raises Error."""
        environment, inputs = settings(self._environ)
        runner = self._runner = Runner(environment, self._stream)
        for secret in inputs.secrets:
            runner.mask(secret)
        runner.configure_logging(environment.debug)
        for warning in inputs.warnings:
            runner.warning(warning)
        refuse_unsafe(self._environ)
        outcome = self._run_task(environment, inputs, read_task(environment, inputs), runner)
        if isinstance(outcome, NothingToDo):
            from hunkwise.publish.sanitize import line

            runner.notice(outcome.why)
            runner.summary(f"**hunkwise:** {line(outcome.why, _SUMMARY_CHARACTERS)}\n")
            self._write_outputs({"conclusion": "success", "findings": "0"})
            return ExitCode.REVIEWED
        if isinstance(outcome, ExitCode):
            return outcome
        self._write_result(outcome, runner)
        return outcome.exit_code

    def _run_task(
        self, environment: RunnerEnvironment, inputs: Inputs, task: Task, runner: Runner
    ) -> PublishedRun | NothingToDo | ExitCode:
        """Runs the task; the steps of audits and commands have written their results themselves."""
        match task:
            case NothingToDo():
                inputs.overrides()
                return task
            case PublishTask():
                from hunkwise.commands.report_publication import ReportPublication

                assert inputs.publish_report is not None, "only with that input the event gives a PublishTask"
                publication = ReportPublication(environment, inputs, self._started, runner.log)
                return publication.run(task, inputs.publish_report)
            case ReviewTask():
                return self._review(environment, inputs, task, runner)
            case AuditTask():
                from hunkwise.commands.audit_step import run_audit_step

                start = partial(self._start_sidecar, inputs)
                return run_audit_step(environment, inputs, task, self._started, runner, self._environ, start)
            case CommandTask():
                from hunkwise.commands.command_step import ReviewParts, run_command_step

                parts = ReviewParts(
                    partial(self._start_sidecar, inputs),
                    lambda own, review: self._review(environment, own, review, runner),
                )
                return run_command_step(environment, inputs, task, self._started, parts)
            case MergeQueueTask():
                return self._repeat_check_run(environment, inputs, task, runner)
            case _:
                assert_never(task)

    def _write_result(self, finished: PublishedRun, runner: Runner) -> None:
        """Writes the log, the annotations, the summary and the outputs, all from the same view."""
        from hunkwise.publish import documents
        from hunkwise.publish.annotations import Level

        view = finished.view
        runner.log(
            documents.log_text(
                view.review, view.posted.review_url, fixed=len(view.fixed), dismissed=len(view.dismissed)
            )
        )
        for warning in finished.warnings:
            runner.warning(warning)
        for notice in finished.notices:
            runner.notice(notice)
        for error in finished.errors:
            runner.error(error)
        for note in finished.annotations:
            annotate = runner.notice if note.level is Level.NOTICE else runner.warning
            annotate(
                note.message, title=note.title, file=note.path, line=note.start_line, end_line=note.end_line
            )
        runner.summary(finished.summary)
        self._write_outputs(finished.outputs)

    def _review(
        self, environment: RunnerEnvironment, inputs: Inputs, task: ReviewTask, runner: Runner
    ) -> PublishedRun | NothingToDo:
        signals = Signals()
        signals.install()
        self._start_sidecar(inputs)  # the other inputs are validated while it starts
        signals.raise_on_second()
        from hunkwise.commands.pull_request import PullRequestReview

        def log_progress(done: int, total: int) -> None:
            runner.log(f"Reviewed {done} of {count(total, 'part')} of the change.")

        review = PullRequestReview(environment, inputs, self._started, signals, log_progress)
        return review.run(task, self._sidecar)

    def _repeat_check_run(
        self, environment: RunnerEnvironment, inputs: Inputs, task: MergeQueueTask, runner: Runner
    ) -> NothingToDo:
        """Answers for a required check in a merge queue. Raises GitHubError.

        A workflow whose token may not is only warned: its job can be the required check, and then holds nothing up.
        """
        from hunkwise.commands.pull_request import RepositoryReader
        from hunkwise.flows.check_run import repeat_check_run
        from hunkwise.github.checks import CheckRuns
        from hunkwise.github.responses import REFUSED
        from hunkwise.github.writer import Writer

        nothing = "Nothing is reviewed in a merge queue"
        if inputs.overrides().get("dry_run"):
            return NothingToDo(f"{nothing}, and with `dry-run` no check run is created.")
        reader = RepositoryReader(environment, inputs, self._started)
        try:
            pull_request = reader.github.pull_request(task.number)
            checks = CheckRuns(Writer(reader.github, task.number, reader.scan))
            conclusion = repeat_check_run(checks, pull_request, task.group_sha, reader.run)
        except GitHubError as error:
            if error.kind not in REFUSED or not environment.actions:
                raise
            runner.warning(f"The check run of #{task.number} is not repeated. {error}")
            return NothingToDo(f"{nothing}.")
        finally:
            reader.close()
        if conclusion is None:
            return NothingToDo(
                f"{nothing}, and #{task.number} has no completed check run that could be repeated."
            )
        return NothingToDo(f"{nothing}: the conclusion of #{task.number} is repeated ({conclusion}).")

    def _start_sidecar(self, inputs: Inputs) -> Sidecar | list[Address]:
        """Starts a CLI; returns it, or the addresses of the CLIs at `copilot-url`. Raises ModelError."""
        if inputs.copilot_urls:
            self._sidecar = addresses(inputs)
        else:
            self._sidecar = Sidecar(find_cli(self._environ), credential(inputs), self._environ)
            self._sidecar.start()
        return self._sidecar

    def close(self) -> None:
        """Ends the CLI. Call it last: deleting what a CLI has written can take seconds."""
        if isinstance(self._sidecar, Sidecar):
            self._sidecar.stop()

    def fail(self, error: Error) -> None:
        """Writes why there is no review to the log and the summary, and sets the outputs of a failure."""
        runner = self._runner or Runner(_bare_environment(self._environ), self._stream)
        for fault in error.faults:
            runner.error(fault)
        from hunkwise.publish.documents import failure_summary

        runner.summary(failure_summary(error.faults))
        self._runner = runner
        self._write_outputs({"conclusion": "failure", "findings": "0", "coverage": "0"})

    def _write_outputs(self, outputs: Mapping[str, str]) -> None:
        assert self._runner is not None, "both callers set the runner before"
        for name, value in outputs.items():
            self._runner.set_output(name, value)


def settings(environ: Mapping[str, str]) -> tuple[RunnerEnvironment, Inputs]:
    """Reads the runner's environment and the inputs. Raises SettingsError with the faults of both.

    `Inputs.overrides` raises those of the other inputs, if there are none here.
    """
    faults: list[str] = []
    environment, inputs = None, None
    try:
        environment = read_environment(environ)
    except SettingsError as error:
        faults += error.faults
    try:
        inputs = read_inputs(environ)
        if faults:
            inputs.overrides()
    except SettingsError as error:
        faults += error.faults
    if environment is None or inputs is None:
        raise SettingsError(faults)
    return environment, inputs


def addresses(inputs: Inputs) -> list[Address]:
    """Returns the addresses at `copilot-url`."""
    token = inputs.copilot_connection_token
    return [Address.parse(url, token) for url in inputs.copilot_urls]


def credential(inputs: Inputs) -> Credential:
    """Returns the CLI's credential: the user's own provider, else the Copilot token."""
    if inputs.provider is not None:
        return Credential(provider_base_url=inputs.provider.base_url)
    return Credential(copilot_token=inputs.copilot_token)


def read_task(environment: RunnerEnvironment, inputs: Inputs) -> Task:
    """Reads the event file, and returns the event's task. Raises SettingsError."""
    try:
        payload = read_bounded(environment.event_path, MAX_PAYLOAD_BYTES)
    except OSError as error:
        raise SettingsError(
            [
                f"GITHUB_EVENT_PATH names {environment.event_path}, which cannot be read ({error.strerror}); it must "
                "name the file that the runner wrote for this event."
            ]
        ) from error
    return read_event(
        environment.event_name,
        payload,
        repository=environment.repository,
        pull_request=inputs.pull_request,
        publishing=inputs.publish_report is not None,
        audit=inputs.audit.stage,
        sha=environment.sha,
    )


def _bare_environment(environ: Mapping[str, str]) -> RunnerEnvironment:
    """Returns an environment that is enough to report errors where the runner's environment is wrong."""
    output, summary = environ.get("GITHUB_OUTPUT"), environ.get("GITHUB_STEP_SUMMARY")
    return RunnerEnvironment(
        event_name="",
        event_path=Path(os.devnull),
        repository="",
        output=Path(output) if output else None,
        step_summary=Path(summary) if summary else None,
        actions=environ.get("GITHUB_ACTIONS") == "true",
    )
