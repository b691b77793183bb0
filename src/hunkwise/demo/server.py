"""The demo model: a small OpenAI-compatible server that answers by fixed rules."""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from hunkwise.demo.rules import added_lines, answer_of, findings_in, read_name, verdicts_on

_GOLDEN = "=== What is wrong, on "
_FINDING = "=== What the reviewer found, on "
_STATEMENT = "=== The statement"
_ANSWER = "=== The answer"
_WORD = re.compile(r"[a-z]{5,40}")
_STEM = 6
"""Number of letters of a word that are compared: `statement` and `statements` are the same, `state` is not."""
_COMMON = frozenset(
    word[:_STEM]
    for word in "about above added after again before being below change could first there these thing this value "
    "values where which while with would always never should other another their".split()
)
"""Words that are ignored, because remarks on any code may share them."""


def comparison_of(prompt: str) -> dict[str, Any]:
    """Returns the arguments of `report_same` for the two remarks that the prompt quotes."""
    golden, finding = _words(prompt, _GOLDEN), _words(prompt, _FINDING)
    shared = sorted(golden & finding)
    why = f"Both speak of {', '.join(shared[:5])}." if shared else "They share no word that matters."
    return {"same": bool(shared), "why": why}


def statement_in(prompt: str) -> dict[str, Any]:
    """Returns the arguments of `report_stated` for the statement and the answer that the prompt quotes."""
    missing = sorted(_words(prompt, _STATEMENT) - _words(prompt, _ANSWER))
    why = (
        f"The answer has no word like {', '.join(missing[:5])}."
        if missing
        else "It has all the words that matter."
    )
    return {"stated": not missing, "why": why}


def _words(prompt: str, heading: str) -> set[str]:
    """Returns the first letters of the words quoted below a heading; quoted text cannot imitate a heading."""
    rows = iter(prompt.split("\n"))
    for row in rows:
        if row.startswith(heading):
            break
    words: set[str] = set()
    for row in rows:
        if not row.startswith("> "):
            break
        words.update(word[:_STEM] for word in _WORD.findall(row.lower()))
    return words - _COMMON


_FILE = re.compile(r'^- ("(?:[^"\\]|\\.)*") \([a-z ]{1,20}, \+(\d{1,9}) -(\d{1,9})\)$')
_MORE = re.compile(r"^- and (\d{1,9}) more$")
_MOST_AREAS = 4
_TOP = "the top folder"


@dataclass(slots=True)
class _Tally:
    """The number of files and lines in one folder."""

    files: int = 0
    added: int = 0
    removed: int = 0

    def __str__(self) -> str:
        return f"{_count(self.files, 'file')}, {_count(self.added, 'line')} added, {self.removed:,} removed"


def summary_of(prompt: str) -> dict[str, Any]:
    """Returns the arguments of `report_summary`; the areas are the folders with the most changed lines."""
    folders, more = _folders(prompt)
    whole = _Tally(
        more + sum(tally.files for tally in folders.values()),
        sum(tally.added for tally in folders.values()),
        sum(tally.removed for tally in folders.values()),
    )
    largest = sorted(folders.items(), key=lambda item: (-item[1].added - item[1].removed, item[0]))
    areas = [{"area": name, "what": f"{tally}."} for name, tally in largest[:_MOST_AREAS]]
    return {
        "overview": f"Rules, not a model, counted: {whole}. What the change means they cannot tell.",
        "areas": areas if len(areas) > 1 else [],
        "risk": {"level": _level(whole), "why": "Rules judged by the number of changed lines alone."},
        "done": True,
    }


def _folders(prompt: str) -> tuple[dict[str, _Tally], int]:
    """Returns a tally for each top-level folder, and the number of files that are not listed."""
    folders: dict[str, _Tally] = {}
    more = 0
    for row in prompt.split("\n"):
        listed = _FILE.match(row)
        if listed:
            tally = folders.setdefault(_folder(listed[1]), _Tally())
            tally.files += 1
            tally.added += int(listed[2])
            tally.removed += int(listed[3])
        elif rest := _MORE.match(row):
            more += int(rest[1])
    return folders, more


