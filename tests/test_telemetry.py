"""What a run sends to a collector of OpenTelemetry, and what it does without one, or with one that hangs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from socket import socket

import pytest

from hunkwise.commands.pull_request import in_background
from hunkwise.copilot.session import usage_numbers
from hunkwise.domain.review import Usage
from hunkwise.errors import ModelError, ModelKind
from hunkwise.telemetry import annotate, count, header_secrets, is_passed_on, recorded_run, span
from tests.fakes.command_line import ROOT
from tests.fakes.http_server import raw_server, serve
from tests.fakes.otlp_collector import FakeCollector
from tests.pages import code_spans, page, table

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
SECRET = "canary-4f1f0c"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCollector]:
    """A collector that the environment names."""
    collector = FakeCollector()
    with serve(collector) as url:
        monkeypatch.setenv(ENDPOINT, url)
        yield collector


def fetch() -> str:
    with span("fetch"):
        annotate({"vcs.change.id": "1"})
        return "fetched"


def test_spans_of_a_run_are_one_trace_over_its_threads(
    collector: FakeCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"Authorization=Bearer%20{SECRET}")
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    environ = {
        **os.environ,
        "TRACEPARENT": f"00-{trace}-{parent}-01",
        "GITHUB_REPOSITORY": "octo/repo",
        "GITHUB_EVENT_NAME": "pull_request",
    }
    with recorded_run("review", environ):
        assert in_background(fetch).result() == "fetched"
        with span("plan"):
            pass
        annotate({"hunkwise.exit_code": 0})
    spans = {each.name: each for each in collector.spans}
    run = spans["hunkwise.run"]
    assert {each.trace for each in collector.spans} == {trace}
    assert {each.service for each in collector.spans} == {"hunkwise"}
    assert (run.parent, {spans[f"hunkwise.{name}"].parent for name in ("fetch", "plan")}) == (
        parent,
        {run.id},
    )
    assert run.attributes == {
        "hunkwise.command": "review",
        "hunkwise.event": "pull_request",
        "vcs.repository.name": "octo/repo",
        "hunkwise.exit_code": 0,
    }
    assert spans["hunkwise.fetch"].attributes == {"vcs.change.id": "1"}
    assert set(collector.authorizations) == {f"Bearer {SECRET}"}


def test_an_error_is_recorded_by_its_kind_and_never_by_its_text(collector: FakeCollector) -> None:
    failure = ModelError(ModelKind.RATE_LIMIT, SECRET, SECRET)
    with pytest.raises(ModelError), recorded_run("review", os.environ), span("question"):
        raise failure
    assert [(each.name, each.failed, each.attributes["error.type"]) for each in collector.spans] == [
        (name, True, str(ModelKind.RATE_LIMIT)) for name in ("hunkwise.question", "hunkwise.run")
    ]
    assert SECRET not in "".join(collector.texts)


@pytest.mark.parametrize(("preference", "cumulative"), [("", False), ("cumulative", True), ("delta", False)])
def test_counts_and_durations_are_sent_once(
    collector: FakeCollector, monkeypatch: pytest.MonkeyPatch, preference: str, cumulative: bool
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", preference)
    with recorded_run("review", os.environ):
        for tokens in (100, 20):
            with span("question", {"hunkwise.purpose": "verify", "gen_ai.request.model": "m"}):
                count("input_tokens", tokens, {"hunkwise.purpose": "verify"})
        count("credits", 0.5)
        count("output_tokens", 0)
    sums = {point.name: point.sum for point in collector.points if "duration" not in point.name}
    assert sums == {"hunkwise.input_tokens": 120, "hunkwise.credits": 0.5}
    durations = [point.attributes for point in collector.points if point.name == "hunkwise.stage.duration"]
    assert durations == [
        {"hunkwise.stage": "question", "hunkwise.purpose": "verify"},
        {"hunkwise.stage": "run", "hunkwise.command": "review"},
    ]
    assert {point.cumulative for point in collector.points} == {cumulative}


@pytest.mark.parametrize(
    ("variables", "paths"),
    [
        ({}, {"/v1/metrics", "/v1/traces"}),
        ({"OTEL_TRACES_EXPORTER": "none"}, {"/v1/metrics"}),
        ({"OTEL_METRICS_EXPORTER": "none"}, {"/v1/traces"}),
        ({"OTEL_SDK_DISABLED": "true"}, set()),
    ],
)
def test_what_is_turned_off_is_not_sent(
    collector: FakeCollector, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], paths: set[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with recorded_run("review", os.environ):
        pass
    assert {text.split('"')[1] for text in collector.texts} == paths


def test_commands_without_a_run_send_nothing(collector: FakeCollector) -> None:
    with recorded_run("config", os.environ), span("plan"):
        count("findings", 1)
    assert collector.texts == []


@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:9", "nonsense", "http://[::1"])
def test_a_collector_that_refuses_or_is_not_there_is_a_warning(
    collector: FakeCollector,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    endpoint: str,
) -> None:
    collector.status = 400
    monkeypatch.setenv(ENDPOINT, endpoint or os.environ[ENDPOINT])
    with recorded_run("review", os.environ):
        pass
    assert [record.message for record in caplog.records] == [
        "Telemetry was not sent: the collector did not take it within 2 seconds. See OTEL_EXPORTER_OTLP_ENDPOINT."
    ]


def test_a_collector_that_hangs_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answered = threading.Event()

    def hang(_connection: socket, over: threading.Event) -> None:
        if not over.wait(30):
            answered.set()

    with raw_server(hang) as server:
        monkeypatch.setenv(ENDPOINT, server.url)
        with recorded_run("review", os.environ):
            pass
        assert not answered.is_set()
        assert len(server.requests) == 2
    assert "did not take it within 2 seconds" in caplog.text


def test_page_has_the_spans_and_counters_of_the_code() -> None:
    text = page("docs/telemetry.md")
    spans = {name for row in table(text, "Span") for name in code_spans(row[0])}
    metrics = {name for row in table(text, "Metric") for name in code_spans(row[0])}
    calls = re.compile(r'(?<![.\w])(?:span|self\.span)\(\s*"([\w.]+)"')
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")]
    assert {f"hunkwise.{name}" for source in sources for name in calls.findall(source)} | {
        "hunkwise.run"
    } == spans
    assert metrics == {f"hunkwise.{name}" for name in (*usage_numbers(Usage()), "stage.duration")}


PROCESS = """
import os, sys
from hunkwise.telemetry import recorded_run
with recorded_run("review", os.environ):
    try:
        from opentelemetry import context, propagate
    except ImportError as error:
        print(type(error).__name__)
