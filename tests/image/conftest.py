"""Provides the engine and worlds of containers, and prints figures at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.image.container_world import ContainerWorld
from tests.image.engine import Engine, find_engine

_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def engine() -> Engine:
    return find_engine()


@pytest.fixture
def world(tmp_path: Path, engine: Engine) -> Iterator[ContainerWorld]:
    with ExitStack() as stack:
        container_world = ContainerWorld(tmp_path, stack, engine)
        yield container_world
        container_world.check()


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> list[str]:
    """Returns the lines that are printed at the end."""
    return request.config.stash.setdefault(_FIGURES, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = terminalreporter.config.stash.get(_FIGURES, [])
    if lines:
        terminalreporter.section("the image")
    for line in lines:
        terminalreporter.write_line(line)
