"""Carries out a command in a comment as a step of a workflow."""

from __future__ import annotations

from collections.abc import Mapping

from hunkwise.actions import Runner
from hunkwise.domain.review import ExitCode
from hunkwise.settings.events import CommandTask, NothingToDo
from hunkwise.settings.github_context import RunnerEnvironment
from hunkwise.settings.inputs import Inputs


def run_command_step(
    _environment: RunnerEnvironment,
    _inputs: Inputs,
    _task: CommandTask,
    _started: float,
    _runner: Runner,
    _environ: Mapping[str, str],
) -> ExitCode | NothingToDo:
    """Carries out the command of a comment. Raises Error."""
    return NothingToDo("Commands in comments are not carried out by this version.")
