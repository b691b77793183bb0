"""What the machine itself can lack, in words: such an error can come from any line, and is no fault of hunkwise's."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from hunkwise.errors import Error

_DISK = "Free some of it, or name a folder on another disk by RUNNER_TEMP and TMPDIR; then run the job again."
_LIMIT = (
    "Raise the limit (`ulimit`, or the container's `--ulimit`), lower `parallel`, or use a larger runner."
)
_BY_NUMBER = {
    errno.ENOSPC: ("The disk is full", _DISK),
    errno.EDQUOT: ("The disk's quota is used up", _DISK),
    errno.EFBIG: ("A file has reached the largest size that is allowed here", _DISK),
    errno.EROFS: (
        "The disk can be read only",
        "Name a folder that can be written by RUNNER_TEMP and TMPDIR, or mount one there.",
    ),
    errno.EMFILE: ("Too many files are open in this process", _LIMIT),
    errno.ENFILE: ("Too many files are open on this machine", _LIMIT),
    errno.EAGAIN: ("No more processes or threads can be started", _LIMIT),
    errno.ENOMEM: ("There is no memory left", _LIMIT),
}
_NO_THREAD = "can't start new thread"  # CPython's words, which have no type of their own
_NO_TEMPORARY = "No usable temporary directory"  # tempfile's, which calls it a file that is not there


def host_fault(error: BaseException) -> Error | None:
    """The error in words where the machine is its cause, or the cause of its cause; None where it is not."""
    for one in _with_causes(error):
        found = _told(one)
        if found is not None:
            what, hint = found
            named = getattr(one, "filename", None)
            return Error(f"{what}{f' ({named})' if isinstance(named, str) else ''}.", hint)
    return None


def _told(error: BaseException) -> tuple[str, str] | None:
    match error:
        case MemoryError():
            return _BY_NUMBER[errno.ENOMEM]
        case RuntimeError() if _NO_THREAD in str(error):
            return _BY_NUMBER[errno.EAGAIN]
        case FileNotFoundError() if _NO_TEMPORARY in str(error):
            return "There is no folder for temporary files", "Set TMPDIR to a folder that can be written."
        case OSError():
            return _BY_NUMBER.get(error.errno or 0)
        case _:
            return None


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    for _ in range(10):  # a circle of causes is possible
        if found is None:
            return
        yield found
        found = found.__cause__ or found.__context__
