"""Runs several cases, each in a world of its own: in turn, or in parallel where they wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.redteam.attack import AttackWorld

Act = Callable[[AttackWorld], object]


def run_in_turn(acts: Mapping[str, Act], folder: Path, count: Callable[[str], None]) -> None:
    """Runs them in turn. Raises AssertionError with the failures by case."""
    faults = {}
    for name, act in acts.items():
        try:
            _run(name, act, folder, count)
        except AssertionError as error:
            faults[name] = error
    _raise_faults(faults)


def run_in_parallel(
    acts: Mapping[str, Act], folder: Path, count: Callable[[str], None], most: int = 4
) -> None:
    """Runs them at the same time, in processes. Raises AssertionError with the failures by case."""
    with ThreadPoolExecutor(most) as pool:
        running = {name: pool.submit(_run, name, act, folder, count) for name, act in acts.items()}
    _raise_faults({name: error for name, one in running.items() if (error := one.exception()) is not None})


def _run(name: str, act: Act, folder: Path, count: Callable[[str], None]) -> None:
    """Runs the case in its world, and the five checks."""
    count(name)
    own = folder / name.replace(" ", "-")
    own.mkdir()
    with ExitStack() as stack:
        world = AttackWorld(own, stack, count)
        act(world)
        world.check()


def _raise_faults(faults: Mapping[str, BaseException]) -> None:
    if faults:
        texts = (f"{name}: {type(error).__name__}: {error}" for name, error in faults.items())
        raise AssertionError("\n\n".join(texts))
