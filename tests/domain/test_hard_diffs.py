"""Tests fifty hard diffs, row by row. They are not in the repository; see tests/hard_diffs.py."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from hunkwise.domain.diff import FileStatus, Hunk
from hunkwise.domain.diff_parser import NO_FILE_MODE, parse_hunks, parse_sections
from tests.hard_diffs import CASES

NAMES = sorted(folder.name for folder in CASES.glob("[0-9]*-*"))
LETTERS = {
    FileStatus.ADDED: "A",
    FileStatus.REMOVED: "D",
    FileStatus.MODIFIED: "M",
    FileStatus.RENAMED: "R",
    FileStatus.COPIED: "C",
}
MODES_NOT_IN_HEADER = {"015-rename-pure", "081-gnu-timestamps", "102-combined-cc"}
"""Cases whose header lines have no mode: the expected mode is from the trees."""

Row = tuple[str, int | None, int | None, bytes, bool]


def expected_rows(file: dict[str, Any]) -> list[Row]:
    return [
        (
            row["kind"],
            row["old"],
            row["new"],
            base64.b64decode(row["text_b64"]) if "text_b64" in row else row["text"].encode(),
            row["no_eol"],
        )
        for row in file["lines"]
    ]


def expected_path(file: dict[str, Any], side: str) -> str | None:
    if f"{side}_path_b64" in file:
        return base64.b64decode(file[f"{side}_path_b64"]).decode("utf-8", "surrogateescape")
    path: str | None = file[f"{side}_path"]
    return path


def rows(hunks: tuple[Hunk, ...]) -> list[Row]:
    return [(*line,) for hunk in hunks for line in hunk.lines]


def expected_mode(file: dict[str, Any], side: str) -> str:
    return NO_FILE_MODE if file[f"{side}_path"] is None else file[f"{side}_mode"]


def read_case(name: str) -> tuple[bytes, dict[str, Any]]:
    expected: dict[str, Any] = json.loads((CASES / name / "expected.json").read_text("utf-8"))
    return (CASES / name / "diff.patch").read_bytes(), expected


def test_all_fifty_hard_cases_exist() -> None:
    assert len(NAMES) == 50, (
        f"{CASES} holds {len(NAMES)} of the 50 cases: correct HUNKWISE_HARD_DIFFS, or leave it unset where "
        "they are not at hand."
    )


@pytest.mark.parametrize("name", NAMES)
def test_hard_case_has_expected_rows(name: str) -> None:
    patch, expected = read_case(name)
    if expected["format"] == "github-patch-fragment":
        found = [rows(parse_hunks(patch))]
    else:
        found = [rows(section.hunks) for section in parse_sections(patch)]
    assert found == [expected_rows(file) for file in expected["files"]]


@pytest.mark.parametrize("name", [name for name in NAMES if "-frag-" not in name])
def test_hard_case_has_expected_names_status_and_modes(name: str) -> None:
    patch, expected = read_case(name)
    sections = parse_sections(patch)
    assert len(sections) == len(expected["files"])
    for section, file in zip(sections, expected["files"], strict=True):
        header = section.header
        assert LETTERS[header.status] == file["status"]
        assert header.old_path == expected_path(file, "old")
        assert header.new_path == expected_path(file, "new")
        assert header.binary == file["binary"]
        modes = (header.old_mode, header.new_mode)
        if name in MODES_NOT_IN_HEADER:
            assert modes == (None, None)
        else:
            assert modes == (expected_mode(file, "old"), expected_mode(file, "new"))
