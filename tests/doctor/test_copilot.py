"""A checkup's own look at a CLI: the first program that listens, and why another one does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from hunkwise.copilot.find_cli import CliCommand, find_cli
from hunkwise.doctor.copilot import NOWHERE, CopilotQuestion, try_own
from hunkwise.errors import ModelError
from tests.copilot.asking import environ
from tests.copilot.programs import script

NOTHING = CopilotQuestion(copilot=False)


def test_what_stands_by_is_told_with_why_it_was_needed(tmp_path: Path) -> None:
    broken = CliCommand(script(tmp_path, "exit 5"), instead=find_cli(environ()))
    seen = try_own(broken, NOWHERE, environ(), NOTHING)
    assert seen.not_first == "The Copilot CLI ended with status 5."
    assert (seen.program.endswith("copilot-runtime"), seen.listener) == (True, True)


def test_where_none_listens_the_first_one_is_told(tmp_path: Path) -> None:
    second = CliCommand(script(tmp_path, "exit 6", "second"))
    with pytest.raises(ModelError, match="status 5"):
        try_own(CliCommand(script(tmp_path, "exit 5"), instead=second), NOWHERE, environ(), NOTHING)


def test_a_program_that_cannot_be_executed_is_told(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with pytest.raises(ModelError, match="could not be started"):
        try_own(CliCommand(tmp_path / "plain"), NOWHERE, environ(), NOTHING)
