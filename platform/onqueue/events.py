"""What happens to jobs and workers, as blinker signals that each carry one frozen dataclass.

    @events.job_failed.connect
    def note(event: events.JobFailed) -> None: ...

An event is built only when its signal has receivers. What a receiver raises is logged and
changes nothing for the job. Receivers are held weakly, as always with blinker.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from blinker import NamedSignal, Namespace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from onqueue.job import Job
    from onqueue.quotas import PauseKind
    from onqueue.stores import FailedJob
    from onqueue.ticks import TickOutcome

log = logging.getLogger("onqueue.events")

Outcome: TypeAlias = Literal[
    "succeeded",
    "released",
    "snoozed",
    "parked",
    "skipped",
    "failed",
    "cancelled",
    "expired",
    "interrupted",
]


@dataclass(frozen=True, slots=True)
class JobQueueing:
    """A job is about to be put on its queue (or into the outbox). `delay` is seconds."""

    connection: str
    queue: str
    job_id: str
    job: Job
    delay: float


@dataclass(frozen=True, slots=True)
class JobQueued(JobQueueing):
    """A job is on its queue."""


@dataclass(frozen=True, slots=True)
class JobUniqueSkipped:
    """A unique job was not pushed, as job `owner` has its lock; `job` is the wire name."""

    connection: str
    queue: str
    job_id: str
    job: str
    key: str
    owner: str


@dataclass(frozen=True, slots=True)
class BatchEvent:
    """What all events about one batch tell."""

    connection: str
    batch_id: str
    name: str


@dataclass(frozen=True, slots=True)
class BatchDispatched(BatchEvent):
    """A batch was started with `total` jobs."""

    total: int


@dataclass(frozen=True, slots=True)
class BatchCancelled(BatchEvent):
    """A batch was cancelled.

    By a failure: told by a worker, for batches of a dispatcher where somebody listens.
    """


@dataclass(frozen=True, slots=True)
class BatchFinished(BatchEvent):
    """A batch has ended: so many of its `total` jobs `failed`.

    Told by a worker, for batches of a dispatcher where somebody listens, too.
    """

    total: int
    failed: int
    cancelled: bool


@dataclass(frozen=True, slots=True)
class JobRun:
    """What all events about one attempt tell; `job` is the wire name, `attempts` 1-based.

    `options` are those that travelled with the job.
    """

    connection: str
    queue: str
    job_id: str
    job: str
    attempts: int
    context: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    @property
    def display_name(self) -> str:
        """What people read: the name the job gave itself, else its name on the wire."""
        name: str = self.options.get("display_name") or self.job
        return name

    @property
    def tags(self) -> tuple[str, ...]:
        """By what people find the job."""
        return tuple(self.options.get("tags", ()))


@dataclass(frozen=True, slots=True)
class JobProcessing(JobRun):
    """An attempt starts."""


@dataclass(frozen=True, slots=True)
class JobProcessed(JobRun):
    """A job has ended and has not failed: `outcome` tells how. `duration` is seconds."""

    outcome: Outcome
    duration: float


@dataclass(frozen=True, slots=True)
class JobExceptionOccurred(JobRun):
    """An attempt raised."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class JobReleased(JobRun):
    """A job is back on its queue for `delay` seconds from now."""

    outcome: Outcome
    delay: float
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class JobFailed(JobRun):
    """A job has failed for good and is in the failed store."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class JobTimedOut(JobRun):
    """An attempt ran longer than `timeout` seconds."""

    timeout: float


@dataclass(frozen=True, slots=True)
class JobLeaseLost(JobRun):
    """A worker ended an attempt whose lease it no longer had: nothing was changed."""


@dataclass(frozen=True, slots=True)
class JobAttempted(JobRun):
    """An attempt is over, however it ended; always the last event about it."""

    outcome: Outcome
    duration: float
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class JobRetryRequested:
    """A failed job is about to go back to its queue."""

    failed: FailedJob


@dataclass(frozen=True, slots=True)
class QueueBusy:
    """A queue has come to a limit that a monitor watches, is still there, or is below it again.

    `measure` is "size" (jobs of the queue without an outcome), "age" (seconds since the oldest
    ready job was dispatched) or "failed" (how many failed lately); `value` is what it is now. Of
    several monitors one tells it.
    """

    connection: str
    queue: str
    measure: Literal["size", "age", "failed"]
    value: float
    limit: float
    news: Literal["began", "goes on", "over"]


TroubleKind: TypeAlias = Literal["server", "scheduler"]


@dataclass(frozen=True, slots=True)
class ConnectionTroubled:
    """What a connection stands on is in trouble, is so still, or is well again.

    `kind` is "server" (it may lose jobs: a wrong eviction policy, a replica, too old) or
    "scheduler" (nobody leads the schedule); `why` is for people, "" when it is over. Of several
    who watch one tells it.
    """

    connection: str
    kind: TroubleKind
    why: str
    news: Literal["began", "goes on", "over"]


@dataclass(frozen=True, slots=True)
class WorkPaused:
    """A worker hears that its connection, a queue, a job class or a tenant is paused.

    `kind` tells which of them, `until` is seconds since the epoch (None: until resumed).
    """

    connection: str
    kind: PauseKind
    name: str
    reason: str
    until: float | None


@dataclass(frozen=True, slots=True)
class WorkResumed:
    """A worker hears that a pause is over."""

    connection: str
    kind: PauseKind
    name: str


@dataclass(frozen=True, slots=True)
class Looping:
    """A worker is about to look for work."""

    connection: str
    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkerStarting:
    """A worker begins."""

    connection: str
    queues: tuple[str, ...]
    pid: int


@dataclass(frozen=True, slots=True)
class WorkerStopping:
    """A worker ends, with its reason and exit code."""

    connection: str
    queues: tuple[str, ...]
    pid: int
    reason: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class ScheduleTickSettled:
    """A tick of a schedule's entry is over; `why` says more, and why it did not run.

    `job_id` is the job that was pushed, "" when none was. `late` is seconds.
    """

    entry: str
    tick: datetime
    outcome: TickOutcome
    why: str
    job_id: str
    late: float


_signals = Namespace()
job_queueing = _signals.signal("job-queueing")
job_queued = _signals.signal("job-queued")
job_unique_skipped = _signals.signal("job-unique-skipped")
batch_dispatched = _signals.signal("batch-dispatched")
batch_cancelled = _signals.signal("batch-cancelled")
batch_finished = _signals.signal("batch-finished")
job_processing = _signals.signal("job-processing")
job_processed = _signals.signal("job-processed")
job_exception_occurred = _signals.signal("job-exception-occurred")
job_released = _signals.signal("job-released")
job_failed = _signals.signal("job-failed")
job_timed_out = _signals.signal("job-timed-out")
job_lease_lost = _signals.signal("job-lease-lost")
job_attempted = _signals.signal("job-attempted")
job_retry_requested = _signals.signal("job-retry-requested")
queue_busy = _signals.signal("queue-busy")
connection_troubled = _signals.signal("connection-troubled")
work_paused = _signals.signal("work-paused")
work_resumed = _signals.signal("work-resumed")
looping = _signals.signal("looping")
worker_starting = _signals.signal("worker-starting")
worker_stopping = _signals.signal("worker-stopping")
schedule_tick_settled = _signals.signal("schedule-tick-settled")


def tell(signal: NamedSignal, event: object) -> None:
    """Send the event; ask `signal.receivers` before building one on a hot path."""
    for receiver in signal.receivers_for(event):
        try:
            receiver(event)
        except Exception:
            log.exception("a receiver of %r raised", signal.name)
