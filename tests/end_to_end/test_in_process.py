"""Checks that a step in this process behaves like one of its own, and leaves this process unchanged."""

from __future__ import annotations

import gc
import logging
import os
import re
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.end_to_end.github_snapshot import snapshot
from tests.end_to_end.step import Result
from tests.end_to_end.world import World, finding
from tests.fakes import command_line as in_process
from tests.fakes.model_script import report

NUMBERS = re.compile(r"[0-9a-f]{64}|\d+(\.\d+)?")


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[tuple[World, World]]:
    with ExitStack() as stack:
        worlds = World(tmp_path / "one", stack), World(tmp_path / "two", stack)
        yield worlds
        for world in worlds:
            world.check()


def review(world: World, *, process: bool) -> Result:
    world.change(script=report([finding()]))
    return world.run({"fail-on": "medium"}, process=process)


def test_result_is_the_same_in_both_ways(worlds: tuple[World, World]) -> None:
    here, apart = (review(world, process=index == 1) for index, world in enumerate(worlds))
    assert (here.code, here.errors) == (apart.code, apart.errors) == (1, "")
    assert here.outputs.keys() == apart.outputs.keys()
    # Here the log masks one more secret, the shared CLI's token, since an input names the CLI.
    lines = [NUMBERS.sub("N", result.log).splitlines() for result in (here, apart)]
    assert [line for line in lines[0] if line != "::add-mask::N"] == lines[1]
    assert snapshot(worlds[0]) == snapshot(worlds[1])


def state() -> tuple[object, ...]:
    logger = logging.getLogger("hunkwise")
    return (
        [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)],
        (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
        (tempfile.tempdir, Path.cwd(), dict(os.environ)),
        (list(logger.handlers), logger.level, logger.propagate),
    )


def test_this_process_is_unchanged(worlds: tuple[World, World]) -> None:
    gc.unfreeze()
    before = state()
    assert review(worlds[0], process=False).code == 1
    assert state() == before


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--version"], 0), (["nothing"], 2), (["review", "--pr", "x"], 2)]
)
def test_exit_code_of_command_that_ends_early(arguments: list[str], code: int, tmp_path: Path) -> None:
    printed = in_process.run(arguments, {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}, tmp_path)
    assert printed.code == code
    assert "hunkwise" in printed.out + printed.errors
