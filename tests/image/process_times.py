"""Reads from the kernel when a process began, and its CPU time."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def began(process: int) -> float:
    """Returns seconds on the clock since the machine's start (CLOCK_BOOTTIME)."""
    return _ticks(process)[19] / os.sysconf("SC_CLK_TCK")


def spent(process: int) -> float:
    """Returns the CPU seconds, those of ended children included."""
    return sum(_ticks(process)[11:15]) / os.sysconf("SC_CLK_TCK")


def child_named(first: int, name: str) -> int:
    """Returns the process below `first` whose program has the name. Raises LookupError."""
    waiting = [first]
    while waiting:
        one = Path(f"/proc/{waiting.pop()}")
        with suppress(OSError):  # it has ended
            if (one / "comm").read_text().strip() == name[:15]:  # the kernel truncates it
                return int(one.name)
            for task in (one / "task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
    raise LookupError(f"no process below {first} is called {name}")


def _ticks(process: int) -> list[int]:
    """Returns the numbers of /proc/…/stat after the program's name; the state, a letter, counts as 0."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return [0, *map(int, fields[1:])]
