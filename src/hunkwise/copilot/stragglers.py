"""Processes that the CLI started and that left its group: a daemon, a helper in a session of its own."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

_MOST_ROUNDS = 5
"""One that starts others faster than they are found is not waited for."""


def end_stragglers(home: Path, proc: Path = Path("/proc")) -> None:
    """Ends every process that was started with this home in its environment, or works in it."""
    for _ in range(_MOST_ROUNDS):
        found = [pid for pid in _processes(proc) if _belongs(proc / str(pid), home)]
        if not found:
            return
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def _processes(proc: Path) -> list[int]:
    try:
        names = os.listdir(proc)  # noqa: PTH208  # names alone; a Path for each is what this saves
    except OSError:
        return []
    return [int(name) for name in names if name.isdecimal() and int(name) != os.getpid()]


def _belongs(process: Path, home: Path) -> bool:
    """False, too, for one that is not ours to look at, and for one that has ended."""
    try:
        if os.fsencode(home) in (process / "environ").read_bytes():
            return True
        return (process / "cwd").readlink().is_relative_to(home)
    except OSError:
        return False
