"""Shows on standard error how far a run is: as a bar on a terminal, as lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from hunkwise.commands.messages import print_message
from hunkwise.domain.text import count
from hunkwise.flows.analysis import Progress as ProgressCallback

INTERVAL = 5.0
"""Minimum number of seconds between two lines."""
_STILL = 60.0
"""Seconds after which a line is repeated though nothing has changed."""


@contextmanager
def progress(
    console: Console,
    verb: str = "Reviewing",
    noun: str = "part",
    *,
    quiet: bool = False,
    interval: float = INTERVAL,
) -> Iterator[ProgressCallback]:
    """Yields a function that shows how many questions are answered. With `quiet` it shows nothing.

    `console` is on standard error; where that is not a terminal, lines are printed: the first at once, then at most one
    in `interval` seconds, and the last at the end.
    """
    if quiet:
        yield _show_nothing
    elif console.is_terminal:
        with _bar(console, verb) as update:
            yield update
    else:
        lines = _ProgressLines(verb, noun, interval)
        try:
            yield lines.update
        finally:
            lines.close()


@contextmanager
def _bar(console: Console, verb: str) -> Iterator[ProgressCallback]:
    columns = (SpinnerColumn(), TextColumn(verb), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("review", total=None)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield update


def _show_nothing(done: int, total: int) -> None:
    """Is the function for `quiet`."""


class _ProgressLines:
    """Prints the newest counts from a thread, so that a log shows them also while no question ends."""

    def __init__(self, verb: str, noun: str, interval: float) -> None:
        self._verb = verb
        self._noun = noun
        self._interval = interval
        self._started = time.monotonic()
        self._printed: tuple[int, int] | None = None
        self._latest: tuple[int, int] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name="progress", daemon=True)

    def update(self, done: int, total: int) -> None:
        self._latest = (done, total)
        if self._printed is None:
            self._print(done, total)
            self._thread.start()

    def close(self) -> None:
        """Prints the last counts, if they are not printed yet."""
        self._ended.set()
        if self._printed is not None:
            self._thread.join()
            self._print_latest()

    def _repeat(self) -> None:
        silent = 0.0
        while not self._ended.wait(self._interval):
            silent += self._interval
            if self._print_latest(again=silent >= _STILL):
                silent = 0.0

    def _print_latest(self, *, again: bool = False) -> bool:
        """Prints the newest counts if they are new, or `again`; returns whether it did."""
        latest = self._latest
        if latest is None or (latest == self._printed and not again):
            return False
        self._print(*latest, f" ({time.monotonic() - self._started:.0f} s)")
        return True

    def _print(self, done: int, total: int, after: str = "") -> None:
        self._printed = (done, total)
        print_message(f"{self._verb}: {done:,} of {count(total, self._noun)}{after}")
