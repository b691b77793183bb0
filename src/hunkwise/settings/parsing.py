"""Parses words, paths and URLs, and the inputs that are needed before the sidecar is started.

Standard library only: the sidecar's start must not wait for pydantic. Settings that are also keys of the configuration
file are validated later, by `settings.config`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from hunkwise.domain.text import escape_character
from hunkwise.errors import SettingsError

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


SECRET_INPUTS: Final = ("github-token", "copilot-token", "copilot-connection-token", "provider-api-key")
"""Inputs whose values are never shown in a message."""
RUNNER_TOKENS: Final = ("ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
"""Variables with the runner's own tokens."""
SECRET_VARIABLES: Final = (
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "COPILOT_GITHUB_TOKEN",
    "COPILOT_CONNECTION_TOKEN",
    "COPILOT_PROVIDER_API_KEY",
    "COPILOT_PROVIDER_BEARER_TOKEN",
    *RUNNER_TOKENS,
)
"""Variables of a shell or a job whose values are never shown in a message."""
CLASSIC_PREFIX: Final = "ghp_"
"""The prefix of classic personal access tokens."""
CLASSIC_REFUSED: Final = (
    "a classic personal access token (ghp_…), which Copilot does not accept; use a fine-grained one with the"
    ' permission "Copilot Requests"'
)
"""Completes "… is" in a message."""
MAX_INPUT: Final = 10_000
"""Characters of one input."""
MAX_UNKNOWN: Final = 10
"""Number of unknown inputs that are named; the rest is only counted."""
BOOLEANS: Final = ("true", "false")
TOKEN_SHAPE: Final = re.compile(r"gh[a-z]_\w|github_pat_|sk-\w|eyJ\w")
"""Prefixes of the tokens that people paste into the wrong input."""
NOT_SHOWN: Final = "a value that looks like a token (not shown)"


def safely_quoted(text: str, secrets: Iterable[str] = ()) -> str:
    """Quotes a value for a message; a placeholder if it contains a secret or looks like a token."""
    if TOKEN_SHAPE.search(text) or any(secret in text for secret in secrets):
        return NOT_SHOWN
    return quoted(text)


def wrong_value(subject: str, expected: str, found: str, near: str = "") -> str:
    """Returns a sentence: the setting, what it must be, what it is, and from `did_you_mean` what may be meant."""
    return f"{subject} must be {expected}, not {found}{near or '.'}"


def input_subject(name: str) -> str:
    """Returns what a message calls an input."""
    return f'Input "{name}"'


def is_repository_path(path: str) -> bool:
    """Returns True for a file's path relative to the repository's root, with slashes and without `.` and `..`."""
    return path.isprintable() and "\\" not in path and not {"", ".", ".."} & set(path.split("/"))


DEFAULT_CONFIG_PATH: Final = ".github/hunkwise.yml"


def parse_config_path(text: str | None, subject: str, secrets: Iterable[str] = ()) -> str:
    """Returns the configuration file's path, without a leading `./`; the default for None. Raises SettingsError."""
    path = DEFAULT_CONFIG_PATH if text is None else text.removeprefix("./")
    if not is_repository_path(path):
        expected = (
            "the path of a file in the repository, relative to its root, with slashes and without .., such as"
            f" {DEFAULT_CONFIG_PATH}"
        )
        raise SettingsError([wrong_value(subject, expected, safely_quoted(text or "", secrets))])
    return path


@dataclass(slots=True)
class InputReader:
    """The text of the inputs that are set, and the faults and warnings so far."""

    texts: Mapping[str, str]
    subject: Callable[[str], str] = input_subject
    """Returns what a message calls an input, which may be read from a variable of the environment."""
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def secrets(self) -> list[str]:
        return [self.texts[name] for name in SECRET_INPUTS if name in self.texts]

    def shown(self, text: str) -> str:
        """Quotes a value for a message, unless it may be a secret."""
        return safely_quoted(text, self.secrets)

    def matching(self, name: str, expected: str, pattern: str) -> str | None:
        """Returns the input's text; None if it is not set or does not match, which adds a fault."""
        return self._checked(name, expected, lambda text: re.fullmatch(pattern, text) is not None)

    def number(self, name: str, most: int) -> int | None:
        """Returns the input's whole number from 1; None if it is not set or not valid, which adds a fault."""
        text = self._checked(
            name,
            f"a whole number from 1 to {most}",
            lambda text: re.fullmatch("[0-9]{1,12}", text) is not None and 1 <= int(text) <= most,
        )
        return None if text is None else int(text)

    def word(self, name: str, words: Sequence[str]) -> str | None:
        """Returns the input's text; None if it is not set or not one of the words, which adds a fault."""
        return self._checked(name, listed(words), words.__contains__, words)

    def _checked(
        self, name: str, expected: str, is_valid: Callable[[str], bool], words: Sequence[str] = ()
    ) -> str | None:
        text = self.texts.get(name)
        if text is not None and not is_valid(text):
            near = did_you_mean(text, words)
            self.faults.append(wrong_value(self.subject(name), expected, self.shown(text), near))
            return None
        return text

    def secret(self, name: str) -> str | None:
        """Returns a token, None if it is not set. Anything but printable ASCII without spaces adds a fault."""
        text = self.texts.get(name)
        if text is not None and not re.fullmatch("[!-~]+", text):
            self.faults.append(
                f"{self.subject(name)} holds a space, a line break or a character outside ASCII (value not shown);"
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
