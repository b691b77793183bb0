"""Calls git: with bounded output, time and memory, and with an end to whatever it started."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hunkwise.errors import RepositoryError

TIMEOUT = 60.0
"""Seconds that a call of git may take unless the caller says otherwise."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What git wrote and how it ended. `code` is None where reading stopped at the limit."""

    code: int | None
    output: bytes
    complaint: str = ""
    """The first line that git wrote to stderr."""

    @property
    def cut(self) -> bool:
        return self.code is None


def call(
    arguments: Sequence[str | bytes],
    env: Mapping[str, str],
    *,
    limit: int | None = None,
    timeout: float = TIMEOUT,
    memory: int | None = None,
    running: set[subprocess.Popen[bytes]] | None = None,
    asked: bytes = b"",
) -> Answer:
    """Runs `git` with the arguments and reads at most `limit` bytes of its output; `asked` is its standard input.

    `memory` bounds the bytes that it may allocate, where the system can (Linux). While it runs it is in `running`,
    so that another thread can `kill` it.
    Raises RepositoryError where git is not installed or is not done within `timeout` seconds.
    """
    late = threading.Event()
    with ExitStack() as files:
        complaints = files.enter_context(_temporary())
        process = _start(arguments, env, complaints, _input(asked, files))
        running = set() if running is None else running
        running.add(process)
        if memory is not None and hasattr(resource, "prlimit"):
            _bound_memory(process.pid, memory)
        watchdog = threading.Timer(timeout, _end, (process, late))
        watchdog.daemon = True
        try:
            watchdog.start()
        except RuntimeError as error:
            _end(process, late)
            raise RepositoryError("No thread could be started to watch git.", "Raise `ulimit -u`.") from error
        try:
            output, ended = _read(process, limit)
        finally:
            watchdog.cancel()
            running.discard(process)
        if late.is_set():
            raise RepositoryError(
                f"`git {_name(arguments)}` was not done within {timeout:g} s and was ended.",
                "Narrow the question, or look whether the disk or the repository is damaged (git fsck).",
            )
        complaints.seek(0)
        complaint = complaints.read(2_000).decode("utf-8", "replace").partition("\n")[0]
    return Answer(process.returncode if ended else None, output, complaint)


@contextmanager
def _temporary() -> Iterator[IO[bytes]]:
    try:
        made = tempfile.TemporaryFile()  # noqa: SIM115  # closed below, apart from the errors of making it
    except OSError as error:
        raise homeless(error) from error
    with made:
        yield made


def _input(asked: bytes, files: ExitStack) -> IO[bytes] | int:
    """A file, so that a git that writes before it has read everything cannot wait for us."""
    if not asked:
        return subprocess.DEVNULL
    standard_input = files.enter_context(_temporary())
    standard_input.write(asked)
    standard_input.seek(0)
    return standard_input


def homeless(error: OSError) -> RepositoryError:
    """Git's own few files cannot be written."""
    message = f"Git could not be given a temporary file: {error.strerror or error}."
    return RepositoryError(message, "Look at the space on the disk, and at the rights of TMPDIR.")


def _start(
    arguments: Sequence[str | bytes],
    env: Mapping[str, str],
    complaints: IO[bytes],
    standard_input: IO[bytes] | int,
) -> subprocess.Popen[bytes]:
    home = Path(env["HOME"])
    try:
        owner = home.stat()
        other = os.geteuid() == 0 != owner.st_uid  # root gave the folder to the owner of the objects
        return subprocess.Popen(
            ["git", *arguments],
            stdin=standard_input,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=dict(env),
            cwd=home,
            user=owner.st_uid if other else None,
            group=owner.st_gid if other else None,
            extra_groups=() if other else None,
            start_new_session=True,  # so that whatever it starts can be ended with it
        )
    except OSError as error:
        raise RepositoryError(f"git could not be started: {error}.", "Install git 2.38 or newer.") from error


def _read(process: subprocess.Popen[bytes], limit: int | None) -> tuple[bytes, bool]:
    """The output, and whether that was all of it; the process is gone afterwards."""
    assert process.stdout is not None
    with process, process.stdout as stream:
        output = stream.read() if limit is None else stream.read(limit)
        ended = limit is None or not stream.read(1)
        if not ended:
            kill(process)
    return output, ended


def _end(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Ends it and whatever it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _bound_memory(pid: int, memory: int) -> None:
    try:
        resource.prlimit(pid, resource.RLIMIT_DATA, (memory, memory))
    except (ProcessLookupError, PermissionError):
        return  # it is done already


def _name(arguments: Sequence[str | bytes]) -> str:
    words = (word for word in arguments if isinstance(word, str) and not word.startswith("-"))
    return next(words, "")
