"""The demo's second opinion: looks whether its rule matches the finding's row again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hunkwise.demo.rules import RULES, added_lines

_HEADING = re.compile(r"^## Finding (\d{1,9})$")
_LINE = re.compile(r"RIGHT lines? (?:\d+ to )?(\d{1,9})")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A finding as the prompt shows it."""

    number: int
    line: int | None
    title: str


def verdicts_on(prompt: str) -> list[dict[str, Any]]:
    """The arguments' `verdicts`: one on each finding that the prompt shows."""
    rows = {line: (path, text) for path, line, text in added_lines(prompt)}
    return [_verdict(asked, rows) for asked in _asked(prompt)]


def _verdict(asked: _Asked, rows: Mapping[int, tuple[str, str]]) -> dict[str, Any]:
    row = rows.get(asked.line) if asked.line is not None else None
    if row is None:
        verdict, evidence = "keep", "Its row is not shown here, so nothing speaks against it."
    elif any(rule.title == asked.title and rule.matches(*row) for rule in RULES):
        verdict, evidence = "keep", f"The same rule matches line {asked.line} again."
    else:
        verdict, evidence = "drop", f"No rule of this name matches line {asked.line}."
    return {"finding": asked.number, "verdict": verdict, "evidence": evidence}


def _asked(prompt: str) -> Iterator[_Asked]:
    """Each heading, with the line and the title behind it; what is quoted cannot pose as either."""
    rows = prompt.split("\n")
    for index, row in enumerate(rows):
        heading = _HEADING.match(row)
        if heading is None:
            continue
        behind = rows[index + 1 : index + 8]
        line = next((found for text in behind if text[:1] != ">" and (found := _LINE.search(text))), None)
        title = next((text[2:] for text in behind if text.startswith("> ")), "")
        yield _Asked(int(heading[1]), int(line[1]) if line else None, title)
