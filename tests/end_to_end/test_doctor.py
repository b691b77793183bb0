"""`hunkwise doctor` on the real CLI, in a job and in a shell: what it finds, how it ends, and what it leaves alone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.copilot.programs import script
from tests.copilot.sidecar_root import root_folder
from tests.end_to_end import step_checks
from tests.end_to_end.step import COPILOT_TOKEN, GITHUB_TOKEN, PERSONAL_TOKEN, READ_TOKEN, ROOT
from tests.end_to_end.test_events import merge_group
from tests.end_to_end.world import BASE, HEAD, SECRETS, World, wait_until
from tests.fakes import command_line as in_process
from tests.fakes.actions_runner import read_log
from tests.fakes_contract.cli import running_cli

BELOW = "the AGENTS.md of the folders above a changed file, if there are any"
ISOLATION = {
    "Environment": "ok",
    "Tools": "ok",
    "Home": "ok",
    "Connection": "ok",
    "Listener": "ok",
    "Own user": "warning",
    "Own root folder": "warning",
}


@dataclass(frozen=True)
class Told:
    """What a checkup printed, and how it ended."""

    code: int
    out: str
    errors: str

    @property
    def checks(self) -> list[dict[str, Any]]:
        """The lines of a checkup in JSON."""
        told = json.loads(self.out)
        assert told["exit_code"] == self.code
        checks: list[dict[str, Any]] = told["checks"]
        return checks

    def states(self, section: str) -> dict[str, str]:
        """The state of each check of a section, by its name."""
        return {check["name"]: check["state"] for check in self.checks if check["section"] == section}

    def line(self, name: str) -> str:
        """What one check says, its remedy behind it."""
        (check,) = (check for check in self.checks if check["name"] == name)
        return f"{check['said']} {check['remedy']}".rstrip()

    @property
    def stopping(self) -> list[str]:
        """The names of all that stops a review."""
        return [check["name"] for check in self.checks if check["state"] in ("wrong", "fault")]


def doctor(
    environ: Mapping[str, str],
    folder: Path,
    *arguments: str,
    format: str = "json",  # noqa: A002  # the option's name
) -> Told:
    """Runs it, and looks for every secret in what it printed."""
    command = ["doctor", "--format", format, *arguments]
    if (
        environ["PATH"] == os.environ["PATH"]
        and Path(environ["TMPDIR"]).is_dir()
        and in_process.is_possible()
    ):
        printed = in_process.run(command, environ, folder)
        told = Told(printed.code, printed.out, printed.errors)
    else:
        done = subprocess.run(
            [sys.executable, str(ROOT / "entrypoint.py"), *command],
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        told = Told(done.returncode, done.stdout, done.stderr)
    assert told.errors == ""
    assert step_checks.secrets_in(step_checks.without_masks(told.out), SECRETS) == []
    return told


def job(
    world: World,
    inputs: Mapping[str, str] | None = None,
    *arguments: str,
    copilot: bool = False,
    environ: Mapping[str, str] | None = None,
    **given: Any,
) -> Told:
    """A checkup as a step, in the environment in which the review of pull request 1 would run."""
    if not world.github.hub.pulls:
        world.change()
    step = (world.copilot_step if copilot else world.step)(inputs, **{"payload": event(world), **given})
    return doctor({**step.environment(), **(environ or {})}, step.folder, *arguments)


def shell(world: World, *arguments: str, **environ: str) -> Told:
    """A checkup at a terminal in the repository's checkout."""
    if not world.github.hub.pulls:
        world.change()
    step = world.step()
    kept = ("PATH", "HOME", "TMPDIR", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG", "COVERAGE_FILE")
    own = {name: value for name, value in step.environment().items() if name in kept}
    return doctor({**own, **environ}, world.repository.path, *arguments)


# A job


def test_a_job_in_which_all_is_right_ends_with_0_and_touches_nothing(world: World) -> None:
    pull = world.change()
    step = world.copilot_step({"copilot-token": PERSONAL_TOKEN}, payload=event(world))
    told = doctor(step.environment(), step.folder)
    assert (told.code, told.stopping) == (0, [])
    assert told.line("Versions") == "CLI 1.0.102 with SDK 1.0.25, which were measured together"
    assert "copilot-runtime" in told.line("Program")
    assert told.line("Pull requests") == f"#{pull.number} of octo/repo can be read"
    assert told.line("copilot-token") == "a fine-grained personal access token"
    assert told.line("Rate limit") == "4,999 of 5,000 requests are left until 2096-10-02 07:06 UTC"
    assert told.line("One token for both").startswith("no:")
    assert told.line("Copilot") == "accepts the token, and offers auto, gpt-5-mini, claude-sonnet-4.5"
    assert told.states("Isolation").items() >= ISOLATION.items()
    assert world.github.writes == []
    assert {entry.token for entry in world.copilot.journal} == {PERSONAL_TOKEN}
    assert "POST /chat/completions" not in world.copilot.paths
    assert (step.folder / "output").read_text() + (step.folder / "summary").read_text() == ""
    assert [path.name for path in (step.folder / "temp").glob("*")] == []


def event(world: World, **more: Any) -> dict[str, Any]:
    """The pull request as GitHub's event has it."""
    pull = world.github.hub.pulls[1]
    head = {"sha": pull.head_sha, "ref": "feature", "repo": {"full_name": pull.head_repository}}
    base = {"sha": pull.base_sha, "ref": "main", "repo": {"full_name": "octo/repo"}}
    return {
        "action": "opened",
        "number": 1,
        "pull_request": {"number": 1, "state": "open", "head": head, "base": base},
        "repository": {"full_name": "octo/repo"},
        **more,
    }


def test_the_text_is_a_line_a_check_and_faults_are_annotations(world: World) -> None:
    world.change()
    world.copilot.tokens = set()
    step = world.copilot_step({"copilot-token": COPILOT_TOKEN, "github-token": "ghs_CanaryWrong1"})
    told = doctor(step.environment(), step.folder, format="text")
    assert told.code == 3
    lines = told.out.splitlines()
    assert "hunkwise 0.1.0: checkup of this job" in lines
    assert [line for line in lines if line.startswith("  ok       Python")] != []
    commands = read_log(told.out).commands
    assert {command.name for command in commands} == {"add-mask", "error"}
    titles = [command.properties["title"] for command in commands if command.name == "error"]
    assert titles == ["hunkwise doctor: Token", "hunkwise doctor: Copilot"]
    assert lines[-3].startswith("No review could be made (exit code 3); 2 things are missing or broken; ")
    assert "ghs_CanaryWrong1" not in step_checks.without_masks(told.out)


@pytest.mark.parametrize(
    ("github", "copilot", "stopping", "said"),
    [
        ("ghs_CanaryUnknown2", COPILOT_TOKEN, ["Token"], "did not accept the token"),
        (GITHUB_TOKEN, "ghs_CanaryUnknown2", ["Copilot"], "the token was not accepted"),
        (GITHUB_TOKEN, "ghp_CanaryClassic3", ["Settings", "copilot-token"], "classic"),
        ("", COPILOT_TOKEN, ["Settings", "github-token"], "${{ github.token }}"),
    ],
    ids=["unknown to GitHub", "unknown to Copilot", "classic", "none"],
)
def test_a_wrong_token_is_told_with_its_remedy(
    world: World, github: str, copilot: str, stopping: list[str], said: str
) -> None:
    told = job(world, {"github-token": github}, copilot=True, token=copilot)
    assert (told.code, told.stopping) == (2 if "Settings" in stopping else 3, stopping)
    assert said in told.line(stopping[-1])
    assert "CanaryClassic3" not in told.out
    assert "CanaryUnknown2" not in told.out


def test_one_token_for_both_is_said_plainly_with_the_workflow_that_parts_them(world: World) -> None:
    told = job(world, copilot=True, token=None)
    assert (told.code, told.states("Tokens")["One token for both"]) == (0, "warning")
    assert "holds a token that can write to the pull request" in told.line("One token for both")
    assert "examples/workflows/two-jobs.yml" in told.line("One token for both")


@pytest.mark.parametrize("where", ["input", "file"])
def test_a_model_that_copilot_lacks_is_named_wherever_it_is_asked_for(world: World, where: str) -> None:
    config = "version: 1\nmodel: no-such-model\n"
    world.change({**BASE, ".github/hunkwise.yml": config} if where == "file" else BASE, HEAD)
    inputs = {"model": "no-such-model"} if where == "input" else {}
    told = job(world, inputs, copilot=True)
    assert (told.code, told.stopping) == (3, ["Model"])
    assert 'does not offer the model "no-such-model"' in told.line("Model")


@pytest.mark.parametrize(
    ("ordered", "stopping", "words"),
    [
        ({"html": True, "status": 200, "times": 9}, "Server", "makes no sense"),
        ({"status": 404}, "Pull requests", "has nothing at"),
        ({"status": 403}, "Pull requests", "pull-requests: write"),
    ],
)
def test_what_github_refuses_has_its_line(
    world: World, ordered: dict[str, Any], stopping: str, words: str
) -> None:
    world.change()
    world.github.fault("GET", r"/pulls/1$", **ordered)
    told = job(world)
    assert (told.code, told.stopping[:1]) == (3, [stopping])
    assert words in told.line(stopping)


def test_a_github_or_a_provider_that_is_down_is_a_fault(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}"
    github = job(world, environ={"GITHUB_API_URL": dead})
    assert (github.code, github.stopping) == (3, ["Server"])
    assert "no connection" in github.line("Server")
    assert github.states("Configuration") == {"Configuration": "unchecked"}
    provider = job(world, {"provider-base-url": f"{dead}/v1"})
    assert (provider.code, provider.stopping) == (3, ["Provider"])
    assert "could not be reached: Connection refused" in provider.line("Provider")


def test_a_provider_is_reached_without_its_key_and_not_asked(world: World) -> None:
    told = job(world)
    assert (told.code, told.states("Model")) == (
        0,
        {"Provider": "ok", "Key": "unchecked", "Model": "unchecked"},
    )
    assert told.line("Key") == "not checked: it was not tried"
    assert world.model.requests == []


@pytest.mark.parametrize(
    ("files", "name", "said"),
    [
        ({".github/hunkwise.yml": "version: 1\nfail-onn: high\n"}, "Configuration", 'unknown key "fail-onn"'),
        (
            {".github/hunkwise.yml": "version: 1\nprompts:\n - name: mine\n   template: gone.j2\n"},
            "Configuration",
            "gone.j2, which is not in the base",
        ),
        (
            {
                ".github/hunkwise.yml": "version: 1\nprompts:\n - name: mine\n   template: mine.j2\n",
                "mine.j2": "{% if %}",
            },
            "Template",
            "mine.j2:1: Expected an expression",
        ),
        (
            {
                ".github/hunkwise.yml": "version: 1\nprompts:\n - name: mine\n   template: mine.j2\n",
                "mine.j2": "{{ pullrequest.title }}",
            },
            "Template",
            "mine.j2:1: 'pullrequest' is undefined; did you mean \"pull_request\"?",
        ),
    ],
)
@pytest.mark.parametrize("checkout", [False, True], ids=["API", "checkout"])
def test_a_broken_base_ends_with_2_and_is_told_as_a_review_tells_it(
    world: World, files: dict[str, str], name: str, said: str, checkout: bool
) -> None:
    world.change({**BASE, **files}, HEAD)
    workspace = world.repository.path if checkout else None
    told = job(world, workspace=workspace)
    assert (told.code, told.stopping) == (2, [name])
    assert said in told.line(name)


def test_prompts_and_instructions_of_the_base_are_named(world: World) -> None:
    config = "version: 1\nprompts:\n - name: mine\n   template: mine.j2\n"
    template = "{{ chunk.diff }}{{ pull_request.title }}"  # a range of commits would have no pull request
    base = {**BASE, ".github/hunkwise.yml": config, "mine.j2": template, "AGENTS.md": "Be kind."}
    world.change(base, {"mine.j2": "{% if %}", **HEAD})
    told = job(world)
    assert told.code == 0
    assert told.line("Templates") == "mine: rendered over built-in examples"
    assert told.line("Instructions") == f"AGENTS.md, and {BELOW}"


@pytest.mark.parametrize(
    ("shown", "said"), [("true", BELOW), ("false", "not shown to the model: context.instructions is false")]
)
def test_instructions_that_are_not_there_or_not_shown_are_not_named(
    world: World, shown: str, said: str
) -> None:
    config = f"version: 1\ncontext:\n  instructions: {shown}\n"
    files = {"AGENTS.md": "Be kind."} if shown == "false" else {}
    world.change({**BASE, ".github/hunkwise.yml": config, **files}, HEAD)
    assert job(world).line("Instructions") == said


def test_allowing_the_cli_everything_is_refused(world: World) -> None:
    told = job(world, environ={"COPILOT_ALLOW_ALL": "true"})
    assert (told.code, told.stopping) == (2, ["Environment"])


def test_a_run_of_a_fork_is_told_what_it_lacks(world: World) -> None:
    world.change()
    world.github.hub.pulls[1].head_repository = "stranger/repo"
    told = job(world)
    assert (told.code, told.states("Settings")["Fork"]) == (0, "warning")
    target = job(world, event_name="pull_request_target")
    assert "Fork" not in target.states("Settings")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("/hunkwise help", "issue_comment: the command in a comment on #1 is to be carried out"),
        (
            "Thanks!",
            "issue_comment: nothing to do. The comment is not a command: its first line does not begin with"
            " /hunkwise.",
        ),
    ],
)
def test_names_command_of_comment(world: World, body: str, said: str) -> None:
    payload = {
        "action": "created",
        "repository": {"full_name": "octo/repo"},
        "issue": {"number": 1, "pull_request": {}},
        "comment": {"id": 5, "body": body, "user": {"login": "mona", "type": "User"}},
    }
    assert job(world, event_name="issue_comment", payload=payload).line("Event") == said


