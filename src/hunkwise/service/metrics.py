"""The metrics of the service, in Prometheus's format."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from hunkwise.service.queue import JobRequest, JobResult
from hunkwise.service.servers import SharedServers

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_UNITS: Final = {
    "calls": "model-calls",
    **{name: name for name in ("input-tokens", "output-tokens", "ai-credits")},
}
"""The outputs of a job that are counted, by the label `unit`."""
_SECONDS: Final = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class ServiceMetrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.deliveries = Counter(
            "hunkwise_deliveries",
            "Webhooks by event and HTTP status.",
            ("event", "status"),
            registry=self.registry,
        )
        self.jobs = Counter(
            "hunkwise_jobs",
            "Finished jobs by kind and exit code.",
            ("kind", "exit_code"),
            registry=self.registry,
        )
        self.api_requests = Counter(
            "hunkwise_api_requests",
            "Requests to the web API by method and HTTP status.",
            ("method", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "hunkwise_job_seconds", "Duration of jobs.", ("kind",), buckets=_SECONDS, registry=self.registry
        )
        self.used = Counter(
            "hunkwise_model_usage",
            f"Use of models by unit: {', '.join(_UNITS)}.",
            ("unit",),
            registry=self.registry,
        )
        self.running = Gauge("hunkwise_running_jobs", "Jobs that run.", registry=self.registry)
        self.waiting = Gauge("hunkwise_waiting_jobs", "Jobs that wait.", registry=self.registry)
        self.oldest = Gauge(
            "hunkwise_oldest_waiting_seconds", "Age of the oldest waiting job.", registry=self.registry
        )

        self.server_up = Gauge(
            "hunkwise_copilot_server_up",
            "1 if the Copilot CLI answers and is not drained.",
            ("server",),
            registry=self.registry,
        )
        self.server_busy = Gauge(
            "hunkwise_copilot_server_busy",
            "Jobs and requests of this process that may use the Copilot CLI.",
            ("server",),
            registry=self.registry,
        )

    def finish(self, job: JobRequest, result: JobResult, seconds: float) -> None:
        """Counts a finished job."""
        self.jobs.labels(job.kind, str(result.exit_code)).inc()
        self.seconds.labels(job.kind).observe(seconds)
        for unit, output in _UNITS.items():
            self.used.labels(unit).inc(float(result.outputs.get(output) or 0))

    def set_depth(self, depth: Mapping[str, Any] | None) -> None:
        """Sets the gauges of the queue, as `JobQueue.depth` returns them; None if the database does not answer."""
        depth = depth or {}
        self.waiting.set(depth.get("waiting", math.nan))
        self.running.set(depth.get("running", math.nan))
        self.oldest.set(depth.get("oldest", math.nan))

    def set_servers(self, servers: SharedServers) -> None:
        """Sets the gauges of the Copilot CLIs."""
        busy = servers.busy()
        for server in servers.pool.servers:
            name = str(server.address)
            self.server_up.labels(name).set(server.up and not server.drained)
            self.server_busy.labels(name).set(busy[name])

    def text(self) -> bytes:
        """Returns all metrics."""
        return generate_latest(self.registry)
