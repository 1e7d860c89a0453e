"""Settles ticks: decides about overlaps and conditions, makes the job and has it pushed once."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from onqueue import events
from onqueue.errors import BrokerError, UnknownConnection
from onqueue.pushing import MERGING
from onqueue.schedule.sending import TickSender
from onqueue.ticks import Guard, OpenTick, Settled, Settlement, TickRecord, instant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.bus.admission import Admission
    from onqueue.connections import QueueManager
    from onqueue.contracts import JobId, Message
    from onqueue.plans import Claim
    from onqueue.schedule.definition import Entry
    from onqueue.schedule.planning import Due
    from onqueue.ticks import EntryState, RunOrder, ScheduleStore, TickOutcome

log = logging.getLogger("onqueue.schedule")

MOST_TOLD = 20
"""Of ticks that are skipped together so many are told one by one, the older in one line."""

UNFINISHED = "the job before has not ended"


class NoLongerLeading(Exception):
    """Another process leads by now."""


class Settler:
    """Settles the ticks of one connection's schedule, in the name of one leading process."""

    def __init__(
        self, manager: QueueManager, store: ScheduleStore, connection: str, token: str, name: str
    ) -> None:
        """Keep ticks on `connection`; `token` and `name` are the process's."""
        self._manager = manager
        self._sender = TickSender(manager)
        self._store = store
        self._connection = connection
        self._token = token
        self._name = name

    # ---- the ways in, in the order in which a leader takes them ----

    def begin(self, entry: Entry, now: int) -> None:
        """Note an entry that was never seen before: what lies in its past is not due."""
        self._settle(Settlement(entry.name, Guard("last", str(now))))

    def reopen(self, entry: Entry, opened: OpenTick, now: int) -> None:
        """Push the job of a tick again whose push was begun, perhaps by a leader that died."""
        guard = Guard("opened", opened.to_json())
        admission = self._admitted(entry, guard, opened.tick, now, opened.job)
        if admission is not None:
            self._send(entry, admission, opened, now)

    def settle_held(self, entry: Entry, state: EntryState, now: int) -> bool:
        """Run a tick that waits for the end of the job before it; False while it has to wait."""
        if state.held is None or self._is_unfinished(state):
            return False
        guard = Guard("held", str(state.held))
        self._run(entry, guard, state.held, now, "it waited for the job before")
        return True

    def settle_due(self, entry: Entry, due: Due, state: EntryState, now: int, pause: str) -> None:
        """Settle a tick that is due and may run; `pause` is why it may not, "" when it may."""
        guard = Guard("last", str(due.tick))
        why = pause or self._overlap(entry, state)
        if why == UNFINISHED and entry.overlap == "queue" and state.held is None:
            self._settle(Settlement(entry.name, guard, held=due.tick))
            return
        if why:
            self._close(entry, guard, due.tick, now, "skipped", why)
            return
        try:
            is_wanted = entry.is_wanted()
        except Exception as error:
            log.exception("the condition of entry %r failed", entry.name)
            self._close(entry, guard, due.tick, now, "failed", _reason(error))
            return
        if not is_wanted:
            self._close(entry, guard, due.tick, now, "skipped", "its condition does not hold")
            return
        self._run(entry, guard, due.tick, now, "")

    def skip(self, entry: Entry, ticks: Sequence[Due], now: int) -> None:
        """Settle ticks that are not to be run, all at once."""
        older, told = ticks[:-MOST_TOLD], ticks[-MOST_TOLD:]
        records = [self._record(entry.name, due.tick, now, "skipped", due.skip) for due in told]
        if older:
            summary = self._record(entry.name, older[0].tick, now, "skipped", older[-1].skip)
            records.insert(0, replace(summary, until=older[-1].tick, count=len(older)))
        guard = Guard("last", str(ticks[-1].tick))
        self._settle(Settlement(entry.name, guard, records))

    def obey(self, entry: Entry, order: RunOrder, state: EntryState, now: int) -> None:
        """Run an entry because somebody asked for it, paused or not, whatever its conditions."""
        guard = Guard("order", order.id)
        why = self._overlap(entry, state)
        if why:
            self._close(entry, guard, order.at, now, "skipped", f"asked for; {why}")
        else:
            self._run(entry, guard, order.at, now, "asked for")

    def refuse(self, order: RunOrder, now: int) -> None:
        """Drop an order for an entry that this process does not know."""
        log.warning("somebody asked for entry %r, which this schedule does not have", order.entry)
        why = "asked for; the leader has no such entry"
        record = self._record(order.entry, order.at, now, "skipped", why)
        self._settle(Settlement(order.entry, Guard("order", order.id), [record]))

    # ---- overlaps ----

    def _overlap(self, entry: Entry, state: EntryState) -> str:
        if entry.overlap == "allow":
            return ""
        if state.held is not None:
            return "another tick waits for the job before"
        return UNFINISHED if self._is_unfinished(state) else ""

    def _is_unfinished(self, state: EntryState) -> bool:
        if not state.job:
            return False
        try:
            queue = self._manager.connection(state.connection)
        except UnknownConnection:  # it was taken out of the configuration: nobody runs its jobs
            return False
        return "knows" in queue.supports and state.job in queue.knows([state.job])

    # ---- running ----

    def _run(self, entry: Entry, guard: Guard, tick: int, now: int, why: str) -> None:
        job_id = self._identity(entry, guard, tick)
        admission = self._admitted(entry, guard, tick, now, job_id)
        if admission is None:
            return
        if self._is_plain(admission):
            record = self._record(entry.name, tick, now, "ran", why, job_id)
            self._push_and_settle(entry, admission, guard, record)
            return
        opened = OpenTick(tick, job_id, why)
        if self._settle(Settlement(entry.name, guard, opened=opened)):
            self._send(entry, admission, opened, now)

    def _push_and_settle(
        self, entry: Entry, admission: Admission, guard: Guard, record: TickRecord
    ) -> None:
        """Record the tick and push its job in one step of the broker: both or nothing."""

        def push(message: Message) -> bool:
            ran = (admission.target.name, message.id)
            return self._settle(Settlement(entry.name, guard, [record], ran=ran, message=message))

        self._sender.push_by(admission, push)

    def _send(self, entry: Entry, admission: Admission, opened: OpenTick, now: int) -> None:
        """Push the job of an open tick by the dispatcher's road, then settle the tick.

        What dies in between is repeated by the next leader: the job's id stays the same.
        """
        standing = self._sender.send_once(admission)
        guard = Guard("opened", opened.to_json())
        record = self._record(entry.name, opened.tick, now, "ran", opened.why, standing)
        tie = admission.message.tie
        if standing != opened.job and tie is not None and tie.claim is not None:
            record = replace(record, **_lost_to_another(tie.claim))
        ran = (admission.target.name, standing)
        self._settle(Settlement(entry.name, guard, [record], ran=ran))

    def _is_plain(self, admission: Admission) -> bool:
        message = admission.message
        is_here = admission.target.name == self._connection
        return is_here and not admission.is_durable and not message.delay and message.tie is None

    def _admitted(
        self, entry: Entry, guard: Guard, tick: int, now: int, job_id: JobId
    ) -> Admission | None:
        """Return the tick's job, ready to be sent; None when none can be made, which settles it."""
        try:
            return self._sender.admit(entry.make(), job_id)
        except BrokerError:
            raise
        except Exception as error:
            log.exception("no job could be made for entry %r", entry.name)
            self._close(entry, guard, tick, now, "failed", _reason(error))
            return None

    def _identity(self, entry: Entry, guard: Guard, tick: int) -> JobId:
        """Return the job's id: the same whoever makes it, for this entry and tick."""
        prefix = self._manager.config(self._connection).prefix
        what = guard.value if guard.kind == "order" else str(tick)
        text = f"{prefix}\n{entry.name}\n{what}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    # ---- writing down ----

    def _close(
        self, entry: Entry, guard: Guard, tick: int, now: int, outcome: TickOutcome, why: str
    ) -> None:
        record = self._record(entry.name, tick, now, outcome, why)
        self._settle(Settlement(entry.name, guard, [record]))

    def _record(
        self, entry: str, tick: int, now: int, outcome: TickOutcome, why: str, job: JobId = ""
    ) -> TickRecord:
        return TickRecord(entry, tick, now, outcome, why, job, self._name)

    def _settle(self, settlement: Settlement) -> bool:
        """Return whether this settled it; raises `NoLongerLeading`."""
        answer = self._store.settle(self._token, settlement)
        if answer is Settled.LOST:
            raise NoLongerLeading
        for record in settlement.records if answer is Settled.DONE else ():
            _log(record)
        return answer is Settled.DONE


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _lost_to_another(claim: Claim) -> dict[str, Any]:
    """Return what a record says of a unique job whose lock another one had."""
    if claim.on_conflict in MERGING:
        return {"why": "merged into the unique job of its kind that was there"}
    return {"outcome": "skipped", "why": "there is a unique job of its kind"}


def _log(record: TickRecord) -> None:
    log.info("entry %r %s%s", record.entry, record.outcome, record.why and f": {record.why}")
    if events.schedule_tick_settled.receivers:
        event = events.ScheduleTickSettled(
            entry=record.entry,
            tick=instant(record.tick),
            outcome=record.outcome,
            why=record.why,
            job_id=record.job,
            late=(record.at - record.tick) / 1000,
        )
        events.tell(events.schedule_tick_settled, event)
