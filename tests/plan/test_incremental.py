"""Tests that reviewed hunks are recognized by their content, and reviewed again if that is uncertain."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunkwise.domain.diff import FileDiff, FileStatus, Hunk
from hunkwise.domain.diff_parser import count_changes, parse_hunks
from hunkwise.domain.review import SkipReason
from hunkwise.plan.chunking import pack
from hunkwise.plan.incremental import (
    KEY_BYTES,
    HunkSplit,
    answered_hunks,
    file_key,
    hunk_keys,
    kept_keys,
    split_reviewed,
)
from tests.plan.test_chunking import FILES, file_of

ONE = b"@@ -1,2 +1,3 @@ def f():\n one\n+two\n three\n"
OTHER = b"@@ -30,2 +31,3 @@\n thirty\n+more\n forty\n"


def file_diff(patch: bytes, path: str = "a.py", old_path: str | None = None) -> FileDiff:
    hunks = parse_hunks(patch)
    status = FileStatus.RENAMED if old_path else FileStatus.MODIFIED
    return FileDiff(path, status, hunks, *count_changes(hunks), old_path)


def keys(patch: bytes, path: str = "a.py") -> tuple[str, ...]:
    return hunk_keys(path, parse_hunks(patch))


def all_known(file: FileDiff) -> HunkSplit:
    return HunkSplit(file.hunks, (True,) * len(file.hunks))


@pytest.mark.parametrize(
    ("patch", "path", "same"),
    [
        (ONE, "a.py", True),
        (b"@@ -91,2 +99,3 @@ class Other:\n one\n+two\n three\n", "a.py", True),
        (ONE, "b.py", False),
        (ONE, "caf\udce9.py", False),
        (ONE, "\ud800.py", False),
        (ONE.replace(b"+two", b"+tw0"), "a.py", False),
        (ONE.replace(b"+two", b"+two\r"), "a.py", False),
        (ONE.replace(b"+two", b"+t\xffo"), "a.py", False),
        (b"@@ -1,3 +1,2 @@\n one\n-two\n three\n", "a.py", False),
        (b"@@ -1,2 +1,3 @@\n one\n+two\n three\n\\ No newline at end of file\n", "a.py", False),
        (b"@@ -1,1 +1,2 @@\n one\n+two\n", "a.py", False),
    ],
)
def test_a_key_is_made_of_the_path_and_the_lines_alone(patch: bytes, path: str, same: bool) -> None:
    (key,) = keys(patch, path)
    assert len(key) == 4 * KEY_BYTES / 3
    assert ((key,) == keys(ONE)) is same


def test_twins_in_a_file_have_keys_of_their_own() -> None:
    first, second, third = keys(ONE + OTHER + ONE)
    assert len({first, second, third}) == 3
    assert (first, second) == keys(ONE + OTHER)


def test_lines_cannot_pose_as_the_next_hunk() -> None:
    assert file_key("a", parse_hunks(ONE + OTHER)) != file_key("a", parse_hunks(OTHER + ONE))
    split = parse_hunks(b"@@ -0,0 +1 @@\n+a\n@@ -5,0 +6 @@\n+b\n")
    joined = parse_hunks(b"@@ -0,0 +1,2 @@\n+a\n+b\n")
    assert file_key("a", split) != file_key("a", joined)
    assert file_key("a", joined) not in hunk_keys("a", joined)


def test_only_what_is_not_known_is_new() -> None:
    file = file_diff(ONE + OTHER)
    found = split_reviewed(file, frozenset(keys(ONE)))
    assert (found.carried, found.new) == (file.hunks[:1], file.hunks[1:])
    assert split_reviewed(file, frozenset(keys(ONE + OTHER))).new == ()
    assert split_reviewed(file, frozenset(keys(ONE, "b.py"))).carried == ()


def test_nothing_is_known_without_keys() -> None:
    assert split_reviewed(file_diff(ONE), frozenset()).carried == ()
    assert split_reviewed(FileDiff("a", FileStatus.MODIFIED), frozenset({"x"})) == HunkSplit((), ())


def test_a_file_key_covers_all_hunks_of_the_file_as_they_were() -> None:
    whole = file_diff(ONE + OTHER)
    known = frozenset({file_key("a.py", whole.hunks)})
    assert split_reviewed(whole, known).new == ()
    assert split_reviewed(file_diff(ONE), known).carried == ()


def test_a_twin_that_came_later_is_new() -> None:
    found = split_reviewed(file_diff(ONE + ONE), frozenset(keys(ONE)))
    assert found.reviewed == (True, False)


@pytest.mark.parametrize(
    ("status", "known"),
    [(FileStatus.RENAMED, True), (FileStatus.COPIED, False), (FileStatus.MODIFIED, False)],
)
@pytest.mark.parametrize("key", [keys(ONE, "old.py")[0], file_key("old.py", parse_hunks(ONE))])
def test_a_renamed_file_is_known_under_its_old_name(status: FileStatus, known: bool, key: str) -> None:
    file = replace(file_diff(ONE, "new.py", "old.py"), status=status)
    assert bool(split_reviewed(file, frozenset({key})).carried) is known


def test_a_truncated_hunk_is_never_known() -> None:
    file = file_diff(ONE + b"@@ -30,9 +31,9 @@\n thirty\n+more\n")
    assert file.hunks[1].truncated
    known = frozenset({*hunk_keys("a.py", file.hunks), file_key("a.py", file.hunks)})
    assert split_reviewed(file, known).reviewed == (True, False)
    assert kept_keys({"a.py": all_known(file)}) == frozenset(keys(ONE))


def many(path: str, count: int) -> FileDiff:
    patch = b"".join(b"@@ -%d,0 +%d @@\n+line %d\n" % (9 * n, 9 * n + 1, n) for n in range(1, count + 1))
    return file_diff(patch, path)


def test_the_keys_of_what_is_reviewed_are_kept_and_no_others() -> None:
    file = file_diff(ONE + OTHER)
    assert kept_keys({"a.py": HunkSplit(file.hunks, (False, True))}) == frozenset(keys(ONE + OTHER)[1:])
    assert kept_keys({}) == frozenset()


def test_where_keys_would_be_too_many_the_files_with_the_most_hunks_get_one_each() -> None:
    large, half, small = many("large", 9), many("half", 8), many("small", 3)
    by_file = {
        "large": all_known(large),
        "half": HunkSplit(half.hunks, (True,) * 7 + (False,)),
        "small": all_known(small),
    }
    assert len(kept_keys(by_file, 19)) == 19
    kept = kept_keys(by_file, 12)
    assert kept == {
        file_key("large", large.hunks),
        *hunk_keys("half", half.hunks)[:7],
        *hunk_keys("small", small.hunks),
    }
    assert file_key("small", small.hunks) in kept_keys(by_file, 9)
    assert len(kept_keys(by_file, 5)) == 5
    assert kept_keys(by_file, 0) == frozenset()


def test_files_of_one_hunk_are_not_exchanged_for_as_many_file_keys() -> None:
    files = {name: all_known(many(name, 1)) for name in "abc"}
    assert kept_keys(files, 2) == {*hunk_keys("a", files["a"].hunks), *hunk_keys("b", files["b"].hunks)}


@given(FILES, st.integers(1, 30))
@settings(max_examples=100, deadline=None)
def test_whatever_is_kept_the_same_change_holds_nothing_new_but_what_was_cut(
    files: list[FileDiff], most: int
) -> None:
    by_file = {file.path: all_known(file) for file in files}
    kept = kept_keys(by_file, most)
    assert len(kept) <= most
    new = [hunk for file in files for hunk in split_reviewed(file, kept).new]
    if len(kept_keys(by_file, 10_000)) <= most:
        assert new == []
    assert all(split_reviewed(file, frozenset()).new == file.hunks for file in files)


def test_answers_are_told_of_the_new_hunks_alone() -> None:
    file = many("a", 4)
    division = HunkSplit(file.hunks, (True, False, True, False))
    assert division.with_answers((False, True)).reviewed == (True, False, True, True)


@pytest.mark.parametrize(
    ("failing", "expected"),
    [
        ((), (True, True, True)),
        ((0,), (False, True, True)),
        ((2,), (True, False, True)),
        ((3,), (True, False, False)),
    ],
)
def test_a_split_hunk_is_seen_when_all_of_its_pieces_were(
    failing: tuple[int, ...], expected: tuple[bool, ...]
) -> None:
    file = file_of("f", "+", "+" * 40, "+")
    chunks = pack([file_of("other", "+"), file], 600)
    assert len(chunks) == 4
    outcomes = {index: SkipReason.FAILED if index in failing else None for index in range(4)}
    assert answered_hunks("f", file.hunks, chunks, outcomes) == expected


def test_what_was_not_asked_or_shows_nothing_was_not_seen() -> None:
    file = file_of("f", "+", "+")
    chunks = pack([file], 900)
    assert answered_hunks("f", file.hunks, chunks, {}) == (False, False)
    assert answered_hunks("f", file.hunks, (), {0: None}) == (False, False)
    assert answered_hunks("f", [Hunk(1, 1, ()), *file.hunks], chunks, {0: None}) == (False, True, True)


@given(FILES, st.integers(60, 1_000), st.data())
@settings(max_examples=100, deadline=None)
def test_a_hunk_is_seen_exactly_when_no_line_of_it_was_in_a_failed_chunk(
    files: list[FileDiff], budget: int, draw: st.DataObject
) -> None:
    chunks = pack(files, budget)
    failed = draw.draw(st.sets(st.sampled_from(range(max(1, len(chunks))))))
    outcomes = {chunk.index: SkipReason.FAILED if chunk.index in failed else None for chunk in chunks}
    lost = {
        (part.file.path, line)
        for chunk in chunks
        if chunk.index in failed
        for part in chunk.parts
        for hunk in part.hunks
        for line in hunk.lines
    }
    for file in files:
        expected = tuple(all((file.path, line) not in lost for line in hunk.lines) for hunk in file.hunks)
        assert answered_hunks(file.path, file.hunks, chunks, outcomes) == expected
