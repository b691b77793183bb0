"""An answer to a command through the real CLI: reading, a suggestion that is sent back, and the cost."""

from __future__ import annotations

import asyncio
import time

from copilot.session import ProviderConfig

from hunkwise.copilot.session import Copilot, ModelSource
from hunkwise.domain.model import Deadline
from hunkwise.flows.answering import Answer, AnswerRequest, answer
from tests.copilot.sessions import MODEL, ConnectedCli
from tests.fakes.http_server import serve
from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import Answer as Said
from tests.fakes.model_script import ToolCall, turns
from tests.flows.test_answering import CONFIG, FIX, HEAD, PATH, PLACEHOLDER, SUGGEST, request


def answered(cli: ConnectedCli, model: ScriptedModel, asked: AnswerRequest) -> Answer:
    async def run(url: str) -> Answer:
        provider = ProviderConfig(type="openai", base_url=url, api_key="key")
        deadline = Deadline(time.monotonic() + 30, time.monotonic)
        copilot = Copilot(cli.connection, ModelSource(provider), asked.code, deadline)
        return await answer(asked, copilot, asyncio.Event())

    with serve(model) as url:
        return cli.runner.run(run(url))


def test_the_model_reads_the_head_and_corrects_its_suggestion(cli: ConnectedCli) -> None:
    def call(suggestion: str) -> Said:
        arguments = {"text": "It drops the rest.", "suggestion": suggestion, "done": True}
        return Said(tool_calls=(ToolCall("answer", arguments),))

    reading = Said(tool_calls=(ToolCall("repo_read", {"path": PATH}),))
    model = ScriptedModel(turns([reading, call(PLACEHOLDER), call(FIX)]))
    result = answered(cli, model, request(SUGGEST, config=CONFIG.model_copy(update={"model": MODEL})))
    assert (result.text, result.suggestion, result.why_none) == ("It drops the rest.", FIX, "")
    assert (result.usage.model_calls, result.faults) == (3, ())
    first, _, last = model.requests
    assert first.tool_names == ("answer", "repo_read", "repo_search", "repo_list")
    assert "return first" in last.tool_results[0]
    assert "suggestion: it cannot be committed as it is" in last.tool_results[1]
    assert HEAD.decode().splitlines()[1] in first.prompt


def test_a_model_that_does_not_call_the_tool_is_reminded(cli: ConnectedCli) -> None:
    calls = (ToolCall("answer", {"text": "Because.", "done": True}),)
    model = ScriptedModel(lambda request: Said("Well.") if request.number == 1 else Said(tool_calls=calls))
    result = answered(cli, model, request(config=CONFIG.model_copy(update={"model": MODEL})))
    assert (result.text, result.usage.model_calls) == ("Because.", 2)
    assert "Call the tool `answer` now" in model.requests[1].prompt
