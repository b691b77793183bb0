"""Checks the SARIF file of runs against its schema, and its upload."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.end_to_end.step import READ_TOKEN, Result
from tests.end_to_end.world import World
from tests.end_to_end.write_log import report_faults
from tests.publish.test_sarif import validator

BASE = {"app.py": "".join(f"line {number}\n" for number in range(1, 31))}
HEAD = {
    "app.py": BASE["app.py"]
    .replace("line 3\n", "fault(A, high)\n")
    .replace("line 20\n", "fault(B)\n")
    .replace("line 21\n", "fault(B)\n")
}


def sarif_run(result: Result) -> dict[str, Any]:
    """Returns the only run of the file that the output names, after validating the file."""
    log = json.loads(Path(result.outputs["sarif"]).read_bytes())
    assert [fault.message for fault in validator().iter_errors(log)] == []
    (run,) = log["runs"]
    assert isinstance(run, dict)
    return run


def fingerprints(result: Result) -> list[str]:
    """Returns the fingerprints without their counters, after comparing them with the report's."""
    found = [one["partialFingerprints"]["hunkwise/v1"] for one in sarif_run(result)["results"]]
    assert len(set(found)) == len(found)
    bare = sorted(one.partition(":")[0] for one in found)
    assert bare == sorted(one["fingerprint"] for one in result.report["findings"])
    return sorted(found)


def test_fingerprints_do_not_depend_on_line_numbers(world: World) -> None:
    world.change(BASE, HEAD, script=report_faults)
    first = world.run()
    before = fingerprints(first)
    assert len(before) == 3
    results = sarif_run(first)["results"]
    assert sorted(one["level"] for one in results) == ["error", "warning", "warning"]
    assert {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in results} == {
        "app.py"
    }
    world.repository.commit({"app.py": "new\n" * 4 + HEAD["app.py"]})
    world.github.push(1, "feature")
    shifted = world.run()
    assert fingerprints(shifted) == before
    lines = [
        one["locations"][0]["physicalLocation"]["region"]["startLine"]
        for one in sarif_run(shifted)["results"]
    ]
    assert sorted(lines) == [7, 24, 25]
    assert world.github.sarifs == []


def test_uploads_file_once(world: World) -> None:
    world.change(BASE, HEAD, script=report_faults)
    result = world.run({"upload-sarif": "true"}, code=0)
    (upload,) = world.github.sarifs
    assert (upload.ref, upload.tool_name) == ("refs/pull/1/head", "hunkwise")
    assert upload.commit_sha == world.github.hub.pulls[1].head_sha
    assert [fault.message for fault in validator().iter_errors(json.loads(upload.text))] == []
    results = json.loads(upload.text)["runs"][0]["results"]
    assert sorted(one["partialFingerprints"]["hunkwise/v1"] for one in results) == fingerprints(result)
    world.run({"upload-sarif": "true"})
    assert len(world.github.sarifs) == 1


def test_refused_upload_is_a_warning(world: World) -> None:
    world.github.tokens[READ_TOKEN] = "write:pulls,write:checks"
    world.change(BASE, HEAD, script=report_faults)
    result = world.run({"upload-sarif": "true", "github-token": READ_TOKEN}, code=0)
    assert world.github.sarifs == []
    assert len(world.github.comments) == 3
    (warning,) = result.commands("warning")
    assert "could not be uploaded to code scanning" in warning
    assert "security-events: write" in warning
    assert warning in result.report["notes"]
    assert result.outputs["conclusion"] == world.github.check_runs[-1].conclusion == "success"
    assert "could not be uploaded" in result.summary
    assert fingerprints(result) != []
