"""Audits a repository as a step of a workflow."""

from __future__ import annotations

from collections.abc import Mapping

from hunkwise.actions import Runner
from hunkwise.domain.review import ExitCode
from hunkwise.errors import SettingsError
from hunkwise.settings.audit_inputs import AuditTask
from hunkwise.settings.github_context import RunnerEnvironment
from hunkwise.settings.inputs import Inputs


def run_audit_step(
    environment: RunnerEnvironment,
    inputs: Inputs,
    task: AuditTask,
    started: float,
    runner: Runner,
    environ: Mapping[str, str],
) -> ExitCode:
    """Runs a step of an audit, and writes its log, outputs and summary. Raises Error."""
    del environment, inputs, task, started, runner, environ
    raise SettingsError(["Audits are not handled by this version."])
