"""Cases, findings and models for the tests of evaluations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.domain.model import Question
from hunkwise.domain.review import Usage
from hunkwise.errors import ModelError
from hunkwise.evaluation.dataset import Case, read_cases
from hunkwise.evaluation.golden import GoldenFinding
from hunkwise.evaluation.preparation import EvalSettings, ReadyCase, make_ready
from hunkwise.evaluation.results import CaseResult
from hunkwise.evaluation.run import CaseRunner, EvalRunner
from hunkwise.flows.models import Model
from hunkwise.redaction import SecretScan
from hunkwise.repository.trees import ScratchRepository
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import ContextSettings

SECRET = "ghs_SecretOfTheRun7Q2x"
SCAN = SecretScan([SECRET])
QUIET = Config(verify="off", summary="off", context=ContextSettings(enclosing=False))
"""A run with only the questions over the diff."""
QUESTION_USAGE = Usage(1, 100, 20, 10, 0, ("a-model",), 7)
"""The usage of one question."""
DIFF = """\
--- a/a.py
+++ b/a.py
@@ -1,3 +1,5 @@
 one
-two
+two!
+three
+four
 five
"""


def golden(line: int = 2, text: str = "It is wrong.", **more: Any) -> GoldenFinding:
    return GoldenFinding(**{"path": "a.py", "line": line, "text": text, **more})


def finding(
    line: int | None = 2,
    *,
    start: int | None = None,
    side: Side = Side.RIGHT,
    severity: Severity = Severity.MEDIUM,
    path: str = "a.py",
    title: str = "Wrong",
    reported_line: int | None = None,
) -> Finding:
    anchor = None if line is None else Anchor(path, line, side, start, "code")
    return Finding(path, severity, title, "It is.", anchor, reported_line=reported_line)


def said(line: int = 2, **more: Any) -> dict[str, Any]:
    """Returns a finding in the form that a model reports."""
    return {"path": "a.py", "line": line, "severity": "medium", "title": "Wrong", "body": "It is.", **more}


def write(folder: Path, files: Mapping[str, object]) -> Path:
    """Writes files by path; other values than text and bytes are written as JSON."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return folder


def write_case(folder: Path, name: str, *findings: GoldenFinding, **more: object) -> Path:
    """Writes a case over DIFF."""
    listed = [{key: value for key, value in asdict_of(one).items() if value is not None} for one in findings]
    return write(
        folder / name, {"golden.json": {"version": 1, "findings": listed, **more}, "change.diff": DIFF}
    )


def asdict_of(one: GoldenFinding) -> dict[str, Any]:
    return one.model_dump()


Answers = Callable[[Question], Iterable[object] | ModelError]
"""Returns the arguments of the report tool's calls, or an error."""


class FakeModel:
    """A model that answers by a function; each question costs QUESTION_USAGE."""

    def __init__(self, answers: Answers, usage: Usage = QUESTION_USAGE) -> None:
        self._answers = answers
        self._cost = usage
        self.spent: dict[str, Usage] = {}
        self.questions: list[Question] = []

    @property
    def usage(self) -> Usage:
        return sum(self.spent.values(), Usage())

    async def ask(self, question: Question) -> None:
        self.questions.append(question)
        question.budget.take_model_call()
        self.spent[question.purpose] = self.spent.get(question.purpose, Usage()) + self._cost
        await asyncio.sleep(0)
        answer = self._answers(question)
        if isinstance(answer, ModelError):
            raise answer
        for arguments in answer:
            question.tool.take(arguments)


def reporting(*findings: Mapping[str, Any]) -> Answers:
    """Returns a function that answers diff questions with these findings, and judge questions with yes."""

    def answers(question: Question) -> Iterable[object]:
        if question.tool.name == "report_same":
            return [{"same": True, "why": "Both say so."}]
        return [{"findings": [dict(one) for one in findings], "done": True}]

    return answers


class FakeModels:
    """Returns the model of each case, and records the completed cases."""

    def __init__(self, model_of: Callable[[ReadyCase], Model]) -> None:
        self._model_of = model_of
        self.ended: list[str] = []

    def model(self, ready: ReadyCase) -> Model:
        return self._model_of(ready)

    def done(self, marks: CaseResult) -> None:
        self.ended.append(marks.name)


def measure(
    folder: Path,
    model_of: Callable[[ReadyCase], Model],
    *,
    config: Config = QUIET,
    judge: str | None = None,
    known: Callable[[Case], CaseResult | None] = lambda _case: None,
    keep: Callable[[CaseResult], None] = lambda _marks: None,
    stopped: bool = False,
    cast: Callable[[Callable[[ReadyCase], Model]], FakeModels] = FakeModels,
) -> tuple[CaseResult, ...]:
    """Evaluates the cases in a folder with the real review."""
    with closing(ScratchRepository()) as store:
        ready = make_ready(read_cases(folder), EvalSettings(config.with_all_confidences()), store)

        async def run() -> tuple[CaseResult, ...]:
            interrupted = asyncio.Event()
            if stopped:
                interrupted.set()
            measuring = CaseRunner(judge, interrupted, lambda: 0.0, SCAN)
            runner = EvalRunner(measuring, cast(model_of), known, keep, lambda _done, _total: None, 2)
            return await runner.run(ready)

        return asyncio.run(run())


def numbers(usage: Usage) -> dict[str, Any]:
    return asdict(usage)
