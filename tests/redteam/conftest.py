"""Provides a world with canaries for each case, and checks it at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.redteam.attack import AttackWorld
from tests.redteam.counts import ATTACK


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[AttackWorld]:
    def count(attack: str) -> None:
        request.node.user_properties.append((ATTACK, attack))

    with ExitStack() as stack:
        world = AttackWorld(tmp_path, stack, count)
        yield world
        world.check()
