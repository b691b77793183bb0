"""Recorded answers: equal findings and usage, no secrets, and errors about changed requests."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from hunkwise.domain.model import Question
from hunkwise.domain.review import Usage
from hunkwise.errors import ModelError, ModelKind, SettingsError
from hunkwise.evaluation.cassette import (
    Cassette,
    CassetteHeader,
    Recorder,
    ReplayModel,
    ReplayModels,
    cassette_path,
    read_cassette,
    read_header,
    request_key,
    write_header,
)
from hunkwise.evaluation.preparation import ReadyCase
from hunkwise.evaluation.results import CaseResult
from hunkwise.flows.models import Model
from hunkwise.redaction import SecretScan
from hunkwise.settings.config import Config
from tests.evaluation.samples import QUIET, FakeModel, golden, measure, reporting, said, write, write_case

SECRET = "ghs_thisIsNotForTheTape1234567890"
ALL_STAGES = QUIET.model_copy(update={"verify": "on", "summary": "full"})


def answer_all(question: Question) -> Iterable[object]:
    """Answers with two report calls, verdicts, a summary, and yes as a judge."""
    match question.tool.name:
        case "report_findings":
            return [
                {"findings": [said(99)], "done": True},
                {"findings": [said(2, body=f"See {SECRET}"), said(4, title="Other")], "done": True},
            ]
        case "report_same":
            return [{"same": True, "why": "So."}]
        case "report_verdicts":
            keep = {"verdict": "keep", "evidence": "It holds."}
            return [{"verdicts": [{"finding": one, **keep} for one in (1, 2)], "done": True}]
        case _:
            return [
                {
                    "overview": "It changes.",
                    "areas": [],
                    "risk": {"level": "low", "why": "Small."},
                    "done": True,
                }
            ]


def recorded(
    cases: Path, folder: Path, config: Config = ALL_STAGES, judge: str | None = "wise"
) -> tuple[CaseResult, ...]:
    """Evaluates the cases with answers in all stages, and writes the cassettes."""
    cassettes: dict[str, Cassette] = {}

    def model(ready: ReadyCase) -> Model:
        tape = cassettes[ready.case.name] = Cassette(ready.case.name)
        return Recorder(lambda: FakeModel(answer_all), tape, SecretScan([SECRET]))

    marks = measure(cases, model, config=config, judge=judge)
    write_header(folder, CassetteHeader(model="m", judge=judge))
    for tape in cassettes.values():
        tape.write(folder, SecretScan([SECRET]))
    return marks


def replayed(
    cases: Path, folder: Path, config: Config = ALL_STAGES, judge: str | None = "wise"
) -> tuple[CaseResult, ...]:
    replays = ReplayModels(folder, [path.name for path in cases.iterdir()])
    return measure(cases, replays.model, config=config, judge=judge)


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    write_case(tmp_path / "cases", "one", golden(2))
    write_case(tmp_path / "cases", "two", pull_request={"title": "A title", "body": ""})
    return tmp_path / "cases"


def test_replay_has_equal_findings_and_usage(cases: Path, tmp_path: Path) -> None:
    first = recorded(cases, tmp_path / "cassettes")
    second = replayed(cases, tmp_path / "cassettes")
    assert [one.failure for one in first] == [None, None]
    assert first[0].usage.model_calls >= 1
    assert first[0].judge_usage.model_calls == 1
    assert first[0].findings[0].body == "See ***"
    assert first == second


def test_cassettes_have_no_secrets_or_paths_and_are_reproducible(cases: Path, tmp_path: Path) -> None:
    for name in ("cassettes", "more"):
        recorded(cases, tmp_path / name)
    one, other = (
        {path.name: path.read_text() for path in sorted((tmp_path / name).iterdir())}
        for name in ("cassettes", "more")
    )
    assert one == other
    assert sorted(one) == ["one.json", "recording.json", "two.json"]
    for text in one.values():
        assert SECRET not in text
        assert str(tmp_path) not in text
        assert re.search(r"/tmp|/home|20\d\d-\d\d", text) is None
        assert list(json.loads(text)) == sorted(json.loads(text))


def test_prompt_is_independent_of_machine_and_time(cases: Path) -> None:
    prompts = []
    for _ in range(2):
        fakes = [FakeModel(answer_all), FakeModel(answer_all)]
        left = list(fakes)
        measure(cases, lambda _ready, left=left: left.pop(0), config=ALL_STAGES)  # type: ignore[misc]  # bound at once
        prompts.append(sorted(question.prompt for fake in fakes for question in fake.questions))
    assert prompts[0] == prompts[1]
    assert not any(re.search(r"hunkwise-made|/tmp/", prompt) for prompt in prompts[0])


def change_model(question: Question) -> Question:
    return replace(question, model="other")


def change_system(question: Question) -> Question:
    return replace(question, system="Other.")


def change_prompt_and_tools(question: Question) -> Question:
    return replace(question, prompt="Other.", reading=())


def change_tool(question: Question) -> Question:
    return replace(question, tool=replace(question.tool, description="Other."))


def change_purpose(question: Question) -> Question:
    return replace(question, purpose="other")


def change_nothing(question: Question) -> Question:
    return question


CHANGES = [
    (change_model, 'the prompt "review" was not recorded; what has changed since is the model.'),
    (change_system, "what has changed since is the system message."),
    (change_prompt_and_tools, "case itself) or the tools that it may read with."),
    (change_tool, "what has changed since is the reporting tool."),
    (change_purpose, 'the prompt "other" was not recorded, and no other one of that prompt was.'),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES)
def test_unrecorded_request_fails_case_with_the_changed_part(
    cases: Path, tmp_path: Path, change: Callable[[Question], Question], expected: str
) -> None:
    recorded(cases, tmp_path / "cassettes", QUIET, None)

    class ChangedRequests(ReplayModel):
        async def ask(self, question: Question) -> None:
            await super().ask(change(question))

    marks = measure(
        cases, lambda ready: ChangedRequests(read_cassette(tmp_path / "cassettes", ready.case.name))
    )
    for one in marks:
        assert one.failure is not None
        assert one.failure.kind == "replay"
        assert expected in one.failure.message
        assert one.failure.message.endswith("Record it again with --record.")


def test_request_above_recorded_number_fails_case(cases: Path, tmp_path: Path) -> None:
    recorded(cases, tmp_path / "cassettes", QUIET, None)

    class RepeatedRequests(ReplayModel):
        async def ask(self, question: Question) -> None:
            await super().ask(question)
            await super().ask(question)

    marks = measure(
        cases, lambda ready: RepeatedRequests(read_cassette(tmp_path / "cassettes", ready.case.name))
    )
    assert marks[0].failure is not None
    assert "is asked more often than it was when it was recorded" in marks[0].failure.message


def test_unrecorded_judge_fails_case(cases: Path, tmp_path: Path) -> None:
    recorded(cases, tmp_path / "cassettes", QUIET, None)
    marks = replayed(cases, tmp_path / "cassettes", QUIET, "wise")
    assert [one.failure and one.failure.kind for one in marks] == [
        "replay",
        None,
    ]  # the second has nothing to judge


def test_unused_recorded_answers_are_noted(cases: Path, tmp_path: Path) -> None:
    recorded(cases, tmp_path / "cassettes", QUIET, "wise")
    marks = replayed(cases, tmp_path / "cassettes", QUIET, None)
    assert marks[0].notes == ("1 recorded answer was not asked for: record again with --record.",)


def test_failure_is_replayed_with_its_kind_and_earlier_calls(cases: Path, tmp_path: Path) -> None:
    class Failing(FakeModel):
        async def ask(self, question: Question) -> None:
            await super().ask(question)
            raise ModelError(ModelKind.TOO_LARGE, f"Failed at {tmp_path} with {SECRET}")

    cassettes: list[Cassette] = []

    def model(ready: ReadyCase) -> Model:
        cassettes.append(Cassette(ready.case.name))
        return Recorder(
            lambda: Failing(lambda _question: [{"findings": [said(2)], "done": False}]),
            cassettes[-1],
            SecretScan([]),
        )

    first = measure(cases, model)
    assert [one.failure and one.failure.kind for one in first] == ["partial", "partial"]
    (tmp_path / "cassettes").mkdir()
    for tape in cassettes:
        tape.write(tmp_path / "cassettes", SecretScan([]))
        assert SECRET not in cassette_path(tmp_path / "cassettes", tape.case).read_text()
    second = replayed(cases, tmp_path / "cassettes", QUIET, None)
    assert [one.failure and one.failure.kind for one in second] == ["partial", "partial"]
    assert [one.usage for one in second] == [one.usage for one in first]


def test_recorded_answer_without_calls_is_a_refusal(cases: Path, tmp_path: Path) -> None:
    def model(ready: ReadyCase) -> Model:
        cassettes.append(Cassette(ready.case.name))
        return Recorder(lambda: FakeModel(lambda _question: []), cassettes[-1], SecretScan([]))

    cassettes: list[Cassette] = []
    measure(cases, model)
    replays = {tape.case: ReplayModel(tape) for tape in cassettes}
    marks = measure(cases, lambda ready: replays[ready.case.name])
    assert marks[0].failure is not None
    assert "did not report its findings" in marks[0].failure.message
    assert (replays["one"].usage.model_calls, replays["one"].unused) == (1, 0)


def test_request_key_depends_on_every_part_of_the_request(cases: Path) -> None:
    fake = FakeModel(reporting())
    measure(cases, lambda _ready: fake)
    first, second = fake.questions
    assert request_key(first) != request_key(second)
    assert request_key(first) == request_key(replace(first, impatient=True))
    assert len({request_key(change(first)) for change, _ in [*CHANGES, (change_nothing, "")]}) == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, 'Nothing was recorded of the case "one": there is no one.json in'),
        ("{", "its top: Invalid JSON"),
        ('{"version": 2, "case": "one", "answers": {}}', "version: Input should be 1; record it again"),
        ('{"version": 1, "case": "one", "answers": {"x": []}}', "answers.x"),
        ('{"version": 1, "case": "one", "answers": {}, "more": 1}', "more: Extra inputs are not permitted"),
    ],
)
def test_unreadable_cassette_is_an_error(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        write(tmp_path, {"one.json": text})
    with pytest.raises(SettingsError) as raised:
        ReplayModels(tmp_path, ["one", "two"])
    assert message in raised.value.faults[0]
    assert 'Nothing was recorded of the case "two"' in raised.value.faults[1]


def test_cassette_that_is_not_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "one.json").mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        read_cassette(tmp_path, "one")


def test_header_has_recorded_models(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "cassettes"
    for header in (
        CassetteHeader(model="m", judge="j", demo=True),
        CassetteHeader(),
    ):  # an existing recording may be replaced
        write_header(folder, header)
        assert read_header(folder) == header


@pytest.mark.parametrize("text", [None, "[]"])
def test_folder_without_recording_is_rejected_for_replay(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        write(tmp_path, {"recording.json": text})
    with pytest.raises(SettingsError, match=r"it is no recording|Input should be"):
        read_header(tmp_path)


def test_folder_with_other_files_is_rejected_for_recording(tmp_path: Path) -> None:
    write(tmp_path, {"thesis.txt": "mine"})
    with pytest.raises(SettingsError, match="there is something else in it; name a new folder"):
        write_header(tmp_path, CassetteHeader())


def test_unwritable_folder_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, {"file": ""})
    with pytest.raises(SettingsError, match="it cannot be written"):
        write_header(tmp_path / "file" / "cassettes", CassetteHeader())
    with pytest.raises(SettingsError, match=r"one\.json cannot be written"):
        Cassette("one").write(tmp_path / "file", SecretScan([]))


def test_interrupted_question_is_not_recorded() -> None:
    assert Recorder(lambda: FakeModel(reporting()), Cassette("one"), SecretScan([])).usage == Usage()
