"""The real CLI, connected once for the tests of a module."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.copilot.programs import running, sidecar
from tests.copilot.sessions import Talk


@pytest.fixture(scope="module")
def talk() -> Iterator[Talk]:
    with asyncio.Runner() as runner:
        connected = running(sidecar())
        _, connection = runner.run(connected.__aenter__())
        yield Talk(runner, connection)
        runner.run(connected.__aexit__(None, None, None))