def test_names_the_pull_request_of_a_merge_queue(world: World) -> None:
    world.change()
    told = job(world, **merge_group(world)).line("Event")
    assert told == "merge_group: the check run of #1 is to be repeated, and no model is asked"


@pytest.mark.parametrize(
    ("name", "inputs", "state", "code"),
    [
        ("push", {}, "warning", 0),
        ("workflow_dispatch", {}, "warning", 0),
        ("workflow_dispatch", {"pull-request": "1"}, "ok", 0),
        ("pull_request", {"pull-request": "7"}, "wrong", 2),
        ("schedule", {}, "ok", 0),
        ("workflow_dispatch", {"audit": "plan"}, "ok", 0),
        ("pull_request", {"audit": "plan"}, "wrong", 2),
    ],
)
def test_an_event_that_brings_nothing_to_review_does_not_stop_a_checkup(
    world: World, name: str, inputs: dict[str, str], state: str, code: int
) -> None:
    pull = world.change()
    told = job(world, inputs, event_name=name, environ={"GITHUB_SHA": pull.base_sha})
    assert (told.code, told.states("Settings")["Event"]) == (code, state)
    assert told.states("GitHub")["Pull requests"] == "ok"
    assert told.states("Configuration")["Configuration"] == "ok"


def test_a_job_that_publishes_a_report_asks_no_model(world: World) -> None:
    told = job(world, {"publish": "report/report.json"}, copilot=True, token=None)
    assert told.code == 0
    unasked = {"Program": "unchecked"}, {"Model": "unchecked"}, {"Set apart": "unchecked"}
    assert tuple(map(told.states, ("Copilot CLI", "Model", "Isolation"))) == unasked
    assert world.copilot.journal == []


