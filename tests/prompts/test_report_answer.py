"""The tool `answer`: what a call may contain, what is read of one with faults, and what the model is replied."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hunkwise.prompts.report_answer import (
    MAX_SUGGESTION,
    MAX_TEXT,
    AnswerCollector,
    AnswerReport,
    parameters,
    read_answer,
)

CALL: dict[str, Any] = {"text": " Because of a.py:3. ", "suggestion": "    x = 1\n", "done": True}
LONG = "x" * (MAX_SUGGESTION + 1)


def test_a_whole_call_is_read() -> None:
    assert read_answer(CALL, suggests=True) == AnswerReport(
        "Because of a.py:3.", "    x = 1\n", (), done=True
    )


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({"suggestion": None}, AnswerReport("Because of a.py:3.", done=True)),
        ({"suggestion": "N/A."}, AnswerReport("Because of a.py:3.", done=True)),
        ({"suggestion": ["x = 1", "y = 2"]}, AnswerReport("Because of a.py:3.", "x = 1\ny = 2", done=True)),
        ({"text": ["One.", "Two."], "suggestion": ""}, AnswerReport("One.\nTwo.", done=True)),
        ({"done": "true", "suggestion": ""}, AnswerReport("Because of a.py:3.", done=True)),
        ({"event": "APPROVE", "suggestion": ""}, AnswerReport("Because of a.py:3.", done=True)),
        ({"text": "a\ud800b", "suggestion": ""}, AnswerReport("a?b", done=True)),
        (
            {"text": "x" * (MAX_TEXT + 1), "suggestion": ""},
            AnswerReport("x" * (MAX_TEXT - 1) + "…", done=True),
        ),
    ],
)
def test_a_call_in_another_form_is_read_for_what_it_means(
    changes: dict[str, Any], read: AnswerReport
) -> None:
    assert read_answer(CALL | changes, suggests=True) == read


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"text": " "}, "text: an empty text was sent, not a text that is not empty"),
        ({"text": None}, "text: it is required, as a text that is not empty"),
        ({"text": 3}, "text: 3 was sent, not a text that is not empty"),
        ({"done": None}, "done: it is required, as true or false"),
        ({"done": "almost"}, 'done: "almost" was sent, not true or false'),
        ({"suggestion": 3}, f"suggestion: 3 was sent, not a text of at most {MAX_SUGGESTION:,} characters"),
        (
            {"suggestion": LONG},
            "suggestion: a text of 10,000 characters was sent, not a text of at most 9,999 characters",
        ),
    ],
)
def test_a_fault_says_what_to_fix_and_costs_its_field_alone(changes: dict[str, Any], fault: str) -> None:
    report = read_answer(CALL | changes, suggests=True)
    assert report.faults == (fault,)
    assert [bool(report.text), bool(report.suggestion), report.done].count(False) == 1


@pytest.mark.parametrize("arguments", [None, 3, "x", [], [[]]])
def test_what_is_no_object_has_faults(arguments: object) -> None:
    report = read_answer(arguments, suggests=True)
    assert (report.text, report.done) == ("", False)
    assert report.faults


def test_where_no_suggestion_is_possible_none_is_offered_or_read() -> None:
    assert list(parameters(suggests=True)["properties"]) == ["text", "suggestion", "done"]
    assert list(parameters(suggests=False)["properties"]) == ["text", "done"]
    assert read_answer(CALL | {"suggestion": LONG}, suggests=False) == AnswerReport(
        "Because of a.py:3.", done=True
    )


def test_the_schema_requires_text_and_done_and_nothing_else() -> None:
    schema = parameters(suggests=True)
    assert (schema["required"], schema["additionalProperties"]) == (["text", "done"], False)
    assert json.loads(json.dumps(schema)) == schema


def test_a_complete_call_ends_the_turn() -> None:
    collector = AnswerCollector(lambda _text: "")
    reply = collector.tool.take(CALL)
    assert (reply.text, reply.accepted, collector.tool.answered()) == ("Taken.", True, True)
    assert collector.report.suggestion == "    x = 1\n"
    assert collector.take(CALL | {"text": "Later."}).accepted
    assert collector.report.text == "Because of a.py:3."


def test_a_call_that_is_not_done_is_continued() -> None:
    collector = AnswerCollector()
    assert collector.take(CALL | {"done": False}).text == "Call again with the whole answer and `done: true`."
    assert not collector.tool.answered()
    assert collector.take(CALL | {"text": "All."}).accepted
    assert collector.report == AnswerReport("All.", done=True)


def test_a_suggestion_with_a_fault_is_sent_back_and_not_kept() -> None:
    collector = AnswerCollector(lambda text: "it is a fence" if "```" in text else "")
    reply = collector.take(CALL | {"suggestion": "```\nx\n```"})
    assert not reply.accepted
    assert reply.text == (
        "Not taken:\n- suggestion: it is a fence\nFix these and call again with the whole answer."
    )
    assert (collector.report.text, collector.report.suggestion) == ("Because of a.py:3.", "")
    assert (collector.rejected, collector.tool.answered()) == (True, True)
    assert collector.take(CALL).accepted
    assert (collector.report.suggestion, collector.rejected) == ("    x = 1\n", False)


def test_the_third_call_is_the_last_one() -> None:
    collector = AnswerCollector(lambda _text: "no")
    assert [collector.take(CALL).accepted for _ in range(4)] == [False, False, True, True]
    assert (collector.report.text, collector.report.suggestion) == ("Because of a.py:3.", "")


def test_a_call_without_text_replaces_nothing() -> None:
    collector = AnswerCollector()
    collector.take(CALL | {"done": False})
    collector.take({"done": True})
    assert collector.report.text == "Because of a.py:3."
