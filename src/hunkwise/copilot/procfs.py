"""Reads Linux's /proc: who listens on a port, which processes are left of a CLI."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

_LISTEN = "0A"


def listens(pid: int, port: int, proc: Path = Path("/proc")) -> bool | None:
    """Whether a process of `pid`'s group listens on `port`; None where the kernel does not tell.

    The sidecar leads a group of its own, so its children count as itself.
    """
    sockets = _listening(port, proc)
    if sockets is None:
        return None
    wanted = {f"socket:[{inode}]" for inode, _ in sockets}
    readable = False
    for member in _group(pid, proc):
        links = _open_files(proc / str(member) / "fd")
        readable = readable or links is not None
        if links is not None and wanted & links:
            return True
    return False if readable else None


def listens_as(uid: int, port: int, proc: Path = Path("/proc")) -> bool | None:
    """Whether whoever listens on `port` is that user, and nobody else is; None where the kernel does not tell."""
    sockets = _listening(port, proc)
    return None if sockets is None else {owner for _, owner in sockets} == {str(uid)}


def _listening(port: int, proc: Path) -> set[tuple[str, str]] | None:
    """Inode and owner of each socket that listens there."""
    sockets: set[tuple[str, str]] = set()
    found = False
    for name in ("tcp", "tcp6"):
        table = proc / "net" / name
        try:
            rows = table.read_text().splitlines()[1:]
        except OSError:
            continue
        found = True
        for row in rows:
            fields = row.split()
            if fields[3] == _LISTEN and int(fields[1].rsplit(":", 1)[1], 16) == port:
                sockets.add((fields[9], fields[7]))
    return sockets if found else None


def _group(leader: int, proc: Path) -> list[int]:
    members = [leader]
    for entry in proc.iterdir():
        if entry.name.isdigit() and int(entry.name) != leader:
            try:
                if os.getpgid(int(entry.name)) == leader:
                    members.append(int(entry.name))
            except (ProcessLookupError, PermissionError):
                continue  # it ended while we looked, or is not ours to ask about
    return members


def _open_files(folder: Path) -> set[str] | None:
    try:
        names = os.listdir(folder)  # noqa: PTH208  # names alone; a Path for each is what this saves
    except OSError:
        return None
    links = set()
    for name in names:
        try:
            links.add(os.readlink(folder / name))  # noqa: PTH115  # the text, not a path to resolve
        except OSError:
            continue  # closed while we looked
    return links


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
