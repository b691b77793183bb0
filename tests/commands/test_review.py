"""`hunkwise review` in real repositories, with the real CLI and SDK."""

from __future__ import annotations

import json
import os
import re
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
from tests.fakes.model_script import Answer, Fault, ModelRequest, agreeing, always, report

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
    assert printed.code == 0
    said, ruled = printed.errors.splitlines()[:2]
    assert re.match(
        r"Reviewing main \([0-9a-f]{12}\)\.\.working tree: 1 commit, 1 file, with the demo model", said
    )
    assert ruled == "Configuration: the defaults, since there is no .github/hunkwise.yml in the working tree."
    assert printed.errors.splitlines()[2] == "Reviewing: 0 of 1 part"
    assert printed.errors.splitlines()[3].startswith("Reviewing: 1 of 1 part (")
    assert not re.search("[ \t]$", printed.out, re.MULTILINE)
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
    assert run["originalUriBaseIds"] == {"%SRCROOT%": {"uri": f"{terminal.folder.as_uri()}/"}}
    found = json.loads(listed.out)["findings"]
    assert (printed.code, len(run["results"])) == (0, len(found))
    assert found
    assert {one["partialFingerprints"]["hunkwise/v1"].partition(":")[0] for one in run["results"]} == {
        one["fingerprint"] for one in found
    }


def test_quickfix_has_a_line_for_each_finding(terminal: CommandLine) -> None:
    printed = terminal.run("review", "-q", "--format", "quickfix", "--model", "demo")
    assert (printed.code, printed.errors) == (0, "")
    assert printed.out == "a.py:2:1: high: Input is evaluated as code\n"


def test_a_finding_is_a_line_before_it_is_verified(terminal: CommandLine) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def verify(request: ModelRequest) -> Answer | Fault:
        asked.set()
        assert go_on.wait(30)
        return agreeing(request)

    model = ScriptedModel(report([FINDING]))
    model.second = verify
    with serve(model) as url:
        process = with_model(terminal, url).start("review", "-q", "--format", "jsonl")
        assert process.stdout is not None
        started, found = (json.loads(process.stdout.readline()) for _ in range(2))
        assert asked.wait(30)
        assert process.poll() is None
        go_on.set()
        printed = terminal.finish(process)
    verdict, result = map(json.loads, printed.out.splitlines())
    assert (printed.code, printed.errors) == (0, "")
    assert (started["event"], started["base"], started["head"]) == ("start", "main", "working tree")
    assert (started["model"], started["tool"]["demo"]) == ("scripted-model", False)
    assert (found["event"], found["id"], found["title"], found["check"]) == ("finding", 1, "Évil", None)
    assert (verdict["id"], verdict["outcome"], verdict["check"]) == (1, "kept", "confirmed")
    assert (result["event"], result["head_sha"]) == ("result", started["head_sha"])
    assert [one["fingerprint"] for one in result["findings"]] == [found["fingerprint"]]
    assert found.keys() - {"event", "id"} == result["findings"][0].keys()


def commit_on_main(repository: GitRepository, files: dict[str, str | bytes | None]) -> None:
    """Commits the files on main, and goes to a branch with a bad line and a configuration of its own."""
    repository.git("checkout", "-q", "main")
    repository.commit(files)
    repository.branch("other")
    repository.commit({"a.py": BAD, ".github/hunkwise.yml": "version: 1\n"}, "Evaluate")


