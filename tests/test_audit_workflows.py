"""Checks the example workflows of audits: in one job, and as a matrix of jobs with separate permissions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from hunkwise.commands.audit_stores import PLAN_NAME
from hunkwise.settings.audit_inputs import AUDIT_EVENTS, AuditStage
from hunkwise.settings.config import Config
from hunkwise.settings.inputs import Inputs
from tests.test_workflows import ACTION, AUDITS, FOLDER, OURS, inputs_of, workflow

ONE_JOB, MATRIX = AUDITS
JOBS: dict[str, dict[str, Any]] = {
    **{f"{ONE_JOB} {name}": job for name, job in workflow(ONE_JOB)["jobs"].items()},
    **{f"{MATRIX} {name}": job for name, job in workflow(MATRIX)["jobs"].items()},
}
STAGES = {"audit": AuditStage.ALL, "plan": AuditStage.PLAN, "run": AuditStage.RUN, "merge": AuditStage.MERGE}
PERMISSIONS: dict[str, dict[str, str]] = {
    "audit": {"issues": "write", "security-events": "write", "copilot-requests": "write"},
    "plan": {"issues": "read"},
    "run": {"copilot-requests": "write"},
    "merge": {"issues": "write", "security-events": "write"},
}


def steps(job: str, action: str) -> list[dict[str, Any]]:
    return [step for step in JOBS[job]["steps"] if step["uses"].startswith(f"{action}@")]


def inputs(job: str) -> Inputs:
    (step,) = steps(job, OURS)
    return inputs_of(step)


@pytest.mark.parametrize("job", JOBS)
def test_job_has_its_stage_and_the_least_permissions(job: str) -> None:
    name = job.rpartition(" ")[2]
    assert inputs(job).audit.stage is STAGES[name]
    assert inputs(job).warnings == ()
    assert JOBS[job]["permissions"] == {"contents": "read", **PERMISSIONS[name]}
    uploads = inputs(job).overrides().get("upload_sarif") is True
    assert uploads == ("security-events" in PERMISSIONS[name])
    assert JOBS[job]["timeout-minutes"] >= float(str(inputs(job).overrides().get("deadline", 0)))
    if STAGES[name].asks_model:
        assert JOBS[job]["timeout-minutes"] > Config().deadline


@pytest.mark.parametrize("name", AUDITS)
def test_workflow_runs_alone_on_the_default_branch(name: str) -> None:
    whole = workflow(name)
    assert whole["permissions"] == {}
    assert whole["concurrency"] == {"group": "${{ github.workflow }}", "cancel-in-progress": False}
    assert tuple(whole[True]) == AUDIT_EVENTS
    (schedule,) = whole[True]["schedule"]
    assert not schedule["cron"].startswith("0 ")
    first = next(iter(whole["jobs"].values()))
    # The payload of a schedule does not name the repository.
    on_default_branch = "github.ref_name == github.event.repository.default_branch"
    assert first["if"] == f"github.event_name == 'schedule' || {on_default_branch}"


@pytest.mark.parametrize("job", JOBS)
def test_checkout_keeps_no_token_and_has_the_history_where_it_decides(job: str) -> None:
    (step,) = steps(job, "actions/checkout")
    stage = inputs(job).audit.stage
    history = {"fetch-depth": 0} if stage in (AuditStage.ALL, AuditStage.PLAN) else {}
    assert step["with"] == {**history, "persist-credentials": False}
    for step in JOBS[job]["steps"]:
        assert re.fullmatch(r"(actions/[a-z-]+|OWNER/hunkwise)@[0-9a-f]{40}", step["uses"])
        others = (
            path.read_text(encoding="utf-8") for path in FOLDER.glob("*.yml") if path.name not in AUDITS
        )
        assert f"uses: {step['uses']} # v" in "".join(others)


def test_jobs_of_the_matrix_exchange_plan_and_parts() -> None:
    plan, run, merge = (f"{MATRIX} {name}" for name in ("plan", "run", "merge"))
    (planning,) = steps(plan, OURS)
    step_outputs = {name: f"${{{{ steps.plan.outputs.{name} }}}}" for name in ("matrix", "shards", "plan")}
    assert set(step_outputs) | {"part"} <= set(ACTION["outputs"])
    assert planning["id"] == "plan"
    assert JOBS[plan]["outputs"] == {name: step_outputs[name] for name in ("matrix", "shards")}
    assert JOBS[run]["strategy"]["matrix"] == "${{ fromJSON(needs.plan.outputs.matrix) }}"
    assert JOBS[run]["strategy"]["fail-fast"] is False
    (kept,) = steps(plan, "actions/upload-artifact")
    assert kept["with"]["path"] == step_outputs["plan"]
    (part,) = steps(run, "actions/upload-artifact")
    assert part["with"]["path"] == "${{ steps.run.outputs.part }}"
    (reading,) = steps(run, OURS)
    assert reading["id"] == "run"
    for job in (run, merge):
        download = steps(job, "actions/download-artifact")[0]["with"]
        assert download["name"] == kept["with"]["name"]
        assert inputs(job).audit.plan == Path(download["path"]) / PLAN_NAME
    _, parts = steps(merge, "actions/download-artifact")
    prefix = parts["with"]["pattern"].removesuffix("*")
    assert part["with"]["name"] == prefix + "${{ matrix.shard }}"
    assert not kept["with"]["name"].startswith(prefix)
    assert inputs(merge).audit.parts == (Path(parts["with"]["path"]),)


def test_merge_runs_without_shards_and_after_a_shard_that_failed() -> None:
    run, merge = JOBS[f"{MATRIX} run"], JOBS[f"{MATRIX} merge"]
    assert run["if"] == "needs.plan.outputs.shards != '0'"
    assert merge["needs"] == ["plan", "run"]
    assert merge["if"] == "${{ !cancelled() && needs.plan.result == 'success' }}"
    _, parts = steps(f"{MATRIX} merge", "actions/download-artifact")
    assert parts["if"] == run["if"]
