"""Measures the answer to a question by the statements that are required and forbidden."""

from __future__ import annotations

from hunkwise.domain.text import count, joined
from hunkwise.evaluation.judge import Judge
from hunkwise.evaluation.question import ExpectedAnswer, contains_key_words
from hunkwise.evaluation.results import ScoredAnswer, ScoredStatement
from hunkwise.flows.answering import Answer
from hunkwise.redaction import SecretScan

_WITHHELD = "The answer held one of this run's own secrets, so it counts as empty."
_QUESTIONS = {
    "explain": "Explain the problem that the thread is about: why it goes wrong, how to see it, what would fix it.",
    "suggest": "Write a suggestion that solves the problem of the thread.",
}
"""The questions of the commands without one, for the judge."""


async def score_answer(
    expected: ExpectedAnswer, answer: Answer, judge: Judge | None, scan: SecretScan
) -> tuple[ScoredAnswer, tuple[str, ...]]:
    """Returns the answer with its statements, and notes for the reader.

    The judge decides whether a statement is in the answer; without a judge, or a verdict, its key words do.
    """
    notes = [fault.message for fault in answer.faults]
    text, suggestion = answer.text, answer.suggestion
    if scan.found_in(f"{text}\n{suggestion}"):
        text, suggestion, notes = "", "", [*notes, _WITHHELD]
    suggested = f"The suggestion for these lines:\n\n{suggestion}" if suggestion else ""
    none = f"There is no suggestion: {answer.why_none}." if answer.why_none else ""
    whole = joined((text, suggested, none))
    statements = []
    for required, texts in ((True, expected.required), (False, expected.forbidden)):
        for statement in texts:
            verdict = await judge.stated(_question(expected), statement, whole) if judge and whole else None
            stated = contains_key_words(whole, statement) if verdict is None else verdict
            by = "words" if verdict is None else "judge"
            statements.append(ScoredStatement(statement, required, stated, by))
    if judge is not None and judge.failed:
        missing = count(len(judge.failed), "statement")
        notes.append(f"The judge did not decide on {missing}, so key words did: {judge.failed[0]}")
    return ScoredAnswer(text, suggestion, answer.why_none, tuple(statements)), tuple(notes)


def _question(expected: ExpectedAnswer) -> str:
    """Returns the question with the comments of its thread, for the judge."""
    comments = expected.thread.comments if expected.thread else ()
    return joined(
        (*(comment.text for comment in comments), _QUESTIONS.get(expected.command, expected.question))
    )
