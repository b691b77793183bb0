"""The files by which a step tells its runner something: written whole or not at all, within GitHub's limits."""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

SUMMARY_BYTES: Final = 1024 * 1024 - 1
"""GitHub drops a step's summary of 1 MiB or more."""
OUTPUT_BYTES: Final = 1024 * 1024
"""GitHub takes no larger outputs from a job."""
_CUT_NOTE = (
    "\n\n_The rest of this summary was cut: GitHub takes 1 MiB a step. The JSON report holds everything._\n"
)


def append_whole(path: Path, content: bytes) -> None:
    """Appends all of the content, or nothing of it. Raises OSError."""
    with path.open("ab", buffering=0) as file:
        size = file.tell()
        written = 0
        try:
            while written < len(content):
                written += file.write(content[written:])
        except OSError:
            with suppress(OSError):  # the first error is the one to tell
                file.truncate(size)
            raise


def takes(path: Path | None, markdown: str, spare: int) -> bool:
    """Whether a job summary takes all of this text and some bytes more: they are written, and taken off again.

    Nothing else tells: a file on a full disk can be opened, and a device swallows what it is given.
    """
    content = markdown.encode("utf-8", "backslashreplace") + b" " * spare
    size = size_of(path)
    if path is None or size + len(content) > SUMMARY_BYTES:
        return False
    try:
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            return False
        append_whole(path, content)
        with path.open("r+b") as file:
            file.truncate(size)
    except OSError:
        return False
    return True


def size_of(path: Path | None) -> int:
    """Bytes that the file has already; 0 where nobody can say."""
    try:
        return path.stat().st_size if path else 0
    except OSError:
        return 0


def fitted(markdown: str, room: int) -> str:
    """The text, or as many of its lines as fit with a note into `room` bytes of UTF-8; maybe none."""
    encoded = markdown.encode("utf-8", "backslashreplace")
    if len(encoded) <= room:
        return markdown
    kept = encoded[: max(0, room - len(_CUT_NOTE.encode()))]
    lines = kept[: kept.rfind(b"\n") + 1].decode("utf-8")
    return lines + _CUT_NOTE if len(_CUT_NOTE.encode()) <= room else ""
