"""What SIGTERM and SIGINT do: until the event loop runs they are kept for it, then they end the asking, and while
what was found is being published they do nothing."""

from __future__ import annotations

import signal
from collections.abc import Callable

from hunkwise.errors import stopped


class Signals:
    """The process's reaction to being stopped. `install` once, from the main thread."""

    def __init__(self) -> None:
        self._came = False
        self._react: Callable[[], None] = self._keep

    def install(self) -> None:
        """From here on a first signal is kept for `tell`; a second one raises, through every `finally`.

        The first does not raise: between the sidecar's spawn and the `finally` that ends it, or in an import,
        an exception would be lost or leave something behind.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self._react())

    def tell(self, react: Callable[[], None]) -> None:
        """From here on a signal calls `react`, in the main thread; at once where one has come already."""
        self._react = react
        if self._came:
            react()

    def hold(self) -> None:
        """From here on signals do nothing: GitHub gives ten seconds after the first, and publishing takes two."""
        self._react = _nothing

    def _keep(self) -> None:
        if self._came:
            raise stopped()
        self._came = True


def _nothing() -> None:
    """Publishing goes on to its end."""
