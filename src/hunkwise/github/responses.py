"""GitHub's responses as checked values, and its refusals as errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import requests

from hunkwise.domain.text import cut, one_line
from hunkwise.errors import GitHubError, GitHubErrorKind

MAX_ANSWER: Final = 32 * 1024 * 1024
"""Bytes of one answer, unpacked: a page of a large pull request's files has some 2 MB."""
_PERMISSIONS = (
    "Give the job `permissions: pull-requests: write` and `contents: read`. For pull requests from forks the "
    "token of the event pull_request is read-only: use pull_request_target, without running the fork's code."
)
_UNAVAILABLE_HINT = "Run the job again; if it goes on, look at the server's status page."
_SECONDARY_WAIT = 60.0
_BEHIND_RESET = 1.0


_PASSING = (500, 502, 503, 504)


class TransientError(GitHubError):
    """UNAVAILABLE, by what may be over at the next try: a cut connection, a server that is restarted."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(GitHubErrorKind.UNAVAILABLE, message, hint)


class RequestTimeoutError(GitHubError):
    """UNAVAILABLE, because the time for the request, or the run's, was over before it was answered whole."""

    def __init__(self, request: str, seconds: float) -> None:
        """`seconds` is what it was given; 0 where it was not even sent."""
        what = f"GitHub did not answer {request} whole within {seconds:.0f} seconds."
        if seconds <= 0:
            what = f"{request} was not sent: the run's deadline is over."
        super().__init__(GitHubErrorKind.UNAVAILABLE, what, f"Raise `deadline`. {_UNAVAILABLE_HINT}")


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What came back: a status, headers by lower-case name, and the text."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""

    @property
    def message(self) -> str:
        """GitHub's own words, its list of errors included; empty where there are none."""
        try:
            said: Any = json.loads(self.text)
        except (ValueError, RecursionError):
            return ""
        if not isinstance(said, dict):
            return ""
        message = said.get("message")
        errors = said.get("errors")
        words = [message] if isinstance(message, str) else []
        words += [_error_words(error) for error in errors[:5]] if isinstance(errors, list) else []
        return cut(one_line(": ".join(word for word in words if word)), 500)


def wait_asked(answer: ApiResponse, now: float) -> float | None:
    """Seconds that a rate limit asks us to wait, at the Unix time `now`; None where none is asked, or known."""
    if answer.status not in (403, 429) or not _is_rate_limit(answer):
        return None
    asked = answer.headers.get("retry-after", "")
    if _is_number(asked):
        return float(asked)
    if answer.headers.get("x-ratelimit-remaining") != "0":
        return _SECONDARY_WAIT
    reset = answer.headers.get("x-ratelimit-reset", "")
    return max(0.0, int(reset) - now) + _BEHIND_RESET if _is_number(reset) else None


def refusal_error(answer: ApiResponse, request: str) -> GitHubError:
    """The error that an answer of another status than 2xx stands for. `request` is `GET /path`."""
    said = f" ({answer.message})" if answer.message else ""
    declined = f"GitHub declined {request} with {answer.status}{said}."
    status = answer.status
    if status == 401:
        return GitHubError(
            GitHubErrorKind.AUTHENTICATION,
            f"GitHub did not accept the token for {request}{said}.",
            "Check the input `github-token`: it may have expired, been revoked, or belong to another server.",
        )
    if status in (403, 429) and _is_rate_limit(answer):
        return GitHubError(
            GitHubErrorKind.RATE_LIMIT, f"GitHub's rate limit is reached for {request}.", _reset(answer)
        )
    if status == 403:
        return GitHubError(GitHubErrorKind.FORBIDDEN, declined, _PERMISSIONS)
    if status in (404, 410):
        hint = "Check owner, repository and number, and that the token may read that repository."
        return GitHubError(GitHubErrorKind.NOT_FOUND, f"GitHub has nothing at {request}, or hides it.", hint)
    if 300 <= status < 400:
        return _redirected(answer, request)
    if status in _PASSING:
        return TransientError(declined, _UNAVAILABLE_HINT)
    if status >= 500:
        return GitHubError(GitHubErrorKind.UNAVAILABLE, declined, _UNAVAILABLE_HINT)
    return GitHubError(GitHubErrorKind.INVALID, declined)


def malformed_response_error(request: str, why: str) -> GitHubError:
    """GitHub, or something in its place, answered 200 with what cannot be an answer."""
    hint = "A proxy or a maintenance page may have answered: check GITHUB_API_URL, and run the job again."
    return GitHubError(
        GitHubErrorKind.UNAVAILABLE, f"GitHub's answer to {request} makes no sense: {why}.", hint
    )


