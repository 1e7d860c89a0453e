"""Counters for Prometheus."""

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from onqueue import Job, events
from onqueue.telling.metrics import OTHER, Metrics


class Count(Job):
    def handle(self) -> None: ...


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def installed(registry: CollectorRegistry) -> Iterator[Metrics]:
    metrics = Metrics(registry, most_names=2)
    stop = metrics.install()
    yield metrics
    stop()


def run(job: str = "Count", queue: str = "a") -> tuple[str, str, str, str, int, dict[str, str]]:
    return ("redis", queue, "id", job, 1, {"tenant": "acme"})


@pytest.mark.usefixtures("installed")
def test_runs_are_counted_by_outcome_and_timed(registry: CollectorRegistry) -> None:
    """B19."""
    for outcome, duration in (("succeeded", 0.25), ("failed", 0.75)):
        over = events.JobAttempted(*run(), outcome, duration, None)  # type: ignore[arg-type]
        events.tell(events.job_attempted, over)
    events.tell(events.job_exception_occurred, events.JobExceptionOccurred(*run(), OSError()))
    events.tell(events.job_lease_lost, events.JobLeaseLost(*run()))
    events.tell(events.job_queued, events.JobQueued("redis", "a", "id", Count(), 0.0))
    labels = {"connection": "redis", "queue": "a", "job": "Count"}
    value = registry.get_sample_value
    assert value("onqueue_jobs_total", {**labels, "outcome": "succeeded"}) == 1
    assert value("onqueue_jobs_total", {**labels, "outcome": "failed"}) == 1
    assert value("onqueue_job_duration_seconds_sum", labels) == 1.0
    assert value("onqueue_job_duration_seconds_count", labels) == 2
    assert value("onqueue_job_exceptions_total", labels) == 1
    assert value("onqueue_leases_lost_total", labels) == 1
    assert value("onqueue_jobs_dispatched_total", labels) == 1


@pytest.mark.usefixtures("installed")
def test_the_number_of_labels_is_bounded(registry: CollectorRegistry) -> None:
    for number in range(50):
        over = events.JobAttempted(*run(f"Job{number}", f"q{number}"), "succeeded", 0.1, None)
        events.tell(events.job_attempted, over)
    metrics = {metric.name: metric for metric in registry.collect()}
    samples = [one for one in metrics["onqueue_jobs"].samples if one.name == "onqueue_jobs_total"]
    assert {one.labels["job"] for one in samples} == {"Job0", "Job1", OTHER}
    assert {one.labels["queue"] for one in samples} == {"q0", "q1", OTHER}
    assert sum(one.value for one in samples) == 50


def test_what_was_ended_counts_no_more(registry: CollectorRegistry) -> None:
    Metrics(registry).install()()
    events.tell(events.job_lease_lost, events.JobLeaseLost(*run()))
    assert registry.get_sample_value("onqueue_leases_lost_total") is None
