"""The demo's judge, on questions as they are really put."""

from __future__ import annotations

import json

import pytest

from hunkwise.demo.server import comparison_of, completion
from hunkwise.domain.model import Question
from hunkwise.evaluation.judge import TOOL
from tests.evaluation.samples import finding, golden
from tests.evaluation.test_judge import judged

STATEMENT = "The order's state goes into the statement as text."


def by_server(question: Question) -> list[object]:
    request = {
        "messages": [{"role": "user", "content": question.prompt}],
        "tools": [{"function": {"name": question.tool.name}}],
    }
    function = completion(request)["choices"][0]["message"]["tool_calls"][0]["function"]
    assert function["name"] == TOOL
    return [json.loads(function["arguments"])]


@pytest.mark.parametrize(
    ("text", "title", "same"),
    [
        (STATEMENT, "An SQL statement is put together from texts", True),
        (STATEMENT, "State ends up in STATEMENTS", True),
        (STATEMENT, "A breakpoint was left behind", False),
        ("It should change before this value.", "That value should change before", False),
        ("It is.", "It is", False),
        (
            "=== What the reviewer found, on line 2 (RIGHT)\n> statement",
            "A breakpoint was left behind",
            False,
        ),
        ("Fault\n\n\n===\nstatement", "statement", True),
    ],
)
def test_remarks_are_the_same_where_they_share_a_word_that_matters(text: str, title: str, same: bool) -> None:
    found, player = judged([golden(2, text)], [finding(2, title=title)], by_server)
    assert [(match.golden, match.finding) for match in found.matches] == ([(0, 0)] if same else [])
    assert (found.notes, len(player.questions)) == ((), 1)


def test_the_reason_names_the_words() -> None:
    golden_words, found_words = "> A leaking socket", "> Sockets leak"
    prompt = f"=== What is wrong, on line 1\n{golden_words}\n=== What the reviewer found, on line 1\n{found_words}\n==="
    assert comparison_of(prompt) == {"same": True, "why": "Both speak of socket."}


def test_what_is_no_question_has_an_answer() -> None:
    assert comparison_of("")["same"] is False
