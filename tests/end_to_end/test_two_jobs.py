"""Checks two jobs of one run on `pull_request`: one asks the model, the other publishes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hunkwise.publish.report import digest_of
from tests.end_to_end.destinations import destinations
from tests.end_to_end.step import READ_TOKEN, Result
from tests.end_to_end.world import World


def opened(world: World) -> dict[str, Any]:
    """Returns the event of both jobs."""
    pull = world.github.hub.pulls[1]
    repo = {"full_name": "octo/repo"}
    head, base = {"sha": pull.head_sha, "ref": "feature", "repo": repo}, {"sha": pull.base_sha, "repo": repo}
    about = {"number": 1, "state": "open", "head": head, "base": base}
    return {"action": "opened", "number": 1, "pull_request": about, "repository": repo}


def review(world: World, **inputs: str) -> Result:
    """Runs the first job."""
    given = {"github-token": READ_TOKEN, "dry-run": "true", **inputs}
    result = world.record(world.copilot_step(given, token=READ_TOKEN, payload=opened(world)).run())
    assert world.github.writes == []
    return result


def publish(world: World, report: dict[str, Any], payload: dict[str, Any] | None = None) -> Result:
    """Runs the second job."""
    step = world.step(payload=payload or opened(world))
    step.folder.mkdir()
    path = step.folder / "report.json"
    path.write_text(json.dumps(report))
    return world.record(replace(step, inputs={"publish": str(path)}).run())


@pytest.fixture
def world_with_copilot(world: World) -> World:
    world.copilot.tokens.add(READ_TOKEN)
    world.open_three_findings()
    return world


def test_second_job_publishes_report_without_a_model(world_with_copilot: World) -> None:
    world = world_with_copilot
    first = review(world, **{"fail-on": "high"})
    assert first.code == 1
    asked = len(world.copilot.journal)
    result = publish(world, first.report)
    assert result.code == 0
    assert destinations(world.github, result) == "inline file body"
    assert len(world.copilot.journal) == asked
    assert world.model.requests == []


def test_min_confidence_of_the_publishing_job_decides(world_with_copilot: World) -> None:
    world = world_with_copilot
    report = review(world).report
    first, second, third = report["findings"]
    of_open = ("where", "known", "thread_url", "check", "evidence")
    low = {key: value for key, value in third.items() if key not in of_open}
    forged = {
        **report,
        "findings": [{**first, "confidence": 0.5}, second],
        "suppressed": [{**low, "confidence": 0.6, "reason": "Below 0.9", "kind": "low-confidence"}],
    }
    result = publish(world, {**forged, "digest": digest_of(forged)})
    published = {finding["title"] for finding in result.report["findings"]}
    assert published == {second["title"], third["title"]}
    assert [(one["title"], one["reason"]) for one in result.report["suppressed"]] == [
        (first["title"], "Below `min-confidence` (55 %)")
    ]


def test_refuses_report_on_another_change(world_with_copilot: World) -> None:
    world = world_with_copilot
    report = review(world).report
    for change in ({"head_sha": "e" * 40}, {"repository": "octo/other"}, {"pull_request": 2}):
        forged = {**report, **change}
        assert publish(world, {**forged, "digest": digest_of(forged)}).code == 2
    assert world.github.writes == []
