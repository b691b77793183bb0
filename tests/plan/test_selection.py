"""Tests that each changed file is reviewed or skipped for a reason that its author cannot control."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hunkwise.domain.diff import DiffLine, FileDiff, FileStatus, Hunk
from hunkwise.domain.review import SkipReason
from hunkwise.domain.text import LINE_LIMIT
from hunkwise.plan.globs import Globs
from hunkwise.plan.selection import PATCH_LIMIT, LinguistAttributes, is_test_file, select
from tests.fakes.git_repository import GitRepository


def changed(
    path: str, *, context: bytes = b"", added: bytes = b"x", number: int = 1, times: int = 1
) -> FileDiff:
    """Returns a file with one line of context and, below it, an added line as often as `times`."""
    rows = (DiffLine("+", None, number + each, added) for each in range(1, times + 1))
    lines = (DiffLine(" ", number, number, context), *rows)
    return FileDiff(path, FileStatus.MODIFIED, (Hunk(number, number, lines),), additions=times)


def reason_of(file: FileDiff, ignore: tuple[str, ...] = (), attributes: str = "") -> SkipReason | None:
    selection = select([file], ignore=ignore, attributes={"": attributes})
    if selection.reviewed:
        assert selection.reviewed == (file,)
        return None
    (skipped,) = selection.skipped
    assert (skipped.path, skipped.changed_lines) == (file.path, file.changed_lines)
    return skipped.reason


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("src/app.py", None),
        ("a/package-lock.json", SkipReason.LOCK_FILE),
        ("go.sum", SkipReason.LOCK_FILE),
        ("uv.lock", SkipReason.LOCK_FILE),
        ("block.lock", None),
        ("api/x_pb2.py", SkipReason.GENERATED),
        ("api/x.pb.go", SkipReason.GENERATED),
        ("lib/a.g.dart", SkipReason.GENERATED),
        ("web/jquery.MIN.js", SkipReason.GENERATED),
        ("node_modules/a/index.js", SkipReason.GENERATED),
        ("vendor/x/y.go", SkipReason.GENERATED),
        ("src/vendor.py", None),
        ("t/__snapshots__/a.txt", SkipReason.GENERATED),
        ("dist/index.js", SkipReason.GENERATED),
        ("dist/setup.py", None),
        ("distance/index.js", None),
    ],
)
def test_lock_files_and_generated_files_are_recognized_by_name(path: str, reason: SkipReason | None) -> None:
    assert reason_of(changed(path)) is reason


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        *(
            (FileDiff(path, status, binary=True), SkipReason.BINARY)
            for path in ("i.png", "a.o", "x.dat", "tool", "a.jar", "docs/manual.pdf", "notes.txt")
            for status in (FileStatus.ADDED, FileStatus.MODIFIED)
        ),
        *(
            (FileDiff(path, status, binary=True), SkipReason.NUL_BYTES)
            for path in (
                *(
                    "a.py",
                    "deploy.sh",
                    "app.js",
                    "Makefile",
                    "build/Dockerfile",
                    "x.YML",
                    "page.html",
                    "q.sql",
                ),
                *("main.tf", "Jenkinsfile", "win.ps1", "requirements.txt", "package.json", "a.go", ".npmrc"),
            )
            for status in (FileStatus.ADDED, FileStatus.MODIFIED, FileStatus.RENAMED)
        ),
        (FileDiff("run", FileStatus.ADDED, binary=True, script=True), SkipReason.NUL_BYTES),
        (FileDiff("logo.png", FileStatus.MODIFIED, binary=True, script=True), SkipReason.NUL_BYTES),
        (FileDiff("a.py", FileStatus.REMOVED, binary=True), SkipReason.BINARY),
        (FileDiff("a.py", FileStatus.MODIFIED, patch_missing=True), SkipReason.NO_PATCH),
        (FileDiff("a.py", FileStatus.MODIFIED, additions=3), SkipReason.NO_PATCH),
        (FileDiff("a.py", FileStatus.RENAMED, old_path="b.py"), SkipReason.NO_CHANGED_LINES),
        (FileDiff("a.py", FileStatus.ADDED), SkipReason.NO_CHANGED_LINES),
        (changed("a.py", added=b"x" * LINE_LIMIT, times=PATCH_LIMIT // LINE_LIMIT), SkipReason.TOO_LARGE),
        (FileDiff("yarn.lock", FileStatus.MODIFIED, patch_missing=True), SkipReason.LOCK_FILE),
    ],
)
def test_file_without_readable_lines_has_a_reason(file: FileDiff, reason: SkipReason) -> None:
    assert reason_of(file) is reason


def test_size_of_a_long_line_is_what_a_prompt_shows_of_it() -> None:
    assert reason_of(changed("a.ipynb", added=b"x" * PATCH_LIMIT)) is None


LOOKS_GENERATED = (
    *("src/vendor/login.py", "vendor/x/y.go", "node_modules/a/index.js", "bower_components/a.js"),
    *("app/core_pb2.py", "static/app.min.js", "dist/evil.mjs", "yarn.lock", "package-lock.json", "t/a.snap"),
    *("sub/package-lock.json", "api/x.pb.go", "a/__generated__/q.ts", "Form.Designer.cs", "go.sum"),
)


@pytest.mark.parametrize("path", LOOKS_GENERATED)
def test_name_counts_only_for_files_of_the_base(path: str) -> None:
    known = reason_of(changed(path))
    assert known in (SkipReason.GENERATED, SkipReason.LOCK_FILE)
    file, folder = changed(path), path.rpartition("/")[0]
    for status in (FileStatus.ADDED, FileStatus.COPIED, FileStatus.RENAMED):
        assert reason_of(replace(file, status=status)) is None
    for old in ("src/a.py", "vendor/a.py", "yarn.lock", "elsewhere/yarn.lock", "node_modules/b/index.js"):
        if old.rpartition("/")[0] != folder:
            assert reason_of(replace(file, status=FileStatus.RENAMED, old_path=old)) is None
    for status in (FileStatus.MODIFIED, FileStatus.REMOVED, FileStatus.CHANGED):
        assert reason_of(replace(file, status=status)) is known
    new = replace(file, status=FileStatus.ADDED)
    assert reason_of(new, attributes=f"/{path} linguist-vendored") is SkipReason.MARKED
    assert reason_of(new, (path,)) is SkipReason.IGNORED


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("dist/app.1a2b.js", "dist/app.3c4d.js", SkipReason.GENERATED),
        ("dist/app.py", "dist/app.js", None),
        ("app.js", "app.min.js", None),
        ("notes", "yarn.lock", None),
        ("bun.lock", "yarn.lock", SkipReason.LOCK_FILE),
        ("vendor/a/x.go", "vendor/b/x.go", None),
    ],
)
def test_renamed_file_is_generated_only_if_it_was_before(
    old: str, new: str, reason: SkipReason | None
) -> None:
    assert reason_of(replace(changed(new), status=FileStatus.RENAMED, old_path=old)) is reason


def test_user_settings_have_precedence() -> None:
    binary = FileDiff("docs/i.png", FileStatus.ADDED, binary=True)
    assert reason_of(binary, ("docs",)) is SkipReason.IGNORED
    assert reason_of(changed("vendor/a.go"), ("!vendor/",)) is None
    assert reason_of(changed("yarn.lock"), ("*.lock",)) is SkipReason.IGNORED
    assert reason_of(changed("yarn.lock"), ("*.lock", "!yarn.lock")) is None
    assert reason_of(binary, ("!docs",)) is SkipReason.BINARY


def test_files_outside_of_only_are_ignored() -> None:
    selection = select([changed("src/a.py"), changed("b.py")], ignore=(), only=("src",))
    assert [file.path for file in selection.reviewed] == ["src/a.py"]
    assert [(file.path, file.reason) for file in selection.skipped] == [("b.py", SkipReason.IGNORED)]


MARKER = b"// Code generated by protoc-gen-go. DO NOT EDIT."


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (changed("a.go", context=MARKER), SkipReason.GENERATED),
        (changed("a.js", context=b" * @generated SignedSource<<1>>"), SkipReason.GENERATED),
        (changed("a.js", context=b"regenerated@generatedby"), None),
        (changed("a.go", added=MARKER), None),
        (changed("a.go", context=MARKER, number=6), None),
        (changed("a.go", context=b" " * 600 + MARKER), None),
    ],
)
def test_marker_counts_only_if_unchanged(file: FileDiff, reason: SkipReason | None) -> None:
    assert reason_of(file) is reason


def test_marker_in_a_new_file_does_not_count() -> None:
    lines = (DiffLine("+", None, 1, MARKER), *(DiffLine("+", None, n, b"evil()") for n in range(2, 900)))
    file = FileDiff("evil.go", FileStatus.ADDED, (Hunk(0, 1, lines),), additions=899)
    assert reason_of(file) is None


@pytest.mark.parametrize(
    ("number", "ignore", "reason"),
    [(1, (), SkipReason.GENERATED), (5, (), SkipReason.GENERATED), (6, (), None), (1, ("!a.go",), None)],
)
def test_marker_counts_in_every_file_of_an_audit(
    number: int, ignore: tuple[str, ...], reason: SkipReason | None
) -> None:
    rows = [b"package a"] * 8
    rows[number - 1] = MARKER
    lines = tuple(DiffLine("+", None, n, row) for n, row in enumerate(rows, 1))
    file = FileDiff("a.go", FileStatus.ADDED, (Hunk(0, 1, lines),), additions=8)
    selection = select([file], ignore=ignore, audit=True)
    assert [skipped.reason for skipped in selection.skipped] == ([reason] if reason else [])


@pytest.mark.parametrize("old", ["gen/login.go", "auth/login.gen.go", "auth/a.go"])
def test_marker_does_not_count_after_a_rename(old: str) -> None:
    file = changed("auth/login.go", context=MARKER)
    assert reason_of(replace(file, status=FileStatus.RENAMED, old_path=old)) is None


def test_negated_ignore_has_precedence_over_marker() -> None:
    assert reason_of(changed("a.go", context=MARKER), ("!a.go",)) is None


ATTRIBUTES = """
# *.md linguist-generated
*.sql linguist-generated=true text
schema/** linguist-generated
schema/hand.json -linguist-generated
vendor/own/** linguist-generated=false
"quoted name" linguist-generated
docs/* text
third_party/** linguist-vendored
third_party/ours.py -linguist-vendored
mine/** !linguist-generated linguist-vendored=false
weird linguist-generated=maybe xlinguist-vendored
"""


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("a/b.sql", SkipReason.MARKED),
        ("schema/a.json", SkipReason.MARKED),
        ("third_party/a.py", SkipReason.MARKED),
        ("third_party/ours.py", None),
        ("mine/vendor/a.go", None),
        ("weird", None),
        ("schema/hand.json", None),
        ("vendor/own/a.go", None),
        ("vendor/a.go", SkipReason.GENERATED),
        ("README.md", None),
        ("docs/a", None),
    ],
)
def test_attributes_of_the_base_apply(path: str, reason: SkipReason | None) -> None:
    assert reason_of(changed(path), attributes=ATTRIBUTES) is reason


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tests/helpers.py", True),
        ("src/Test/Helper.cs", True),
        ("src/__tests__/a.js", True),
        ("spec/models/user.rb", True),
        ("a/test_pay.py", True),
        ("a/conftest.py", True),
        ("a/pay_test.go", True),
        ("a/pay.test.tsx", True),
        ("a/pay-spec.js", True),
        ("a/user_spec.rb", True),
        ("src/PayTest.java", True),
        ("src/PayTests.cs", True),
        ("src/pay.py", False),
        ("src/latest.py", False),
        ("src/contest/a.py", False),
        ("src/testing.py", False),
        ("src/Latest.java", False),
        ("src/inspect.py", False),
    ],
)
def test_test_files_are_recognized_by_path(path: str, expected: bool) -> None:
    assert is_test_file(path) is expected


NESTED = {
    "a/b": "*.py -linguist-generated\n/only.go linguist-generated\nc/*.go linguist-vendored\n",
    "": "*.py linguist-generated\n/a/keep.sql linguist-vendored\n/a/*.lua linguist-vendored\n",
    "a": "*.sql -linguist-vendored\n*.py linguist-generated=false\n*.lua -linguist-generated\n"
    "b/*.md linguist-generated\n",
    "odd [x]*": "*.txt linguist-generated\nin/** linguist-vendored\n",
    "!not": "* linguist-generated\n",
    "#hash": "** linguist-generated\n",
}
MARKED_BELOW = {
    "x.py": True,
    "z/x.py": True,
    "a/x.py": False,
    "a/b/x.py": False,
    "a/keep.sql": False,
    "keep.sql": None,
    "x.sql": None,
    "ab/x.sql": None,
    "a/b/only.go": True,
    "a/b/d/only.go": None,
    "only.go": None,
    "a/b/c/x.go": True,
    "a/c/x.go": None,
    "a/b/x.md": True,
    "a/x.lua": True,
    "odd [x]*/x.txt": True,
    "odd x1/x.txt": None,
    "odd [x]*/deep/x.txt": True,
    "odd [x]*/in/deep/x": True,
    "!not/x": True,
    "!not/deep/x": True,
    "#hash/deep/x": True,
    "hash/x": None,
}
"""Whether the attributes mark a path; None if they do not mention it."""


