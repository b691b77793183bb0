"""The code at one commit as a model may read it: searches cannot take a run's time and memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from hunkwise.domain.pull_request import MAX_HITS
from hunkwise.errors import OversizeError, RepositoryError
from hunkwise.repository.git import Git
from hunkwise.repository.trees import MAX_FILE, MOST_LOST_SEARCHES, GitTree, WorkingTree
from tests.repository.repositories import Trees

GREEDY = "((a{1,100}){1,100}){1,100}"
"""Needs more memory than a search gets, after some seconds."""


class Slow(Git):
    """A repository in which every search is in vain, and takes its time."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.searches = 0
        self.at_once = 0
        self.most_at_once = 0

    def grep(self, *_arguments: object, **_options: object) -> list[tuple[str, int, str]]:
        self.searches += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        threading.Event().wait(1.05)
        self.at_once -= 1
        raise RepositoryError("in vain")


def test_searches_that_come_to_nothing_are_few_and_one_after_another(tmp_path: Path) -> None:
    slow = Slow(tmp_path)
    head = GitTree(slow, "0" * 40)
    said: list[str] = []

    def search() -> None:
        with pytest.raises(RepositoryError) as raised:
            head.search(GREEDY, ())
        said.append(raised.value.message)

    threads = [threading.Thread(target=search) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (slow.searches, slow.most_at_once) == (MOST_LOST_SEARCHES, 1)
    assert sorted(said) == ["Too many searches took too long."] * 3 + ["in vain"] * 3


def test_a_pattern_that_is_wrong_costs_no_later_search(tmp_path: Path) -> None:
    trees = Trees.make(tmp_path)
    head = GitTree(Git(tmp_path), trees.commit({b"a.txt": b"one\n" * 200}))
    for _ in range(MOST_LOST_SEARCHES + 1):
        with pytest.raises(RepositoryError):
            head.search("(", ())
    assert len(head.search("one", ()) or ()) == MAX_HITS + 1


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with a file, a folder, links out of it and a pipe."""
    (tmp_path / "secret").write_text("outside")
    root = tmp_path / "work"
    (root / ".git").mkdir(parents=True)
    (root / ".git" / "config").write_text("[core]")
    (root / "src" / "inner").mkdir(parents=True)
    (root / "src" / "a.py").write_text("1\n")
    (root / "src" / "empty").touch()
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "folder").symlink_to(root / "src")
    os.mkfifo(root / "pipe")
    return root


def test_a_file_is_read_from_the_top_of_the_checkout_wherever_one_stands(tree: Path) -> None:
    for folder in (tree, tree / "src", tree / "src" / "inner"):
        there = WorkingTree(folder)
        assert (there.root, there.read("src/a.py"), there.read("src/empty")) == (tree, b"1\n", b"")


def test_a_folder_without_a_repository_is_its_own_top(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    there = WorkingTree(tmp_path)
    assert there.read("a") == b"1"


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "src",
        "src/a.py/b",
        "link",
        "folder/a.py",
        "pipe",
        "../secret",
        "src/../../secret",
        "/etc/passwd",
        ".git/config",
        "",
        "a\0b",
    ],
)
def test_what_a_commit_would_not_give_is_not_there(tree: Path, path: str) -> None:
    assert WorkingTree(tree).read(path) is None


@pytest.mark.parametrize(
    ("path", "names"),
    [("src", ("a.py", "empty", "inner/")), ("src/a.py", None), ("folder", None), ("nothing", None)],
)
def test_a_folder_is_listed_with_slashes_behind_folders(
    tree: Path, path: str, names: tuple[str, ...] | None
) -> None:
    assert WorkingTree(tree).list(path) == names


def test_what_is_too_large_is_said_and_not_read(tree: Path) -> None:
    (tree / "large").write_bytes(b"x" * (MAX_FILE + 1))
    with pytest.raises(OversizeError, match=r"'large' has more than 2,000,000 bytes"):
        WorkingTree(tree).read("large")
    paths = ["large", "src/a.py", "nothing"]
    assert WorkingTree(tree).read_many(paths) == {"src/a.py": b"1\n", "nothing": None}


def test_what_is_no_folder_is_refused(tree: Path) -> None:
    with pytest.raises(RepositoryError, match=r"a\.py is no folder"):
        WorkingTree(tree / "src" / "a.py")


class Unreadable(WorkingTree):
    """A tree of which this user may not open anything; root, who runs tests as well, may open all."""

    def _read_bytes(self, file: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    def _sorted_entries(self, folder: Path) -> Sequence[os.DirEntry[str]]:
        raise PermissionError(13, "Permission denied")


def test_what_may_not_be_read_is_named_with_a_remedy(tree: Path) -> None:
    there = Unreadable(tree)
    with pytest.raises(
        RepositoryError, match=r"'src/a\.py' could not be read: Permission denied\. Make the file"
    ):
        there.read("src/a.py")
    with pytest.raises(
        RepositoryError, match=r"'src' could not be listed: Permission denied\. Make the folder"
    ):
        there.list("src")
