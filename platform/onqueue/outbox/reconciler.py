"""Brings durable jobs back that the broker has lost.

A durable job's row lives until its outcome. When the broker does not know a job whose row is open,
it has lost it (a failover, `FLUSHALL`): the reconciler pushes it again. It does so without `once`,
as it has just asked; a push too many is refused while the job waits, and a worker acks a durable
job unrun when its row is `done`. Any number of reconcilers may run.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onqueue.clock import SystemClock
from onqueue.errors import OnQueueError
from onqueue.outbox.loop import Stop, run_forever
from onqueue.outbox.relay import by_connection, close_losers, message_of
from onqueue.pushing import push_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.contracts import Clock, JobId
    from onqueue.outbox.relay import Connections
    from onqueue.outbox.store import SqlOutbox
    from onqueue.stores import PendingJob

log = logging.getLogger("onqueue.outbox")

PATIENCE = 30.0
"""Seconds after its push before a durable job is looked for in the broker."""
KEEP = 7 * 86_400.0
"""Seconds for which the row of an ended job is kept: a late second push must find it."""
PAGE = 500


@dataclass(slots=True)
class ReconcilerReport:
    """What one sweep found: open durable rows `checked`, `lost` ones pushed again, errors."""

    checked: int = 0
    lost: int = 0
    errors: dict[str, str] = field(default_factory=dict)


class Reconciler:
    """Compares the open durable rows with what the brokers know."""

    def __init__(
        self,
        outbox: SqlOutbox,
        manager: Connections,
        clock: Clock | None = None,
        *,
        patience: float = PATIENCE,
        keep: float = KEEP,
    ) -> None:
        """Both are seconds: since its push before a job is looked for, and since its end."""
        self._outbox = outbox
        self._manager = manager
        self._clock: Clock = clock or SystemClock()
        self._patience = patience
        self._keep = keep

    def run_once(self) -> ReconcilerReport:
        """Sweep all overdue rows once, page by page; a broker that is away is passed over."""
        report = ReconcilerReport()
        after = 0
        while True:
            page = self._outbox.dispatched(PAGE, older_than=self._patience, after=after)
            for name, jobs in by_connection([row.job for row in page]).items():
                if name not in report.errors:
                    self._compare(name, jobs, report)
            if len(page) < PAGE:
                return report
            after = page[-1].seq

    def step(self) -> float:
        """Run once, prune ended rows, and return the seconds until the next sweep."""
        self.run_once()
        self._outbox.prune(self._keep)
        return self._patience / 2

    def run_forever(self, stop: Stop) -> None:
        """Run until `stop` (like a `threading.Event`) is set; outlives a missing database."""
        run_forever([self], stop, self._clock)

    def _compare(self, name: str, jobs: Sequence[PendingJob], report: ReconcilerReport) -> None:
        try:
            queue = self._manager.connection(name)
            if "knows" not in queue.supports:
                return
            ids = [job.id for job in jobs]
            known = queue.knows(ids)
            report.checked += len(ids)
            # An outcome is written before the broker forgets the job, so a row that is still
            # open now is one that the broker lost.
            lost = self._claim([one for one in ids if one not in known])
            pushed = push_all(queue, [message_of(job, self._clock, once=0.0) for job in lost])
            close_losers(self._outbox, pushed.owners)
        except OnQueueError as error:
            report.errors[name] = str(error)
            log.warning("durable jobs of %r cannot be compared: %s", name, error)
        else:
            report.lost += len(lost)
            if lost:
                log.warning("%d durable jobs of %r were lost and pushed again", len(lost), name)

    def _claim(self, ids: Sequence[JobId]) -> list[PendingJob]:
        return self._outbox.claim_lost(ids, older_than=self._patience) if ids else []
