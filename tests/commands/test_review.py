"""`hunkwise review` in real repositories, with the real CLI and SDK."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.command_line import CommandLine
from tests.fakes.git_repository import GitRepository
from tests.fakes.github import FakeGitHub
from tests.fakes.http_server import serve
from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import Answer, Fault, ModelRequest, always, report

BAD = "def run(x):\n    return eval(x)\n"
OWN_MODEL = {"COPILOT_PROVIDER_API_KEY": "key", "COPILOT_MODEL": "scripted-model"}
FINDING = {"path": "a.py", "line": 2, "severity": "high", "title": "Évil", "body": "x\x1b[2J"}


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    """A branch with one bad line."""
    made = GitRepository.create(tmp_path / "work")
    made.commit({"a.py": "def run(x):\n    return x\n"}, "Base")
    made.branch("feature")
    made.commit({"a.py": BAD}, "Evaluate")
    return made


@pytest.fixture
def terminal(repository: GitRepository, tmp_path: Path) -> Iterator[CommandLine]:
    made = CommandLine(repository.path, tmp_path / "home", {"COPILOT_MODEL": "demo"})
    yield made
    assert made.left_behind() == []


def with_model(terminal: CommandLine, url: str, **more: str) -> CommandLine:
    """The terminal with a provider of the user's own at `url`."""
    environ = {**terminal.environ, "COPILOT_PROVIDER_BASE_URL": f"{url}/v1", **OWN_MODEL, **more}
    return replace(terminal, environ=environ)


def test_a_branch_is_reviewed_by_the_demo_and_printed_for_people(terminal: CommandLine) -> None:
    printed = terminal.run("review")
    assert (printed.code, printed.errors) == (0, "")
    assert "high  Input is evaluated as code" in printed.out
    assert "a.py:2" in printed.out
    assert "This is the demo: fixed rules, not a model." in printed.out


def test_a_json_report_is_json_on_any_terminal(terminal: CommandLine) -> None:
    with serve(ScriptedModel(report([FINDING]))) as url:
        there = with_model(terminal, url, PYTHONIOENCODING="ascii")
        printed = there.run("review", "--format", "json", "--base", "main", "--head", "feature")
        text = there.run("review")
    found = json.loads(printed.out)
    assert (printed.code, found["conclusion"], found["coverage"]["percent"]) == (0, "success", 100)
    assert (found["findings"][0]["title"], found["repository"], found["pull_request"]) == (
        "Évil",
        "work",
        None,
    )
    assert (text.code, r"\xc9vil" in text.out, "\x1b" in text.out) == (0, True, False)


def test_a_markdown_report_is_the_job_summary(terminal: CommandLine) -> None:
    printed = terminal.run("review", "--format", "markdown", "--model", "demo")
    assert printed.code == 0
    assert "Input is evaluated as code" in printed.out
    assert "](http" not in printed.out  # commits that are on no server have no address


def test_a_sarif_report_has_a_result_for_each_finding(terminal: CommandLine) -> None:
    printed = terminal.run("review", "--format", "sarif", "--model", "demo")
    listed = terminal.run("review", "--format", "json", "--model", "demo")
    (run,) = json.loads(printed.out)["runs"]
    found = json.loads(listed.out)["findings"]
    assert (printed.code, len(run["results"])) == (0, len(found))
    assert found
    assert {one["partialFingerprints"]["hunkwise/v1"].partition(":")[0] for one in run["results"]} == {
        one["fingerprint"] for one in found
    }


def test_the_configuration_of_the_base_holds(repository: GitRepository, terminal: CommandLine) -> None:
    repository.git("checkout", "-q", "main")
    own = "version: 1\nfail-on: high\nprompts:\n  - name: mine\n    template: mine.j2\n"
    repository.commit({".github/hunkwise.yml": own, "mine.j2": "{{ chunk.diff }}", "AGENTS.md": "Be exact."})
    repository.branch("other")
    repository.commit({"a.py": BAD, ".github/hunkwise.yml": "version: 1\n"}, "Evaluate")
    printed = terminal.run("review")
    assert (printed.code, printed.errors) == (1, "A finding reaches fail-on: high.\n")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({".github/hunkwise.yml": "version: 1\nfail-onn: high\n"}, 'unknown key "fail-onn"'),
        (
            {
                ".github/hunkwise.yml": "version: 1\nprompts:\n  - name: mine\n    template: mine.j2\n",
                "mine.j2": "one\n{{ nothing\x1b[2J }}",
            },
            "mine.j2:2: ",
        ),
    ],
)
def test_a_broken_base_ends_with_2_and_says_where(
    repository: GitRepository, terminal: CommandLine, files: dict[str, str | bytes | None], said: str
) -> None:
    repository.git("checkout", "-q", "main")
    repository.commit(files)
    repository.branch("other")
    repository.commit({"a.py": BAD})
    printed = terminal.run("review")
    assert (printed.code, printed.out) == (2, "")
    assert said in printed.errors
    assert "\x1b" not in printed.errors


