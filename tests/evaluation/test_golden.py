"""golden.json: valid contents, and the errors of invalid ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Severity
from hunkwise.evaluation.case_format import MAX_BYTES
from hunkwise.evaluation.golden import json_schema, parse_golden

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "schemas" / "golden.schema.json"
ONE = '"path": "a.py", "line": 1, "text": "Wrong."'


def faults(text: str | bytes) -> list[str]:
    raw = text.encode() if isinstance(text, str) else text
    golden, found = parse_golden(raw, "g")
    assert (golden is None) == bool(found)
    return found


def test_published_schema_matches_code() -> None:
    written = json.dumps(json_schema(), indent=2) + "\n"
    assert PUBLISHED.read_text() == written, "write json_schema() to schemas/golden.schema.json again"


def test_complete_golden_is_read() -> None:
    raw = {
        "version": 1,
        "description": "d",
        "window": 5,
        "pull_request": {"title": "t", "body": "b"},
        "findings": [
            {"path": "a", "line": 3, "end_line": 4, "side": "LEFT", "severity": "high", "text": "x"},
            {"path": "b", "line": 1, "text": "y"},
        ],
        "accept": [{"path": "c", "line": 1, "end_line": 2, "text": "z"}],
    }
    golden, errors = parse_golden(json.dumps(raw, indent=1).encode(), "g")
    assert golden is not None
    assert errors == []
    first, second = golden.findings
    assert (first.lines, first.side_of_diff, first.level) == (range(3, 5), Side.LEFT, Severity.HIGH)
    assert (second.lines, second.side_of_diff, second.level) == (range(1, 2), Side.RIGHT, None)
    (accepted,) = golden.accept
    assert (accepted.lines, accepted.side_of_diff, accepted.level) == (range(1, 3), Side.RIGHT, None)
    assert (golden.reach, golden.pull_request and golden.pull_request.title) == (5, "t")


def test_golden_without_findings_is_read() -> None:
    golden, _ = parse_golden(b'\xef\xbb\xbf{"version": 1, "findings": []}', "g")
    assert golden is not None
    assert (golden.findings, golden.reach, golden.pull_request) == ((), 3, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "g:1: not valid JSON: expecting value"),
        ("[]", 'g: the file must be an object, such as {"version": 1, "findings": []}'),
        ('{\n"version": 1,\n}', "g:3: not valid JSON: expecting property name enclosed in double quotes"),
        ('{"version": NaN}', 'g: "version" must be 1, the only version that this hunkwise reads, not nan'),
        ('{"version": 1' + "0" * 5000 + "}", "g: Exceeds the limit"),
        (b"{\n\xff}", "g: the file is not UTF-8; save it as UTF-8"),
        ("[" * 100_000, "g: too many levels of nesting; flatten the file"),
        (b" " * (MAX_BYTES + 1), f"g: the file has more than {MAX_BYTES:,} bytes; shorten it"),
        ('{"findings": []}', 'g: "version" is missing; give 1, the only version'),
        (
            '{"version": 2, "findings": []}',
            'g: "version" must be 1, the only version that this hunkwise reads, not 2',
        ),
        (
            '{"version": 1}',
            'g: "findings" is missing; give a list of up to 100 objects, empty for a clean case',
        ),
        ('{"version": 1,\n"findings": {}}', 'g: "findings" must be a list of up to 100 objects'),
        (
            '{"version": 1, "findings": [\n3]}',
            "g: findings[0]: it must be an object with path, line and text, not 3",
        ),
        (
            '{"version": 1, "findings": [' + ",".join([f"{{{ONE}}}"] * 101) + "]}",
            "empty for a clean case, not a list; there are 101",
        ),
        (
            '{"version": 1, "findings": [],\n"finding": []}',
            'g: unknown key "finding"; did you mean "findings"?',
        ),
        (
            '{"version": 1, "findings": [],\n"xyz": []}',
            'g: unknown key "xyz"; there is version, description',
        ),
        (
            f'{{"version": 1, "findings": [{{\n{ONE},\n"end-line": 3}}]}}',
            'g: findings[0]: unknown key "end-line"; did you mean "end_line"?',
        ),
        (
            '{"version": 1, "findings": [], "pull_request": {\n"titel": "x"}}',
            'g: unknown key "titel"; did you mean "title"?',
        ),
        ('{"version": 1, "findings": [{"line": 1, "text": "x"}]}', 'g: findings[0]: "path" is missing; give'),
        (
            f'{{"version": 1, "findings": [{{{ONE},\n"severity": "hihg"}}]}}',
            'g: findings[0]: "severity" must be low, medium, high or critical, not "hihg"; did you mean "high"?',
        ),
        (f'{{"version": 1, "findings": [{{{ONE},\n"side": "right"}}]}}', '"side" must be RIGHT (numbered'),
        (
            '{"version": 1, "findings": [{"path": "a",\n"line": "3", "text": "x"}]}',
            'g: findings[0]: "line" must be a line number, 1 or more, not "3"',
        ),
        (
            '{"version": 1, "findings": [{"path": "a",\n"line": 0, "text": "x"}]}',
            'g: findings[0]: "line" must be a line number',
        ),
        (
            f'{{"version": 1, "findings": [{{{ONE}, "side": "LEFT",\n"end_line": 0}}]}}',
            'g: findings[0]: "end_line" must be a line number',
        ),
        (
            '{"version": 1, "findings": [{"path": "a", "line": 5, "text": "x",\n"end_line": 4}]}',
            'g: findings[0]: "end_line" 4 comes before "line" 5; swap them',
        ),
        (
            '{"version": 1, "findings": [{"path": "a", "line": 5, "text": "x",\n"end_line": 9000}]}',
            "g: findings[0]: lines 5–9000 are more than 1,000; name the few that it is about",
        ),
        (
            f'{{"version": 1, "findings": [], "accept": [{{{ONE}, "severity": "low"}}]}}',
            'g: accept[0]: unknown key "severity"; there is path, line, end_line, side or text',
        ),
        (
            '{"version": 1, "findings": [], "accept": [3]}',
            "g: accept[0]: it must be an object with path, line and text, not 3",
        ),
        (
            '{"version": 1, "findings": [], "accept": [' + ",".join([f"{{{ONE}}}"] * 101) + "]}",
            'g: "accept" must be a list of up to 100 objects, as in findings and without severity, not a list; '
            "there are 101",
        ),
        (
            f'{{"version": 1, "findings": [], "accept": [{{{ONE}, "end_line": 0}}]}}',
            'g: accept[0]: "end_line" must be a line number',
        ),
        (
            '{"version": 1, "findings": [], "accept": [{"path": "a", "line": 5, "text": "x", "end_line": 4}]}',
            'g: accept[0]: "end_line" 4 comes before "line" 5; swap them',
        ),
        (
            '{"version": 1,\n"window": 101, "findings": []}',
            'g: "window" must be a whole number from 0 to 100, not 101',
        ),
        (
            '{"version": 1, "findings": [],\n"version": 1}',
            'g: "version" appears 2 times in one object; keep one',
        ),
        (
            '{"version": 1, "findings": [],\n"description": "\\ud800"}',
            'g: "description" must be a text of up to 2,000',
        ),
        (
            '{"version": 1, "findings": [],\n"description": 7}',
            'g: "description" must be a text of up to 2,000',
        ),
    ],
)
def test_fault_has_location_and_expected_value(text: str | bytes, message: str) -> None:
    assert any(one.startswith(message) or message in one for one in faults(text)), faults(text)


def test_all_faults_are_reported_in_order() -> None:
    text = '{"version": 3,\n"findings": [\n{"path": "", "line": -1, "text": ""}],\n"x": 1}'
    assert [fault.split('"')[1] for fault in faults(text)] == ["version", "path", "line", "text", "x"]


def test_unclosed_text_is_rejected_quickly() -> None:
    assert faults('{"a": "' + '\\"' * 200_000)[0].startswith("g:1: not valid JSON: unterminated string")


@given(st.binary(max_size=40) | st.text(alphabet='{}[],:"\\ \n1a', max_size=30).map(str.encode))
def test_reading_never_raises(raw: bytes) -> None:
    parse_golden(raw, "g")
