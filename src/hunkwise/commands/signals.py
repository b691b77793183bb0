"""Handles SIGTERM and SIGINT.

In a review they are recorded until the event loop runs, then they end the questions to the model, and they are ignored
while findings are published.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TypeVar

from hunkwise.errors import Error, stopped


class Signals:
    """Reacts to SIGTERM and SIGINT. Call `install`, then `raise_on_second`, once, from the main thread."""

    def __init__(self) -> None:
        self._count = 0
        self._raises_on_second = False
        self._react: Callable[[], None] = self._record

    def install(self) -> None:
        """Starts to record signals, for `raise_on_second` and `tell`. No signal raises.

        Between the sidecar's spawn and the `finally` that ends it an exception would leave it behind.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self._react())

    def raise_on_second(self) -> None:
        """Lets the second signal raise Error from now on; raises immediately if two have already come.

        The first one is only recorded: in an import an exception would be lost.
        """
        self._raises_on_second = True
        if self._count > 1:
            self._end()

    def tell(self, react: Callable[[], None]) -> None:
        """Calls `react` in the main thread for each signal from now on; immediately if one has already come."""
        self._react = react
        if self._count:
            react()

    def hold(self) -> None:
        """Ignores signals from now on: GitHub gives ten seconds after the first, and publishing takes two.

        The kernel ignores them, because Python removes its own handlers before it exits. From the main thread only.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)

    def _record(self) -> None:
        self._count += 1
        if self._raises_on_second and self._count > 1:
            self._end()

    def _end(self) -> None:
        self.hold()  # a third would interrupt the cleanup that the second one starts
        raise stopped()


_T = TypeVar("_T")


def listen() -> None:
    """Lets each signal raise Error from now on. Must be called from the main thread."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)


def _stop(_number: int, _frame: object) -> None:
    raise _stopped_error()


def _stopped_error() -> Error:
    return Error("The checkup was stopped.")


@contextmanager
def deferred_signals() -> Iterator[Signals]:
    """Records signals in the block for `cancel_on_signal`.

    Between a spawn and the `finally` that ends the process an exception would leave it behind.
    """
    signals = Signals()
    signals.install()
    try:
        yield signals
    finally:
        listen()


async def cancel_on_signal(signals: Signals, work: Coroutine[None, None, _T]) -> _T:
    """Awaits `work` and returns its result. Raises Error if a signal comes, or was recorded before."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None, "a coroutine runs in a task"

    def end() -> None:
        loop.call_soon_threadsafe(task.cancel)

    signals.tell(end)
    try:
        return await work
    except asyncio.CancelledError as error:
        raise _stopped_error() from error
    finally:
        signals.hold()


@contextmanager
def stoppable(message: str) -> Iterator[None]:
    """Lets SIGTERM and SIGINT raise Error with `message` in the block; restores the earlier handlers after it."""
    # SIGINT, too: commands that a shell starts in the background ignore it.
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
