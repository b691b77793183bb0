"""Selection of an audit: each file is in one batch or skipped with a reason, the riskiest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hunkwise.domain.audit import FileActivity, TreeFile
from hunkwise.domain.diff import DiffLine, FileDiff, FileStatus, Hunk
from hunkwise.domain.review import SkipReason
from hunkwise.plan.audit_selection import order_files, pack_batches, questions_of, select_tree
from hunkwise.plan.chunking import pack
from hunkwise.plan.selection import PATCH_LIMIT


def tree_file(path: str, size: int = 1_000, blob: str = "") -> TreeFile:
    return TreeFile(path, blob or f"blob of {path}", size)


def paths_of(files: Sequence[TreeFile]) -> list[str]:
    return [file.path for file in files]


ATTRIBUTES = "schema/** linguist-generated\nvendor/own/** -linguist-vendored\n"


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (tree_file("src/app.py"), None),
        (tree_file("src/empty.py", 0), SkipReason.NO_CHANGED_LINES),
        (tree_file("logo.PNG"), SkipReason.BINARY),
        (tree_file("uv.lock"), SkipReason.LOCK_FILE),
        (tree_file("vendor/a.go"), SkipReason.GENERATED),
        (tree_file("vendor/own/a.go"), None),
        (tree_file("schema/a.json"), SkipReason.MARKED),
        (tree_file("schema/yarn.lock"), SkipReason.MARKED),
        (tree_file("large.py", PATCH_LIMIT), None),
        (tree_file("large.py", PATCH_LIMIT + 1), SkipReason.TOO_LARGE),
        (tree_file("docs/a.md"), SkipReason.IGNORED),
        (tree_file("docs/keep/a.md"), None),
        (tree_file("docs/keep/node_modules/a.js"), None),
        (tree_file("docs/keep/a.png"), SkipReason.BINARY),
        (tree_file("tests/a.py"), SkipReason.IGNORED),
        (tree_file("tests/uv.lock"), SkipReason.IGNORED),
        (tree_file("odd/\udcff.py"), None),
    ],
)
def test_file_is_skipped_for_the_first_reason(file: TreeFile, reason: SkipReason | None) -> None:
    selection = select_tree(
        [file], ignore=("docs/", "!docs/keep/"), audit_ignore=("tests/",), attributes={"": ATTRIBUTES}
    )
    assert selection.eligible == (() if reason else (file,))
    assert selection.skipped == ({reason: 1} if reason else {})


@pytest.mark.parametrize(
    ("only", "audited", "ignore", "audit_ignore", "eligible"),
    [
        ((), (), (), (), ["a.py", "src/a.py", "src/b.py", "web/a.ts"]),
        (("src", "web"), (), (), (), ["src/a.py", "src/b.py", "web/a.ts"]),
        ((), ("*.py",), (), (), ["a.py", "src/a.py", "src/b.py"]),
        (("src", "web"), ("*.py",), (), (), ["src/a.py", "src/b.py"]),
        (("src", "!src/b.py"), (), (), (), ["src/a.py"]),
        ((), (), ("src",), (), ["a.py", "web/a.ts"]),
        ((), (), ("src",), ("web",), ["a.py"]),
        ((), (), ("src",), ("!src/b.py",), ["a.py", "src/b.py", "web/a.ts"]),
        (("web",), (), (), ("!src/b.py",), ["web/a.ts"]),
    ],
)
def test_settings_of_reviews_and_audits_both_apply(
    only: tuple[str, ...],
    audited: tuple[str, ...],
    ignore: tuple[str, ...],
    audit_ignore: tuple[str, ...],
    eligible: list[str],
) -> None:
    files = [tree_file(path) for path in ("a.py", "src/a.py", "src/b.py", "web/a.ts")]
    selection = select_tree(files, only=only, audited_paths=audited, ignore=ignore, audit_ignore=audit_ignore)
    assert paths_of(selection.eligible) == eligible
    assert sum(selection.skipped.values()) == len(files) - len(eligible)


def order(
    *files: TreeFile,
    known: Sequence[str] = (),
    previous: Mapping[str, str] | None = None,
    owed: Sequence[str] = (),
    activity: Mapping[str, FileActivity] | None = None,
    weights: Mapping[str, float] | None = None,
) -> list[str]:
    ordered = order_files(
        files,
        known=frozenset(known),
        previous=previous or {},
        owed=frozenset(owed),
        activity=activity,
        weights=weights or {},
    )
    return paths_of(ordered)


A, B, C, D = (tree_file(name, blob=name.upper()) for name in "abcd")


@pytest.mark.parametrize(
    ("known", "previous", "owed", "expected"),
    [
        ([], {}, [], "abcd"),
        (["B"], {}, [], "acd"),
        (["A", "B", "C", "D"], {}, [], ""),
        ([], {"a": "A", "b": "B", "c": "C", "d": "D"}, [], "abcd"),
        ([], {"a": "A", "b": "B", "c": "C"}, [], "dabc"),
        ([], {"a": "A", "b": "old", "c": "C", "d": "D"}, [], "bacd"),
        ([], {"a": "A", "b": "B", "c": "C"}, ["C"], "cdab"),
        ([], {"a": "A", "moved": "B", "c": "C", "d": "D"}, [], "bacd"),
        (["B", "D"], {"a": "A", "b": "B", "c": "C"}, ["C", "D"], "ca"),
    ],
)
def test_unfinished_files_come_first_then_changed_ones(
    known: list[str], previous: dict[str, str], owed: list[str], expected: str
) -> None:
    assert order(A, B, C, D, known=known, previous=previous, owed=owed) == list(expected)


@pytest.mark.parametrize(
    ("files", "activity", "weights", "expected"),
    [
        ([tree_file("large", 9_000), tree_file("small", 100)], None, {}, ["small", "large"]),
        ([A, B], {"b": FileActivity(1.0)}, {}, ["b", "a"]),
        ([A, B], {"a": FileActivity(2.0), "b": FileActivity(1.5, 1.0)}, {}, ["b", "a"]),
        (
            [tree_file("a", 100), tree_file("b", 99_000)],
            {"a": FileActivity(1.0), "b": FileActivity(9.0)},
            {},
            ["a", "b"],
        ),
        ([A, B], None, {"b": 3.0}, ["b", "a"]),
        ([A, B], None, {"*": 3.0, "a": 0.5}, ["b", "a"]),
        ([A, B], None, {"a": 0.5, "*": 3.0}, ["a", "b"]),
        ([tree_file("src/auth/x"), tree_file("src/a")], None, {"src/auth/**": 3.0}, ["src/auth/x", "src/a"]),
    ],
)
def test_riskiest_files_come_first(
    files: list[TreeFile],
    activity: Mapping[str, FileActivity] | None,
    weights: Mapping[str, float],
    expected: list[str],
) -> None:
    assert order(*files, activity=activity, weights=weights) == expected


SIZE = 10_000


@pytest.mark.parametrize(
    ("files", "batches"),
    [
        ([], []),
        ([("a/1", 100)], ["a/1"]),
        # The files of a folder share a batch, even if files of another folder are between them.
        ([("a/1", 3_000), ("b/1", 3_000), ("a/2", 3_000), ("b/2", 3_000)], ["a/1 a/2", "b/1 b/2"]),
        # If the folder fills less than half of a batch, files of near folders are added.
        ([("p/a/1", 100), ("q/1", 100), ("p/b/1", 100), ("p/2", 100)], ["p/a/1 p/b/1 p/2 q/1"]),
        ([("p/a/1", 4_000), ("q/1", 4_000), ("p/a/2", 100)], ["p/a/1 p/a/2", "q/1"]),
        # Files in the folder itself before those in folders below it.
        ([("1", 100), ("a/1", 100), ("2", 100)], ["1 2 a/1"]),
        # Files that do not fit are in the next batch.
        ([("a/1", 3_000), ("a/2", 5_000), ("a/3", 3_000)], ["a/1 a/3", "a/2"]),
        ([("a/1", 9_000), ("a/2", 100)], ["a/1", "a/2"]),
        ([("a/1", 50_000), ("a/2", 100), ("a/3", 100)], ["a/1", "a/2 a/3"]),
    ],
)
def test_batch_is_filled_from_the_nearest_folders(files: list[tuple[str, int]], batches: list[str]) -> None:
    packed = pack_batches([tree_file(path, size) for path, size in files], SIZE)
    assert [" ".join(paths_of(batch)) for batch in packed] == batches


@pytest.mark.parametrize(("size", "questions"), [(1, 1), (7_000, 1), (7_500, 2), (15_000, 3), (70_000, 10)])
def test_large_file_counts_as_several_questions(size: int, questions: int) -> None:
    assert questions_of([tree_file("a.py", size)], SIZE) == questions


@pytest.mark.parametrize("bytes_per_line", [20, 30, 40, 60])
def test_estimate_is_close_to_number_of_questions(bytes_per_line: int) -> None:
    lines = 500
    row = b"x" * (bytes_per_line - 1)
    batches = pack_batches(
        [tree_file(f"src/{number}.py", lines * bytes_per_line) for number in range(40)], 64_000
    )
    rows = tuple(DiffLine("+", None, number, row) for number in range(1, lines + 1))
    diffs = [
        FileDiff(file.path, FileStatus.ADDED, (Hunk(0, 1, rows),), additions=lines)
        for batch in batches
        for file in batch
    ]
    estimated = sum(questions_of(batch, 64_000) for batch in batches)
    assert estimated == pytest.approx(len(pack(diffs, 64_000)), rel=0.35)


def test_deep_folders_are_packed_by_their_nearest_levels() -> None:
    deep, near = "a/" * 2_000, "a/" * 1_980
    paths = [f"{deep}{number}.py" for number in range(2_000)] + [f"{near}x.py", "x.py"]
    batches = pack_batches([tree_file(path, 1) for path in paths], 100_000_000)
    assert [len(batch) for batch in batches] == [2_001, 1]


NAMES = st.sampled_from(["a.py", "b.go", "yarn.lock", "i.png", "c_pb2.py", "d", "\udcff"])
FOLDERS = st.lists(st.sampled_from(["src", "docs", "vendor", "x"]), max_size=3)
TREES = st.dictionaries(
    st.builds(lambda folders, name: "/".join([*folders, name]), FOLDERS, NAMES),
    st.tuples(st.sampled_from("ABCDEF"), st.sampled_from([0, 1, 50, 900, 4_000, 9_999, 60_000])),
    max_size=40,
)
BLOBS = st.frozensets(st.sampled_from("ABCDEF"), max_size=2)


@given(
    tree=TREES,
    known=BLOBS,
    owed=BLOBS,
    chunk_size=st.sampled_from([500, 4_000, 64_000]),
)
@example({}, frozenset(), frozenset(), 4_000)
@settings(max_examples=200, deadline=None)
def test_every_file_is_in_one_question_or_known_or_skipped(
    tree: dict[str, tuple[str, int]],
    known: frozenset[str],
    owed: frozenset[str],
    chunk_size: int,
) -> None:
    files = [TreeFile(path, blob, size) for path, (blob, size) in tree.items()]
    selection = select_tree(files, ignore=("docs/", "!docs/src/"))
    ordered = order_files(
        selection.eligible, known=known, previous={}, owed=owed, activity=None, weights={"src": 2.0}
    )
    batches = pack_batches(ordered, chunk_size)
    unread = [file for file in selection.eligible if file.blob not in known]
    assert len(files) == len(selection.eligible) + sum(selection.skipped.values())
    assert Counter(file for batch in batches for file in batch) == Counter(unread)
    assert all(batches)
    assert all(len(batch) == 1 or questions_of(batch, chunk_size) == 1 for batch in batches)
    # Each batch starts with the riskiest remaining file.
    openers = [ordered.index(batch[0]) for batch in batches]
    assert openers == sorted(openers)
    assert ordered[:1] == tuple(batch[0] for batch in batches[:1])
