"""Tests that a file at an untrusted path is read up to a limit, and only if it is a regular file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hunkwise.files import read_bounded


@pytest.mark.parametrize(("size", "read"), [(0, 0), (9, 9), (10, 10), (11, 11), (5_000, 11)])
def test_reads_one_byte_more_than_the_limit(tmp_path: Path, size: int, read: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    assert read_bounded(path, 10) == b"x" * read


def test_reads_link_to_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    assert read_bounded(tmp_path / "link", 10) == b"x"


def test_refuses_special_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (tmp_path / "pipe", "no regular file"),
        (Path("/dev/zero"), "no regular file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "gone", "No such file"),
    ):
        with pytest.raises(OSError, match=words) as refused:
            read_bounded(path, 10)
        assert refused.value.strerror
