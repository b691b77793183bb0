"""The engine, worlds of containers, and the figures that are printed when all is over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.image.container_world import ContainerWorld
from tests.image.engine import Engine, engine

_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session", name="engine")
def the_engine() -> Engine:
    return engine()


@pytest.fixture
def world(tmp_path: Path, engine: Engine) -> Iterator[ContainerWorld]:
    with ExitStack() as stack:
        made = ContainerWorld(tmp_path, stack, engine)
        yield made
        made.check()


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> list[str]:
    """Lines to be printed at the end."""
    return request.config.stash.setdefault(_FIGURES, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = terminalreporter.config.stash.get(_FIGURES, [])
    if lines:
        terminalreporter.section("the image")
    for line in lines:
        terminalreporter.write_line(line)
