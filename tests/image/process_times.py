"""When a process of this machine began, and what it took of the processor, as the kernel has it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def began(process: int) -> float:
    """On the clock that counts from the machine's start (CLOCK_BOOTTIME), in seconds."""
    return _ticks(process)[19] / os.sysconf("SC_CLK_TCK")


def spent(process: int) -> float:
    """Seconds of the processor, the children's that have ended among them."""
    return sum(_ticks(process)[11:15]) / os.sysconf("SC_CLK_TCK")


def child_named(first: int, name: str) -> int:
    """The process below `first` whose program is called so. Raises LookupError where there is none."""
    waiting = [first]
    while waiting:
        one = Path(f"/proc/{waiting.pop()}")
        with suppress(OSError):  # it ended while we looked
            if (one / "comm").read_text().strip() == name[:15]:  # the kernel keeps no more
                return int(one.name)
            for task in (one / "task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
    raise LookupError(f"no process below {first} is called {name}")


def _ticks(process: int) -> list[int]:
    """The numbers of /proc/…/stat that stand behind the program's name; its state, a letter, counts as 0."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return [0, *map(int, fields[1:])]
