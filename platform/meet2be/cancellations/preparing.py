"""Writing the items of a large run: by its first lane, in short transactions, before it starts.

The items are the checkpoint: whoever goes on begins behind the last one written. When all are
there, what they add up to is compared with the preview that was confirmed. If it differs, nothing
has been refunded: the items are taken away, the event is as it was, and a person looks again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.attendees.models import Attendee
from meet2be.cancellations import preview as previews
from meet2be.cancellations import statements as sql
from meet2be.cancellations.announcements import event_cancelling
from meet2be.cancellations.closing import insert_items
from meet2be.cancellations.context import Desk, RunContext
from meet2be.cancellations.errors import PreviewStale
from meet2be.cancellations.facts import LanesReady
from meet2be.cancellations.lanes import Lane
from meet2be.cancellations.models import CancelRun
from meet2be.cancellations.planning import PlannedItem, plan
from meet2be.cancellations.preview import Preview
from meet2be.cancellations.settling import pause_run
from meet2be.cancellations.sources import Place, lines_of
from meet2be.cancellations.totals import digest_of
from meet2be.db import snapshot
from meet2be.events.facts import EventDataStale
from meet2be.events.models import Event
from meet2be.language import N_, Message
from meet2be.notifications.services import Notice, notify_who_began
from onqueue.contracts import Clock

# Above this, the request that confirms only begins the run: a thousand items take about 0.1 s.
IN_THE_REQUEST = 5_000
CHUNK = 500
PREPARING = "being prepared"


def begin(session: Session, run: CancelRun, event_was: str) -> None:
    """Note that the run's items are still to be written, and whose: those who are there now."""
    last = select(func.max(Attendee.id)).where(Attendee.event_id == run.event_id)
    run.preparation = {"event": event_was, "up_to": int(session.scalar(last) or 0)}


def is_prepared_by_its_job(run: CancelRun) -> bool:
    """Tell whether a run has so many items that its job has to write them."""
    return Preview.from_json(run.preview).attendees > IN_THE_REQUEST


def stale_of(run: CancelRun) -> PreviewStale | None:
    """Return what a run that was taken back to its preview is refused with, else None."""
    found = (run.preparation or {}).get("found")
    if run.state != "preview" or found is None:
        return None
    before = Preview.from_json(run.preview)
    return PreviewStale(run.uid, previews.differences(before, Preview.from_json(found)))


class Prepared(Enum):
    """How a preparation stands after a step, unless its lane ends."""

    UNDER_WAY = "under way"
    COMPLETE = "complete"
    """The list is written, or not wanted any more: the run's usual work is to be gone on with."""


@dataclass(frozen=True, slots=True)
class LaneEnds:
    """The lane needs no worker for now, and why."""

    why: str


