"""Runs coroutines side by side until all are done, or somebody ends them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any


async def together(works: Iterable[Coroutine[Any, Any, None]], interrupted: asyncio.Event) -> None:
    """Waits for all; on an interruption those that still run are cancelled. Raises what one of them raised."""
    tasks = [asyncio.create_task(work) for work in works]
    everything = asyncio.gather(*tasks, return_exceptions=True)
    stop = asyncio.create_task(interrupted.wait())
    either: set[asyncio.Future[Any]] = {everything, stop}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*tasks, stop):
            task.cancel()
        await asyncio.gather(*tasks, stop, return_exceptions=True)
    for task in tasks:
        if not task.cancelled():
            task.result()  # a fault of our own is raised here, not swallowed
