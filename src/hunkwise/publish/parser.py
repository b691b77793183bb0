"""Asks a child process of limited time and memory whether a file parses; see `publish.parsing`."""

from __future__ import annotations

import json
import sys
from typing import Self

import yaml

from hunkwise.bounded import Child
from hunkwise.publish.parsing import LANGUAGES, Verdict

__all__ = ["LANGUAGES", "SECONDS", "Parser", "Verdict"]

SECONDS = 5.0
"""Wall-clock time of one file; the largest that are parsed take some 3 s."""
_BY_ANSWER = {f"{verdict}\n": verdict for verdict in Verdict}


class Parser:
    """One child, started with the first question; once it died or was late, nothing is known any more."""

    def __init__(self, *, seconds: float = SECONDS, python: str = sys.executable) -> None:
        """`seconds`: of wall-clock time for one file; `python`: the interpreter that the child runs in."""
        self._seconds = seconds
        self._child = Child("hunkwise.publish.parsing", lambda: yaml, python)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._child.close()

    def verdict(self, language: str, text: str) -> Verdict:
        """Of a file in one of LANGUAGES. Raises nothing that the file did."""
        question = json.dumps({"language": language, "text": text})
        return _BY_ANSWER.get(self._child.answer(question, self._seconds), Verdict.UNKNOWN)
