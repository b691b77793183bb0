"""Removes what an untrusted program left in a folder: however deep or locked, within a time, following no link."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from itertools import count

from hunkwise.domain.limits import Deadline

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
