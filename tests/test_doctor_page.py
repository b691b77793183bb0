"""Compares docs/doctor.md with the output of `hunkwise doctor`."""

from __future__ import annotations

import re
from pathlib import Path

from hunkwise.doctor.checks import CheckState
from tests.fakes.command_line import CommandLine
from tests.fakes.git_repository import GitRepository
from tests.pages import code_blocks, page, table

PAGE = page("docs/doctor.md")
(SAMPLE,) = code_blocks(PAGE, "text")
_OF_THE_MACHINE = re.compile(r"  (ok|warning) +(Python|git|TMPDIR|Disk|Start|Listener|Docker's socket) .*")


def normalize(text: str) -> list[str]:
    """Returns the lines without the parts that differ between machines."""
    same = re.sub(r"the (package's runtime|CLI), /\S+", "PROGRAM", text)
    return [_OF_THE_MACHINE.sub(r"\2", line) for line in same.splitlines()]


def test_sample_equals_output(tmp_path: Path) -> None:
    clone = GitRepository.create(tmp_path / "clone")
    clone.commit({"a.py": "x = 1\n"})
    printed = CommandLine(clone.path, tmp_path / "home").run("doctor", "--offline", "--model", "demo")
    assert (printed.code, printed.errors) == (0, "")
    printed_lines = normalize(printed.out)
    assert [
        line for line in normalize(SAMPLE) if line not in printed_lines and "Nothing wrong was" not in line
    ] == []


def test_tables_list_states_parts_and_exit_codes() -> None:
    assert {f"`{state}`" for state in CheckState} <= {row[0] for row in table(PAGE, "Sign")}
    parts = [row[0] for row in table(PAGE, "Part")]
    assert parts == [line for line in SAMPLE.splitlines() if line in parts]
    assert [row[0] for row in table(PAGE, "Exit code")] == ["0", "2", "3"]
