"""Bounded reads of files at untrusted paths, and writes of whole files."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path


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
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