def test_configuration_and_prompts_are_those_of_the_working_tree(
    repository: GitRepository, terminal: CommandLine
) -> None:
    own = "version: 1\nfail-on: high\nprompts:\n  - name: mine\n    template: mine.j2\n"
    commit_on_main(repository, {".github/hunkwise.yml": own, "mine.j2": "{{ chunk.diff }}"})
    assert terminal.run("review").code == 0
    at_base = terminal.run("review", "--at-base")
    assert at_base.code == 1
    assert "Configuration: .github/hunkwise.yml in the merge base (" in at_base.errors
    assert "1 finding is high or worse (fail-on: high)." in at_base.errors
    (repository.path / ".github/hunkwise.yml").write_text(own + "min-coverage: 100\n")
    (repository.path / "mine.j2").write_text("{{ nothing }}")
    edited = terminal.run("review")
    assert (edited.code, "mine.j2:1: 'nothing' is undefined" in edited.errors) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "found", "said"),
    [
        ([], {"a.py", "b.py", "c.py"}, "2 commits and uncommitted changes, 3 files"),
        (["--untracked"], {"a.py", "b.py", "c.py", "d.py"}, "2 commits and uncommitted changes, 4 files"),
        (["--staged"], {"b.py"}, "HEAD (HEAD_SHA)..index: staged changes, 1 file"),
        (["--staged", "--base", "main"], {"a.py", "b.py"}, "..index: 2 commits and staged changes, 3 files"),
        (["--committed"], {"a.py"}, "..HEAD: 2 commits, 2 files"),
        (["--head", "feature~1"], {"a.py"}, "..feature~1: 1 commit, 1 file"),
        (["--base", "HEAD"], {"b.py", "c.py"}, "HEAD (HEAD_SHA)..working tree: uncommitted changes, 2 files"),
    ],
)
def test_the_options_select_commits_staged_and_unstaged_changes_and_untracked_files(
    repository: GitRepository, terminal: CommandLine, arguments: list[str], found: set[str], said: str
) -> None:
    head = repository.commit({"c.py": "pass\n"}, "Add c.py")
    (repository.path / "b.py").write_text(BAD)
    repository.git("add", "b.py")
    (repository.path / "c.py").write_text(BAD)
    (repository.path / "d.py").write_text(BAD)
    printed = terminal.run("review", "--model", "demo", "--format", "json", *arguments)
    report = json.loads(printed.out)
    assert {one["path"] for one in report["findings"]} == found
    assert said.replace("HEAD_SHA", head[:12]) in printed.errors
    assert f"({report['base_sha'][:12]}).." in printed.errors
    assert ", with the demo model" in printed.errors
    untracked = "1 untracked file is not included (d.py): add --untracked."
    whole = not {"--untracked", "--staged", "--committed", "--head"} & set(arguments)
    assert (untracked in printed.errors) == whole
    assert repository.git("status", "--short") == "A  b.py\n M c.py\n?? d.py"


def test_settings_are_taken_from_options(repository: GitRepository, terminal: CommandLine) -> None:
    options = ["--fail-on", "high", "--min-severity", "high", "--prompts", "security", "--verify", "off"]
    printed = terminal.run("review", "--model", "demo", "--format", "json", *options)
    report = json.loads(printed.out)
    assert (printed.code, report["exit_code"]) == (1, 1)
    assert {one["prompt"] for one in report["findings"]} == {"security"}
    wrong = terminal.run("review", "--model", "demo", "--fail-on", "hihg", "--max-credits", "none")
    assert wrong.code == 2
    assert (
        '--fail-on must be none, low, medium, high or critical, not "hihg"; did you mean "high"?'
        in wrong.errors
    )


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
    commit_on_main(repository, files)
    printed = terminal.run("review", "--at-base")
    assert (printed.code, printed.out) == (2, "")
    assert said in printed.errors
    assert "\x1b" not in printed.errors


