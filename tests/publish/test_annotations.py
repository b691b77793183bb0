"""Annotations of check runs and of the step's log: plain text at lines of the head."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.diff import FileDiff, FileStatus, Side, by_path
from hunkwise.domain.diff_parser import parse_hunks
from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.domain.limits import ANNOTATION_BYTES, TITLE_CHARACTERS
from hunkwise.publish.annotations import (
    NO_TEXT,
    Annotation,
    Level,
    annotation,
    as_request,
    escape_path,
    workflow_annotations,
)
from tests.fakes.contracts import contracts
from tests.publish.samples import HEAD, anchor, file_diff, finding

FILES = by_path([file_diff()])
GITHUB = "https://github.com"
ANY_TEXT = st.text(st.characters(codec=None), max_size=80)


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        (Severity.CRITICAL, "failure"),
        (Severity.HIGH, "failure"),
        (Severity.MEDIUM, "warning"),
        (Severity.LOW, "notice"),
    ],
)
def test_finding_is_annotated_at_its_lines(severity: Severity, level: str) -> None:
    one = finding("Wrong *name*", severity=severity, at=anchor(3, 2), category="bug", confidence=0.9)
    assert annotation(one, FILES) == Annotation(
        "src/a.py",
        2,
        3,
        Level(level),
        f"{severity.label}: Wrong *name*",
        "A body.\n\nbug · 90 % confident",
    )


@pytest.mark.parametrize(
    ("patch", "line", "start_line", "expected", "lines"),
    [
        (b"@@ -1,3 +1,2 @@\n one\n-two\n three", 2, None, 1, "line 2."),
        (b"@@ -7,2 +7,3 @@\n-seven\n+SEVEN\n+and more\n eight", 7, None, 7, "line 7."),
        (b"@@ -7,4 +7,1 @@\n-7\n-8\n-9\n ten", 9, 7, 7, "lines 7\u20139."),
        (b"@@ -5,2 +5,2 @@\n five\n six", 6, None, 6, "line 6."),
        (b"@@ -1,2 +0,0 @@\n-one\n-two", 2, None, 1, "line 2."),
        (b"", 2, None, 1, "line 2."),
    ],
)
def test_removed_code_is_annotated_at_nearest_remaining_line(
    patch: bytes, line: int, start_line: int | None, expected: int, lines: str
) -> None:
    file = FileDiff("src/a.py", FileStatus.MODIFIED, parse_hunks(patch))
    result = annotation(finding(at=Anchor("src/a.py", line, Side.LEFT, start_line)), by_path([file]))
    assert (result.start_line, result.end_line) == (expected, expected)
    assert result.message.startswith(f"This is about the code before the change, {lines}\n\nA body.")


def test_finding_without_line_is_annotated_on_first_line_with_a_note() -> None:
    result = annotation(finding(), FILES)
    assert (result.start_line, result.end_line) == (1, 1)
    assert result.message.startswith("This is about the whole file.\n\nA body.")
    unknown = annotation(finding(at=Anchor("src/other.py", 40, Side.LEFT)), FILES)
    assert (unknown.path, unknown.start_line, unknown.end_line) == ("src/other.py", 1, 1)
    reported = annotation(replace(finding(), reported_line=43), {})
    assert "whole file. The model named line 43." in reported.message


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("src/caf\udce9.py", "src/caf\\xe9.py"),
        ("src/\ud83d.py", "src/\\ud83d.py"),
        ("src/é\n😀.py", "src/é\n😀.py"),
    ],
)
def test_path_that_json_cannot_encode_is_escaped(path: str, written: str) -> None:
    assert escape_path(path) == written
    result = annotation(finding(at=anchor(path=path)), FILES)
    assert result.path == written
    assert result.message.startswith("The file's name is no valid UTF-8") is (path != written)
    assert json.loads(json.dumps(as_request(result)).encode()) == as_request(result)


@pytest.mark.parametrize(
    ("suggestion", "expected"),
    [
        ("two?\r\n  three\n", "Suggested instead:\ntwo?\n  three"),
        ("", "Suggested: remove these lines."),
        (" \n", "Suggested: remove these lines."),
    ],
)
def test_suggestion_is_shown_as_text(suggestion: str, expected: str) -> None:
    assert expected in annotation(finding(at=anchor(), suggestion=suggestion), FILES).message


@pytest.mark.parametrize(
    ("untrusted", "written"),
    [
        ("see https://evil.example/x", "see https:// evil.example/x"),
        ("see HTTPS://github.com.evil.example", "see HTTPS:// github.com.evil.example"),
        ("www.evil.example", "www. evil.example"),
        (f"{GITHUB}/octo/repo/blob/main/a.py", f"{GITHUB}/octo/repo/blob/main/a.py"),
        (f"{GITHUB}/a?b=https://evil.example", f"{GITHUB}/a?b=https:// evil.example"),
        ("<b>@everyone</b> #1", "<b>@everyone</b> #1"),
        ("a\u202eb\x1b[2J\x00c", "ab[2Jc"),
        ("<!-- hunkwise:finding v1 fp=0 -->", "<! -- hunkwise:finding v1 fp=0 -->"),
    ],
)
def test_untrusted_text_is_plain_without_external_links(untrusted: str, written: str) -> None:
    one = finding(untrusted, body=untrusted, suggestion=untrusted, category=untrusted, at=anchor())
    result = annotation(one, FILES, server_url=GITHUB)
    assert result.title == f"medium: {written}"
    assert result.message == f"{written}\n\nSuggested instead:\n{written}\n\n{written}"


@pytest.mark.parametrize(
    ("markdown", "written"),
    [
        ("Call `open()` and ``a`b``.", "Call open() and a`b."),
        ("**Never** close `**x**`, 2**3 ** 4, __init__.", "Never close **x**, 2**3 ** 4, __init__."),
        ("Like this:\n```py\nx = `1`\n  # **y**\n```\nDone.", "Like this:\nx = `1`\n  # **y**\nDone."),
        ("~~~\n[a](b)", "[a](b)"),
        ("## Why\n# a\n#1 # b", "Why\na\n#1 # b"),
        (f"See [the docs]({GITHUB}/o/r).", f"See the docs ({GITHUB}/o/r)."),
        ("![x](https://evil.example/x.png)", "x (https:// evil.example/x.png)"),
        ("`https://evil.example/x`", "https:// evil.example/x"),
        ("https:`//evil.example`", "https:// evil.example"),
        ("<!`-- hunkwise`:finding v1 -->", "<! -- hunkwise:finding v1 -->"),
        ("unclosed ` and **bold", "unclosed ` and **bold"),
        ("a[0](b) items[i]( j )", "a0 (b) items[i]( j )"),
        ("- one\n- two | three", "- one\n- two | three"),
    ],
)
def test_annotation_has_no_markup(markdown: str, written: str) -> None:
    result = annotation(finding("See `x` **y**", body=markdown, at=anchor()), FILES, server_url=GITHUB)
    assert result.message == written
    assert result.title == "medium: See x y"


@pytest.mark.parametrize(
    "flood", ["`" * 20_000, "**a" * 20_000, "[" * 20_000, "![a](" * 9_000, "`a``" * 9_000]
)
def test_long_repetitive_markup_is_processed(flood: str) -> None:
    assert annotation(finding(body=flood, at=anchor()), FILES).message


def test_addresses_are_broken_without_a_server() -> None:
    assert annotation(finding(body=f"{GITHUB}/a"), FILES).message.count(":// ") == 1


def test_long_texts_are_cut_to_github_limits() -> None:
    long = finding("\U0001f600" * 400, body="é" * 70_000, category="c" * 500, at=anchor())
    result = annotation(long, FILES)
    assert len(result.title) == TITLE_CHARACTERS
    assert result.title.endswith("…")
    assert ANNOTATION_BYTES - 3 <= len(result.message.encode()) <= ANNOTATION_BYTES
    assert result.message.endswith("é…\n\n" + "c" * 59 + "…")


def test_finding_without_body_has_a_message() -> None:
    assert annotation(finding("Only this", body=" \n", at=anchor()), FILES).message.startswith("Only this")
    assert annotation(finding("\x00", body="", at=anchor()), FILES).message == NO_TEXT


def test_line_numbers_are_limited_to_valid_values() -> None:
    result = annotation(finding(at=Anchor("src/a.py", 10**15, Side.RIGHT, -3)), FILES)
    assert (result.start_line, result.end_line) == (1, 2**31 - 1)


def test_request_matches_github_schema() -> None:
    result = as_request(annotation(finding(at=anchor(3, 2)), FILES))
    assert set(result) == {"path", "start_line", "end_line", "annotation_level", "title", "message"}
    body = {
        "name": "hunkwise",
        "head_sha": HEAD,
        "output": {"title": "A title", "summary": "A summary", "annotations": [result]},
    }
    faults = contracts().request_faults("POST", "/repos/{owner}/{repo}/check-runs", {}, body)
    assert list(faults) == []


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT, st.none() | ANY_TEXT, st.integers(), st.integers())
def test_any_finding_has_a_valid_annotation(
    title: str, body: str, category: str, path: str, suggestion: str | None, line: int, start: int
) -> None:
    at = Anchor(path, line, Side.RIGHT, start)
    one = Finding(path, Severity.LOW, title, body, at, category, suggestion)
    result = annotation(one, FILES, server_url=GITHUB)
    assert 1 <= result.start_line <= result.end_line <= 2**31 - 1
    assert result.message
    assert len(result.title) <= TITLE_CHARACTERS
    assert "<!-- hunkwise" not in f"{result.title}{result.message}"
    assert json.loads(json.dumps(as_request(result), ensure_ascii=False).encode())


def ranked(*severities: Severity) -> list[Finding]:
    return [
        finding(f"number {number}", severity=severity, at=anchor(2))
        for number, severity in enumerate(severities)
    ]


def test_log_has_ten_warnings_and_ten_notices_most_severe_first() -> None:
    found = ranked(*[Severity.LOW] * 12, *[Severity.HIGH] * 3, Severity.MEDIUM, Severity.CRITICAL)
    annotations = workflow_annotations(found, FILES.values())
    assert [(result.level, result.title.split(":")[0]) for result in annotations] == [
        (Level.WARNING, "critical"),
        *[(Level.WARNING, "high")] * 3,
        (Level.NOTICE, "medium"),
        *[(Level.NOTICE, "low")] * 9,
    ]


def test_severe_findings_above_limit_are_listed_before_notices() -> None:
    annotations = workflow_annotations(
        ranked(*[Severity.HIGH] * 5, *[Severity.LOW] * 5), FILES.values(), warnings=2, notices=4
    )
    assert [(result.level, result.title) for result in annotations] == [
        (Level.WARNING, "high: number 0"),
        (Level.WARNING, "high: number 1"),
        (Level.NOTICE, "high: number 2"),
        (Level.NOTICE, "high: number 3"),
        (Level.NOTICE, "high: number 4"),
        (Level.NOTICE, "low: number 5"),
    ]
    assert workflow_annotations(ranked(Severity.HIGH), FILES.values(), warnings=-1, notices=0) == ()
