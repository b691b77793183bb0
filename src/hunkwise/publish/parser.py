"""Asks a child process of limited time and memory whether a file parses; see `publish.parsing`."""

from __future__ import annotations

import json
import subprocess
import sys
from types import TracebackType
from typing import Self

import yaml

from hunkwise.bounded import asked, started
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
        self._python = python
        self._process: subprocess.Popen[str] | None = None
        self._failed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def verdict(self, language: str, text: str) -> Verdict:
        """Of a file in one of LANGUAGES. Raises nothing that the file did."""
        if self._failed:
            return Verdict.UNKNOWN
        answer = self._answer(json.dumps({"language": language, "text": text}))
        self._failed = not answer.endswith("\n")
        return _BY_ANSWER.get(answer, Verdict.UNKNOWN)

    def _answer(self, question: str) -> str:
        """The child's line; empty where it cannot be started, died or was late."""
        try:
            if self._process is None:
                self._process = started("hunkwise.publish.parsing", yaml, python=self._python)
        except OSError:
            return ""
        return asked(self._process, question, self._seconds).line
