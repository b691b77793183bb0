"""Checks with their states, as text and as JSON, without secrets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import urlsplit

from hunkwise.domain.review import ExitCode
from hunkwise.domain.text import cut, one_line
from hunkwise.errors import Error, SettingsError
from hunkwise.redaction import SecretScan
from hunkwise.settings.parsing import SECRET_INPUTS, set_inputs


class CheckState(StrEnum):
    """How it stands. The word is the sign in front of the line."""

    OK = "ok"
    WARNING = "warning"  # a review is made all the same
    WRONG = "wrong"  # a setting: a review would end with exit code 2
    FAULT = "fault"  # missing or broken: a review would end with exit code 3
    UNCHECKED = "-"  # not asked, and `said` tells why


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, how it stands, what was seen, and what to do where it is neither ok nor unchecked."""

    name: str
    state: CheckState
    said: str
    remedy: str = ""
    """One sentence; empty where `said`, a fault of the settings, ends in it."""


@dataclass(frozen=True, slots=True)
class Section:
    """Checks of one kind."""

    title: str
    checks: tuple[Check, ...]


def ok(name: str, said: str) -> Check:
    return Check(name, CheckState.OK, said)


def warning(name: str, said: str, remedy: str) -> Check:
    return Check(name, CheckState.WARNING, said, remedy)


def wrong(name: str, said: str, remedy: str = "") -> Check:
    return Check(name, CheckState.WRONG, said, remedy)


def fault(name: str, said: str, remedy: str) -> Check:
    return Check(name, CheckState.FAULT, said, remedy)


def unchecked(name: str, why: str) -> Check:
    return Check(name, CheckState.UNCHECKED, f"not checked: {why}")


def failed(name: str, error: Error) -> tuple[Check, ...]:
    """What an error says: one line for each fault of the settings, else one with its remedy."""
    if isinstance(error, SettingsError):
        return tuple(wrong(name, said) for said in error.faults)
    return (fault(name, error.message, error.hint),)


def verdict(sections: Iterable[Section]) -> ExitCode:
    """The exit code with which a review would end, as far as can be seen without asking a model."""
    states = {check.state for section in sections for check in section.checks}
    if CheckState.WRONG in states:
        return ExitCode.WRONG_SETTINGS
    return ExitCode.NO_REVIEW if CheckState.FAULT in states else ExitCode.REVIEWED


_VARIABLES = (
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "COPILOT_GITHUB_TOKEN",
    "COPILOT_CONNECTION_TOKEN",
    "COPILOT_PROVIDER_API_KEY",
    "COPILOT_PROVIDER_BEARER_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
)
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy")
_LONGEST = 700
_SHORTEST = 4
_HIDDEN = "***"
_WITHHELD = "not shown: it holds one of this run's secrets"


def secrets_of(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Every secret value that the environment is known to hold, once each, whether or not the settings are right."""
    held = [*set_inputs(environ, SECRET_INPUTS).values(), *(environ.get(name, "") for name in _VARIABLES)]
    held += [_password(environ.get(name, "")) for name in _PROXIES]
    return tuple(dict.fromkeys(secret.strip() for secret in held if len(secret.strip()) >= _SHORTEST))


class Mask:
    """Hides the secrets in what is shown."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted(secrets, key=len, reverse=True)  # one may be a part of another
        self._scan = SecretScan(self._secrets)

    def section(self, section: Section) -> Section:
        """The section as it may be shown."""
        return replace(section, checks=tuple(self._check(check) for check in section.checks))

    def _check(self, check: Check) -> Check:
        said, remedy = self.text(check.said), self.text(check.remedy)
        return Check(self.text(check.name), check.state, said, remedy)

    def text(self, text: str) -> str:
        """One line of bounded length without a secret, in whatever encoding we know of."""
        shown = one_line(text)
        for secret in self._secrets:
            shown = shown.replace(secret, _HIDDEN)
        # Looked for in the whole text: one that is cut would no longer be found, and half of it would stand there.
        return _WITHHELD if self._scan.found_in(shown) else cut(shown, _LONGEST)


def _password(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""


_SIGNS = max(len(state) for state in CheckState)
_ENDS = {
    ExitCode.REVIEWED: "All that a review needs is here",
    ExitCode.WRONG_SETTINGS: "A review would end with exit code 2: its settings are wrong",
    ExitCode.NO_REVIEW: "No review could be made (exit code 3)",
}


def as_text(sections: Sequence[Section], heading: str) -> str:
    """Each check on a line behind its sign, its remedy on the next one; the last line says what it comes to."""
    lines = [heading]
    for section in sections:
        lines += ["", section.title]
        width = max((len(check.name) for check in section.checks), default=0)
        for check in section.checks:
            lines.append(f"  {check.state:<{_SIGNS}}  {check.name:<{width}}  {check.said}".rstrip())
            if check.remedy:
                lines.append(f"  {'':<{_SIGNS}}  {'':<{width}}  > {check.remedy}")
    return "\n".join([*lines, "", conclusion(sections)])


def conclusion(sections: Sequence[Section]) -> str:
    """What it comes to, in one sentence with the number of lines that ask for something."""
    counts = Counter(check.state for section in sections for check in section.checks)
    words = {
        CheckState.WRONG: "wrong",
        CheckState.FAULT: "fault",
        CheckState.WARNING: "warning",
        CheckState.UNCHECKED: "not checked",
    }
    told = [
        f"{counts[state]} {_several(word, counts[state])}" for state, word in words.items() if counts[state]
    ]
    return f"{_ENDS[verdict(sections)]}: {', '.join(told)}." if told else f"{_ENDS[verdict(sections)]}."


def _several(word: str, count: int) -> str:
    return f"{word}s" if count > 1 and word in ("fault", "warning") else word


def as_json(sections: Sequence[Section], version: str) -> dict[str, object]:
    """The same for programs: `state` is `unchecked` where the text has a dash."""
    return {
        "version": 1,
        "hunkwise": version,
        "exit_code": int(verdict(sections)),
        "checks": [
            {
                "section": section.title,
                "name": check.name,
                "state": check.state.name.lower(),
                "said": check.said,
                "remedy": check.remedy,
            }
            for section in sections
            for check in section.checks
        ],
    }
