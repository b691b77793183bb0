"""golden.json: what it may hold, and what is said of the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Severity
from hunkwise.evaluation.golden import MAX_BYTES, json_schema, parse_golden, read_json

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "schemas" / "golden.schema.json"
ONE = '"path": "a.py", "line": 1, "text": "Wrong."'


def faults(text: str | bytes) -> list[str]:
    raw = text.encode() if isinstance(text, str) else text
    golden, _, found = parse_golden(raw, "g")
    assert (golden is None) == bool(found)
    return found


def test_the_published_schema_is_what_the_code_gives() -> None:
    written = json.dumps(json_schema(), indent=2) + "\n"
    assert PUBLISHED.read_text() == written, "write json_schema() to schemas/golden.schema.json again"


def test_a_whole_golden_is_read() -> None:
    raw = {
        "version": 1,
        "description": "d",
        "window": 5,
        "pull_request": {"title": "t", "body": "b"},
        "findings": [
            {"path": "a", "line": 3, "end_line": 4, "side": "LEFT", "severity": "high", "text": "x"},
            {"path": "b", "line": 1, "text": "y"},
        ],
    }
    golden, document, said = parse_golden(json.dumps(raw, indent=1).encode(), "g")
    assert golden is not None
    assert said == []
    first, second = golden.findings
    assert (first.lines, first.side_of_diff, first.level) == (range(3, 5), Side.LEFT, Severity.HIGH)
    assert (second.lines, second.side_of_diff, second.level) == (range(1, 2), Side.RIGHT, None)
    assert (golden.reach, golden.pull_request and golden.pull_request.title) == (5, "t")
    assert document.line(("findings", 1, "line")) == 20


def test_a_clean_case_needs_little() -> None:
    golden, _, _ = parse_golden(b'\xef\xbb\xbf{"version": 1, "findings": []}', "g")
    assert golden is not None
    assert (golden.findings, golden.reach, golden.pull_request) == ((), 3, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "g:1: not valid JSON: expecting value"),
        ("[]", 'g:1: the file must be an object, such as {"version": 1, "findings": []}'),
        ('{\n"version": 1,\n}', "g:3: not valid JSON: expecting property name enclosed in double quotes"),
        ('{"version": NaN}', "g:1: not valid JSON: NaN is no number of JSON; write a number"),
        ('{"version": 1' + "0" * 5000 + "}", "g:1: not valid JSON: Exceeds the limit"),
        (b"{\n\xff}", "g:2: the file is not UTF-8; save it as UTF-8"),
        ("[" * 17, "g:1: more than 16 levels of nesting; flatten the file"),
        (b" " * (MAX_BYTES + 1), f"g:1: the file has more than {MAX_BYTES:,} bytes; shorten it"),
        ('{"findings": []}', 'g:1: "version" is missing; give 1, the only version'),
        (
            '{"version": 2, "findings": []}',
            'g:1: "version" must be 1, the only version that this hunkwise reads, not 2',
        ),
        (
            '{"version": 1}',
            'g:1: "findings" is missing; give a list of up to 100 objects, empty for a clean case',
        ),
        ('{"version": 1,\n"findings": {}}', 'g:2: "findings" must be a list of up to 100 objects'),
        (
            '{"version": 1, "findings": [\n3]}',
            'g:2: an entry of "findings" must be an object with path, line and text, not 3',
        ),
        (
            '{"version": 1, "findings": [' + ",".join([f"{{{ONE}}}"] * 101) + "]}",
            "empty for a clean case, not a list; there are 101",
        ),
        (
            '{"version": 1, "findings": [],\n"finding": []}',
            'g:2: unknown key "finding"; did you mean "findings"?',
        ),
        (
            '{"version": 1, "findings": [],\n"xyz": []}',
            'g:2: unknown key "xyz"; there is version, description',
        ),
        (
            f'{{"version": 1, "findings": [{{\n{ONE},\n"end-line": 3}}]}}',
            'g:3: unknown key "end-line"; did you mean "end_line"?',
        ),
        (
            '{"version": 1, "findings": [], "pull_request": {\n"titel": "x"}}',
            'g:2: unknown key "titel"; did you mean "title"?',
        ),
        ('{"version": 1, "findings": [\n{"line": 1, "text": "x"}]}', 'g:2: "path" is missing; give the path'),
        (
            f'{{"version": 1, "findings": [{{{ONE},\n"severity": "hihg"}}]}}',
            'g:2: "severity" must be low, medium, high or critical, not "hihg"; did you mean "high"?',
        ),
        (f'{{"version": 1, "findings": [{{{ONE},\n"side": "right"}}]}}', '"side" must be RIGHT (numbered'),
        (
            '{"version": 1, "findings": [{"path": "a",\n"line": "3", "text": "x"}]}',
            'g:2: "line" must be a line number, 1 or more, not "3"',
        ),
        (
            '{"version": 1, "findings": [{"path": "a",\n"line": 0, "text": "x"}]}',
            'g:2: "line" must be a line number',
        ),
        (
            f'{{"version": 1, "findings": [{{{ONE}, "side": "LEFT",\n"end_line": 0}}]}}',
            'g:2: "end_line" must be a line number',
        ),
        (
            '{"version": 1, "findings": [{"path": "a", "line": 5, "text": "x",\n"end_line": 4}]}',
            'g:2: "end_line" 4 comes before "line" 5; swap them',
        ),
        (
            '{"version": 1, "findings": [{"path": "a", "line": 5, "text": "x",\n"end_line": 9000}]}',
            "g:2: lines 5–9000 are more than 1,000; name the few that it is about",
        ),
        (
            '{"version": 1,\n"window": 101, "findings": []}',
            'g:2: "window" must be a whole number from 0 to 100, not 101',
        ),
        (
            '{"version": 1, "findings": [],\n"version": 1}',
            'g:2: "version" stands on line 1 already; keep one',
        ),
        (
            '{"version": 1, "findings": [],\n"description": "\\ud800"}',
            "g:2: a text holds half of a character; write it",
        ),
        (
            '{"version": 1, "findings": [],\n"description": 7}',
            'g:2: "description" must be a text of up to 2,000',
        ),
    ],
)
def test_each_fault_is_told_with_its_line_and_what_is_right(text: str | bytes, said: str) -> None:
    assert any(one.startswith(said) or said in one for one in faults(text)), faults(text)


def test_all_faults_are_told_at_once_in_their_order() -> None:
    text = '{"version": 3,\n"findings": [\n{"path": "", "line": -1, "text": ""}],\n"x": 1}'
    assert [one.split(":")[1] for one in faults(text)] == ["1", "3", "3", "3", "4"]


def test_a_text_that_never_ends_costs_no_time() -> None:
    assert faults('{"a": "' + '\\"' * 200_000)[0].startswith("g:1: not valid JSON: unterminated string")


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.text(alphabet=st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(values, st.sampled_from([None, 1, 4]))
def test_json_is_read_as_python_reads_it_and_every_place_has_a_line(
    value: object, indent: int | None
) -> None:
    text = json.dumps(value, indent=indent)
    document = read_json(text.encode())
    assert document.value == value
    assert document.faults == ()
    count = text.count("\n") + 1
    assert set(document.lines) == set(places(value, ()))
    assert all(1 <= line <= count for line in document.lines.values())


def places(value: object, loc: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [place for key, inner in entries for place in [(*loc, key), *places(inner, (*loc, key))]]


@given(st.binary(max_size=40) | st.text(alphabet='{}[],:"\\ \n1a', max_size=30).map(str.encode))
def test_reading_never_raises(raw: bytes) -> None:
    read_json(raw)
    parse_golden(raw, "g")
