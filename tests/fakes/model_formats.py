"""Answers in the wire formats of OpenAI (chat completions, responses) and of Anthropic, whole or streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.fakes.model_script import Answer, ModelRequest, ToolCall

Json = dict[str, Any]


def _arguments(call: ToolCall) -> str:
    return call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)


def completion(request: ModelRequest, answer: Answer) -> Json:
    """The body of a chat completion."""
    message: Json = {"role": "assistant", "content": answer.text or None}
    if answer.tool_calls:
        message["tool_calls"] = [_function_call(call) for call in answer.tool_calls]
    return {
        **_head(request, "chat.completion"),
        "choices": [{"index": 0, "message": message, "finish_reason": answer.reason}],
        "usage": _usage(answer),
        **_charged(answer),
    }


def _charged(answer: Answer) -> Json:
    """What Copilot's own API says besides: AI credits."""
    if not answer.nano_credits:
        return {}
    return {"copilot_usage": {"total_nano_aiu": answer.nano_credits, "token_details": []}}


def _function_call(call: ToolCall) -> Json:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _arguments(call)}}


def _head(request: ModelRequest, kind: str) -> Json:
    return {
        "id": f"chatcmpl-{request.number}",
        "object": kind,
        "created": 1_700_000_000,
        "model": request.model,
    }


def _usage(answer: Answer) -> Json:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens},
    }


def chunks(request: ModelRequest, answer: Answer) -> Iterator[Json]:
    """The same as the chunks of a stream; the last one has the usage."""
    head = _head(request, "chat.completion.chunk")

    def chunk(delta: Json, reason: str | None = None) -> Json:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    yield chunk({"role": "assistant", "content": ""})
    if answer.text:
        yield chunk({"content": answer.text})
    for index, call in enumerate(answer.tool_calls):
        named: Json = {**_function_call(call), "index": index}
        named["function"] = {"name": call.name, "arguments": ""}
        yield chunk({"tool_calls": [named]})
        yield chunk({"tool_calls": [{"index": index, "function": {"arguments": _arguments(call)}}]})
    yield chunk({}, answer.reason)
    yield {**head, "choices": [], "usage": _usage(answer), **_charged(answer)}


_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def response(request: ModelRequest, answer: Answer) -> Json:
    """The body of a response."""
    output: list[Json] = []
    if answer.text:
        text = {"type": "output_text", "text": answer.text, "annotations": []}
        message = {
            "type": "message",
            "id": f"msg_{request.number}",
            "status": "completed",
            "role": "assistant",
        }
        output.append({**message, "content": [text]})
    for call in answer.tool_calls:
        called = {"type": "function_call", "id": f"fc_{call.id}", "call_id": call.id, "status": "completed"}
        output.append({**called, "name": call.name, "arguments": _arguments(call)})
    cut = _INCOMPLETE.get(answer.reason)
    return {
        "id": f"resp_{request.number}",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": cut} if cut else None,
        "error": None,
        "model": request.model,
        "output": output,
        "parallel_tool_calls": True,
        "tools": [],
        "usage": {
            "input_tokens": answer.input_tokens,
            "input_tokens_details": {"cached_tokens": answer.cached_tokens},
            "output_tokens": answer.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": answer.input_tokens + answer.output_tokens,
        },
    }


def response_events(response: Json) -> list[Json]:
    """The same as the events of a stream, numbered."""
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    events: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, part in enumerate(response["output"]):
        events += _output_events(index, part)
    ending = "response.incomplete" if response["status"] == "incomplete" else "response.completed"
    events.append({"type": ending, "response": response})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _output_events(index: int, part: Json) -> Iterator[Json]:
    place = {"item_id": part["id"], "output_index": index}
    if part["type"] == "message":
        text = part["content"][0]
        opened = {**part, "status": "in_progress", "content": []}
        yield {"type": "response.output_item.added", "output_index": index, "item": opened}
        spot = {**place, "content_index": 0}
        yield {"type": "response.content_part.added", **spot, "part": {**text, "text": ""}}
        yield {"type": "response.output_text.delta", **spot, "delta": text["text"], "logprobs": []}
        yield {"type": "response.output_text.done", **spot, "text": text["text"], "logprobs": []}
        yield {"type": "response.content_part.done", **spot, "part": text}
    else:
        opened = {**part, "status": "in_progress", "arguments": ""}
        yield {"type": "response.output_item.added", "output_index": index, "item": opened}
        yield {"type": "response.function_call_arguments.delta", **place, "delta": part["arguments"]}
        done = {"name": part["name"], "arguments": part["arguments"]}
        yield {"type": "response.function_call_arguments.done", **place, **done}
    yield {"type": "response.output_item.done", "output_index": index, "item": part}


_STOP_REASONS = {
    "stop": "end_turn",
    "tool_calls": "tool_use",
    "length": "max_tokens",
    "content_filter": "refusal",
}


def message(request: ModelRequest, answer: Answer) -> Json:
    """The body of a message."""
    content: list[Json] = [{"type": "text", "text": answer.text}] if answer.text else []
    for call in answer.tool_calls:
        content.append({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments})
    return {
        "id": f"msg_{request.number}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": content,
        "stop_reason": _STOP_REASONS[answer.reason],
        "stop_sequence": None,
        "usage": {
            "input_tokens": answer.input_tokens - answer.cached_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": answer.cached_tokens,
            "output_tokens": answer.output_tokens,
        },
    }


def message_events(message: Json) -> Iterator[Json]:
    """The same as the events of a stream."""
    begun = {**message, "content": [], "stop_reason": None, "usage": {**message["usage"], "output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    for index, block in enumerate(message["content"]):
        if block["type"] == "text":
            opened: Json = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": block["text"]}
        else:
            opened = {**block, "input": {}}
            given = block["input"]
            raw = given if isinstance(given, str) else json.dumps(given)
            delta = {"type": "input_json_delta", "partial_json": raw}
        yield {"type": "content_block_start", "index": index, "content_block": opened}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {
        "type": "message_delta",
        "delta": stop,
        "usage": {"output_tokens": message["usage"]["output_tokens"]},
    }
    yield {"type": "message_stop"}
