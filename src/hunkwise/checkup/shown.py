"""A checkup as text for people, and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hunkwise.checkup.check import Section, State, verdict
from hunkwise.domain.outcome import ExitCode

_SIGNS = max(len(state) for state in State)
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
        State.WRONG: "wrong",
        State.FAULT: "fault",
        State.WARNING: "warning",
        State.UNCHECKED: "not checked",
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
