"""Resolving anchors: the result, or an error message with a correction."""

from __future__ import annotations

import pytest

from hunkwise.domain.diff import FileDiff, FileStatus, Side, by_path
from hunkwise.domain.finding import Anchor
from hunkwise.publish.placement import find_file, resolve_anchor
from tests.publish.samples import file_diff

LEFT, RIGHT = Side.LEFT, Side.RIGHT
LONG = b"@@ -0,0 +1,300 @@\n" + b"\n".join(b"+line" for _ in range(300))
ONLY_ADDED = b"@@ -1,2 +1,3 @@\n one\n+new\n two"
FILES = by_path(
    [
        file_diff("src/a.py"),
        file_diff("src/new.py", old_path="src/old.py"),
        file_diff("src/long.py", LONG),
        file_diff("docs/only.md", ONLY_ADDED),
        FileDiff("logo.png", FileStatus.ADDED, binary=True),
    ]
)


@pytest.mark.parametrize(
    ("path", "line", "start", "side", "proved"),
    [
        ("src/a.py", 2, None, RIGHT, Anchor("src/a.py", 2, RIGHT, None, "two!")),
        ("src/a.py", 2, None, LEFT, Anchor("src/a.py", 2, LEFT, None, "two")),
        ("src/a.py", 1, None, RIGHT, Anchor("src/a.py", 1, RIGHT, None, "one")),
        ("src/a.py", 4, 2, RIGHT, Anchor("src/a.py", 4, RIGHT, 2, "two!\ntwo and a half\nthree")),
        ("src/a.py", 2, 2, RIGHT, Anchor("src/a.py", 2, RIGHT, None, "two!")),
        ("src/old.py", 42, None, RIGHT, Anchor("src/new.py", 42, RIGHT, None, "forty and a half")),
    ],
)
def test_line_in_the_diff_resolves(
    path: str, line: int, start: int | None, side: Side, proved: Anchor
) -> None:
    assert resolve_anchor(path, line, start, side, FILES) == proved


NEAR = "is not in the diff; changed lines near it: 2–3, 42"
UNKNOWN = "is not among the changed files"


@pytest.mark.parametrize(
    ("path", "line", "start", "sentence"),
    [
        ("src/a.py", 20, None, f"line 20 of src/a.py {NEAR}"),
        ("src/a.py", 40, None, f"line 40 of src/a.py {NEAR}"),
        ("src/a.py", 42, 20, f"line 20 of src/a.py {NEAR}"),
        ("logo.png", 1, None, "line 1 of logo.png is not in the diff: none of its lines is shown"),
        ("src/a.py", 42, 2, "lines 2–42 of src/a.py reach over several hunks; stay within 1–5 or 41–44"),
        ("src/a.py", 2, 4, "start_line 4 comes after line 2; start_line must be the first and line the last"),
        ("src/a.py", 0, None, "line 0 does not exist: lines are counted from 1"),
        ("src/a.py", 2, -1, "line -1 does not exist: lines are counted from 1"),
        ("src/long.py", 201, 1, "lines 1–201 are more than 200; name the few that the finding is about"),
        ("a.py", 1, None, f"a.py {UNKNOWN}; did you mean src/a.py?"),
        ("src/lang.py", 1, None, f"src/lang.py {UNKNOWN}; did you mean src/long.py?"),
        ("zzz", 1, None, f"zzz {UNKNOWN}"),
        ("z\nz", 1, None, f"z z {UNKNOWN}"),
    ],
)
def test_invalid_location_has_an_error_with_correction(
    path: str, line: int, start: int | None, sentence: str
) -> None:
    assert resolve_anchor(path, line, start, RIGHT, FILES) == sentence


@pytest.mark.parametrize(
    ("path", "line", "rest"),
    [
        ("src/a.py", 99, "; changed lines near it: 2"),
        ("docs/only.md", 9, ": it has no changed lines there; name side RIGHT instead"),
    ],
)
def test_invalid_base_line_has_an_error_for_side_left(path: str, line: int, rest: str) -> None:
    fault = resolve_anchor(path, line, None, LEFT, FILES)
    assert fault == f"line {line} of {path} is not in the diff on side LEFT{rest}"


