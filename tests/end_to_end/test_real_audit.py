"""Audits Django: after as many audits as the budget needs, each file was in a prompt once, or is counted by reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.end_to_end.prompts import paths_in
from tests.end_to_end.world import World
from tests.fakes.django import import_django

_CALLS = 400
"""Model calls of an audit; without a second opinion, all are for questions."""


@pytest.mark.nightly
def test_audits_read_each_file_once(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    repository = import_django(tmp_path_factory.mktemp("django") / "work", {"main": "5.2"})
    world.serve_repository(repository)
    listed = set(repository.git("ls-tree", "-r", "-z", "--name-only", "main").split("\0")[:-1])
    environ = {"GITHUB_SHA": repository.git("rev-parse", "main"), "GITHUB_REF": "refs/heads/main"}
    read: set[str] = set()
    calls: list[int] = []
    report: dict[str, object] = {}
    while not calls or calls[-1]:
        before = len(world.model.requests)
        result = world.run(
            {"max-model-calls": str(_CALLS), "verify": "off"},
            code=0,
            event_name="schedule",
            payload={"schedule": "23 3 * * 1"},
            workspace=repository.path,
            environ=environ,
        )
        requests = world.model.requests[before:]
        calls.append(len(requests))
        paths = {path for request in requests for path in paths_in(request)}
        assert paths <= listed
        assert not paths & read
        read |= paths
        report = json.loads(Path(result.outputs["report"]).read_bytes())
    *used, _ = calls
    assert max(used) <= _CALLS
    assert len(used) == -(-sum(used) // _CALLS)
    lap, skipped = report["lap"], report["skipped"]
    assert isinstance(lap, dict)
    assert isinstance(skipped, dict)
    assert lap["files_read"] == lap["files_total"] == len(read)
    assert len(read) + sum(skipped.values()) == len(listed)
    assert len(read) > 4_000
