"""What a review sends to a collector of OpenTelemetry, its own and the real CLI's: one trace, and no text."""

from __future__ import annotations

import threading
from socket import socket

import pytest

from tests.end_to_end.step import PROVIDER_KEY
from tests.end_to_end.step_checks import secrets_in
from tests.end_to_end.world import BASE, SECRETS, World, finding, report_call
from tests.fakes.http_server import raw_server, serve
from tests.fakes.model_script import REPORT_TOOL, Answer, ModelRequest, ToolCall, report, turns, verdicts
from tests.fakes.otlp_collector import CollectedSpan, FakeCollector

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
KEY = "CanaryCollector3Jx8Rt"
TRACE = "0af7651916cd43dd8448eb211c80319c"
TEXTS = ("canary_code", "Canary title", "Canary finding", "Canary body", "canary_path", "It breaks")
"""Of the change, the pull request, the model's calls and its findings."""


def answer(request: ModelRequest) -> Answer:
    """Reads a file, and reports a finding; keeps it in the verification."""
    if REPORT_TOOL not in request.tool_names:
        kept = verdicts()(request)
        assert isinstance(kept, Answer)
        return kept
    read = Answer(tool_calls=(ToolCall("repo_read", {"path": "canary_path.py"}),))
    step = turns([read, report_call(finding("canary_path.py", 1, title="Canary finding"))])(request)
    assert isinstance(step, Answer)
    return step


def below(spans: list[CollectedSpan], ancestor: str) -> set[str]:
    """Returns the names of the spans that have a span of that name above them."""
    by_id = {span.id: span for span in spans}

    def is_below(span: CollectedSpan) -> bool:
        parent = by_id.get(span.parent)
        return parent is not None and (parent.name == ancestor or is_below(parent))

    return {span.name for span in spans if is_below(span)}


def test_one_trace_goes_through_run_cli_and_model_and_has_no_text(world: World) -> None:
    world.change(
        BASE,
        {"canary_path.py": "canary_code = 1\n"},
        script=answer,
        title="Canary title",
        body="Canary body",
    )
    world.more_secrets.append(KEY)
    collector = FakeCollector()
    with serve(collector) as url:
        environ = {
            ENDPOINT: url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{KEY}",
            "TRACEPARENT": f"00-{TRACE}-b7ad6b7169203331-01",
            CONTENT: "false",
        }
        result = world.run(environ=environ, code=0)
    assert result.outputs["findings"] == "1"
    spans = collector.spans
    assert {span.trace for span in spans} == {TRACE}
    assert {"invoke_agent", "chat scripted-model"} <= below(spans, "hunkwise.question")
    assert {"hunkwise.fetch", "hunkwise.prepare", "hunkwise.question", "hunkwise.post"} <= below(
        spans, "hunkwise.run"
    )
    asked = [span.attributes for span in spans if span.name == "hunkwise.question"]
    assert [(one["hunkwise.purpose"], one["hunkwise.model_calls"]) for one in asked] == [
        ("review", 2),
        ("verify", 1),
    ]
    sums = {(point.name, point.attributes.get("hunkwise.purpose")): point.sum for point in collector.points}
    assert sums["hunkwise.model_calls", "review"] == 2
    assert sums["hunkwise.input_tokens", "review"] == asked[0]["hunkwise.input_tokens"]
    assert set(collector.authorizations) == {f"Bearer {KEY}"}
    for text in collector.texts:
        assert [word for word in TEXTS if word in text] == []
        # The CLI's names of tools are digests, which look like a connection token.
        text = text.replace(f"Bearer {KEY}", "")
        found = secrets_in(text, [*SECRETS, PROVIDER_KEY, KEY])
        assert [secret for secret in found if not secret.startswith("connection token")] == []


def test_contents_of_messages_are_refused_before_anything_is_asked(world: World) -> None:
    world.change()
    result = world.run(environ={CONTENT: "true"}, code=2)
    assert f"{CONTENT} is set: prompts, and with them code, would go to the collector" in result.error_text
    assert (world.github.journal, world.model.requests) == ([], [])


@pytest.mark.nightly
def test_a_collector_that_hangs_costs_no_review(world: World) -> None:
    world.change(script=report([finding()]))
    answered = threading.Event()

    def hang(_connection: socket, over: threading.Event) -> None:
        if not over.wait(60):
            answered.set()

    with raw_server(hang) as server:
        result = world.run(environ={ENDPOINT: server.url}, code=0)
        assert not answered.is_set()
        assert server.requests
    assert [comment.line for comment in world.github.comments] == [3]
    assert "the collector did not take it within 2 seconds" in result.log
