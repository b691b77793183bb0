"""GitHub's responses as validated values, and its error responses as exceptions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import requests

from hunkwise.domain.text import cut, one_line
from hunkwise.errors import GitHubError, GitHubErrorKind

MAX_ANSWER: Final = 32 * 1024 * 1024
"""Bytes of one decompressed response: a page of a large pull request's files has about 2 MB."""
_PERMISSIONS = (
    "Give the job `permissions: pull-requests: write` and `contents: read`. For pull requests from forks the "
    "token of the event pull_request is read-only: docs/forks.md describes three ways to review them.",
    'Give the token in GITHUB_TOKEN the permissions "Contents: read" and "Pull requests: read and write" for this '
    "repository; a classic token needs the scope `repo`.",
)
_TOKEN = (
    "Check the input `github-token`: it may have expired, been revoked, or belong to another server.",
    "Check the token in GITHUB_TOKEN or GH_TOKEN: it may have expired, been revoked, or belong to another server.",
)
_NOT_FOUND = (
    "Check owner, repository and number, and that the token may read that repository.",
    "Check owner, repository and number, and that the token in GITHUB_TOKEN may read that repository: a fine-grained "
    "one must name it, a classic one needs the scope `repo`.",
)
_BLOCKED: Final = (
    (
        re.compile(r"\bSAML\b"),
        "Authorize the token of the input `github-token` for the organization's single sign-on, in the settings of its "
        "account; or leave the input out, for the job's own token.",
        "Authorize the token in GITHUB_TOKEN for the organization's single sign-on: GitHub, Settings, Developer "
        "settings, the token, Configure SSO.",
    ),
    (
        re.compile(r"\bIP allow ?list\b", re.I),
        "Ask an owner of the organization to put the runner's address on its IP allow list, or use a runner whose "
        "address is on it.",
        "Ask an owner of the organization to put this machine's address on its IP allow list, or connect from a "
        "network that is on it.",
    ),
    (
        re.compile(r"\barchived\b"),
        "An archived repository can only be read: unarchive it, or set `dry-run`.",
        "An archived repository can only be read: unarchive it, or post nothing.",
    ),
)
"""GitHub's words in a 403 that no permission changes, and the hints."""
_UNLOCK = (
    "Unlock the conversation: while it is locked, only people with write access can comment, and no app."
)
_LOCKED = re.compile(r"\bis locked\b")  # "Unable to create comment because issue is locked."
_UNAVAILABLE_HINT = "Run it again; if it goes on, look at the server's status page."
SECONDARY_WAIT: Final = 60.0
"""Seconds to wait at a secondary rate limit that does not say how long: GitHub asks for a minute at least."""
_LIMIT_WORDS = re.compile(
    r"rate limit|abuse detection|blocked from content creation|submitted too (?:quickly|fast)", re.IGNORECASE
)
_ABUSE_CODE = re.compile(r"(?:^|[ :])abuse(?=$|:)")  # the `code` of an error
_RESET_MARGIN = 1.0
_TRANSIENT_STATUSES = (500, 502, 503, 504)
REFUSED: Final = (
    GitHubErrorKind.FORBIDDEN,
    GitHubErrorKind.BLOCKED,
    GitHubErrorKind.LOCKED,
    GitHubErrorKind.NOT_FOUND,
    GitHubErrorKind.INVALID,
)
"""Errors of a request that GitHub does not allow, or does not support."""


class TransientError(GitHubError):
    """UNAVAILABLE, for a reason that a retry may resolve: a broken connection, a restarting server."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(GitHubErrorKind.UNAVAILABLE, message, hint)


class RequestTimeoutError(GitHubError):
    """UNAVAILABLE, because the time of the request or the run was over before the response was complete."""

    def __init__(self, request: str, seconds: float) -> None:
        """`seconds` is the request's time limit; 0 if it was not sent."""
        message = f"GitHub did not answer {request} whole within {seconds:.0f} seconds."
        if seconds <= 0:
            message = f"{request} was not sent: the run's deadline is over."
        super().__init__(GitHubErrorKind.UNAVAILABLE, message, f"Raise `deadline`. {_UNAVAILABLE_HINT}")


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """An HTTP response: status, headers by lower-case name, and text."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""

    @property
    def message(self) -> str:
        """GitHub's message with its list of errors; empty if the text has none."""
        try:
            body: Any = json.loads(self.text)
        except (ValueError, RecursionError):
            return ""
        if not isinstance(body, dict):
            return ""
        message = body.get("message")
        errors = body.get("errors")
        parts = [message] if isinstance(message, str) else []
        parts += [_error_text(error) for error in errors[:5]] if isinstance(errors, list) else []
        return cut(one_line(": ".join(part for part in parts if part)), 500)


