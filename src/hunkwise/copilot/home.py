"""The CLI's private home: held by a lock, wiped at the end, and by a later run where ours was killed."""

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

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def empty(folder: int, deadline: Deadline) -> None:
    """Removes what is in the open folder, as far as it can be before the deadline. Called again, it goes on.

    Folders within folders are moved up, one level at a time, so that no path and no recursion gets long:
    `shutil.rmtree` fails where it is a thousand deep. All is done by open folders: nothing that is put in the place
    of one leads out. Raises OSError where the folder cannot be listed.
    """
    prefix, numbers = secrets.token_hex(8), count()

    def lift(name: str) -> bool:
        with suppress(OSError):
            inner = _opened(name, folder)
            try:
                return _clear(
                    inner, deadline, lambda deeper: _move(deeper, inner, f"{prefix}-{next(numbers)}", folder)
                )
            finally:
                os.close(inner)
        return False

    while _clear(folder, deadline, lift):
        pass


def _clear(folder: int, deadline: Deadline, unfold: Callable[[str], bool]) -> bool:
    """Removes files and empty folders, and has `unfold` take other folders apart.

    Whether anything has changed and there is time for more. Raises OSError.
    """
    changed = False
    with suppress(OSError):
        os.fchmod(folder, 0o700)
    with os.scandir(folder) as entries:
        for entry in entries:
            if not deadline.remaining:
                return False
            is_folder = entry.is_dir(follow_symlinks=False)
            changed |= _remove_entry(entry.name, folder, is_folder) or (is_folder and unfold(entry.name))
    return changed


def _remove_entry(name: str, folder: int, is_folder: bool) -> bool:
    with suppress(OSError):
        if is_folder:
            os.rmdir(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)
        return True
    return False


def _opened(name: str, folder: int) -> int:
    """Raises OSError where it is no folder any more, or is not ours to open."""
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except PermissionError:
        _unlock(name, folder)
        return os.open(name, _FOLDER, dir_fd=folder)


def _move(name: str, source: int, new: str, target: int) -> bool:
    with suppress(OSError):
        try:
            os.rename(name, new, src_dir_fd=source, dst_dir_fd=target)
        except PermissionError:  # a folder that moves must be writable itself
            _unlock(name, source)
            os.rename(name, new, src_dir_fd=source, dst_dir_fd=target)
        return True
    return False


def _unlock(name: str, folder: int) -> None:
    """Where we are not root: root needs no permission, and would unlock whatever a link that came between names."""
    if os.geteuid() != 0:
        os.chmod(name, 0o700, dir_fd=folder)


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
