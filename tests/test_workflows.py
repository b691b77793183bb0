"""Checks the example workflows as GitHub reads them: permissions, pins and inputs."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hunkwise.settings.config import Config
from hunkwise.settings.events import COMMAND_EVENTS, PUBLISHING_EVENTS
from hunkwise.settings.inputs import Inputs, read_inputs

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "workflows"
TWO_JOBS = "two-jobs.yml"
"""Tested in tests/test_two_jobs.py: the others that review have one job."""
AUDITS = ("audit.yml", "audit-matrix.yml")
"""Tested in tests/test_audit_workflows.py: the others review pull requests."""
COMMANDS = "commands.yml"
NAMES = sorted(path.name for path in FOLDER.glob("*.yml") if path.name not in (TWO_JOBS, *AUDITS))
REVIEWS = [name for name in NAMES if name != COMMANDS]
OURS = "OWNER/hunkwise"
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
REPORT = "report.json"
NEW_CODE = {"opened", "synchronize", "reopened", "ready_for_review"}
"""Activity types of pull requests with new code, or with code that was not reviewed while it was a draft."""
READ_ONLY = ["forks-read-only.yml", "forks-two-workflows-review.yml"]
PRIVILEGED = ["forks-two-workflows-publish.yml", "forks.yml"]
"""Workflows that run with a token that may write although an untrusted author opened the pull request."""
OUTSIDE_OF_A_CONTAINER = "running-cli.yml"
"""Its CLI listens on the loopback of the machine, which a container does not share."""
COPILOT_BY_THE_ORGANIZATION = [
    "by-number.yml",
    "code-scanning.yml",
    COMMANDS,
    "forks-read-only.yml",
    "forks-two-workflows-review.yml",
    "forks.yml",
    "organization.yml",
]
EXPRESSIONS = {
    "github.token": "ghs_token",
    "secrets.COPILOT_TOKEN": "github_pat_token",
    "secrets.COPILOT_CONNECTION_TOKEN": "connection-token",
    "secrets.MODEL_KEY": "key",
    "vars.MODEL": "some-model",
    "vars.AZURE_URL": "https://name.openai.azure.com",
    "inputs.pull-request": "12",
    "inputs.dry-run": "false",
    "matrix.shard": "3",
}
"""The values of expressions in the environment of a step."""
_EXPRESSION = re.compile(r"\$\{\{ (.*?) \}\}")


def workflow(name: str) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return loaded


def events(name: str) -> dict[str, Any]:
    found: dict[str, Any] = workflow(name)[True]  # YAML 1.1 reads the key `on` as true
    return found


def job(name: str) -> dict[str, Any]:
    (only,) = workflow(name)["jobs"].values()
    assert isinstance(only, dict)
    return only


def review(name: str) -> dict[str, Any]:
    """Returns the step that runs hunkwise, as an action or from a checkout."""
    (step,) = (
        step
        for step in job(name)["steps"]
        if "entrypoint.py" in step.get("run", "") or step.get("uses", "").startswith(f"{OURS}@")
    )
    assert isinstance(step, dict)
    return step


def checkouts(name: str) -> list[dict[str, Any]]:
    return [step["with"] for step in job(name)["steps"] if "checkout" in step.get("uses", "")]


def inputs_of(step: dict[str, Any]) -> Inputs:
    """Returns the inputs that hunkwise reads from the step's environment."""
    variables: dict[str, str] = step.get("env", {})
    if "run" not in step:
        defaults = {key: entry["default"] for key, entry in ACTION["inputs"].items() if "default" in entry}
        variables = {
            f"INPUT_{key.upper()}": text for key, text in {**defaults, **step.get("with", {})}.items()
        }
    return read_inputs(
        {key: _EXPRESSION.sub(lambda at: EXPRESSIONS[at[1]], text) for key, text in variables.items()}
    )


def inputs(name: str) -> Inputs:
    return inputs_of(review(name))


def test_lists_all_workflows() -> None:
    assert [name.removesuffix(".yml") for name in NAMES] == (
        "by-number code-scanning commands forks-read-only forks-two-workflows-publish forks-two-workflows-review forks"
        " organization personal-token provider-anthropic provider-azure provider-openai running-cli"
    ).split()


