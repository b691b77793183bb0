"""Spans and metrics of a run, by OpenTelemetry: where an endpoint is set and `hunkwise[otel]` is installed.

Spans have names, numbers and durations: no text of a change, a prompt, an answer or an error. They are sent once, at
the end of the run. Without an endpoint nothing is imported.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from hunkwise import __version__

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExporter

Value = str | int | float | bool
EXPORT_SECONDS: Final = 2.0
"""The end of a run waits at most so long for the collector."""
_RECORDED: Final = frozenset(("action", "review", "publish", "audit", "eval"))
"""The commands that are recorded."""
_PREFIX: Final = "OTEL_"
_CONTENT: Final = "CAPTURE"
"""In the names of variables that put prompts, answers or headers into spans."""
_HEADERS: Final = tuple(f"OTEL_EXPORTER_OTLP_{signal}HEADERS" for signal in ("", "TRACES_", "METRICS_"))
_CREDENTIAL: Final = re.compile("auth|key|token|secret|password", re.IGNORECASE)
_SHORTEST: Final = 8
_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_SIGNALS: Final = ("TRACES", "METRICS")
_TEMPORALITY: Final = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
_PACKAGE: Final = "opentelemetry"
_NO_ATTRIBUTES: Final[Mapping[str, Value]] = MappingProxyType({})
_DURATION_BUCKETS: Final = (
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0,
)  # fmt: skip
"""Seconds: of a request to GitHub up to an audit."""
_DURATION_ATTRIBUTES: Final = ("hunkwise.command", "hunkwise.purpose")
"""Attributes of spans that are attributes of their durations too."""
_RUN_ATTRIBUTES: Final = {
    "GITHUB_REPOSITORY": "vcs.repository.name",
    "GITHUB_EVENT_NAME": "hunkwise.event",
    "GITHUB_RUN_ID": "cicd.pipeline.run.id",
}
"""Variables whose values are attributes of a run."""

logger = logging.getLogger(__name__)


_current: ContextVar[_Recorder | None] = ContextVar("recorder", default=None)


def is_passed_on(name: str) -> bool:
    """Returns whether a variable is one of OpenTelemetry's that the CLI may have: none that puts code into spans."""
    return name.startswith(_PREFIX) and _CONTENT not in name


def content_variables(environ: Mapping[str, str]) -> list[str]:
    """Returns the names of those variables that are set, and would put code into spans."""
    return sorted(
        name
        for name, value in environ.items()
        if name.startswith(_PREFIX) and _CONTENT in name and value.strip().lower() not in ("", "0", "false")
    )


