"""Evaluation of cases with the real review and a fake model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import pytest

from hunkwise.domain.model import Question
from hunkwise.domain.review import Usage
from hunkwise.errors import ModelError, ModelKind, SettingsError
from hunkwise.evaluation.dataset import read_cases
from hunkwise.evaluation.preparation import EvalSettings, ReadyCase, make_ready
from hunkwise.evaluation.results import CaseFailure, CaseResult
from hunkwise.evaluation.run import CaseRunner, Checkpoint, settings_key, state_path
from hunkwise.redaction import SecretScan
from hunkwise.repository.trees import ScratchRepository
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import PromptSettings
from tests.evaluation.samples import (
    QUESTION_USAGE,
    QUIET,
    SCAN,
    SECRET,
    FakeModel,
    FakeModels,
    golden,
    measure,
    reporting,
    said,
    write,
    write_case,
)


def test_findings_are_matched_and_counted(tmp_path: Path) -> None:
    write_case(tmp_path, "one", golden(2, severity="medium"), golden(2, side="LEFT"))
    write_case(tmp_path, "two")
    one, two = measure(tmp_path, lambda _ready: FakeModel(reporting(said(4), said(3, title="Other"))))
    assert [golden.finding is not None for golden in one.goldens] == [True, False]
    assert (one.counts.matched, one.counts.missed, one.counts.noise, one.counts.agreed) == (1, 1, 1, 1)
    assert (two.counts.clean, two.counts.silent, two.counts.noise) == (1, 0, 2)
    assert (one.usage, one.judge_usage, one.failure) == (QUESTION_USAGE, Usage(), None)


def test_findings_that_the_case_accepts_are_counted_beside_the_noise(tmp_path: Path) -> None:
    accept = [{"path": "a.py", "line": line, "text": "True."} for line in (2, 3)]
    write_case(tmp_path, "one", golden(2), accept=accept, window=0)
    answers = reporting(said(2, confidence=0.4), said(3, title="True"), said(4, title="False"))
    (one,) = measure(tmp_path, lambda _ready: FakeModel(answers))
    assert (one.counts.matched, one.counts.noise, one.counts.accepted) == (1, 2, 1)
    assert [(found.title, found.golden, found.accept, found.confidence) for found in one.findings] == [
        ("Wrong", 0, None, 0.4),
        ("True", None, 1, None),
        ("False", None, None, None),
    ]


def test_pull_request_text_of_the_case_is_in_the_prompt(tmp_path: Path) -> None:
    write_case(tmp_path, "one", pull_request={"title": "Widen the doors", "body": "They are narrow."})
    write_case(tmp_path, "two")
    fake = FakeModel(reporting())
    measure(tmp_path, lambda _ready: fake)
    first, second = (question.prompt for question in fake.questions)
    assert "Widen the doors" in first
    assert "They are narrow." in first
    assert "Widen the doors" not in second


def failing(kind: ModelKind) -> Callable[[Question], ModelError]:
    return lambda _question: ModelError(kind, "It failed.", "Mend it.")


@pytest.mark.parametrize(
    ("kind", "questions"),
    [(ModelKind.RATE_LIMIT, 3), (ModelKind.AUTHENTICATION, 1), (ModelKind.SIDECAR, 1)],
)
def test_failed_case_has_a_reason_and_fatal_failure_ends_the_run(
    tmp_path: Path, kind: ModelKind, questions: int
) -> None:
    for name in ("one", "two", "three"):
        write_case(tmp_path, name, golden(2))
    started: list[ReadyCase] = []

    def model(ready: ReadyCase) -> FakeModel:
        started.append(ready)
        return FakeModel(failing(kind))

    marks = measure(tmp_path, model, config=QUIET.model_copy(update={"parallel": 1}))
    assert {one.failure and (one.failure.kind, one.failure.message) for one in marks} == {
        (str(kind), "It failed. Mend it.")
    }
    assert all(one.counts.cases == 0 for one in marks)
    assert questions <= len(started) <= max(questions, 2)  # two cases may be under way
    assert sum((one.usage for one in marks), Usage()).model_calls == len(started)


def test_partly_reviewed_case_has_no_result(tmp_path: Path) -> None:
    text = "".join(f"line {number} {'x' * 100}\n" for number in range(200))
    listed = {"version": 1, "findings": [golden(1).model_dump(exclude_none=True)]}
    write(tmp_path / "one", {"golden.json": listed, "head/a.py": text, "head/b.py": text})
    config = QUIET.model_copy(update={"chunk_size": 10_000, "max_model_calls": 2})
    (marks,) = measure(tmp_path, lambda _ready: FakeModel(reporting(said(1))), config=config)
    assert marks.failure is not None
    assert marks.failure.kind == "partial"
    assert "of 400 changed lines were reviewed (" in marks.failure.message
    assert "The budget ran out" in marks.failure.message
    assert (marks.findings, marks.goldens) == ((), ())
    assert marks.usage.model_calls >= 1


def test_stopped_run_evaluates_no_more_cases(tmp_path: Path) -> None:
    write_case(tmp_path, "one")
    (marks,) = measure(tmp_path, lambda _ready: FakeModel(reporting()), stopped=True)
    assert marks.failure is not None
    assert (marks.failure.kind, marks.usage) == ("interrupted", Usage())


@pytest.mark.parametrize("tool", ["report_findings", "report_same"])
def test_case_interrupted_by_stop_has_no_result(tmp_path: Path, tool: str) -> None:
    write_case(tmp_path, "one", golden(2))
    interrupted = asyncio.Event()

    def stopping(question: Question) -> Iterable[object]:
        if question.tool.name == tool:
            interrupted.set()
        return reporting(said(2))(question)  # type: ignore[return-value]  # it never fails

    with closing(ScratchRepository()) as store:
        (ready,) = make_ready(read_cases(tmp_path), EvalSettings(QUIET), store)
        measuring = CaseRunner("wise", interrupted, lambda: 0.0, SCAN)
        result = asyncio.run(measuring.measure(ready, FakeModel(stopping)))
    assert result.failure == CaseFailure("interrupted", "The run was stopped before the case was done.")
    assert (result.findings, result.usage.model_calls) == ((), 1)


@pytest.mark.parametrize("stage", ["report_findings", "report_verdicts"])
def test_secret_in_a_finding_is_not_in_later_prompts(tmp_path: Path, stage: str) -> None:
    write_case(tmp_path, "one", golden(2), golden(4))

    def answers(question: Question) -> Iterable[object]:
        text = f"It holds {SECRET}." if question.tool.name == stage else "It is."
        match question.tool.name:
            case "report_findings":
                return [{"findings": [said(2, body=text), said(4, title="Other")], "done": True}]
            case "report_verdicts":
                verdicts = [{"finding": 1, "verdict": "keep", "evidence": "a.py:2"}]
                if stage == "report_verdicts":
                    verdicts = [{**verdicts[0], "corrected": text}, {**verdicts[0], "finding": 2}]
                return [{"verdicts": verdicts, "done": True}]
            case _:
                return [{"same": True, "why": "So."}]

    fake = FakeModel(answers)
    config = QUIET.model_copy(update={"verify": "on"})
    (marks,) = measure(tmp_path, lambda _ready: fake, config=config, judge="wise")
    assert {question.tool.name for question in fake.questions} == {
        "report_findings",
        "report_verdicts",
        "report_same",
    }
    assert not [question for question in fake.questions if SECRET in question.prompt]
    assert [found.title for found in marks.findings] == ["Other"]
    assert any("held one of this run's own secrets" in note for note in marks.notes)


def test_case_with_only_skipped_files_needs_no_model_call(tmp_path: Path) -> None:
    write_case(tmp_path, "one", golden(2))
    config = QUIET.model_copy(update={"ignore": ("**",)})
    (marks,) = measure(tmp_path, lambda _ready: FakeModel(reporting(said(2))), config=config)
    assert (marks.failure, marks.counts.missed, marks.usage) == (None, 1, Usage())


def test_template_error_is_reported_before_the_first_model_call(tmp_path: Path) -> None:
    write_case(tmp_path, "one")
    own = PromptSettings(name="mine", template="mine.md.j2")
    rules = EvalSettings(QUIET.model_copy(update={"prompts": (own,)}), {"mine": "{{ nothing }}"})
    with (
        closing(ScratchRepository()) as store,
        pytest.raises(SettingsError, match=r'nothing.*\(over the case "one"\)'),
    ):
        make_ready(read_cases(tmp_path), rules, store)


class FullDisk(FakeModels):
    """Fails to write a recording."""

    def done(self, marks: CaseResult) -> None:
        raise SettingsError(["It is full."])


def load_checkpoint(path: Path, settings: str = "s") -> Checkpoint:
    checkpoint = Checkpoint(path, settings, SecretScan(["ghs_secret_of_the_test"]))
    checkpoint.load()
    return checkpoint


def test_evaluated_cases_are_not_repeated(tmp_path: Path) -> None:
    cases = tmp_path / "cases"
    write_case(cases, "one", golden(2))
    write_case(cases, "two")
    saved = load_checkpoint(tmp_path / "state.jsonl")
    first = measure(cases, lambda _ready: FakeModel(reporting(said(2))), keep=saved.add)
    write_case(cases, "two", description="Another one now.")
    started: list[str] = []

    def model(ready: ReadyCase) -> FakeModel:
        started.append(ready.case.name)
        return FakeModel(reporting(said(2)))

    second = measure(cases, model, known=load_checkpoint(tmp_path / "state.jsonl").of)
    assert started == ["two"]
    assert second[0] == first[0]
    other = load_checkpoint(tmp_path / "state.jsonl", "other settings")
    assert [other.of(case) for case in read_cases(cases)] == [None, None]


def test_failed_case_is_not_saved_and_truncated_line_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.jsonl"
    write_case(tmp_path / "cases", "one", golden(2))
    (failed,) = measure(tmp_path / "cases", lambda _ready: FakeModel(failing(ModelKind.TIMEOUT)))
    (good,) = measure(
        tmp_path / "cases", lambda _ready: FakeModel(reporting(said(2, body="ghs_secret_of_the_test")))
    )
    saved = load_checkpoint(path)
    saved.add(failed)
    assert not path.exists()
    saved.add(good)
    assert "ghs_secret_of_the_test" not in path.read_text()
    with path.open("a") as file:
        file.write('{"settings": "s", "case": {"name": "o')
    reloaded = load_checkpoint(path)
    reloaded.add(good)
    lines = path.read_text().splitlines()
    assert len(lines) == 3
    (case,) = read_cases(tmp_path / "cases")
    assert load_checkpoint(path).of(case) is not None
    reloaded.forget()
    assert not path.exists()
    assert reloaded.of(case) is None
    reloaded.forget()


def test_unwritable_checkpoint_does_not_stop_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, {"file": ""})
    write_case(tmp_path / "cases", "one")
    saved = load_checkpoint(tmp_path / "file" / "state.jsonl")
    (marks,) = measure(tmp_path / "cases", lambda _ready: FakeModel(reporting()), keep=saved.add)
    saved.add(marks)
    assert marks.failure is None
    assert caplog.text.count("cannot be written") == 1


@pytest.mark.parametrize(
    "line", ["[]", "{}", '{"settings": "s"}', '{"settings": "s", "case": {"name": 3}}', "\\xff", "3"]
)
def test_invalid_checkpoint_line_is_ignored(tmp_path: Path, line: str) -> None:
    write(tmp_path, {"state.jsonl": f"{line}\n"})
    write_case(tmp_path / "cases", "one")
    assert [
        load_checkpoint(tmp_path / "state.jsonl").of(case) for case in read_cases(tmp_path / "cases")
    ] == [None]


def test_checkpoint_is_beside_output_or_in_user_cache(tmp_path: Path) -> None:
    assert state_path(tmp_path / "r.json", tmp_path, {}) == tmp_path / "r.json.state.jsonl"
    cached = state_path(None, tmp_path, {"HOME": "/home/ann"})
    assert cached.parent == Path("/home/ann/.cache/hunkwise/eval")
    assert state_path(None, tmp_path, {"XDG_CACHE_HOME": "/c"}) == Path("/c/hunkwise/eval") / cached.name
    several = [
        state_path(output, tmp_path, {"HOME": "/h"}, "run-1") for output in (tmp_path / "r.json", None)
    ]
    assert several == [
        tmp_path / "r.json.run-1.state.jsonl",
        Path("/h/.cache/hunkwise/eval") / f"{cached.stem}.run-1.jsonl",
    ]
    assert state_path(None, tmp_path / "other", {"HOME": "/home/ann"}) != cached


def test_settings_key_depends_on_every_setting_of_the_prompts() -> None:
    keys = {
        settings_key(Config(), {}, (), demo=False, judge=None),
        settings_key(Config(model="m"), {}, (), demo=False, judge=None),
        settings_key(Config(), {"review": "x"}, (), demo=False, judge=None),
        settings_key(Config(), {}, (), demo=True, judge=None),
        settings_key(Config(), {}, (), demo=False, judge="m"),
    }
    assert len(keys) == 5
    assert settings_key(Config(), {}, (), demo=False, judge=None) in keys


def test_error_of_writing_a_recording_ends_the_run(tmp_path: Path) -> None:
    write_case(tmp_path, "one")
    with pytest.raises(SettingsError, match="It is full"):
        measure(tmp_path, lambda _ready: FakeModel(reporting()), cast=FullDisk)
