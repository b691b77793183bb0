"""Tests the diff parser with untrusted bytes. The hard cases are in test_hard_diffs.py."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunkwise.domain.diff import DiffLine, FileStatus, Hunk
from hunkwise.domain.diff_parser import FileSection, count_changes, parse_hunks, parse_sections


def one(patch: bytes) -> Hunk:
    (hunk,) = parse_hunks(patch)
    return hunk


def test_incomplete_last_line_is_dropped_and_hunk_truncated() -> None:
    hunk = one(b"@@ -1,3 +1,3 @@\n a\n-b\n+B chang")
    assert hunk.truncated
    assert hunk.lines == (DiffLine(" ", 1, 1, b"a"), DiffLine("-", 2, None, b"b"))


def test_last_line_without_line_feed_within_counts_is_a_line() -> None:
    hunk = one(b"@@ -1 +1 @@\n-a\n+b")
    assert not hunk.truncated
    assert hunk.lines == (DiffLine("-", 1, None, b"a"), DiffLine("+", None, 1, b"b"))


def test_empty_context_line_may_lack_its_leading_space() -> None:
    hunk = one(b"@@ -1,3 +1,3 @@\n a\n\n-b\n+c\n")
    assert hunk.lines[1] == DiffLine(" ", 2, 2, b"")
    assert not hunk.truncated


def test_heading_has_no_carriage_return() -> None:
    assert one(b"@@ -1 +1 @@ def f(): @@ -9 +9 @@\r\n-a\n+b\n").heading == "def f(): @@ -9 +9 @@"


@pytest.mark.parametrize(
    ("patch", "kinds"),
    [
        pytest.param(b"@@ -1,2 +1,2 @@\n-a\n", "-", id="ends too early"),
        pytest.param(b"@@ -1,2 +1,2 @@", "", id="header only"),
        pytest.param(b"@@ -1,9 +1,9 @@\n a\ndiff --git a/x b/x\n", " ", id="another file begins"),
        pytest.param(b"@@ -1,1 +1,9 @@\n-a\n-b\n", "-", id="more removed than counted"),
        pytest.param(b"@@ -1,9 +1,1 @@\n+a\n+b\n", "+", id="more added than counted"),
        pytest.param(b"@@ -1,9 +1,0 @@\n a\n", "", id="context that one side has no room for"),
        pytest.param(b"@@ -1,2 +1,2 @@\n\\ No newline\n", "", id="a marker before any line"),
        pytest.param(b"@@@ -1,2 -1,2 +1,2 @@@\n  a\n+", " ", id="combined, cut"),
        pytest.param(b"@@@ -1,2 -1,2 +1,2 @@@\n  a\n", " ", id="combined, ends too early"),
        pytest.param(b"@@@ -1,2 -1,2 +1,2 @@@\n  a\nx", " ", id="combined, another line"),
        pytest.param(b"@@@ -1,2 -1,2 +1,1 @@@\n  a\n  b\n", " ", id="combined, more than counted"),
    ],
)
def test_hunk_with_wrong_counts_is_truncated(patch: bytes, kinds: str) -> None:
    hunk = one(patch)
    assert hunk.truncated
    assert "".join(line.kind for line in hunk.lines) == kinds


def test_lines_after_the_counts_are_ignored() -> None:
    first, second = parse_hunks(b"@@ -1 +1 @@\n-a\n+b\n+stray\n@@ nonsense\n@@ -9 +9 @@\n-c\n+d\n")
    assert [len(first.lines), len(second.lines)] == [2, 2]
    assert second.new_start == 9


def test_numbers_of_any_length_are_parsed() -> None:
    assert parse_hunks(b"@@ -" + b"9" * 5_000 + b" +1 @@\n-a\n") == ()
    assert one(b"@@ -1,999999999999999 +1 @@\n-a\n+b\n").truncated


def test_merge_of_three_parents_has_only_right_line_numbers() -> None:
    hunk = one(b"@@@@ -1,2 -1,2 -1,1 +1,3 @@@@ main\n   a\n++ b\n  -c\n--  d\n+++e\n")
    assert [line.new for line in hunk.lines[:2]] == [1, 2]
    assert {line.old for line in hunk.lines} == {None}
    assert hunk.heading == "main"


@pytest.mark.parametrize(
    ("header", "paths", "status"),
    [
        (b"diff --git a/x b/y\ncopy from x\ncopy to y\n", ("x", "y"), FileStatus.COPIED),
        (
            b'diff --git "a/\\tq\\"\\\\" "b/\\tq\\"\\\\"\nold mode 100644\n',
            ('\tq"\\',) * 2,
            FileStatus.MODIFIED,
        ),
        (b'diff --git "a/\\777\\9\\?" "b/\\777\\9\\?"\n', ("\udcff9?",) * 2, FileStatus.MODIFIED),
        (b"diff --git x x\nold mode 100644\nnew mode 100755\n", ("x", "x"), FileStatus.MODIFIED),
        (b"diff --git a/x b/x\ndeleted file mode 100644\n", ("x", None), FileStatus.REMOVED),
        (b'diff --combined "x\\ny"\nindex 1,2..3\n', ("x\ny",) * 2, FileStatus.MODIFIED),
        (b"--- /dev/null\n+++ new.txt\t2026-01-01\n@@ -0,0 +1 @@\n+a\n", (None, "new.txt"), FileStatus.ADDED),
        (b"--- old.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n", ("old.txt", None), FileStatus.REMOVED),
    ],
)
def test_header_lines_give_names_and_status(
    header: bytes, paths: tuple[str | None, str | None], status: FileStatus
) -> None:
    (section,) = parse_sections(header)
    assert (section.header.old_path, section.header.new_path) == paths
    assert section.header.status is status


def test_binary_sections_are_marked() -> None:
    (section,) = parse_sections(b"diff --git a/i b/i\nindex 1..2 100644\nBinary files a/i and b/i differ\n")
    assert section.header.binary
    assert section.hunks == ()


def test_two_gnu_sections_are_separated_without_git_lines() -> None:
    piece = b"--- f\n+++ f\n@@ -1 +1 @@\n-a\n+b\n"
    assert len(parse_sections(piece + piece.replace(b"f\n", b"g\n"))) == 2


def test_changes_are_counted_by_side() -> None:
    assert count_changes(parse_hunks(b"@@ -1,3 +1,2 @@\n a\n-b\n-c\n+d\n")) == (1, 2)


FRAGMENTS = st.lists(
    st.one_of(
        st.binary(max_size=8),
        st.sampled_from(
            [
                b"@@ -1,2 +1,2 @@\n",
                b"@@ -1 +1 @@",
                b"@@@ -1 -1 +1 @@@\n",
                b"+x\n",
                b"-y\n",
                b" z\n",
                b"\n",
                b"\\ No newline at end of file\n",
                b"diff --git a/q b/q\n",
                b"--- a/q\n",
                b"+++ b/q\n",
                b"index 1..2 100644\n",
                b'"\\',
            ]
        ),
    )
).map(b"".join)


@given(FRAGMENTS)
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_parsed_with_correct_numbers(patch: bytes) -> None:
    sections = parse_sections(patch)
    for hunk in [*parse_hunks(patch), *(hunk for section in sections for hunk in section.hunks)]:
        new = [line.new for line in hunk.lines if line.new is not None]
        old = [line.old for line in hunk.lines if line.old is not None]
        assert new == list(range(hunk.new_start, hunk.new_start + len(new)))
        assert old == list(range(hunk.old_start, hunk.old_start + len(old))) or old == []
        assert not any(b"\n" in line.raw for line in hunk.lines)
    assert all(isinstance(section, FileSection) for section in sections)