def test_a_branch_without_changes_is_said_to_have_none(terminal: CommandLine) -> None:
    printed = terminal.run("review", "--head", "main")
    assert printed.code == 0
    assert "Nothing to review." in printed.out
    assert "main has no changes since main (" in printed.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--base", "nowhere"], "--base nowhere: There is no commit 'nowhere'"),
        (["--head", "nowhere"], "--head nowhere: There is no commit 'nowhere'"),
        (["--base", "orphan"], "orphan and HEAD have no commit in common: choose another --base."),
        (["--repository", "/"], "There is no git repository at /."),
        (["--repository", "/proc/.."], "There is no git repository at /."),
        (["--repository", "missing"], "--repository missing: there is no such folder."),
        (["--staged", "--committed"], "--staged and --committed name different changes"),
        (["--staged", "--head", "main"], "--staged and --head name different changes"),
        (["--untracked", "--staged"], "--untracked is for the working tree, which --staged leaves out."),
        (["--untracked", "--head", "main"], "--untracked is for the working tree, which --head leaves out."),
        (["--pr", "octo/repo#1", "--staged"], "leave out the options that select local changes"),
        (["--format", "xml"], "invalid choice"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_remedy(
    repository: GitRepository,
    terminal: CommandLine,
    arguments: list[str],
    said: str,
) -> None:
    if "orphan" in arguments:
        repository.git("checkout", "-q", "--orphan", "orphan")
        repository.commit({"b.py": "1"})
        repository.git("checkout", "-q", "feature")
    printed = terminal.run("review", *arguments)
    assert printed.code == 2
    assert said in printed.errors
    assert "Traceback" not in printed.errors


def test_a_repository_without_a_default_branch_compares_uncommitted_changes_with_head(
    terminal: CommandLine, tmp_path: Path
) -> None:
    odd = GitRepository.create(tmp_path / "odd", branch="odd")
    there = replace(terminal, folder=odd.path)
    empty = there.run("review")
    assert (empty.code, "no commits yet" in empty.errors) == (2, True)
    odd.commit({"a.py": "1"})
    same = there.run("review")
    assert (same.code, "add --base REV" in same.errors) == (2, True)
    (odd.path / "a.py").write_text(BAD)
    changed = there.run("review")
    assert (changed.code, "Input is evaluated as code" in changed.out) == (0, True)
    assert "Only uncommitted changes are reviewed. There is no default branch" in changed.errors


def test_a_shallow_clone_says_how_to_complete_it(
    repository: GitRepository, terminal: CommandLine, tmp_path: Path
) -> None:
    repository.git("checkout", "-q", "main")
    repository.commit({"b.py": "1"})
    url = f"file://{repository.path}"
    repository.git("clone", "-q", "--depth", "1", "--no-single-branch", url, str(tmp_path / "shallow"))
    printed = replace(terminal, folder=tmp_path / "shallow").run("review", "--head", "origin/feature")
    assert printed.code == 2
    assert "this is a shallow clone, run `git fetch --unshallow`." in printed.errors


def test_a_bare_repository_is_reviewed_by_its_commits(
    repository: GitRepository, terminal: CommandLine, tmp_path: Path
) -> None:
    repository.git("clone", "-q", "--bare", str(repository.path), str(tmp_path / "bare.git"))
    printed = terminal.run("review", "--repository", str(tmp_path / "bare.git"), "--base", "main")
    assert printed.code == 0
    assert "Input is evaluated as code" in printed.out
    assert "..HEAD: 1 commit, 1 file" in printed.errors


def test_a_model_that_fails_is_told(terminal: CommandLine) -> None:
    with serve(ScriptedModel(always(Fault(status=403, body={"error": {"message": "no \x1b[2J"}})))) as url:
        printed = with_model(terminal, url).run("review")
    assert (printed.code, printed.out) == (3, "")
    assert "\nhunkwise: " in printed.errors
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
    kind = "text" if post else "jsonl"
    options = ("--model", "demo", "--format", kind, *(["--post"] if post else []))
    printed = there.run("review", "--pr", "octo/repo#1", *options)
    assert printed.code == 0
    assert "Input is evaluated as code" in printed.out
    assert "Reviewing: 0 of 1 part\n" in printed.errors
    assert len(fake.reviews) == post
    assert ("View the review: http" in printed.out) == post
    if not post:
        lines = [json.loads(line) for line in printed.out.splitlines()]
        assert [line["event"] for line in lines] == ["start", "finding", "verdict", "result"]
        assert (lines[0]["pull_request"], lines[0]["repository"]) == (1, "octo/repo")


@pytest.mark.parametrize(
    ("remote", "options", "code", "said"),
    [
        ("https://github.com/octo/repo", [], 1, "Configuration: .github/hunkwise.yml in the working tree."),
        ("https://github.com/octo/repo", ["--at-base"], 0, "Configuration: that of the pull request's base."),
        ("https://github.com/octo/repo", ["--post"], 0, "Configuration: that of the pull request's base."),
        ("https://github.com/octo/other", [], 0, "Configuration: that of the pull request's base."),
    ],
)
def test_a_pull_request_is_reviewed_with_the_working_trees_configuration_in_a_clone_of_its_repository(
    repository: GitRepository,
    terminal: CommandLine,
    github: tuple[FakeGitHub, str],
    remote: str,
    options: list[str],
    code: int,
    said: str,
) -> None:
    repository.git("remote", "add", "origin", remote)
    (repository.path / ".github").mkdir()
    (repository.path / ".github/hunkwise.yml").write_text("version: 1\nfail-on: high\n")
    there = replace(terminal, environ={"GITHUB_TOKEN": "ghs_write", "GITHUB_API_URL": github[1]})
    printed = there.run("review", "--pr", "octo/repo#1", "--model", "demo", *options)
    assert printed.code == code
    assert "Reviewing octo/repo#1 with the demo model" in printed.errors
    assert said in printed.errors


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


@pytest.mark.parametrize("kind", ["text", "json", "jsonl"])
def test_a_reader_that_has_had_enough_is_no_fault_of_ours(terminal: CommandLine, kind: str) -> None:
    process = terminal.start("review", "--head", "main", "--model", "demo", "--format", kind)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    printed = terminal.finish(process)
    assert printed.code == 3
    assert "Traceback" not in printed.errors
    assert "fault of hunkwise" not in printed.errors
