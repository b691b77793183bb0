"""Errors that end a run: what failed, what to do about it, and the exit code."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from enum import StrEnum


class Error(Exception):
    """What failed (`message`) and what the reader can do about it (`hint`). `cli` alone catches it."""

    exit_code = 3

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class SettingsError(Error):
    """Inputs, event or configuration are wrong. Carries all faults found, not only the first."""

    exit_code = 2

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class RepositoryError(Error):
    """Git, or the objects that it was asked for, could not be had."""


class OversizeError(RepositoryError):
    """A file is there, and larger than any that is read whole."""

    def __init__(self, path: str, most: int) -> None:
        super().__init__(f"{path[:200]!r} has more than {most:,} bytes, and was not read.")


class GitHubErrorKind(StrEnum):
    """Why GitHub refused, as far as a caller must tell the causes apart."""

    AUTHENTICATION = "authentication"  # 401
    FORBIDDEN = "forbidden"  # 403 that is not a rate limit: a read-only token, a missing permission
    NOT_FOUND = "not found"  # 404: wrong name, or the token cannot see it
    INVALID = "invalid"  # 422: GitHub understood and declined
    RATE_LIMIT = "rate limit"  # 429, or 403 with Retry-After or no remaining requests
    UNAVAILABLE = "unavailable"  # 5xx, no connection, a cut or senseless answer


class GitHubError(Error):
    """A request to GitHub failed."""

    def __init__(self, kind: GitHubErrorKind, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.kind = kind


class ModelKind(StrEnum):
    """Why a model did not answer, as far as a reader needs another remedy for it."""

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
    PROVIDER = "provider"  # 5xx, no connection, a senseless answer

    @property
    def fatal(self) -> bool:
        """Whether asking again with another prompt in this run cannot succeed."""
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

    def __init__(self, kind: ModelKind, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.kind = kind


def stopped() -> ModelError:
    """The error of a run that was ended from outside before it had anything to show."""
    return ModelError(
        ModelKind.TIMEOUT, "The run was stopped before anything was reviewed.", "Run the job again."
    )


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
