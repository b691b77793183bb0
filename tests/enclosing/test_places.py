"""Tests the changed places of hunks, in lines of the new file."""

from __future__ import annotations

import pytest

from hunkwise.domain.diff_parser import parse_hunks
from hunkwise.enclosing.scopes import places_in, shown_in


@pytest.mark.parametrize(
    ("patch", "places"),
    [
        (b"@@ -1,3 +1,4 @@\n one\n-two\n+two!\n+more\n three", ((2, 3),)),
        (b"@@ -1,3 +1,2 @@\n one\n-two\n three", ((1, 1),)),
        (b"@@ -1,2 +1,1 @@\n-one\n two", ((1, 1),)),
        (b"@@ -1,1 +0,0 @@\n-one", ((1, 1),)),
        (b"@@ -0,0 +1,2 @@\n+one\n+two", ((1, 2),)),
        (b"@@ -5,4 +5,6 @@\n a\n+b\n c\n d\n+e\n f", ((6, 6), (9, 9))),
        (b"@@ -5,2 +5,2 @@\n-a\n+b\n c\n@@ -9,1 +9,2 @@\n a\n+b", ((5, 5), (10, 10))),
    ],
)
def test_changed_lines_are_told_in_runs(patch: bytes, places: tuple[tuple[int, int], ...]) -> None:
    assert places_in(parse_hunks(patch)) == places


def test_what_the_diff_shows_are_the_lines_of_the_new_file() -> None:
    assert shown_in(parse_hunks(b"@@ -1,3 +1,3 @@\n one\n-two\n+two!\n three")) == {1, 2, 3}
