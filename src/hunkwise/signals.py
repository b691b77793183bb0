"""What SIGTERM and SIGINT do: before the asking they end the run, during it they end the asking, and while what
was found is being published they wait."""

from __future__ import annotations

import signal
from collections.abc import Callable

from hunkwise.errors import stopped


class Signals:
    """The process's reaction to being stopped. `install` once, from the main thread."""

    def __init__(self) -> None:
        self._react: Callable[[], None] = _leave

    def install(self) -> None:
        """From here on a signal raises in the main thread, through every `finally` on its way."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self._react())

    def tell(self, react: Callable[[], None]) -> None:
        """From here on a signal calls `react`, in the main thread."""
        self._react = react

    def hold(self) -> None:
        """From here on signals do nothing: GitHub gives ten seconds after the first, and publishing takes two."""
        self._react = _nothing


def _leave() -> None:
    raise stopped()


def _nothing() -> None:
    """Publishing goes on to its end."""
