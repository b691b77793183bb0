"""Recorded answers: the same findings at the same cost, no secret, and a word on what has changed."""

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
from tests.evaluation.samples import QUIET, Player, golden, measure, reporting, said, write, write_case

SECRET = "ghs_thisIsNotForTheTape1234567890"
LOUD = QUIET.model_copy(update={"verify": "on", "summary": "full"})


def loud(question: Question) -> Iterable[object]:
    """Two calls over the diff, verdicts for the second opinion, a word for the summary, and yes as a judge."""
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
    cases: Path, folder: Path, config: Config = LOUD, judge: str | None = "wise"
) -> tuple[CaseResult, ...]:
    """Measures the cases with the loud model, and writes its tapes."""
    tapes: dict[str, Cassette] = {}

    def model(ready: ReadyCase) -> Model:
        tape = tapes[ready.case.name] = Cassette(ready.case.name)
        return Recorder(lambda: Player(loud), tape, SecretScan([SECRET]))

    marks = measure(cases, model, config=config, judge=judge)
    write_header(folder, CassetteHeader(model="m", judge=judge))
    for tape in tapes.values():
        tape.write(folder, SecretScan([SECRET]))
    return marks


def replayed(
    cases: Path, folder: Path, config: Config = LOUD, judge: str | None = "wise"
) -> tuple[CaseResult, ...]:
    replays = ReplayModels(folder, [path.name for path in cases.iterdir()])
    return measure(cases, replays.model, config=config, judge=judge)


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    write_case(tmp_path / "cases", "one", golden(2))
    write_case(tmp_path / "cases", "two", pull_request={"title": "A title", "body": ""})
    return tmp_path / "cases"


def test_a_replay_finds_the_same_at_the_same_cost(cases: Path, tmp_path: Path) -> None:
    first = recorded(cases, tmp_path / "tapes")
    again = replayed(cases, tmp_path / "tapes")
    assert [one.failure for one in first] == [None, None]
    assert first[0].usage.model_calls >= 1
    assert first[0].judge_usage.model_calls == 1
    assert first[0].findings[0].body == "See ***"
    assert first == again


def test_no_secret_and_no_path_is_on_a_tape_and_two_recordings_are_the_same(
    cases: Path, tmp_path: Path
) -> None:
    for name in ("tapes", "more"):
        recorded(cases, tmp_path / name)
    one, other = (
        {path.name: path.read_text() for path in sorted((tmp_path / name).iterdir())}
        for name in ("tapes", "more")
    )
    assert one == other
    assert sorted(one) == ["one.json", "recording.json", "two.json"]
    for text in one.values():
        assert SECRET not in text
        assert str(tmp_path) not in text
        assert re.search(r"/tmp|/home|20\d\d-\d\d", text) is None
        assert list(json.loads(text)) == sorted(json.loads(text))


def test_a_prompt_says_nothing_of_this_machine_or_moment(cases: Path) -> None:
    prompts = []
    for _ in range(2):
        players = [Player(loud), Player(loud)]
        left = list(players)
        measure(cases, lambda _ready, left=left: left.pop(0), config=LOUD)  # type: ignore[misc]  # bound at once
        prompts.append(sorted(question.prompt for player in players for question in player.questions))
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


@pytest.mark.parametrize(("change", "told"), CHANGES)
def test_what_was_not_recorded_fails_the_case_and_is_told_with_what_changed(
    cases: Path, tmp_path: Path, change: Callable[[Question], Question], told: str
) -> None:
    recorded(cases, tmp_path / "tapes", QUIET, None)

    class Bent(ReplayModel):
        async def ask(self, question: Question) -> None:
            await super().ask(change(question))

    marks = measure(cases, lambda ready: Bent(read_cassette(tmp_path / "tapes", ready.case.name)))
    for one in marks:
        assert one.failure is not None
        assert one.failure.kind == "replay"
        assert told in one.failure.message
        assert one.failure.message.endswith("Record it again with --record.")


def test_a_question_asked_more_often_than_it_was_recorded_is_told(cases: Path, tmp_path: Path) -> None:
    recorded(cases, tmp_path / "tapes", QUIET, None)

    class Twice(ReplayModel):
        async def ask(self, question: Question) -> None:
            await super().ask(question)
            await super().ask(question)

    marks = measure(cases, lambda ready: Twice(read_cassette(tmp_path / "tapes", ready.case.name)))
    assert marks[0].failure is not None
    assert "is asked more often than it was when it was recorded" in marks[0].failure.message


def test_a_judge_that_was_not_recorded_fails_the_case(cases: Path, tmp_path: Path) -> None:
    recorded(cases, tmp_path / "tapes", QUIET, None)
    marks = replayed(cases, tmp_path / "tapes", QUIET, "wise")
    assert [one.failure and one.failure.kind for one in marks] == [
        "replay",
        None,
    ]  # the second has nothing to judge


