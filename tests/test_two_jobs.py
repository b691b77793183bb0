"""Checks the example workflow with two jobs: one has the model, the other may write."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hunkwise.settings.config import Config
from hunkwise.settings.inputs import Inputs
from tests.test_workflows import FOLDER, NEW_CODE, OURS, REPORT, TWO_JOBS, inputs_of, workflow

TEXT = (FOLDER / TWO_JOBS).read_text(encoding="utf-8")
JOBS: dict[str, dict[str, Any]] = workflow(TWO_JOBS)["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]


def run_by(job: str) -> dict[str, Any]:
    (step,) = (step for step in JOBS[job]["steps"] if step.get("uses", "").startswith(f"{OURS}@"))
    assert isinstance(step, dict)
    return step


def inputs(job: str) -> Inputs:
    return inputs_of(run_by(job))


def test_only_the_job_without_a_model_may_write() -> None:
    assert workflow(TWO_JOBS)["permissions"] == {}
    read = {"contents": "read", "pull-requests": "read", "copilot-requests": "write"}
    assert JOBS["review"]["permissions"] == read
    assert JOBS["publish"]["permissions"] == {"contents": "read", "pull-requests": "write", "checks": "write"}
    assert inputs("review").overrides()["dry_run"] is True
    assert str(inputs("publish").publish_report) == f"report/{REPORT}"
    assert [inputs(job).warnings for job in JOBS] == [(), ()]
    assert [step for step in JOBS["publish"]["steps"] if "checkout" in step.get("uses", "")] == []
    assert "head" not in str(JOBS["publish"])


def test_second_job_publishes_report_of_the_same_run() -> None:
    assert list(workflow(TWO_JOBS)[True]) == ["pull_request"]
    assert set(workflow(TWO_JOBS)[True]["pull_request"]["types"]) == NEW_CODE
    review, publish = JOBS["review"], JOBS["publish"]
    assert review["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
    assert review["outputs"] == {"report": "${{ steps.review.outputs.report }}"}
    assert publish["needs"] == "review"
    assert publish["if"] == "${{ !cancelled() && needs.review.outputs.report != '' }}"
    upload, download = review["steps"][-1]["with"], publish["steps"][0]["with"]
    assert upload["path"] == "${{ steps.review.outputs.report }}"
    # Without a run-id the artifact can only be one of this run.
    assert download == {"name": upload["name"], "path": "report"}


@pytest.mark.parametrize("step", [step for step in STEPS if "uses" in step], ids=lambda step: step["uses"])
def test_actions_are_pinned_and_keep_no_token(step: dict[str, Any]) -> None:
    assert re.fullmatch(r"(actions/[a-z-]+|OWNER/hunkwise)@[0-9a-f]{40}", step["uses"])
    others = "".join(
        path.read_text(encoding="utf-8") for path in FOLDER.glob("*.yml") if path.name != TWO_JOBS
    )
    assert f"uses: {step['uses']} # v" in others
    assert step["uses"].startswith("actions/checkout@") is (
        step.get("with", {}).get("persist-credentials") is False
    )


def test_has_no_script_and_timeouts_over_the_deadline() -> None:
    assert [step for step in STEPS if "run" in step] == []
    assert all(job["timeout-minutes"] > Config().deadline for job in JOBS.values())
    assert workflow(TWO_JOBS)["concurrency"]["group"].startswith("${{ github.workflow }}-")
