"""The real CLI, started once for the tests of a module."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.copilot.programs import running, sidecar
from tests.copilot.sessions import ConnectedCli


@pytest.fixture(scope="module")
def cli() -> Iterator[ConnectedCli]:
    with asyncio.Runner() as runner:
        connected = running(sidecar())
        _, connection = runner.run(connected.__aenter__())
        yield ConnectedCli(runner, connection)
        runner.run(connected.__aexit__(None, None, None))
