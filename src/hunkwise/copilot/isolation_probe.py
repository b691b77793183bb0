"""Verifies the sidecar's isolation by attempting from inside what an attacker would attempt.

`python -I -m hunkwise.copilot.isolation_probe ROOT PID [PATH]`, started as root like the CLI, enters the isolation
and makes each attempt as a system call. It writes one JSON object:
`{"attempts": [[what, happened, held], …]}`.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hunkwise.copilot.isolation import Isolation, isolation_error

_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class ProbeAttempt:
    """One attempt that a CLI under an attacker's control could make."""

    what: str
    happened: str
    """The kernel's message."""
    held: bool
    """Whether the attempt was prevented."""


def probe_isolation(isolation: Isolation, paths: Sequence[Path] = ()) -> tuple[ProbeAttempt, ...]:
    """Makes all attempts as the sidecar's user, against this process and `paths`, for example a workspace.

    Raises ModelError (SIDECAR) if the attempts could not be made.
    """
    # -P: the current folder may be untrusted.
    command = [sys.executable, "-s", "-P", "-m", "hunkwise.copilot.isolation_probe"]
    source_root = str(Path(__file__).resolve().parents[2])
    try:
        result = subprocess.run(
            [*command, str(isolation.root), str(os.getpid()), *map(str, paths)],
            env={"PYTHONPATH": source_root, "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=os.sep,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
        attempts_made = json.loads(result.stdout)["attempts"]
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        stderr = getattr(error, "stderr", None) or b""
        last_line = stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise isolation_error(last_line or str(error)) from error
    return tuple(ProbeAttempt(*fields) for fields in attempts_made)


_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWUSER = 0x10000000
_PR_CAPBSET_READ, _PR_GET_NO_NEW_PRIVS = 23, 39
_PTRACE_ATTACH = 16
_CAPABILITY_VERSION = 0x20080522
_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")
_RUNNERS = (
    "/github/runner_temp",
    "/github/workflow",
    "/github/home",
    "/github/file_commands",
    "/github/workspace",
    "/github",
)
_WRITES = {
    "write beside its home": "/home/other",
    "write into its package": "/copilot/other",
    "change how names are resolved": "/etc/hosts",
}


def tries(parent: int, paths: Sequence[str]) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yields attempts that must fail with OSError, against the process `parent` and the folders of a run."""
    for path in dict.fromkeys((*paths, *_RUNNERS)):
        yield f"list {path}", partial(os.listdir, path)
    yield "climb out by ..", partial(os.listdir, "../" * 20 + "github")
    for path in _SOCKETS:
        yield f"connect to {path}", partial(_connect, path)
    for process in dict.fromkeys((parent, 1)):
        for name in ("environ", "mem", "root", "fd"):
            yield f"open /proc/{process}/{name}", partial(os.open, f"/proc/{process}/{name}", os.O_RDONLY)
    yield f"trace process {parent}", partial(_call, _LIBC.ptrace, _PTRACE_ATTACH, parent, 0, 0)
    yield f"signal process {parent}", partial(os.kill, parent, 0)
    yield "become root", partial(os.setresuid, 0, 0, 0)
    yield "join group 0", partial(os.setgroups, [0])
    yield "change the root folder again", partial(os.chroot, ".")
    yield "make a user namespace", partial(_call, _LIBC.unshare, _CLONE_NEWUSER)
    yield "mount a file system", partial(_call, _LIBC.mount, b"none", b"/home", b"tmpfs", 0, None)
    yield "make a device", partial(os.mknod, "device", 0o20666, os.makedev(1, 1))
    yield "open a raw socket", partial(socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    for what, path in _WRITES.items():
        yield what, partial(os.open, path, os.O_CREAT | os.O_WRONLY)
    yield "list the homes of other runs", partial(os.listdir, "/home")
    yield "see the system's programs", partial(os.listdir, "/usr/bin")


def attempts(parent: int, paths: Sequence[str]) -> Iterator[tuple[str, str, bool]]:
    """Makes all attempts. Yields what was attempted, what happened, and whether it was prevented."""
    yield "be somebody", f"uid {os.getuid()}, gid {os.getgid()}, groups {os.getgroups()}", _is_unprivileged()
    capabilities = _count_capabilities()
    yield "hold capabilities", f"{capabilities} of them", capabilities == 0
    protected = _LIBC.prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1
    yield "win privileges by a program", "no_new_privs is set" if protected else "possible", protected
    for what, attempt in tries(parent, paths):
        yield (what, *outcome(attempt))


def outcome(attempt: Callable[[], object]) -> tuple[str, bool]:
    """Makes one attempt. Returns what happened, and whether it was prevented."""
    try:
        attempt()
    except OSError as error:
        return error.strerror or str(error), True
    return "it could", False


def _is_unprivileged() -> bool:
    ids = {*os.getresuid(), *os.getresgid()}
    return 0 not in ids and os.getgroups() == []


def _count_capabilities() -> int:
    """Counts the capabilities in the effective, permitted, inheritable and bounding sets."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()
    _call(_LIBC.capget, header, sets)
    bounding = sum(int(_LIBC.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) == 1) for number in range(64))
    return bounding + sum(bin(word).count("1") for word in sets)


def _connect(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def _call(function: Callable[..., int], *arguments: object) -> None:
    """Calls a function of the C library. Raises OSError if it fails."""
    if function(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def main(arguments: list[str]) -> int:
    root, parent, *paths = arguments
    Isolation(Path(root)).enter()
    json.dump({"attempts": list(attempts(int(parent), paths))}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
