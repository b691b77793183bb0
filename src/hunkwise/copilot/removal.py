"""Removes a folder that a stranger filled: however deep, however locked, and following no link out of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def empty(folder: int) -> None:
    """Removes what is in the open folder, as far as it can be. `shutil.rmtree` fails where it is a thousand deep.

    Folders within folders are moved up, one level at a time, so that no path and no recursion gets long. All is done
    by open folders: nothing that is put in the place of one leads out.
    """
    names = (f"moved-{number}" for number in count())
    while folders := _strip(folder):
        if not sum(_lift(name, folder, names) for name in folders):
            return  # what is left cannot be removed


def _lift(name: str, folder: int, names: Iterator[str]) -> bool:
    """Moves the folders within that folder beside it, and removes it. Whether any of that could be done."""
    done = False
    with suppress(OSError):
        inner = _opened(name, folder)
        try:
            for deeper in _strip(inner):
                with suppress(OSError):
                    _move(deeper, inner, next(names), folder)
                    done = True
        finally:
            os.close(inner)
        os.rmdir(name, dir_fd=folder)
        done = True
    return done


def _strip(folder: int) -> list[str]:
    """Removes everything but folders, whose names it gives. Raises OSError."""
    folders = []
    with suppress(OSError):
        os.fchmod(folder, 0o700)
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                with suppress(OSError):
                    os.unlink(entry.name, dir_fd=folder)
    return sorted(folders)


def _opened(name: str, folder: int) -> int:
    """Raises OSError where it is no folder any more, or is not ours to open."""
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except PermissionError:
        _unlock(name, folder)
        return os.open(name, _FOLDER, dir_fd=folder)


def _move(name: str, source: int, new: str, target: int) -> None:
    try:
        os.rename(name, new, src_dir_fd=source, dst_dir_fd=target)
    except PermissionError:  # a folder that moves must be writable itself
        _unlock(name, source)
        os.rename(name, new, src_dir_fd=source, dst_dir_fd=target)


def _unlock(name: str, folder: int) -> None:
    """Where we are not root: root needs no permission, and would unlock whatever a link that came between names."""
    if os.geteuid() != 0:
        os.chmod(name, 0o700, dir_fd=folder)
