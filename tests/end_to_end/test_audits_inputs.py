"""Audits with damaged, foreign or missing input: an error that says what to do, or a new lap with its reason."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hunkwise.publish.report import digest_of
from hunkwise.tracking.audit_state import encode_comment
from tests.end_to_end.audits import CONFIG, Audits, results_of, source, sources
from tests.end_to_end.world import World

PATHS = [*sources(3)]


def resealed(values: dict[str, Any], **changes: Any) -> dict[str, Any]:
    values = {**values, **changes}
    return {**values, "digest": digest_of(values)}


PLANS: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda plan: {**plan, "today": "2020-01-01"}, "The plan is damaged"),
    (lambda plan: [], "plan"),
    (lambda plan: resealed(plan, version=2), "The plan is not of version 1"),
    (lambda plan: resealed(plan, repository="octo/other"), "The plan is about the repository octo/other"),
    (lambda plan: resealed(plan, head_sha="1" * 40), "The plan is about the commit 111111111111"),
    (lambda plan: resealed(plan, files=[]), "a shard names a file that it does not have"),
]


@pytest.mark.parametrize(("damage", "message"), PLANS, ids=[message[:30] for _, message in PLANS])
def test_a_wrong_plan_is_refused_by_run_and_merge(
    world: World, damage: Callable[[dict[str, Any]], Any], message: str
) -> None:
    audits = Audits(world, sources(1))
    plan = audits.plan(1)
    file = Path(plan.outputs["plan"])
    file.write_text(json.dumps(damage(json.loads(file.read_text()))))
    assert message in audits.read(plan, 1, code=2).error_text
    assert message in audits.merge(plan, (), code=2).error_text
    assert audits.asked() == []
    assert audits.writes() == []


def test_a_configuration_that_is_not_read_or_not_there_is_named(world: World) -> None:
    audits = Audits(world, sources(1))
    audits.commit({CONFIG: None, "hunkwise.yml": "version: 1\n"})
    text = "Found hunkwise.yml, which is not read: rename it to .github/hunkwise.yml."
    assert audits.plan(1).commands("warning") == [text]
    named = audits.plan(1, {"config": "hunkwise.yaml"}, code=2)
    assert "There is no hunkwise.yaml in the audited commit (" in named.error_text


def test_wrong_parts_are_named_and_their_files_are_read_again(world: World) -> None:
    audits = Audits(world, sources(3))
    audits.plant(*PATHS)
    old = audits.plan(3)
    foreign = audits.read(old, 1)
    audits.commit({PATHS[2]: source("part03", fault="x = 1")})
    plan = audits.plan(3)
    assert "has no shard 4: it has 3" in audits.read(plan, 4, code=2).error_text
    parts = [audits.read(plan, number) for number in (1, 2, 3)]
    damaged = Path(parts[1].outputs["part"])
    damaged.write_text(damaged.read_text()[:-40])
    audits.asked()
    twice = str(Path(parts[2].outputs["part"]))
    given = {"parts": "\n".join([str(damaged), twice, foreign.outputs["part"], str(world.folder / "absent")])}
    step = audits.merge(plan, (), given, code=4)
    assert "The report of shard 1 is of another plan" in step.warning_text
    assert f"{damaged}: " in step.warning_text
    assert "absent cannot be read" in step.warning_text
    assert "Shard 1 made no report" in step.warning_text
    assert "Shard 2 made no report" in step.warning_text
    assert len(results_of(step)) == 1
    audits.matrix(3)
    assert len(audits.asked()) == 2
    assert audits.statuses() == dict.fromkeys(PATHS, "open")


def test_the_state_of_another_repository_is_not_used(world: World) -> None:
    audits = Audits(world, sources(2))
    audits.run()
    audits.asked()
    text, _ = encode_comment(audits.state)
    assert text == audits.state_comment.body
    world.github.hub.repository = "octo/moved"
    step = audits.run(repository="octo/moved")
    assert sorted(audits.asked()) == PATHS[:2]
    assert "The comment with the state was edited or is damaged" in " ".join(step.commands("notice"))


def test_a_commit_that_has_vanished_begins_a_named_lap_and_keeps_findings(world: World) -> None:
    audits = Audits(world, {**sources(2), PATHS[0]: source("part01", fault="value = eval(text)")})
    audits.plant(PATHS[0])
    audits.run()
    audits.asked()
    audits.found.clear()
    git = world.repository.git
    git("commit", "-q", "--amend", "-m", "Rewritten")
    git("reflog", "expire", "--expire=now", "--all")
    git("gc", "-q", "--prune=now")
    step = audits.run()
    notices = " ".join(step.commands("notice"))
    assert "is not in the repository any more: a new lap begins." in notices
    assert sorted(audits.asked()) == PATHS[:2]
    assert audits.statuses() == {PATHS[0]: "open"}
    assert [*results_of(step)] == [PATHS[0]]
    assert audits.state.lap == 2


def clone(world: World, *options: str) -> Path:
    folder = world.folder / f"clone{sum(1 for _ in world.folder.glob('clone*'))}"
    url = world.repository.path.as_uri()
    subprocess.run(["git", "clone", "-q", *options, url, str(folder)], check=True, capture_output=True)
    return folder


def test_a_shallow_clone_reads_the_last_tree_over_the_api(world: World) -> None:
    audits = Audits(world, sources(3))
    step = audits.run(workspace=clone(world, "--depth=1"))
    assert sorted(audits.asked()) == PATHS
    assert "fetch its whole history" in " ".join(step.commands("notice"))
    audits.commit({PATHS[1]: source("part02", fault="value = eval(text)")})
    audits.plant(PATHS[1])
    audits.sent()
    workspace = clone(world, "--depth=1")
    plan = audits.plan(1, workspace=workspace)
    assert [one.path for one in audits.sent() if "/git/trees/" in one.path] != []
    part = audits.read(plan, 1, workspace=workspace)
    audits.merge(plan, [part], workspace=workspace)
    assert audits.asked() == [PATHS[1]]
    assert audits.statuses() == {PATHS[1]: "open"}
    assert "3 of 3 files read (100 %)" in audits.issue.body


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workspace": "empty"}, "there is none: run actions/checkout before it"),
        ({"environ": {"GITHUB_SHA": "1" * 40}}, "The checkout does not have the commit 111111111111"),
        ({"environ": {"GITHUB_SHA": "main"}}, "GITHUB_SHA must be the SHA of the commit"),
        ({"event_name": "push"}, 'Input "audit" is set, and the event is'),
    ],
)
def test_a_step_without_its_checkout_or_event_says_what_is_missing(
    world: World, changes: dict[str, Any], message: str
) -> None:
    audits = Audits(world, sources(1))
    if "workspace" in changes:
        changes = {"workspace": world.folder / "empty"}
    step = audits.run({"audit": "all"}, code=2, **changes)
    assert message in step.error_text
    assert audits.sent() == []


def test_a_job_without_permission_for_issues_names_it(world: World) -> None:
    audits = Audits(world, sources(1))
    world.github.tokens[next(iter(world.github.tokens))] = "read:issues"
    step = audits.run(code=3)
    assert "issues: write" in step.error_text
