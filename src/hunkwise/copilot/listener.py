"""Who listens on a port of the loopback: asked of the kernel before a token is sent there."""

from __future__ import annotations

import os
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
