"""Counters and gauges for Prometheus: what workers do, and what waits on the broker.

| name | kind | labels |
|---|---|---|
| `onqueue_jobs_dispatched_total` | counter | connection, queue, job |
| `onqueue_jobs_total` | counter | connection, queue, job, outcome |
| `onqueue_job_duration_seconds` | histogram | connection, queue, job |
| `onqueue_job_exceptions_total` | counter | connection, queue, job |
| `onqueue_leases_lost_total` | counter | connection, queue, job |
| `onqueue_jobs_waiting` | gauge | connection, queue, state |
| `onqueue_broker_up` | gauge | connection |

Labels are bounded: of job names, and of queues, only the first so many get a label of their own,
the rest share `other`. No label bears a tenant, an id or an argument. Names follow the naming
rules of prometheus.io/docs/practices/naming.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily

from onqueue import events
from onqueue.errors import OnQueueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from blinker import NamedSignal
    from prometheus_client.core import Metric

    from onqueue.connections import QueueManager

OTHER: Final = "other"
"""The label of what came after the limit."""

MOST_NAMES: Final = 200
"""How many job names, and how many queues, get a label of their own."""

BUCKETS: Final = (0.001, 0.005, 0.02, 0.1, 0.5, 1, 5, 20, 60, 300, 1800, 7200)
"""Upper bounds of the durations, in seconds: jobs take from a millisecond to hours."""

_JOB: Final = ("connection", "queue", "job")


class Bounded:
    """Names that may be labels: the first so many are, the rest are `other`."""

    def __init__(self, most: int) -> None:
        """Know none yet."""
        self._most = most
        self._known: set[str] = set()

    def __call__(self, name: str) -> str:
        """Return the label for a name."""
        if name in self._known:
            return name
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(name)
        return name


class Metrics:
    """Counts what happens in this process.

    Where several processes work, set `PROMETHEUS_MULTIPROC_DIR` for all of them, as the client
    library wants it: then `metrics` of the console adds them up.
    """

    def __init__(
        self, registry: CollectorRegistry = REGISTRY, *, most_names: int = MOST_NAMES
    ) -> None:
        """Make the counters in a registry."""
        self._job_label = Bounded(most_names)
        self._queue_label = Bounded(most_names)
        self._dispatched = Counter(
            "onqueue_jobs_dispatched", "Jobs put on their queue.", _JOB, registry=registry
        )
        self._jobs = Counter(
            "onqueue_jobs", "Runs by outcome.", (*_JOB, "outcome"), registry=registry
        )
        self._duration = Histogram(
            "onqueue_job_duration_seconds",
            "How long a run took, in seconds.",
            _JOB,
            buckets=BUCKETS,
            registry=registry,
        )
        self._exceptions = Counter(
            "onqueue_job_exceptions", "Runs that raised.", _JOB, registry=registry
        )
        self._lost = Counter(
            "onqueue_leases_lost", "Runs that lost their lease.", _JOB, registry=registry
        )

    def install(self) -> Callable[[], None]:
        """Count from now on; return what ends it."""
        receivers: tuple[tuple[NamedSignal, Callable[..., None]], ...] = (
            (events.job_queued, self._on_queued),
            (events.job_attempted, self._on_attempted),
            (events.job_exception_occurred, self._on_exception),
            (events.job_lease_lost, self._on_lost),
        )
        for signal, receiver in receivers:
            signal.connect(receiver, weak=False)

        def stop() -> None:
            for signal, receiver in receivers:
                signal.disconnect(receiver)

        return stop

    def _labels(self, connection: str, queue: str, job: str) -> tuple[str, str, str]:
        return (connection, self._queue_label(queue), self._job_label(job))

    def _on_queued(self, event: events.JobQueued) -> None:
        labels = self._labels(event.connection, event.queue, event.job.name)
        self._dispatched.labels(*labels).inc()

    def _on_attempted(self, event: events.JobAttempted) -> None:
        labels = self._of_run(event)
        self._jobs.labels(*labels, event.outcome).inc()
        self._duration.labels(*labels).observe(event.duration)

    def _on_exception(self, event: events.JobExceptionOccurred) -> None:
        self._exceptions.labels(*self._of_run(event)).inc()

    def _on_lost(self, event: events.JobLeaseLost) -> None:
        self._lost.labels(*self._of_run(event)).inc()

    def _of_run(self, event: events.JobRun) -> tuple[str, str, str]:
        return self._labels(event.connection, event.queue, event.job)


class QueueCollector:
    """Asks the brokers, at each scrape, how much waits where."""

    def __init__(self, manager: QueueManager, *, most_names: int = MOST_NAMES) -> None:
        """Ask the manager's connections."""
        self._manager = manager
        self._most = most_names

    def collect(self) -> Iterator[Metric]:
        """Return the gauges; a connection whose broker is away only says so."""
        waiting = GaugeMetricFamily(
            "onqueue_jobs_waiting",
            "Jobs without an outcome, by state.",
            labels=["connection", "queue", "state"],
        )
        up = GaugeMetricFamily(
            "onqueue_broker_up", "Whether the broker answers.", labels=["connection"]
        )
        for name in self._manager.configs:
            queue = self._manager.connection(name)
            if "size" not in queue.supports:
                continue
            try:
                self._count(name, waiting)
            except OnQueueError:
                up.add_metric([name], 0)
            else:
                up.add_metric([name], 1)
        yield waiting
        yield up

    def _count(self, connection: str, waiting: GaugeMetricFamily) -> None:
        queue = self._manager.connection(connection)
        totals: dict[tuple[str, str], int] = {}
        label = Bounded(self._most)
        for name in queue.queues():
            size = queue.size(name)
            for state in ("ready", "delayed", "reserved", "parked"):
                key = (label(name), state)
                totals[key] = totals.get(key, 0) + getattr(size, state)
        for (name, state), count in totals.items():
            waiting.add_metric([connection, name, state], count)
