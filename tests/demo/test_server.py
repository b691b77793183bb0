"""The demo's server, over HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from hunkwise.demo.server import completion, serving
from hunkwise.prompts.report_findings import read_report

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
    assert (report.summary, report.done) == ("Rules, not a model, looked at 1 added lines.", True)


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
