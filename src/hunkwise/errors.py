"""The errors that end a run, with a message, a hint and an exit code."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from enum import StrEnum


class Error(Exception):
    """Base class: `message` is what failed, `hint` what the user of a workflow can do about it, `shell_hint` what the
    user of a shell can do. Caught only in `cli`."""

    exit_code = 3

    def __init__(self, message: str, hint: str = "", shell_hint: str = "") -> None:
        """`shell_hint`: empty if `hint` is for both."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.shell_hint = shell_hint
        self.faults: tuple[str, ...] = (str(self),)
        """All problems, each with what to do."""
        self.shell_faults: tuple[str, ...] = (f"{message} {shell_hint or hint}".rstrip(),)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class SettingsError(Error):
    """Inputs, event or configuration are invalid."""

    exit_code = 2

    def __init__(self, faults: list[str], shell_faults: list[str] | None = None) -> None:
        """`shell_faults`: None if `faults` are for both places."""
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)
        self.shell_faults = tuple(faults if shell_faults is None else shell_faults)


class RepositoryError(Error):
    """Git could not be run, or objects could not be read."""


class OversizeError(RepositoryError):
    """A file exists, but is larger than the limit for reading it."""

    def __init__(self, path: str, most: int) -> None:
        super().__init__(f"{path[:200]!r} has more than {most:,} bytes, and was not read.")


class GitHubErrorKind(StrEnum):
    """Why GitHub refused a request, as far as callers distinguish the causes."""

    AUTHENTICATION = "authentication"  # 401
    FORBIDDEN = "forbidden"  # 403 that is none of the others: a read-only token, a missing permission
    BLOCKED = (
        "blocked"  # 403: single sign-on, an IP allow list or an archived repository; no permission helps
    )
    LOCKED = "locked"  # 403: the conversation is locked, and no app can write there
    NOT_FOUND = "not found"  # 404: wrong name, or the token cannot see it
    INVALID = "invalid"  # 422: GitHub understood the request and rejected it
    RATE_LIMIT = (
        "rate limit"  # 429, 403 with Retry-After or no remaining requests, 403 and 422 with words for it
    )
    UNAVAILABLE = "unavailable"  # 5xx, no connection, a truncated or malformed response


class GitHubError(Error):
    """A request to GitHub failed."""

    def __init__(self, kind: GitHubErrorKind, message: str, hint: str = "", shell_hint: str = "") -> None:
        super().__init__(message, hint, shell_hint)
        self.kind = kind


class ModelKind(StrEnum):
    """Why a model did not answer, as far as the user has to fix different things."""

    AUTHENTICATION = "authentication"
    PAYMENT = "payment"  # 402, or no quota left
    FORBIDDEN = "forbidden"  # 403: a policy, a plan without Copilot
    RATE_LIMIT = "rate limit"
    CONTENT_FILTER = "content filter"
    REFUSED = "refused"  # it answered without reporting
    UNAVAILABLE_MODEL = "unavailable model"
    TOO_LARGE = "too large"  # the prompt is above the model's limit
    TIMEOUT = "timeout"
    BUDGET = "budget"
    SIDECAR = "sidecar"  # the CLI's process died, hung or could not be started
    PROVIDER = "provider"  # 5xx, no connection, a malformed response

    @property
    def fatal(self) -> bool:
        """True if no other prompt can succeed in this run either."""
        return self in _FATAL


_FATAL = frozenset(
    {
        ModelKind.AUTHENTICATION,
        ModelKind.PAYMENT,
        ModelKind.FORBIDDEN,
        ModelKind.UNAVAILABLE_MODEL,
        ModelKind.SIDECAR,
    }
)


class ModelError(Error):
    """The sidecar, or the model behind it, could not answer."""

    def __init__(self, kind: ModelKind, message: str, hint: str = "", shell_hint: str = "") -> None:
        super().__init__(message, hint, shell_hint)
        self.kind = kind


class StoppedError(ModelError):
    """The run was stopped from outside, for example cancelled, before anything was reviewed."""

    def __init__(self) -> None:
        super().__init__(
            ModelKind.TIMEOUT, "The run was stopped before anything was reviewed.", "Run it again."
        )


_DISK = (
    "Free some of it, or name a folder on another disk by RUNNER_TEMP and TMPDIR; then run it again.",
    "Free some of it, or name a folder on another disk by TMPDIR; then run it again.",
)
_LIMIT = (
    "Raise the limit (`ulimit`, or the container's `--ulimit`), lower `parallel`, or use a larger machine.",
)
_BY_ERRNO = {
    errno.ENOSPC: ("The disk is full", *_DISK),
    errno.EDQUOT: ("The disk's quota is used up", *_DISK),
    errno.EFBIG: ("A file has reached the largest size that is allowed here", *_DISK),
    errno.EROFS: (
        "The disk can be read only",
        "Name a folder that can be written by RUNNER_TEMP and TMPDIR, or mount one there.",
        "Name a folder that can be written by TMPDIR.",
    ),
    errno.EMFILE: ("Too many files are open in this process", *_LIMIT),
    errno.ENFILE: ("Too many files are open on this machine", *_LIMIT),
    errno.EAGAIN: ("No more processes or threads can be started", *_LIMIT),
    errno.ENOMEM: ("There is no memory left", *_LIMIT),
}
"""The problem, its hint, and the one for a shell where that differs."""
_NO_THREAD = "can't start new thread"  # CPython's message of a RuntimeError, which has no class of its own
_NO_TEMPORARY = "No usable temporary directory"  # tempfile's message of a FileNotFoundError


def host_error(error: BaseException) -> Error | None:
    """Returns an Error if the machine is the cause (full disk, limits, memory), directly or indirectly; else None."""
    for cause in _iterate_causes(error):
        description = _describe(cause)
        if description is not None:
            problem, *hints = description
            filename = getattr(cause, "filename", None)
            return Error(f"{problem}{f' ({filename})' if isinstance(filename, str) else ''}.", *hints)
    return None


def _describe(error: BaseException) -> tuple[str, ...] | None:
    """Returns the problem and its hints, as in _BY_ERRNO, if the machine caused the error."""
    match error:
        case MemoryError():
            return _BY_ERRNO[errno.ENOMEM]
        case RuntimeError() if _NO_THREAD in str(error):
            return _BY_ERRNO[errno.EAGAIN]
        case FileNotFoundError() if _NO_TEMPORARY in str(error):
            return "There is no folder for temporary files", "Set TMPDIR to a folder that can be written."
        case OSError():
            return _BY_ERRNO.get(error.errno or 0)
        case _:
            return None


def _iterate_causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    for _ in range(10):  # the chain of causes can be circular
        if current is None:
            return
        yield current
        current = current.__cause__ or current.__context__