def test_line_of_the_other_side_is_reported() -> None:
    removed = b"@@ -1,2 +0,0 @@\n-one\n-two\n"
    both = b"@@ -9,2 +0,0 @@\n-nine\n-ten\n@@ -20 +18,2 @@\n twenty\n+more"
    files = by_path([file_diff("gone", removed), file_diff("both", both)])
    assert "on side" not in str(resolve_anchor("both", 9, None, RIGHT, files))
    assert str(resolve_anchor("both", 9, None, RIGHT, files)).endswith(
        "changed lines near it: 19; if you mean the removed line, name side LEFT"
    )
    assert str(resolve_anchor("both", 19, None, LEFT, files)).endswith("name side RIGHT")
    assert str(resolve_anchor("gone", 1, None, RIGHT, files)).endswith("name side LEFT instead")


def test_error_lists_nearest_changed_ranges() -> None:
    rows = b"\n".join(b"@@ -%d +%d,2 @@\n x\n+y" % (n, n + n // 10 - 1) for n in range(10, 100, 10))
    fault = resolve_anchor("f", 50, None, RIGHT, by_path([file_diff("f", rows)]))
    assert fault == "line 50 of f is not in the diff; changed lines near it: 44, 55, 66"


def test_range_of_two_hundred_lines_resolves() -> None:
    assert isinstance(resolve_anchor("src/long.py", 200, 1, RIGHT, FILES), Anchor)


def test_error_without_side_lists_lines_of_both_sides() -> None:
    files = by_path([file_diff("gone", b"@@ -1,2 +0,0 @@\n-one\n-two\n"), *FILES.values()])
    assert resolve_anchor("gone", 2, None, None, files) == Anchor("gone", 2, LEFT, None, "two")
    assert resolve_anchor("src/a.py", 2, None, None, files) == Anchor("src/a.py", 2, RIGHT, None, "two!")
    assert str(resolve_anchor("src/a.py", 20, None, None, files)).endswith(": 2–3, 42; on side LEFT: 2")


WORKSPACES = by_path([file_diff(name) for name in ("a.py", "src/b.py", "b/c.py", "lib/x/d.py", "x/d.py")])


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("./a.py", "a.py"),
        ("a/a.py", "a.py"),
        ("b/a.py", "a.py"),
        ("b/src/b.py", "src/b.py"),
        ("b/c.py", "b/c.py"),
        ("a/b/c.py", "b/c.py"),
        (" a.py\n", "a.py"),
        ('"src/b.py"', "src/b.py"),
        ("`src/b.py`", "src/b.py"),
        ("src/b.py:12", "src/b.py"),
        ("src/b.py:12-14", "src/b.py"),
        ("src\\b.py", "src/b.py"),
        (".\\src\\b.py", "src/b.py"),
        ("/a.py", "a.py"),
        ("/github/workspace/a.py", "a.py"),
        ("/github/workspace/x/d.py", "x/d.py"),
        ("/github/workspace/lib/x/d.py", "lib/x/d.py"),
        ("github/workspace/src/b.py", "src/b.py"),
        ("/home/runner/work/site/site/src/b.py", "src/b.py"),
        ("D:\\a\\site\\site\\src\\b.py", "src/b.py"),
        ("/home/runner/work/site/site/lib/x/d.py", None),
        ("/home/runner/src/../src/b.py", None),
        ("../src/b.py", None),
        ("src/../a.py", None),
        ("lib/a.py", None),
        ("b.py", None),
        ("A.py", None),
        ("", None),
        ("/", None),
        ("./", None),
        (":1", None),
    ],
)
def test_path_that_matches_one_changed_file_resolves(path: str, meant: str | None) -> None:
    file = find_file(path, WORKSPACES)
    assert (file.path if file else None) == meant
