"""Measures an answer by the statements that are required and forbidden."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Final

from hunkwise.domain.text import count, joined, one_line
from hunkwise.evaluation.judge import Judge
from hunkwise.evaluation.results import ScoredAnswer, ScoredStatement
from hunkwise.flows.answering import Answer
from hunkwise.redaction import SecretScan

_WITHHELD: Final = "The answer held one of this run's own secrets, so it counts as empty."


class StatementScorer:
    """Decides which statements are in an answer: by the judge; without it, or its verdict, by key words."""

    def __init__(self, asked: str, judge: Judge | None, scan: SecretScan) -> None:
        """`asked` is the question, for the judge."""
        self._asked = asked
        self._judge = judge
        self._scan = scan

    async def score(
        self, answer: Answer, required: Iterable[str], forbidden: Iterable[str]
    ) -> tuple[ScoredAnswer, tuple[str, ...]]:
        """Returns the answer with its statements, and notes for the reader."""
        notes = [fault.message for fault in answer.faults]
        text, suggestion = answer.text, answer.suggestion
        if self._scan.found_in(f"{text}\n{suggestion}"):
            text, suggestion, notes = "", "", [*notes, _WITHHELD]
        suggested = f"The suggestion for these lines:\n\n{suggestion}" if suggestion else ""
        none = f"There is no suggestion: {answer.why_none}." if answer.why_none else ""
        whole = joined((text, suggested, none))
        statements = [
            *[await self._statement(statement, whole, required=True) for statement in required],
            *[await self._statement(statement, whole, required=False) for statement in forbidden],
        ]
        if self._judge is not None and self._judge.failed:
            missing = count(len(self._judge.failed), "statement")
            notes.append(f"The judge did not decide on {missing}, so key words did: {self._judge.failed[0]}")
        return ScoredAnswer(text, suggestion, answer.why_none, tuple(statements)), tuple(notes)

    async def _statement(self, statement: str, answer: str, *, required: bool) -> ScoredStatement:
        verdict = None
        if self._judge is not None and answer:
            verdict = await self._judge.stated(self._asked, statement, answer)
        if verdict is None:
            return ScoredStatement(statement, required, contains_key_words(answer, statement), "words")
        return ScoredStatement(statement, required, verdict, "judge")


_MARKED = re.compile(r"`([^`]+)`")
_LONG_WORD = re.compile(r"[^\W\d_]{5,}")
_STEM: Final = 6
"""Number of letters of a word that are compared, so that `statements` is in a text with `statement`."""
_COMMON: Final = frozenset(
    "about above after again always because before being below could every first might never other should since their "
    "there these thing things think those under until using value values where which while whose without would".split()
)
"""Long words that say nothing about a statement."""


def contains_key_words(text: str, statement: str) -> bool:
    """Returns whether all key words of the statement are in the text, in any order.

    Key words are the texts in backticks; in a statement without any, the words of five or more letters.
    """
    folded = one_line(text).casefold()
    return all(word.search(folded) for word in key_words(statement))


@cache
def key_words(statement: str) -> tuple[re.Pattern[str], ...]:
    """Returns patterns for the case-folded text."""
    marked = [word for text in _MARKED.findall(statement) if (word := one_line(text).casefold())]
    if marked:
        return tuple(map(_whole_words, marked))
    words = {word.casefold() for word in _LONG_WORD.findall(one_line(statement))} - _COMMON
    return tuple(
        re.compile(rf"(?<!\w){re.escape(word)}") for word in sorted({word[:_STEM] for word in words})
    )


def _whole_words(text: str) -> re.Pattern[str]:
    before = r"(?<!\w)" if re.match(r"\w", text) else ""
    after = r"(?!\w)" if re.match(r"\w", text[-1]) else ""
    return re.compile(f"{before}{re.escape(text)}{after}")