def test_answers_that_nobody_asks_for_are_noted(cases: Path, tmp_path: Path) -> None:
    recorded(cases, tmp_path / "tapes", QUIET, "wise")
    marks = replayed(cases, tmp_path / "tapes", QUIET, None)
    assert marks[0].notes == ("1 recorded answer was not asked for: record again with --record.",)


def test_a_failure_is_replayed_as_one_of_its_kind_and_what_came_before_it_stays(
    cases: Path, tmp_path: Path
) -> None:
    class Failing(Player):
        async def ask(self, question: Question) -> None:
            await super().ask(question)
            raise ModelError(ModelKind.TOO_LARGE, f"Failed at {tmp_path} with {SECRET}")

    tapes: list[Cassette] = []

    def model(ready: ReadyCase) -> Model:
        tapes.append(Cassette(ready.case.name))
        return Recorder(
            lambda: Failing(lambda _question: [{"findings": [said(2)], "done": False}]),
            tapes[-1],
            SecretScan([]),
        )

    first = measure(cases, model)
    assert [one.failure and one.failure.kind for one in first] == ["partial", "partial"]
    (tmp_path / "tapes").mkdir()
    for tape in tapes:
        tape.write(tmp_path / "tapes", SecretScan([]))
        assert SECRET not in cassette_path(tmp_path / "tapes", tape.case).read_text()
    again = replayed(cases, tmp_path / "tapes", QUIET, None)
    assert [one.failure and one.failure.kind for one in again] == ["partial", "partial"]
    assert [one.usage for one in again] == [one.usage for one in first]


def test_a_recorded_silence_is_a_refusal(cases: Path, tmp_path: Path) -> None:
    def model(ready: ReadyCase) -> Model:
        tapes.append(Cassette(ready.case.name))
        return Recorder(lambda: Player(lambda _question: []), tapes[-1], SecretScan([]))

    tapes: list[Cassette] = []
    measure(cases, model)
    replays = {tape.case: ReplayModel(tape) for tape in tapes}
    marks = measure(cases, lambda ready: replays[ready.case.name])
    assert marks[0].failure is not None
    assert "did not report its findings" in marks[0].failure.message
    assert (replays["one"].usage.model_calls, replays["one"].unused) == (1, 0)


def test_the_same_request_has_the_same_key_and_any_other_another(cases: Path) -> None:
    player = Player(reporting())
    measure(cases, lambda _ready: player)
    first, second = player.questions
    assert request_key(first) != request_key(second)
    assert request_key(first) == request_key(replace(first, impatient=True))
    assert len({request_key(change(first)) for change, _ in [*CHANGES, (change_nothing, "")]}) == 6


@pytest.mark.parametrize(
    ("text", "said_of_it"),
    [
        (None, 'Nothing was recorded of the case "one": there is no one.json in'),
        ("{", "its top: Invalid JSON"),
        ('{"version": 2, "case": "one", "answers": {}}', "version: Input should be 1; record it again"),
        ('{"version": 1, "case": "one", "answers": {"x": []}}', "answers.x"),
        ('{"version": 1, "case": "one", "answers": {}, "more": 1}', "more: Extra inputs are not permitted"),
    ],
)
def test_a_tape_that_cannot_be_read_is_told(tmp_path: Path, text: str | None, said_of_it: str) -> None:
    if text is not None:
        write(tmp_path, {"one.json": text})
    with pytest.raises(SettingsError) as raised:
        ReplayModels(tmp_path, ["one", "two"])
    assert said_of_it in raised.value.faults[0]
    assert 'Nothing was recorded of the case "two"' in raised.value.faults[1]


def test_a_tape_that_is_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "one.json").mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        read_cassette(tmp_path, "one")


def test_the_header_says_who_was_recorded(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "tapes"
    for header in (
        CassetteHeader(model="m", judge="j", demo=True),
        CassetteHeader(),
    ):  # an earlier recording may be made again
        write_header(folder, header)
        assert read_header(folder) == header


@pytest.mark.parametrize("text", [None, "[]"])
def test_a_folder_that_is_no_recording_is_not_replayed(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        write(tmp_path, {"recording.json": text})
    with pytest.raises(SettingsError, match=r"it is no recording|Input should be"):
        read_header(tmp_path)


def test_a_folder_with_something_else_in_it_is_not_recorded_into(tmp_path: Path) -> None:
    write(tmp_path, {"thesis.txt": "mine"})
    with pytest.raises(SettingsError, match="there is something else in it; name a new folder"):
        write_header(tmp_path, CassetteHeader())


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    write(tmp_path, {"file": ""})
    with pytest.raises(SettingsError, match="it cannot be written"):
        write_header(tmp_path / "file" / "tapes", CassetteHeader())
    with pytest.raises(SettingsError, match=r"one\.json cannot be written"):
        Cassette("one").write(tmp_path / "file", SecretScan([]))


def test_a_question_that_was_broken_off_is_not_kept() -> None:
    assert Recorder(lambda: Player(reporting()), Cassette("one"), SecretScan([])).usage == Usage()
