"""The CLI's private folders: each is held by a lock, so that one whose run was killed is known, and wiped."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path

from hunkwise.copilot.removal import empty

_PREFIX = "hunkwise-sidecar-"
_UNHELD = "new-"
"""A folder is called so until its lock is taken, so that no other run takes it for abandoned."""


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

    def wipe(self) -> None:
        """Removes the folder with all that is in it. May be called again."""
        if self._lock is not None:
            _remove(self.path, self._lock)
            os.close(self._lock)
            self._lock = None


def wipe_abandoned(folder: Path) -> None:
    """Removes the homes in `folder` whose runs were killed: the CLI keeps there what it was told."""
    for path in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # in use, not a folder, or gone by now
            _wipe_if_abandoned(path)


def _wipe_if_abandoned(path: Path) -> None:
    """Raises OSError where the folder is in use."""
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(lock).st_uid == os.getuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path, lock)
    finally:
        os.close(lock)


def _remove(path: Path, opened: int) -> None:
    """As far as it can be."""
    with contextlib.suppress(OSError):
        empty(opened)
        path.rmdir()