@pytest.mark.parametrize("name", NAMES)
def test_has_least_permissions_valid_inputs_and_timeout(name: str) -> None:
    assert workflow(name)["permissions"] == {}
    assert job(name)["permissions"] == {
        "contents": "read",
        **({"pull-requests": "read"} if name in READ_ONLY else {"pull-requests": "write", "checks": "write"}),
        **({"issues": "write"} if name == COMMANDS else {}),
        **({"copilot-requests": "write"} if name in COPILOT_BY_THE_ORGANIZATION else {}),
        **({"security-events": "write"} if inputs(name).overrides().get("upload_sarif") else {}),
        **({"actions": "read"} if inputs(name).publish_report else {}),
    }
    assert inputs(name).warnings == ()
    assert job(name)["timeout-minutes"] > Config().deadline


def test_uses_model_of_its_name() -> None:
    asked = {name: (inputs(name).provider, inputs(name).copilot_urls) for name in NAMES}
    kinds = {name: provider.type for name, (provider, _) in asked.items() if provider is not None}
    assert kinds == {
        "provider-anthropic.yml": "anthropic",
        "provider-azure.yml": "azure",
        "provider-openai.yml": "openai",
    }
    assert [name for name, (_, urls) in asked.items() if urls] == ["running-cli.yml"]
    assert inputs("personal-token.yml").copilot_token == "github_pat_token"
    assert inputs("organization.yml").copilot_token == "ghs_token"
    assert inputs("by-number.yml").pull_request == 12
    assert [name for name in NAMES if inputs(name).overrides().get("upload_sarif")] == ["code-scanning.yml"]


@pytest.mark.parametrize("name", REVIEWS)
def test_events_are_reviewed(name: str) -> None:
    (event,) = events(name)
    assert event in PUBLISHING_EVENTS
    if event.startswith("pull_request"):
        assert set(events(name)[event]["types"]) == NEW_CODE


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_pinned_by_commit_with_version(name: str) -> None:
    lines = [line for line in (FOLDER / name).read_text(encoding="utf-8").splitlines() if "uses:" in line]
    assert lines
    for line in lines:
        action = r"(actions/[a-z-]+|OWNER/hunkwise)"
        assert re.search(rf"uses: {action}@[0-9a-f]{{40}} # v\d+\.\d+\.\d+$", line), line


def test_workflows_pin_the_same_commits() -> None:
    text = "".join((FOLDER / name).read_text(encoding="utf-8") for name in NAMES)
    pins = set(re.findall(r"(actions/[a-z-]+)@([0-9a-f]{40} # v\S+)", text))
    assert len(pins) == len({action for action, _ in pins})


@pytest.mark.parametrize("name", NAMES)
def test_checkout_keeps_no_token_and_script_has_no_expression(name: str) -> None:
    assert bool(checkouts(name)) is (name not in PRIVILEGED)
    assert all(options["persist-credentials"] is False for options in checkouts(name))
    scripts = [step["run"] for step in job(name)["steps"] if "run" in step]
    assert not [script for script in scripts if "${{" in script]


def test_privileged_workflows_do_not_use_the_head() -> None:
    events_of_base = {"pull_request_target", "workflow_run"}
    assert [name for name in NAMES if events_of_base & events(name).keys()] == PRIVILEGED
    for name in PRIVILEGED:
        assert checkouts(name) == []
        assert [step for step in job(name)["steps"] if "head" in str(step)] == []


def test_second_workflow_publishes_report_of_first() -> None:
    reviewing, publishing = "forks-two-workflows-review.yml", "forks-two-workflows-publish.yml"
    assert events(publishing)["workflow_run"] == {
        "workflows": [workflow(reviewing)["name"]],
        "types": ["completed"],
    }
    assert inputs(reviewing).overrides()["dry_run"] is True
    upload, download = job(reviewing)["steps"][-1]["with"], job(publishing)["steps"][0]["with"]
    assert upload["name"] == download["name"]
    assert upload["path"] == f"${{{{ steps.{review(reviewing)['id']}.outputs.report }}}}"
    assert "report" in ACTION["outputs"]
    assert download["run-id"] == "${{ github.event.workflow_run.id }}"
    assert inputs(publishing).publish_report == Path(download["path"]) / REPORT
    assert f'"{REPORT}"' in (ROOT / "src/hunkwise/commands/publish.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", REVIEWS)
