"""Child processes whose memory and processor time the kernel bounds, for untrusted input of unknown cost."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import hunkwise

_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITIES = 64
"""The kernel numbers them from 0; it knows some 40, and says EINVAL past its last one."""
_CAPABILITY_VERSION = 0x20080522
_LIBC = ctypes.CDLL(None, use_errno=True)
"""Looked up before any fork."""


def give_up(uid: int, gid: int) -> None:
    """Becomes that user: no other groups, no capabilities, and no way to win any by executing something.

    Raises OSError where the kernel does not let us (it asks for CAP_SETUID, CAP_SETGID and CAP_SETPCAP).
    """
    for capability in range(_CAPABILITIES):  # first, while we may
        if _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 and ctypes.get_errno() == 1:
            raise PermissionError(1, "the bounding set of capabilities cannot be dropped")
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    _clear_capabilities()
    if _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs cannot be set")


def _clear_capabilities() -> None:
    """The inheritable set too, which outlives a change of user."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    if _LIBC.capset(header, none) != 0:
        raise OSError(ctypes.get_errno(), "the capabilities cannot be cleared")


_NOBODY = 65534


def start_worker(module: str, needs: ModuleType, *, python: str = sys.executable) -> subprocess.Popen[str]:
    """`python -m module` with nothing of our environment, that talks in lines. Raises OSError.

    `needs` is the package that the module imports beside hunkwise.
    """
    # Where this process has both from; not the working directory, which may be anybody's.
    files = (found.__file__ for found in (hunkwise, needs))
    roots = dict.fromkeys(str(Path(file).parents[1]) for file in files if file)
    return subprocess.Popen(
        [python, "-s", "-P", "-m", module],
        env={
            "PYTHONPATH": os.pathsep.join(roots),
            "PYTHONIOENCODING": "utf-8",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        cwd=os.sep,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # a signal to our group is ours to handle
    )


class WorkerReply(NamedTuple):
    """A child's line; not ended by a line feed where it died or was `late`, and was killed."""

    line: str
    late: bool

    @property
    def whole(self) -> bool:
        return self.line.endswith("\n")


def ask_worker(process: subprocess.Popen[str], question: str, seconds: float) -> WorkerReply:
    """Puts a question of one line to a child, which is killed when it takes longer."""
    assert process.stdin is not None
    assert process.stdout is not None
    watchdog = threading.Timer(seconds, process.kill)
    watchdog.start()
    try:
        process.stdin.write(question + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except BrokenPipeError:
        line = ""
    finally:
        late = not watchdog.is_alive()
        watchdog.cancel()
    return WorkerReply(line, late)


class Worker:
    """One such process, begun with the first question at the latest; once it died or was late, it is asked no more."""

    def __init__(self, module: str, needs: Callable[[], ModuleType | None], python: str) -> None:
        """`needs`: gives the package of `started`, None where it is not installed."""
        self._module = module
        self._needs = needs
        self._python = python
        self.process: subprocess.Popen[str] | None = None
        self.failed = False
        """Nothing will be known any more."""

    def begin(self) -> None:
        """Starts it, so that it is ready when it is asked."""
        if self.failed or self.process is not None:
            return
        package = self._needs()
        with suppress(OSError):
            if package is not None:
                self.process = start_worker(self._module, package, python=self._python)
        self.failed = self.process is None

    def answer(self, question: str, seconds: float) -> str:
        """A whole line; empty where there is none, and from then on."""
        self.begin()
        if self.failed or self.process is None:
            return ""
        answer = ask_worker(self.process, question, seconds)
        self.failed = not answer.whole
        return answer.line if answer.whole else ""

    def close(self) -> None:
        """Ends it, whatever it is at."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()


def limit_process(*, memory: int, cpu_seconds: int) -> None:
    """Bounds this process for good, in bytes of address space and seconds of processor time; root becomes nobody.

    Where the platform has no such limits, the parent's clock is the only one.
    """
    _be_nobody()
    with suppress(ImportError):
        import resource

        limits = {
            resource.RLIMIT_AS: memory,
            resource.RLIMIT_CPU: cpu_seconds,
            resource.RLIMIT_CORE: 0,
        }
        for kind, most in limits.items():
            with suppress(OSError, ValueError):  # a lower one holds already, or the platform knows none of it
                resource.setrlimit(kind, (most, most))


def _be_nobody() -> None:
    """Where we are root, as in a container, and nobody can read the program's own files."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return
    os.seteuid(_NOBODY)
    readable = all(os.access(file, os.R_OK, effective_ids=True) for file in (hunkwise.__file__, os.__file__))
    os.seteuid(0)
    if readable:  # else it is a checkout in root's own home: what is imported later could not be read
        with suppress(OSError):  # a container that was denied the capabilities for it
            give_up(_NOBODY, _NOBODY)
