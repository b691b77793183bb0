"""One line of a checkup, and what all lines together mean for a review."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from hunkwise.domain.outcome import ExitCode
from hunkwise.errors import Error, SettingsError


class State(StrEnum):
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
    state: State
    said: str
    remedy: str = ""
    """One sentence; empty where `said`, a fault of the settings, ends in it."""


@dataclass(frozen=True, slots=True)
class Section:
    """Checks of one kind."""

    title: str
    checks: tuple[Check, ...]


def ok(name: str, said: str) -> Check:
    return Check(name, State.OK, said)


def warning(name: str, said: str, remedy: str) -> Check:
    return Check(name, State.WARNING, said, remedy)


def wrong(name: str, said: str, remedy: str = "") -> Check:
    return Check(name, State.WRONG, said, remedy)


def fault(name: str, said: str, remedy: str) -> Check:
    return Check(name, State.FAULT, said, remedy)


def unchecked(name: str, why: str) -> Check:
    return Check(name, State.UNCHECKED, f"not checked: {why}")


def failed(name: str, error: Error) -> tuple[Check, ...]:
    """What an error says: one line for each fault of the settings, else one with its remedy."""
    if isinstance(error, SettingsError):
        return tuple(wrong(name, said) for said in error.faults)
    return (fault(name, error.message, error.hint),)


def verdict(sections: Iterable[Section]) -> ExitCode:
    """The exit code with which a review would end, as far as can be seen without asking a model."""
    states = {check.state for section in sections for check in section.checks}
    if State.WRONG in states:
        return ExitCode.WRONG_SETTINGS
    return ExitCode.NO_REVIEW if State.FAULT in states else ExitCode.REVIEWED
