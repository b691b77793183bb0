"""The metrics of the service, in Prometheus's format."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from hunkwise.service.queue import JobRequest, JobResult

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
        self.seconds = Histogram(
            "hunkwise_job_seconds", "Duration of jobs.", ("kind",), buckets=_SECONDS, registry=self.registry
        )
        self.used = Counter(
            "hunkwise_model_usage", "What models used, by unit: calls, input-tokens, output-tokens, ai-credits.", ("unit",),
            registry=self.registry,
        )  # fmt: skip
        self.running = Gauge("hunkwise_running_jobs", "Jobs that run.", registry=self.registry)
        self.waiting = Gauge("hunkwise_waiting_jobs", "Jobs that wait.", registry=self.registry)
        self.oldest = Gauge(
            "hunkwise_oldest_waiting_seconds", "Age of the oldest waiting job.", registry=self.registry
        )

    def finish(self, job: JobRequest, result: JobResult, seconds: float) -> None:
        """Counts a finished job."""
        self.jobs.labels(job.kind, str(result.exit_code)).inc()
        self.seconds.labels(job.kind).observe(seconds)
        for unit in ("model-calls", "input-tokens", "output-tokens", "ai-credits"):
            try:
                self.used.labels(unit.removeprefix("model-")).inc(float(result.outputs.get(unit, 0) or 0))
            except ValueError:
                continue

    def text(self) -> bytes:
        """Returns all metrics."""
        return generate_latest(self.registry)
