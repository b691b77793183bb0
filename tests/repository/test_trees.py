"""Code at a commit and in a working tree for a model: limits of searches, and confinement."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from hunkwise.domain.pull_request import MAX_HITS
from hunkwise.errors import OversizeError, RepositoryError, SettingsError
from hunkwise.repository.git import Git
from hunkwise.repository.trees import MAX_FILE, MOST_LOST_SEARCHES, GitTree, WorkingTree
from tests.repository.repositories import Trees

GREEDY = "((a{1,100}){1,100}){1,100}"
"""A pattern that exceeds the memory limit of a search after some seconds."""


class SlowGit(Git):
    """A repository in which every search is slow and fails."""

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
        raise RepositoryError("failed")


def test_failed_searches_are_limited_and_sequential(tmp_path: Path) -> None:
    slow = SlowGit(tmp_path)
    head = GitTree(slow, "0" * 40)
    messages: list[str] = []

    def search() -> None:
        with pytest.raises(RepositoryError) as raised:
            head.search(GREEDY, ())
        messages.append(raised.value.message)

    threads = [threading.Thread(target=search) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (slow.searches, slow.most_at_once) == (MOST_LOST_SEARCHES, 1)
    assert sorted(messages) == ["Too many searches took too long."] * 3 + ["failed"] * 3


def test_invalid_patterns_do_not_count_as_failed_searches(tmp_path: Path) -> None:
    trees = Trees.make(tmp_path)
    head = GitTree(Git(tmp_path), trees.commit({b"a.txt": b"one\n" * 200}))
    for _ in range(MOST_LOST_SEARCHES + 1):
        with pytest.raises(RepositoryError):
            head.search("(", ())
    assert len(head.search("one", ()) or ()) == MAX_HITS + 1


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Returns a checkout with a file, a folder, links to the outside and a pipe."""
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


def test_paths_are_relative_to_the_top_of_the_checkout(tree: Path) -> None:
    for folder in (tree, tree / "src", tree / "src" / "inner"):
        there = WorkingTree(folder)
        assert (there.root, there.read("src/a.py"), there.read("src/empty")) == (tree, b"1\n", b"")


def test_folder_without_repository_is_its_own_top(tmp_path: Path) -> None:
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
def test_entries_that_a_commit_does_not_have_are_missing(tree: Path, path: str) -> None:
    assert WorkingTree(tree).read(path) is None


@pytest.mark.parametrize(
    ("path", "names"),
    [("src", ("a.py", "empty", "inner/")), ("src/a.py", None), ("folder", None), ("nothing", None)],
)
def test_listing_has_slashes_after_folders(tree: Path, path: str, names: tuple[str, ...] | None) -> None:
    assert WorkingTree(tree).list(path) == names


def test_too_large_file_is_an_error(tree: Path) -> None:
    (tree / "large").write_bytes(b"x" * (MAX_FILE + 1))
    with pytest.raises(OversizeError, match=r"'large' has more than 2,000,000 bytes"):
        WorkingTree(tree).read("large")
    paths = ["large", "src/a.py", "nothing"]
    assert WorkingTree(tree).read_many(paths) == {"src/a.py": b"1\n", "nothing": None}


def test_path_that_is_not_a_folder_is_an_error(tree: Path) -> None:
    with pytest.raises(SettingsError, match=r"There is no folder .*a\.py"):
        WorkingTree(tree / "src" / "a.py")


class Unreadable(WorkingTree):
    """A tree without read permission, also for root."""

    def _read_bytes(self, file: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    def _sorted_entries(self, folder: Path) -> Sequence[os.DirEntry[str]]:
        raise PermissionError(13, "Permission denied")


def test_missing_permission_is_an_error_with_hint(tree: Path) -> None:
    there = Unreadable(tree)
    with pytest.raises(
        RepositoryError, match=r"'src/a\.py' could not be read: Permission denied\. Make the file"
    ):
        there.read("src/a.py")
    with pytest.raises(
        RepositoryError, match=r"'src' could not be listed: Permission denied\. Make the folder"
    ):
        there.list("src")