def test_offline_nobody_is_asked(world: World) -> None:
    told = job(world, None, "--offline", copilot=True, workspace=world.repository.path)
    assert told.code == 0
    assert told.states("GitHub") == {"Server": "unchecked"}
    assert told.states("Model") == {"Model": "unchecked"}
    assert set(told.states("Copilot CLI")) == {"Program", "Start", "Versions"}
    assert told.states("Configuration")["Configuration"] == "ok"
    without = job(world, None, "--offline")
    assert (without.code, without.states("Configuration")) == (0, {"Configuration": "unchecked"})
    assert (world.github.journal, world.copilot.journal, world.model.requests) == ([], [], [])


def test_wrong_settings_are_all_told_and_what_needs_none_is_checked_all_the_same(world: World) -> None:
    wrong = {"fail-on": "always", "max-comments": "-1"}
    told = job(world, wrong, copilot=True, environ={"GITHUB_REPOSITORY": "::error::x"})
    assert (told.code, told.stopping) == (2, ["Settings"] * 3)
    assert told.states("Copilot CLI")["Program"] == "ok"
    assert told.states("GitHub") == {"Server": "unchecked"}
    assert world.copilot.journal == []


def test_foreign_text_stays_text(world: World) -> None:
    world.change({**BASE, ".github/hunkwise.yml": 'version: 1\n"\\e[2J\\n::error::pwned": 1\n'}, HEAD)
    step = world.step(payload=event(world, action="\x1b[2J\n::warning::pwned"))
    told = doctor(step.environment(), step.folder, format="text")
    assert "\x1b" not in told.out
    names = [command.name for command in read_log(told.out).commands]
    assert set(names) <= {"add-mask", "error"}
    assert all("pwned" not in command.message[:5] for command in read_log(told.out).commands)


