"""SARIF of whole runs: a file that fits the standard's schema, and an upload that is no condition of anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.end_to_end.step import READ_TOKEN, Result
from tests.end_to_end.world import World
from tests.end_to_end.write_log import stubborn
from tests.publish.test_sarif import validator

BASE = {"app.py": "".join(f"line {number}\n" for number in range(1, 31))}
HEAD = {
    "app.py": BASE["app.py"]
    .replace("line 3\n", "fault(A, high)\n")
    .replace("line 20\n", "fault(B)\n")
    .replace("line 21\n", "fault(B)\n")
}


def changed(world: World) -> None:
    world.answers(stubborn)
    world.change(BASE, HEAD)


def sarif(result: Result) -> dict[str, Any]:
    """The only run in the file that the output names, which is valid."""
    log = json.loads(Path(result.outputs["sarif"]).read_bytes())
    assert [fault.message for fault in validator().iter_errors(log)] == []
    (run,) = log["runs"]
    assert isinstance(run, dict)
    return run


def fingerprints(result: Result) -> list[str]:
    """Those of the file, without the number that tells twins apart: the report's own."""
    found = [one["partialFingerprints"]["hunkwise/v1"] for one in sarif(result)["results"]]
    assert len(set(found)) == len(found)
    bare = sorted(one.partition(":")[0] for one in found)
    assert bare == sorted(one["fingerprint"] for one in result.report["findings"])
    return sorted(found)


def test_the_file_is_valid_and_its_fingerprints_survive_shifted_lines(world: World) -> None:
    changed(world)
    first = world.run()
    before = fingerprints(first)
    assert len(before) == 3
    results = sarif(first)["results"]
    assert sorted(one["level"] for one in results) == ["error", "warning", "warning"]
    assert {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in results} == {
        "app.py"
    }
    world.repository.commit({"app.py": "new\n" * 4 + HEAD["app.py"]})
    world.github.push(1, "feature")
    shifted = world.run()
    assert fingerprints(shifted) == before
    lines = [
        one["locations"][0]["physicalLocation"]["region"]["startLine"] for one in sarif(shifted)["results"]
    ]
    assert sorted(lines) == [7, 24, 25]
    assert world.github.sarifs == []


def test_an_upload_that_was_asked_for_is_made_once(world: World) -> None:
    changed(world)
    result = world.run({"upload-sarif": "true"})
    assert result.code == 0
    (upload,) = world.github.sarifs
    assert (upload.ref, upload.tool_name) == ("refs/pull/1/head", "hunkwise")
    assert upload.commit_sha == world.github.hub.pulls[1].head_sha
    assert [fault.message for fault in validator().iter_errors(json.loads(upload.text))] == []
    told = json.loads(upload.text)["runs"][0]["results"]
    assert sorted(one["partialFingerprints"]["hunkwise/v1"] for one in told) == fingerprints(result)
    world.run({"upload-sarif": "true"})
    assert len(world.github.sarifs) == 1


def test_an_upload_that_is_refused_is_a_warning_and_no_failure(world: World) -> None:
    world.github.tokens[READ_TOKEN] = "write:pulls,write:checks"
    changed(world)
    result = world.run({"upload-sarif": "true", "github-token": READ_TOKEN})
    assert result.code == 0
    assert world.github.sarifs == []
    assert len(world.github.comments) == 3
    (said,) = result.commands("warning")
    assert "could not be uploaded to code scanning" in said
    assert "security-events: write" in said
    assert said in result.report["notes"]
    assert result.outputs["conclusion"] == world.github.check_runs[-1].conclusion == "success"
    assert "could not be uploaded" in result.summary
    assert fingerprints(result) != []