class Preparation:
    """A run's preparation in the hands of its first lane."""

    def __init__(self, desk: Desk, lane: Lane, clock: Clock) -> None:
        """Begin where the items that are there end."""
        self._desk, self._lane, self._clock = desk, lane, clock
        self._context = lane.context
        self._place: tuple[Place | None, int] | None = None

    def step(self) -> Prepared | LaneEnds:
        """Do one chunk; raises ``LaneLost`` when another worker has the lane."""
        hindrance = self._hindrance()
        if hindrance is not None:
            return hindrance
        document = self._context.preparation or {}
        if document.get("found") is not None:
            return self._take_back(document)
        chunk = self._next(int(document["up_to"]))
        if chunk:
            return self._write(chunk)
        with self._read() as session:
            is_as_previewed = _is_as_previewed(session.connection(), self._context)
        if is_as_previewed:
            return self._done()
        return self._note_what_differs(document)

    def _read(self) -> Session:
        return self._desk.db.tenant_session(self._context.tenant_id, read_only=True)

    def _hindrance(self) -> Prepared | LaneEnds | None:
        """Return what the lane does instead of a chunk; pauses a suspended tenant's run."""
        context = self._context
        if self._lane.lane:
            return self._leave_it()
        with self._read() as session:
            row = session.connection().execute(sql.READ_RUN, self._lane.run_key).one()
        if row.state == "confirmed" and row.status == "active":
            return None
        if row.state == "paused":
            return self._leave_it()
        if row.state == "confirmed":
            with self._desk.db.tenant_session(context.tenant_id) as session:
                self._lane.hold(session.connection(), "todo")
                pause_run(
                    session.connection(), context, self._clock.now(), code="tenant_suspended",
                    reason=N_("The tenant is suspended"),
                )  # fmt: skip
                session.commit()
            return LaneEnds("tenant_suspended")
        return Prepared.COMPLETE

    def _leave_it(self) -> Prepared | LaneEnds:
        """End a lane that has nothing to do before the items are written, unless it was aborted."""
        with self._desk.db.tenant_session(self._context.tenant_id) as session:
            connection = session.connection()
            state = connection.execute(sql.LOCK_RUN, self._lane.run_key).one().state
            waits = state in {"confirmed", "paused"}
            self._lane.hold(connection, "todo" if waits else "running")
            session.commit()
        return LaneEnds(PREPARING) if waits else Prepared.COMPLETE

    def _next(self, up_to: int) -> list[PlannedItem]:
        """Return the plan's next items, whole units, read without holding writers up."""
        context = self._context
        with self._read() as session:
            beyond, first = self._place or _last_written(session.connection(), context)
            self._place = (beyond, first)
            found = lines_of(
                session, context.event_id, not_in_run=context.run_id, beyond=beyond, up_to=up_to
            )
            with closing(found) as lines:
                return _whole_units(plan(lines, context.rules))

    def _write(self, chunk: list[PlannedItem]) -> Prepared:
        context = self._context
        _, first = self._place or (None, 0)
        with self._desk.db.tenant_session(context.tenant_id) as session:
            if not self._is_still_confirmed(session):
                return Prepared.UNDER_WAY
            key = (context.tenant_id, context.run_id)
            insert_items(session, *key, context.lanes, chunk, first)
            session.commit()
        line = chunk[-1].line
        place = (line.payment.id, 0) if line.payment else (None, line.attendee_id)
        self._place = (place, first + chunk[-1].unit + 1)
        return Prepared.UNDER_WAY

    def _is_still_confirmed(self, session: Session) -> bool:
        """Hold lane and run to the end of the transaction; a pause or an abort wins."""
        connection = session.connection()
        self._lane.hold(connection)
        state = connection.execute(sql.LOCK_RUN, self._lane.run_key).one().state
        return bool(state == "confirmed")

    def _done(self) -> Prepared:
        """Let all lanes begin; only now it is certain that the event is cancelled."""
        context, now = self._context, self._clock.now()
        with self._desk.db.tenant_session(context.tenant_id) as session:
            if not self._is_still_confirmed(session):
                return Prepared.UNDER_WAY
            event_cancelling(session, (context.event_id, context.event_uid), context.run_uid, now)
            _set_preparation(session.connection(), self._lane, None)
            others = tuple(range(1, context.lanes))
            if others:
                facts.note(session, LanesReady(context.tenant_id, context.run_uid, others))
            session.commit()
        return Prepared.COMPLETE

    def _note_what_differs(self, document: dict[str, Any]) -> Prepared:
        context, now = self._context, self._clock.now()
        with snapshot(self._desk.db, context.tenant_id) as session:
            event = session.get_one(Event, context.event_id)
            found = previews.compute(session, event, context.options, now)
        with self._desk.db.tenant_session(context.tenant_id) as session:
            if not self._is_still_confirmed(session):
                return Prepared.UNDER_WAY
            noted = {**document, "found": found.to_json()}
            _set_preparation(session.connection(), self._lane, noted)
            session.commit()
        self._context = self._context.prepared_as(noted)
        return Prepared.UNDER_WAY

    def _take_back(self, document: dict[str, Any]) -> Prepared | LaneEnds:
        """Take items away, a chunk each time, and in the end give run and event back."""
        context, now = self._context, self._clock.now()
        with self._desk.db.tenant_session(context.tenant_id) as session:
            connection = session.connection()
            if not self._is_still_confirmed(session):
                return Prepared.UNDER_WAY
            left = connection.execute(sql.REMOVE_ITEMS, {**self._lane.run_key, "limit": CHUNK})
            if not left.rowcount:
                connection.execute(sql.TAKE_BACK_RUN, self._lane.run_key)
                connection.execute(
                    sql.GIVE_BACK_EVENT,
                    {
                        "tenant": context.tenant_id, "event": context.event_id,
                        "was": document["event"],
                    },
                )  # fmt: skip
                self._lane.hold(connection, "done")
                _tell(session, context, now)
            session.commit()
        return Prepared.UNDER_WAY if left.rowcount else LaneEnds("the preview is stale")


