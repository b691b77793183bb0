"""The diff parser with valid and mutated diffs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.properties.diffs import (
    check_git_output,
    check_hunks,
    check_round_trip,
    check_truncated_patch,
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
def test_every_parsed_line_is_in_the_patch(patch: bytes) -> None:
    check_hunks(patch)


@settings(max_examples=150, deadline=None)
@given(DIFFS, st.floats(0, 1))
def test_beginning_of_a_patch_is_parsed_equally(patch: bytes, part: float) -> None:
    check_truncated_patch(patch, int(part * len(patch)))


@settings(max_examples=150, deadline=None)
@given(FILES, FILES, st.integers(0, 3))
def test_hunks_turn_the_old_file_into_the_new_one(
    old: Sequence[bytes], new: Sequence[bytes], context: int
) -> None:
    check_round_trip(old, new, context)


@settings(max_examples=120, deadline=None)
@given(_RAW, mutated(), st.booleans())
def test_git_output_is_consistent_or_an_error(raw: bytes, patch: bytes, cut: bool) -> None:
    check_git_output(raw + patch, cut)


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
def test_long_repetitive_diffs_are_parsed(flood: bytes) -> None:
    for head in (b"", b"@@ -1,999999 +1,999999 @@\n", b"diff --git a/x b/x\n", b":100644 100644 1 2 M\t"):
        patch = head + flood * (100_000 // len(flood))
        check_hunks(patch[:20_000])
        check_git_output(patch, cut=False)
