"""Bounded reads of files, writes of whole files, and private folders that this run or a later one deletes."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TypeAlias


def read_bounded(path: Path, most: int) -> bytes:
    """Reads at most `most` + 1 bytes; the extra byte tells the caller that the file is too large.

    Raises OSError, also if it is not a regular file: a pipe would block, and a device has no end.
    """
    # Without O_NONBLOCK, opening a pipe blocks until a writer opens it.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        return file.read(most + 1)


def write_whole(path: Path, text: str) -> None:
    """Writes a file, whole or not at all. Raises OSError."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)  # a link would be followed
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


_Late: TypeAlias = Callable[[], bool]
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


_MAX_DEPTH = 20
"""Bounds the recursion and the open files of `empty`."""


def empty(folder: int, late: _Late) -> None:
    """Deletes the contents of the open folder, as far as possible until it is `late`. Another call continues.

    Folders that are nested too deep are moved up: `shutil.rmtree` fails at a depth of a thousand. It uses file
    descriptors of open folders only: replacing a folder by a link cannot redirect it elsewhere. Raises OSError if the
    folder cannot be listed.
    """
    prefix, numbers = secrets.token_hex(8), count()

    def clear(open_folder: int, depth: int) -> bool:
        """Returns whether anything has changed and there is time left. Raises OSError."""
        changed = False
        with suppress(OSError):
            os.fchmod(open_folder, 0o700)
        with os.scandir(open_folder) as entries:
            for entry in entries:
                if late():
                    return False
                if not entry.is_dir(follow_symlinks=False):
                    changed |= _remove_entry(entry.name, open_folder, is_folder=False)
                elif depth < _MAX_DEPTH:
                    changed |= remove_folder(entry.name, open_folder, depth + 1)
                else:
                    changed |= _move(entry.name, open_folder, f"{prefix}-{next(numbers)}", folder)
        return changed

    def remove_folder(name: str, parent: int, depth: int) -> bool:
        if _remove_entry(name, parent, is_folder=True):
            return True
        with suppress(OSError):
            inner = _open_folder(name, parent)
            try:
                changed = clear(inner, depth)
            finally:
                os.close(inner)
            return _remove_entry(name, parent, is_folder=True) or changed
        return False

    while clear(folder, 0):
        pass


def _remove_entry(name: str, folder: int, *, is_folder: bool) -> bool:
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


_UNLOCKED = "new-"
"""The prefix of a folder that is not locked yet, so that no other run considers it abandoned."""
WIPE_SECONDS = 5.0
"""Time limit: a folder's user could have filled it to delay the end of the run."""


class PrivateFolder:
    """A private, locked folder. The kernel releases the lock when this process ends, for any reason."""

    def __init__(self, prefix: str, folder: Path | None = None) -> None:
        """Creates it in `folder`, by default in the system's temporary folder. Raises OSError.

        The prefix of its name tells later runs what they may delete: no other program may use it.
        """
        new = Path(tempfile.mkdtemp(prefix=f"{_UNLOCKED}{prefix}", dir=folder))
        self.path = new.with_name(new.name.removeprefix(_UNLOCKED))
        self._prefix = prefix
        self._lock: int | None = os.open(new, _OPEN_FOLDER)
        with suppress(OSError):  # a file system without locks: no other run can delete the folder
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.rename(self.path)

    def wipe(self, seconds: float = WIPE_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        """Deletes the folder with its contents, then folders of its kind whose runs were killed. May be called again.

        A later run deletes what is left after `seconds`.
        """
        if self._lock is None:
            return
        end = clock() + seconds
        _remove(self.path, self._lock, lambda: clock() >= end)
        os.close(self._lock)
        self._lock = None
        with suppress(OSError), os.scandir(self.path.parent) as entries:
            for entry in entries:
                if clock() >= end:
                    return
                if entry.name.startswith(self._prefix):
                    with suppress(OSError):  # in use, not a folder, or already deleted
                        _wipe_if_abandoned(Path(entry.path), lambda: clock() >= end)


def _wipe_if_abandoned(path: Path, late: _Late) -> None:
    """Deletes the folder if it is ours. Raises OSError if it is in use."""
    lock = os.open(path, _OPEN_FOLDER)
    try:
        if os.fstat(lock).st_uid == os.getuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path, lock, late)
    finally:
        os.close(lock)


def _remove(path: Path, folder: int, late: _Late) -> None:
    """Deletes the folder as far as possible. `folder` is its file descriptor."""
    with suppress(OSError):
        empty(folder, late)
        path.rmdir()
