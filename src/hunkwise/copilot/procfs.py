"""Reads Linux's /proc for listening sockets, and finds and ends the processes that a CLI leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from hunkwise.domain.model import Deadline
from hunkwise.worker import adopts_orphans

_LISTEN = "0A"


def listens(pid: int, port: int, proc: Path = Path("/proc")) -> bool | None:
    """Returns whether a process of `pid`'s group listens on `port`; None if /proc does not provide this.

    The sidecar has its own process group, so its child processes are included.
    """
    sockets = _listening_sockets(port, proc)
    if sockets is None:
        return None
    expected = {f"socket:[{inode}]" for inode, _ in sockets}
    readable = False
    for member in _group_members(pid, proc):
        links = _open_files(proc / str(member) / "fd")
        readable = readable or links is not None
        if links is not None and expected & links:
            return True
    return False if readable else None


def listens_as(uid: int, port: int, proc: Path = Path("/proc")) -> bool | None:
    """Returns whether that user, and no other, listens on `port`; None if /proc does not provide this."""
    sockets = _listening_sockets(port, proc)
    return None if sockets is None else {owner for _, owner in sockets} == {str(uid)}


def _listening_sockets(port: int, proc: Path) -> set[tuple[str, str]] | None:
    """Returns inode and owner of each socket that listens on `port`; None if no table can be read."""
    sockets: set[tuple[str, str]] = set()
    readable = False
    for name in ("tcp", "tcp6"):
        table = proc / "net" / name
        try:
            rows = table.read_text().splitlines()[1:]
        except OSError:
            continue
        readable = True
        for row in rows:
            fields = row.split()
            if fields[3] == _LISTEN and int(fields[1].rsplit(":", 1)[1], 16) == port:
                sockets.add((fields[9], fields[7]))
    return sockets if readable else None


def _group_members(leader: int, proc: Path) -> set[int]:
    members = {leader}
    for pid in _processes(proc):
        with suppress(ProcessLookupError, PermissionError):  # it has just ended, or belongs to another user
            if os.getpgid(pid) == leader:
                members.add(pid)
    return members


def _open_files(folder: Path) -> set[str] | None:
    try:
        names = os.listdir(folder)  # noqa: PTH208  # names only: avoids creating a Path for each
    except OSError:
        return None
    links = set()
    for name in names:
        with suppress(OSError):  # just closed
            links.add(os.readlink(folder / name))  # noqa: PTH115  # the text, not a path to resolve
    return links


def end_stragglers(home: Path, deadline: Deadline, *, last: bool, proc: Path = Path("/proc")) -> None:
    """Kills every process that has this home in its environment or as its working directory.

    `last`: kills all other descendants of this process too, if it adopts orphans. It looks again until none is left
    or the deadline, since some could have started others meanwhile.
    """
    last = last and adopts_orphans()
    while deadline.remaining:
        stragglers = {pid for pid in _processes(proc) if _belongs(proc / str(pid), home)}
        if last:
            stragglers |= _descendants(proc)
        stragglers = {pid for pid in stragglers if _kill(pid)}
        if not stragglers:
            return


def _kill(pid: int) -> bool:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def _descendants(proc: Path) -> set[int]:
    """Returns the processes below this one that have not ended."""
    children: dict[int, list[int]] = {}
    ended = set()
    for pid in _processes(proc):
        with suppress(OSError):  # it has just ended
            state, parent = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[:2]
            children.setdefault(int(parent), []).append(pid)
            if state in "ZX":
                ended.add(pid)
    found: set[int] = set()
    waiting = [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found.update(below)
        waiting += below
    return found - ended


def end_user(uid: int) -> None:
    """Kills all processes of the user, in one system call: none can escape by starting another one meanwhile.

    Requires root. The process that makes the call has that user as its effective one only, so that none of them can
    kill it before: its real and its saved user are others.
    """

    def kill_all() -> None:
        os.setresuid(uid + 1, uid, 0)
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        os._exit(0)

    with suppress(OSError, subprocess.SubprocessError):  # no process could be made for it
        subprocess.run([sys.executable], preexec_fn=kill_all, check=False)


def _processes(proc: Path) -> list[int]:
    try:
        names = os.listdir(proc)  # noqa: PTH208  # names only: avoids creating a Path for each
    except OSError:
        return []
    return [int(name) for name in names if name.isdecimal() and int(name) != os.getpid()]


def _belongs(process: Path, home: Path) -> bool:
    """Returns whether the process uses this home; false if it cannot be inspected or has ended."""
    try:
        if os.fsencode(home) in (process / "environ").read_bytes():
            return True
        return (process / "cwd").readlink().is_relative_to(home)
    except OSError:
        return False