def header_secrets(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the collector's credentials in `name=value,name=value`: values of headers whose names are those of one.

    Others, such as a data set's name, are words that a review may contain.
    """
    found = []
    for text in filter(None, map(environ.get, _HEADERS)):
        for pair in text.split(","):
            name, _, value = pair.partition("=")
            if _CREDENTIAL.search(name):
                found += [value.split()[-1:], unquote(value).split()[-1:]]  # without `Bearer`
    return tuple(dict.fromkeys(word for words in found for word in words if len(word) >= _SHORTEST))


@contextmanager
def recorded_run(command: str, environ: Mapping[str, str]) -> Iterator[None]:
    """Records a command with the spans and counts in it, and sends them at its end. Raises no error of its own.

    In the process of a command that is not recorded the SDK of Copilot finds no OpenTelemetry either: it would import
    it with the first session, and fail where its variables are wrong.
    """
    signals = frozenset(_exported(environ)) if command in _RECORDED else frozenset()
    if not signals:
        sys.modules.setdefault(_PACKAGE, None)  # type: ignore[arg-type]  # how Python marks what is not to be imported
        yield
        return
    try:
        recorder = _Recorder(environ, signals)
    except (ImportError, ValueError) as error:
        sys.modules[_PACKAGE] = None  # type: ignore[assignment]  # as above
        yield
        if not isinstance(error, ImportError):
            logger.warning("No telemetry was sent: a variable of OpenTelemetry is wrong (%s).", error)
        return
    token = _current.set(recorder)
    try:
        with recorder.span("run", {"hunkwise.command": command, **_run_attributes(environ)}):
            yield
    finally:
        _current.reset(token)
        recorder.export()


def _exported(environ: Mapping[str, str]) -> Iterator[str]:
    """Yields those of `_SIGNALS` that are to be exported."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return
    for signal in _SIGNALS:
        endpoint = environ.get(_ENDPOINT) or environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
        if endpoint and environ.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() != "none":
            yield signal


def _run_attributes(environ: Mapping[str, str]) -> dict[str, Value]:
    return {name: environ[variable] for variable, name in _RUN_ATTRIBUTES.items() if environ.get(variable)}


@contextmanager
def span(name: str, attributes: Mapping[str, Value] = _NO_ATTRIBUTES) -> Iterator[None]:
    """Records the block as the span `hunkwise.NAME`, and how long it takes. `attributes`: of the span."""
    recorder = _current.get()
    if recorder is None:
        yield
    else:
        with recorder.span(name, attributes):
            yield


def annotate(attributes: Mapping[str, Value]) -> None:
    """Sets attributes of the span around. They must not have text that a model or an author wrote."""
    if _current.get() is not None:
        from opentelemetry import trace

        trace.get_current_span().set_attributes(attributes)


def count(name: str, number: float, attributes: Mapping[str, Value] = _NO_ATTRIBUTES) -> None:
    """Adds to the counter `hunkwise.NAME`. The attributes need few values: each combination is a series."""
    recorder = _current.get()
    if recorder is not None and number > 0:
        recorder.counter(name).add(number, attributes)


def _export_metrics(exporter: MetricExporter, reader: InMemoryMetricReader) -> bool:
    """Returns whether the metrics were taken; True if there are none."""
    data = reader.get_metrics_data()
    return data is None or exporter.export(data).value == 0


class _Recorder:
    """Records one run. Its constructor imports OpenTelemetry. Raises ImportError, ValueError."""

    def __init__(self, environ: Mapping[str, str], signals: frozenset[str]) -> None:
        if sys.modules.get(_PACKAGE, self) is None:  # an earlier run in this process recorded nothing
            del sys.modules[_PACKAGE]
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.propagate import set_global_textmap
        from opentelemetry.sdk import metrics as measuring
        from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        logging.getLogger(_PACKAGE).setLevel(logging.CRITICAL)  # its messages have the collector's answers
        propagator = TraceContextTextMapPropagator()
        set_global_textmap(propagator)  # what the SDK of Copilot sends with each question
        own = {
            "service.version": __version__,
            **({} if environ.get("OTEL_SERVICE_NAME") else {"service.name": "hunkwise"}),
        }
        resource = Resource.create(own)
        # Kept in memory: exporters in the background start threads, also in each process that is forked.
        self._spans = InMemorySpanExporter()
        tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        # A run is a process: its counts begin at 0, and the next run's do again.
        cumulative = environ.get(_TEMPORALITY, "").strip().lower() == "cumulative"
        temporality = AggregationTemporality.CUMULATIVE if cumulative else AggregationTemporality.DELTA
        self._metrics = InMemoryMetricReader(
            {measuring.Counter: temporality, measuring.Histogram: temporality}
        )
        meters = measuring.MeterProvider([self._metrics], resource=resource, shutdown_on_exit=False)
        self._exports: list[Callable[[], bool]] = []
        if "TRACES" in signals:
            spans = OTLPSpanExporter(timeout=EXPORT_SECONDS)
            self._exports.append(lambda: spans.export(self._spans.get_finished_spans()).value == 0)
        if "METRICS" in signals:
            metrics = OTLPMetricExporter(timeout=EXPORT_SECONDS)
            self._exports.append(lambda: _export_metrics(metrics, self._metrics))
        self._tracer = tracers.get_tracer("hunkwise", __version__)
        self._meter = meters.get_meter("hunkwise", __version__)
        self._counters: dict[str, Counter] = {}
        self._duration = self._meter.create_histogram(
            "hunkwise.stage.duration", "s", explicit_bucket_boundaries_advisory=_DURATION_BUCKETS
        )
        self._parent = propagator.extract({name: environ.get(name.upper(), "") for name in propagator.fields})

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, Value]) -> Iterator[None]:
        """Records the block. Of an error only its type and kind are recorded: its text may be a model's."""
        from opentelemetry import trace

        outer = trace.get_current_span().get_span_context().is_valid
        started, failed = time.perf_counter(), ""
        with self._tracer.start_as_current_span(
            f"hunkwise.{name}",
            None if outer else self._parent,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as own:
            try:
                yield
            except BaseException as error:
                failed = str(getattr(error, "kind", "")) or type(error).__name__
                own.set_attribute("error.type", failed)
                own.set_status(trace.StatusCode.ERROR)
                raise
            finally:
                series = {key: value for key, value in attributes.items() if key in _DURATION_ATTRIBUTES}
                outcome = {"error.type": failed} if failed else {}
                self._duration.record(
                    time.perf_counter() - started, {"hunkwise.stage": name, **series, **outcome}
                )

    def counter(self, name: str) -> Counter:
        """Returns the counter `hunkwise.NAME`."""
        if name not in self._counters:
            self._counters[name] = self._meter.create_counter(f"hunkwise.{name}")
        return self._counters[name]

    def export(self) -> None:
        """Sends what was recorded. Waits at most EXPORT_SECONDS: a thread that hangs ends with the process."""
        results: list[bool] = []
        threads = [
            threading.Thread(target=lambda send=send: results.append(send()), name="telemetry", daemon=True)
            for send in self._exports
        ]
        end = time.monotonic() + EXPORT_SECONDS
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        if results.count(True) < len(threads):
            logger.warning(
                "Telemetry was not sent: the collector did not take it within %g seconds."
                " See OTEL_EXPORTER_OTLP_ENDPOINT.",
                EXPORT_SECONDS,
            )
