"""docs/doctor.md shows what `hunkwise doctor` prints, and names its signs and exit codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hunkwise.doctor.checks import CheckState
from tests.fakes.command_line import CommandLine
from tests.fakes.git_repository import GitRepository
from tests.pages import code_blocks, page, table

PAGE = page("docs/doctor.md")
(SAMPLE,) = code_blocks(PAGE, "text")
_OF_THE_MACHINE = re.compile(r"  (ok|warning) +(Python|git|TMPDIR|Disk|Start|Listener|Docker's socket) .*")


def known(text: str) -> list[str]:
    """The lines without what differs from machine to machine."""
    same = re.sub(r"the (package's runtime|CLI), /\S+", "PROGRAM", text)
    return [_OF_THE_MACHINE.sub(r"\2", line) for line in same.splitlines()]


def test_the_sample_is_what_is_printed(tmp_path: Path) -> None:
    clone = GitRepository.create(tmp_path / "clone")
    clone.commit({"a.py": "x = 1\n"})
    printed = CommandLine(clone.path, tmp_path / "home").run("doctor", "--offline")
    assert (printed.code, printed.errors) == (0, "")
    told = known(printed.out)
    assert [line for line in known(SAMPLE) if line not in told and "review needs is here" not in line] == []


@pytest.mark.parametrize("state", CheckState)
def test_every_sign_is_told(state: CheckState) -> None:
    assert f"`{state}`" in [row[0] for row in table(PAGE, "Sign")]


def test_every_part_is_told_in_its_order() -> None:
    parts = [row[0] for row in table(PAGE, "Part")]
    assert parts == [line for line in SAMPLE.splitlines() if line in parts]
    assert [row[0] for row in table(PAGE, "Exit code")] == ["0", "2", "3"]