# The CLI


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("exit 7", "The Copilot CLI ended with status 7."),
        ("echo $0; kill -9 $$", "by signal SIGKILL"),
        ("exec sleep 60", "did not listen within 15 seconds"),
        (None, "Correct it, or remove it"),
    ],
    ids=["ends", "is killed", "does not listen", "is missing"],
)
def test_a_cli_that_does_not_listen_is_a_fault(world: World, body: str | None, said: str) -> None:
    program = script(world.folder, body) if body else world.folder / "none"
    told = job(world, copilot=True, environ={"COPILOT_CLI_PATH": str(program)})
    assert (told.code, told.stopping) == (3, ["Program"])
    assert said in told.line("Program")
    assert told.states("Model") == {"Copilot": "unchecked"}


def test_a_cli_that_already_runs_is_asked_and_not_started(world: World) -> None:
    url = world.copilot_url
    environment = {
        "COPILOT_API_URL": url,
        "COPILOT_DEBUG_GITHUB_API_URL": url,
        "COPILOT_GITHUB_TOKEN": COPILOT_TOKEN,
    }
    with running_cli(world.folder / "cli", environment) as cli:
        inputs = {"copilot-url": f"127.0.0.1:{cli.port}", "copilot-connection-token": cli.token}
        told = job(world, inputs, copilot=True, token=None)
        offline = job(world, inputs, "--offline", copilot=True, token=None)
        inputs["copilot-connection-token"] = "x" * 9
        wrong = job(world, inputs, copilot=True, token=None)
    assert (told.code, told.line("Program")) == (0, "one that runs already, at copilot-url")
    assert told.states("Model") == {"Copilot": "ok", "Model": "ok"}
    assert told.states("Isolation") == {"Set apart": "unchecked"}
    assert (offline.code, offline.states("Copilot CLI")) == (0, {"Program": "unchecked"})
    assert (wrong.code, wrong.stopping) == (3, ["Program"])
    assert cli.token not in told.out + wrong.out


