"""Audits a whole repository as the jobs of a workflow do: plan, a run for each shard, merge."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.end_to_end.step import Result, Step, provider_inputs
from tests.fakes.git_repository import GitRepository

from bench import cases
from bench.children import BenchError, check_result
from bench.client import GITHUB_TOKEN, Records, Servers, start_servers

SHARDS = 8
_CALLS = "1500"
"""More model calls than a lap of Django needs."""


def audit_lap_once(repository: GitRepository, parent: Path) -> Mapping[str, float]:
    """Reads all files in one audit, job after job. Raises BenchError."""
    head = repository.git("rev-parse", "main")
    os.sync()
    with (
        tempfile.TemporaryDirectory(dir=parent) as folder,
        start_servers(repository.path, head, head) as servers,
    ):
        audit = _Audit(repository.path, Path(folder), head, servers)
        return audit.run()


class _Audit:
    def __init__(self, workspace: Path, folder: Path, head: str, servers: Servers) -> None:
        self._workspace = workspace
        self._folder = folder
        self._head = head
        self._servers = servers

    def run(self) -> Mapping[str, float]:
        model = provider_inputs(self._servers.model_url)
        plan_path, parts = self._folder / "plan/temp/hunkwise/plan.json", self._folder / "parts"
        parts.mkdir()
        inputs = {"audit": "plan", "shards": str(SHARDS), "max-model-calls": _CALLS, "model": model["model"]}
        _, planning, planned = self._job("plan", inputs)
        shards, read = [], []
        for number in range(1, SHARDS + 1):
            inputs = {**model, "audit": "run", "plan": str(plan_path), "shard": str(number)}
            result, seconds, records = self._job(f"run-{number}", {**inputs, "max-model-calls": _CALLS})
            shards.append(seconds)
            read.append(records)
            Path(result.outputs["part"]).rename(parts / f"part-{number}.json")
        inputs = {"audit": "merge", "plan": str(plan_path), "parts": str(parts), "max-model-calls": _CALLS}
        merged, merging, written = self._job("merge", inputs)
        lap = json.loads(Path(merged.outputs["report"]).read_bytes())["lap"]
        if lap["files_read"] != lap["files_total"]:
            raise BenchError(f"Of {lap['files_total']} files {lap['files_read']} were read.")
        return {
            cases.LAP: planning + sum(shards) + merging,
            cases.PLAN: planning,
            cases.LONGEST_SHARD: max(shards),
            cases.MERGE: merging,
            cases.PLAN_REQUESTS: planned.github_requests,
            cases.RUN_REQUESTS: sum(records.github_requests for records in read),
            cases.MERGE_REQUESTS: written.github_requests,
            cases.CALLS: sum(records.model_calls for records in read),
            cases.CHARACTERS: sum(records.prompt_characters for records in read),
        }

    def _job(self, name: str, inputs: Mapping[str, str]) -> tuple[Result, float, Records]:
        """Returns what a job left behind, its seconds, and what the servers saw."""
        self._servers.prepare(keep=True)
        step = Step(
            self._folder / name,
            self._servers.github_url,
            event_name="schedule",
            payload={"schedule": "23 3 * * 1"},
            inputs={"github-token": GITHUB_TOKEN, **inputs},
            environ={"GITHUB_SHA": self._head, "GITHUB_REF": "refs/heads/main"},
            workspace=self._workspace,
            process=True,
        )
        began = time.monotonic()
        result = step.run()
        seconds = time.monotonic() - began
        check_result(result)
        return result, seconds, self._servers.records()