def wait_asked(answer: ApiResponse, now: float) -> float | None:
    """Returns the seconds to wait for a rate limit, at the Unix time `now`; None if there is none, or unknown."""
    if not _is_rate_limit(answer):
        return None
    retry_after = answer.headers.get("retry-after", "")
    if _is_number(retry_after):
        return float(retry_after)
    if answer.headers.get("x-ratelimit-remaining") != "0":
        return SECONDARY_WAIT
    reset = answer.headers.get("x-ratelimit-reset", "")
    return max(0.0, int(reset) - now) + _RESET_MARGIN if _is_number(reset) else None


def refusal_error(answer: ApiResponse, request: str) -> GitHubError:
    """Returns the error for a response with a status other than 2xx. `request` is like `GET /path`."""
    details = f" ({answer.message})" if answer.message else ""
    declined = f"GitHub declined {request} with {answer.status}{details}."
    status = answer.status
    if status == 401:
        refused = f"GitHub did not accept the token for {request}{details}."
        return GitHubError(GitHubErrorKind.AUTHENTICATION, refused, *_TOKEN)
    if _is_rate_limit(answer):
        return GitHubError(
            GitHubErrorKind.RATE_LIMIT, f"GitHub's rate limit is reached for {request}.", _reset_hint(answer)
        )
    if status == 403 and _LOCKED.search(answer.message):
        return GitHubError(GitHubErrorKind.LOCKED, declined, _UNLOCK)
    if status == 403:
        hints = next((hints for words, *hints in _BLOCKED if words.search(answer.message)), None)
        if hints is not None:
            return GitHubError(GitHubErrorKind.BLOCKED, declined, *hints)
        return GitHubError(GitHubErrorKind.FORBIDDEN, declined, *_PERMISSIONS)
    if status in (404, 410):
        missing = f"GitHub has nothing at {request}, or hides it."
        return GitHubError(GitHubErrorKind.NOT_FOUND, missing, *_NOT_FOUND)
    if 300 <= status < 400:
        return _redirect_error(answer, request)
    if status in _TRANSIENT_STATUSES:
        return TransientError(declined, _UNAVAILABLE_HINT)
    if status >= 500:
        return GitHubError(GitHubErrorKind.UNAVAILABLE, declined, _UNAVAILABLE_HINT)
    return GitHubError(GitHubErrorKind.INVALID, declined)


def malformed_response_error(request: str, why: str) -> GitHubError:
    """Returns the error for a response with status 200 whose content is invalid."""
    hint = "A proxy or a maintenance page may have answered: check GITHUB_API_URL, and run it again."
    return GitHubError(
        GitHubErrorKind.UNAVAILABLE, f"GitHub's answer to {request} makes no sense: {why}.", hint
    )


def invalid_json_error(request: str) -> TransientError:
    """As `malformed_response_error`, for a response that may have been truncated in transit."""
    error = malformed_response_error(request, "it is no JSON")
    return TransientError(error.message, error.hint)


def response_too_large_error(request: str) -> GitHubError:
    """Returns the error for a response that is too large, also after decompression."""
    return malformed_response_error(request, f"it has more than {MAX_ANSWER:,} bytes")


def unreachable_error(cause: Exception, request: str) -> GitHubError:
    """Returns the error for a missing or incomplete response. `cause`: raised by `requests` or PyGithub."""
    if isinstance(cause, requests.Timeout):
        why, hint = "no answer in time", _UNAVAILABLE_HINT
    elif isinstance(cause, requests.exceptions.SSLError):
        why = "its certificate could not be verified"
        hint = "Set SSL_CERT_FILE or REQUESTS_CA_BUNDLE to your server's certificate authority."
    elif isinstance(cause, requests.exceptions.InvalidHeader | UnicodeError):
        return GitHubError(
            GitHubErrorKind.AUTHENTICATION,
            f"The token cannot be sent to GitHub for {request}: it holds a line break or another odd character.",
            "Store the input `github-token` again, without spaces and line breaks.",
            "Set GITHUB_TOKEN again, without spaces and line breaks.",
        )
    elif isinstance(cause, requests.exceptions.ChunkedEncodingError):
        why, hint = "the answer was cut off", _UNAVAILABLE_HINT
    elif isinstance(cause, requests.ConnectionError):
        why, hint = "no connection", "Check GITHUB_API_URL, the proxy settings and the network."
    else:
        why, hint = cut(one_line(str(cause)), 200), "Check GITHUB_API_URL."
    transient = requests.Timeout | requests.ConnectionError | requests.exceptions.ChunkedEncodingError
    message = f"GitHub could not be reached for {request}: {why}."
    if isinstance(cause, transient):
        return TransientError(message, hint)
    return GitHubError(GitHubErrorKind.UNAVAILABLE, message, hint)


