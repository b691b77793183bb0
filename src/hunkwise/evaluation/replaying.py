"""A model that says what was recorded, and nothing else: no CLI, no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from hunkwise.domain.outcome import Usage
from hunkwise.domain.question import Question
from hunkwise.errors import ModelError, ModelKind, SettingsError
from hunkwise.evaluation.keys import part_digests, request_key
from hunkwise.evaluation.marks import Marks
from hunkwise.evaluation.ready import ReadyCase
from hunkwise.evaluation.tape import Answer, Tape, read_tape
from hunkwise.settings.wording import listed

_WORDS: Mapping[str, str] = {
    "system": "the system message",
    "prompt": "the prompt's text (template, instructions, settings or the case itself)",
    "tool": "the reporting tool",
    "reading": "the tools that it may read with",
    "model": "the model",
}
_AGAIN = "Record it again with --record."


class Replay:
    """Answers each question as it was answered when the tape was made, at the same cost."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._left = {key: list(answers) for key, answers in tape.answers.items()}
        self.spent: dict[str, Usage] = {}
        self.missing: list[str] = []
        """What was asked and is not on the tape, one sentence each: the case has then no result."""

    @property
    def usage(self) -> Usage:
        return sum(self.spent.values(), Usage())

    @property
    def unused(self) -> int:
        """Recorded answers that nobody asked for."""
        return sum(map(len, self._left.values()))

    async def ask(self, question: Question) -> None:
        """Raises the recorded failure, of its kind; and ModelError for what was not recorded."""
        answers = self._left.get(request_key(question))
        if not answers:
            said = self._what_changed(question)
            self.missing.append(said)
            raise ModelError(ModelKind.SIDECAR, said, _AGAIN)
        answer = answers.pop(0)
        self._spend(question, answer.usage.value)
        for arguments in answer.calls:
            question.tool.take(arguments)
        if answer.failed is not None:
            raise ModelError(answer.failed, f"The recorded model failed: {answer.failed}.")
        if not question.tool.answered():
            raise ModelError(ModelKind.REFUSED, "The recorded model did not report its findings.")

    def _spend(self, question: Question, usage: Usage) -> None:
        for _ in range(usage.model_calls):
            question.budget.take_model_call()
        question.budget.spend(usage.input_tokens + usage.output_tokens, usage.nano_credits)
        self.spent[question.purpose] = self.spent.get(question.purpose, Usage()) + usage

    def _what_changed(self, question: Question) -> str:
        which = f'A question of the prompt "{question.purpose}"'
        parts = part_digests(question)
        recorded = list(self._tape.of_purpose(question.purpose))
        if not recorded:
            return f"{which} was not recorded, and no other one of that prompt was."
        if request_key(question) in self._tape.answers:
            return f"{which} is asked more often than it was when it was recorded."
        changed = min((_changed(parts, answer) for answer in recorded), key=len)
        return f"{which} was not recorded; what has changed since is {listed(changed)}."


def _changed(parts: Mapping[str, str], answer: Answer) -> list[str]:
    return [words for name, words in _WORDS.items() if parts[name] != answer.parts.get(name)]


class Replays:
    """Gives each case its recorded answers."""

    def __init__(self, folder: Path, cases: Iterable[str]) -> None:
        """Reads them all. Raises SettingsError that names every case without a recording."""
        faults: list[str] = []
        self._tapes: dict[str, Tape] = {}
        for case in cases:
            try:
                self._tapes[case] = read_tape(folder, case)
            except SettingsError as error:
                faults += error.faults
        if faults:
            raise SettingsError(faults)

    def model(self, ready: ReadyCase) -> Replay:
        return Replay(self._tapes[ready.case.name])

    def done(self, marks: Marks) -> None:
        """Nothing is kept of a replay."""
