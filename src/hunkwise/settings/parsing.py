"""Parses single values: numbers, words, URLs. Error messages name what is allowed.

An input and its key in the configuration file share one rule. Standard library only: inputs are read before the
sidecar is started, which must not wait for pydantic.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from hunkwise.domain.finding import SEVERITY_LABELS, Severity
from hunkwise.domain.text import escape_character

SHOWN_CHARACTERS = 60


def quoted(value: object) -> str:
    """Formats a value for a message: on one line, of bounded length, without control characters."""
    if isinstance(value, str):
        cut = value if len(value) <= SHOWN_CHARACTERS else value[:SHOWN_CHARACTERS] + "…"
        return '"' + "".join(char if char.isprintable() else escape_character(char) for char in cut) + '"'
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    kind = "mapping" if isinstance(value, dict) else "list"
    return f"a {kind}" if value else f"an empty {kind}"


def listed(words: Sequence[str]) -> str:
    """Joins words to `a, b or c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns `; did you mean "fail-on"?`, or an empty text if no known word is similar."""
    # Imported here because only errors need it, and the sidecar's start waits for the imports.
    from difflib import get_close_matches

    near = get_close_matches(word[:SHOWN_CHARACTERS].lower().replace("_", "-"), list(known), n=1, cutoff=0.6)
    return f'; did you mean "{near[0]}"?' if near else ""


_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?(?P<rest>.*)", re.DOTALL
)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_PRIVATE_SUFFIXES = (".local", ".internal", ".lan", ".home.arpa", ".localhost")


@dataclass(frozen=True, slots=True)
class Url:
    """A valid http or https URL, without user, query, fragment and final slash."""

    text: str
    scheme: str
    host: str

    @property
    def encrypted(self) -> bool:
        return self.scheme == "https"


def parse_url(text: str) -> Url:
    """Parses a URL. Raises ValueError; its message says what is wrong and does not contain the text."""
    parts = _URL.fullmatch(text)
    if parts is None:
        raise ValueError("is not a URL; write one such as https://api.example.com/v1")
    scheme = parts["scheme"].lower()
    if scheme not in ("http", "https"):
        raise ValueError("must begin with https:// (or http:// within a private network)")
    if "@" in parts["authority"]:
        raise ValueError("must not hold a user name or password; leave out everything up to the @")
    if parts["rest"]:
        raise ValueError("must end with its path; leave out everything from the ? or # on")
    if re.search(r"[^!-~]", text):
        raise ValueError("holds a space or a character outside ASCII; remove it, or percent-encode it")
    host, port = _split_host_port(parts["authority"])
    path = (parts["path"] or "").rstrip("/")
    return Url(f"{scheme}://{_join_host_port(host, port)}{path}", scheme, host)


def parse_host_port(text: str) -> str:
    """Returns a normalized `host:port` (IPv6 in brackets). Raises ValueError; its message says what is wrong."""
    if "://" in text:
        raise ValueError("must be host:port without a scheme, such as 127.0.0.1:4321")
    host, port = _split_host_port(text) if ":" in text else ("", None)
    if port is None:
        raise ValueError("has no port; write host:port, such as 127.0.0.1:4321")
    return _join_host_port(host, port)


def host_of(address: str) -> str:
    """Returns the host of an address from `parse_host_port`."""
    return address.rpartition(":")[0].strip("[]")


def port_of(address: str) -> int:
    """Returns the port of an address from `parse_host_port`."""
    return int(address.rpartition(":")[2])


def is_loopback(host: str) -> bool:
    """Returns True if the host is this machine."""
    if (ip := _parse_ip(host)) is not None:
        return ip.is_loopback
    return host == "localhost" or host.endswith(".localhost")


def is_private(host: str) -> bool:
    """Returns True if the host is this machine or, by its name or IP address, in a private network."""
    if (ip := _parse_ip(host)) is not None:
        return ip.is_private and not ip.is_link_local
    return "." not in host or host.endswith(_PRIVATE_SUFFIXES)


def _parse_ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _split_host_port(authority: str) -> tuple[str, int | None]:
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise ValueError(
            "has no valid host and port; write them as example.com:4321, an IPv6 address as [::1]:4321"
        )
    host = parts["host"].strip("[]").lower()
    port = None if parts["port"] is None else int(parts["port"])
    if port is not None and not 1 <= port <= 65_535:
        raise ValueError("has a port that is not between 1 and 65535")
    labels = host.split(".")
    is_name = len(host) <= 253 and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()
    if not is_name and _parse_ip(host) is None:
        raise ValueError("has no valid host; write a host name or an IP address")
    return host, port


def _join_host_port(host: str, port: int | None) -> str:
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port is None else f"{bracketed}:{port}"


NONE: Final = "none"


@dataclass(frozen=True)
class SettingRule:
    """The valid values of a setting: `wants` completes "must be …"; `parse` raises ValueError for invalid text."""

    wants: str
    parse: Callable[[str], object]
    words: tuple[str, ...] = ()
    """All valid values, if they are a fixed set of words."""

    def near(self, text: str) -> str:
        """Returns `; did you mean …?` with the most similar word, or an empty text."""
        return did_you_mean(text, self.words) if self.words else ""


@dataclass(frozen=True)
class Bounds:
    """The minimum and maximum of a whole number."""

    low: int
    high: int


def whole(bounds: Bounds) -> SettingRule:
    """Returns the rule for a whole number within bounds."""

    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,12}", text) or not bounds.low <= int(text) <= bounds.high:
            raise ValueError(text)
        return int(text)

    return SettingRule(f"a whole number from {bounds.low} to {bounds.high}", parse)


def whole_or_none(bounds: Bounds) -> SettingRule:
    """Returns the rule for a whole number within bounds, or the word `none` for no limit (None)."""
    number = whole(bounds)
    return SettingRule(f"{number.wants}, or none", lambda text: None if text == NONE else number.parse(text))


def minutes(high: int) -> SettingRule:
    """Returns the rule for a number of minutes above zero, fractions allowed."""

    def parse(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,6})?", text) or not 0 < float(text) <= high:
            raise ValueError(text)
        return float(text)

    return SettingRule(f"a number of minutes above 0 and up to {high}", parse)


def number_or_none(high: int) -> SettingRule:
    """Returns the rule for a number above zero, fractions allowed, or the word `none` for no limit (None)."""
    number = minutes(high)
    return SettingRule(
        f"a number above 0 and up to {high}, or none",
        lambda text: None if text == NONE else number.parse(text),
    )


def word(words: tuple[str, ...], parse: Callable[[str], object] = str) -> SettingRule:
    """Returns the rule for one of a fixed set of words; `parse` is called with these only."""

    def parse_known(text: str) -> object:
        if text not in words:
            raise ValueError(text)
        return parse(text)

    return SettingRule(listed(words), parse_known, words)


def text_like(wants: str, pattern: str) -> SettingRule:
    """Returns the rule for text that fully matches a regular expression; `wants` describes it in words."""

    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(text)
        return text

    return SettingRule(wants, parse)


MAX_COMMENTS: Final = Bounds(0, 500)
MIN_COVERAGE: Final = Bounds(0, 100)
MAX_MODEL_CALLS: Final = Bounds(1, 10_000)
MAX_TOKENS: Final = Bounds(1, 1_000_000_000)
PROMPTS: Final = Bounds(1, 32)
PARALLEL: Final = Bounds(1, 32)
CHUNK_SIZE: Final = Bounds(4_000, 400_000)
"""In characters."""
CONTEXT_SIZE: Final = Bounds(0, 200_000)
"""In characters."""
MAX_CREDITS: Final = 1_000_000
MAX_MODELS: Final = 8
MAX_DEADLINE: Final = 360
"""In minutes."""
MODEL_PATTERN: Final = r"[!-~]{1,200}"

MODEL: Final = text_like("a model id without spaces, of up to 200 characters", MODEL_PATTERN)
TRUE_OR_FALSE: Final = word(("true", "false"), lambda text: text == "true")
LEVEL: Final = word(SEVERITY_LABELS, Severity.from_label)
GATE: Final = word((NONE, *SEVERITY_LABELS), lambda text: None if text == NONE else Severity.from_label(text))

SHARED: Final[dict[str, SettingRule]] = {
    "model": MODEL,
    "min-severity": LEVEL,
    "fail-on": GATE,
    "request-changes-on": GATE,
    "max-comments": whole(MAX_COMMENTS),
    "min-coverage": whole(MIN_COVERAGE),
    "deadline": minutes(MAX_DEADLINE),
    "max-model-calls": whole(MAX_MODEL_CALLS),
    "max-tokens": whole_or_none(MAX_TOKENS),
    "max-credits": number_or_none(MAX_CREDITS),
    "verify": word(("off", "on", "strict")),
    "summary": word(("off", "short", "full")),
    "dry-run": TRUE_OR_FALSE,
    "upload-sarif": TRUE_OR_FALSE,
}
"""Settings with a single value that are both an input and a key of the configuration file."""


SECRET_INPUTS: Final = ("github-token", "copilot-token", "copilot-connection-token", "provider-api-key")
"""Inputs whose values are never shown in a message."""
MAX_INPUT: Final = 10_000
"""Characters of one input."""
MAX_UNKNOWN: Final = 10
"""Number of unknown inputs that are named; the rest is only counted."""
TOKEN_SHAPE: Final = re.compile(r"gh[a-z]_\w|github_pat_|sk-\w|eyJ\w")
"""Prefixes of the tokens that people paste into the wrong input."""


@dataclass(slots=True)
class InputReader:
    """The text of the inputs that are set, and the faults and warnings so far."""

    texts: Mapping[str, str]
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def shown(self, text: str) -> str:
        """Quotes a value for a message; a placeholder if it contains a secret or looks like a token."""
        secrets = [self.texts[name] for name in SECRET_INPUTS if name in self.texts]
        if TOKEN_SHAPE.search(text) or any(secret in text for secret in secrets):
            return "a value that looks like a token (not shown)"
        return quoted(text)

    def parsed(self, name: str, rule: SettingRule) -> object:
        """Returns the input's parsed value; None if it is not set or is invalid, which adds a fault."""
        if (text := self.texts.get(name)) is None:
            return None
        try:
            return rule.parse(text)
        except ValueError:
            near = rule.near(text) or "."
            self.faults.append(f'Input "{name}" must be {rule.wants}, not {self.shown(text)}{near}')
            return None

    def secret(self, name: str) -> str | None:
        """Returns a token, None if it is not set. Anything but printable ASCII without spaces adds a fault."""
        text = self.texts.get(name)
        if text is not None and not re.fullmatch("[!-~]+", text):
            self.faults.append(
                f'Input "{name}" holds a space, a line break or a character outside ASCII (value not shown);'
                " set it to the bare token."
            )
        return text


def oversize(texts: Mapping[str, str]) -> list[str]:
    """Returns a sentence for every input of more than MAX_INPUT characters, without its value."""
    return [
        f'Input "{name}" has {len(text):,} characters, and at most {MAX_INPUT:,} are taken; shorten it.'
        for name, text in texts.items()
        if len(text) > MAX_INPUT
    ]


def set_inputs(environ: Mapping[str, str], known: Sequence[str]) -> dict[str, str]:
    """Returns the known inputs that are set. GitHub sets omitted inputs to an empty text."""
    texts = {}
    for name in known:
        variable = f"INPUT_{name.upper()}"
        text = environ.get(variable, "").strip() or environ.get(variable.replace("-", "_"), "").strip()
        if text:
            texts[name] = text
    return texts


def unknown_inputs(environ: Mapping[str, str], known: Sequence[str]) -> list[str]:
    """Returns a sentence for every unknown INPUT_* variable: a misspelt input, or one that is set for another step."""
    warnings = []
    for variable in sorted(environ):
        name = variable.removeprefix("INPUT_").lower().replace("_", "-")
        if variable.startswith("INPUT_") and name not in known:
            near = did_you_mean(name, known) or "; it is not used."
            warnings.append(f"Input {quoted(name)} is unknown{near}")
    more = len(warnings) - MAX_UNKNOWN
    return [*warnings[:MAX_UNKNOWN], f"{more:,} more inputs are unknown."] if more > 0 else warnings
