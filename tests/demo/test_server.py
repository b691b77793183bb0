"""The demo's server, over HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from hunkwise.demo.rules import answer_of
from hunkwise.demo.server import comparison_of, completion, serving, summary_of
from hunkwise.domain.model import Question
from hunkwise.evaluation.judge import Judge
from hunkwise.flows.summary import read_summary
from hunkwise.prompts.renderer import Renderer
from hunkwise.prompts.report_answer import AnswerCollector
from hunkwise.prompts.report_findings import read_report
from tests.evaluation.samples import FakeModel, finding, golden
from tests.evaluation.test_judge import judged

Ask = tuple[str, str]


@pytest.fixture
def address() -> Iterator[Ask]:
    with serving() as found:
        yield found


def ask(
    address: Ask, body: bytes, path: str = "/chat/completions", key: str | None = None, **headers: str
) -> tuple[int, Any]:
    url = urlsplit(address[0])
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
    sent = {"authorization": f"Bearer {address[1] if key is None else key}", **headers}
    connection.request("POST", url.path + path, body, sent)
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def request(*messages: Any) -> dict[str, Any]:
    return {"model": "demo", "messages": list(messages)}


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def arguments(answer: dict[str, Any]) -> dict[str, Any]:
    call = answer["choices"][0]["message"]["tool_calls"][0]["function"]
    assert call["name"] == "report_findings"
    said = json.loads(call["arguments"])
    assert isinstance(said, dict)
    return said


def test_a_prompt_is_answered_with_one_call_of_the_tool(address: Ask) -> None:
    body = request({"role": "system", "content": "..."}, user('### "a.py" (added)\nR4 + eval(x)'))
    status, answer = ask(address, json.dumps(body).encode())
    assert status == 200
    assert (answer["object"], answer["model"]) == ("chat.completion", "demo")
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    report = read_report(arguments(answer))
    assert [(found.path, found.line) for found in report.findings] == [("a.py", 4)]
    assert (report.summary, report.done) == ("Rules, not a model, looked at 1 added line.", True)


def test_a_message_may_come_in_parts(address: Ask) -> None:
    parts = [{"type": "text", "text": '### "a.py" (added)'}, {"type": "text", "text": "R1 + eval(x)"}, "odd"]
    _, answer = ask(address, json.dumps(request(user(parts), user(None), "odd")).encode())
    assert len(arguments(answer)["findings"]) == 1


def test_more_findings_than_a_call_takes_follow_in_another() -> None:
    rows = "\n".join(f"R{n} + eval(x)" for n in range(1, 151))
    asked = user(f'### "a.py" (added)\n{rows}')
    first = arguments(completion(request(asked)))
    second = arguments(completion(request(asked, {"role": "tool", "content": "Taken."})))
    assert [len(first["findings"]), first["done"]] == [100, False]
    assert [len(second["findings"]), second["done"]] == [50, True]


@pytest.mark.parametrize(
    ("body", "given", "status"),
    [
        (b"{}", {"key": "wrong"}, 401),
        (b"{}", {"path": "/models"}, 404),
        (b"not json", {}, 400),
        (b"[]", {}, 400),
        (b'{"messages": 3}', {}, 400),
        (b"", {}, 413),
        (b"{}", {"content-length": "x"}, 413),
        (b"{}", {"content-length": "99999999999"}, 413),
    ],
)
def test_what_is_not_a_question_is_refused(
    address: Ask, body: bytes, given: dict[str, Any], status: int
) -> None:
    found, answer = ask(address, body, **given)
    assert found == status
    assert answer["error"]["message"]


def listing(*rows: str) -> str:
    return "\n".join(["# The changed files", "", *(f"- {row}" for row in rows), ""])


def test_files_and_lines_are_counted_by_folder() -> None:
    told = summary_of(
        listing(
            '"api/a.py" (added, +40 -0)',
            '"api/b.py" (modified, +1 -2)',
            '"README.md" (modified, +1,000 -0)',
            "x",
        )
    )
    assert told["overview"] == (
        "Rules, not a model, counted: 2 files, 41 lines added, 2 removed. What the change means they cannot tell."
    )
    assert told["areas"] == []
    assert told["risk"]["level"] == "low"


def test_the_largest_folders_are_areas() -> None:
    rows = [f'"f{number}/a.py" (added, +{number} -1)' for number in range(1, 7)]
    told = summary_of(listing(*rows, '"top.py" (removed, +0 -900)', "and 1200 more"))
    assert [one["area"] for one in told["areas"]] == ["the top folder", "f6/", "f5/", "f4/"]
    assert told["areas"][1]["what"] == "1 file, 6 lines added, 1 removed."
    assert "1,207 files" in told["overview"]
    assert told["risk"]["level"] == "medium"


def test_nothing_listed_is_nothing_counted_and_strange_rows_do_no_harm() -> None:
    assert "0 files" in summary_of("")["overview"]
    odd = summary_of(listing('"\\x" (added, +1 -0)', '"/a" (added, +9999 -0)'))
    assert [one["area"] for one in odd["areas"]] == []
    assert odd["risk"]["level"] == "high"


def test_what_the_rules_say_is_what_the_tool_takes() -> None:
    names = {"number": 1, "title": "T", "body": "", "base": "main", "draft": False, "linked_issues": []}
    files = [
        {"path": f"{folder}/x.py", "status": "modified", "additions": 3, "deletions": 1} for folder in "ab"
    ]
    prompt = Renderer({}).render(
        "summary",
        {
            "audit": False, "pull_request": names, "repository": "o/r", "files": files, "style": "short",
            "chunk_summaries": [], "findings": [], "unreviewed": [], "earlier": "",
        },
    )  # fmt: skip
    told = read_summary(summary_of(prompt), "short")
    assert (told.faults, told.done) == ((), True)
    assert [one.area for one in told.walkthrough.areas] == ["a/", "b/"]
    assert "2 files, 6 lines added, 2 removed" in told.overview


def test_a_question_in_a_comment_has_an_answer_that_the_tool_takes() -> None:
    request = {"messages": [], "tools": [{"function": {"name": "answer"}}]}
    function = completion(request)["choices"][0]["message"]["tool_calls"][0]["function"]
    collector = AnswerCollector()
    assert collector.take(json.loads(function["arguments"])).accepted
    assert "they cannot answer it" in collector.report.text


ROWS = """### "a.py" (modified)
R4 + data = yaml.load(text)
R5 + eval(data)
"""


@pytest.mark.parametrize(
    ("thread", "line", "suggestion"),
    [
        ('It is on "a.py", RIGHT line 4. Its comments', 4, "data = yaml.safe_load(text)"),
        ('It is on "a.py", RIGHT line 5, and is resolved.', 5, None),
        ('It is on "a.py", RIGHT lines 4 to 5. Its', 4, None),
        ('It is on "b.py", RIGHT line 5.', 4, None),
        ('It is on "a.py", LEFT line 5.', 4, None),
        ('> It is on "a.py", RIGHT line 5.', 4, None),
    ],
)
def test_an_answer_in_a_thread_is_what_a_rule_says_of_its_lines(
    thread: str, line: int, suggestion: str | None
) -> None:
    answer = answer_of(f"{ROWS}{thread}\n## The suggestion\n")
    assert f" Of line {line} of a.py they say: " in answer["text"]
    assert answer.get("suggestion") == suggestion
    assert "suggestion" not in answer_of(f"{ROWS}{thread}\n")


STATEMENT = "The order's state goes into the statement as text."


def by_server(question: Question) -> list[object]:
    request = {
        "messages": [{"role": "user", "content": question.prompt}],
        "tools": [{"function": {"name": question.tool.name}}],
    }
    function = completion(request)["choices"][0]["message"]["tool_calls"][0]["function"]
    assert function["name"] == question.tool.name
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


@pytest.mark.parametrize(
    ("statement", "answer", "stated"),
    [
        ("The text is evaluated.", "Its text is evaluated here.", True),
        ("The setting is evaluated.", "It is evaluated here.", False),
    ],
)
def test_a_statement_is_in_an_answer_that_has_its_words(statement: str, answer: str, stated: bool) -> None:
    judge = Judge(FakeModel(by_server).ask)
    assert asyncio.run(judge.stated("Why?", statement, answer)) is stated


def test_the_reason_names_the_words() -> None:
    golden_words, found_words = "> A leaking socket", "> Sockets leak"
    prompt = f"=== What is wrong, on line 1\n{golden_words}\n=== What the reviewer found, on line 1\n{found_words}\n==="
    assert comparison_of(prompt) == {"same": True, "why": "Both speak of socket."}


def test_what_is_no_question_has_an_answer() -> None:
    assert comparison_of("")["same"] is False
