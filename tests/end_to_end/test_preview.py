"""Checks that a preview shows what a review sends, without a CLI, a model or any write."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.prompts import user_text
from tests.fakes.command_line import CommandLine
from tests.fakes.git_repository import GitRepository
from tests.fakes.github import FakeGitHub
from tests.fakes.http_server import serve
from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import ModelRequest, report

HOME = ".github/hunkwise.yml"
CONFIG = """\
version: 1
chunk-size: 4000
prompts:
  - review
  - name: mine
    template: mine.j2
    paths: ["*.py"]
"""
OWN = """\
---
description: Mine
---
MINE{% if pull_request %} {{ pull_request.title | quoted }}{% endif %}
{{ chunk.diff }}
"""
BAD = "def run(x):\n    return eval(x)  # caf\u00e9\n"
LONG = "".join(f"value_{number} = {number}\n" for number in range(300))
FINDING = {"path": "a.py", "line": 2, "severity": "high", "title": "Evil", "body": "It runs anything."}


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    """Returns a branch of several chunks, on a base with a configuration, a template and instructions."""
    repository = GitRepository.create(tmp_path / "work")
    base: dict[str, str | bytes | None] = {
        HOME: CONFIG,
        "mine.j2": OWN,
        "AGENTS.md": "Be exact.\n",
        "a.py": "def run(x):\n    return x\n",
    }
    repository.commit(base, "Base")
    repository.branch("feature")
    repository.commit({"a.py": BAD, "odd\x1b[2J.py": LONG, "notes.txt": "x\x1b]0;y\x07\n"}, "Evaluate")
    return repository


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """Returns the file that a started CLI would create."""
    return tmp_path / "started"


@pytest.fixture
def terminal(repository: GitRepository, tmp_path: Path, canary: Path) -> Iterator[CommandLine]:
    """Yields a command line whose Copilot CLI creates the canary file."""
    program = tmp_path / "bin" / "copilot"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {canary}\n")
    program.chmod(0o755)
    command_line = CommandLine(repository.path, tmp_path / "home", {"COPILOT_CLI_PATH": str(program)})
    yield command_line
    assert command_line.left_behind() == []
    assert not canary.exists()


def preview(terminal: CommandLine, *words: str) -> dict[str, Any]:
    printed = terminal.run("prompts", "render", *words, "--format", "json", "--system")
    assert (printed.code, printed.errors) == (0, "")
    preview: dict[str, Any] = json.loads(printed.out)
    return preview


def scripted_provider(url: str) -> dict[str, str]:
    return {
        "COPILOT_PROVIDER_BASE_URL": f"{url}/v1",
        "COPILOT_PROVIDER_API_KEY": "key",
        "COPILOT_MODEL": "scripted-model",
    }


def test_preview_of_range_equals_sent_prompts(repository: GitRepository, terminal: CommandLine) -> None:
    model = ScriptedModel(report([FINDING]))
    with serve(model) as url:
        reviewing = CommandLine(repository.path, terminal.home, scripted_provider(url))
        assert reviewing.run("review").code == 0
    for name in ("review", "mine"):
        found = preview(terminal, name)
        assert len(found["chunks"]) > 1
        sent = [request for request in model.requests if ("MINE" in user_text(request)) == (name == "mine")]
        assert_sent(found, sent)
    assert len(model.requests) == sum(
        preview(terminal, name)["total"]["chunks"] for name in ("review", "mine")
    )
    for name, tool in (("verify", "report_verdicts"), ("summary", "report_summary")):
        (request, *_) = [one for one in model.second_requests if tool in one.tool_names]
        assert preview(terminal, name)["system"]["text"].strip() in request.system


def assert_sent(found: dict[str, Any], requests: list[ModelRequest]) -> None:
    """Checks that each chunk is in one request, except for trailing spaces, which the CLI removes."""
    assert len(requests) == len(found["chunks"])
    for chunk in found["chunks"]:
        (request,) = [one for one in requests if chunk["text"].strip() in user_text(one)]
        assert found["system"]["text"].strip() in request.system


def test_preview_of_pull_request_equals_sent_prompts(
    repository: GitRepository, terminal: CommandLine
) -> None:
    fake, model = FakeGitHub(repository.git_dir), ScriptedModel(report([]))
    base, head = repository.git("rev-parse", "main"), repository.git("rev-parse", "feature")
    fake.add_pull_request(1, base_sha=base, head_sha=head, title="Run it", body="All of it.")
    words = ("--pr", "octo/repo#1", "--repository", str(terminal.home))
    with serve(fake) as github, serve(model) as url:
        environ = {"GITHUB_TOKEN": "ghs_write", "GITHUB_API_URL": github}
        reviewing = CommandLine(repository.path, terminal.home, {**environ, **scripted_provider(url)})
        assert reviewing.run("review", *words).code == 0
        there = replace(terminal, environ={**terminal.environ, **environ})
        for name in ("review", "mine"):
            found = preview(there, name, "--at-base", *words)
            assert found["read-from"].startswith("the pull request's base (")
            sent = [one for one in model.requests if ("MINE" in user_text(one)) == (name == "mine")]
            assert_sent(found, sent)
            assert "> Run it" in found["chunks"][0]["text"]
        (repository.path / "mine.j2").write_text("TREE {{ pull_request.number }}")
        tree = preview(there, "mine", "--pr", "octo/repo#1")
        assert {chunk["text"] for chunk in tree["chunks"]} == {"TREE 1\n"}
        assert tree["read-from"] == "the working tree"
        shown = there.run("config", "show", "--pr", "octo/repo#1", "--format", "json")
        far = there.run("config", "show", *words, "--format", "json")
        missing = there.run("prompts", "render", "review", "--pr", "octo/repo#9")
    assert json.loads(shown.out)["configuration"]["commit"] == base
    assert json.loads(shown.out)["values"] == json.loads(far.out)["values"]
    assert json.loads(far.out)["values"]["chunk-size"] == {
        "value": 4000,
        "source": "file",
        "path": HOME,
        "line": 2,
    }
    assert (missing.code, missing.out) == (3, "")
    assert fake.violations == []
    assert fake.writes == []


_MODULES = """
import sys
from hunkwise.cli import main
code = main(sys.argv[1:])
heavy = ("copilot", "github", "rich", "hunkwise.copilot", "hunkwise.github", "tree_sitter")
print(code, sorted(name for name in heavy if name in sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "words",
    [
        ["config", "show"],
        ["config", "check"],
        ["prompts", "list"],
        ["prompts", "show", "review"],
        ["prompts", "render", "review"],
        ["prompts", "render", "verify"],
    ],
)
def test_preview_imports_neither_sdk_nor_github(terminal: CommandLine, words: list[str]) -> None:
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run(
        [sys.executable, "-c", _MODULES, *words],
        cwd=terminal.folder,
        env=environ,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    terminal.temporary.mkdir(parents=True, exist_ok=True)
    assert done.stderr == "0 []\n"


@pytest.mark.parametrize(
    "words",
    [
        ["prompts", "render", "review"],
        ["prompts", "show", "hostile"],
        ["prompts", "list"],
        ["config", "show"],
    ],
)
def test_terminal_output_has_no_control_characters(
    repository: GitRepository, terminal: CommandLine, words: list[str]
) -> None:
    own = 'version: 1\nprompts: [review, {name: hostile, template: "h\u202e.j2"}]\n'
    (repository.path / HOME).write_text(own.replace("\u202e", ""))
    (repository.path / "h.j2").write_text("\x1b[2J\x1b]52;c;x\x07 {{ chunk.diff }}\n")
    terminal.temporary.mkdir(parents=True, exist_ok=True)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "hunkwise", *words],
        cwd=terminal.folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(terminal.home),
            "TMPDIR": str(terminal.temporary),
            "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
            "PYTHONIOENCODING": "utf-8",
        },
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 65_536):
            seen += piece
    except OSError:  # the other side is closed: Linux says so with EIO
        pass
    os.close(ours)
    assert process.wait(60) == 0
    assert seen
    assert re.findall(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", seen) == []
    piped = terminal.run("prompts", "show", "hostile")
    assert piped.out == "\x1b[2J\x1b]52;c;x\x07 {{ chunk.diff }}\n"


@pytest.mark.parametrize(
    ("words", "code", "words_in_error"),
    [
        (["prompts"], 2, "required: list|show|render"),
        (["config"], 2, "required: show|check"),
        (["prompts", "lst"], 2, "invalid choice: 'lst'"),
        (["prompts", "show"], 2, "required: NAME"),
        (
            ["prompts", "show", "revew"],
            2,
            'hunkwise: There is no prompt or template "revew"; did you mean "review"?',
        ),
        (
            ["prompts", "render", "summry"],
            2,
            'hunkwise: There is no prompt "summry"; did you mean "summary"?',
        ),
        (["prompts", "render", "review", "--chunk", "-1"], 2, "--chunk"),
        (["prompts", "render", "review", "--chunk", "99"], 2, "hunkwise: --chunk is 99, and there are"),
        (
            ["prompts", "render", "review", "--base", "nowhere"],
            2,
            "hunkwise: --base nowhere: There is no commit 'nowhere'",
        ),
        (
            ["prompts", "render", "review", "--repository", "nowhere"],
            2,
            "There is no folder nowhere; name the folder of a clone.",
        ),
        (["prompts", "render", "review", "--pr", "octo/repo#1"], 2, "--pr needs a token"),
        (["prompts", "list", "--format", "xml"], 2, "invalid choice: 'xml'"),
        (["config", "show", "--model", "a b"], 2, "hunkwise: --model must be a model id without spaces"),
        (
            ["config", "show", "--base", "nowhere"],
            2,
            "hunkwise: --base nowhere: There is no commit 'nowhere'",
        ),
        (
            ["config", "show", "--config", "../x"],
            2,
            "hunkwise: --config must be the path of a file in the repository",
        ),
        (["config", "check", "--config", "x.yml"], 2, "hunkwise: There is no x.yml in the working tree"),
        (["config", "check", "--repository", "nowhere"], 2, "There is no folder nowhere"),
    ],
)
def test_wrong_command_line_names_remedy(
    terminal: CommandLine, words: list[str], code: int, words_in_error: str
) -> None:
    printed = terminal.run(*words)
    assert (printed.code, printed.out) == (code, "")
    assert words_in_error in printed.errors
    assert "Traceback" not in printed.errors


def test_config_check_lists_all_faults(repository: GitRepository, terminal: CommandLine) -> None:
    right = terminal.run("config", "check")
    assert (right.code, right.out.splitlines()[0], right.errors) == (0, "ok", "")
    (repository.path / "mine.j2").write_text("---\npathes: []\ncolour: red\n---\n")
    wrong = terminal.run("config", "check")
    assert (wrong.code, wrong.out) == (2, "")
    first, second = wrong.errors.splitlines()
    assert first.startswith('hunkwise: mine.j2:2: unknown key "pathes"; did you mean "paths"?')
    assert second.startswith('hunkwise: mine.j2:3: unknown key "colour"')


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["prompts"], ["list|show|render"]),
        (["prompts", "list"], ["--format", "--config"]),
        (["prompts", "show"], ["NAME", "--extended", "hunkwise/NAME"]),
        (
            ["prompts", "render"],
            ["--base REV", "--pr PR", "--chunk N", "--system", "--at-base", "estimate"],
        ),
        (["config"], ["show|check"]),
        (["config", "show"], ["--base REV", "--pr PR", "--model ID", "never shown"]),
        (["config", "check"], ["pre-commit hook", "path:line"]),
    ],
    ids=" ".join,
)
def test_help_lists_commands_and_options(
    terminal: CommandLine, words: list[str], expected: list[str]
) -> None:
    printed = terminal.run(*words, "--help")
    assert printed.code == 0
    assert [word for word in expected if word not in printed.out] == []


def test_closed_output_is_not_reported_as_an_error(terminal: CommandLine) -> None:
    process = terminal.start("prompts", "render", "review")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    printed = terminal.finish(process)
    assert (printed.code, printed.errors) == (3, "")


def has_child(process: subprocess.Popen[str], word: str) -> bool:
    """Returns whether a child of the process has that word in its command line."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        return any(word in Path(f"/proc/{pid}/cmdline").read_text() for pid in children.read_text().split())
    except OSError:  # one of them has ended
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_preview(
    repository: GitRepository, terminal: CommandLine, number: signal.Signals
) -> None:
    slow = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}{{ chunk.diff }}"
    (repository.path / "mine.j2").write_text(slow)
    process = terminal.start("prompts", "render", "mine")
    ends = time.monotonic() + 30
    while not has_child(process, "hunkwise.prompts.sandbox") and time.monotonic() < ends:
        time.sleep(0.01)
    process.send_signal(number)
    printed = terminal.finish(process)
    assert (printed.code, printed.out) == (3, "")
    assert printed.errors == "hunkwise: The preview was stopped before it was done.\n"
