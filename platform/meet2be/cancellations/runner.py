"""The work of a run's lane: chunk by chunk, each step committed, resumable at any line.

A chunk is three parts: one transaction that reserves and claims, the provider's calls outside any
transaction, and a transaction for each group of answers that came in together. Every transaction
holds the lane under this worker's fence, so whoever was taken for dead cannot write any more.
Whatever a dead worker left under way is looked up at the provider before anything is repeated.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.orm import Session

from meet2be.cancellations.calls import Caller, in_groups
from meet2be.cancellations.claiming import Claim, Task, claim_units
from meet2be.cancellations.closing import end_lane
from meet2be.cancellations.context import Desk, context_of
from meet2be.cancellations.lanes import (
    Lane,
    Standing,
    claim_due,
    next_look,
    standing,
    take_lane,
)
from meet2be.cancellations.preparing import LaneEnds, Preparation, Prepared
from meet2be.cancellations.settling import pause_run, settle
from meet2be.payments.circuit import give_back_probe
from meet2be.payments.services import LedgerConflict
from onqueue.contracts import Clock

SLICE_SECONDS = 60.0
SLICE_UNITS = 200
PUT_OFF_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 60.0


class LaneControl(Protocol):
    """What the worker that runs the lane tells it."""

    @property
    def clock(self) -> Clock:
        """The time."""
        ...

    @property
    def job_id(self) -> str:
        """Who works: stands in the lane's row."""
        ...

    def should_stop(self) -> bool:
        """Tell whether the worker wants to end: the chunk in hand is finished, no other begun."""
        ...

    def ensure_lease(self) -> None:
        """Raise unless the worker is still trusted; asked before each call to the provider."""
        ...


@dataclass(frozen=True, slots=True)
class LaneResult:
    """How a slice ended. `again_after` in seconds; None: this lane needs no worker any more."""

    again_after: float | None
    why: str
    units: int = 0


_pools: dict[int, ThreadPoolExecutor] = {}
_pools_lock = threading.Lock()


def work_lane(
    desk: Desk, tenant_id: int, run_uid: str, lane: int, control: LaneControl
) -> LaneResult:
    """Work on a lane for at most a minute or 200 units and say when to come again.

    Raises ``LaneLost`` when another worker took the lane over, ``UnknownRun``, and whatever
    `ensure_lease` raises; nothing is lost by that, at any line.
    """
    return _Slice(desk, tenant_id, control).work(run_uid, lane)


class _Slice:
    """One slice of one lane."""

    def __init__(self, desk: Desk, tenant_id: int, control: LaneControl) -> None:
        self._desk, self._tenant, self._control = desk, tenant_id, control
        self._clock = control.clock
        self._units = 0
        self._after = -1

    def work(self, run_uid: str, number: int) -> LaneResult:
        with self._desk.db.tenant_session(self._tenant) as session:
            connection = session.connection()
            context = context_of(connection, self._tenant, run_uid, self._desk.sender)
            lane = take_lane(connection, context, number, self._control.job_id, self._clock.now())
            session.commit()
        ends_at = self._clock.monotonic() + SLICE_SECONDS
        preparation = None
        if context.preparation is not None:
            preparation = Preparation(self._desk, lane, self._clock)
        while True:
            if self._control.should_stop():
                return self._result(0.0, "the worker stops")
            if self._clock.monotonic() >= ends_at or self._units >= SLICE_UNITS:
                return self._result(0.0, "the slice is over")
            if preparation is not None:
                outcome = preparation.step()
                if isinstance(outcome, LaneEnds):
                    return self._result(None, outcome.why)
                if outcome is Prepared.COMPLETE:
                    preparation = None
                continue
            result = self._chunk(lane)
            if result is not None:
                return result

    def _chunk(self, lane: Lane) -> LaneResult | None:
        """Work one chunk; returns a result when there is nothing (more) to do now."""
        try:
            with self._desk.db.tenant_session(self._tenant) as session:
                now = self._clock.now()
                lane.hold(session.connection())
                stand = standing(session, lane, now)
                claim = self._claim(session, lane, stand, now)
                if stand.mode == "probe" and not claim.tasks:
                    names = lane.context.accounts
                    give_back_probe(session.connection(), names, lane.token, now)
                result = None if claim.units else self._idle(session, lane, stand, now)
                session.commit()
        except LedgerConflict:
            return None
        self._call_and_settle(lane, claim.tasks)
        self._units += claim.units
        if result is None and claim.units and claim.put_off == claim.units:
            return self._result(PUT_OFF_SECONDS, "other refunds on the same payments are open")
        return result

    def _claim(self, session: Session, lane: Lane, stand: Standing, now: datetime) -> Claim:
        if stand.mode in {"over", "wait"}:
            return Claim()
        connection = session.connection()
        limit = 1 if stand.mode == "probe" else self._desk.chunk
        due = claim_due(connection, lane, now, limit)
        if due:
            return Claim(tasks=due, units=len(due))
        if stand.mode == "follow":
            return Claim()
        claim = claim_units(session, lane.context, lane.lane, self._after, limit, lane.token)
        self._after = max(self._after, claim.last_unit)
        return claim

    def _idle(
        self, session: Session, lane: Lane, stand: Standing, now: datetime
    ) -> LaneResult | None:
        """Say what a lane without anything to do now is waiting for, or do a step of its end."""
        if stand.mode == "over":
            lane.hold(session.connection(), "done")
            return self._result(None, stand.why)
        if stand.mode == "wait" and stand.until is not None:
            return self._result((stand.until - now).total_seconds(), stand.why)
        look_at = next_look(session.connection(), lane)
        if look_at is not None:
            seconds = max(0.0, (look_at - now).total_seconds())
            return self._result(min(seconds, LONGEST_WAIT_SECONDS), "waiting for the provider")
        if stand.mode == "follow" and stand.why != "aborted":
            lane.hold(session.connection(), "todo")
            return self._result(None, stand.why)
        has_ended = end_lane(session, lane, now)
        return self._result(None, "the lane is done") if has_ended else None

    def _call_and_settle(self, lane: Lane, tasks: Sequence[Task]) -> None:
        if not tasks:
            return
        by_refund = {task.refund_id: task for task in tasks}
        caller = Caller(self._desk.payments, self._clock, self._control.ensure_lease)
        for rulings in in_groups(_pool(self._desk.threads), caller, tasks):
            with self._desk.db.tenant_session(self._tenant) as session:
                now = self._clock.now()
                connection = session.connection()
                lane.hold(connection)
                opened = settle(session, lane.context, by_refund, rulings, now)
                if opened is not None:
                    pause_run(
                        connection,
                        lane.context,
                        now,
                        code="provider",
                        reason=opened.reason or "",
                        until=opened.retry_at,
                    )
                session.commit()

    def _result(self, again_after: float | None, why: str) -> LaneResult:
        return LaneResult(again_after, why, self._units)


def _pool(threads: int) -> ThreadPoolExecutor:
    """Return the process's pool: its threads keep their connections to the provider."""
    with _pools_lock:
        if threads not in _pools:
            _pools[threads] = ThreadPoolExecutor(threads, thread_name_prefix="refund")
        return _pools[threads]
