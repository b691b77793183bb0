"""Handles SIGTERM and SIGINT: they stop a command at once, or are recorded where an exception would do harm.

In a review they are recorded until the event loop runs, then they end the questions to the model, and they are ignored
while findings are published.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hunkwise.errors import Error, StoppedError

_BOTH = (signal.SIGTERM, signal.SIGINT)

logger = logging.getLogger(__name__)


class Signals:
    """Records SIGTERM and SIGINT. Call `install`, then `raise_on_second`, once, from the main thread."""

    def __init__(self) -> None:
        self._count = 0
        self._raises_on_second = False
        self._react: Callable[[], object] = self._record

    def install(self) -> None:
        """Starts to record signals, for `raise_on_second` and `on_signal`. No signal raises.

        Between the sidecar's spawn and the `finally` that ends it an exception would leave it behind.
        """
        for number in _BOTH:
            signal.signal(number, lambda _number, _frame: self._react())

    def raise_on_second(self) -> None:
        """Lets the second signal raise Error from now on; raises immediately if two have already come.

        The first one is only recorded: in an import an exception would be lost.
        """
        self._raises_on_second = True
        if self._count > 1:
            self._end()

    def on_signal(self, react: Callable[[], object]) -> None:
        """Calls `react` in the main thread for each signal from now on; immediately if one has already come."""
        self._react = react
        if self._count:
            react()

    def ignore(self) -> None:
        """Ignores signals from now on: GitHub gives ten seconds after the first, and publishing takes two.

        The kernel ignores them, because Python removes its own handlers before it exits. From the main thread only.
        """
        for number in _BOTH:
            signal.signal(number, signal.SIG_IGN)

    def _record(self) -> None:
        self._count += 1
        if self._raises_on_second and self._count > 1:
            self._end()

    def _end(self) -> None:
        self.ignore()  # a third would interrupt the cleanup that the second one starts
        raise StoppedError()


@contextmanager
def stoppable(message: str) -> Iterator[None]:
    """Lets SIGTERM and SIGINT raise KeyboardInterrupt in the block, and raises Error with `message` for it."""
    try:
        with _restored_handlers():
            for number in _BOTH:  # SIGINT, too: commands that a shell starts in the background ignore it
                signal.signal(number, signal.default_int_handler)
            yield
    except KeyboardInterrupt as stop:
        raise Error(message) from stop


@contextmanager
def recorded_signals() -> Iterator[Signals]:
    """Records signals in the block, for `quiet_loop`."""
    with _restored_handlers():
        signals = Signals()
        signals.install()
        yield signals


@contextmanager
def _restored_handlers() -> Iterator[None]:
    before = [(number, signal.getsignal(number)) for number in _BOTH]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler or signal.SIG_DFL)


@contextmanager
def quiet_loop(signals: Signals) -> Iterator[asyncio.Event]:
    """Yields an event that a signal sets, in a running event loop; ignores all signals after the block.

    Of a failed callback only the error's type is logged: the SDK's callbacks fail on unknown events, and nothing waits
    for them. The loop's own message would print the event, which is untrusted text.
    """
    loop, interrupted = asyncio.get_running_loop(), asyncio.Event()
    loop.set_exception_handler(_log_quietly)
    signals.on_signal(lambda: loop.call_soon_threadsafe(interrupted.set))
    try:
        yield interrupted
    finally:
        signals.ignore()


def _log_quietly(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    logger.debug("A callback failed: %s", type(error).__name__ if error else context.get("message"))
