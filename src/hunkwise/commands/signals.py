"""How SIGTERM and SIGINT end a command.

In a review they are kept until the event loop runs, then they end the asking, and they do nothing while findings are
being published.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TypeVar

from hunkwise.errors import Error, stopped


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


_T = TypeVar("_T")


def listen() -> None:
    """From here on a signal raises Error, through every `finally`. To be called from the main thread."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)


def _stop(_number: int, _frame: object) -> None:
    raise _stopped()


def _stopped() -> Error:
    return Error("The checkup was stopped.")


@contextmanager
def kept() -> Iterator[Signals]:
    """In the block a signal waits for `heeding`: between a spawn and the `finally` that ends what was spawned, an
    exception would leave it behind."""
    signals = Signals()
    signals.install()
    try:
        yield signals
    finally:
        listen()


async def heeding(signals: Signals, work: Coroutine[None, None, _T]) -> _T:
    """The work, which a signal ends, also one that was kept. Raises Error then."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None, "a coroutine runs in a task"

    def end() -> None:
        loop.call_soon_threadsafe(task.cancel)

    signals.tell(end)
    try:
        return await work
    except asyncio.CancelledError as error:
        raise _stopped() from error
    finally:
        signals.hold()


@contextmanager
def stoppable(message: str) -> Iterator[None]:
    """In the block SIGTERM and SIGINT raise Error with that message; the handlers of before come back after it."""
    # SIGINT, too: a shell has the commands that it starts in the background ignore it.
    before = {
        number: signal.signal(number, signal.default_int_handler)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    except KeyboardInterrupt as stop:
        raise Error(message) from stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
