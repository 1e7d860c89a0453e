"""Pushes the jobs that were committed but never reached the broker.

Dispatching pushes right after the commit; the relay is for the cases in which that did not happen:
the process died, the broker was away. Pushes are made `once`, so a job whose push did arrive
before somebody could write that down is not there twice. Any number of relays may run.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from onqueue.clock import SystemClock
from onqueue.contracts import ONCE_WINDOW, Message
from onqueue.errors import BrokerFull, BrokerUnavailable, OnQueueError
from onqueue.outbox.loop import Backoff, Stop, run_forever
from onqueue.pushing import push_all, tie_in
from onqueue.stores import PendingJob

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from onqueue.contracts import Clock, JobId, Queue
    from onqueue.outbox.store import SqlOutbox

log = logging.getLogger("onqueue.outbox")

GRACE = 1.0
"""Seconds that the dispatcher's own push after the commit has, before the relay steps in."""
HOLD = 30.0
"""Seconds after which the rows of a relay that died are another's: far above one push."""
REFUSED_ROW_PAUSE = 60.0
"""Seconds until a row is tried again that the broker, well otherwise, does not take."""
IDLE = 1.0


class Connections(Protocol):
    """What a `QueueManager` is to the relay."""

    def connection(self, name: str) -> Queue:
        """Return the connection, or raise `UnknownConnection`."""
        ...


@dataclass(slots=True)
class RelayReport:
    """What one round did: jobs `pushed`, those the broker `knew`, and the rows left, by error."""

    pushed: int = 0
    known: int = 0
    left: int = 0
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def handled(self) -> int:
        """Rows that the broker has now."""
        return self.pushed + self.known


class Relay:
    """Brings rows that wait too long to the broker, in the order of their dispatch."""

    def __init__(
        self,
        outbox: SqlOutbox,
        manager: Connections,
        clock: Clock | None = None,
        *,
        grace: float = GRACE,
        hold: float = HOLD,
        batch: int = 500,
    ) -> None:
        """`grace` and `hold` are seconds, `batch` the rows of one trip."""
        self._outbox = outbox
        self._manager = manager
        self._clock: Clock = clock or SystemClock()
        self._grace, self._hold, self._batch = grace, hold, batch
        self._backoffs: dict[str, Backoff] = {}
        self._resting: dict[str, float] = {}

    def run_once(self) -> RelayReport:
        """Push until no row is due; connections whose broker is away are left for their backoff."""
        report = RelayReport()
        while True:
            jobs = self._outbox.claim(
                self._batch, older_than=self._grace, hold=self._hold, without=self._asleep()
            )
            if not jobs:
                return report
            for name, share in by_connection(jobs).items():
                self._deliver(name, share, report)

    def step(self) -> float:
        """Run once; return the seconds until there may be more to do."""
        self.run_once()
        waits = [until - self._clock.monotonic() for until in self._resting.values()]
        return max(0.0, min([IDLE, *waits]))

    def run_forever(self, stop: Stop) -> None:
        """Run until `stop` (like a `threading.Event`) is set; outlives a missing database."""
        run_forever([self], stop, self._clock)

    def _asleep(self) -> list[str]:
        now = self._clock.monotonic()
        self._resting = {name: until for name, until in self._resting.items() if until > now}
        return sorted(self._resting)

    def _deliver(self, name: str, jobs: list[PendingJob], report: RelayReport) -> None:
        if name in self._resting:
            # An earlier batch of this round found the broker away.
            self._leave(jobs, report)
            return
        try:
            queue = self._manager.connection(name)
            pushed = push_all(queue, [self._message(job) for job in jobs])
        except (BrokerUnavailable, BrokerFull) as error:
            self._rest(name, error, jobs, report)
        except Exception as error:  # noqa: BLE001 - one row must not end the relay; it is logged
            self._deliver_singly(name, error, jobs, report)
        else:
            self._backoffs.pop(name, None)
            self._outbox.mark_dispatched([job.id for job in jobs])
            close_losers(self._outbox, pushed.owners)
            report.pushed += pushed.new
            report.known += len(jobs) - pushed.new

    def _deliver_singly(
        self, name: str, error: Exception, jobs: list[PendingJob], report: RelayReport
    ) -> None:
        """One row the broker refuses must not hold up the others."""
        if len(jobs) > 1:
            for job in jobs:
                self._deliver(name, [job], report)
            return
        job = jobs[0]
        log.error("job %s of the outbox cannot be pushed to %r: %s", job.id, name, error)
        report.left += 1
        report.errors[name] = str(error)
        self._outbox.unclaim([job.id], REFUSED_ROW_PAUSE)

    def _rest(
        self, name: str, error: OnQueueError, jobs: list[PendingJob], report: RelayReport
    ) -> None:
        seconds = self._backoffs.setdefault(name, Backoff()).failed()
        self._resting[name] = self._clock.monotonic() + seconds
        log.warning("outbox of %r waits %.1f s for its broker: %s", name, seconds, error)
        report.errors[name] = str(error)
        self._leave(jobs, report)

    def _leave(self, jobs: list[PendingJob], report: RelayReport) -> None:
        report.left += len(jobs)
        self._outbox.unclaim([job.id for job in jobs])

    def _message(self, job: PendingJob) -> Message:
        return message_of(job, self._clock, once=ONCE_WINDOW)


def close_losers(outbox: SqlOutbox, losers: Collection[JobId]) -> None:
    """End the rows of durable jobs that lost their unique locks: others stand for them."""
    for job_id in losers:
        outbox.mark_outcome(job_id, "done")


def message_of(job: PendingJob, clock: Clock, once: float) -> Message:
    """Return what to push for a row: what is left of its delay, from now on."""
    delay = max(0.0, (job.available_at - clock.now()).total_seconds())
    return Message(job.id, job.queue, job.payload, delay, once, tie=tie_in(job.payload))


def by_connection(jobs: Sequence[PendingJob]) -> dict[str, list[PendingJob]]:
    """Return the rows of each connection, in their order."""
    shares: dict[str, list[PendingJob]] = {}
    for job in jobs:
        shares.setdefault(job.connection, []).append(job)
    return shares
