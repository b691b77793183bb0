"""Converts errors of the SDK and of HTTP to ModelError."""

from __future__ import annotations

import re

from copilot._jsonrpc import JsonRpcError, ProcessExitedError

from hunkwise.errors import ModelError, ModelKind

SDK_ERRORS = (JsonRpcError, ProcessExitedError, RuntimeError, ValueError, OSError, AssertionError)
"""Exceptions that the SDK raises for failures of the CLI and the connection; it has no base class for them.

It validates messages with `assert`, so a server that is not a Copilot CLI causes an AssertionError."""

_STATUS = {
    401: ModelKind.AUTHENTICATION,
    402: ModelKind.PAYMENT,
    403: ModelKind.FORBIDDEN,
    404: ModelKind.UNAVAILABLE_MODEL,
    408: ModelKind.TIMEOUT,
    410: ModelKind.UNAVAILABLE_MODEL,
    413: ModelKind.TOO_LARGE,
    429: ModelKind.RATE_LIMIT,
}
_TOO_LARGE = re.compile(
    r"prompt budget|tokens?.limit"
    r"|context.{0,12}(limit|length|size|window)"
    r"|(?<!max_tokens is )(?<!max_tokens` is )too (large|long)"
    r"|too many (input |prompt )?tokens(?!.{0,40}wait)"
    r"|(tokens?|prompt|inputs?|messages|body)\b.{0,80}\bexceed(s|ed)?\b.{0,60}\b(limit|length|maximum|max|size|tokens)\b"
    r"|request exceed(s|ed)?\b.{0,30}\b(size|tokens?)\b"
    r"|maximum (prompt|input|model) length|range of input length|length of the (messages|prompt|input)"
    r"|inputs.{0,60}(less than|<=) [0-9]+",
    re.I,
)
_PATTERNS = (
    (
        re.compile(
            r"not authenticated|bad credentials|authentication_failed|no github oauth token"
            r"|server-to-server tokens? ",
            re.I,
        ),
        ModelKind.AUTHENTICATION,
    ),
    (re.compile(r"content.?(filter|management policy)", re.I), ModelKind.CONTENT_FILTER),
    (
        re.compile(r"rate.?limit|too many requests|per (second|minute|min|hour|day)\b", re.I),
        ModelKind.RATE_LIMIT,
    ),
    (_TOO_LARGE, ModelKind.TOO_LARGE),
    (re.compile(r"payment required|quota|premium request", re.I), ModelKind.PAYMENT),
    (
        re.compile(
            r"model .{0,200}(is not available|not found|not supported|does not exist"
            r"|retired|deprecated|decommissioned|no longer)",
            re.I,
        ),
        ModelKind.UNAVAILABLE_MODEL,
    ),
    (re.compile(r"forbidden|not (allowed|permitted|licensed)|access denied", re.I), ModelKind.FORBIDDEN),
)
_MAX_TEXT = 10_000
_NO_CREDIT = re.compile(r"insufficient_quota|exceeded your current quota", re.I)
_INNER_MESSAGES = (
    re.compile(r'\\"message\\":\s*\\"([^"\\]{1,300})\\"'),
    re.compile(r'"body":\s*"\s*([^"\\{<][^"\\]{0,300})'),
)
_STATUS_IN_TEXT = re.compile(
    r'(?:"status(?:Code)?":\s*|\bstatus(?: code)? |\bHTTP )([45]\d\d)\b|^([45]\d\d)\b'
)

