"""Tests scopes in every language, and for sources that are hard to parse."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunkwise.enclosing.scope_worker import KINDS, MOST_ERRORS, MOST_SCOPES, errors_in, scopes_in, serve
from hunkwise.enclosing.scopes import LANGUAGES, Scope, language_of
from tests.enclosing.sources import SOURCES, here


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_tells_the_functions_and_classes_around_a_line(language: str) -> None:
    source, chain = SOURCES[language]
    assert scopes_in(language, source.encode(), [here(source)]) == [chain]


def test_every_language_has_its_grammar() -> None:
    assert set(LANGUAGES) == KINDS.keys()


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a/b.py", "python"),
        ("a/B.PY", "python"),
        ("x.d.ts", "typescript"),
        ("a.h", "cpp"),
        ("Makefile", None),
        ("a.py/readme", None),
        ("a.txt", None),
        (".py", "python"),
    ],
)
def test_a_language_is_told_by_the_names_ending(path: str, language: str | None) -> None:
    assert language_of(path) == language


@pytest.mark.parametrize(
    ("source", "place", "chain"),
    [
        ("def f():\n    a()\n\n\ndef g():\n    b()\n", (2, 6), ()),
        ("def f():\n    a()\n", (1, 1), (Scope(1, 1, 1, 2, function=True),)),
        ("@deco\ndef f():\n    a()\n", (1, 1), (Scope(1, 2, 2, 3, function=True),)),
        ("def f():\r\n    a()\r\n", (2, 2), (Scope(1, 1, 1, 2, function=True),)),
        ("def f():\n    a()", (2, 2), (Scope(1, 1, 1, 2, function=True),)),
        ("def f(): a()", (1, 1), (Scope(1, 1, 1, 1, function=True),)),
        ("", (1, 1), ()),
        ("\n\n\n", (2, 2), ()),
        ("a = 1\n", (9, 9), ()),
        ("def f(:\n  ]]]\n", (2, 2), ()),
    ],
)
def test_odd_ends_of_lines_and_files_are_no_matter(
    source: str, place: tuple[int, int], chain: tuple[Scope, ...]
) -> None:
    assert scopes_in("python", source.encode(), [place]) == [chain]


def test_a_wrapper_without_a_function_encloses_nothing() -> None:
    source = b"export {\n  a,\n  b\n};\nexport const c = {\n  d: 1,\n};\n"
    assert scopes_in("typescript", source, [(2, 2), (6, 6)]) == [(), ()]


@pytest.mark.parametrize(
    ("language", "source", "chain"),
    [
        (
            "java",
            "interface A {\n  int f(\n    int a);\n}\n",
            (Scope(1, 1, 1, 4, False), Scope(2, 2, 2, 3, True)),
        ),
        ("c", "void g(\n  struct\n  point a);\n", ()),
        ("c", "struct\npoint\n{ int a;\n int b; };\n", (Scope(1, 1, 2, 4, False),)),
        ("go", "type S struct {\n\tA int\n}\n", (Scope(1, 1, 1, 3, False),)),
    ],
)
def test_what_has_no_body_is_told_from_what_has_one(
    language: str, source: str, chain: tuple[Scope, ...]
) -> None:
    row = max(1, source.count("\n") - 1)
    assert scopes_in(language, source.encode(), [(row, row)]) == [chain]


def test_a_source_that_takes_too_long_is_given_up() -> None:
    assert scopes_in("cpp", b"a<" * 200_000, [(1, 1)]) is None


def test_a_deeply_nested_source_is_looked_at_as_far_as_it_goes() -> None:
    nested = b"".join(b" " * depth + b"def f():\n" for depth in range(90)) + b" " * 90 + b"pass\n"
    ((*chain,),) = scopes_in("python", nested, [(91, 91)]) or ((),)
    assert len(chain) == MOST_SCOPES
    assert chain[-1] == Scope(90, 90, 90, 91, function=True)


def test_of_many_nodes_beside_each_other_only_some_are_looked_at() -> None:
    row = b"a();" * 20_000 + b"function f() {\n}\n"
    assert scopes_in("javascript", row, [(1, 2)]) == [()]


def test_questions_are_answered_line_by_line() -> None:
    source, _ = SOURCES["go"]
    questions = [
        {"language": "go", "text": source, "places": [here(source)]},
        {"language": "cpp", "text": "a<" * 200_000, "places": [(1, 1)]},
        {"language": "json", "text": "{\n1"},
    ]
    replies = io.StringIO()
    serve(io.StringIO("".join(json.dumps(one) + "\n" for one in questions)), replies)
    assert [json.loads(line) for line in replies.getvalue().splitlines()] == [
        [[[3, 3, 3, 6, True]]],
        None,
        [[2, 2]],
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
def test_syntax_errors_are_found_by_their_lines(
    language: str, text: str, expected: list[tuple[int, int]] | None
) -> None:
    assert errors_in(language, text) == expected


def test_a_file_of_errors_has_only_so_many() -> None:
    errors = errors_in("javascript", "let a = ;\n" * 2_000)
    assert errors is not None
    assert len(errors) == MOST_ERRORS


@given(st.sampled_from([*LANGUAGES, "json", "yaml", "toml"]), st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_no_text_makes_the_parsers_fail(language: str, text: str) -> None:
    errors = errors_in(language, text)
    assert errors is None or all(first <= last for first, last in errors)
