"""Tests the rows around a place: its whole hunk if there is room, otherwise as many as fit."""

from __future__ import annotations

import pytest

from hunkwise.domain.diff import FileDiff, Hunk, Side
from hunkwise.domain.text import header_size, shown_size
from hunkwise.plan.chunking import LineSpan, hunks_around
from tests.fakes.changes import added, changed

SMALL = changed(
    "a.py", b"@@ -1,2 +1,2 @@ def one():\n-one\n+one!\n two\n@@ -50,2 +50,3 @@\n fifty\n+more\n end"
)
LARGE = added("b.py", *(f"line {number}" for number in range(1, 3001)))


def at(line: int, side: Side = Side.RIGHT, last: int | None = None) -> LineSpan:
    return LineSpan(side, range(line, (last or line) + 1))


def numbers(hunks: tuple[Hunk, ...]) -> list[int | None]:
    return [row.new for hunk in hunks for row in hunk.lines]


def size(file: FileDiff, hunks: tuple[Hunk, ...]) -> int:
    return header_size(file) + sum(map(shown_size, hunks))


@pytest.mark.parametrize(
    ("places", "starts"),
    [
        ([at(1)], [1]),
        ([at(1, Side.LEFT)], [1]),
        ([at(51)], [50]),
        ([at(51), at(1)], [1, 50]),
        ([at(20)], [1, 50]),
        ([], [1, 50]),
        ([at(51, Side.LEFT), at(900)], [50]),
    ],
)
def test_the_hunks_of_the_places_are_shown_whole(places: list[LineSpan], starts: list[int]) -> None:
    hunks = hunks_around(SMALL, places, 10_000)
    assert [hunk.new_start for hunk in hunks] == starts
    assert all(hunk in SMALL.hunks for hunk in hunks)


def test_a_large_hunk_is_cut_around_its_places() -> None:
    hunks = hunks_around(LARGE, [at(1000), at(2500, last=2502)], 4_000)
    assert size(LARGE, hunks) <= 4_000
    assert len(hunks) == 2
    assert {1000, 2500, 2501, 2502} <= set(numbers(hunks))
    assert [hunk.new_start for hunk in hunks] == [hunk.lines[0].new for hunk in hunks]


def test_rows_of_near_places_are_not_shown_twice() -> None:
    hunks = hunks_around(LARGE, [at(1000), at(1005), at(1001)], 4_000)
    assert len(hunks) == 1
    assert numbers(hunks) == sorted(set(numbers(hunks)), key=lambda number: number or 0)


@pytest.mark.parametrize("room", [0, 100, 150, 200, 1_000, 5_000, 90_000])
def test_there_is_never_more_than_room(room: int) -> None:
    places = [at(number) for number in range(1, 3000, 7)]
    hunks = hunks_around(LARGE, places, room)
    assert not hunks or size(LARGE, hunks) <= room
    assert bool(hunks) == (room >= 150)


def test_a_file_without_hunks_shows_nothing() -> None:
    assert hunks_around(FileDiff("a.bin", LARGE.status), [at(1)], 1_000) == ()
