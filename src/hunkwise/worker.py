"""Worker processes for untrusted input: the kernel limits their memory and CPU time."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import hunkwise

PARENT_VARIABLE = "HUNKWISE_PARENT"
"""Names the process that started this one, if this one is to end with it."""
_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
_CAPABILITIES = 64
"""Upper bound of capability numbers. The kernel has about 40, from 0, and returns EINVAL for higher numbers."""
_CAPABILITY_VERSION = 0x20080522
_LIBC = ctypes.CDLL(None, use_errno=True)
"""Loaded before any fork."""


def end_with_parent(environ: Mapping[str, str]) -> None:
    """Lets the kernel kill this process when the one that PARENT_VARIABLE names ends, even by SIGKILL (Linux)."""
    parent = environ.get(PARENT_VARIABLE)
    if parent is None or sys.platform != "linux":
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if str(os.getppid()) != parent:  # it ended before the call of prctl
        os._exit(1)


def adopt_orphans() -> None:
    """Makes this process the parent of all its orphaned descendants, whichever group or session they move to (Linux).

    For a process that runs one command only: `copilot.procfs.end_stragglers` then ends every descendant.
    """
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def adopts_orphans() -> bool:
    """Returns whether `adopt_orphans` was called in this process."""
    adopts = ctypes.c_int(0)
    if sys.platform == "linux":
        _LIBC.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(adopts), 0, 0, 0)
    return bool(adopts.value)


def drop_privileges(uid: int, gid: int) -> None:
    """Switches this process to a user: without other groups or capabilities, and with no_new_privs set.

    Raises OSError if the kernel refuses (it requires CAP_SETUID, CAP_SETGID and CAP_SETPCAP).
    """
    for capability in range(_CAPABILITIES):  # first, while the process still has CAP_SETPCAP
        if _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 and ctypes.get_errno() == 1:
            raise PermissionError(1, "the bounding set of capabilities cannot be dropped")
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    _clear_capabilities()
    if _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs cannot be set")


def _clear_capabilities() -> None:
    """Clears all capability sets, also the inheritable one, which setresuid does not clear."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    if _LIBC.capset(header, none) != 0:
        raise OSError(ctypes.get_errno(), "the capabilities cannot be cleared")


_NOBODY = 65534


class WorkerReply(NamedTuple):
    """A line from a worker. Without a final line feed the worker died, or was killed because it was `late`."""

    line: str
    late: bool

    @property
    def whole(self) -> bool:
        return self.line.endswith("\n")


class Worker:
    """A worker process, `python -m module`. Call `close` at the end."""

    def __init__(
        self, module: str, needs: Callable[[], ModuleType | None], python: str = sys.executable
    ) -> None:
        """`needs` returns the package that the module imports besides hunkwise; None if it is not installed."""
        self._module = module
        self._needs = needs
        self._python = python
        self.process: subprocess.Popen[str] | None = None
        self.failed = False
        """The worker died, was late or could not be started: `answer` returns no more replies."""

    def start(self) -> None:
        """Starts the process with text pipes and without this process's environment. Raises OSError."""
        # The folders of both packages; not the working directory, which may be untrusted.
        files = (package.__file__ for package in (hunkwise, self._needs()) if package is not None)
        roots = dict.fromkeys(str(Path(file).parents[1]) for file in files if file)
        self.process = subprocess.Popen(
            [self._python, "-s", "-P", "-m", self._module],
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
            start_new_session=True,  # signals to this process group must not reach the worker
        )

    def ask(self, question: str, seconds: float) -> WorkerReply:
        """Sends one line to the started worker and reads its reply. Kills it if it takes longer than `seconds`."""
        process = self.process
        assert process is not None, "call `start` first"
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

    def begin(self) -> None:
        """Starts the process early, so that it is ready for the first question of `answer`."""
        if not self.failed and self.process is None:
            with suppress(OSError):
                if self._needs() is not None:
                    self.start()
            self.failed = self.process is None

    def answer(self, question: str, seconds: float) -> str:
        """Returns the worker's reply, a whole line; empty if the worker fails, and for every later question."""
        self.begin()
        if self.failed:
            return ""
        reply = self.ask(question, seconds)
        self.failed = not reply.whole
        return reply.line if reply.whole else ""

    def close(self) -> None:
        """Kills the process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()


def limit_process(*, memory: int, cpu_seconds: int) -> None:
    """Limits this process's address space (bytes) and CPU time (seconds) for good; root becomes the user nobody.

    On platforms without such limits only the parent's timeout applies.
    """
    _drop_root()
    with suppress(ImportError):
        import resource

        limits = {
            resource.RLIMIT_AS: memory,
            resource.RLIMIT_CPU: cpu_seconds,
            resource.RLIMIT_CORE: 0,
        }
        for kind, limit in limits.items():
            # It fails if a lower limit is already set, or the platform does not support this one.
            with suppress(OSError, ValueError):
                resource.setrlimit(kind, (limit, limit))


def _drop_root() -> None:
    """Switches from root, as in a container, to the user nobody, if that user can read the program's files."""
    if sys.platform != "linux" or os.geteuid() != 0:  # dropping uses system calls of Linux
        return
    os.seteuid(_NOBODY)
    readable = all(os.access(file, os.R_OK, effective_ids=True) for file in (hunkwise.__file__, os.__file__))
    os.seteuid(0)
    if readable:  # otherwise, as in a checkout in root's home, later imports would fail
        with suppress(OSError):  # the container may lack the capabilities for it
            drop_privileges(_NOBODY, _NOBODY)
