"""Inputs of an audit's plan from real git: files, activity and renames."""

from __future__ import annotations

import hashlib
import math
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from hunkwise.domain.audit import FileActivity, TreeFile
from hunkwise.errors import RepositoryError
from hunkwise.repository.git import Git
from hunkwise.repository.git_process import GitResult
from hunkwise.repository.history import find_renames, list_tree, read_activity
from tests.repository.repositories import Entry, Trees, git
from tests.repository.test_git import TREES, Files

NOW = 1_760_000_000
DAY = 86_400


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Trees:
    return Trees.make(tmp_path_factory.mktemp("trees"))


@pytest.fixture(scope="module")
def repository(trees: Trees) -> Git:
    return Git(trees.folder)


def blob_of(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content)).hexdigest()


@given(files=TREES)
@settings(max_examples=30, deadline=None)
def test_all_files_are_listed_in_byte_order(trees: Trees, repository: Git, files: Files) -> None:
    listed = list_tree(repository, trees.commit(files, branch="listed"))
    assert listed == tuple(
        TreeFile(path.decode("utf-8", "surrogateescape"), blob_of(content), len(content))
        for path, content in sorted(files.items())
    )


def test_links_and_submodules_are_not_listed(trees: Trees, repository: Git) -> None:
    files: dict[bytes, Entry] = {
        b"a-b": b"1",
        b"a/x": ("100755", b"22"),
        b"a.b": b"",
        b"link": ("120000", b"a-b"),
        b"module": ("160000", b"1" * 40),
    }
    sha = trees.commit(files, branch="kinds")
    assert [(file.path, file.size) for file in list_tree(repository, sha)] == [
        ("a-b", 1),
        ("a.b", 0),
        ("a/x", 2),
    ]


@pytest.mark.parametrize("sha", ["HEAD", "--all", "0" * 40])
def test_missing_commit_is_an_error(repository: Git, sha: str) -> None:
    for read in (list_tree, lambda git, sha: read_activity(git, sha, NOW)):
        with pytest.raises(RepositoryError, match=r"SHA|fetch-depth"):
            read(repository, sha)
    with pytest.raises(RepositoryError, match=r"SHA|fetch-depth"):
        find_renames(repository, sha, sha)


def test_file_without_content_in_the_clone_is_an_error(tmp_path: Path) -> None:
    trees = Trees.make(tmp_path)
    sha = trees.commit({b"a.py": b"here", b"b.py": b"gone"})
    oid = blob_of(b"gone")
    (tmp_path / ".git/objects" / oid[:2] / oid[2:]).unlink()
    with pytest.raises(RepositoryError, match=r"content of 'b.py'.*without a filter"):
        list_tree(Git(tmp_path), sha)


def weight_after(days: float) -> float:
    return math.exp(-days / 120)


def test_activity_counts_commits_of_a_year_by_age_and_fixes_by_subject(tmp_path: Path) -> None:
    trees = Trees.make(tmp_path)
    everything = {b"many/%d" % number: b"1" for number in range(61)}
    files: dict[bytes, Entry] = {b"old.py": b"1", b"a.py": b"1", b"b\n \xff.py": b"1"}
    sha = trees.commit(files, message=b"Before the year", seconds=NOW - 366 * DAY)
    steps: list[tuple[bytes, dict[bytes, Entry], float]] = [
        (b"Add a feature", {b"a.py": b"2", b"b\n \xff.py": b"2"}, 100),
        (b"fixed: the crash\n\nin the body: nothing", {b"a.py": b"3"}, 50),
        (b"", {b"a.py": b"4"}, 40),
        (b"Say more\n\nThis fixes a bug", {b"b\n \xff.py": b"3"}, 30),
        (b"Fix the format of all files", dict(everything), 20),
        (b"Clock of the future, prefix the fixture", {b"a.py": b"5"}, -10),
    ]
    for message, changed, days in steps:
        files |= changed
        sha = trees.commit(files, [sha], message, seconds=int(NOW - days * DAY))
    activity = read_activity(Git(tmp_path), sha, NOW)
    assert activity is not None
    assert activity.keys() == {"a.py", "b\n \udcff.py"}
    a, b = activity["a.py"], activity["b\n \udcff.py"]
    assert a.changes == pytest.approx(weight_after(100) + weight_after(50) + weight_after(40) + 1)
    assert a.fixes == pytest.approx(weight_after(50))
    assert b.changes == pytest.approx(weight_after(100) + weight_after(30))
    assert b.fixes == 0


@pytest.mark.parametrize(
    ("subject", "is_fix"),
    [
        ("Fix it", True),
        ("hotfix: x", True),
        ("Bugfixes", True),
        ("bugfix", True),
        ("(bug) x", True),
        ("a data race", True),
        ("memory leaks", True),
        ("SECURITY: y", True),
        ("a vulnerability", True),
        ("regression in x", True),
        ("crashes", True),
        ("Prefix the names", False),
        ("debug output", False),
        ("trace", False),
        ("Add fixtures", False),
    ],
)
def test_subjects_of_fixes(trees: Trees, repository: Git, subject: str, is_fix: bool) -> None:
    sha = trees.commit({b"f": b"1"}, message=subject.encode(), branch="subjects", seconds=NOW)
    assert read_activity(repository, sha, NOW) == {"f": FileActivity(1.0, float(is_fix))}


