"""A collector of OpenTelemetry: takes traces and metrics over HTTP, as JSON or as protobuf."""

from __future__ import annotations

import gzip
import json
import threading
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]  # protobuf has no types
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Json = dict[str, Any]
_PROTOBUF: Mapping[str, Callable[[], Any]] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}


@dataclass(frozen=True)
class CollectedSpan:
    """A span, with ids in hexadecimal digits; `parent` is empty for a root."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    attributes: Mapping[str, Any]
    failed: bool


@dataclass(frozen=True)
class CollectedPoint:
    """A point of a metric: the sum of a counter or of a histogram."""

    service: str
    name: str
    attributes: Mapping[str, Any]
    sum: float
    cumulative: bool


class FakeCollector:
    """An ASGI app. `status` is what it answers."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.texts: list[str] = []
        """Each request with its headers, as text."""
        self.authorizations: list[str] = []
        self._traces: list[Json] = []
        self._metrics: list[Json] = []
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        content = _read(request, body)
        with self._lock:
            self.texts.append(json.dumps([request.url.path, dict(request.headers), content]))
            self.authorizations.append(request.headers.get("authorization", ""))
            kept = self._traces if request.url.path == "/v1/traces" else self._metrics
            kept.append(content)
        await Response("{}", self.status, {"content-type": "application/json"})(scope, receive, send)

    @property
    def spans(self) -> list[CollectedSpan]:
        """All spans, in the order in which they came."""
        return [
            CollectedSpan(
                service,
                span["name"],
                span["traceId"],
                span["spanId"],
                span.get("parentSpanId") or "",
                _attributes(span),
                (span.get("status") or {}).get("code") in (2, "STATUS_CODE_ERROR"),
            )
            for service, scope in _scopes(self._traces, "resourceSpans", "scopeSpans")
            for span in scope.get("spans", [])
        ]

    @property
    def points(self) -> list[CollectedPoint]:
        """All points of counters and histograms."""
        return [
            CollectedPoint(
                service,
                metric["name"],
                _attributes(point),
                float(point.get("sum", point.get("asInt", point.get("asDouble", 0)))),
                data.get("aggregationTemporality") in (2, "AGGREGATION_TEMPORALITY_CUMULATIVE"),
            )
            for service, scope in _scopes(self._metrics, "resourceMetrics", "scopeMetrics")
            for metric in scope.get("metrics", [])
            for data in (metric.get("sum"), metric.get("histogram"))
            if data
            for point in data.get("dataPoints", [])
        ]


def _read(request: Request, body: bytes) -> Json:
    if "json" in request.headers.get("content-type", ""):
        content: Json = json.loads(body)
        return content
    message = _PROTOBUF[request.url.path]()
    message.ParseFromString(body)
    converted: Json = _with_hexadecimal_ids(MessageToDict(message))
    return converted


def _with_hexadecimal_ids(value: Any) -> Any:
    """Protobuf's own JSON has ids in base64; OpenTelemetry's has them in hexadecimal digits."""
    if isinstance(value, list):
        return [_with_hexadecimal_ids(each) for each in value]
    if isinstance(value, dict):
        return {
            name: b64decode(each).hex()
            if name in ("traceId", "spanId", "parentSpanId")
            else _with_hexadecimal_ids(each)
            for name, each in value.items()
        }
    return value


def _scopes(contents: list[Json], resources: str, scopes: str) -> list[tuple[str, Json]]:
    """Returns each scope with the name of its service."""
    return [
        (str(_attributes(resource.get("resource", {})).get("service.name", "")), scope)
        for content in contents
        for resource in content.get(resources, [])
        for scope in resource.get(scopes, [])
    ]


def _attributes(owner: Json) -> dict[str, Any]:
    found = {}
    for attribute in owner.get("attributes", []):
        ((kind, value),) = attribute["value"].items() or [("", None)]
        found[attribute["key"]] = int(value) if kind == "intValue" else value
    return found
