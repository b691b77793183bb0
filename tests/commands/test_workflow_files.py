"""Renders workflows and configuration for every combination of options; the examples are some of them."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from hunkwise.commands.workflow_files import (
    _RARE_KEYS,
    PLACEHOLDER,
    ActionReference,
    configuration,
    workflow_files,
)
from hunkwise.domain.setup import AuditJobs, ForkReviews, ModelAccess, SetupOptions
from hunkwise.settings.config import Config, parse_config
from hunkwise.settings.inputs import Inputs
from tests.pages import ROOT
from tests.test_workflows import inputs_of

RELEASE = ActionReference("octo-org/hunkwise", "12" * 20, "v1.2.3")
_OPTIONS_OF_EXAMPLES = {
    "organization": (SetupOptions(), "hunkwise.yml"),
    "personal-token": (SetupOptions("token"), "hunkwise.yml"),
    "provider-openai": (SetupOptions("openai"), "hunkwise.yml"),
    "provider-azure": (SetupOptions("azure"), "hunkwise.yml"),
    "provider-anthropic": (SetupOptions("anthropic"), "hunkwise.yml"),
    "running-cli": (SetupOptions("running-cli"), "hunkwise.yml"),
    "two-jobs": (SetupOptions(two_jobs=True), "hunkwise.yml"),
    "code-scanning": (SetupOptions(code_scanning=True), "hunkwise.yml"),
    "by-number": (SetupOptions(dispatch=True), "hunkwise-by-number.yml"),
    "commands": (SetupOptions(commands=True), "hunkwise-commands.yml"),
    "forks": (SetupOptions(forks="pull-request-target"), "hunkwise-forks.yml"),
    "forks-read-only": (SetupOptions(forks="read-only"), "hunkwise-forks.yml"),
    "forks-two-workflows-review": (SetupOptions(forks="two-workflows"), "hunkwise-forks.yml"),
    "forks-two-workflows-publish": (SetupOptions(forks="two-workflows"), "hunkwise-forks-publish.yml"),
    "audit": (SetupOptions(audit="weekly", code_scanning=True), "hunkwise-audit.yml"),
    "audit-matrix": (SetupOptions(audit="matrix", code_scanning=True), "hunkwise-audit.yml"),
}
EXAMPLES = {
    f"examples/workflows/{name}.yml": workflow_files(options)[f".github/workflows/{file}"]
    for name, (options, file) in _OPTIONS_OF_EXAMPLES.items()
}
"""The text of each example; `python -m tests.settings.rewrite_published` writes them."""
_LIKE = {
    "organization": "organization",
    "token": "personal-token",
    "running-cli": "running-cli",
    **{provider: f"provider-{provider}" for provider in ("openai", "azure", "anthropic")},
}
"""The example of each way to a model, whose name .github/zizmor.yml knows."""
READS = {"contents": "read", "pull-requests": "read"}
WRITES = {"contents": "read", "pull-requests": "write", "checks": "write"}
_PIN = re.compile(r"(actions/[a-z-]+|octo-org/hunkwise)@[0-9a-f]{40}")


def combinations() -> Iterator[SetupOptions]:
    """Yields every combination of options that is valid."""
    both = (False, True)
    choices = (get_args(ModelAccess), both, both, get_args(ForkReviews), get_args(AuditJobs), both, both)
    for auth, two_jobs, dispatch, forks, audit, commands, code_scanning in itertools.product(*choices):
        if auth != "running-cli" or forks in ("no", "pull-request-target"):
            yield SetupOptions(
                auth,
                two_jobs=two_jobs,
                dispatch=dispatch,
                forks=forks,
                audit=audit,
                commands=commands,
                code_scanning=code_scanning,
            )


@cache
def distinct_files() -> dict[tuple[str, str], SetupOptions]:
    """Returns every different file by name and text, with options that it is written for."""
    files = {}
    for options in combinations():
        for path, text in workflow_files(options, RELEASE).items():
            files[path.removeprefix(".github/workflows/"), text] = options
    return files


def permissions_of(name: str, job: str, options: SetupOptions) -> dict[str, str]:
    """Returns the least permissions of a job."""
    asks = {"copilot-requests": "write"} if options.auth == "organization" else {}
    scans = {"security-events": "write"} if options.code_scanning else {}
    code = {"contents": "read"}
    match name, job:
        case "hunkwise-forks-publish.yml", _:
            return {**WRITES, **scans, "actions": "read"}
        case "hunkwise-commands.yml", _:
            return {**WRITES, "issues": "write", **scans, **asks}
        case "hunkwise-audit.yml", "plan":
            return {**code, "issues": "read"}
        case "hunkwise-audit.yml", "run":
            return {**code, **asks}
        case "hunkwise-audit.yml", _:
            return {**code, "issues": "write", **scans, **(asks if job == "audit" else {})}
        case _, "publish":
            return {**WRITES, **scans}
    reads = options.two_jobs if name == "hunkwise.yml" else options.forks in ("read-only", "two-workflows")
    return {**READS, **asks} if reads and name != "hunkwise-by-number.yml" else {**WRITES, **scans, **asks}


def check_job(name: str, job: str, definition: dict[str, Any], options: SetupOptions) -> None:
    steps: list[dict[str, Any]] = definition["steps"]
    assert definition["permissions"] == permissions_of(name, job, options)
    assert all(_PIN.fullmatch(step["uses"]) for step in steps if "uses" in step)
    assert not [step["run"] for step in steps if "${{" in step.get("run", "")]
    checkouts = [step["with"] for step in steps if "actions/checkout@" in step.get("uses", "")]
    assert all(given["persist-credentials"] is False for given in checkouts)
    (ours,) = (step for step in steps if _runs_hunkwise(step))
    inputs = inputs_of(ours)
    overrides = inputs.overrides()
    assert inputs.warnings == ()
    assert bool(overrides.get("upload_sarif")) is ("security-events" in definition["permissions"])
    stage = inputs.audit.stage
    asks = inputs.publish_report is None and (stage is None or stage.asks_model)
    assert asks or "secrets." not in str(definition)
    if asks:
        assert definition["timeout-minutes"] > float(str(overrides.get("deadline", Config().deadline)))
        check_model(inputs, options)
    self_hosted = asks and options.auth == "running-cli"
    assert definition["runs-on"] == (["self-hosted", "linux"] if self_hosted else "ubuntu-24.04")
    if name.startswith("hunkwise-forks") and definition["permissions"]["pull-requests"] != "read":
        assert [given for given in checkouts if given.get("repository") != "octo-org/hunkwise"] == []
        assert "head" not in str(steps)


def _runs_hunkwise(step: dict[str, Any]) -> bool:
    return step.get("uses", "").startswith("octo-org/hunkwise@") or "entrypoint.py" in step.get("run", "")


def check_model(inputs: Inputs, options: SetupOptions) -> None:
    provider = None if inputs.provider is None else str(inputs.provider.type)
    expected = options.auth if options.auth in ("openai", "azure", "anthropic") else None
    assert provider == expected
    assert bool(inputs.copilot_urls) is (options.auth == "running-cli")
    assert inputs.copilot_token == ("github_pat_token" if options.auth == "token" else "ghs_token")


def test_every_combination_has_least_permissions_pins_and_limits() -> None:
    assert len(distinct_files()) > 80
    for (name, text), options in distinct_files().items():
        workflow = yaml.load(text, yaml.CSafeLoader)
        assert workflow["permissions"] == {}
        assert text.endswith("\n")
        assert not re.search(r"[ \t\r]$|\t|OWNER/|\n\n\n", text, re.MULTILINE)
        for job, definition in workflow["jobs"].items():
            check_job(name, job, definition, options)
        assert "concurrency" in workflow or all("concurrency" in job for job in workflow["jobs"].values())


@pytest.mark.parametrize("path", EXAMPLES)
def test_example_is_what_is_written_for_its_options(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == EXAMPLES[path]


def test_every_example_is_rendered() -> None:
    found = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("examples/workflows/*"))
    assert found == sorted(EXAMPLES)


GIVEN = [
    SetupOptions("token", secret="OUR_TOKEN", model="gpt-5.1", audit="matrix"),
    SetupOptions(
        "openai", url="http://10.0.0.5:8000/v1", model="meta/llama:70b", secret="KEY", audit="matrix"
    ),
    SetupOptions("azure", url="https://name.openai.azure.com", model="1.0"),
    SetupOptions("anthropic", model="on"),
    SetupOptions("running-cli", url="[::1]:4000,10.0.0.5:4001", model="null", secret="CONNECTION"),
]


@pytest.mark.parametrize("options", GIVEN, ids=lambda options: options.auth)
def test_given_url_model_and_secret_are_used_in_each_job(options: SetupOptions) -> None:
    for text in workflow_files(options, RELEASE).values():
        for job in yaml.safe_load(text)["jobs"].values():
            (step,) = filter(_runs_hunkwise, job["steps"])
            given = step.get("with") or step["env"]
            inputs = {
                key.lower().removeprefix("input_").replace("_", "-"): value for key, value in given.items()
            }
            if inputs.get("audit") != "merge":
                assert inputs["model"] == options.model
            if inputs.get("audit") not in ("plan", "merge"):
                assert f"${{{{ secrets.{options.secret or 'MODEL_KEY'} }}}}" in inputs.values()
                assert options.url is None or options.url in inputs.values()


def test_server_without_queues_gets_a_group_for_each_comment() -> None:
    path = ".github/workflows/hunkwise-commands.yml"
    (job,) = yaml.safe_load(
        workflow_files(SetupOptions("token", commands=True), RELEASE, enterprise_server=True)[path]
    )["jobs"].values()
    assert job["concurrency"] == {"group": "hunkwise-command-${{ github.event.comment.id }}"}


def test_linters_accept_every_file(tmp_path: Path) -> None:
    files = [(text, options.auth) for (_, text), options in distinct_files().items()]
    files += [(text, options.auth) for options in GIVEN for text in workflow_files(options).values()]
    paths = []
    for number, (text, auth) in enumerate(files):
        path = tmp_path / str(number) / f"{_LIKE[auth]}.yml"
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
        paths.append(str(path))
    zizmor = ["--offline", "--quiet", "--persona", "auditor", "--config", str(ROOT / ".github/zizmor.yml")]
    tools = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    for command in (["actionlint"], ["zizmor", *zizmor]):
        ran = subprocess.run([*command, *paths], env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_placeholder_is_named_in_the_workflow() -> None:
    text, released = (
        workflow_files(SetupOptions(), action)[".github/workflows/hunkwise.yml"]
        for action in (PLACEHOLDER, RELEASE)
    )
    assert "# Replace OWNER" in text
    assert f"uses: {PLACEHOLDER}\n" in text
    assert "Replace" not in released
    assert f"uses: octo-org/hunkwise@{'12' * 20} # v1.2.3\n" in released


PATH = ".github/hunkwise.yml"


@pytest.mark.parametrize("gate", ["none", "high"])
def test_configuration_has_only_the_gate(gate: str) -> None:
    text = configuration(SetupOptions(fail_on=gate))
    config = parse_config(text.encode(), path=PATH)
    assert config.model_dump(exclude={"fail_on"}) == Config().model_dump(exclude={"fail_on"})
    assert (config.fail_on.label if config.fail_on else "none") == gate
    assert max(map(len, text.splitlines())) <= 120
    without_comments = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    assert parse_config(without_comments.encode(), path=PATH) == config


def test_commented_settings_are_the_defaults() -> None:
    text = re.sub(r"(?m)^#(?! )", "", configuration(SetupOptions()).replace("\n#  ", "\n  "))
    config = parse_config(text.encode(), path=PATH)
    assert {name for name in Config.model_fields if getattr(config, name) != getattr(Config(), name)} == {
        "model",
        "verify_model",
    }
    assert {config.model, config.verify_model} == {"ID"}
    keys = {name.replace("_", "-") for name in Config.model_fields}
    assert keys - set(yaml.safe_load(text)) == set(_RARE_KEYS)


def test_configuration_links_the_page_of_its_release() -> None:
    page = f"https://github.com/octo-org/hunkwise/blob/{'12' * 20}/docs/configuration.md"
    assert page in configuration(SetupOptions(), RELEASE)
    assert "OWNER" not in configuration(SetupOptions())
