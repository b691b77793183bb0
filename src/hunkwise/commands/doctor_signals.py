"""What SIGTERM and SIGINT do to a checkup: they end it, with nothing left behind."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TypeVar

from hunkwise.commands.signals import Signals
from hunkwise.errors import Error

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
