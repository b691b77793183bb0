"""A small OpenAI-compatible server on loopback that answers every prompt by the rules."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hunkwise.demo.rules import added_lines, findings_in

MODEL = "demo"
_MAX_REQUEST = 8_000_000


@contextmanager
def serving() -> Iterator[tuple[str, str]]:
    """Serves on a free port of loopback; gives the base URL, and the key without which nobody is answered."""
    key = secrets.token_hex(16)
    server = _Server(("127.0.0.1", 0), _Answering)
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


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:  # the name that http.server calls
        if self.headers.get("authorization") != f"Bearer {self.server.key}":
            self._answer(401, {"error": {"message": "wrong key", "type": "invalid_request_error"}})
            return
        length = int(self.headers.get("content-length") or 0)
        if not self.path.endswith("/chat/completions") or not 0 < length <= _MAX_REQUEST:
            self._answer(404, {"error": {"message": "the demo model answers /chat/completions alone"}})
            return
        self._answer(200, completion(json.loads(self.rfile.read(length))))

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Says nothing: what a review prints is its report."""


def completion(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to a chat completion request: one call of `report_findings`."""
    prompt = "\n".join(_text(message) for message in request["messages"] if message.get("role") == "user")
    count = sum(1 for _ in added_lines(prompt))
    arguments = {
        "findings": findings_in(prompt),
        "summary": f"Rules, not a model, looked at {count} added lines.",
        "done": True,
    }
    call = {
        "id": f"call_{secrets.token_hex(8)}",
        "type": "function",
        "function": {"name": "report_findings", "arguments": json.dumps(arguments)},
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


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
