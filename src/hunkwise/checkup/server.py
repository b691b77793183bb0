"""GitHub, by one small read: whether it answers, takes the token, and lets the pull request be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

from hunkwise.checkup.check import Check, fault, ok, unchecked, warning
from hunkwise.errors import ForgeError, ForgeKind

_FEW = 100
"""Requests: a review of a small change takes some ten, one of a large change without a checkout some hundred."""
_SKEW_SECONDS = 60
_LAST_TIME = 253_402_300_799
"""The end of the year 9999, after which there is no date."""


class ServerReply(Protocol):
    """What came back."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name."""


Ask = Callable[[str], ServerReply]
"""Reads a path of the API. Raises ForgeError, also for every status but 2xx."""


def server_checks(
    ask: Ask, *, api_url: str, repository: str | None, number: int | None, now: Callable[[], float]
) -> Iterator[Check]:
    """One read, and all that its answer tells. `now` is the Unix time."""
    name = "Pull requests" if repository else "Rate limit"
    try:
        answer = ask(_path(repository, number))
    except ForgeError as error:
        yield from _refused(error, api_url, name)
        return
    yield ok("Server", f"{api_url} answers")
    yield ok("Token", "is accepted")
    if repository and number:
        yield ok(name, f"#{number} of {repository} can be read")
    elif repository:
        yield ok(name, f"those of {repository} can be read")
    else:
        yield unchecked("Pull requests", "none is named; --pr OWNER/REPO#N names one")
    yield unchecked("Writing", "nothing is posted by a checkup")
    yield from _rate_limit(answer.headers, now())
    yield from _clock(answer.headers, now())


def _path(repository: str | None, number: int | None) -> str:
    if repository is None:
        return "/rate_limit"
    return f"/repos/{repository}/pulls/{number}" if number else f"/repos/{repository}/pulls?per_page=1"


def _refused(error: ForgeError, api_url: str, name: str) -> Iterator[Check]:
    if error.kind is ForgeKind.UNAVAILABLE:
        yield fault("Server", error.message, error.hint)
        return
    yield ok("Server", f"{api_url} answers")
    if error.kind is ForgeKind.AUTHENTICATION:
        yield fault("Token", error.message, error.hint)
        return
    yield fault("Rate limit" if error.kind is ForgeKind.RATE_LIMIT else name, error.message, error.hint)


def _rate_limit(headers: Mapping[str, str], now: float) -> Iterator[Check]:
    left, limit = _count(headers, "remaining"), _count(headers, "limit")
    if left is None or limit is None:
        yield ok("Rate limit", "this server tells of none")
        return
    said = f"{left:,} of {limit:,} requests are left"
    reset = _count(headers, "reset")
    if reset is not None and reset <= _LAST_TIME and reset > now:
        said += f" until {datetime.fromtimestamp(reset, UTC):%Y-%m-%d %H:%M} UTC"
    if left < _FEW:
        yield warning("Rate limit", f"{said}.", "Wait until then, or let fewer jobs share this token.")
    else:
        yield ok("Rate limit", said)


def _count(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(f"x-ratelimit-{name}", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def _clock(headers: Mapping[str, str], now: float) -> Iterator[Check]:
    try:
        skew = now - parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (ValueError, OverflowError):
        yield unchecked("Clock", "the answer has no date")
        return
    if abs(skew) > _SKEW_SECONDS:
        ahead = "ahead of" if skew > 0 else "behind"
        said = f"this machine's clock is {abs(skew):,.0f} s {ahead} GitHub's."
        yield warning("Clock", said, "Set it by NTP: waits for rate limits and certificates go by it.")
    else:
        yield ok("Clock", f"within {_SKEW_SECONDS} s of GitHub's")
