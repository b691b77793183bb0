"""Uncommitted changes as temporary commits, compared with what `git add` makes of the same working tree."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hunkwise.errors import SettingsError
from hunkwise.repository.git import Git
from hunkwise.repository.uncommitted import UncommittedChanges
from tests.fakes.git_repository import GitRepository

ODD = os.fsdecode(b"\xff\n ' name")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    made = GitRepository.create(tmp_path / "work")
    made.commit(
        {"a.py": "one\n", "b.py": "two\n", "folder/c.py": "three\n", "folder/d.py": "four\n", ODD: "odd\n"}
    )
    return made


def read(repository: GitRepository, *, untracked: bool = False) -> tuple[str, str, tuple[str, ...]]:
    """The trees of the index and of the working tree, and the untracked paths."""
    git = Git(repository.path)
    other = Git(repository.path)
    try:
        changes = UncommittedChanges(git, git.resolve("HEAD"))
        untracked_paths = changes.untracked()
        commits = {git: changes.all(untracked=untracked)}
        commits[other] = UncommittedChanges(other, other.resolve("HEAD")).staged()
        tree, staged = (
            of.run("rev-parse", f"{sha}^{{tree}}").output.decode().strip() for of, sha in commits.items()
        )
        return staged, tree, untracked_paths
    finally:
        git.close()
        other.close()


def tree_by_git(repository: GitRepository, home: Path, *arguments: str) -> str:
    """The tree that git itself writes after `git add ARGUMENTS`, with a copy of the index."""
    index = Path(repository.git("rev-parse", "--absolute-git-dir")) / "index"
    copy = home / "index-copy"
    shutil.copy2(index, copy)
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_INDEX_FILE": str(copy)}
    for command in ([["add", *arguments]] if arguments else []) + [["write-tree"]]:
        done = subprocess.run(
            ["git", *command], cwd=repository.path, env=environ, capture_output=True, check=True
        )
    return done.stdout.decode().strip()


def rename(repository: GitRepository) -> None:
    repository.git("mv", "a.py", "moved.py")
    (repository.path / "moved.py").write_text("one\nmore\n")


def replace_by_folder(repository: GitRepository) -> None:
    (repository.path / "a.py").unlink()
    (repository.path / "a.py").mkdir()
    (repository.path / "a.py/inner.py").write_text("inner\n")


def replace_folder_by_link(repository: GitRepository) -> None:
    shutil.move(repository.path / "folder", repository.path.parent / "elsewhere")
    (repository.path / "folder").symlink_to(repository.path.parent / "elsewhere")


def use_line_ends_of_windows(repository: GitRepository) -> None:
    repository.git("config", "core.autocrlf", "true")
    (repository.path / "a.py").write_bytes(b"one\r\ntwo\r\n")


def use_attributes(repository: GitRepository) -> None:
    (repository.path / ".gitattributes").write_text("*.py text eol=crlf\n")
    (repository.path / "a.py").write_bytes(b"one\r\ntwo\r\n")


def change_mode(repository: GitRepository) -> None:
    (repository.path / "a.py").chmod(0o755)


def change_mode_without_effect(repository: GitRepository) -> None:
    repository.git("config", "core.fileMode", "false")
    change_mode(repository)


def add_by_intention(repository: GitRepository) -> None:
    (repository.path / "new.py").write_text("new\n")
    repository.git("add", "-N", "new.py")


def add_submodule(repository: GitRepository) -> None:
    inner = GitRepository.create(repository.path / "inner")
    inner.commit({"x": "1"})
    repository.git("-c", "advice.addEmbeddedRepo=false", "add", "inner")
    repository.git("commit", "-q", "-m", "Add a submodule")
    inner.commit({"x": "2"})


def split_index(repository: GitRepository) -> None:
    repository.git("update-index", "--split-index")
    (repository.path / "b.py").write_text("changed\n")
    repository.git("add", "b.py")


def skip_in_work_tree(repository: GitRepository) -> None:
    repository.git("update-index", "--skip-worktree", "a.py")
    (repository.path / "a.py").unlink()


def change_at_once(repository: GitRepository) -> None:
    (repository.path / "a.py").write_text("1st\n")
    repository.git("add", "a.py")
    (repository.path / "a.py").write_text("2nd\n")


def resolve_conflict(repository: GitRepository) -> None:
    make_conflict(repository)
    (repository.path / "a.py").write_text("resolved\n")


def make_conflict(repository: GitRepository) -> None:
    repository.branch("other")
    repository.commit({"a.py": "theirs\n"})
    repository.git("checkout", "-q", "main")
    repository.commit({"a.py": "ours\n"})
    with pytest.raises(subprocess.CalledProcessError):
        repository.git("merge", "-q", "other")


KINDS: list[Callable[[GitRepository], object]] = [
    lambda made: None,
    lambda made: (made.path / "a.py").write_text("changed\n"),
    lambda made: (made.path / "folder/c.py").unlink(),
    lambda made: (made.path / ODD).write_text("changed\n"),
    lambda made: made.git("rm", "-q", "--cached", "b.py"),
    rename,
    replace_by_folder,
    replace_folder_by_link,
    use_line_ends_of_windows,
    use_attributes,
    change_mode,
    change_mode_without_effect,
    add_by_intention,
    add_submodule,
    split_index,
    skip_in_work_tree,
    change_at_once,
]


@pytest.mark.parametrize("change", KINDS)
def test_trees_are_those_that_git_makes(
    repository: GitRepository, home: Path, change: Callable[[GitRepository], object]
) -> None:
    change(repository)
    expected = tree_by_git(repository, home), tree_by_git(repository, home, "-u")
    assert read(repository)[:2] == expected
    if change is not add_submodule:
        assert read(repository, untracked=True)[1] == tree_by_git(repository, home, "-A")


def test_the_working_tree_of_a_conflict_is_read_and_its_index_is_refused(
    repository: GitRepository, home: Path
) -> None:
    resolve_conflict(repository)
    git = Git(repository.path)
    changes = UncommittedChanges(git, git.resolve("HEAD"))
    with pytest.raises(SettingsError, match="The index has merge conflicts: resolve and stage them"):
        changes.staged()
    tree = git.run("rev-parse", f"{changes.all()}^{{tree}}").output.decode().strip()
    git.close()
    assert tree == tree_by_git(repository, home, "-u")


def test_untracked_files_are_those_that_git_does_not_ignore(repository: GitRepository, home: Path) -> None:
    ignored = {".gitignore": "*.log\n", ".git/info/exclude": "*.tmp\n"}
    (home / ".gitconfig").write_text("[core]\n\texcludesFile = ~/mine\n")
    (home / "mine").write_text("*.own\n")
    for name, text in {
        **ignored,
        "x.log": "",
        "x.tmp": "",
        "x.own": "",
        "folder/new.py": "",
        "new.py": "",
    }.items():
        (repository.path / name).write_text(text)
    GitRepository.create(repository.path / "nested")
    assert sorted(read(repository)[2]) == [".gitignore", "folder/new.py", "new.py"]


def test_a_linked_work_tree_has_an_index_of_its_own(repository: GitRepository, home: Path) -> None:
    repository.git("worktree", "add", "-q", "-b", "linked", str(home / "linked"))
    (repository.path / "a.py").write_text("changed in the first one\n")
    linked = GitRepository(home / "linked")
    (linked.path / "b.py").write_text("changed in the second one\n")
    assert read(linked)[1] == tree_by_git(linked, home, "-u")


def test_nothing_is_written_into_the_repository_and_no_program_of_it_runs(
    repository: GitRepository, home: Path
) -> None:
    touch = f"touch {home}/ran"
    repository.git("config", "core.fsmonitor", touch)
    repository.git("config", "filter.own.clean", f"{touch}; cat")
    repository.git("config", "filter.own.required", "true")
    (repository.path / ".gitattributes").write_text("*.py filter=own\n")
    (repository.path / "a.py").write_text("changed\n")
    before = sorted((path, path.stat().st_mtime_ns) for path in repository.git_dir.rglob("*"))
    staged, tree, _ = read(repository)
    assert staged != tree
    assert sorted((path, path.stat().st_mtime_ns) for path in repository.git_dir.rglob("*")) == before
    assert not (home / "ran").exists()


def test_a_clone_without_a_checkout_has_no_uncommitted_changes(repository: GitRepository, home: Path) -> None:
    repository.git("clone", "-q", "--no-checkout", str(repository.path), str(home / "bare"))
    empty = GitRepository(home / "bare")
    head = repository.git("rev-parse", "HEAD^{tree}")
    assert read(empty) == (head, head, ())
