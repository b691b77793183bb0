"""An arena for each case, and the checks that end each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.redteam.attack import Arena
from tests.redteam.counts import ATTACK


@pytest.fixture
def arena(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Arena]:
    def tried(attack: str) -> None:
        request.node.user_properties.append((ATTACK, attack))

    with ExitStack() as stack:
        made = Arena(tmp_path, stack, tried)
        yield made
        made.check()
