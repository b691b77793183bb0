"""Every failure that hunkwise reports: what failed, what to do about it, and the exit code it leads to."""

from __future__ import annotations

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


class ForgeKind(StrEnum):
    """Why GitHub refused, as far as a caller must tell the causes apart."""

    AUTHENTICATION = "authentication"  # 401
    FORBIDDEN = "forbidden"  # 403 that is not a rate limit: a read-only token, a missing permission
    NOT_FOUND = "not found"  # 404: wrong name, or the token cannot see it
    INVALID = "invalid"  # 422: GitHub understood and declined
    RATE_LIMIT = "rate limit"  # 429, or 403 with Retry-After or no remaining requests
    UNAVAILABLE = "unavailable"  # 5xx, no connection, a cut or senseless answer


class ForgeError(Error):
    """A request to GitHub failed."""

    def __init__(self, kind: ForgeKind, message: str, hint: str = "") -> None:
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
