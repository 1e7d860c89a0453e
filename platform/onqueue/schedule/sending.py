"""Sends the jobs of ticks: under ids that are given, so that sending again changes nothing."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from onqueue import events
from onqueue.bus.admission import event_of
from onqueue.bus.dispatcher import Dispatcher
from onqueue.contracts import ONCE_WINDOW
from onqueue.errors import UniqueJobExists

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.bus.admission import Admission
    from onqueue.connections import QueueManager
    from onqueue.contracts import JobId, Message
    from onqueue.job import Job


class TickSender(Dispatcher):
    """A dispatcher whose caller names the jobs."""

    def __init__(self, manager: QueueManager) -> None:
        """Send by the manager's settings."""
        super().__init__(manager)
        self._outbox = manager.outbox

    def admit(self, job: Job, job_id: JobId) -> Admission:
        """Return the job, checked and encoded and under this id; it is sent nowhere yet."""
        admission = self._admit(job)
        admission.message = replace(admission.message, id=job_id)
        self._sender.refuse_durable_without_outbox([admission])
        return admission

    def push_by(self, admission: Admission, push: Callable[[Message], bool]) -> None:
        """Let `push` store an admitted job, and tell of it as of any other."""
        if events.job_queueing.receivers:
            events.tell(events.job_queueing, event_of(events.JobQueueing, admission))
        if push(admission.message) and events.job_queued.receivers:
            events.tell(events.job_queued, event_of(events.JobQueued, admission))

    def send_once(self, admission: Admission) -> JobId:
        """Put an admitted job on its queue and return the id of the one that stands for it.

        May be repeated within `ONCE_WINDOW` and stays one job. No transaction is waited for.
        """
        if admission.is_durable and self._outbox is not None:
            if self._outbox.state(admission.message.id) is None:
                with suppress(UniqueJobExists):
                    self._sender.send([admission])
            return admission.standing
        once = ONCE_WINDOW if "once" in admission.target.supports else 0.0

        def push(_message: Message) -> bool:
            self._sender.push([admission], once=once)
            return False  # that has told of it

        self.push_by(admission, push)
        return admission.standing
