"""Runs `hunkwise init` in clones: what it writes, refuses, asks and prints."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import yaml

from hunkwise import __version__
from hunkwise.commands.init import released_action
from hunkwise.commands.workflow_files import PLACEHOLDER, ActionReference
from hunkwise.domain.setup import QUESTIONS
from tests.fakes.command_line import CommandLine, Printed
from tests.fakes.git_repository import GitRepository
from tests.pages import code_blocks, code_spans, page, table

ORIGIN = {"origin": "https://github.com/octo/site.git"}
WORKFLOW, CONFIG = ".github/workflows/hunkwise.yml", ".github/hunkwise.yml"
ACTION = ("--action", f"octo-org/hunkwise@{'12' * 20} # v1.2.3")
PAGE = "https://github.com/octo/site/settings"


class Clone:
    """A clone, and a terminal in it."""

    def __init__(self, folder: Path, remotes: Mapping[str, str] = ORIGIN, **environ: str) -> None:
        repository = GitRepository.create(folder / "clone")
        for name, url in remotes.items():
            repository.git("remote", "add", name, url)
        self.path = repository.path
        self.line = CommandLine(self.path, folder / "home", environ)

    def init(self, *options: str) -> Printed:
        return self.line.run("init", *options)

    def files(self) -> dict[str, str]:
        """Returns the texts of all files outside of .git by path, and folders that are empty."""
        return {
            path.relative_to(self.path).as_posix(): path.read_bytes().decode() if path.is_file() else "folder"
            for path in self.path.rglob("*")
            if ".git" not in path.parts and (path.is_file() or not any(path.iterdir()))
        }


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], []),
        (["--dispatch", "--no-commands"], ["-by-number"]),
        (["--forks=read-only"], ["-forks"]),
        (["--forks=two-workflows"], ["-forks", "-forks-publish"]),
        (["--forks=pull-request-target", "--commands"], ["-forks", "-commands"]),
        (["--audit=weekly", "--yes"], ["-audit"]),
        (["--audit=matrix", "--two-jobs"], ["-audit"]),
    ],
)
def test_writes_the_wanted_workflows_and_a_configuration(
    clone: Clone, options: list[str], names: list[str]
) -> None:
    printed = clone.init(*options)
    assert (printed.code, printed.errors) == (0, "")
    paths = [WORKFLOW, *(f".github/workflows/hunkwise{name}.yml" for name in names), CONFIG]
    assert sorted(clone.files()) == sorted(paths)
    assert all(text.endswith("\n") and "\r" not in text for text in clone.files().values())
    assert [path for path in paths if f"  {path}\n" not in printed.out] == []


def test_config_check_accepts_the_configuration(clone: Clone) -> None:
    (clone.path / "src").mkdir()
    assert clone.init("--repository", "src", "--fail-on", "high").code == 0
    assert "\nfail-on: high\n" in clone.files()[CONFIG]
    assert clone.line.run("config", "check").code == 0


def test_existing_files_are_kept_unless_forced(clone: Clone) -> None:
    clone.init()
    written = clone.files()
    again = clone.init()
    assert again.code == 0
    assert f"{CONFIG} (unchanged)" in again.out
    (clone.path / CONFIG).write_text("version: 1\n", encoding="utf-8")
    refused = clone.init("--audit", "weekly", "--auth", "token")
    assert refused.code == 2
    assert [line for line in refused.errors.splitlines() if "exists" in line] == [
        f"hunkwise: {path} exists, and differs." for path in (WORKFLOW, CONFIG)
    ]
    assert clone.files() == {**written, CONFIG: "version: 1\n"}
    assert clone.init("--force").code == 0
    assert clone.files() == written


def test_fault_in_a_later_file_leaves_everything_as_it_was(clone: Clone) -> None:
    (clone.path / CONFIG).mkdir(parents=True)
    before = clone.files()
    printed = clone.init("--force")
    assert printed.code == 3
    assert "nothing was changed" in printed.errors
    assert clone.files() == before
    (clone.path / WORKFLOW).parent.mkdir()
    (clone.path / WORKFLOW).write_text("name: ours\n", encoding="utf-8")
    assert clone.init("--force", "--commands").code == 3
    assert clone.files() == {**before, WORKFLOW: "name: ours\n"}


def test_nothing_is_written_through_a_link_out_of_the_repository(clone: Clone, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (clone.path / ".github").symlink_to(outside)
    printed = clone.init("--force")
    assert (printed.code, list(outside.iterdir())) == (2, [])
    assert f"{CONFIG} is outside of the repository" in printed.errors
    (clone.path / ".github").unlink()
    (clone.path / ".github").mkdir()
    for name in (CONFIG, ".github/.hunkwise.yml.unfinished"):
        (clone.path / name).symlink_to(outside / "file")
    assert clone.init().code == 2
    assert clone.init("--force").code == 0
    assert (clone.path / CONFIG).is_file()
    assert list(outside.iterdir()) == []


def test_print_writes_to_standard_output_only(clone: Clone) -> None:
    printed = clone.init("--print", "--commands")
    assert (printed.code, clone.files()) == (0, {})
    documents = list(yaml.safe_load_all(printed.out))
    assert [document.get("name") for document in documents] == ["hunkwise", "hunkwise commands", None]
    assert "What remains to be done" in printed.errors


def test_folder_outside_of_a_repository_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    printed = CommandLine(folder, tmp_path / "home").run("init")
    assert printed.code == 2
    assert printed.errors == "hunkwise: There is no git repository here: run it in a clone.\n"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            ["--auth=token", "--url=https://example.com"],
            "--url is for --auth openai, azure, anthropic or running-cli",
        ),
        (["--secret=KEY"], "leave it out with --auth organization."),
        (["--auth=token", "--secret=key"], "--secret must be the name of a secret, in capital letters"),
        (["--auth=token", "--secret=GITHUB_TOKEN"], "not beginning with GITHUB_"),
        (["--auth=token", "--secret=github_pat_11AB"], "not a value that looks like a token (not shown)."),
        (
            ["--auth=openai", "--model=sk-abc"],
            "--model must be a model id without spaces, not a value that looks",
        ),
        (["--model=${{ secrets.A }}"], '--model must be a model id without spaces, not "${{ secrets.A }}".'),
        (["--auth=openai", "--url=ftp://example.com"], "--url must begin with https://"),
        (["--auth=running-cli", "--url=localhost"], "--url has no port"),
        (["--auth=running-cli", "--forks=read-only"], "must never run on a self-hosted runner"),
        (["--auth=running-cli", "--forks=two-workflows"], "choose pull-request-target, or another --auth."),
        (
            ["--action=octo-org/hunkwise@v1"],
            "--action must be OWNER/hunkwise@SHA with the full SHA of a commit",
        ),
        (["--repository=nowhere"], "There is no folder nowhere"),
    ],
)
def test_wrong_option_is_refused(clone: Clone, options: list[str], expected: str) -> None:
    printed = clone.init(*options)
    assert (printed.code, clone.files()) == (2, {})
    assert expected in printed.errors


ENTERPRISE = {"origin": "git@git.example.com:octo/site.git"}
TOKENS = "https://github.com/settings/personal-access-tokens/new"


def of_secret(page: str = PAGE) -> list[str]:
    return [f"{page}/secrets/actions/new", f"{page}/secrets/dependabot/new"]


@pytest.mark.parametrize(
    ("options", "remotes", "links"),
    [
        ([], ORIGIN, ["https://github.com/organizations/octo/settings/copilot/policies"]),
        (["--auth=token"], {**ORIGIN, "a": "https://example.com/b/c"}, [TOKENS, *of_secret()]),
        (["--auth=openai"], ORIGIN, [*of_secret(), f"{PAGE}/variables/actions/new"]),
        (["--auth=openai", "--model=gpt"], ORIGIN, of_secret()),
        (["--auth=azure"], ORIGIN, [*of_secret(), *[f"{PAGE}/variables/actions/new"] * 2]),
        (["--auth=running-cli"], ORIGIN, [f"{PAGE}/actions/runners/new", *of_secret()]),
        (
            ["--auth=token", "--forks=read-only", "--code-scanning"],
            ORIGIN,
            [TOKENS, *of_secret(), f"{PAGE}/actions", f"{PAGE}/security_analysis"],
        ),
        ([], ENTERPRISE, [TOKENS, *of_secret("https://git.example.com/octo/site/settings")]),
        (
            [],
            {"origin": "ssh://git@octo.ghe.com/octo/site"},
            ["https://octo.ghe.com/organizations/octo/settings/copilot/policies"],
        ),
        (["--auth=anthropic", "--model=a"], {}, of_secret("https://github.com/OWNER/REPO/settings")),
    ],
)
def test_remaining_steps_have_the_links_of_the_repository(
    tmp_path: Path, options: list[str], remotes: dict[str, str], links: list[str]
) -> None:
    printed = Clone(tmp_path, remotes).init(*ACTION, *options)
    assert printed.code == 0
    found = re.findall(r"https://\S+", printed.out)
    *others, actions = found
    assert (others, actions.endswith("/settings/actions")) == (links, True)
    assert "development version" not in printed.out


def test_server_without_copilot_is_not_set_up_for_it(tmp_path: Path) -> None:
    clone = Clone(tmp_path, ENTERPRISE)
    printed = clone.init("--auth", "organization")
    assert (printed.code, clone.files()) == (2, {})
    assert "https://git.example.com has no Copilot" in printed.errors
    assert clone.init("--commands").code == 0
    assert "queue:" not in clone.files()[".github/workflows/hunkwise-commands.yml"]


def test_server_of_the_environment_selects_the_remote(tmp_path: Path) -> None:
    clone = Clone(
        tmp_path, {**ORIGIN, "b": ENTERPRISE["origin"]}, GITHUB_SERVER_URL="https://git.example.com"
    )
    assert "https://git.example.com/octo/site/settings/actions" in clone.init().out


def test_release_is_that_of_the_clone_of_hunkwise(tmp_path: Path) -> None:
    assert released_action(tmp_path) == PLACEHOLDER
    repository = GitRepository.create(tmp_path / "hunkwise")
    repository.git("remote", "add", "origin", "https://github.com/octo-org/hunkwise")
    sha, tag = repository.commit({"a": "1"}), f"v{__version__}"
    assert released_action(repository.path) == PLACEHOLDER
    repository.git("tag", tag)
    assert released_action(repository.path) == ActionReference("octo-org/hunkwise", sha, tag)
    repository.commit({"a": "2"})
    assert released_action(repository.path) == PLACEHOLDER


def test_development_version_says_that_the_release_is_missing(clone: Clone) -> None:
    assert f"replace {PLACEHOLDER.repository}@{PLACEHOLDER.sha}" in clone.init().out


QUICK_START = page("docs/quick-start.md")


def test_quick_start_shows_the_remaining_steps(tmp_path: Path) -> None:
    clone = Clone(tmp_path, {"origin": "https://github.com/octo-org/shop"})
    action = ACTION[1].replace("octo-org/", "OWNER/")
    printed = clone.init("--auth", "token", "--audit", "weekly", "--action", action)
    (sample,) = code_blocks(QUICK_START, "text")
    assert printed.out.partition("\n\n")[2] == sample


def test_quick_start_has_every_option_with_its_values_and_default() -> None:
    rows = table(QUICK_START, "Option")
    assert [row[0] for row in rows] == [f"`--{question.field.replace('_', '-')}`" for question in QUESTIONS]
    for question, (_, values, default, _meaning) in zip(QUESTIONS, rows, strict=True):
        if question.answers:
            assert question.is_yes_or_no or tuple(code_spans(values)) == question.answers
            assert default == f"`{question.default('token')}`"


class Dialogue:
    """`hunkwise init` at a terminal."""

    def __init__(self, clone: Clone, *options: str) -> None:
        self._ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "hunkwise", "init", *options]
        self.process = subprocess.Popen(
            command,
            cwd=clone.path,
            env=clone.line.environment(),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def answer(self, *expected: str, answer: str = "") -> None:
        """Waits for the next question, checks what it and the text before it say, and answers it."""
        text = ""
        while not text.endswith("]: "):
            text += os.read(self._ours, 4_096).decode()
        assert [words for words in expected if words not in text] == []
        os.write(self._ours, f"{answer}\n".encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        os.close(self._ours)


@pytest.fixture
def dialogue(clone: Clone) -> Iterator[Callable[..., Dialogue]]:
    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(closing(Dialogue(clone, *options)))


def test_asks_until_answers_are_valid_and_only_for_what_is_not_given(
    clone: Clone, dialogue: Callable[..., Dialogue]
) -> None:
    asked = dialogue("--commands", "--secret", "OUR_KEY", *ACTION)
    asked.answer("Setting up octo/site.", "Which model answers", answer="opnai")
    asked.answer('did you mean "openai"?', "Which model answers", answer="openai")
    asked.answer("base URL of the provider", answer="example.com")
    asked.answer("--url is not a URL", "[https://api.openai.com/v1]", answer="https://example.com/v1")
    asked.answer("Which model, by its id", "[${{ vars.MODEL }}]")
    asked.answer("Should a second job publish", answer="maybe")
    asked.answer("must be yes or no", "Should a second job publish", "[no]", answer="y")
    for question in ("by its number", "from forks", "audited every week", "code scanning"):
        asked.answer(question)
    asked.answer("From which severity", answer="high")
    out, _ = asked.process.communicate()
    assert asked.process.returncode == 0
    assert b"OUR_KEY" in out
    files = clone.files()
    assert sorted(files) == [CONFIG, ".github/workflows/hunkwise-commands.yml", WORKFLOW]
    assert list(yaml.safe_load(files[WORKFLOW])["jobs"]) == ["review", "publish"]
    assert 'provider-base-url: "https://example.com/v1"' in files[WORKFLOW]
    assert "secrets.OUR_KEY" in files[WORKFLOW]
    assert "\nfail-on: high\n" in files[CONFIG]


@pytest.mark.parametrize("ends", ["Ctrl-C", "end of input"])
def test_dialogue_that_is_stopped_writes_nothing(
    clone: Clone, dialogue: Callable[..., Dialogue], ends: str
) -> None:
    stopped = dialogue("--auth", "token")
    stopped.answer("name of the secret")
    if ends == "Ctrl-C":
        os.killpg(stopped.process.pid, signal.SIGINT)
    else:
        stopped.answer("second job", answer="\x04")
    stopped.process.communicate()
    assert (stopped.process.returncode, clone.files()) == (3, {})
