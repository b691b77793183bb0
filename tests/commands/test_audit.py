"""`hunkwise audit` in real repositories, with the real CLI and the demo model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hunkwise.commands.audit_stages import CommitReader
from hunkwise.domain.audit import TreeFile
from hunkwise.repository.git import Git
from tests.fakes.command_line import CommandLine, Printed
from tests.fakes.git_repository import GitRepository

BAD = "def run(x):\n    return eval(x)\n"
GOOD = "def go(x):\n    return x\n"
TITLE = "Input is evaluated as code"


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    made = GitRepository.create(tmp_path / "site")
    made.commit({"src/a.py": BAD, "src/b.py": GOOD, "lib/c.py": GOOD + "# c\n", "data": b"\0\1"}, "Base")
    return made


@pytest.fixture
def terminal(repository: GitRepository, tmp_path: Path) -> Iterator[CommandLine]:
    made = CommandLine(repository.path, tmp_path / "home")
    yield made
    assert not made.temporary.is_dir() or made.left_behind() == []
    assert repository.git("status", "--porcelain", "--ignored") == ""


def states(terminal: CommandLine) -> list[Path]:
    return sorted((terminal.home / ".cache" / "hunkwise" / "audits").glob("*"))


def values(printed: Printed) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed.out)
    return found


def test_a_second_audit_reads_what_changed_and_still_lists_the_finding(
    repository: GitRepository, terminal: CommandLine
) -> None:
    first = terminal.run("audit")
    assert first.code == 0
    assert first.errors.splitlines()[0] == "Reading: 0 of 1 part"
    assert f"high  {TITLE}" in first.out
    assert "1 finding: 1 high. 1 new." in first.out
    assert "3 of 3 files read (100 %)" in first.out
    assert "not read: 1 file (binary)" in first.out
    assert [path.name.rpartition("-")[0] for path in states(terminal)] == ["site"]
    repository.commit({"src/b.py": GOOD + "# changed\n"})
    second = terminal.run("audit")
    assert "1 finding: 1 high. 0 new." in second.out
    assert f"{TITLE}\n  src/a.py:2" in second.out
    third = values(terminal.run("audit", "--format", "json"))
    assert third["usage"]["model_calls"] == 0
    repository.commit({"src/a.py": GOOD + "# safe\n"})
    assert "No open findings" in terminal.run("audit").out


def test_a_finding_follows_its_code_into_a_file_that_existed_before(
    repository: GitRepository, terminal: CommandLine
) -> None:
    terminal.run("audit")
    repository.commit({"src/a.py": GOOD, "src/b.py": BAD})
    swapped = values(terminal.run("audit", "--format", "json"))
    assert [(finding["path"], finding["known"]) for finding in swapped["findings"]] == [("src/b.py", True)]
    assert (swapped["fixed"], swapped["usage"]["model_calls"]) == ([], 0)
    repository.commit({"src/b.py": GOOD, "copy.py": BAD, "other.py": BAD})
    repository.commit({"copy.py": GOOD})
    copied = values(terminal.run("audit", "--format", "json"))
    assert [finding["path"] for finding in copied["findings"]] == ["other.py"]


def test_a_state_that_cannot_be_written_leaves_the_report(terminal: CommandLine, tmp_path: Path) -> None:
    long = "s" * 250  # with what is added until the file is whole, the name is too long
    printed = terminal.run("audit", "--state", str(tmp_path / long), "--format", "json")
    assert [finding["title"] for finding in values(printed)["findings"]] == [TITLE]
    assert printed.code == 2
    assert "cannot be written (File name too long)" in printed.errors


def test_formats_agree_and_showing_writes_nothing(terminal: CommandLine) -> None:
    assert terminal.run("audit", "--format", "markdown").out.count(TITLE) >= 1
    (state,) = states(terminal)
    before = state.read_bytes()
    shown = {
        name: terminal.run("audit", "show", "--format", name)
        for name in ("text", "json", "sarif", "markdown", "quickfix")
    }
    assert {printed.code for printed in shown.values()} == {0}
    found = values(shown["json"])
    (finding,) = found["findings"]
    assert (finding["title"], found["lap"]["audits_left"]) == (TITLE, 0)
    (run,) = json.loads(shown["sarif"].out)["runs"]
    assert run["automationDetails"]["id"] == "hunkwise-audit/"
    assert run["originalUriBaseIds"] == {"%SRCROOT%": {"uri": f"{terminal.folder.as_uri()}/"}}
    assert shown["quickfix"].out == f"src/a.py:2:1: high: {TITLE}\n"
    assert [one["partialFingerprints"]["hunkwise/v1"].partition(":")[0] for one in run["results"]] == [
        finding["fingerprint"]
    ]
    assert TITLE in shown["text"].out
    assert TITLE in shown["markdown"].out
    assert state.read_bytes() == before


def test_no_more_than_five_hundred_attributes_files_are_read(repository: GitRepository) -> None:
    texts = {f"{folder}/.gitattributes": "*.py linguist-generated\n" for folder in ("first", "last")}
    head = repository.commit(texts)
    names = ("first", *(f"missing{number}" for number in range(499)), "last")
    files = [TreeFile(f"{folder}/.gitattributes", "a" * 40, 30) for folder in names]
    with closing(Git(repository.path)) as git:
        assert CommitReader(git, None, 0.0).attributes(head, files).keys() == {"first"}
        assert CommitReader(git, None, 0.0).attributes(head, files[1:]).keys() == {"last"}


def test_before_the_first_audit_nothing_is_read(terminal: CommandLine) -> None:
    shown = values(terminal.run("audit", "show", "--format", "json"))
    lap = {"number": 1, "files_read": 0, "files_total": 4, "audits_left": 1}
    assert {key: value for key, value in shown["lap"].items() if key in lap} == lap
    assert states(terminal) == []


def test_paths_narrow_what_is_read_and_what_is_listed(terminal: CommandLine, tmp_path: Path) -> None:
    state = str(tmp_path / "own.json")
    lib = terminal.run("audit", "--state", state, "--paths", "lib")
    assert "No open findings" in lib.out
    assert "1 of 4 files read" in lib.out
    terminal.run("audit", "--state", state)
    for arguments in (
        ("audit", "--state", state, "show", "--paths", "lib"),
        ("audit", "show", "--state", state, "--paths", "lib"),
    ):
        assert "No open findings" in terminal.run(*arguments).out
    assert TITLE in terminal.run("audit", "--paths", "src", "show", "--state", state).out
    assert states(terminal) == []


def test_reading_again_asks_again_and_a_baseline_dismisses(terminal: CommandLine) -> None:
    first = values(terminal.run("audit", "--baseline", "--format", "json"))
    assert (first["findings"], [one["by"] for one in first["dismissed"]]) == ([], ["baseline"])
    again = values(terminal.run("audit", "--read-again", "--format", "json"))
    assert again["lap"]["number"] == 2
    assert again["usage"]["model_calls"] > 0
    assert again["findings"] == []


def test_plan_run_and_merge_are_one_audit(
    repository: GitRepository, terminal: CommandLine, tmp_path: Path
) -> None:
    repository.commit({".github/hunkwise.yml": "version: 1\nchunk-size: 4000\nsummary: off\n"})
    repository.commit({f"src/{name}.py": f"# {name}\n" + GOOD * 70 for name in "xyz"})
    plan, parts = str(tmp_path / "plan.json"), tmp_path / "parts"
    planned = terminal.run("audit", "plan", "--shards", "2", "--out", plan, "--model", "demo")
    assert (planned.code, planned.out) == (0, '{"include":[{"shard":1},{"shard":2}]}\n')
    assert states(terminal) == []
    read = terminal.run("audit", "run", "--plan", plan, "--shard", "1", "--out", str(parts / "1.json"))
    assert (read.code, read.out) == (0, "")
    assert states(terminal) == []
    partial = terminal.run("audit", "merge", "--plan", plan, str(parts))
    assert partial.code == 4
    assert "Shard 2 made no report: its " in partial.errors
    rest = terminal.run("audit", "--format", "json")
    assert rest.code == 0
    assert values(rest)["lap"]["audits_left"] == 0
    assert [one["title"] for one in values(rest)["findings"]] == [TITLE]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--post"], "--post needs --issue OWNER/REPO"),
        (["merge", "--post", "--plan", "p"], "--post needs --issue OWNER/REPO"),
        (["--issue", "site"], "--issue is 'site'; it must read OWNER/REPO"),
        (["show", "site"], "--issue is 'site'; it must read OWNER/REPO"),
        (["--issue", "octo/site"], "--issue needs a token that may read and write issues: set GITHUB_TOKEN."),
        (
            ["--issue", "octo/site", "show", "--state", "s"],
            "--issue and --state both name where the state is",
        ),
        (
            ["merge", "--plan", "nothing.json"],
            "The plan nothing.json cannot be read (No such file or directory)",
        ),
        (["plan", "--out", "/dev/null/plan.json"], "--out /dev/null/plan.json: the file cannot be written"),
        (
            ["run", "--plan", "p", "--shard", "0", "--out", "o"],
            "--shard: it must be a whole number from 1 to 256",
        ),
        (["plan"], "the following arguments are required: --out"),
        (["--config", "../x.yml"], "--config"),
    ],
)
def test_a_wrong_option_is_one_message(terminal: CommandLine, arguments: list[str], message: str) -> None:
    printed = terminal.run("audit", *arguments)
    assert (printed.code, printed.out) == (2, "")
    assert message in printed.errors
    assert "Traceback" not in printed.errors
    assert states(terminal) == []


def test_plans_of_other_commits_and_repositories_are_refused(terminal: CommandLine, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    terminal.run("audit", "plan", "--out", str(plan))
    other = GitRepository.create(tmp_path / "other")
    other.commit({"a.py": GOOD})
    there = replace(terminal, folder=other.path)
    merged = there.run("audit", "merge", "--plan", str(plan))
    assert merged.code == 2
    assert "which the clone does not have: check out the commit that the plan was made for" in merged.errors
    token = replace(terminal, environ={"GITHUB_TOKEN": "ghs_x"})
    mixed = token.run("audit", "merge", "--plan", str(plan), "--issue", "octo/site")
    assert mixed.code == 2
    assert "The plan is about the repository site, not about octo/site." in mixed.errors
    plan.write_text(plan.read_text().replace('"today"', '"tonight"'))
    damaged = terminal.run("audit", "run", "--plan", str(plan), "--shard", "1", "--out", str(tmp_path / "p"))
    assert (damaged.code, "The plan is damaged" in damaged.errors) == (2, True)


def test_a_damaged_state_is_kept_and_named(terminal: CommandLine, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text("{}")
    printed = terminal.run("audit", "--state", str(state))
    assert (printed.code, state.read_text()) == (2, "{}")
    assert (
        "is damaged, or is no state of an audit: delete it, or name another one by --state" in printed.errors
    )
