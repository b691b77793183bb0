"""All four kinds of instructions are found at the base, and what cannot be read is named."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from hunkwise.domain.pull_request import Instructions, Known
from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.flows.base_config import (
    MAX_FOLDERS,
    MAX_INSTRUCTION_FILES,
    MAX_NESTED,
    instructions_of,
    nested_instructions,
)
from tests.fakes.changes import FakeCommit, changed

FOLDER = ".github/instructions"
ALL = b"---\napplyTo: '**'\n---\nText"
REFUSED = GitHubError(GitHubErrorKind.FORBIDDEN, "GraphQL is refused.")


@dataclass(frozen=True)
class OneByOne(FakeCommit):
    """A base of which many files at once tell nothing, or raise."""

    refused: bool = False

    def read_many(self, paths: Sequence[str]) -> Known:
        if self.refused:
            raise REFUSED
        return {}


@dataclass(frozen=True)
class Folders(FakeCommit):
    """A base whose folders are listed as git lists them."""

    def list(self, path: str) -> tuple[str, ...] | None:
        rest = [name.removeprefix(f"{path}/") for name in self.files if name.startswith(f"{path}/")]
        return tuple(dict.fromkeys(name.partition("/")[0] + "/" * ("/" in name) for name in rest)) or None


def found(base: FakeCommit) -> tuple[list[str], tuple[str, ...]]:
    with ThreadPoolExecutor(2) as pool:
        instructions, notes = instructions_of(base, pool)
    return [one.path for one in instructions], notes


def test_folders_below_githubs_own_are_looked_into() -> None:
    base = Folders({f"{FOLDER}/deep/er/a.instructions.md": ALL, f"{FOLDER}/b.instructions.md": ALL})
    assert found(base) == ([f"{FOLDER}/b.instructions.md", f"{FOLDER}/deep/er/a.instructions.md"], ())


@pytest.mark.parametrize(
    ("files", "read", "note"),
    [
        (
            {f"{FOLDER}/{number}/a.instructions.md": ALL for number in range(MAX_FOLDERS + 5)},
            MAX_FOLDERS,
            f"5 folders below {FOLDER} were not looked into.",
        ),
        (
            {f"{FOLDER}/{name}": ALL for name in (*map("{}.instructions.md".format, range(31)), "readme.md")},
            MAX_INSTRUCTION_FILES,
            f"Of 31 files in {FOLDER} {MAX_INSTRUCTION_FILES} were read.",
        ),
    ],
    ids=["folders", "files"],
)
def test_of_many_some_are_read_and_that_is_said(files: dict[str, bytes], read: int, note: str) -> None:
    paths, notes = found(Folders(files))
    assert (len(paths), notes) == (read, (note,))


@pytest.mark.parametrize("refused", [False, True])
def test_files_that_many_at_once_do_not_tell_are_asked_for_one_by_one(refused: bool) -> None:
    base = OneByOne({"AGENTS.md": b"Be exact.", f"{FOLDER}/b.instructions.md": ALL}, refused=refused)
    assert found(base) == (["AGENTS.md", f"{FOLDER}/b.instructions.md"], ())


def test_nested_files_are_read_at_once_for_old_and_new_folders() -> None:
    base = FakeCommit({"src/AGENTS.md": b"Mind it.", "old/AGENTS.md": b"Moved.", "docs/AGENTS.md": b"Docs."})
    moved = changed("src/a/b.py", old_path="old/b.py")
    instructions, notes = nested_instructions(base, [moved, changed("top.py")])
    assert instructions == (
        Instructions("old/AGENTS.md", "Moved.", ("old/**",)),
        Instructions("src/AGENTS.md", "Mind it.", ("src/**",)),
    )
    assert notes == ()
    assert nested_instructions(base, [changed("top.py")]) == ((), ())


def test_a_few_nested_files_that_nobody_knows_are_asked_for_and_the_others_named() -> None:
    base = OneByOne({"a/AGENTS.md": b"A."})
    instructions, notes = nested_instructions(base, [changed("a/x"), changed("b/x")])
    assert ([one.path for one in instructions], notes) == (["a/AGENTS.md"], ())
    _, notes = nested_instructions(base, [changed(f"{name}/x") for name in "abcdefgh"])
    assert notes == (
        "It is not known what d/AGENTS.md, e/AGENTS.md, f/AGENTS.md and 2 more say of reviews, if they exist.",
    )


def test_nested_files_that_cannot_be_read_cost_a_note() -> None:
    assert nested_instructions(OneByOne({}, refused=True), [changed("a/x")]) == (
        (),
        ("AGENTS.md of the folders with changed files could not be read: GraphQL is refused.",),
    )


def test_folders_beyond_the_limit_are_counted() -> None:
    files = [changed(f"{number}/x") for number in range(MAX_NESTED + 1)]
    _, notes = nested_instructions(FakeCommit(), files)
    assert notes == (
        f"AGENTS.md was looked for in {MAX_NESTED:,} of {MAX_NESTED + 1:,} folders with changed files.",
    )
