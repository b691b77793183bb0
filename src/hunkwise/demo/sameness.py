"""The demo's judge of `hunkwise eval`: two remarks are the same where they share a word that matters."""

from __future__ import annotations

import re
from typing import Any

_GOLDEN = "=== What is wrong, on "
_FINDING = "=== What the reviewer found, on "
_WORD = re.compile(r"[a-z]{5,40}")
_STEM = 6
"""Letters of a word that count: `state` stays itself, `statement` and `statements` are one."""
_COMMON = frozenset(
    word[:_STEM]
    for word in "about above added after again before being below change could first there these thing this value "
    "values where which while with would always never should other another their".split()
)
"""Words that remarks on any code may share."""


def sameness_in(prompt: str) -> dict[str, Any]:
    """The arguments of the verdict on the two remarks that the prompt quotes."""
    golden, finding = _words(prompt, _GOLDEN), _words(prompt, _FINDING)
    shared = sorted(golden & finding)
    why = f"Both speak of {', '.join(shared[:5])}." if shared else "They share no word that matters."
    return {"same": bool(shared), "why": why}


def _words(prompt: str, heading: str) -> set[str]:
    """The beginnings of the words quoted below a heading; what is quoted cannot pose as one."""
    rows = iter(prompt.split("\n"))
    for row in rows:
        if row.startswith(heading):
            break
    words: set[str] = set()
    for row in rows:
        if not row.startswith("> "):
            break
        words.update(word[:_STEM] for word in _WORD.findall(row.lower()))
    return words - _COMMON
