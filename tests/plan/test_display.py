"""Tests that hidden characters are escaped in prompts, and that long lines are cut."""

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
    ("raw", "expected"),
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
def test_hidden_characters_of_a_line_are_escaped(raw: bytes, expected: str) -> None:
    assert shown_text(row(raw)) == expected


def test_lone_surrogates_are_escaped() -> None:
    assert visible("\ud800") == "\\ud800"


def test_line_at_the_limit_is_whole_and_longer_one_is_cut() -> None:
    assert shown_text(row(b"x" * LINE_LIMIT)) == "x" * LINE_LIMIT
    assert shown_text(row(b"x" * 1_000_000)) == "x" * LINE_LIMIT + " … [cut: 1,000,000 bytes in all]"


def test_cut_is_between_characters() -> None:
    shown = shown_text(row(("日" * 3_000).encode()))
    assert shown.startswith("日" * (LINE_LIMIT // 3) + " … [cut")


@given(st.binary(max_size=60))
def test_size_of_a_line_covers_its_text(raw: bytes) -> None:
    shown = shown_text(row(raw))
    assert "\n" not in shown
    shown.encode("utf-8")
    assert len(shown) + ROW_SIZE <= line_size(row(raw)) <= len(shown) + 1 + ROW_SIZE


def test_sizes_of_hunk_and_header_grow_with_their_text() -> None:
    assert shown_size(Hunk(1, 1, (row(b"abc"),), "def f")) > shown_size(Hunk(1, 1, (row(b"abc"),)))
    plain = header_size(FileDiff("abc", FileStatus.ADDED))
    assert header_size(FileDiff("a\nb", FileStatus.ADDED)) == plain + 15
    assert header_size(FileDiff("abc", FileStatus.RENAMED, old_path="ab")) == plain + 2
