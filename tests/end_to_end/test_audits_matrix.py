"""Audits as a matrix of jobs: a plan, shards, and a merge; each with its own permissions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.end_to_end.audits import Audits, results_of, source, sources, tick
from tests.end_to_end.prompts import paths_in
from tests.end_to_end.step import READ_TOKEN
from tests.end_to_end.world import World
from tests.fakes.model_script import Answer, Fault, ModelRequest

PATHS = [*sources(7)]


def test_a_matrix_reads_all_files_with_the_requests_that_are_documented(world: World) -> None:
    audits = Audits(world, sources(7))
    audits.plant(*PATHS[:3])
    plan = audits.plan(3, {"github-token": READ_TOKEN})
    assert json.loads(plan.outputs["matrix"]) == {"include": [{"shard": 1}, {"shard": 2}, {"shard": 3}]}
    assert (plan.outputs["shards"], plan.outputs["conclusion"]) == ("3", "success")
    assert Path(plan.outputs["plan"]).name == "plan.json"
    assert len(audits.sent()) <= 6
    parts = [audits.read(plan, shard, {"github-token": READ_TOKEN}) for shard in (1, 2, 3)]
    assert [Path(part.outputs["part"]).name for part in parts] == [
        "part-1.json",
        "part-2.json",
        "part-3.json",
    ]
    assert audits.sent() == []
    assert sorted(audits.asked()) == PATHS
    merged = audits.merge(plan, parts, {"upload-sarif": "true"})
    assert merged.outputs["issue-url"].endswith("/octo/repo/issues/1")
    assert merged.outputs["findings"] == "3"
    assert merged.outputs["highest-severity"] == "high"
    assert sorted(results_of(merged)) == PATHS[:3]
    assert sorted(alert.path for alert in world.github.alerts) == PATHS[:3]
    first = len(audits.sent())

    changed = source("part07", fault="value = eval(text)")
    audits.commit({PATHS[6]: changed})
    audits.plant(PATHS[6])
    audits.matrix(8, {"upload-sarif": "true"})
    second = len(audits.sent()) - 2  # those of the plan
    assert (first <= 8, second <= 8) == (True, True), (first, second)
    assert audits.asked() == [PATHS[6]]

    quiet = audits.plan(3)
    assert (quiet.outputs["matrix"], quiet.outputs["shards"]) == ('{"include":[]}', "0")
    assert quiet.commands("warning") == []
    absent = {"parts": str(world.folder / "not-downloaded")}
    assert audits.merge(quiet, (), absent).outputs["conclusion"] == "success"


@pytest.mark.parametrize("shards", [1, 8])
def test_the_number_of_shards_does_not_change_what_is_read(world: World, shards: int) -> None:
    audits = Audits(world, sources(7), "max-model-calls: 6")
    audits.plant(*PATHS)
    audits.matrix(shards)
    assert len(audits.shards) == min(shards, 5)
    assert sorted(audits.asked()) == PATHS[:5]
    assert sorted(audits.statuses()) == PATHS[:5]


def test_the_files_of_a_lost_part_and_only_they_are_read_next_time(world: World) -> None:
    audits = Audits(world, sources(6))
    audits.plant(*sources(6))
    step = audits.matrix(3, lost=[2], code=4)
    read = audits.asked()
    assert len(read) == 4
    assert "Shard 2 made no report: its 2 files are read next time." in step.warning_text
    assert "Shard 2 made no report" in audits.issue.body
    assert step.outputs["conclusion"] == "neutral"
    assert sorted(audits.statuses()) == sorted(read)
    step = audits.matrix(3)
    assert sorted([*read, *audits.asked()]) == [*sources(6)]
    assert len(results_of(step)) == 6
    assert "Shard" not in audits.issue.body


def test_a_shard_whose_model_fails_is_named_and_read_next_time(world: World) -> None:
    audits = Audits(world, sources(4))
    broken = PATHS[1]

    def script(request: ModelRequest) -> Answer | Fault:
        if broken in paths_in(request):
            return Fault(status=400, body={"error": {"message": "It is broken.", "type": "scripted"}})
        return audits.answer(request)

    world.answer_with(script)
    step = audits.matrix(2, code=4)
    assert "did not read 1 of 2 files" in step.warning_text
    assert "The model provider answered 400" in audits.issue.body
    assert set(audits.asked()) == {*PATHS[:4]}
    world.answer_with(audits.answer)
    audits.matrix(2)
    assert audits.asked() == [broken]
    assert "4 of 4 files read (100 %)" in audits.issue.body


def test_two_audits_of_a_commit_at_the_same_time_lose_nothing(world: World) -> None:
    audits = Audits(world, sources(4), "max-model-calls: 3")
    audits.plant(*PATHS[:4])
    first, second = audits.plan(1), audits.plan(1)
    parts = [audits.read(first, 1)]
    audits.found[PATHS[1]] = []
    audits.found[PATHS[0]][0]["line"] = 5
    other = [audits.read(second, 1)]
    assert sorted(audits.asked()) == sorted(PATHS[:3] * 2)
    audits.merge(first, parts)
    audits.merge(second, other)
    lines = sorted((entry.record.path, entry.record.line) for entry in audits.state.entries)
    assert lines == [(PATHS[0], 3), (PATHS[0], 5), (PATHS[1], 3), (PATHS[2], 3)]
    audits.matrix(1)
    assert audits.asked() == [PATHS[3]]
    assert (audits.state.runs, audits.state.weeks[0].model_calls) == (3, 3 + 3 + 2)


def test_an_older_commit_does_not_overwrite_the_audit_of_a_newer_one(world: World) -> None:
    audits = Audits(world, sources(2))
    audits.run()
    audits.commit({PATHS[0]: source("part01", fault="value = eval(text)")})
    audits.plant(PATHS[0])
    first = audits.plan(1)
    first_parts = [audits.read(first, 1)]
    audits.commit({PATHS[1]: source("part02", fault="value = eval(text)")})
    audits.plant(PATHS[1])
    second = audits.plan(1)
    second_parts = [audits.read(second, 1)]
    assert set(audits.asked()) == {*PATHS[:2]}
    audits.merge(second, second_parts)
    step = audits.merge(first, first_parts, code=3)
    assert "has ended since this one was planned: nothing was written" in step.error_text
    assert "Run the audit again" in step.error_text
    audits.matrix(1)
    assert audits.asked() == []
    assert audits.statuses() == dict.fromkeys(PATHS[:2], "open")


def test_a_merge_that_meets_another_write_says_what_to_do(world: World) -> None:
    audits = Audits(world, sources(2))
    audits.run()
    audits.asked()
    audits.commit({PATHS[0]: source("part01", fault="value = eval(text)")})
    audits.plant(PATHS[0])
    plan = audits.plan(1)
    part = audits.read(plan, 1)
    audits.asked()
    before = (audits.issue.body, audits.state_comment.body)

    def edit() -> None:
        world.github.edit(audits.issue, tick(audits.issue.body, "Read everything"), by="ann")

    world.github.when("GET", "/code-scanning/alerts", edit)
    step = audits.merge(plan, [part], code=3, inputs={"upload-sarif": "true"})
    assert [*results_of(step)] == [PATHS[0]]  # what was read is in the report
    assert world.github.alerts == []
    assert step.outputs["conclusion"] == "failure"
    assert (
        "Somebody edited the issue, or another audit wrote to it, since this audit read it" in step.error_text
    )
    assert "Run the audit again" in step.error_text
    assert (tick(audits.issue.body, "Read everything", " "), audits.state_comment.body) == before
    merged = audits.merge(plan, [part])
    assert [*results_of(merged)] == [PATHS[0]]
    assert "- [x] Read everything again" in audits.issue.body  # not yet done
    audits.matrix(1)
    assert sorted(audits.asked()) == PATHS[:2]
    assert "- [ ] Read everything again" in audits.issue.body


def test_an_audit_that_ends_between_state_and_issue_is_completed_by_the_next_one(world: World) -> None:
    audits = Audits(world, {path: source(path[4:10], fault="value = eval(text)") for path in PATHS[:2]})
    audits.plant(*PATHS[:2])
    audits.run({"upload-sarif": "true"})
    audits.commit({PATHS[2]: source("part03", fault="value = eval(text)")})
    audits.plant(PATHS[2])
    world.github.dismiss(world.github.alerts[0], by="ann")
    dismissed = world.github.alerts[0].path
    body = audits.issue.body
    world.github.fault("PATCH", r"/issues/\d+$", status=422, body={"message": "Validation Failed"})
    step = audits.run({"upload-sarif": "true"}, code=3)
    assert step.error_text
    assert audits.issue.body == body
    assert audits.statuses()[dismissed] == "dismissed"
    assert len(audits.news) == 2  # of the finding that is not new to the next audit
    audits.asked()
    step = audits.run({"upload-sarif": "true"})
    assert audits.asked() == []
    assert audits.statuses() == {**dict.fromkeys(PATHS[:3], "open"), dismissed: "dismissed"}
    assert "**2 open findings**" in audits.issue.body
    assert len(results_of(step)) == 3  # with the one whose alert was dismissed