def invalid_json_error(request: str) -> TransientError:
    """As `senseless`: an answer that may have been cut on its way."""
    error = malformed_response_error(request, "it is no JSON")
    return TransientError(error.message, error.hint)


def response_too_large_error(request: str) -> GitHubError:
    """The answer is larger than any that GitHub gives, or a small one that unpacks to that."""
    return malformed_response_error(request, f"it has more than {MAX_ANSWER:,} bytes")


def unreachable_error(cause: Exception, request: str) -> GitHubError:
    """No answer, or only a part of one: what `requests` or PyGithub raised on the way."""
    if isinstance(cause, requests.Timeout):
        why, hint = "no answer in time", _UNAVAILABLE_HINT
    elif isinstance(cause, requests.exceptions.SSLError):
        why = "its certificate could not be verified"
        hint = "Set SSL_CERT_FILE or REQUESTS_CA_BUNDLE to your server's certificate authority."
    elif isinstance(cause, requests.exceptions.InvalidHeader | UnicodeError):
        return GitHubError(
            GitHubErrorKind.AUTHENTICATION,
            f"The token cannot be sent to GitHub for {request}: it holds a line break or another odd character.",
            "Store the input `github-token` again, without blanks and line breaks.",
        )
    elif isinstance(cause, requests.exceptions.ChunkedEncodingError):
        why, hint = "the answer was cut off", _UNAVAILABLE_HINT
    elif isinstance(cause, requests.ConnectionError):
        why, hint = "no connection", "Check GITHUB_API_URL, the proxy settings and the network."
    else:
        why, hint = cut(one_line(str(cause)), 200), "Check GITHUB_API_URL."
    passing = requests.Timeout | requests.ConnectionError | requests.exceptions.ChunkedEncodingError
    message = f"GitHub could not be reached for {request}: {why}."
    if isinstance(cause, passing):
        return TransientError(message, hint)
    return GitHubError(GitHubErrorKind.UNAVAILABLE, message, hint)


def _is_rate_limit(answer: ApiResponse) -> bool:
    if answer.status == 429 or "retry-after" in answer.headers:
        return True
    words = answer.message.lower()
    return answer.headers.get("x-ratelimit-remaining") == "0" or "rate limit" in words


def _is_number(text: str) -> bool:
    """Whether it is a count of seconds that a date can be made of."""
    return text.isascii() and text.isdecimal() and len(text) < 12


def _reset(answer: ApiResponse) -> str:
    reset = answer.headers.get("x-ratelimit-reset", "")
    if answer.headers.get("x-ratelimit-remaining") == "0" and _is_number(reset):
        at = datetime.fromtimestamp(int(reset), UTC)
        return f"Run the job again after {at:%H:%M} UTC on {at:%Y-%m-%d}, when the limit is reset."
    seconds = wait_asked(answer, 0.0)
    when = f"in {seconds:.0f} seconds" if seconds else "in some minutes"
    return f"Run the job again {when}, or let fewer jobs run at once."


def _host(address: str) -> str | None:
    """The address's host; None where it has none, or is none."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _redirected(answer: ApiResponse, request: str) -> GitHubError:
    target = _host(answer.headers.get("location", "")) or "another address"
    return GitHubError(
        GitHubErrorKind.UNAVAILABLE,
        f"GitHub redirected {request} to {cut(one_line(target), 200)}, which was not followed.",
        "Check GITHUB_API_URL and the repository's name: it may have been renamed or moved.",
    )


def _error_words(error: object) -> str:
    """GitHub's errors are strings, or objects with a message, or with a field and a code."""
    if isinstance(error, str):
        return error
    if not isinstance(error, dict):
        return ""
    if isinstance(error.get("message"), str):
        return str(error["message"])
    words = (error.get("field"), error.get("code"))
    return " ".join(word for word in words if isinstance(word, str))


_T = TypeVar("_T")
_WORDS: dict[type, str] = {str: "text", int: "number", bool: "yes or no"}


