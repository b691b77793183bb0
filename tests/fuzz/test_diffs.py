"""The diff parser, on diffs as tools write them and on what becomes of them on the way."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.properties.diffs import (
    is_cut_anywhere,
    tells_of_files,
    tells_the_truth,
    turns_one_into_the_other,
)
from tests.fuzz.strategies import DIFFS, FILES, mutated

_RAW = st.lists(
    st.sampled_from(
        [
            b":100644 100644 1111111 2222222 M\tf\n",
            b":000000 100644 0000000 2222222 A\tf\n",
            b":100644 120000 1111111 2222222 T\tf\n",
            b":100644 100644 1111111 2222222 R090\tf\tg\n",
            b':100644 100644 1111111 2222222 M\t"\\303\\251"\n',
            b": \tf\n",
            b"\n",
        ]
    ),
    max_size=3,
).map(b"".join)


@settings(max_examples=120, deadline=None)
@given(mutated())
def test_every_line_that_is_told_of_stands_in_the_patch(patch: bytes) -> None:
    tells_the_truth(patch)


@settings(max_examples=150, deadline=None)
@given(DIFFS, st.floats(0, 1))
def test_the_beginning_of_a_patch_is_read_as_the_beginning_of_it_all(patch: bytes, part: float) -> None:
    is_cut_anywhere(patch, int(part * len(patch)))


@settings(max_examples=150, deadline=None)
@given(FILES, FILES, st.integers(0, 3))
def test_hunks_turn_the_old_file_into_the_new_one(
    old: Sequence[bytes], new: Sequence[bytes], context: int
) -> None:
    turns_one_into_the_other(old, new, context)


@settings(max_examples=120, deadline=None)
@given(_RAW, mutated(), st.booleans())
def test_what_git_tells_of_files_adds_up_or_is_refused(raw: bytes, patch: bytes, cut: bool) -> None:
    tells_of_files(raw + patch, cut)


@pytest.mark.parametrize(
    "flood",
    [
        b"@",
        b"@@ -1 +1 @@\n",
        b"+\n",
        b"diff --git a/x b/x\n",
        b"--- a\n+++ b\n",
        b"\\ x\n",
        b'"',
        b'"\\',
        b":",
        b"@@@ -1 ",
        b"-1,1 ",
        b"\n",
    ],
)
def test_floods_are_read_to_their_end(flood: bytes) -> None:
    for head in (b"", b"@@ -1,999999 +1,999999 @@\n", b"diff --git a/x b/x\n", b":100644 100644 1 2 M\t"):
        patch = head + flood * (100_000 // len(flood))
        tells_the_truth(patch[:20_000])
        tells_of_files(patch, cut=False)
