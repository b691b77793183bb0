"""Two jobs of one run on `pull_request`: the first asks the model and writes nothing, the second publishes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hunkwise.publish.report import digest_of
from tests.end_to_end.places import places, three_places
from tests.end_to_end.step import READ_TOKEN, Result
from tests.end_to_end.world import World


def opened(world: World) -> dict[str, Any]:
    """The event of both jobs."""
    pull = world.github.hub.pulls[1]
    repo = {"full_name": "octo/repo"}
    head, base = {"sha": pull.head_sha, "ref": "feature", "repo": repo}, {"sha": pull.base_sha, "repo": repo}
    about = {"number": 1, "state": "open", "head": head, "base": base}
    return {"action": "opened", "number": 1, "pull_request": about, "repository": repo}


def reviewed(world: World, **inputs: str) -> Result:
    """The first job."""
    given = {"github-token": READ_TOKEN, "dry-run": "true", **inputs}
    result = world.done(world.copilot_step(given, token=READ_TOKEN, payload=opened(world)).run())
    assert world.github.writes == []
    return result


def published(world: World, report: dict[str, Any], payload: dict[str, Any] | None = None) -> Result:
    """The second job."""
    step = world.step(payload=payload or opened(world))
    step.folder.mkdir()
    path = step.folder / "report.json"
    path.write_text(json.dumps(report))
    return world.done(replace(step, inputs={"publish": str(path)}).run())


@pytest.fixture
def world_with_copilot(world: World) -> World:
    world.copilot.tokens.add(READ_TOKEN)
    three_places(world)
    return world


def test_the_second_job_publishes_what_the_first_found_without_a_model(world_with_copilot: World) -> None:
    world = world_with_copilot
    first = reviewed(world, **{"fail-on": "high"})
    assert first.code == 1
    asked = len(world.copilot.journal)
    result = published(world, first.report)
    assert result.code == 0
    assert places(world, result) == "inline file body"
    assert len(world.copilot.journal) == asked
    assert world.model.requests == []


def test_a_report_on_another_commit_or_repository_is_refused(world_with_copilot: World) -> None:
    world = world_with_copilot
    made = reviewed(world).report
    for change in ({"head_sha": "e" * 40}, {"repository": "octo/other"}, {"pull_request": 2}):
        forged = {**made, **change}
        result = published(world, {**forged, "digest": digest_of(forged)})
        assert result.code == 2
    assert world.github.writes == []
