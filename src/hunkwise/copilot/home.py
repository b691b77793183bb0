"""The CLI's private home folder: locked, and deleted at the end, or by a later run if ours was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

from hunkwise.domain.model import Deadline

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def empty(folder: int, deadline: Deadline) -> None:
    """Deletes the contents of the open folder, as far as possible before the deadline. Another call continues.

    Nested folders are moved up, one level at a time, so that no path or recursion gets deep: `shutil.rmtree` fails
    at a depth of a thousand. It uses file descriptors of open folders only: replacing a folder by a link cannot
    redirect it elsewhere. Raises OSError if the folder cannot be listed.
    """
    prefix, numbers = secrets.token_hex(8), count()

    def flatten(name: str) -> bool:
        with suppress(OSError):
            inner = _open_folder(name, folder)
            try:
                return _clear(
                    inner, deadline, lambda deeper: _move(deeper, inner, f"{prefix}-{next(numbers)}", folder)
                )
            finally:
                os.close(inner)
        return False

    while _clear(folder, deadline, flatten):
        pass


def _clear(folder: int, deadline: Deadline, flatten: Callable[[str], bool]) -> bool:
    """Deletes files and empty folders, and calls `flatten` for other folders.

    Returns whether anything has changed and there is time left. Raises OSError.
    """
    changed = False
    with suppress(OSError):
        os.fchmod(folder, 0o700)
    with os.scandir(folder) as entries:
        for entry in entries:
            if not deadline.remaining:
                return False
            is_folder = entry.is_dir(follow_symlinks=False)
            changed |= _remove_entry(entry.name, folder, is_folder) or (is_folder and flatten(entry.name))
    return changed


def _remove_entry(name: str, folder: int, is_folder: bool) -> bool:
    with suppress(OSError):
        if is_folder:
            os.rmdir(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)
        return True
    return False


def _open_folder(name: str, folder: int) -> int:
    """Opens a folder. Raises OSError if it is no longer a folder, or may not be opened."""
    try:
        return os.open(name, _OPEN_FOLDER, dir_fd=folder)
    except PermissionError:
        _make_writable(name, folder)
        return os.open(name, _OPEN_FOLDER, dir_fd=folder)


def _move(name: str, source: int, new: str, target: int) -> bool:
    with suppress(OSError):
        try:
            os.rename(name, new, src_dir_fd=source, dst_dir_fd=target)
        except PermissionError:  # moving a folder requires write permission on it
            _make_writable(name, source)
            os.rename(name, new, src_dir_fd=source, dst_dir_fd=target)
        return True
    return False


def _make_writable(name: str, folder: int) -> None:
    """Gives us access to an entry, unless we are root: root has access, and could follow a link put there."""
    if os.geteuid() != 0:
        os.chmod(name, 0o700, dir_fd=folder)


_PREFIX = "hunkwise-sidecar-"
_UNLOCKED = "new-"
"""The prefix of a folder that is not locked yet, so that no other run considers it abandoned."""
WIPE_SECONDS = 5.0
"""Time limit for our own home: the CLI could have filled it to delay the end of the run."""
ABANDONED_SECONDS = 2.0
"""Time limit for all homes of other runs together: it delays the start of a run."""


class Home:
    """A private, locked folder. The kernel releases the lock when this process ends, for any reason."""

    def __init__(self, folder: Path | None = None) -> None:
        """Creates it in `folder`, by default in the system's temporary folder. Raises OSError."""
        new = Path(tempfile.mkdtemp(prefix=f"{_UNLOCKED}{_PREFIX}", dir=folder))
        self.path = new.with_name(new.name.removeprefix(_UNLOCKED))
        self._lock: int | None = os.open(new, os.O_RDONLY | os.O_DIRECTORY)
        with contextlib.suppress(OSError):  # a file system without locks: no other run can delete the folder
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.rename(self.path)

    def wipe(self, seconds: float = WIPE_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        """Deletes the folder with its contents. May be called again.

        A later run deletes what is left after `seconds`.
        """
        if self._lock is not None:
            _remove_home(self.path, self._lock, Deadline(clock() + seconds, clock))
            os.close(self._lock)
            self._lock = None


def wipe_abandoned(
    folder: Path, seconds: float = ABANDONED_SECONDS, clock: Callable[[], float] = time.monotonic
) -> None:
    """Deletes the homes in `folder` whose runs were killed: they contain prompts and answers.

    The next run deletes what is left after `seconds`.
    """
    deadline = Deadline(clock() + seconds, clock)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not deadline.remaining:
                return
            if entry.name.startswith(_PREFIX):
                with contextlib.suppress(OSError):  # in use, not a folder, or already deleted
                    _wipe_if_abandoned(Path(entry.path), deadline)


def _wipe_if_abandoned(path: Path, deadline: Deadline) -> None:
    """Deletes the folder if it is ours. Raises OSError if it is in use."""
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(lock).st_uid == os.getuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove_home(path, lock, deadline)
    finally:
        os.close(lock)


def _remove_home(path: Path, folder: int, deadline: Deadline) -> None:
    """Deletes the folder as far as possible. `folder` is its file descriptor."""
    with contextlib.suppress(OSError):
        empty(folder, deadline)
        path.rmdir()
