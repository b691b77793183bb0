"""Checks with their states, as text and as JSON, without secrets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from hunkwise.domain.review import ExitCode
from hunkwise.domain.text import cut, one_line
from hunkwise.errors import Error, SettingsError
from hunkwise.redaction import SecretScan


class CheckState(StrEnum):
    """The state of a check. The value is the sign at the start of its line."""

    OK = "ok"
    WARNING = "warning"  # a review is possible
    WRONG = "wrong"  # a setting: a review would end with exit code 2
    FAULT = "fault"  # missing or broken: a review would end with exit code 3
    UNCHECKED = "-"  # not checked, and `said` has the reason


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check: its name, state, result text, and what to do if it is neither ok nor unchecked."""

    name: str
    state: CheckState
    said: str
    remedy: str = ""
    """One sentence; empty if `said` already ends with it, as the faults of the settings do."""
    shell_remedy: str = ""
    """The remedy in a shell; empty if `remedy` is for both."""
    shell_said: str = ""
    """The result in a shell; empty if `said` is for both."""

    def in_shell(self) -> Check:
        """Returns the check with the words for a shell."""
        return replace(self, said=self.shell_said or self.said, remedy=self.shell_remedy or self.remedy)


@dataclass(frozen=True, slots=True)
class Section:
    """A group of checks with a title."""

    title: str
    checks: tuple[Check, ...]

    def in_shell(self) -> Section:
        """Returns the section with the remedies for a shell."""
        return replace(self, checks=tuple(check.in_shell() for check in self.checks))


def ok(name: str, text: str) -> Check:
    return Check(name, CheckState.OK, text)


def warning(name: str, text: str, remedy: str) -> Check:
    return Check(name, CheckState.WARNING, text, remedy)


def wrong(name: str, text: str, remedy: str = "") -> Check:
    return Check(name, CheckState.WRONG, text, remedy)


def fault(name: str, text: str, remedy: str, shell_remedy: str = "") -> Check:
    return Check(name, CheckState.FAULT, text, remedy, shell_remedy)


def error_check(name: str, error: Error, lead: str = "") -> Check:
    """Returns the fault of an error; `lead` is put before its message."""
    return fault(name, f"{lead}{error.message}", error.hint, error.shell_hint)


def unchecked(name: str, why: str) -> Check:
    return Check(name, CheckState.UNCHECKED, f"not checked: {why}")


def failed(name: str, error: Error) -> tuple[Check, ...]:
    """Returns the checks of an error: one for each fault of the settings, else one with its remedy."""
    if isinstance(error, SettingsError):
        faults = zip(error.faults, error.shell_faults, strict=True)
        return tuple(
            replace(wrong(name, message), shell_said="" if in_shell == message else in_shell)
            for message, in_shell in faults
        )
    return (error_check(name, error),)


def verdict(sections: Iterable[Section]) -> ExitCode:
    """Returns the exit code that a review would have, as far as that is known without asking a model."""
    states = {check.state for section in sections for check in section.checks}
    if CheckState.WRONG in states:
        return ExitCode.WRONG_SETTINGS
    return ExitCode.NO_REVIEW if CheckState.FAULT in states else ExitCode.REVIEWED


_LONGEST = 700
_HIDDEN = "***"
_WITHHELD = "not shown: it holds one of this run's secrets"


class Mask:
    """Masks secrets in the output."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted(secrets, key=len, reverse=True)  # a secret may be a part of another
        self._scan = SecretScan(self._secrets)

    def section(self, section: Section) -> Section:
        """Returns the section with masked texts."""
        return replace(section, checks=tuple(self._mask(check) for check in section.checks))

    def _mask(self, check: Check) -> Check:
        return Check(self.text(check.name), check.state, self.text(check.said), self.text(check.remedy))

    def text(self, text: str) -> str:
        """Returns one line of at most 700 characters, without secrets in any known encoding."""
        masked = one_line(text)
        for secret in self._secrets:
            masked = masked.replace(secret, _HIDDEN)
        # Searches the whole text: a truncated secret would not be found, and a part of it would be shown.
        return _WITHHELD if self._scan.found_in(masked) else cut(masked, _LONGEST)


_SIGNS = max(len(state) for state in CheckState)
_COUNTED = (
    (CheckState.WRONG, "{} setting is wrong", "{} settings are wrong"),
    (CheckState.FAULT, "{} thing is missing or broken", "{} things are missing or broken"),
    (CheckState.WARNING, "there is {} warning", "there are {} warnings"),
    (CheckState.UNCHECKED, "{} thing was not checked", "{} things were not checked"),
)
_ENDS = {
    ExitCode.REVIEWED: "Nothing wrong was found",
    ExitCode.WRONG_SETTINGS: "A review would end with exit code 2",
    ExitCode.NO_REVIEW: "No review could be made (exit code 3)",
}


def as_text(sections: Sequence[Section], heading: str) -> str:
    """Returns a line for each check, which begins with its sign, then its remedy; the last line is the conclusion.

    A remedy that several checks of a section share is below the last of them.
    """
    lines = [heading]
    for section in sections:
        lines += ["", section.title]
        width = max((len(check.name) for check in section.checks), default=0)
        last = {check.remedy: number for number, check in enumerate(section.checks)}
        for number, check in enumerate(section.checks):
            lines.append(f"  {check.state:<{_SIGNS}}  {check.name:<{width}}  {check.said}".rstrip())
            if check.remedy and last[check.remedy] == number:
                lines.append(f"  {'':<{_SIGNS}}  {'':<{width}}  > {check.remedy}")
    return "\n".join([*lines, "", conclusion(sections)])


def conclusion(sections: Sequence[Section]) -> str:
    """Returns the result in one sentence, with the number of checks in each state other than ok."""
    counts = Counter(check.state for section in sections for check in section.checks)
    numbers = [
        (one if count == 1 else more).format(count)
        for state, one, more in _COUNTED
        if (count := counts[state])
    ]
    return f"{'; '.join([_ENDS[verdict(sections)], *numbers])}."


def as_json(sections: Sequence[Section], version: str) -> dict[str, object]:
    """Returns the same as values for JSON; `state` is `unchecked` where the text has a dash."""
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