def _is_rate_limit(answer: ApiResponse) -> bool:
    """Returns whether a limit is the reason of a refusal; GitHub answers some limits on writes with 422."""
    if answer.status == 429:
        return True
    if answer.status not in (403, 422):
        return False
    headers = answer.headers
    if answer.status == 403 and ("retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"):
        return True
    return has_limit_words(answer.message)


def has_limit_words(message: str) -> bool:
    """Returns whether a message of GitHub names a rate limit, or has the error code of one."""
    return bool(_LIMIT_WORDS.search(message) or _ABUSE_CODE.search(message))


def _is_number(text: str) -> bool:
    """Returns whether the text is a number of seconds small enough for a date."""
    return text.isascii() and text.isdecimal() and len(text) < 12


def _reset_hint(answer: ApiResponse) -> str:
    reset = answer.headers.get("x-ratelimit-reset", "")
    if answer.headers.get("x-ratelimit-remaining") == "0" and _is_number(reset):
        at = datetime.fromtimestamp(int(reset), UTC)
        return f"Run it again after {at:%H:%M} UTC on {at:%Y-%m-%d}, when the limit is reset."
    seconds = wait_asked(answer, 0.0)
    when = f"in {seconds:.0f} seconds" if seconds else "in some minutes"
    return f"Run it again {when}, or let fewer runs share the token."


def _host(url: str) -> str | None:
    """Returns the host of a URL; None if it has none, or is invalid."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _redirect_error(answer: ApiResponse, request: str) -> GitHubError:
    target = _host(answer.headers.get("location", "")) or "another address"
    return GitHubError(
        GitHubErrorKind.UNAVAILABLE,
        f"GitHub redirected {request} to {cut(one_line(target), 200)}, which was not followed.",
        "Check GITHUB_API_URL and the repository's name: it may have been renamed or moved.",
    )


def _error_text(error: object) -> str:
    """Returns the text of an error: a string, or an object with a message, or with a field and a code."""
    if isinstance(error, str):
        return error
    if not isinstance(error, dict):
        return ""
    if isinstance(error.get("message"), str):
        return str(error["message"])
    parts = (error.get("field"), error.get("code"))
    return " ".join(part for part in parts if isinstance(part, str))


_T = TypeVar("_T")
_TYPE_NAMES: dict[type, str] = {str: "text", int: "number", bool: "yes or no"}


@dataclass(frozen=True, slots=True)
class JsonValue:
    """A JSON value and the request that it belongs to. All readers raise GitHubError (UNAVAILABLE)."""

    value: object
    request: str
    next_page: str = ""
    """The full URL of a list's next page, on the same server; empty if there is none."""

    def at(self, path: str) -> JsonValue:
        """Returns the value at keys joined by dots; null if a key is missing."""
        value = self.value
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return JsonValue(value, self.request)

    def text(self, path: str) -> str:
        return self._typed(path, str)

    def number(self, path: str) -> int:
        return self._typed(path, int)

    def text_or(self, path: str, otherwise: str) -> str:
        """Returns the text, or `otherwise` if the value is null or of another type."""
        value = self.at(path).value
        return value if isinstance(value, str) else otherwise

    def number_or_none(self, path: str) -> int | None:
        value = self.at(path).value
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def truth(self, path: str) -> bool:
        return self.at(path).value is True

    def certain(self, path: str) -> bool:
        """Returns the boolean, which is required."""
        return self._typed(path, bool)

    def objects(self, path: str = "") -> list[JsonValue]:
        """As `entries`, but each must be an object: null would be an entry that was not read."""
        entries = self.entries(path)
        if not all(isinstance(entry.value, dict) for entry in entries):
            raise malformed_response_error(self.request, "an entry of its list is no object")
        return entries

    def entries(self, path: str = "") -> list[JsonValue]:
        """Returns the elements of a list, which is required."""
        value = self.at(path).value if path else self.value
        if not isinstance(value, list):
            raise malformed_response_error(self.request, f"no list at `{path}`" if path else "it is no list")
        return [JsonValue(entry, self.request) for entry in value]

    def _typed(self, path: str, kind: type[_T]) -> _T:
        value = self.at(path).value
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise malformed_response_error(self.request, f"no {_TYPE_NAMES[kind]} at `{path}`")
        return value
