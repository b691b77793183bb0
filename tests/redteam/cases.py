"""Runs the cases of a table: setup, the model's answers, and what must hold beside the five checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.end_to_end.step import Result
from tests.fakes.model_script import Script, report
from tests.redteam.attack import AttackWorld


def no_further_checks(_world: AttackWorld, _result: Result) -> None:
    pass


def no_variables(_world: AttackWorld) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Case:
    """One run. `attacks` lists what is tried in it, by default the case's own name."""

    name: str
    arrange: Callable[[AttackWorld], object]
    script: Script = field(default_factory=report)
    check: Callable[[AttackWorld, Result], None] = no_further_checks
    attacks: Sequence[str] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    environ: Callable[[AttackWorld], Mapping[str, str]] = no_variables
    checkout: bool = True
    """Whether the workspace is a checkout of the head; otherwise everything comes from the API."""
    workspace: Callable[[AttackWorld], Path] | None = None
    """Prepares another workspace than the checkout."""
    copilot: bool = False
    """Whether Copilot is used instead of an own provider."""
    code: int = 0
    process: bool = False
    """Whether the step needs a process of its own."""
    nightly: bool = False
    """Whether it takes too long for each run of the tests."""


def parametrize_cases(cases: Sequence[Case]) -> pytest.MarkDecorator:
    """Makes the table a test's parameters."""
    params = [
        pytest.param(case, id=case.name, marks=pytest.mark.nightly if case.nightly else ()) for case in cases
    ]
    return pytest.mark.parametrize("case", params)


def run_case(world: AttackWorld, case: Case) -> Result:
    """Runs one case; the fixture runs the five checks afterwards."""
    world.record_attacks(*(case.attacks or (case.name,)))
    world.answer_with(case.script)
    case.arrange(world)
    workspace = world.repository.path if case.checkout else world.folder / "empty"
    if case.workspace is not None:
        workspace = case.workspace(world)
    workspace.mkdir(exist_ok=True)
    run = world.run_copilot if case.copilot else world.run
    result = run(
        dict(case.inputs),
        code=case.code,
        workspace=workspace,
        cwd=workspace,  # as in a container action
        environ=dict(case.environ(world)),
        process=case.process,
    )
    case.check(world, result)
    return result
