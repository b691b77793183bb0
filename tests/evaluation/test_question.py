"""question.json: what is read and refused, and the key words of statements."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.evaluation.question import json_schema, parse_question
from hunkwise.evaluation.statements import contains_key_words

PUBLISHED = Path(__file__).parents[2] / "schemas" / "question.schema.json"
THREAD = {"path": "a.py", "line": 2, "comments": [{"by": "us", "text": "It is wrong."}]}
SMALLEST = {"version": 1, "question": "Why?", "required": ["It blocks."]}


def faults(value: object) -> list[str]:
    raw = value.encode() if isinstance(value, str) else json.dumps(value).encode()
    expected, found = parse_question(raw, "q")
    assert (expected is None) == bool(found)
    return found


def without(value: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {name: inner for name, inner in value.items() if name not in keys}


def test_the_published_schema_is_what_the_code_gives() -> None:
    written = json.dumps(json_schema(), indent=2) + "\n"
    assert PUBLISHED.read_text() == written, "write json_schema() to schemas/question.schema.json again"


def test_the_smallest_question_is_read() -> None:
    assert faults(SMALLEST) == []


def test_a_whole_question_is_read() -> None:
    thread = {**THREAD, "end_line": 3, "side": "LEFT"}
    raw = {**SMALLEST, "description": "d", "thread": thread, "forbidden": ["It is `fast`."]}
    expected, found = parse_question(json.dumps(raw).encode(), "q")
    assert expected is not None
    assert expected.thread is not None
    assert found == []
    assert (expected.command, expected.required, expected.forbidden) == (
        "ask",
        ("It blocks.",),
        ("It is `fast`.",),
    )
    assert (expected.thread.lines, expected.thread.comments[0].by) == (range(2, 4), "us")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            "[]",
            'q: the file must be an object, such as {"version": 1, "question": "Why?", "required": ["It blo',
        ),
        ("{", "q:1: not valid JSON: "),
        (without(SMALLEST, "version"), 'q: "version" is missing; give 1, the only version'),
        (
            without(SMALLEST, "question"),
            'q: "question" is missing; give the text of the question, or another',
        ),
        ({**SMALLEST, "question": " \n"}, 'q: "question" is missing; give the text'),
        (
            without(SMALLEST, "required"),
            'q: nothing is expected of the answer; add statements to "required" or "forbidden"',
        ),
        ({**SMALLEST, "answer": ""}, 'q: unknown key "answer"; there is version, description, '),
        ({**SMALLEST, "require": []}, 'q: unknown key "require"; did you mean "required"?'),
        ({**SMALLEST, "command": "review"}, 'q: "command" must be ask, explain or suggest, not "review"'),
        ({**SMALLEST, "command": "explian"}, 'not "explian"; did you mean "explain"?'),
        (
            {**SMALLEST, "command": "explain", "thread": THREAD},
            'q: the command "explain" has no question; remove "question", or make the command "ask"',
        ),
        (
            {**without(SMALLEST, "question"), "command": "suggest"},
            'q: "thread" is missing: the command "suggest" is answered in a thread alone; add one',
        ),
        (
            {**SMALLEST, "thread": []},
            'q: "thread" must be an object with path, line and comments, not an empty list',
        ),
        ({**SMALLEST, "thread": without(THREAD, "path")}, 'q: "path" is missing; give the path of a changed'),
        ({**SMALLEST, "thread": {**THREAD, "lines": 3}}, 'q: unknown key "lines"; did you mean "line"?'),
        (
            {**SMALLEST, "thread": {**THREAD, "end_line": 1}},
            'q: thread: "end_line" 1 comes before "line" 2; swap them',
        ),
        (
            {**SMALLEST, "thread": {**THREAD, "comments": []}},
            'q: "comments" must be a list of 1 to 50 objects',
        ),
        (
            {**SMALLEST, "thread": {**THREAD, "comments": [*THREAD["comments"], "x"]}},  # type: ignore[misc]
            'q: thread.comments[1]: it must be an object with by and text, not "x"',
        ),
        (
            {**SMALLEST, "thread": {**THREAD, "comments": [{"by": "them", "text": "x"}]}},
            'q: thread.comments[0]: "by" must be us, writer, author or other, not "them"',
        ),
        (
            {**SMALLEST, "thread": {**THREAD, "comments": [{"by": "us", "txt": "x"}]}},
            'q: thread.comments[0]: unknown key "txt"; did you mean "text"?',
        ),
        ({**SMALLEST, "required": "x"}, 'q: "required" must be a list of up to 20 texts, not "x"'),
        ({**SMALLEST, "required": ["Long enough.", 3]}, "q: required[1]: it must be a text of 1 to 1,000"),
        ({**SMALLEST, "required": ["Enough."] * 21}, "a list of up to 20 texts, not a list; there are 21"),
        (
            {**SMALLEST, "forbidden": ["Long enough.", "It is so."]},
            "q: forbidden[1]: it has no key word; put the words that matter in backticks",
        ),
    ],
)
def test_what_is_wrong_is_reported_with_its_place(value: object, said: str) -> None:
    found = faults(value)
    assert any(said in fault for fault in found), found


@given(st.binary(max_size=300) | st.text().map(str.encode))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    expected, found = parse_question(raw, "q")
    assert (expected is None) == bool(found)


@pytest.mark.parametrize(
    ("statement", "text", "contained"),
    [
        ("The statement is slow.", "This STATEMENTS run long.", True),
        ("The statement is slow.", "It states something.", False),
        ("The setting is evaluated.", "Evaluation of the settings.", True),
        ("The setting is evaluated.", "It is evaluated.", False),
        ("Every value would match.", "It does not matter.", False),
        ("Every value would match.", "Matches.", True),
        ("It is `1 page`.", "After it, 1\n page.", True),
        ("It is `1 page`.", "It is 21 pages.", False),
        ("It is `1 page`.", "It is 1 pages.", False),
        ("`f()` is `slow`.", "Slow is what f() is.", True),
        ("`f()` is `slow`.", "Slow is what g(f()) is.", True),
        ("`f()` is `slow`.", "Slow is what f is.", False),
        ("`eval` of anything at all", "With `eval`.", True),
        ("`eval` of anything at all", "retrieval, evaluation", False),
        ("Größe der Länge", "die GRÖSSE und LÄNGE", True),
        ("`.*`", "anything", False),
        ("`.*`", "the pattern .* here", True),
        ("Something slow", "", False),
    ],
)
def test_a_statement_is_in_a_text_with_all_its_key_words(statement: str, text: str, contained: bool) -> None:
    assert contains_key_words(text, statement) is contained
