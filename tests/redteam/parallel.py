"""Plays several cases, each in an arena of its own: one after the other, or at the same time where they wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.redteam.attack import Arena

Act = Callable[[Arena], object]


def in_turn(acts: Mapping[str, Act], folder: Path, tried: Callable[[str], None]) -> None:
    """One after the other, in this process where they can be. Raises AssertionError with what did not hold, by act."""
    faults = {}
    for name, act in acts.items():
        try:
            _play(name, act, folder, tried)
        except AssertionError as error:
            faults[name] = error
    _tell(faults)


def side_by_side(acts: Mapping[str, Act], folder: Path, tried: Callable[[str], None], most: int = 4) -> None:
    """At the same time, in processes. Raises AssertionError with what did not hold, by act."""
    with ThreadPoolExecutor(most) as pool:
        playing = {name: pool.submit(_play, name, act, folder, tried) for name, act in acts.items()}
    _tell({name: error for name, one in playing.items() if (error := one.exception()) is not None})


def _play(name: str, act: Act, folder: Path, tried: Callable[[str], None]) -> None:
    """The act in its arena, and the five checks."""
    tried(name)
    own = folder / name.replace(" ", "-")
    own.mkdir()
    with ExitStack() as stack:
        arena = Arena(own, stack, tried)
        act(arena)
        arena.check()


def _tell(faults: Mapping[str, BaseException]) -> None:
    if faults:
        told = (f"{name}: {type(error).__name__}: {error}" for name, error in faults.items())
        raise AssertionError("\n\n".join(told))