print(sorted(name for name in sys.modules if name.startswith("opentelemetry.sdk")))
"""


WITHOUT_EXPORTER = "import sys; sys.modules['opentelemetry.exporter'] = None"


@pytest.mark.parametrize(
    ("first", "variables", "loaded", "warned"),
    [
        ("", {}, False, False),
        (WITHOUT_EXPORTER, {ENDPOINT: "http://127.0.0.1:9"}, False, False),
        ("", {ENDPOINT: "http://127.0.0.1:9", "OTEL_PROPAGATORS": "morse"}, True, True),
    ],
    ids=["no endpoint", "package not installed", "wrong variable"],
)
def test_the_sdk_of_copilot_finds_no_telemetry_that_is_not_used(
    first: str, variables: dict[str, str], loaded: bool, warned: bool
) -> None:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), *_more()])}
    ran = subprocess.run(
        [sys.executable, "-c", first + PROCESS], env={**environ, **variables}, capture_output=True, text=True
    )
    assert ran.stdout.splitlines()[0] == "ModuleNotFoundError"
    assert (ran.stdout.splitlines()[1] != "[]") is loaded
    assert ("a variable of OpenTelemetry is wrong" in ran.stderr) is warned


def _more() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


@pytest.mark.parametrize(
    ("headers", "secrets"),
    [
        ({}, ()),
        (
            {"OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20abcdefgh"},
            ("Bearer%20abcdefgh", "abcdefgh"),
        ),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "api-key=0123456789, x-dataset=production"}, ("0123456789",)),
        ({"OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-token=short"}, ()),
        ({"OTEL_EXPORTER_OTLP_METRICS_HEADERS": "x-secret = a=b=c=d=e"}, ("a=b=c=d=e",)),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "nonsense"}, ()),
    ],
)
def test_credentials_of_a_collector_are_secrets(headers: dict[str, str], secrets: tuple[str, ...]) -> None:
    assert header_secrets(headers) == secrets


@pytest.mark.parametrize(
    ("name", "passed_on"),
    [
        (ENDPOINT, True),
        ("OTEL_RESOURCE_ATTRIBUTES", True),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", False),
        ("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST", False),
        ("MOTEL_ROOM", False),
        ("TRACEPARENT", False),
    ],
)
def test_variables_that_put_code_into_spans_are_not_passed_on(name: str, passed_on: bool) -> None:
    assert is_passed_on(name) is passed_on
