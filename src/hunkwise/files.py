"""Bounded reads of files that somebody else names."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read_given(path: Path, most: int) -> bytes:
    """Up to `most` bytes and one more, by which the reader knows that it is too large.

    Raises OSError, also for what is no file: a pipe would keep us waiting, and a device has no end.
    """
    # Without O_NONBLOCK opening a pipe waits for whoever writes to it.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        return file.read(most + 1)
