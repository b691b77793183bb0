"""Diffs, files and searches with real git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hunkwise.domain.diff import DiffLine, FileDiff, FileStatus, Hunk, Side
from hunkwise.errors import OversizeError, RepositoryError
from hunkwise.repository.git import Git
from hunkwise.repository.history import read_subject
from tests.repository.repositories import Trees, git

Files = dict[bytes, bytes]

LINES = st.one_of(
    st.sampled_from(
        [
            b"",
            b"a",
            b"b",
            b"c",
            b"x\r",
            b"\r",
            b"--- a/x",
            b"+++ b/x",
            b"@@ -1 +1 @@",
            b"\\ No newline",
            b"\xff",
            b"diff --git a/q b/q",
            b"\x0c",
            b"caf\xe9",
            "\u2028".encode(),
            b"-- ",
            b"GIT binary patch",
        ]
    ),
    st.binary(max_size=6).map(lambda raw: raw.replace(b"\n", b"").replace(b"\0", b"")),
)
CONTENTS = st.one_of(
    st.builds(
        lambda lines, end: b"\n".join(lines) + end,
        st.lists(LINES, max_size=30),
        st.sampled_from([b"", b"\n"]),
    ),
    st.binary(max_size=40),
)
NAMES = st.one_of(
    st.sampled_from(
        [
            b"f",
            b"g.py",
            b"d/e/f",
            b"a\nb",
            b"a\ndiff --git a/f b/f\n--- a",
            b'q"\\',
            b"t\tx",
            b"x b/x b/y",
            b" s ",
            b"-p",
            b":(glob)*",
            b"\xff\xe9",
            "日本.txt".encode(),
            b"dev/null",
            b"a/x",
            b"b/x",
            b"r\r",
        ]
    ),
    st.binary(min_size=1, max_size=5).filter(
        lambda name: not set(name) & {0, 0x2F} and name not in (b".", b"..") and name.lower() != b".git"
    ),
)
TREES = st.dictionaries(NAMES, CONTENTS, max_size=5).filter(
    lambda files: not any(one != other and other.startswith(one + b"/") for one in files for other in files)
)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Trees:
    return Trees.make(tmp_path_factory.mktemp("trees"))


@pytest.fixture(scope="module")
def repository(trees: Trees) -> Git:
    return Git(trees.folder)


def lines_of(content: bytes) -> list[tuple[bytes, bool]]:
    """Returns each line, and whether it is the last one without a line feed."""
    *whole, last = content.split(b"\n")
    return [(line, False) for line in whole] + ([(last, True)] if last else [])


def apply_hunks(old: bytes, hunks: tuple[Hunk, ...]) -> bytes:
    """Applies the hunks to the old content."""
    before = lines_of(old)
    after: list[tuple[bytes, bool]] = []
    done = 0
    for hunk in hunks:
        numbers = [line.old for line in hunk.lines if line.old is not None]
        start = numbers[0] - 1 if numbers else hunk.old_start
        after += before[done:start]
        after += [(line.raw, line.no_eol) for line in hunk.lines if line.kind != "-"]
        done = start + len(numbers)
    after += before[done:]
    return b"".join(line if no_eol else line + b"\n" for line, no_eol in after)


def check_file(file: FileDiff, base: Files, head: Files) -> None:
    path = file.path.encode("utf-8", "surrogateescape")
    old_path = (file.old_path or file.path).encode("utf-8", "surrogateescape")
    old = b"" if file.status is FileStatus.ADDED else base[old_path]
    new = b"" if file.status is FileStatus.REMOVED else head[path]
    assert file.binary == (file.hunks == () and old != new), "text has hunks, binary content has none"
    if file.binary:
        assert b"\0" in old + new
        return
    for side, content in ((Side.LEFT, old), (Side.RIGHT, new)):
        lines = lines_of(content)
        for number, line in file.lines_by_side[side].items():
            assert (line.raw, line.no_eol) == lines[number - 1]
    assert apply_hunks(old, file.hunks) == new
    kinds = [line.kind for hunk in file.hunks for line in hunk.lines]
    assert (file.additions, file.deletions) == (kinds.count("+"), kinds.count("-"))


@given(base=TREES, head=TREES, draws=st.data())
@settings(max_examples=40, deadline=None)
def test_rows_of_any_two_trees_match_their_blobs(
    trees: Trees, repository: Git, base: Files, head: Files, draws: st.DataObject
) -> None:
    for name in list(base):
        if name not in head and draws.draw(st.booleans()):
            head[name] = base[name] + draws.draw(CONTENTS)
    if any(one != other and other.startswith(one + b"/") for one in head for other in head):
        head = {name: content for name, content in head.items() if b"/" not in name}
    first = trees.commit(base)
    second = trees.commit(head)
    files = repository.diff(first, second)
    for file in files:
        check_file(file, base, head)
    changed = {name for name in base.keys() | head.keys() if base.get(name) != head.get(name)}
    paths = {file.path for file in files} | {
        file.old_path for file in files if file.old_path and file.status is FileStatus.RENAMED
    }
    assert paths == {name.decode("utf-8", "surrogateescape") for name in changed}


@given(base=TREES, head=TREES, order=st.data())
@settings(max_examples=30, deadline=None)
def test_diff_of_paths_has_these_files_in_this_order(
    trees: Trees, repository: Git, base: Files, head: Files, order: st.DataObject
) -> None:
    names = order.draw(st.lists(st.sampled_from([*base, *head, b"absent"]), min_size=1))
    paths = [name.decode("utf-8", "surrogateescape") for name in names]
    files = repository.diff(trees.commit(base), trees.commit(head), paths)
    for file in files:
        check_file(file, base, head)
    changed = [name for name in dict.fromkeys(names) if base.get(name) != head.get(name)]
    assert [file.path.encode("utf-8", "surrogateescape") for file in files] == changed


@given(files=TREES)
@settings(max_examples=20, deadline=None)
def test_diff_from_the_empty_tree_adds_every_file(trees: Trees, repository: Git, files: Files) -> None:
    head = trees.commit(files)
    added = repository.diff(repository.empty_tree(head), head)
    assert {file.path.encode("utf-8", "surrogateescape") for file in added} == files.keys()
    for file in added:
        assert file.status is FileStatus.ADDED
        check_file(file, {}, files)


@given(old=CONTENTS, new=CONTENTS)
@example(old=b"a\n", new=b"a")
@example(old=b"", new=b"a")
@settings(max_examples=40, deadline=None)
def test_hunks_of_two_blobs_turn_one_into_the_other(old: bytes, new: bytes) -> None:
    hunks = Git.diff_blobs(old, new)
    if hunks or b"\0" not in old + new:
        assert apply_hunks(old, hunks) == new


TEXT = b"".join(b"line %d\n" % number for number in range(1, 30))


@pytest.fixture(scope="module")
def change(trees: Trees) -> tuple[str, str]:
    """Returns the commits of a change with every kind of entry."""
    base = trees.commit(
        {
            b"kept": b"kept\n",
            b"moved": TEXT,
            b"run.sh": b"#!/bin/sh\n",
            b"cfg": b"real\ncontent\n",
            b"gone": b"gone\n",
            b"sub": ("160000", b"1" * 40),
            b"image": b"\0\1",
            b"link": ("120000", b"kept"),
        },
        branch="kinds",
    )
    head = trees.commit(
        {
            b"kept": b"kept\n",
            b"dir/moved": TEXT + b"more\n",
            b"run.sh": ("100755", b"#!/bin/sh\n"),
            b"cfg": ("120000", b"kept"),
            b"sub": ("160000", b"2" * 40),
            b"image": b"\0\2",
            b"link": ("120000", b"run.sh"),
            b"empty": b"",
        },
        [base],
        message=b"Change all\nof it\n\nAt length.",
        branch="kinds",
    )
    return base, head


def test_each_kind_of_change_has_status_and_rows(repository: Git, change: tuple[str, str]) -> None:
    files = {file.path: file for file in repository.diff(*change)}
    assert {path: file.status for path, file in files.items()} == {
        "cfg": FileStatus.CHANGED,
        "dir/moved": FileStatus.RENAMED,
        "empty": FileStatus.ADDED,
        "gone": FileStatus.REMOVED,
        "image": FileStatus.MODIFIED,
        "link": FileStatus.MODIFIED,
        "run.sh": FileStatus.MODIFIED,
        "sub": FileStatus.MODIFIED,
    }
    assert files["dir/moved"].old_path == "moved"
    assert [line.kind for hunk in files["cfg"].hunks for line in hunk.lines] == ["-", "-", "+"]
    assert files["link"].hunks[0].lines[-1] == DiffLine("+", None, 1, b"run.sh", True)
    assert files["sub"].hunks[0].lines[-1].raw == b"Subproject commit " + b"2" * 40
    assert files["image"].binary
    assert files["empty"].hunks == files["run.sh"].hunks == ()


def test_diff_above_limit_lists_files_without_patch(trees: Trees, change: tuple[str, str]) -> None:
    files = Git(trees.folder, diff_limit=1_500).diff(*change)
    assert len(files) == 8
    missing = [file.patch_missing for file in files]
    assert missing == sorted(missing)
    assert missing[0] is False
    assert missing[-1] is True


@pytest.mark.parametrize(
    "paths", [["*"], ["dir"], ["."], [""], [":(glob)*"], ["../kept"], ["ke\0pt"], ["-p"]]
)
def test_path_of_a_diff_is_not_a_pattern_or_folder(
    repository: Git, change: tuple[str, str], paths: list[str]
) -> None:
    assert repository.diff(*change, paths) == ()


def test_diff_of_paths_has_no_renames(repository: Git, change: tuple[str, str]) -> None:
    files = repository.diff(*change, ["dir/moved", "kept", "moved", "dir/moved"])
    assert [(file.path, file.status) for file in files] == [
        ("dir/moved", FileStatus.ADDED),
        ("moved", FileStatus.REMOVED),
    ]


@pytest.mark.parametrize(
    ("limit", "complete"), [(10, 0), (550_000, 743), (700_000, 943), (10_000_000, 2_000)]
)
def test_diff_of_thousands_of_paths_takes_several_calls_with_one_limit(
    trees: Trees, limit: int, complete: int
) -> None:
    names = [b"%s/%04d" % (b"f" * 100, number) for number in range(2_000)]
    head = trees.commit(dict.fromkeys(names, b"1\n"), branch="long-names")
    repository = Git(trees.folder, diff_limit=limit)
    paths = [name.decode() for name in reversed(names)]
    files = repository.diff(repository.empty_tree(head), head, paths)
    assert [file.path for file in files] == paths
    assert {file.status for file in files} == {FileStatus.ADDED}
    assert sum(not file.patch_missing for file in files) == complete
    assert all(file.patch_missing or file.additions == 1 for file in files)


def test_diff_cut_within_its_list_of_files_is_an_error(trees: Trees, change: tuple[str, str]) -> None:
    with pytest.raises(RepositoryError, match="ends within its list"):
        Git(trees.folder, diff_limit=300).diff(*change)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("kept", b"kept\n"),
        ("./kept", b"kept\n"),
        ("/kept", b"kept\n"),
        ("dir/moved", TEXT + b"more\n"),
        ("dir", None),
        ("dir/", None),
        ("link", None),
        ("sub", None),
        ("absent", None),
        ("", None),
        ("../kept", None),
        ("dir/../kept", None),
        ("*", None),
        ("ke\0pt", None),
        ("\ud800", None),
        ("x" * 5_000, None),
        ("-z", None),
    ],
)
def test_only_regular_files_are_read(
    repository: Git, change: tuple[str, str], path: str, content: bytes | None
) -> None:
    assert repository.blob(change[1], path, 10_000) == content


def test_file_above_limit_is_an_error(repository: Git, change: tuple[str, str]) -> None:
    assert repository.blob(change[1], "kept", 5) == b"kept\n"
    with pytest.raises(OversizeError, match="more than 4 bytes"):
        repository.blob(change[1], "kept", 4)


def test_folders_are_listed_by_name(repository: Git, change: tuple[str, str]) -> None:
    names = ("cfg", "dir/", "empty", "image", "kept", "link", "run.sh", "sub")
    assert repository.tree(change[1]) == repository.tree(change[1], ".") == names
    assert repository.tree(change[1], "dir") == repository.tree(change[1], "/dir/") == ("moved",)
    assert repository.tree(change[1], "kept") == ()
    assert repository.tree(change[1], "..") == ()


@pytest.mark.parametrize(
    ("pattern", "paths", "hits"),
    [
        ("^line 1[12]$", [], [("dir/moved", 11, "line 11"), ("dir/moved", 12, "line 12")]),
        ("more", ["dir"], [("dir/moved", 30, "more")]),
        ("more", ["dir/*"], [("dir/moved", 30, "more")]),
        ("more", ["**/moved"], [("dir/moved", 30, "more")]),
        ("more", ["."], [("dir/moved", 30, "more")]),
        ("more", ["kept"], []),
        ("more", ["../x"], []),
        ("more", [":(exclude)dir"], []),
        ("--more", [], []),
    ],
)
def test_search_returns_path_line_and_text(
    repository: Git, change: tuple[str, str], pattern: str, paths: list[str], hits: list[tuple[str, int, str]]
) -> None:
    assert repository.grep(change[1], pattern, paths, 5) == hits


def test_search_is_limited_and_may_be_for_plain_text(trees: Trees, repository: Git) -> None:
    sha = trees.commit({b"a\nb": b"f(x)\nf(y)\n" + b"f(" * 5_000 + b"\n", b"bin": b"f(\0"}, branch="search")
    assert repository.grep(sha, "f(x)", [], 9, fixed=True) == [("a\nb", 1, "f(x)")]
    assert repository.grep(sha, "f(", [], 2, fixed=True) == [("a\nb", 1, "f(x)"), ("a\nb", 2, "f(y)")]
    assert [len(text) for _, _, text in repository.grep(sha, "f(", [], 9, fixed=True)] == [4, 4, 1_000]


@pytest.mark.parametrize("pattern", ["", "a\0b", "a\nb", "a" * 2_000])
def test_pattern_must_be_one_line(repository: Git, change: tuple[str, str], pattern: str) -> None:
    with pytest.raises(RepositoryError, match="one line of 1 to 1000"):
        repository.grep(change[1], pattern, [], 5)


@pytest.mark.parametrize("pattern", ["a(", "(((a{250}){250}){250}){250}"])
def test_invalid_or_expensive_pattern_is_an_error_with_hint(
    repository: Git, change: tuple[str, str], pattern: str
) -> None:
    with pytest.raises(RepositoryError, match="POSIX extended"):
        repository.grep(change[1], pattern, [], 5)


def test_revisions_resolve_only_to_commits(trees: Trees, repository: Git, change: tuple[str, str]) -> None:
    base, head = change
    assert repository.resolve("kinds") == head
    assert repository.resolve("kinds~1") == repository.resolve(base) == base
    assert repository.has(base)
    assert not repository.has("0" * 40)
    assert read_subject(repository, head) == "Change all of it"
    tree = git(trees.folder, "rev-parse", f"{head}^{{tree}}").decode().strip()
    assert not repository.has(tree)


@pytest.mark.parametrize("rev", ["", "absent", "--all", "-h", "a\0b", "\ud800", "kinds:cfg", "0" * 40])
def test_invalid_revision_is_an_error_with_hint(repository: Git, rev: str) -> None:
    with pytest.raises(RepositoryError, match="fetch-depth: 0"):
        repository.resolve(rev)


def test_empty_tree_has_object_format_of_commit(tmp_path: Path) -> None:
    trees = Trees.make(tmp_path, "--object-format=sha256")
    head = trees.commit({b"a": b"1\n", b"b": b"2\n"})
    repository = Git(tmp_path)
    assert [file.path for file in repository.diff(repository.empty_tree(head), head, ["b"])] == ["b"]
    with pytest.raises(RepositoryError, match="not the full SHA"):
        repository.empty_tree("HEAD")


@pytest.mark.parametrize("sha", ["HEAD", "--output=x", "abc", "A" * 40, "0" * 41, "0" * 40 + "\n"])
def test_methods_accept_only_full_shas(repository: Git, sha: str) -> None:
    with pytest.raises(RepositoryError, match="not the full SHA"):
        repository.has(sha)
    with pytest.raises(RepositoryError, match="not the full SHA"):
        repository.diff(sha, sha)


def test_missing_commit_is_an_error_with_hint(repository: Git) -> None:
    for ask in (lambda: repository.diff("0" * 40, "0" * 40), lambda: repository.tree("0" * 40)):
        with pytest.raises(RepositoryError, match="fetch-depth: 0"):
            ask()


def test_merge_base_is_found_or_none(tmp_path: Path) -> None:
    trees = Trees.make(tmp_path)
    root = trees.commit({b"f": b"1"}, message=b"root")
    left = trees.commit({b"f": b"2"}, [root], message=b"left")
    right = trees.commit({b"f": b"3"}, [root], message=b"right", branch="right")
    alone = trees.commit({b"f": b"4"}, message=b"alone", branch="alone")
    repository = Git(tmp_path)
    assert repository.merge_base(left, right) == root
    assert repository.merge_base(left, alone) is None
    with pytest.raises(RepositoryError):
        repository.merge_base(left, "0" * 40)


def test_default_branch_is_that_of_origin_or_main_or_master(tmp_path: Path) -> None:
    trees = Trees.make(tmp_path / "origin")
    repository = Git(trees.folder)
    assert repository.default_branch() is None
    trees.commit({b"f": b"1"}, branch="master")
    assert repository.default_branch() == "master"
    trees.commit({b"f": b"1"}, branch="trunk")
    git(trees.folder, "symbolic-ref", "HEAD", "refs/heads/trunk")
    subprocess.run(["git", "clone", "-q", str(trees.folder), str(tmp_path / "clone")], check=True)
    assert Git(tmp_path / "clone").default_branch() == "origin/trunk"
