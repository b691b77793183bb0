"""The three wire formats of model providers: requests read into ModelRequest, answers written out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

from tests.fakes.model_anthropic import message, message_events
from tests.fakes.model_openai import chunks, completion, response, response_events
from tests.fakes.model_script import Answer, Message, ModelRequest, OfferedTool

Json = dict[str, Any]


class Dialect(Enum):
    """Whose words are spoken on a path."""

    COMPLETIONS = r"(/v1|/openai/v1|/openai/deployments/[^/]+)?/chat/completions"
    RESPONSES = r"(/v1|/openai/v1|/openai/deployments/[^/]+)?/responses"
    ANTHROPIC = r"(/v1)?/messages"


def dialect_of(path: str) -> Dialect | None:
    """The dialect that is spoken on this path, or None."""
    return next((dialect for dialect in Dialect if re.fullmatch(dialect.value, path)), None)


def normalized(dialect: Dialect, body: Mapping[str, Any]) -> ModelRequest:
    """The request in words that all dialects share."""
    match dialect:
        case Dialect.COMPLETIONS:
            messages = [Message(_role(m["role"]), _text(m.get("content"))) for m in body["messages"]]
            tools = [_tool(t["function"], "parameters") for t in body.get("tools") or ()]
        case Dialect.RESPONSES:
            messages = list(_responses_messages(body))
            tools = [_tool(t, "parameters") for t in body.get("tools") or ()]
        case Dialect.ANTHROPIC:
            messages = list(_anthropic_messages(body))
            tools = [_tool(t, "input_schema") for t in body.get("tools") or ()]
    return ModelRequest(
        model=str(body.get("model", "")),
        messages=tuple(messages),
        tools=tuple(tools),
        stream=bool(body.get("stream")),
        body=body,
    )


def whole_of(dialect: Dialect, request: ModelRequest, answer: Answer) -> Json:
    """The answer as one JSON body."""
    match dialect:
        case Dialect.COMPLETIONS:
            return completion(request, answer)
        case Dialect.RESPONSES:
            return response(request, answer)
        case Dialect.ANTHROPIC:
            return message(request, answer)


def stream_of(dialect: Dialect, request: ModelRequest, answer: Answer) -> list[str]:
    """The answer as server-sent events, each with its blank line."""
    match dialect:
        case Dialect.COMPLETIONS:
            return [
                *(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks(request, answer)),
                "data: [DONE]\n\n",
            ]
        case Dialect.RESPONSES:
            events = response_events(response(request, answer))
        case Dialect.ANTHROPIC:
            events = list(message_events(message(request, answer)))
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]


def _role(role: str) -> str:
    return "system" if role == "developer" else role


def _text(content: object) -> str:
    """The text of a content that is a string, a list of parts, or nothing."""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        return ""
    return "".join(
        part if isinstance(part, str) else str(part.get("text") or _text(part.get("content")))
        for part in content
    )


def _tool(offered: Mapping[str, Any], schema: str) -> OfferedTool:
    return OfferedTool(
        str(offered.get("name", "")), str(offered.get("description", "")), offered.get(schema) or {}
    )


def _responses_messages(body: Mapping[str, Any]) -> Iterator[Message]:
    if body.get("instructions"):
        yield Message("system", str(body["instructions"]))
    asked = body["input"]
    if isinstance(asked, str):
        yield Message("user", asked)
        return
    for part in asked:
        match part.get("type", "message"):
            case "message":
                yield Message(_role(part["role"]), _text(part.get("content")))
            case "function_call_output":
                yield Message("tool", _text(part.get("output")))


def _anthropic_messages(body: Mapping[str, Any]) -> Iterator[Message]:
    if body.get("system"):
        yield Message("system", _text(body["system"]))
    for said in body["messages"]:
        content = said["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for part in parts:
            if part["type"] == "tool_result":
                yield Message("tool", _text(part.get("content")))
        text = "".join(part["text"] for part in parts if part["type"] == "text")
        if text:
            yield Message(said["role"], text)
