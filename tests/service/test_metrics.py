from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from hunkwise.service.metrics import ServiceMetrics
from hunkwise.service.queue import JobRequest, JobResult

JOB = JobRequest("review", "acme/shop", 9, "pull_request", {}, 5)


def samples(metrics: ServiceMetrics) -> dict[tuple[str, ...], float]:
    """Returns the value of each sample by its name and sorted labels; without the times of creation."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_finished_jobs_are_counted_with_what_their_models_used() -> None:
    metrics = ServiceMetrics()
    used = {"model-calls": "3", "input-tokens": "1200", "output-tokens": "80", "ai-credits": "1.25"}
    for result in (
        JobResult(0, "success", used),
        JobResult(1, "failure", {**used, "ai-credits": ""}),
        JobResult(3, "failure"),
    ):
        metrics.finish(JOB, result, 45.0)
    found = samples(metrics)
    expected: dict[tuple[Any, ...], float] = {
        ("hunkwise_jobs_total", "0", "review"): 1,
        ("hunkwise_jobs_total", "1", "review"): 1,
        ("hunkwise_jobs_total", "3", "review"): 1,
        ("hunkwise_job_seconds_count", "review"): 3,
        ("hunkwise_job_seconds_sum", "review"): 135,
        ("hunkwise_job_seconds_bucket", "review", "30.0"): 0,
        ("hunkwise_job_seconds_bucket", "review", "60.0"): 3,
        ("hunkwise_model_usage_total", "calls"): 6,
        ("hunkwise_model_usage_total", "input-tokens"): 2400,
        ("hunkwise_model_usage_total", "output-tokens"): 160,
        ("hunkwise_model_usage_total", "ai-credits"): 1.25,
    }
    assert {key: found.get(key) for key in expected} == expected


def test_no_repository_is_a_label() -> None:
    metrics = ServiceMetrics()
    metrics.finish(JOB, JobResult(0), 1.0)
    assert b"acme" not in metrics.text()


def test_depth_of_the_queue_is_unknown_without_a_database() -> None:
    metrics = ServiceMetrics()
    metrics.set_depth({"waiting": 4, "running": 2, "oldest": 12.5})
    names = ("hunkwise_waiting_jobs", "hunkwise_running_jobs", "hunkwise_oldest_waiting_seconds")
    assert [samples(metrics)[(name,)] for name in names] == [4, 2, 12.5]
    metrics.set_depth(None)
    assert [str(samples(metrics)[(name,)]) for name in names] == ["nan"] * 3
