"""Tests that a prompt shows every character visibly, and that lines are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.diff import DiffLine, FileDiff, FileStatus, Hunk
from hunkwise.domain.text import (
    LINE_LIMIT,
    ROW_SIZE,
    header_size,
    line_size,
    shown_size,
    shown_text,
    visible,
)


def row(raw: bytes) -> DiffLine:
    return DiffLine("+", None, 1, raw)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\tx = 1", "\tx = 1"),
        (b"crlf\r", "crlf"),
        (b"a\rb", "a\\u000db"),
        (b"\0\x1b[31m", "\\u0000\\u001b[31m"),
        (b"caf\xe9", "caf\\xe9"),
        ("日本 é 😀".encode(), "日本 é 😀"),
        ("👩‍💻".encode(), "👩‍💻"),
        ("a\u202eb\u2066c".encode(), "a\\u202eb\\u2066c"),
        ("a\u2028b\u0085c".encode(), "a\\u2028b\\u0085c"),
        ("\ufeffusing".encode(), "\\ufeffusing"),
        ("x\U000e0041y".encode(), "x\\U000e0041y"),
        ("❤️‍🔥 1️⃣ می‌خواهم".encode(), "❤️‍🔥 1️⃣ می‌خواهم"),
        ("a\ufe01\U0001d173\U0001bca0\u180b\ufff0".encode(), "a\\ufe01\\U0001d173\\U0001bca0\\u180b\\ufff0"),
        ("a\u200db".encode(), "a\\u200db"),
        ("é\u200c\u200d\u200c\ufe0f".encode(), "é\\u200c\\u200d\\u200c\\ufe0f"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
    ],
)
def test_a_line_is_shown_with_nothing_hidden(raw: bytes, shown: str) -> None:
    assert shown_text(row(raw)) == shown


def test_lone_surrogates_are_written_out() -> None:
    assert visible("\ud800") == "\\ud800"


def test_a_line_of_the_limit_is_whole_and_a_longer_one_is_cut() -> None:
    assert shown_text(row(b"x" * LINE_LIMIT)) == "x" * LINE_LIMIT
    assert shown_text(row(b"x" * 1_000_000)) == "x" * LINE_LIMIT + " … [cut: 1,000,000 bytes in all]"


def test_a_cut_does_not_fall_within_a_character() -> None:
    shown = shown_text(row(("日" * 3_000).encode()))
    assert shown.startswith("日" * (LINE_LIMIT // 3) + " … [cut")


@given(st.binary(max_size=60))
def test_the_size_of_a_line_covers_what_is_shown(raw: bytes) -> None:
    shown = shown_text(row(raw))
    assert "\n" not in shown
    shown.encode("utf-8")
    assert len(shown) + ROW_SIZE <= line_size(row(raw)) <= len(shown) + 1 + ROW_SIZE


def test_the_size_of_a_hunk_and_of_a_files_header_grow_with_what_they_show() -> None:
    assert shown_size(Hunk(1, 1, (row(b"abc"),), "def f")) > shown_size(Hunk(1, 1, (row(b"abc"),)))
    plain = header_size(FileDiff("abc", FileStatus.ADDED))
    assert header_size(FileDiff("a\nb", FileStatus.ADDED)) == plain + 15
    assert header_size(FileDiff("abc", FileStatus.RENAMED, old_path="ab")) == plain + 2
