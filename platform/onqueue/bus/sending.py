"""What becomes of admitted jobs: pushed now, held back for a commit, or given to the outbox."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from onqueue import events
from onqueue.bus.admission import event_of, owners_of, targets_of
from onqueue.contracts import ONCE_WINDOW
from onqueue.errors import BrokerError, ConfigurationError
from onqueue.pushing import conflicts, push_all

if TYPE_CHECKING:
    from onqueue.bus.admission import Admission
    from onqueue.connections import QueueManager
    from onqueue.contracts import Message
    from onqueue.stores import Transaction

log = logging.getLogger("onqueue.bus")


class Sender:
    """Sends the admitted jobs of one manager."""

    def __init__(self, manager: QueueManager) -> None:
        """Send by the manager's settings."""
        self._manager = manager
        self._time = manager.clock.time

    def send(self, admissions: list[Admission]) -> None:
        """Tell of the jobs, then push them, hold them back or hand them to the outbox."""
        self.refuse_durable_without_outbox(admissions)
        if events.job_queueing.receivers:
            for admission in admissions:
                events.tell(events.job_queueing, event_of(events.JobQueueing, admission))
        transaction = self.transaction(admissions)
        held = [one for one in admissions if transaction is not None and one.waits]
        now = [one for one in admissions if transaction is None or not one.waits]
        durable = [one for one in now if one.is_durable]
        direct = [one for one in now if not one.is_durable]
        if held and transaction is not None:
            self._hold(transaction, held)
        if durable:
            self._push_durable(durable)
        if direct:
            self._push_direct(direct)
        for error in conflicts([one.message for one in now], owners_of(now)):
            raise error

    def transaction(self, admissions: list[Admission]) -> Transaction | None:
        """Return the open transaction that some of the jobs wait for, None without one."""
        transactions = self._manager.transactions
        if transactions is None or not any(one.waits for one in admissions):
            return None
        return transactions.current()

    def refuse_durable_without_outbox(self, admissions: list[Admission]) -> None:
        """Raise `ConfigurationError` for a durable job where nothing can guard it."""
        if self._manager.outbox is not None:
            return
        for admission in admissions:
            if admission.is_durable:
                subject = f"Job {type(admission.job).__qualname__!r}"
                problem = "it is durable, which needs an outbox: give one to the QueueManager"
                raise ConfigurationError(subject, [problem])

    def _hold(self, transaction: Transaction, admissions: list[Admission]) -> None:
        outbox = self._manager.outbox
        written: list[Admission] = []
        kept: list[Admission] = []
        for one in admissions:
            (written if outbox and "once" in one.target.supports else kept).append(one)
        if outbox is not None and written:
            outbox.add_many(transaction.connection, [one.record() for one in written])
            transaction.after_commit(lambda: self.push_from_outbox(written))
        if kept:
            # No outbox, or a driver that runs or drops its jobs: a relay could not push them once.
            transaction.after_commit(lambda: self.push(kept, once=0.0))

    def _push_durable(self, admissions: list[Admission]) -> None:
        if self._manager.outbox is not None:
            self._manager.outbox.add_many(None, [admission.record() for admission in admissions])
            self.push_from_outbox(admissions)

    def push_from_outbox(self, admissions: list[Admission]) -> None:
        """Push what the outbox has already; a broker that is away is the relay's business."""
        outbox = self._manager.outbox
        for target in targets_of(admissions):
            group = [one for one in admissions if one.target is target]
            try:
                self.push(group, once=ONCE_WINDOW)
            except BrokerError as error:
                log.warning("the outbox keeps %d jobs for the relay: %s", len(group), error)
            else:
                if outbox is not None:
                    outbox.mark_dispatched([one.message.id for one in group])
                    for loser in owners_of(group):
                        outbox.mark_outcome(loser, "done")

    def _push_direct(self, admissions: list[Admission]) -> None:
        for target in targets_of(admissions):
            group = [one for one in admissions if one.target is target]
            try:
                self.push(group, once=ONCE_WINDOW if self._may_fall_back(group) else 0.0)
            except BrokerError as error:
                if not self._may_fall_back(group) or self._manager.outbox is None:
                    raise
                log.warning("the outbox takes %d jobs for the relay: %s", len(group), error)
                self._manager.outbox.add_many(None, [one.record() for one in group])

    def _may_fall_back(self, group: list[Admission]) -> bool:
        has_outbox = self._manager.outbox is not None
        return has_outbox and all(one.waits and "once" in one.target.supports for one in group)

    def push(self, admissions: list[Admission], *, once: float) -> None:
        """Push the jobs now and tell of them; those that lost their locks have an owner then."""
        for target in targets_of(admissions):
            group = [one for one in admissions if one.target is target]
            pushed = push_all(target, [self._timed(one, once) for one in group])
            for admission in group:
                admission.owner = pushed.owners.get(admission.message.id, "")
            if events.job_queued.receivers:
                for admission in group:
                    if not admission.owner:
                        events.tell(events.job_queued, event_of(events.JobQueued, admission))

    def _timed(self, admission: Admission, once: float) -> Message:
        message = admission.message
        if not admission.due and not once:
            return message
        delay = max(0.0, admission.due - self._time()) if admission.due else 0.0
        return replace(message, delay=delay, once=once)
