"""Reading many files of a commit: existing, missing and too large ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from hunkwise.errors import RepositoryError
from hunkwise.repository.git import Git, read_contents
from hunkwise.repository.git_process import GitResult
from hunkwise.repository.trees import MAX_SMALL, GitTree
from tests.repository.repositories import Entry, Trees, git

FILES: dict[bytes, Entry] = {
    b"a.txt": b"one\n",
    b"same.txt": b"one\n",
    b"empty": b"",
    b"binary": b"\0\1\n\n",
    b"sub/with *.txt": b"two",
    "n\u00e4m\u00e9".encode(): b"three",
    b"odd\xff": b"four",
    b"link": ("120000", b"a.txt"),
    b"module": ("160000", b"1" * 40),
}


def test_contents_are_returned_by_path_and_other_entries_are_none(tmp_path: Path) -> None:
    head = GitTree(Git(tmp_path), Trees.make(tmp_path).commit(FILES))
    paths = ["a.txt", "same.txt", "empty", "binary", "sub/with *.txt", "n\u00e4m\u00e9", "odd\udcff"]
    assert head.read_many(paths) == {
        "a.txt": b"one\n",
        "same.txt": b"one\n",
        "empty": b"",
        "binary": b"\0\1\n\n",
        "sub/with *.txt": b"two",
        "n\u00e4m\u00e9": b"three",
        "odd\udcff": b"four",
    }
    assert head.read_many(["link", "module", "sub", "nothing"]) == dict.fromkeys(
        ["link", "module", "sub", "nothing"]
    )
    assert head.read_many(["../a.txt", "", "a//b", "a\0b"]) == {}
    assert head.read_many(["/a.txt"]) == {"/a.txt": b"one\n"}
    assert head.read_many([]) == {}


def test_too_large_files_are_omitted(tmp_path: Path) -> None:
    large = {b"large": b"x" * (MAX_SMALL + 1), b"small": b"y"}
    git = Git(tmp_path)
    sha = Trees.make(tmp_path).commit(large)
    assert GitTree(git, sha).read_many(["large", "small"]) == {"small": b"y"}
    assert git.blobs(sha, ["large", "small"], most=10**9, together=5) == {"small": b"y"}


def test_thousands_of_paths_take_several_calls_of_git(tmp_path: Path) -> None:
    files: dict[bytes, Entry] = {b"%s/%04d" % (b"f" * 100, n): b"%d" % n for n in range(2_000)}
    head = GitTree(Git(tmp_path), Trees.make(tmp_path).commit(files))
    known = head.read_many([name.decode() for name in files])
    assert known == {name.decode(): content for name, content in files.items()}


def test_missing_commit_is_an_error(tmp_path: Path) -> None:
    Trees.make(tmp_path).commit({b"a": b"b"})
    with pytest.raises(RepositoryError, match="Files of the commit could not be read: "):
        GitTree(Git(tmp_path), "1" * 40).read_many(["a"])


def test_file_with_missing_object_is_omitted(tmp_path: Path) -> None:
    sha = Trees.make(tmp_path).commit({b"here": b"1\n", b"gone": b"2\n"})
    oid = git(tmp_path, "rev-parse", f"{sha}:gone").decode().strip()
    (tmp_path / ".git/objects" / oid[:2] / oid[2:]).unlink()
    assert GitTree(Git(tmp_path), sha).read_many(["here", "gone", "absent"]) == {
        "here": b"1\n",
        "absent": None,
    }


OID = "a" * 40
LISTED = f"100644 blob {OID}       3\ta\0".encode()


@pytest.mark.parametrize(
    ("output", "known"),
    [
        (f"{OID} blob 3\nabc\n".encode(), {"a": b"abc"}),
        (f"{OID} missing\n".encode(), {}),
        (b"", {}),
    ],
)
def test_object_missing_from_filtered_clone_is_omitted(output: bytes, known: dict[str, bytes]) -> None:
    def run(command: str, *_arguments: str | bytes, limit: int = 0, stdin: bytes = b"") -> GitResult:
        assert stdin in (b"", f"{OID}\n".encode())
        return GitResult(0, LISTED if command == "ls-tree" else output)

    assert read_contents(run, OID, ["a"], most=9, together=9) == known


def test_output_longer_than_announced_is_an_error() -> None:
    def run(command: str, *_arguments: str | bytes, limit: int = 0, stdin: bytes = b"") -> GitResult:
        return GitResult(0, LISTED) if command == "ls-tree" else GitResult(None, b"x" * limit)

    with pytest.raises(RepositoryError, match="more than was expected"):
        read_contents(run, OID, ["a"], most=9, together=9)