def _whole_units(planned: Iterable[PlannedItem]) -> list[PlannedItem]:
    chunk: list[PlannedItem] = []
    for _, unit in groupby(planned, key=lambda item: item.unit):
        chunk += unit
        if len(chunk) >= CHUNK:
            break
    return chunk


def _last_written(connection: Connection, context: RunContext) -> tuple[Place | None, int]:
    """Return behind whom to go on, and the next unit's number."""
    row = connection.execute(
        sql.LAST_ITEM, {"tenant": context.tenant_id, "run": context.run_id}
    ).one_or_none()
    if row is None:
        return None, 0
    place = (None, row.attendee_id) if row.payment_id is None else (row.payment_id, 0)
    return place, row.unit + 1


def _is_as_previewed(connection: Connection, context: RunContext) -> bool:
    """Tell whether the same goes back as was shown, and nobody else is cancelled and mailed."""
    key = {"tenant": context.tenant_id, "run": context.run_id}
    number = connection.execute(sql.COUNT_ITEMS, key).scalar_one()
    is_more = number > context.previewed
    return not is_more and digest_of(_written(connection, context)) == context.preview_hash


def _written(connection: Connection, context: RunContext) -> Iterator[tuple[int, int]]:
    """Yield (payment, planned amount) of the items that are paid back, in the plan's order."""
    rows = connection.execute(
        sql.PLANNED_AMOUNTS,
        {"tenant": context.tenant_id, "run": context.run_id},
        execution_options={"yield_per": CHUNK},
    )
    for row in rows:
        yield row.payment_id, row.planned_minor


def _set_preparation(connection: Connection, lane: Lane, document: dict[str, Any] | None) -> None:
    connection.execute(sql.SET_PREPARATION, {**lane.run_key, "document": document})


def _tell(session: Session, context: RunContext, now: datetime) -> None:
    """Write that the run was taken back, into the log and to the person who confirmed it."""
    session.connection().execute(
        sql.INSERT_AUDIT,
        [
            {
                "tenant_id": context.tenant_id, "at": now, "actor_kind": "job",
                "actor_id": f"cancel_run:{context.run_uid}", "action": "cancellation.taken_back",
                "object_type": "cancel_run", "object_id": context.run_uid, "before": None,
                "after": {},
            }
        ],
    )  # fmt: skip
    notice = Notice(
        kind="cancellation_taken_back",
        severity="warning",
        title=Message(
            "The cancellation of %(event)s was not begun", {"event": context.event_title}
        ),
        body=Message(
            "Orders have changed since the preview, so nothing was refunded and the event is as it"
            " was. Look at a new preview and confirm that."
        ),
        link=f"/cancellations/{context.run_uid}",
        related_type="cancel_run",
        related_id=context.run_id,
        dedupe_key=f"cancellation:{context.run_uid}:taken_back",
    )
    notify_who_began(session, context.tenant_id, context.confirmed_by, notice, now)
    facts.note(session, EventDataStale(context.event_uid))