def test_merges_are_not_counted_and_renamed_file_starts_anew(tmp_path: Path) -> None:
    trees = Trees.make(tmp_path)
    root = trees.commit({b"f": b"1\n2\n3\n"}, message=b"root", seconds=NOW)
    left = trees.commit({b"f": b"1\n2\n3\n", b"l": b"1"}, [root], message=b"left", seconds=NOW)
    right = trees.commit({b"g": b"1\n2\n3\n"}, [root], message=b"right", branch="right", seconds=NOW)
    merge = trees.commit({b"g": b"1\n2\n3\n", b"l": b"2"}, [left, right], seconds=NOW)
    once = FileActivity(1.0)
    assert read_activity(Git(tmp_path), merge, NOW) == {"f": FileActivity(2.0), "l": once, "g": once}


def test_commit_without_time_is_not_counted(tmp_path: Path) -> None:
    trees = Trees.make(tmp_path)
    sha = trees.commit({b"f": b"1"}, seconds=NOW)
    tree = git(tmp_path, "rev-parse", f"{trees.commit({b'f': b'2'}, branch='other')}^{{tree}}").decode()
    text = f"tree {tree}parent {sha}\n\nFix it\n".encode()
    commit = git(tmp_path, "hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=text)
    # With the clock at 0, git does not stop at a commit that it dates to 0.
    assert read_activity(Git(tmp_path), commit.decode().strip(), 0) == {"f": FileActivity(1.0)}


class ShortOutput(Git):
    """Git with output that is cut after some bytes."""

    log_limit = 0
    list_limit = 10_000

    def run(self, command: str, *arguments: str | bytes, limit: int = 10_000, **options: Any) -> GitResult:
        limit = {"log": self.log_limit, "ls-tree": self.list_limit}.get(command, limit)
        return super().run(command, *arguments, limit=limit, **options)


def test_too_long_list_of_files_is_an_error(tmp_path: Path) -> None:
    trees = Trees.make(tmp_path)
    sha = trees.commit({b"a": b"1", b"b": b"2"}, [], b"Add files")
    repository = ShortOutput(tmp_path)
    assert [file.path for file in list_tree(repository, sha)] == ["a", "b"]
    repository.list_limit = 100
    with pytest.raises(RepositoryError, match=r"The list of the files of \w+ is longer than"):
        list_tree(repository, sha)


def test_too_long_log_counts_the_newest_commits(tmp_path: Path) -> None:
    trees = Trees.make(tmp_path)
    files: dict[bytes, Entry] = {}
    sha = ""
    for number in range(3):
        files |= {b"f": b"%d" % number, b"new-%d" % number: b"1"}
        sha = trees.commit(files, [sha] if sha else [], b"" if number == 1 else b"fix", seconds=NOW)
    repository = ShortOutput(tmp_path)
    read: list[Mapping[str, FileActivity] | None] = []
    for repository.log_limit in range(200):
        activity = read_activity(repository, sha, NOW)
        if not read or read[-1] != activity:
            read.append(activity)
    once = FileActivity(1.0)
    fixed = FileActivity(1.0, 1.0)
    assert read == [
        {},
        {"f": fixed, "new-2": fixed},
        {"f": FileActivity(2.0, 1.0), "new-2": fixed, "new-1": once},
        {"f": FileActivity(3.0, 2.0), "new-2": fixed, "new-1": once, "new-0": fixed},
    ]


def test_shallow_clone_has_no_activity(tmp_path: Path) -> None:
    trees = Trees.make(tmp_path / "origin")
    first = trees.commit({b"f": b"1"}, seconds=NOW)
    head = trees.commit({b"f": b"2"}, [first], seconds=NOW)
    source = f"file://{trees.folder}"
    for name, options in (("whole", []), ("shallow", ["--depth=1"])):
        subprocess.run(["git", "clone", "-q", *options, source, str(tmp_path / name)], check=True)
    assert read_activity(Git(tmp_path / "whole"), head, NOW) == {"f": FileActivity(2.0)}
    assert read_activity(Git(tmp_path / "shallow"), head, NOW) is None
    assert [file.path for file in list_tree(Git(tmp_path / "shallow"), head)] == ["f"]


TEXT = b"".join(b"line %d\n" % number for number in range(30))


def test_renames_are_found_by_content(trees: Trees, repository: Git) -> None:
    old = trees.commit(
        {
            b"moved": TEXT,
            b"same\n\xff": b"same",
            b"kept": TEXT + b"kept",
            b"rewritten": b"x\ny\n",
            b"gone": b"1",
        }
    )
    new = trees.commit(
        {b"d/moved": TEXT + b"more\n", b"same-2": b"same", b"kept": TEXT, b"new": b"another\n"}, [old]
    )
    assert find_renames(repository, old, new) == {"moved": "d/moved", "same\n\udcff": "same-2"}
    assert find_renames(repository, new, new) == {}


def test_only_equal_contents_are_renames_among_very_many_files(trees: Trees, repository: Git) -> None:
    many = range(1_100)
    old = trees.commit({b"a/%d" % number: TEXT + b"%d\n" % number for number in many}, branch="many")
    changed = {b"b/new-%d" % number: TEXT + b"%d\n" % number + b"more\n" * (number > 0) for number in many}
    assert find_renames(repository, old, trees.commit(changed, [old], branch="many")) == {"a/0": "b/new-0"}