def test_a_branch_without_changes_is_said_to_have_none(terminal: CommandLine) -> None:
    printed = terminal.run("review", "--head", "main")
    assert printed.code == 0
    assert "Nothing was reviewed." in printed.out
    assert "main has nothing that is not in main: choose another --base or --head." in printed.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--base", "nowhere"], 3, "nowhere"),
        (["--base", "orphan"], 2, "orphan and HEAD have no commit in common: choose another --base."),
        (["--repository", "/"], 3, "repository"),
        (["--format", "xml"], 2, "invalid choice"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_remedy(
    repository: GitRepository,
    terminal: CommandLine,
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    if "orphan" in arguments:
        repository.git("checkout", "-q", "--orphan", "orphan")
        repository.commit({"b.py": "1"})
        repository.git("checkout", "-q", "feature")
    printed = terminal.run("review", *arguments)
    assert printed.code == code
    assert said in printed.errors
    assert "Traceback" not in printed.errors


def test_a_repository_without_a_default_branch_asks_for_one(terminal: CommandLine, tmp_path: Path) -> None:
    odd = GitRepository.create(tmp_path / "odd", branch="odd")
    odd.commit({"a": "1"})
    printed = replace(terminal, folder=odd.path).run("review")
    assert (printed.code, "add --base REV" in printed.errors) == (2, True)


def test_a_model_that_fails_is_told(terminal: CommandLine) -> None:
    with serve(ScriptedModel(always(Fault(status=403, body={"error": {"message": "no \x1b[2J"}})))) as url:
        printed = with_model(terminal, url).run("review")
    assert (printed.code, printed.out) == (3, "")
    assert printed.errors.startswith("hunkwise: ")
    assert "\x1b" not in printed.errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_behind(terminal: CommandLine, number: signal.Signals) -> None:
    asked = threading.Event()

    def hang(request: ModelRequest) -> Answer:
        asked.set()
        return Answer(delay=60)

    with serve(ScriptedModel(hang)) as url:
        there = with_model(terminal, url)
        process = there.start("review")
        assert asked.wait(30)
        os.kill(process.pid, number)
        printed = there.finish(process)
    assert printed.code == 3
    assert "stopped before anything was reviewed" in printed.errors


@pytest.fixture
def github(repository: GitRepository) -> Iterator[tuple[FakeGitHub, str]]:
    fake = FakeGitHub(repository.git_dir)
    base, head = repository.git("rev-parse", "main"), repository.git("rev-parse", "feature")
    fake.add_pull_request(1, base_sha=base, head_sha=head)
    with serve(fake) as url:
        yield fake, url
    assert fake.violations == []


@pytest.mark.parametrize("post", [False, True])
def test_a_pull_request_is_read_and_posted_only_where_asked(
    terminal: CommandLine, github: tuple[FakeGitHub, str], post: bool
) -> None:
    fake, url = github
    environ = {"GITHUB_TOKEN": "ghs_write", "GITHUB_API_URL": url}
    there = replace(terminal, environ=environ)
    printed = there.run("review", "--pr", "octo/repo#1", "--model", "demo", *(["--post"] if post else []))
    assert printed.code == 0
    assert "Input is evaluated as code" in printed.out
    assert len(fake.reviews) == post
    assert ("The review: http" in printed.out) == post


def test_a_pull_request_that_does_not_exist_is_told(
    terminal: CommandLine, github: tuple[FakeGitHub, str]
) -> None:
    environ = {"GH_TOKEN": "ghs_write", "GITHUB_API_URL": github[1]}
    printed = replace(terminal, environ=environ).run("review", "--pr", "octo/repo#9", "--model", "demo")
    assert printed.code == 3
    assert "octo/repo" in printed.errors


@pytest.mark.parametrize(("arguments", "said"), [(["--help"], "review"), (["review", "--help"], "--pr")])
def test_the_help_says_what_there_is(terminal: CommandLine, arguments: list[str], said: str) -> None:
    printed = terminal.run(*arguments)
    assert printed.code == 0
    assert said in printed.out


@pytest.mark.parametrize("kind", ["text", "json"])
def test_a_reader_that_has_had_enough_is_no_fault_of_ours(terminal: CommandLine, kind: str) -> None:
    process = terminal.start("review", "--head", "main", "--model", "demo", "--format", kind)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    printed = terminal.finish(process)
    assert printed.code == 3
    assert "Traceback" not in printed.errors
    assert "fault of hunkwise" not in printed.errors
