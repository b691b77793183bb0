"""Tests the rows around changes: by priority, within the limit, without those of the diff."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.diff_parser import parse_hunks
from hunkwise.enclosing.excerpts import GAP, ROW_LIMIT, FileLines, excerpts, places_in, shown_in
from hunkwise.enclosing.scopes import Chain, Place, Scope

CLASS = Scope(1, 1, 1, 60, function=False)
METHOD = Scope(10, 11, 12, 30, function=True)
INNER = Scope(19, 19, 19, 21, function=True)
LINES = [f"line {number}" for number in range(1, 61)]


def around(
    *chain: Scope, shown: range = range(18, 23), place: Place = (20, 20), title: str = "### a"
) -> FileLines:
    return FileLines(title, LINES, frozenset(shown), [(place, chain)])


def rows(text: str) -> list[int]:
    return [int(row) for row in re.findall(r"^ *(\d+) \|", text, re.MULTILINE)]


def test_function_is_whole_with_enclosing_headers() -> None:
    found = excerpts([around(CLASS, METHOD)], 5_000)
    assert rows(found.text) == [1, *range(10, 18), *range(23, 31)]
    assert (found.cut, found.absent) == (0, 0)
    assert found.text.startswith(f"### a\n    1 | line 1\n{GAP}\n   10 | line 10\n")
    assert found.text.endswith(f"   30 | line 30\n{GAP}")


def test_enclosing_function_is_used_if_diff_has_the_inner_one() -> None:
    assert rows(excerpts([around(CLASS, METHOD, INNER)], 5_000).text) == [1, *range(10, 18), *range(23, 31)]


def test_headers_of_enclosing_classes_are_included() -> None:
    assert rows(excerpts([around(CLASS, INNER)], 5_000).text) == [1]


def test_few_rows_are_included_in_a_class_outside_of_functions() -> None:
    assert rows(excerpts([around(CLASS, shown=range(38, 43), place=(40, 40))], 5_000).text) == [
        1,
        *range(28, 38),
        *range(43, 53),
    ]


def test_excerpt_without_enclosing_scopes_is_empty() -> None:
    assert excerpts([around()], 5_000).text == ""
    assert excerpts([], 5_000).text == ""


def test_headers_then_near_rows_have_priority() -> None:
    found = excerpts([around(CLASS, METHOD)], 200)
    assert rows(found.text) == [1, 11, 12, 15, 16, 17, 23, 24, 25]
    assert (found.cut, found.absent) == (1, 0)
    assert len(found.text) <= 200


def test_omitted_files_are_counted() -> None:
    found = excerpts([around(CLASS, METHOD)], 20)
    assert (found.text, found.cut, found.absent) == ("", 0, 1)


def test_two_locations_in_one_function_share_an_excerpt() -> None:
    both = FileLines("### a", LINES, frozenset({15, 25}), [((15, 15), (METHOD,)), ((25, 25), (METHOD,))])
    found = excerpts([both], 5_000)
    assert rows(found.text) == [row for row in range(10, 31) if row not in (15, 25)]


def test_small_function_is_whole_when_large_one_is_cut() -> None:
    small = Scope(40, 40, 40, 42, function=True)
    files = [
        around(CLASS, METHOD),
        around(small, shown=range(41, 42), place=(41, 41), title="### b"),
    ]
    found = excerpts(files, 260)
    assert rows(found.text.partition("### b")[2]) == [40, 42]
    assert found.cut == 1


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ("tab\there\r", "    5 | tab\there"),
        ("\u202eR7 + x", "    5 | \\u202eR7 + x"),
        ('### "b" (added)', '    5 | ### "b" (added)'),
        ("x" * 400, f"    5 | {'x' * ROW_LIMIT} …"),
        ("\u202e" * 400, "    5 | " + "\\u202e" * (ROW_LIMIT // 3) + " …"),
    ],
)
def test_row_is_escaped_and_cut(line: str, row: str) -> None:
    lines = [*LINES[:4], line, *LINES[5:]]
    shown = FileLines("### a", lines, frozenset({6}), [((6, 6), (Scope(5, 5, 5, 7, function=True),))])
    assert row in excerpts([shown], 5_000).text.split("\n")


_SCOPES = st.tuples(st.integers(1, 60), st.integers(1, 60), st.booleans()).map(
    lambda drawn: Scope(min(drawn[:2]), min(drawn[:2]), min(drawn[:2]), max(drawn[:2]), drawn[2])
)


@given(
    st.lists(st.lists(_SCOPES, max_size=4), max_size=5),
    st.frozensets(st.integers(1, 60)),
    st.integers(0, 3_000),
)
def test_excerpts_are_within_limit_without_duplicates(
    chains: list[list[Scope]], shown: frozenset[int], room: int
) -> None:
    places: list[tuple[Place, Chain]] = [((7 * n + 1, 7 * n + 2), tuple(one)) for n, one in enumerate(chains)]
    found = excerpts([FileLines("### a", LINES, shown, places)], room)
    assert len(found.text) <= room
    assert not shown.intersection(rows(found.text))
    assert sorted(set(rows(found.text))) == rows(found.text)


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
def test_changed_lines_are_grouped_in_ranges(patch: bytes, places: tuple[tuple[int, int], ...]) -> None:
    assert places_in(parse_hunks(patch)) == places


def test_lines_in_the_diff_are_those_of_the_new_file() -> None:
    assert shown_in(parse_hunks(b"@@ -1,3 +1,3 @@\n one\n-two\n+two!\n three")) == {1, 2, 3}
