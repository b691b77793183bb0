"""Plays cases that mostly wait at the same time, each in an arena of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.redteam.arena import Arena

Act = Callable[[Arena], object]


def side_by_side(acts: Mapping[str, Act], folder: Path, tried: Callable[[str], None], most: int = 4) -> None:
    """Each act in its arena, the five checks behind it. Raises AssertionError with what did not hold, act by act."""

    def play(name: str, act: Act) -> None:
        tried(name)
        own = folder / name.replace(" ", "-")
        own.mkdir()
        with ExitStack() as stack:
            arena = Arena(own, stack, tried)
            act(arena)
            arena.check()

    with ThreadPoolExecutor(most) as pool:
        playing = {name: pool.submit(play, name, act) for name, act in acts.items()}
    faults = {name: error for name, one in playing.items() if (error := one.exception()) is not None}
    if faults:
        told = (f"{name}: {type(error).__name__}: {error}" for name, error in faults.items())
        raise AssertionError("\n\n".join(told))