@pytest.fixture
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with root_folder(tmp_path_factory.mktemp("image")) as root:
        yield {"HUNKWISE_SIDECAR_ROOT": str(root), "COPILOT_PKG_CACHE_HOME": str(root / "copilot")}


@pytest.mark.parametrize("given", [(), ("--offline",)], ids=["asked", "offline"])
def test_in_the_image_every_attempt_of_the_sidecars_user_is_a_line(
    world: World, image: dict[str, str], given: tuple[str, ...]
) -> None:
    """Where we are not root, the same environment has the CLI run as ourselves, and says so."""
    told = job(world, None, *given, workspace=world.repository.path, environ=image)
    assert (told.code, told.stopping) == (0, [])
    states = told.states("Isolation")
    if os.geteuid() == 0:
        assert (states["Set apart"], states[f"list {world.repository.path}"]) == ("ok", "ok")
        assert set(states.values()) == {"ok"}
    else:
        assert "Start the image as root" in told.line("Own user")


def test_a_shell_in_the_image_tries_its_own_folder_but_not_one_of_the_sidecars(
    world: World, image: dict[str, str]
) -> None:
    here = shell(world, "--offline", "--model", "demo", **image)
    top = shell(world, "--offline", "--model", "demo", "--repository", "/", **image)
    assert (here.stopping, top.stopping) == ([], [])
    tried = f"list {world.repository.path}"
    assert (tried in here.states("Isolation")) is (os.geteuid() == 0)
    assert "list /" not in top.states("Isolation")


# The machine


