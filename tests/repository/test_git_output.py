"""Parsing of git's diff output; inconsistent output is an error."""

from __future__ import annotations

import pytest

from hunkwise.errors import RepositoryError
from hunkwise.repository.git_output import read_changes

RAW = b":100644 100644 1 2 M\tf\n"
PATCH = b"diff --git a/f b/f\nindex 1..2 100644\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n"


def test_raw_lines_and_patch_are_combined() -> None:
    (file,) = read_changes(RAW + b"\n" + PATCH)
    assert (file.path, file.additions, file.deletions) == ("f", 1, 1)
    assert read_changes(b"") == ()


@pytest.mark.parametrize(
    ("output", "why"),
    [
        (RAW, "shows no change of 'f'"),
        (RAW + b"\n" + PATCH + PATCH, "more files than it lists"),
        (RAW + b"\n" + PATCH.replace(b"/f", b"/g"), "is at another place"),
        (RAW.replace(b"M\t", b"X\t"), "has a line"),
        (RAW.replace(b"\tf", b""), "has a line"),
        (b": \tf\n", "has a line"),
        (RAW[:-1], "ends within its list"),
    ],
)
def test_inconsistent_output_is_an_error(output: bytes, why: str) -> None:
    with pytest.raises(RepositoryError, match=why):
        read_changes(output)


def test_files_after_a_cut_have_no_patch() -> None:
    second = b":100644 100644 1 2 M\tg\n"
    files = read_changes(RAW + second + b"\n" + PATCH + PATCH.replace(b"/f", b"/g")[:-3], cut=True)
    assert [(file.path, file.patch_missing) for file in files] == [("f", False), ("g", True)]
