"""Tests the worker's answers, and the syntax errors that it finds."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunkwise.enclosing.scope_worker import MOST_ERRORS, errors_in, serve
from hunkwise.enclosing.scopes import LANGUAGES
from tests.enclosing.sources import SOURCES, here


def test_requests_are_answered_line_by_line() -> None:
    source, _ = SOURCES["go"]
    questions = [
        {"language": "go", "text": source, "places": [here(source)]},
        {"language": "cpp", "text": "a<" * 200_000, "places": [(1, 1)]},
        {"language": "json", "text": "{\n1"},
        {"language": "go", "text": source, "names": ["M"]},
    ]
    replies = io.StringIO()
    serve(io.StringIO("".join(json.dumps(one) + "\n" for one in questions)), replies)
    assert [json.loads(line) for line in replies.getvalue().splitlines()] == [
        {"chains": [[[3, 3, 3, 6, True]]], "calls": [["HERE"]], "definitions": {}},
        None,
        [[2, 2]],
        {"M": [[[3, 3, 3, 6, True]]]},
    ]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("python", "x = 1", []),
        ("python", "x = '\\d'", []),
        ("python", "# coding: latin-1\nx = 1", []),
        ("python", "x = 1\nreturn x", [(2, 2)]),
        ("python", "x = \0", [(1, 1), (1, 1), (1, 1)]),
        ("python", "-" * 50_000 + "1", None),
        ("javascript", "let a;\nlet b = ;\n", [(2, 2)]),
        ("c", "int f(void) {\n  return 1\n}\n", [(2, 2)]),
        ("go", "package a\n", []),
        ("json", "{}", []),
        ("json", '{"a":\nInfinity}', [(1, 1)]),
        ("json", '{"a":\n1,}', [(2, 2)]),
        ("json", "[" * 50_000, None),
        ("json", "\ufeff{}", []),
        ("toml", "a = 1", []),
        ("toml", "a", [(1, 1)]),
        ("toml", "a = " + "[" * 50_000, None),
        ("yaml", "a: &x 1\nb: *x\n---\nc: !!python/object:os.system []", []),
        ("yaml", "a: *x", [(1, 1)]),
        ("yaml", "a: &x 1\n---\nb: *x", [(1, 1)]),
        ("yaml", "a: [1\nb: 2", [(2, 2)]),
        ("yaml", "a: \x07", [(1, 1)]),
        ("yaml", 'a: "\\UFFFFFFFF"', [(1, 1)]),
        ("yaml", "", []),
    ],
)
def test_syntax_errors_have_line_ranges(
    language: str, text: str, expected: list[tuple[int, int]] | None
) -> None:
    assert errors_in(language, text) == expected


def test_number_of_syntax_errors_is_limited() -> None:
    errors = errors_in("javascript", "let a = ;\n" * 2_000)
    assert errors is not None
    assert len(errors) == MOST_ERRORS


@given(st.sampled_from([*LANGUAGES, "json", "yaml", "toml"]), st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_is_parsed(language: str, text: str) -> None:
    errors = errors_in(language, text)
    assert errors is None or all(first <= last for first, last in errors)