def test_an_old_git_and_a_missing_one_cost_a_job_its_search(world: World, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    script(tools, "echo git version 2.20.1", name="git")
    old = job(world, environ={"PATH": f"{tools}:{os.environ['PATH']}"})
    assert (old.code, old.states("Machine")["git"]) == (0, "warning")
    assert "git version 2.20.1 is older than 2.38" in old.line("git")
    (tools / "git").unlink()
    missing = job(world, environ={"PATH": str(tools)})
    assert (missing.code, missing.states("Machine")["git"]) == (0, "warning")


def test_places_that_cannot_be_written_are_named(world: World, tmp_path: Path) -> None:
    nowhere = tmp_path / "file"
    nowhere.touch()
    places = {
        "TMPDIR": str(nowhere / "tmp"),
        "RUNNER_TEMP": str(nowhere / "temp"),
        "GITHUB_OUTPUT": str(tmp_path / "none" / "output"),
        "GITHUB_STEP_SUMMARY": "",
    }
    told = job(world, environ=places)
    states = {name: state for name, state in told.states("Machine").items() if state == "warning"}
    assert (told.code, set(states)) == (0, {"TMPDIR", "Reports", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"})


# A shell


def test_a_shell_without_anything_has_no_model(world: World) -> None:
    told = shell(world)
    assert (told.code, told.stopping) == (3, ["Model"])
    assert told.line("Model").startswith(
        "No model is set up. Set COPILOT_GITHUB_TOKEN to a fine-grained token"
    )
    assert told.states("Copilot CLI")["Program"] == "ok"
    assert told.states("Configuration")["Configuration"] == "ok"
    assert told.states("GitHub") == {"Server": "unchecked"}


def test_a_shell_with_tokens_checks_them_and_the_pull_request(world: World) -> None:
    url = world.copilot_url
    told = shell(
        world,
        "--pr",
        "octo/repo#1",
        GITHUB_TOKEN=GITHUB_TOKEN,
        GH_TOKEN=READ_TOKEN,
        COPILOT_GITHUB_TOKEN=COPILOT_TOKEN,
        GITHUB_API_URL=world.github_url,
        COPILOT_API_URL=url,
        COPILOT_DEBUG_GITHUB_API_URL=url,
    )
    assert (told.code, told.stopping) == (0, [])
    assert told.line("Pull requests") == "#1 of octo/repo can be read"
    assert told.states("Tokens") == {
        "GITHUB_TOKEN": "ok",
        "COPILOT_GITHUB_TOKEN": "ok",
        "One token for both": "ok",
        "GH_TOKEN": "warning",
    }
    assert told.states("Model") == {"Copilot": "ok", "Model": "ok"}


def test_a_token_alone_is_tried_by_its_rate_limit(world: World) -> None:
    told = shell(world, "--model", "demo", GITHUB_TOKEN=GITHUB_TOKEN, GITHUB_API_URL=world.github_url)
    assert told.code == 0
    assert told.states("GitHub")["Token"] == "ok"
    assert [request.path for request in world.github.journal] == ["/rate_limit"]


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (["--pr", "octo"], {}, "it must be a pull request's URL, OWNER/REPO#N"),
        ([], {"COPILOT_PROVIDER_BASE_URL": "http://127.0.0.1:9/v1"}, "needs --model or COPILOT_MODEL"),
    ],
)
def test_wrong_options_end_with_2(
    world: World, arguments: list[str], environ: dict[str, str], said: str
) -> None:
    told = shell(world, "--offline", *arguments, **environ)
    assert (told.code, told.stopping) == (2, ["Settings"])
    assert said in told.line("Settings")


def test_a_named_configuration_that_is_not_there_ends_with_2(world: World) -> None:
    told = shell(world, "--offline", "--model", "demo", "--config", "nope.yml")
    assert (told.code, told.stopping) == (2, ["Configuration"])
    assert told.line("Configuration").startswith("There is no nope.yml in the working tree: correct")


@pytest.mark.parametrize("folder", ["/", "/nowhere"])
def test_a_folder_that_is_no_clone_is_told(world: World, folder: str) -> None:
    told = shell(world, "--offline", "--model", "demo", "--repository", folder)
    assert (told.code, told.states("Configuration")) == (0, {"Configuration": "warning"})


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.nightly)])
def test_a_signal_ends_it_and_nothing_is_left(world: World, number: signal.Signals) -> None:
    world.change()
    began = world.folder / "began"
    program = script(world.folder, f"touch {began}; exec sleep 60")
    step = world.step(payload=event(world), environ={"COPILOT_CLI_PATH": str(program)})
    with subprocess.Popen(
        [sys.executable, str(ROOT / "entrypoint.py"), "doctor"],
        env=step.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(began.exists)
        process.send_signal(number)
        out, errors = process.communicate(timeout=30)
    assert (process.returncode, out, errors) == (3, "", "hunkwise: The checkup was stopped.\n")
