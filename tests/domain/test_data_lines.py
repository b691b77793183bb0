"""Tests which lines that are too long for a prompt are data, and that no code can be hidden as data."""

from __future__ import annotations

from base64 import b64encode
from random import Random

import pytest

from hunkwise.domain.data_lines import count_data_lines
from hunkwise.domain.diff import DiffLine, FileDiff, FileStatus, Hunk
from hunkwise.domain.text import LINE_LIMIT, shown_text, without_data

IMAGE = b64encode(Random(1).randbytes(45_000))
WRAPPED = rb"\n".join(IMAGE[at : at + 76] for at in range(0, len(IMAGE), 76))
NUMBERS = b",".join(b"%d.5" % number for number in range(3_000))
PATH = b" ".join(b"c%d.25-4,7" % number for number in range(2_000))
WORDS = b"two words, " * 1_000
MINIFIED = b"function a(b){return b.c(1)};" * 400
OBJECTS = b'{"id": 1, "name": "Ann"}, ' * 400


def change(path: str, raw: bytes, status: FileStatus = FileStatus.ADDED, before: bytes = b"") -> FileDiff:
    """A file in which this line replaces the one before."""
    rows = [DiffLine("-", 1, None, before)] if before else []
    return FileDiff(path, status, (Hunk(1, 1, (*rows, DiffLine("+", None, 1, raw))),), 1, len(rows))


@pytest.mark.parametrize(
    ("path", "raw", "is_data"),
    [
        ("nb.ipynb", b'    "image/png": "' + IMAGE + rb'\n",', True),
        ("nb.ipynb", b'    "image/png": "' + WRAPPED + rb'\n",', True),
        ("one_line.ipynb", b'{"source": ["x = 1"], "image/png": "' + IMAGE + b'"}', True),
        ("pic.svg", b'<svg><path d="M1 2' + PATH + b'z"/></svg>', True),
        ("pic.svg", b'<image href="data:image/png;base64,' + IMAGE + b'"/>', True),
        ("site.css", b"a{src:url(data:font/woff2;base64," + IMAGE + b")}", True),
        ("logo.ts", b"export const logo = '" + IMAGE + b"';", True),
        ("blob.go", b"var blob = `" + IMAGE + b"`", True),
        ("hex.py", b'KEY = "' + IMAGE.hex().encode() + b'"', True),
        ("weights.json", b"[[" + NUMBERS + b"]]", True),
        ("table.py", b"TABLE = [" + NUMBERS + b"]", True),
        ("data.csv", WORDS, True),
        ("data.TSV", WORDS, True),
        ("log.jsonl", OBJECTS, True),
        ("map.geojson", OBJECTS, True),
        ("app.js.map", OBJECTS, True),
        ("app.js", MINIFIED, False),
        ("app.min.js", MINIFIED, False),
        ("package.json", OBJECTS, False),
        ("page.svg", b"<svg>" + MINIFIED + b"</svg>", False),
        ("readme.md", WORDS, False),
        ("data.csv.sh", WORDS, False),
        ("csv", WORDS, False),
        # Attacks: something is beside the data, or looks like it.
        ("run.csv", b"#!/bin/sh " + WORDS, False),
        ("a.js", b"x='" + IMAGE + b"';" + MINIFIED, False),
        ("a.js", b"x=1+" + IMAGE + b";deny()", False),
        ("a.js", b'x=""/' + IMAGE + b"//;deny()", False),
        ("a.js", b"x='" + b"AAAA" * 2_000 + b'";deny()', False),
        ("a.lua", b"x = [1" + b" -- 1" * 2_000 + b"]", False),
        ("a.sh", b"ls " + b"cat csh mail " * 1_000, False),
        ("a.js", b"a(b);" * 1_000, False),
        ("a.js", b"[][(![]+[])[+[]]]" * 400, False),
        ("a.py", b"x = 1; " * 1_000, False),
        ("a.js", b"x=`" + b"${a.b}" * 1_000 + b"`", False),
        ("a.txt", b"x" * 5_000, False),
    ],
)
def test_data_line_is_told_by_its_content_or_by_a_format_without_code(
    path: str, raw: bytes, is_data: bool
) -> None:
    file = change(path, raw)
    assert len(raw) > LINE_LIMIT
    assert count_data_lines(file, file.hunks[0].lines) == is_data


@pytest.mark.parametrize(
    ("path", "status", "before", "expected"),
    [
        ("all.json", FileStatus.MODIFIED, OBJECTS, 2),
        ("nb.ipynb", FileStatus.MODIFIED, OBJECTS, 2),
        ("pic.svg", FileStatus.CHANGED, OBJECTS, 2),
        ("all.json", FileStatus.MODIFIED, b"{}", 0),
        ("all.json", FileStatus.RENAMED, OBJECTS, 0),
        ("all.json", FileStatus.MODIFIED, b'"' + IMAGE + b'"', 1),
        ("app.js", FileStatus.MODIFIED, OBJECTS, 0),
    ],
)
def test_document_holds_data_if_its_base_does(
    path: str, status: FileStatus, before: bytes, expected: int
) -> None:
    file = change(path, OBJECTS, status, before)
    assert count_data_lines(file, file.hunks[0].lines) == expected


def test_code_around_data_is_shown() -> None:
    shown = shown_text(DiffLine("+", None, 1, b"eval(atob('" + IMAGE + b"')); deny()\r"))
    assert shown == f"eval(atob('{IMAGE[:40].decode()}… [60,000 bytes of data] …')); deny()"


@pytest.mark.parametrize("raw", [b"x = [" + NUMBERS[:900] + b"]", b"'" + IMAGE[:3_000] + b"'"])
def test_data_in_a_line_within_the_limit_is_shown(raw: bytes) -> None:
    assert without_data(raw) == raw


def test_many_short_runs_and_a_line_above_the_limit_for_data_take_no_long_time() -> None:
    assert without_data(b'"AAAA' * 100_000) == b'"AAAA' * 100_000
    assert without_data((b"1," * 90 + b'xx"') * 2_000) == (b"1," * 90 + b'xx"') * 2_000
    assert without_data(b'"' + b"A" * 8_000_000 + b'"') == b'"' + b"A" * 8_000_000 + b'"'
