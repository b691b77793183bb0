"""A text's front matter: what stands between two lines of three dashes at its very top."""

from __future__ import annotations

import re
from dataclasses import dataclass

_OPENING = re.compile(r"\A\ufeff?---[ \t]*(?:\r?\n|\Z)")
_CLOSING = re.compile(r"^---[ \t]*(?:\r?\n|\Z)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Divided:
    """A text in its two parts."""

    matter: str
    """What stands between the dashes; its first line is the text's second one."""
    body: str
    """What follows."""
    lines: int
    """Lines above the body."""
    closed: bool
    """Whether there was a second line of dashes; without it all is `matter`."""

    @property
    def template(self) -> str:
        """The body as a template whose lines have the numbers that they have in the text."""
        return "{#" + "\n" * self.lines + "#}" + self.body


def divided(text: str) -> Divided | None:
    """The parts of a text; None where it has no front matter."""
    opening = _OPENING.match(text)
    if opening is None:
        return None
    closing = _CLOSING.search(text, opening.end())
    if closing is None:
        return Divided(text[opening.end() :], "", 0, closed=False)
    lines = text.count("\n", 0, closing.end())
    matter, body = text[opening.end() : closing.start()], text[closing.end() :]
    return Divided(matter, body, lines, closed=True)