@dataclass(frozen=True, slots=True)
class JsonValue:
    """A JSON value and the request that it answers. All readers raise GitHubError (UNAVAILABLE)."""

    value: object
    request: str

    def at(self, path: str) -> JsonValue:
        """The value under keys joined by dots; null where a key is missing."""
        value = self.value
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return JsonValue(value, self.request)

    def text(self, path: str) -> str:
        return self._typed(path, str)

    def number(self, path: str) -> int:
        return self._typed(path, int)

    def text_or(self, path: str, otherwise: str) -> str:
        """The text, or `otherwise` where GitHub has null or another type."""
        value = self.at(path).value
        return value if isinstance(value, str) else otherwise

    def number_or_none(self, path: str) -> int | None:
        value = self.at(path).value
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def truth(self, path: str) -> bool:
        return self.at(path).value is True

    def certain(self, path: str) -> bool:
        """True or false, which must be there."""
        return self._typed(path, bool)

    def objects(self, path: str = "") -> list[JsonValue]:
        """As `entries`, where each must be an object: a hole in the list would be something left unread."""
        entries = self.entries(path)
        if not all(isinstance(entry.value, dict) for entry in entries):
            raise malformed_response_error(self.request, "an entry of its list is no object")
        return entries

    def entries(self, path: str = "") -> list[JsonValue]:
        """The elements of a list, which must be there."""
        value = self.at(path).value if path else self.value
        if not isinstance(value, list):
            raise malformed_response_error(self.request, f"no list at `{path}`" if path else "it is no list")
        return [JsonValue(entry, self.request) for entry in value]

    def _typed(self, path: str, kind: type[_T]) -> _T:
        value = self.at(path).value
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise malformed_response_error(self.request, f"no {_WORDS[kind]} at `{path}`")
        return value


_STATUS = {
    "NOT_FOUND": 404,
    "FORBIDDEN": 403,
    "INSUFFICIENT_SCOPES": 403,
    "RATE_LIMIT": 429,
    "RATE_LIMITED": 429,
    "INTERNAL": 500,
    "SERVICE_UNAVAILABLE": 503,
}
_INVALID = 422
_STUMBLED = "something went wrong"  # GitHub's words for a query that ran out of time, with status 200


@dataclass(frozen=True)
class GraphqlError:
    """One error of an answer: where in the data it belongs, and what it means. An empty path: everywhere."""

    path: tuple[str | int, ...]
    error: GitHubError


@dataclass(frozen=True)
class GraphqlResponse:
    """What GitHub answered, as far as it answered."""

    data: JsonValue
    """An object; null stands where a fault is."""
    faults: tuple[GraphqlError, ...] = ()

    def fault_at(self, *path: str | int) -> GitHubError | None:
        """The first error at this place, below it, or above it."""
        for fault in self.faults:
            shared = min(len(path), len(fault.path))
            if fault.path[:shared] == path[:shared]:
                return fault.error
        return None

    @property
    def whole(self) -> JsonValue:
        """The data, where nothing is missing. Raises the first error otherwise."""
        if self.faults:
            raise self.faults[0].error
        return self.data


def status_seen(answer: ApiResponse) -> ApiResponse:
    """The answer with the status that its errors stand for, where it has no data and a limit is the cause."""
    if answer.status != 200 or "rate" not in answer.text.lower():
        return answer
    said = _parsed(answer.text)
    data = said.get("data") if isinstance(said, dict) else None
    if isinstance(data, dict) and any(value is not None for value in data.values()):
        return answer  # some of it took effect: sent again, it would do so twice
    limited = any(_status(error) == 429 for error in _errors(said))
    return replace(answer, status=429) if limited else answer


def read_answer(said: JsonValue) -> GraphqlResponse:
    """Data and errors of an answer with status 200. Raises GitHubError where there is no data at all."""
    faults = tuple(_fault(error, said.request) for error in _errors(said.value))
    data = said.at("data")
    if isinstance(data.value, dict):
        return GraphqlResponse(data, faults)
    raise (
        faults[0].error
        if faults
        else malformed_response_error(said.request, "it has neither data nor errors")
    )


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _errors(value: object) -> list[dict[str, Any]]:
    errors = value.get("errors") if isinstance(value, dict) else None
    if not errors:
        return []
    listed = errors if isinstance(errors, list) else [errors]
    return [error if isinstance(error, dict) else {"message": error} for error in listed[:200]]


def _status(error: dict[str, Any]) -> int:
    message = _word(error, "message").lower()
    if "rate limit" in message:
        return 429
    otherwise = 502 if message.startswith(_STUMBLED) else _INVALID
    return _STATUS.get(_word(error, "type"), otherwise)


def _word(error: dict[str, Any], key: str) -> str:
    """The text at the key; empty for all else, which may be nested too deeply to be written out."""
    word = error.get(key)
    return word if isinstance(word, str) else ""


def _fault(error: dict[str, Any], request: str) -> GraphqlError:
    path = error.get("path")
    steps = tuple(step for step in path if isinstance(step, str | int)) if isinstance(path, list) else ()
    said = ApiResponse(_status(error), {}, json.dumps({"message": _word(error, "message")}))
    return GraphqlError(steps, refusal_error(said, request))
