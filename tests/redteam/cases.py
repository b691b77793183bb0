"""Cases of a group: how the stage is set, what the model says, and what must hold beside the five checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.end_to_end.step import Result
from tests.fakes.model_script import Script, report
from tests.redteam.attack import Arena


def nothing_more(_arena: Arena, _result: Result) -> None:
    """The five checks say all."""


def nothing_set(_arena: Arena) -> Mapping[str, str]:
    """The job's environment as it is."""
    return {}


@dataclass(frozen=True)
class Case:
    """One run. `attacks` names what is tried in it, where that is more than the case's own name."""

    name: str
    arrange: Callable[[Arena], object]
    script: Script = field(default_factory=report)
    holds: Callable[[Arena, Result], None] = nothing_more
    attacks: Sequence[str] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    environ: Callable[[Arena], Mapping[str, str]] = nothing_set
    checkout: bool = True
    """Whether the workspace is a checkout of the head; else everything comes over the API."""
    workspace: Callable[[Arena], Path] | None = None
    """Another workspace than the checkout; called when the stage is set."""
    copilot: bool = False
    """Whether Copilot is asked, and not a provider of one's own."""
    code: int = 0
    process: bool = False
    """Whether only a process of its own shows what is tried."""
    nightly: bool = False
    """Whether it takes too long for each run of the tests."""


def each(cases: Sequence[Case]) -> pytest.MarkDecorator:
    """The table as a test's parameters."""
    params = [
        pytest.param(case, id=case.name, marks=pytest.mark.nightly if case.nightly else ()) for case in cases
    ]
    return pytest.mark.parametrize("case", params)


def play(arena: Arena, case: Case) -> Result:
    """Plays one case to its end; the fixture's five checks follow."""
    arena.tries(*(case.attacks or (case.name,)))
    arena.answers(case.script)
    case.arrange(arena)
    workspace = arena.repository.path if case.checkout else arena.folder / "empty"
    if case.workspace is not None:
        workspace = case.workspace(arena)
    workspace.mkdir(exist_ok=True)
    # As in a container action, the working directory is the workspace.
    run = arena.run_copilot if case.copilot else arena.run
    result = run(
        dict(case.inputs),
        workspace=workspace,
        cwd=workspace,
        environ=dict(case.environ(arena)),
        process=case.process,
    )
    assert result.code == case.code, (result.log, result.errors)
    case.holds(arena, result)
    return result