def test_conditions_select_one_workflow_for_a_pull_request(name: str) -> None:
    same = "github.event.pull_request.head.repo.full_name == github.repository"
    ended = (
        "github.event.workflow_run.event == 'pull_request' && "
        """contains(fromJSON('["success", "failure"]'), github.event.workflow_run.conclusion)"""
    )
    expected = {
        "pull_request": same.replace("==", "!=") if name in READ_ONLY else same,
        "pull_request_target": same.replace("==", "!="),
        "workflow_run": ended,
    }
    (event,) = events(name)
    assert job(name).get("if") == expected.get(event)


@pytest.mark.parametrize("name", REVIEWS)
def test_concurrency_group_is_a_pull_request(name: str) -> None:
    group = workflow(name)["concurrency"]["group"]
    # Groups belong to the repository: without the workflow's name the run for forks would cancel the other one.
    assert group.startswith("${{ github.workflow }}-")
    assert group.endswith(
        ("github.event.pull_request.number }}", "inputs.pull-request }}", "workflow_run.head_branch }}")
    )


@pytest.mark.parametrize(
    "name", [name for name in REVIEWS if name not in [*PRIVILEGED, OUTSIDE_OF_A_CONTAINER]]
)
def test_checks_out_code_into_the_workspace(name: str) -> None:
    (options,) = checkouts(name)
    assert options == {"fetch-depth": 0, "persist-credentials": False}


def test_commands_start_on_new_comments_of_people_of_the_repository() -> None:
    assert events(COMMANDS) == {event: {"types": ["created"]} for event in COMMAND_EVENTS}
    conditions = job(COMMANDS)["if"].split(" && ")
    assert conditions == [
        "startsWith(github.event.comment.body, '/hunkwise ')",
        "github.event.comment.user.type == 'User'",
        """contains(fromJSON('["OWNER","MEMBER","COLLABORATOR"]'), github.event.comment.author_association)""",
    ]


def test_commands_check_out_the_default_branch_and_not_the_head() -> None:
    # The default of the event of a thread is the merge commit of the pull request, which has the head's files.
    (options,) = checkouts(COMMANDS)
    default = "${{ github.event.repository.default_branch }}"
    assert options == {"ref": default, "fetch-depth": 0, "persist-credentials": False}
    assert len(job(COMMANDS)["steps"]) == 2
    assert "head" not in str(job(COMMANDS))


def test_no_command_is_lost_while_another_one_runs() -> None:
    # A group of the workflow would also have the runs for comments without a command in its queue.
    assert "concurrency" not in workflow(COMMANDS)
    assert job(COMMANDS)["concurrency"] == {
        "group": "hunkwise-command-${{ github.event.issue.number || github.event.pull_request.number }}",
        "queue": "max",
    }


def test_running_cli_example_uses_makefile_and_entrypoint() -> None:
    name = OUTSIDE_OF_A_CONTAINER
    assert [each for each in NAMES if "run" in review(each)] == [name]
    code, ours = checkouts(name)
    assert ours["repository"] == OURS
    steps = job(name)["steps"]
    setup = steps[steps.index(review(name)) - 1]
    assert setup["run"] == f"make -C {ours['path']} setup"
    assert re.search(r"^setup:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert review(name)["run"].rstrip().endswith(f"python3 {ours['path']}/entrypoint.py")
    assert (ROOT / "entrypoint.py").is_file()
    assert code["fetch-depth"] == 0
    assert f'GITHUB_WORKSPACE="$GITHUB_WORKSPACE/{code["path"]}"' in review(name)["run"]


def test_script_runs_hunkwise_with_inputs(tmp_path: Path) -> None:
    folder = tmp_path / "hunkwise"
    folder.mkdir()
    (folder / "entrypoint.py").write_text("import json, os\nprint(json.dumps(dict(os.environ)))\n")
    step = review(OUTSIDE_OF_A_CONTAINER)
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    environment = {"PATH": os.environ["PATH"], "GITHUB_WORKSPACE": str(tmp_path), **step["env"]}
    seen = json.loads(
        subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True).stdout
    )
    assert {key: seen[key] for key in step["env"]} == step["env"]
    assert Path(seen["GITHUB_WORKSPACE"]) == tmp_path / "code"
