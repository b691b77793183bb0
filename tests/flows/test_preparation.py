"""A local range of commits is prepared with all that stands around its changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hunkwise.commands.change_options import RangeOptions
from hunkwise.commands.local_range import read_range
from hunkwise.flows.review import ReviewInput, prepare
from tests.repository.repositories import Entry, Trees

SOURCE = b"class A:\n    def f(self):\n" + b"".join(b"        step_%d()\n" % n for n in range(20))
BASE: dict[bytes, Entry] = {
    b"AGENTS.md": b"Be exact.\n" + b"x\n" * 30_000,
    b"src/AGENTS.md": b"Mind it.\n",
    b"src/a.py": SOURCE,
}


def read_commits(folder: Path, base: str, head: str) -> ReviewInput:
    options = RangeOptions(base=base, head=head)
    return read_range(folder, options, config_path=".github/hunkwise.yml", demo=True, at_base=True).ready


def prepared(folder: Path, config: bytes = b"version: 1\n") -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The one prompt, the instructions that it shows, and what is noted of it."""
    trees = Trees.make(folder)
    base = {**BASE, b".github/hunkwise.yml": config}
    first = trees.commit(base)
    head = trees.commit({**base, b"src/a.py": SOURCE.replace(b"step_10", b"step_ten")}, [first])
    ready = read_commits(folder, first, head)
    made = prepare(ready.request, code=ready.code)
    (task,) = made.plan.tasks
    return made.prompting.text(task), made.prompting.instructions, made.prompting.notes


def test_code_and_instructions_stand_around_a_local_change_too(tmp_path: Path) -> None:
    text, instructions, notes = prepared(tmp_path)
    assert "    1 | class A:" in text
    assert "> Mind it." in text
    assert instructions == ("AGENTS.md", "src/AGENTS.md")
    assert len(notes) == 1
    assert notes[0].startswith("Of AGENTS.md 39,9")


def test_definition_in_an_unchanged_file_is_shown(tmp_path: Path) -> None:
    trees = Trees.make(tmp_path)
    base = {**BASE, b"lib/steps.py": b"def step_ten():\n    return 10\n"}
    first = trees.commit(base)
    head = trees.commit({**base, b"src/a.py": SOURCE.replace(b"step_10", b"step_ten")}, [first])
    ready = read_commits(tmp_path, first, head)
    made = prepare(ready.request, lambda: 60.0, ready.code)
    (task,) = made.plan.tasks
    text = made.prompting.text(task)
    assert (
        '### Called by the rows shown: "lib/steps.py:1"\n    1 | def step_ten():\n    2 |     return 10'
        in text
    )


@pytest.mark.parametrize(
    ("base", "config", "named"),
    [
        (True, b"version: 1\n", True),
        (False, b"version: 1\n", False),
        (True, b"version: 1\nprompts: [{name: review, tools: [repo_list]}]\n", False),
    ],
)
def test_base_version_is_named_where_it_can_be_read(
    base: bool, config: bytes, named: bool, tmp_path: Path
) -> None:
    trees = Trees.make(tmp_path)
    first = trees.commit({**BASE, b".github/hunkwise.yml": config})
    head = trees.commit({**BASE, b".github/hunkwise.yml": config, b"src/b.py": b"x = 1\n"}, [first])
    ready = read_commits(tmp_path, first, head)
    code = ready.code if base else replace(ready.code, base=None)
    made = prepare(ready.request, code=code)
    (task,) = made.plan.tasks
    assert ("`version: base`" in made.prompting.text(task)) is named


def test_what_is_turned_off_is_neither_shown_nor_told(tmp_path: Path) -> None:
    text, instructions, notes = prepared(
        tmp_path, b"version: 1\ncontext:\n  enclosing: false\n  instructions: false\n"
    )
    assert "class A:" not in text.replace("@@ class A:", "")
    assert (instructions, notes) == ((), ())


def test_without_room_nothing_is_around_the_lines(tmp_path: Path) -> None:
    text, instructions, notes = prepared(tmp_path, b"version: 1\ncontext:\n  size: 0\n")
    assert "| class A:" not in text
    assert instructions == ("AGENTS.md",)
    assert notes[1] == "Of src/AGENTS.md 0 of 8 characters found room in a prompt."