def _folder(quoted: str) -> str:
    folder, slash, _ = read_name(quoted).partition("/")
    return f"{folder}/" if slash and folder else _TOP


def _level(whole: _Tally) -> str:
    changed = whole.added + whole.removed
    return "low" if changed < 200 else "medium" if changed < 2_000 else "high"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


MODEL = "demo"
MAX_FINDINGS = 100
"""Maximum number of findings per call, the tool's limit; the others follow in further calls."""
_MAX_REQUEST = 8_000_000


@contextmanager
def serving() -> Iterator[tuple[str, str]]:
    """Serves on a free loopback port; yields the base URL and the key that every request needs."""
    key = secrets.token_hex(16)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.key = key
    thread = threading.Thread(target=server.serve_forever, name="demo-model", args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", key
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    key = ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:  # the name that http.server calls
        if self.headers.get("authorization") != f"Bearer {self.server.key}":
            self.close_connection = True
            self._answer(401, _error("wrong key"))
            return
        length = self.headers.get("content-length") or ""
        if not self.path.endswith("/chat/completions"):
            self._answer(404, _error("the demo model answers /chat/completions alone"))
        elif not length.isdecimal() or not 0 < int(length[:12]) <= _MAX_REQUEST:
            self.close_connection = True  # the body is not read
            self._answer(413, _error(f"the demo model takes requests of 1 to {_MAX_REQUEST:,} bytes"))
        else:
            self._complete(self.rfile.read(int(length)))

    def _complete(self, body: bytes) -> None:
        try:
            request = json.loads(body)
        except ValueError:
            request = None
        if isinstance(request, dict) and isinstance(request.get("messages"), list):
            self._answer(200, completion(request))
        else:
            self._answer(400, _error("a chat completion request has `messages`"))

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Logs nothing: a review prints only its report."""


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error"}}


def completion(request: dict[str, Any]) -> dict[str, Any]:
    """Returns the answer to a chat completion request: one call of the reporting tool that it offers."""
    messages = [message for message in request["messages"] if isinstance(message, dict)]
    prompt = "\n".join(_text(message) for message in messages if message.get("role") == "user")
    calls = sum(1 for message in messages if message.get("role") == "tool")
    name, report = next((pair for pair in _REPORTS.items() if pair[0] in _tool_names(request)), _FINDINGS)
    call = {
        "id": f"call_{secrets.token_hex(8)}",
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(report(prompt, calls))},
    }
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return {
        "id": f"chatcmpl-{secrets.token_hex(8)}",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }


def _tool_names(request: dict[str, Any]) -> set[str]:
    """Returns the names of the tools in the request."""
    tools = request.get("tools")
    functions = (
        [tool.get("function") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    )
    return {str(function.get("name")) for function in functions if isinstance(function, dict)}


def _findings(prompt: str, calls: int) -> dict[str, Any]:
    findings = findings_in(prompt)
    lines = sum(1 for _ in added_lines(prompt))
    return {
        "findings": findings[calls * MAX_FINDINGS : (calls + 1) * MAX_FINDINGS],
        "summary": f"Rules, not a model, looked at {_count(lines, 'added line')}.",
        "done": len(findings) <= (calls + 1) * MAX_FINDINGS,
    }


def _verdicts(prompt: str, _calls: int) -> dict[str, Any]:
    return {"verdicts": verdicts_on(prompt), "done": True}


def _summary(prompt: str, _calls: int) -> dict[str, Any]:
    return summary_of(prompt)


def _answer(prompt: str, _calls: int) -> dict[str, Any]:
    return answer_of(prompt)


def _sameness(prompt: str, _calls: int) -> dict[str, Any]:
    return comparison_of(prompt)


def _stated(prompt: str, _calls: int) -> dict[str, Any]:
    return statement_in(prompt)


_FINDINGS: Final = ("report_findings", _findings)
_REPORTS: Final = {
    "report_verdicts": _verdicts,
    "report_summary": _summary,
    "report_same": _sameness,
    "report_stated": _stated,
    "answer": _answer,
}
"""The reports by the names of their tools."""


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
