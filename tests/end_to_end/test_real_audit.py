"""Audits Django: after as many audits as the budget needs, each file was read once, or is counted by its reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hunkwise.repository.git import Git
from hunkwise.repository.history import list_tree
from hunkwise.tracking.audit_state import blobs_of
from tests.end_to_end.audits import Audits
from tests.end_to_end.prompts import paths_in
from tests.end_to_end.world import World
from tests.fakes.django import import_django

_CALLS = 400
"""Model calls of an audit; without a double-check, all are for questions."""


@pytest.mark.nightly
def test_audits_read_each_file_once(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    repository = import_django(tmp_path_factory.mktemp("django") / "work", {"main": "5.2"})
    audits = Audits(world, {})
    world.serve_repository(repository)
    files = list_tree(Git(repository.path), repository.git("rev-parse", "main"))
    blobs = {file.path: file.blob for file in files}
    seen: frozenset[str] = frozenset()
    calls: list[int] = []
    while not calls or calls[-1]:
        result = audits.run({"max-model-calls": str(_CALLS), "verify": "off"})
        requests = tuple(world.model.requests)
        world.model.requests.clear()  # Django has hashes that look like connection tokens, which no prompt may have
        calls.append(len(requests))
        shown = {blobs[path] for request in requests for path in paths_in(request)}
        assert not shown & seen
        read = blobs_of(files, audits.state.seen)
        assert read <= shown | seen
        seen = read
    *used, _ = calls
    assert max(used) <= _CALLS
    assert len(used) <= sum(used) // _CALLS + 2  # the numbers of questions are estimates
    report = json.loads(Path(result.outputs["report"]).read_bytes())
    lap, skipped = report["lap"], report["skipped"]
    assert lap["files_read"] == lap["files_total"]
    assert lap["files_total"] + sum(skipped.values()) == len(files)
    assert lap["files_total"] > 4_000
