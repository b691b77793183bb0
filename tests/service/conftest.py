"""Databases for the tests of the service."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import pytest

from hunkwise.service.queue import JobQueue
from tests.service.postgres import Postgres, run_postgres

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server whose database `tables` has the tables of the service."""
    with run_postgres() as server:
        asyncio.run(_migrate(server.create("tables")))
        yield server


async def _migrate(url: str) -> None:
    async with JobQueue(url).opened() as queue:
        await queue.migrate()


@pytest.fixture
def database_url(postgres: Postgres) -> str:
    """An empty database with the tables."""
    return postgres.create(f"test{next(_NUMBERS)}", "tables")
