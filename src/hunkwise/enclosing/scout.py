"""Asks a child process of limited time and memory for the scopes around places; see `enclosing.scoping`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Self

from hunkwise.bounded import Child
from hunkwise.enclosing.scopes import Chain, Scope

SECONDS = 3.0
"""Wall-clock time of one file, the child's start included."""


class Scout:
    """One child, started early by `begin`; once it died or was late, nothing is known any more."""

    def __init__(self, *, seconds: float = SECONDS, python: str = sys.executable) -> None:
        """`seconds`: of wall-clock time for one file; `python`: the interpreter that the child runs in."""
        self._seconds = seconds
        self._child = Child("hunkwise.enclosing.scoping", _package, python)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._child.close()

    @property
    def failed(self) -> bool:
        """Nothing will be known any more."""
        return self._child.failed

    def begin(self) -> None:
        """Starts the child, so that it is ready when it is asked."""
        self._child.begin()

    def scopes(
        self, language: str, text: str, places: Sequence[tuple[int, int]], seconds: float
    ) -> tuple[Chain, ...] | None:
        """A chain for each place, each a pair of 1-based lines; None where nothing can be said of the file.

        Takes `seconds` at the most. Raises nothing that the file did.
        """
        if seconds <= 0:
            return None
        question = json.dumps({"language": language, "text": text, "places": list(places)})
        answer = self._child.answer(question, min(seconds, self._seconds))
        return _chains(answer, len(places), text.count("\n") + 1) if answer else None


def _package() -> ModuleType | None:
    """The package is not executed here: it is the child's alone."""
    found = find_spec("tree_sitter")
    return module_from_spec(found) if found else None


def _chains(answer: str, count: int, lines: int) -> tuple[Chain, ...] | None:
    """What the child says, if it can be: it has read a stranger's file."""
    try:
        said = json.loads(answer)
        if not isinstance(said, list) or len(said) != count:
            return None
        chains = tuple(tuple(Scope(*scope) for scope in chain) for chain in said)
        sound = all(
            1 <= one.start <= one.head <= one.head_end <= one.end <= lines
            for chain in chains
            for one in chain
        )
    except (ValueError, TypeError, RecursionError):
        return None
    return chains if sound else None
