"""Tests that one worker process finds all scopes, and that its failure does not stop a review."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hunkwise.enclosing.scopes import LARGEST, FileScopes, ScopeFinder
from tests.enclosing.sources import SOURCES, here

SOURCE, CHAIN = SOURCES["python"]
FOUND = FileScopes((CHAIN,), ((),), {})


@pytest.fixture
def finder() -> Iterator[ScopeFinder]:
    with ScopeFinder(seconds=60) as finder:
        yield finder


def python_that(command: str, folder: Path) -> str:
    """Returns a program that replaces the interpreter and answers every line with this one."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\nwhile read -r line; do {command}; done\n")
    program.chmod(0o755)
    return str(program)


def test_one_process_answers_for_all_files(finder: ScopeFinder) -> None:
    assert finder.scopes("python", SOURCE, [here(SOURCE), (9, 9)], 60) == FileScopes(
        (CHAIN, ()), ((), ("g",)), {}
    )
    slow = "a<" * 200_000
    assert finder.scopes("cpp", slow, [(1, 1)], 60) is None
    assert finder.scopes("python", SOURCE, [here(SOURCE)], 60) == FOUND
    assert not finder.failed


@pytest.mark.parametrize(
    "text", ["(" * 450_000, "\udcff\ufffd\0", "[" * 100_000 + "]" * 100_000, "x = '''" + "\\" * 99_999]
)
def test_hostile_text_does_not_end_the_process(finder: ScopeFinder, text: str) -> None:
    finder.scopes("python", text.encode("utf-8", "replace").decode(), [(1, 1)], 60)
    assert finder.scopes("python", SOURCE, [here(SOURCE)], 60) == FOUND


def test_finder_has_no_results_after_a_timeout(tmp_path: Path) -> None:
    with ScopeFinder(seconds=0.2, python=python_that("exec sleep 30", tmp_path)) as late:
        assert late.scopes("python", SOURCE, [(1, 1)], 60) is None
        assert late.failed
        assert late.scopes("python", SOURCE, [(1, 1)], 60) is None


def test_ended_process_is_not_used_again(tmp_path: Path) -> None:
    with ScopeFinder(python=python_that("exit 1", tmp_path)) as dead:
        assert dead.scopes("python", SOURCE * 9_000, [(1, 1)], 60) is None
        assert dead.failed


def test_process_that_cannot_be_started_is_no_error() -> None:
    with ScopeFinder(python="/nowhere/python") as failing:
        assert failing.scopes("python", SOURCE, [(1, 1)], 60) is None
        assert failing.failed


def test_syntax_errors_are_found_for_supported_languages(finder: ScopeFinder, tmp_path: Path) -> None:
    assert finder.syntax_errors("a.toml", "a = 1") == ()
    assert finder.syntax_errors("a.YML", "a: [1\nb: 2") == ((2, 2),)
    assert finder.syntax_errors("a.py", "return 1") == ((1, 1),)
    assert finder.syntax_errors("Makefile", "(" * LARGEST + ")") == ()
    assert finder.syntax_errors("a.py", "#" * (LARGEST + 1)) is None
    for answer in ("echo null", 'echo "[1]"', "echo x", "exit 1"):
        with ScopeFinder(python=python_that(answer, tmp_path)) as wrong:
            assert wrong.syntax_errors("a.py", "x = 1") is None


def test_worker_has_a_separate_environment() -> None:
    program = """
from hunkwise.enclosing.scopes import ScopeFinder
with ScopeFinder() as parser:
    assert parser.syntax_errors("a.toml", "a = 1") == ()
    print(open(f"/proc/{parser._worker.process.pid}/environ").read())
"""
    environ = {**os.environ, "CANARY_TOKEN": "ghs_canary", "PYTHONPATH": "src"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True
    )
    assert {entry.partition("=")[0] for entry in done.stdout.strip().split("\0") if entry} <= {
        "PYTHONPATH",
        "PYTHONIOENCODING",
        "PYTHONDONTWRITEBYTECODE",
    }


def test_no_request_without_remaining_time(finder: ScopeFinder) -> None:
    assert finder.scopes("python", SOURCE, [(1, 1)], 0) is None
    assert not finder.failed


def test_definitions_are_found_by_name(finder: ScopeFinder) -> None:
    assert finder.definitions("python", SOURCE, ["f", "g"], 60) == {"f": (CHAIN,)}
    assert finder.definitions("cpp", "a<" * 200_000, ["f"], 60) is None
    assert finder.definitions("python", SOURCE, ["f"], 0) is None


_CHAINS = ["[7]", "7", "[[1, 1, 1, 99, true]]", "[[0, 1, 1, 1, true]]", "[[2, 1, 1, 3, true]]", "[[1, 1, 1]]"]
_STRINGS = '[["1", "1", "1", "1", true]]'


@pytest.mark.parametrize(
    "answer",
    [
        "null",
        "nonsense",
        "[]",
        "[" * 90_000,
        '{"chains": [], "calls": [], "definitions": {}}',
        '{"chains": [[], []], "calls": [[]], "definitions": {}}',
        '{"chains": [[]], "calls": [[]], "definitions": []}',
        '{"chains": [[]], "calls": [[7]], "definitions": {}}',
        '{"chains": [[]], "calls": [["a|b"]], "definitions": {}}',
        '{"chains": [[]], "calls": [["' + "x" * 200 + '"]], "definitions": {}}',
        '{"chains": [[]], "calls": [[]]}',
        *(f'{{"chains": [{chain}], "calls": [[]], "definitions": {{}}}}' for chain in (*_CHAINS, _STRINGS)),
    ],
)
def test_invalid_answer_is_none(answer: str, tmp_path: Path) -> None:
    (tmp_path / "answer").write_text(answer + "\n")
    with ScopeFinder(seconds=60, python=python_that(f"cat {tmp_path / 'answer'}", tmp_path)) as invalid:
        assert invalid.scopes("python", SOURCE, [(1, 1)], 60) is None


@pytest.mark.parametrize(
    "answer", ["null", "[]", '{"a b": []}', *(f'{{"a": [{chain}]}}' for chain in (*_CHAINS, _STRINGS))]
)
def test_invalid_definitions_are_none(answer: str, tmp_path: Path) -> None:
    (tmp_path / "answer").write_text(answer + "\n")
    with ScopeFinder(seconds=60, python=python_that(f"cat {tmp_path / 'answer'}", tmp_path)) as invalid:
        assert invalid.definitions("python", SOURCE, ["a"], 60) is None
