"""Tests YAML as plain data: what is accepted, what is rejected, and on which line."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.settings.strict_yaml import MAX_BYTES, MAX_DEPTH, read_yaml


def faults_of(raw: bytes) -> list[tuple[int, str]]:
    return [(fault.line, fault.text) for fault in read_yaml(raw).faults]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# nothing", None),
        ("~", None),
        ("a:", {"a": None}),
        ("a: null", {"a": None}),
        ("a: true\nb: FALSE", {"a": True, "b": False}),
        ("a: 'true'\nb: \"1\"\nc: |\n  5\n", {"a": "true", "b": "1", "c": "5\n"}),
        ("a: 5\nb: -07\nc: +3", {"a": 5, "b": -7, "c": 3}),
        ("a: 1.5\nb: .5\nc: 1e3\nd: 2.", {"a": 1.5, "b": 0.5, "c": 1000.0, "d": 2.0}),
        ("on: off\nyes: no", {"on": "off", "yes": "no"}),
        ("a: 2024-01-01\nb: 12:30:45\nc: 1_000", {"a": "2024-01-01", "b": "12:30:45", "c": "1_000"}),
        ("a: 0x1F\nb: .nan\nc: ٣", {"a": "0x1F", "b": ".nan", "c": "٣"}),
        ("a: [x, [y], {z: 1}]", {"a": ("x", ("y",), {"z": 1})}),
        ("- 1\n- b", (1, "b")),
        ("1: x\n'': y", {"1": "x", "": "y"}),
        ("---\na: 1\n...\n", {"a": 1}),
        ("\ufeffa: é", {"a": "é"}),
    ],
)
def test_plain_yaml_is_parsed(text: str, value: object) -> None:
    document = read_yaml(text.encode())
    assert (document.value, document.faults) == (value, ())


def test_every_location_has_a_line() -> None:
    document = read_yaml(b"a: 1\n\nb:\n  - x\n  - c: |\n      t\n    d: 2\n")
    assert dict(document.lines) == {
        ("a",): 1,
        ("b",): 3,
        ("b", 0): 4,
        ("b", 1): 5,
        ("b", 1, "c"): 5,
        ("b", 1, "d"): 7,
    }
    assert document.line(("b", 1, "gone", 5)) == 5
    assert document.line(("gone",)) == 1


@pytest.mark.parametrize(
    ("raw", "faults"),
    [
        (b"a: &x 1", [(1, "anchors (&name) are not allowed; remove it")]),
        (
            b"a: &x [1]\nb: *x",
            [
                (1, "anchors (&name) are not allowed; remove it"),
                (2, "aliases (*name) are not allowed; write the value out"),
            ],
        ),
        (b"a: 1\n<<: {b: 2}", [(2, "merge keys (<<) are not allowed; write the keys out")]),
        (b"a: !!python/object/apply:os.system [x]", [(1, "tags (!name) are not allowed; remove it")]),
        (
            b"a: 1\nb: !x {c: 1}\nd: ! e",
            [(2, "tags (!name) are not allowed; remove it"), (3, "tags (!name) are not allowed; remove it")],
        ),
        (b"!!str a: 1", [(1, "tags (!name) are not allowed; remove it")]),
        (b"a: 1\nb: 2\na: 3", [(3, '"a" is on line 1 already; keep one of them')]),
        (b"x:\n  - {a: 1, 'a': 2}", [(2, '"a" is on line 2 already; keep one of them')]),
        (b"a: 1234567890123456", [(1, '"1234567890123456" has more than 15 digits; write a smaller number')]),
        (
            b"a: 1e99999999999999999",
            [(1, '"1e99999999999999999" has more than 15 digits; write a smaller number')],
        ),
        (b'a: "\\0"', [(1, 'a text holds the character "\\x00"; remove it')]),
        (b'a: 1\nb: "\\ud800"', [(2, 'a text holds the character "\\ud800"; remove it')]),
        (b"%YAML 1.1\n---\na: 1", [(1, "a % directive is not allowed; remove the line")]),
    ],
)
def test_yaml_beyond_plain_data_is_rejected_with_line(raw: bytes, faults: list[tuple[int, str]]) -> None:
    assert faults_of(raw) == faults


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("  - *.py", 'begins with * must be quoted: - "*.py"'),
        ("  - **/*.md", 'begins with * must be quoted: - "**/*.md"'),
        ("  - *.py  # Python", 'begins with * must be quoted: - "*.py"'),
        ("  - *name", 'begins with * must be quoted: - "*name"'),
        ("  - *a,*b", 'begins with * must be quoted: - "*a,*b"'),
        ('  - *"a.py', "begins with * must be quoted: - '*\"a.py'"),
        ("  - !keep.py", 'begins with ! must be quoted: - "!keep.py"'),
        ("  - &x", 'begins with & must be quoted: - "&x"'),
        ("  - &x.py", 'begins with & must be quoted: - "&x.py"'),
        ("  - @x", 'begins with @ must be quoted: - "@x"'),
        ("  - `x`", 'begins with ` must be quoted: - "`x`"'),
        ("  - %x", 'begins with % must be quoted: - "%x"'),
        ("  - |x", 'begins with | must be quoted: - "|x"'),
        ("  - >x", 'begins with > must be quoted: - ">x"'),
        ("  - {a,b}", 'begins with { must be quoted: - "{a,b}"'),
        ("  - {a,b}/*.py", 'begins with { must be quoted: - "{a,b}/*.py"'),
        ("  - [abc]*.py", 'begins with [ must be quoted: - "[abc]*.py"'),
        ("  - [abc]x.py", 'begins with [ must be quoted: - "[abc]x.py"'),
        ("  key: *.py", 'begins with * must be quoted: key: "*.py"'),
        ("  - key: !x", 'begins with ! must be quoted: key: "!x"'),
        ("  [b, *.py, c]", 'begins with * must be quoted: "*.py"'),
        ("  [!a, b]", 'begins with ! must be quoted: "!a"'),
        ("  [{a,b}/x.py]", 'begins with { must be quoted: "{a,b}/x.py"'),
        ("  {name: x, template: @x}", 'begins with @ must be quoted: template: "@x"'),
        ("  - #1", 'begins with # must be quoted: - "#1"; write a comment on a line of its own'),
        (f"  - *.{'x' * 60}", "begins with * must be quoted"),
    ],
)
def test_value_that_must_be_quoted_is_shown_in_quotes(line: str, remedy: str) -> None:
    found = faults_of(f"version: 1\nkey:\n{line}\n".encode())
    assert found[0] == (3, f"a value that {remedy}")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("\t- x", "a tab is not allowed here; write spaces"),
        ("  -\tx", "a tab is not allowed here; write spaces"),
        ("  - !x y", "tags (!name) are not allowed; remove it"),
        ("  - &x y", "anchors (&name) are not allowed; remove it"),
        (f"  [{'*a, ' * 200}b]", "aliases (*name) are not allowed; write the value out"),
    ],
)
def test_what_no_quotes_correct_has_another_remedy(line: str, text: str) -> None:
    assert set(faults_of(f"version: 1\nkey:\n{line}\n".encode())) == {(3, text)}


@pytest.mark.parametrize("line", ["  - # a comment\n    x", "  - src/*.{a,b}", "  [~]", "  - {a: }", "  -"])
def test_other_values_have_no_remedy(line: str) -> None:
    assert faults_of(f"version: 1\nkey:\n{line}\n".encode()) == []


@pytest.mark.parametrize(
    ("raw", "line", "text"),
    [
        (b"#" * (MAX_BYTES + 1), 1, "the file has 65,537 bytes; keep it within 65,536"),
        ("a: 1".encode("utf-16"), 1, "the file is not UTF-8; save it as UTF-8"),
        (b"a: 1\nb: \xe9", 2, "the file is not UTF-8; save it as UTF-8"),
        (b"a: 1\r\nb: 2\rc: \0", 3, 'the file holds the character "\\x00"; remove it'),
        ("a: x\u2028b: 2".encode(), 1, 'the file holds the character "\\u2028"; remove it'),
        ("a: x\x85b: 2".encode(), 1, 'the file holds the character "\\x85"; remove it'),
        (b"a: 1\n---\nb: 2", 2, "a second document begins; keep one, without ---"),
        (b"? [a]\n: 1", 1, "a key must be plain text"),
        (b"a: 1\n? *x\n: 1", 2, "a key must be plain text"),
        (b"a: [", 1, "not valid YAML: expected the node content, but found '<stream end>'"),
        (b"a: 1\n b: 2", 2, "not valid YAML: mapping values are not allowed here"),
        (b"a: 1\nb: 'x", 2, "not valid YAML: found unexpected end of stream"),
        (b'a: "\\UFFFFFFFF"', 1, "not valid YAML here or just below: an escape or a number is out of range"),
        ("a: \ufffe".encode(), 1, "not valid YAML here or just below: a character is not allowed"),
        (b"a: " + b"[" * (MAX_DEPTH + 1), 1, "more than 16 levels of nesting; flatten the file"),
        (b"a: " + b"[" * 60_000, 1, "more than 16 levels of nesting; flatten the file"),
        (b"- " * 30_000, 1, "more than 16 levels of nesting; flatten the file"),
        (b"{a: " * 15_000, 1, "more than 16 levels of nesting; flatten the file"),
    ],
)
def test_unreadable_document_has_one_error(raw: bytes, line: int, text: str) -> None:
    document = read_yaml(raw)
    assert document.value is None
    assert [(fault.loc, fault.line, fault.text) for fault in document.faults] == [((), line, text)]


def test_nested_merge_keys_are_rejected_without_expansion() -> None:
    levels = "\n".join(f"l{n}: &l{n} {{<<: [{', '.join([f'*l{n - 1}'] * 9)}]}}" for n in range(1, 30))
    assert len(faults_of(b"l0: &l0 {x: 1}\n" + levels.encode())) > 200


PLAIN = st.recursive(
    st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cn"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.from_regex("[a-z]{1,6}", fullmatch=True), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(PLAIN)
def test_json_is_parsed_as_its_value(value: object) -> None:
    document = read_yaml(json.dumps(value, ensure_ascii=False).encode())
    assert document.faults == ()
    assert json.dumps(document.value) == json.dumps(value)


@given(PLAIN, st.booleans())
def test_dumped_yaml_is_parsed_as_its_value(value: object, flow: bool) -> None:
    dumped = yaml.dump(value, allow_unicode=True, default_flow_style=flow, Dumper=_PlainDumper)
    document = read_yaml(dumped.encode())
    assert document.faults == ()
    assert json.dumps(document.value, sort_keys=True) == json.dumps(value, sort_keys=True)


class _PlainDumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


# A number in YAML 1.2 that PyYAML would write without quotes where it is a text.
_EXPONENT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$")
_PlainDumper.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+.0123456789"))


CHARACTERS = [*"a:?-[]{},&*<!|>%#@`~'\"\\ \t\n0", "\ufeff", "9" * 5000]
WORDS = ["- ", ": ", "<<: ", "&x ", "*x", "!!str ", "---\n", "...\n", "\\U", "%YAML 1", "%TAG ! x\n"]
BITS = st.sampled_from(CHARACTERS) | st.sampled_from(WORDS)


@given(st.lists(BITS | st.text(max_size=3), max_size=25).map("".join) | st.binary(max_size=60))
def test_any_bytes_are_parsed_or_rejected(raw: str | bytes) -> None:
    document = read_yaml(raw if isinstance(raw, bytes) else raw.encode("utf-8", "replace"))
    assert all(fault.line >= 1 and fault.text.isprintable() for fault in document.faults)
