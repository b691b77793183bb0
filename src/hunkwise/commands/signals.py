"""What SIGTERM and SIGINT do: until the event loop runs they are kept for it, then they end the asking, and while
what was found is being published they do nothing."""

from __future__ import annotations

import signal
from collections.abc import Callable

from hunkwise.errors import stopped


class Signals:
    """The process's reaction to being stopped. `install`, then `heed`, once, from the main thread."""

    def __init__(self) -> None:
        self._came = 0
        self._heeding = False
        self._react: Callable[[], None] = self._keep

    def install(self) -> None:
        """From here on signals are kept for `heed` and `tell`.

        None raises: between the sidecar's spawn and the `finally` that ends it an exception would leave it behind.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self._react())

    def heed(self) -> None:
        """From here on a second signal raises, through every `finally`; here, where two have come already.

        The first is kept: in an import an exception would be lost.
        """
        self._heeding = True
        if self._came > 1:
            self._end()

    def tell(self, react: Callable[[], None]) -> None:
        """From here on a signal calls `react`, in the main thread; at once where one has come already."""
        self._react = react
        if self._came:
            react()

    def hold(self) -> None:
        """From here on signals do nothing: GitHub gives ten seconds after the first, and publishing takes two.

        Ignored by the kernel, for Python takes its own handlers off before it ends. From the main thread only.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)

    def _keep(self) -> None:
        self._came += 1
        if self._heeding and self._came > 1:
            self._end()

    def _end(self) -> None:
        self.hold()  # a third would break off what the second one makes us do
        raise stopped()