_Hints = tuple[str, ...]
"""The hint for a workflow, and the one for a shell where that differs."""
_COPILOT_HINTS: dict[ModelKind, _Hints] = {
    ModelKind.AUTHENTICATION: (
        "In an organization's repository give the job `permissions: copilot-requests: write`; elsewhere set "
        'copilot-token to a fine-grained token with the account permission "Copilot Requests". '
        "Classic ghp_ tokens do not work.",
        'Set COPILOT_GITHUB_TOKEN to a fine-grained token with the account permission "Copilot Requests". '
        "Classic ghp_ tokens do not work.",
    ),
    ModelKind.PAYMENT: (
        "The account that pays has no Copilot credits left: raise its budget, or wait for the next month.",
    ),
    ModelKind.FORBIDDEN: (
        "Copilot refused this account: an organization allows it by the policy "
        '"Allow use of Copilot CLI billed to the organization", a person by a Copilot plan.',
    ),
    ModelKind.UNAVAILABLE_MODEL: (
        "Leave `model` empty for Copilot's choice, or name one that it offers.",
        "Name one that it offers by --model, or none for Copilot's choice.",
    ),
}
_PROVIDER_HINTS: dict[ModelKind, _Hints] = {
    ModelKind.AUTHENTICATION: (
        "Correct provider-api-key: the provider did not accept it.",
        "Correct COPILOT_PROVIDER_API_KEY: the provider did not accept it.",
    ),
    ModelKind.PAYMENT: ("The provider's account has no credit left: look at its billing page.",),
    ModelKind.FORBIDDEN: ("The provider refused this key: look at what the key may do.",),
    ModelKind.UNAVAILABLE_MODEL: (
        "Correct `model` or provider-base-url: the provider does not know it.",
        "Correct --model or COPILOT_PROVIDER_BASE_URL: the provider does not know it.",
    ),
}
_HINTS: dict[ModelKind, _Hints] = {
    ModelKind.RATE_LIMIT: ("Run it again later, or lower `parallel` in the configuration.",),
    ModelKind.CONTENT_FILTER: ("The provider's filter blocked the answer: name the file in `ignore`.",),
    ModelKind.REFUSED: ("Another `model` may report as it is asked to.",),
    ModelKind.TOO_LARGE: (
        "Lower `chunk-size` in the configuration, or choose a model with a larger context.",
    ),
    ModelKind.TIMEOUT: ("Raise `deadline`, or narrow the review by `paths`.",),
    ModelKind.PROVIDER: ("Run it again; if it happens again, look at the provider's status page.",),
    ModelKind.SIDECAR: (
        "Run it again; if it happens again, `COPILOT_CLI_PATH` lets you try another version of the Copilot CLI.",
    ),
}
_NO_CONNECTION = re.compile(
    r"could not connect|error sending request|fetch failed|socket hang up|connection (error|refused|reset|closed)"
    r"|\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE)\b"
    r"|certificate|self.signed",
    re.I,
)
"""Texts of the CLI where no HTTP response arrived: a status page would say nothing about it."""
_CHECK_NETWORK: dict[bool, _Hints] = {
    True: (
        "Look at provider-base-url, the network, the proxy and the firewall, then run it again.",
        "Look at COPILOT_PROVIDER_BASE_URL, the network, the proxy and the firewall, then run it again.",
    ),
    False: ("Look at the network, the proxy and the firewall, then run it again.",),
}
"""By whether the model is that of a user's provider."""
_GONE = re.compile(r"not connected|Error -32000: SERVER_SHUTTING_DOWN", re.I)
"""Texts of the SDK, and of a CLI that ends."""
_CLI_WORDS = re.compile(
    r"JSON-RPC Error -?\d+: (Request \S+ failed with message: )?|\s*Check your COPILOT_PROVIDER_\w+[^.]*\."
)
"""What the CLI adds to an error: its protocol, and variables of its own that do not apply here."""


def model_error(kind: ModelKind, message: str, *, provider: bool) -> ModelError:
    """Returns the error of that kind with its hint, which differs for Copilot and a user's provider."""
    by_source = _PROVIDER_HINTS if provider else _COPILOT_HINTS
    return ModelError(kind, message, *(by_source.get(kind) or _HINTS.get(kind, ())))


def status_error(status: int | None, message: str, *, provider: bool) -> ModelError:
    """Returns the error for an HTTP status, or for the text of a message if the status does not determine it."""
    text = " ".join(message.split())
    if status is None:
        status = _status_in(text)
    details = f" It said: {_message_in(text).rstrip('.')}." if text else ""
    source = "The model provider" if provider else "Copilot"
    outcome = f" answered {status}." if status else " could not be asked."
    kind, message = _kind(status, text), f"{source}{outcome}{details}"
    if kind is ModelKind.PROVIDER and status is None and _NO_CONNECTION.search(text):
        return ModelError(kind, message, *_CHECK_NETWORK[provider])
    return model_error(kind, message, provider=provider)


def _kind(status: int | None, text: str) -> ModelKind:
    if status == 429 and _NO_CREDIT.search(text):
        return ModelKind.PAYMENT  # OpenAI's status for an account without credit
    if status == 429 and "request too large" in text.lower():
        return ModelKind.TOO_LARGE  # OpenAI's status for one request above the tokens of a minute
    if status in _STATUS:
        return _STATUS[status]
    if status is not None and status >= 500:
        return ModelKind.PROVIDER
    # A 400 can mean a prompt that is too long, a filter, or a model that does not exist.
    return next((kind for pattern, kind in _PATTERNS if pattern.search(text)), ModelKind.PROVIDER)


def sdk_error(error: Exception, *, provider: bool) -> ModelError:
    """Returns the error for an exception of the SDK."""
    if isinstance(error, ProcessExitedError) or _GONE.search(str(error)):
        return model_error(
            ModelKind.SIDECAR, f"The Copilot CLI is gone: {str(error)[:400]}.", provider=provider
        )
    return status_error(None, str(error)[:_MAX_TEXT], provider=provider)


def _message_in(text: str) -> str:
    """Returns the server's message if the CLI wraps it in JSON of its own, else the start of the text."""
    inner = (match for pattern in _INNER_MESSAGES if (match := pattern.search(text)))
    return next((match[1].strip() for match in inner), _CLI_WORDS.sub("", text)[:400])


def _status_in(text: str) -> int | None:
    match = _STATUS_IN_TEXT.search(text)
    return int(match[1] or match[2]) if match else None
