"""What was seen of a CLI, and what Copilot said, as lines."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from hunkwise.copilot.find_cli import CLI_VERSION, SDK_VERSION
from hunkwise.doctor.checks import CheckState
from hunkwise.doctor.copilot import CliStatus, copilot_checks, program_checks
from hunkwise.errors import ModelError, ModelKind

ROOT = Path(__file__).resolve().parents[2]
SEEN = CliStatus("the CLI", CLI_VERSION, SDK_VERSION, seconds=0.5, models=("a", "b"))


def test_the_measured_sdk_is_the_one_that_is_pinned() -> None:
    pins = re.findall(r"^github-copilot-sdk==(\S+)", (ROOT / "requirements/runtime.txt").read_text(), re.M)
    assert pins == [SDK_VERSION]


@pytest.mark.parametrize(
    ("seen", "odd"),
    [
        (SEEN, []),
        (replace(SEEN, seconds=None), []),
        (replace(SEEN, seconds=9.0), ["Start"]),
        (replace(SEEN, version="1.0.103"), ["Versions"]),
        (replace(SEEN, sdk="1.0.26"), ["Versions"]),
        (replace(SEEN, not_first="It ended."), ["Program"]),
    ],
)
def test_what_is_odd_about_a_cli_is_a_warning(seen: CliStatus, odd: list[str]) -> None:
    found = list(program_checks(seen, CLI_VERSION, SDK_VERSION))
    assert [check.name for check in found if check.state is CheckState.WARNING] == odd
    assert all(check.remedy for check in found if check.state is CheckState.WARNING)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (ModelKind.AUTHENTICATION, "not accepted"),
        (ModelKind.FORBIDDEN, "policy"),
        (ModelKind.PAYMENT, "nothing is left to spend"),
        (ModelKind.RATE_LIMIT, "rate limit"),
        (ModelKind.PROVIDER, "could not be asked"),
    ],
)
def test_authentication_and_policy_are_told_apart(kind: ModelKind, words: str) -> None:
    copilot, model = copilot_checks(replace(SEEN, refusal=ModelError(kind, "No.", "Do.")), "a")
    assert (copilot.state, copilot.remedy, model.state) == (CheckState.FAULT, "Do.", CheckState.UNCHECKED)
    assert words in copilot.said


def test_a_model_is_there_or_is_not() -> None:
    missing = replace(SEEN, models=(), refusal=ModelError(ModelKind.UNAVAILABLE_MODEL, "No x.", "Do."))
    assert [check.state for check in copilot_checks(missing, "x")] == [CheckState.OK, CheckState.FAULT]
    assert [check.said for check in copilot_checks(SEEN, "a")][1] == "a, which Copilot offers"
    many = replace(SEEN, models=tuple(f"m{number}" for number in range(14)))
    listed, chosen = copilot_checks(many, None)
    assert listed.said.endswith("m11 and 2 more")
    assert chosen.said == "Copilot's choice"
