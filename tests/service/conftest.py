"""Provides a PostgreSQL server for each process of the tests, and a database for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.service.postgres import Postgres, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def database(postgres: Postgres) -> str:
    """The address of a new database that has all tables."""
    return postgres.database()
