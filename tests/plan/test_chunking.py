"""Tests that each line is in exactly one chunk, chunks are within the budget, and coverage adds up."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunkwise.domain.diff import DiffLine, FileDiff, FileStatus, Hunk, Side
from hunkwise.domain.diff_parser import count_changes, parse_hunks
from hunkwise.domain.review import FileCoverage, SkipReason
from hunkwise.domain.text import LINE_LIMIT, header_size, shown_size
from hunkwise.plan.chunking import (
    Chunk,
    ChunkPart,
    LineSpan,
    allotted,
    budget_for,
    chunk_size,
    covered,
    hunks_around,
    pack,
    smaller_parts,
)
from tests.fakes.changes import added, changed


def hunk_of(kinds: str, old: int = 1, new: int = 1, raw: bytes = b"text of a line") -> Hunk:
    """Returns a hunk with lines of these kinds; a capital P is an added line that is too long, `_` an empty one."""
    rows: list[DiffLine] = []
    start = (old, new)
    for letter in kinds:
        kind = {"P": "+", "_": "+"}.get(letter, letter)
        content = {"P": b"x" * (LINE_LIMIT + 1), "_": b""}.get(letter, raw)
        rows.append(DiffLine(kind, None if kind == "+" else old, None if kind == "-" else new, content))
        old += kind != "+"
        new += kind != "-"
    return Hunk(*start, tuple(rows), "def f")


def file_of(path: str, *kinds: str) -> FileDiff:
    hunks: list[Hunk] = []
    for number, letters in enumerate(kinds):
        hunks.append(hunk_of(letters, 1_000 * number + 1, 1_000 * number + 1))
    return FileDiff(path, FileStatus.MODIFIED, tuple(hunks), *count_changes(hunks))


KINDS = st.text("+- ", min_size=1, max_size=40)
FILES = st.lists(st.lists(KINDS, max_size=4), max_size=8).map(
    lambda files: [file_of(f"dir/{number}.py", *kinds) for number, kinds in enumerate(files)]
)


@given(FILES, st.integers(60, 3_000))
@settings(max_examples=200, deadline=None)
def test_every_line_is_in_exactly_one_chunk_in_order(files: list[FileDiff], budget: int) -> None:
    chunks = pack(files, budget)
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    shown = [
        (part.file.path, line)
        for chunk in chunks
        for part in chunk.parts
        for hunk in part.hunks
        for line in hunk.lines
    ]
    assert shown == [(file.path, line) for file in files for hunk in file.hunks for line in hunk.lines]
    assert all(part.hunks for chunk in chunks for part in chunk.parts)
    assert sum(chunk.changed_lines for chunk in chunks) == sum(file.changed_lines for file in files)


@given(FILES, st.integers(300, 3_000))
@settings(max_examples=200, deadline=None)
def test_chunks_are_within_budget_and_small_files_stay_whole(files: list[FileDiff], budget: int) -> None:
    chunks = pack(files, budget)
    assert all(chunk_size(chunk) <= budget for chunk in chunks)
    for file in files:
        if header_size(file) + sum(map(shown_size, file.hunks)) <= budget and file.hunks:
            assert sum(part.file is file for chunk in chunks for part in chunk.parts) == 1


@given(FILES, st.integers(60, 3_000))
@settings(max_examples=100, deadline=None)
def test_splitting_a_chunk_keeps_every_line_in_order(files: list[FileDiff], budget: int) -> None:
    def rows(parts: Iterable[ChunkPart]) -> list[tuple[str, DiffLine]]:
        return [(part.file.path, line) for part in parts for hunk in part.hunks for line in hunk.lines]

    pending = list(pack(files, budget))
    while pending:
        chunk = pending.pop()
        smaller = smaller_parts(chunk)
        assert len(smaller) != 1
        assert rows(part for parts in smaller for part in parts) == (rows(chunk.parts) if smaller else [])
        assert smaller or len(rows(chunk.parts)) == 1
        assert all(part.file in files for parts in smaller for part in parts)
        pending += [Chunk(0, parts) for parts in smaller]
        assert all(chunk_size(Chunk(0, parts)) < chunk_size(chunk) for parts in smaller)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([file_of("a", "+" * 9), file_of("b", "+" * 9)], [{"a": 1}, {"b": 1}]),
        ([file_of("a", *["+" * 9] * 4)], [{"a": 2}, {"a": 2}]),
        ([file_of("a", "+" * 40)], [{"a": 1}, {"a": 1}]),
        ([file_of("a", "+" * 40), file_of("b", "+")], [{"a": 1}, {"a": 1, "b": 1}]),
        ([file_of("a", "+")], []),
    ],
)
def test_chunk_is_split_by_files_then_hunks_then_lines(
    files: list[FileDiff], expected: list[dict[str, int]]
) -> None:
    (chunk,) = pack(files, 10**6)
    assert [{part.file.path: len(part.hunks) for part in parts} for parts in smaller_parts(chunk)] == expected


@given(FILES, st.integers(60, 1_000))
@settings(max_examples=100, deadline=None)
def test_pieces_of_a_hunk_are_numbered_from_their_start(files: list[FileDiff], budget: int) -> None:
    for chunk in pack(files, budget):
        for part in chunk.parts:
            for hunk in part.hunks:
                old = [line.old for line in hunk.lines if line.old is not None]
                new = [line.new for line in hunk.lines if line.new is not None]
                assert old == list(range(hunk.old_start, hunk.old_start + len(old)))
                assert new == list(range(hunk.new_start, hunk.new_start + len(new)))
                assert hunk.heading == "def f"


def pieces(kinds: str, budget: int) -> list[str]:
    return [
        "".join(line.kind for line in hunk.lines)
        for chunk in pack([file_of("f", kinds)], budget)
        for part in chunk.parts
        for hunk in part.hunks
    ]


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ("++++++ +++++++++", ["++++++ ", "+++++++++"]),
        ("+++++++-+++++++", ["+++++++", "-+++++++"]),
        ("++++++++_+++++++", ["++++++++", "++++++++"]),
        ("++++++++++++++++", ["+++++++++", "+++++++"]),
        ("------------++", ["---------", "---++"]),
    ],
)
def test_large_hunk_is_split_at_the_best_line(kinds: str, expected: list[str]) -> None:
    assert pieces(kinds, 398) == expected


def test_side_without_lines_is_numbered_by_the_line_before() -> None:
    (hunk,) = parse_hunks(b"@@ -0,0 +1,20 @@\n" + b"+some added line\n" * 20)
    file = FileDiff("n", FileStatus.ADDED, (hunk,), additions=20)
    starts = [
        (piece.old_start, piece.new_start)
        for chunk in pack([file], 300)
        for part in chunk.parts
        for piece in part.hunks
    ]
    assert starts[0] == (0, 1)
    assert {old for old, _ in starts} == {0}
    assert [new for _, new in starts] == sorted({new for _, new in starts})


def test_only_last_piece_of_truncated_hunk_is_truncated() -> None:
    (hunk,) = parse_hunks(b"@@ -0,0 +1,99 @@\n" + b"+some added line\n" * 20)
    file = FileDiff("n", FileStatus.ADDED, (hunk,), additions=99)
    cut = [piece.truncated for chunk in pack([file], 300) for part in chunk.parts for piece in part.hunks]
    assert cut == [False] * (len(cut) - 1) + [True]


def test_small_files_share_a_chunk_and_larger_one_starts_a_new_one() -> None:
    files = [file_of("a", "+"), file_of("b", "+"), file_of("c", "+" * 20)]
    assert [[part.file.path for part in chunk.parts] for chunk in pack(files, 800)] == [["a", "b"], ["c"]]


def test_file_above_budget_fills_the_rest_of_a_chunk() -> None:
    chunks = pack([file_of("a", "+"), file_of("b", "+++", "+++", "+" * 20), file_of("c", "+")], 876)
    assert [[part.file.path for part in chunk.parts] for chunk in chunks] == [["a", "b"], ["b", "c"]]


def test_long_name_does_not_make_a_chunk_of_each_line() -> None:
    assert len(pack([file_of("d/" * 500, "+" * 40)], 1_000)) == 3


def test_files_without_lines_make_no_chunk() -> None:
    assert pack([], 1_000) == ()
    assert pack([FileDiff("a", FileStatus.RENAMED)], 1_000) == ()


def test_lines_of_successful_chunks_are_reviewed() -> None:
    files = [
        file_of("whole", "+-"),
        file_of("half", "+" * 10, "-" * 20),
        file_of("long", "+P"),
        file_of("none", "+"),
    ]
    chunks = pack(files, 500)
    failing = next(
        chunk.index for chunk in chunks if any(part.hunks[0].lines[0].kind == "-" for part in chunk.parts)
    )
    outcomes = {chunk.index: SkipReason.FAILED if chunk.index == failing else None for chunk in chunks}
    whole, half, long, none = covered(chunks, files, outcomes)
    assert whole == FileCoverage("whole", 2, 2)
    assert (half.changed_lines, half.reason) == (30, SkipReason.FAILED)
    assert 0 < half.reviewed_lines < 30
    assert half.detail.endswith("parts")
    assert (long.reviewed_lines, long.reason) == (1, SkipReason.LINE_TOO_LONG)
    assert long.detail == "1 changed line of more than 4,000 bytes; if it is data, list it under ignore"
    assert none == FileCoverage("none", 1, 1)


@pytest.mark.parametrize(
    ("path", "kinds", "reviewed", "reason"),
    [
        ("a.csv", "+P-P", 2, SkipReason.DATA),
        ("a.csv", "P", 0, SkipReason.DATA),
        ("a.csv", "+-", 2, None),
        ("a.py", "+P-P", 2, SkipReason.LINE_TOO_LONG),
    ],
)
def test_long_lines_of_data_are_outside_of_the_coverage(
    path: str, kinds: str, reviewed: int, reason: SkipReason | None
) -> None:
    file = file_of(path, kinds)
    (coverage,) = covered(pack([file], 10_000), [file], {0: None})
    assert (coverage.changed_lines, coverage.reviewed_lines, coverage.reason) == (
        len(kinds),
        reviewed,
        reason,
    )
    assert coverage.counted_lines == (reviewed if reason is not SkipReason.LINE_TOO_LONG else len(kinds))
    (failed,) = covered(pack([file], 10_000), [file], {0: SkipReason.BUDGET})
    assert (failed.reviewed_lines, failed.reason, failed.counted_lines) == (0, SkipReason.BUDGET, len(kinds))


def test_unanswered_chunk_is_interrupted() -> None:
    files = [file_of("a", "++")]
    (coverage,) = covered(pack(files, 1_000), files, {})
    assert coverage == FileCoverage("a", 2, 0, SkipReason.INTERRUPTED)


def test_lines_outside_of_the_patch_are_missing() -> None:
    (hunk,) = parse_hunks(b"@@ -1,9 +1,9 @@\n-a\n+b\n+cu")
    file = FileDiff("a", FileStatus.MODIFIED, (hunk,), additions=9, deletions=9)
    chunks = pack([file], 1_000)
    (coverage,) = covered(chunks, [file], {0: None})
    assert coverage == FileCoverage(
        "a", 18, 2, SkipReason.NO_PATCH, "16 of its changed lines are not in the patch"
    )
    assert covered(chunks, [], {0: None}) == ()


def test_chunks_are_larger_for_large_changes() -> None:
    assert budget_for([], 1_000) == 1_000
    files = [added(f"f{number}.py", *["x" * 84] * 100) for number in range(4)]
    assert budget_for(files, 4_000) == 4_000
    some = [added(f"f{number}.py", *["x" * 84] * 100) for number in range(8)]
    grown = budget_for(some, 4_000)
    assert 4_000 < grown < 10_000
    assert len(pack(some, grown)) <= 24
    many = [added(f"f{number}.py", *["x" * 84] * 100) for number in range(40)]
    assert budget_for(many, 4_000) == 10_000


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
def test_hunks_at_locations_are_included_whole(places: list[LineSpan], starts: list[int]) -> None:
    hunks = hunks_around(SMALL, places, 10_000)
    assert [hunk.new_start for hunk in hunks] == starts
    assert all(hunk in SMALL.hunks for hunk in hunks)


def test_large_hunk_is_cut_around_locations() -> None:
    hunks = hunks_around(LARGE, [at(1000), at(2500, last=2502)], 4_000)
    assert size(LARGE, hunks) <= 4_000
    assert len(hunks) == 2
    assert {1000, 2500, 2501, 2502} <= set(numbers(hunks))
    assert [hunk.new_start for hunk in hunks] == [hunk.lines[0].new for hunk in hunks]


def test_rows_of_near_locations_are_included_once() -> None:
    hunks = hunks_around(LARGE, [at(1000), at(1005), at(1001)], 4_000)
    assert len(hunks) == 1
    assert numbers(hunks) == sorted(set(numbers(hunks)), key=lambda number: number or 0)


@pytest.mark.parametrize("room", [0, 100, 150, 200, 1_000, 5_000, 90_000])
def test_selected_hunks_are_within_the_limit(room: int) -> None:
    places = [at(number) for number in range(1, 3000, 7)]
    hunks = hunks_around(LARGE, places, room)
    assert not hunks or size(LARGE, hunks) <= room
    assert bool(hunks) == (room >= 150)


def test_file_without_hunks_has_no_selection() -> None:
    assert hunks_around(FileDiff("a.bin", LARGE.status), [at(1)], 1_000) == ()


@pytest.mark.parametrize(
    ("wants", "room", "shares"),
    [
        ((), 10, []),
        ((3, 4), 10, [3, 4]),
        ((100, 4, 100), 24, [10, 4, 10]),
        ((5, 5), 0, [0, 0]),
        ((5, 5), -3, [0, 0]),
        ((7, 0), 7, [7, 0]),
    ],
)
def test_small_requests_are_met_and_the_rest_is_shared(
    wants: tuple[int, ...], room: int, shares: list[int]
) -> None:
    assert allotted(wants, room) == shares


@given(st.lists(st.integers(0, 1_000), max_size=20), st.integers(-10, 5_000))
def test_shares_are_within_requests_and_total(wants: list[int], room: int) -> None:
    shares = allotted(wants, room)
    assert all(0 <= share <= want for share, want in zip(shares, wants, strict=True))
    assert sum(shares) <= max(0, room)
    assert shares == wants or sum(shares) > max(0, room) - len(wants)