@pytest.mark.parametrize(("path", "marked"), MARKED_BELOW.items())
def test_folder_attributes_apply_below_it_with_precedence(path: str, marked: bool | None) -> None:
    assert LinguistAttributes(NESTED).verdict(path) is marked
    (entry,) = select([changed(path)], ignore=(), attributes=NESTED).skipped or [None]
    assert (entry is not None and entry.reason is SkipReason.MARKED) is (marked is True)


def test_attributes_of_many_folders_are_matched_only_below_them(monkeypatch: pytest.MonkeyPatch) -> None:
    matched: list[str] = []
    match = Globs.verdicts

    def record(globs: Globs, paths: Iterable[str]) -> Iterator[bool | None]:
        names = list(paths)
        matched.extend(names)
        return match(globs, names)

    monkeypatch.setattr(Globs, "verdicts", record)
    attributes = {f"d{number}": "gen/** linguist-generated" for number in range(500)}
    paths = [f"d{number}/{folder}/x.py" for number in range(500) for folder in ("gen", "src")]
    assert list(LinguistAttributes(attributes).verdicts(paths)) == [True, None] * 500
    assert len(matched) == len(paths)


def test_git_reports_the_same_attributes(tmp_path: Path) -> None:
    repository = GitRepository.create(tmp_path / "work")
    repository.commit({f"{folder}/.gitattributes".lstrip("/"): text for folder, text in NESTED.items()})
    names = ["linguist-generated", "linguist-vendored"]
    printed = repository.git("check-attr", "-z", *names, "--", *MARKED_BELOW).split("\0")
    values: dict[str, set[str]] = {}
    for path, value in zip(printed[:-1:3], printed[2::3], strict=True):
        values.setdefault(path, set()).add(value)
    marked = {
        path: True if found & {"set", "true"} else (False if found & {"unset", "false"} else None)
        for path, found in values.items()
    }
    assert marked == MARKED_BELOW
