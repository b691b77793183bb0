"""The CLI's private folders: each is held by a lock, so that one whose run was killed is known, and wiped."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hunkwise.copilot.removal import empty
from hunkwise.domain.limits import Deadline

_PREFIX = "hunkwise-sidecar-"
_UNHELD = "new-"
"""A folder is called so until its lock is taken, so that no other run takes it for abandoned."""
WIPE_SECONDS = 5.0
"""For our own home: the CLI could have filled it to hold up the end of the run."""
ABANDONED_SECONDS = 2.0
"""For those of other runs together: a run begins with it."""


class Home:
    """A private folder. The kernel takes the lock off when this process ends, however it ends."""

    def __init__(self, folder: Path | None = None) -> None:
        """Makes it in `folder`, else among the system's temporary ones. Raises OSError."""
        made = Path(tempfile.mkdtemp(prefix=f"{_UNHELD}{_PREFIX}", dir=folder))
        self.path = made.with_name(made.name.removeprefix(_UNHELD))
        self._lock: int | None = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
        with contextlib.suppress(OSError):  # a file system without locks: no run takes one there to wipe it
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        made.rename(self.path)

    def wipe(self, seconds: float = WIPE_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        """Removes the folder with all that is in it. May be called again.

        What is left after so many seconds, a later run removes as abandoned.
        """
        if self._lock is not None:
            _remove_home(self.path, self._lock, Deadline(clock() + seconds, clock))
            os.close(self._lock)
            self._lock = None


def wipe_abandoned(
    folder: Path, seconds: float = ABANDONED_SECONDS, clock: Callable[[], float] = time.monotonic
) -> None:
    """Removes the homes in `folder` whose runs were killed: the CLI keeps prompts and answers there.

    What is left after so many seconds is for the next run.
    """
    deadline = Deadline(clock() + seconds, clock)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not deadline.remaining:
                return
            if entry.name.startswith(_PREFIX):
                with contextlib.suppress(OSError):  # in use, not a folder, or gone by now
                    _wipe_if_abandoned(Path(entry.path), deadline)


def _wipe_if_abandoned(path: Path, deadline: Deadline) -> None:
    """Raises OSError where the folder is in use."""
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(lock).st_uid == os.getuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove_home(path, lock, deadline)
    finally:
        os.close(lock)


def _remove_home(path: Path, opened: int, deadline: Deadline) -> None:
    """As far as it can be."""
    with contextlib.suppress(OSError):
        empty(opened, deadline)
        path.rmdir()
