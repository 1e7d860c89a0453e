"""The end of a run: the last sweep for who came meanwhile, then the event is cancelled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.cancellations import statements as sql
from meet2be.cancellations.announcements import event_closed
from meet2be.cancellations.context import RunContext
from meet2be.cancellations.facts import CancellationFinished, LanesReady
from meet2be.cancellations.items import Finish, finish, reopen
from meet2be.cancellations.lanes import Lane
from meet2be.cancellations.planning import PlannedItem, plan
from meet2be.cancellations.postage import pay_postage_back
from meet2be.cancellations.sources import lines_of, lines_to_reopen
from meet2be.events.facts import EventDataStale
from meet2be.language import NC_, Message, in_sense, joined
from meet2be.notifications.services import Notice, notify_admins, notify_who_began

# What a notice counts, as the states of items are called in it.
COUNTED = (
    NC_("count", "todo"), NC_("count", "sent"), NC_("count", "pending"), NC_("count", "done"),
    NC_("count", "none needed"), NC_("count", "manual"), NC_("count", "uncertain"),
    NC_("count", "failed"),
)  # fmt: skip
INSERT_BATCH = 500
CLOSE_BATCH = 200
# What takes about 20 ms.
ORDER_BATCH = 2_000


def end_lane(session: Session, lane: Lane, now: datetime) -> bool:
    """End the lane, and with the last one the run; False while that has more steps.

    Each step is short, as nobody else writes to SQLite meanwhile, and finds by itself what is left:
    the caller commits and comes again, or whoever goes on for it. The run's row is locked, so that
    of lanes that end at once exactly one is the last.
    """
    connection, context = session.connection(), lane.context
    state, pause_code = connection.execute(sql.LOCK_RUN, lane.run_key).one()
    is_last = not connection.execute(sql.OTHER_LANES_LEFT, lane.key).scalar_one()
    # A run that waits for the provider and has nothing left to ask it can be closed.
    goes_on = state in {"running", "sweeping"} or (state == "paused" and pause_code == "provider")
    if is_last and goes_on:
        if _cancel_orders(connection, context, now):
            lane.looking.first = 0
            return False
        if _sweep(session, context):
            lane.looking.first = 0
            _go_on(session, lane)
            return True
        if _tell_unsettled(session, context, now):
            return False
        go_on_with = pay_postage_back(session, context, now, lane.looking.first)
        if go_on_with is not None:
            lane.looking.first = go_on_with
            return False
    connection.execute(sql.END_LANE, {**lane.key, "now": now})
    if is_last and (goes_on or state == "aborted"):
        _close(session, context, now, aborted=state == "aborted")
    return True


def _go_on(session: Session, lane: Lane) -> None:
    """Have all lanes work on what the sweep has found."""
    connection, context = session.connection(), lane.context
    connection.execute(sql.REOPEN_LANES, lane.run_key)
    connection.execute(sql.SET_RUN, {**lane.run_key, "new_state": "running"})
    lanes = tuple(range(context.lanes))
    facts.note(session, LanesReady(context.tenant_id, context.run_uid, lanes))


def _sweep(session: Session, context: RunContext) -> int:
    """Add who came meanwhile and reopen who has paid meanwhile; returns how many."""
    return _add_who_came(session, context) + _reopen_who_paid(session, context)


def _add_who_came(session: Session, context: RunContext) -> int:
    connection = session.connection()
    parameters = {"tenant": context.tenant_id, "run": context.run_id}
    if not connection.execute(sql.ANYBODY_CAME, {**parameters, "event": context.event_id}).scalar():
        return 0
    first = int(connection.execute(sql.LAST_UNIT, parameters).scalar_one()) + 1
    came = lines_of(session, context.event_id, not_in_run=context.run_id)
    fresh = plan(came, context.rules)
    return insert_items(session, context.tenant_id, context.run_id, context.lanes, fresh, first)


def _reopen_who_paid(session: Session, context: RunContext) -> int:
    connection = session.connection()
    waiting = lines_to_reopen(session, context.event_id, context.run_id)
    amounts = {
        item.line.attendee_id: item.planned_minor
        for item in plan(waiting, context.rules)
        if item.planned_minor
    }
    if amounts:
        rows = _items_of(connection, context, list(amounts))
        reopen(connection, context, rows, {row.id: amounts[row.attendee_id] for row in rows})
    return len(amounts)


def _items_of(connection: Connection, context: RunContext, attendees: Sequence[int]) -> list[Any]:
    """Return the run's items of these attendees; SQLite takes 32,766 values in a statement."""
    of_run = select(sql.ITEMS).where(
        sql.ITEMS.c.tenant_id == context.tenant_id, sql.ITEMS.c.run_id == context.run_id
    )
    found: list[Any] = []
    for start in range(0, len(attendees), INSERT_BATCH):
        some = attendees[start : start + INSERT_BATCH]
        found += connection.execute(of_run.where(sql.ITEMS.c.attendee_id.in_(some))).all()
    return found


def insert_items(
    session: Session,
    tenant_id: int,
    run_id: int,
    lanes: int,
    items: Iterable[PlannedItem],
    first_unit: int = 0,
) -> int:
    """Insert items in batches, whatever their number; returns it."""
    connection = session.connection()
    written = 0
    for batch in _batches(items):
        rows = [_item_row(tenant_id, run_id, lanes, item, first_unit) for item in batch]
        connection.execute(sql.INSERT_ITEMS, rows)
        written += len(rows)
    return written


def _batches(items: Iterable[PlannedItem]) -> Iterator[list[PlannedItem]]:
    source = iter(items)
    while batch := list(islice(source, INSERT_BATCH)):
        yield batch


def _item_row(
    tenant_id: int, run_id: int, lanes: int, item: PlannedItem, first_unit: int
) -> dict[str, Any]:
    line, unit = item.line, first_unit + item.unit
    return {
        "tenant_id": tenant_id, "run_id": run_id, "unit": unit, "lane": unit % lanes,
        "attendee_id": line.attendee_id, "order_id": line.order_id,
        "invoice_id": line.invoice_id, "payment_id": line.payment and line.payment.id,
        "name_snapshot": line.name, "email_snapshot": line.email, "locale": line.locale,
        "planned_minor": item.planned_minor, "kept_minor": item.kept_minor,
        "currency": line.payment.currency if line.payment else line.currency,
        "skip_reason": None if item.planned_minor else item.outcome,
    }  # fmt: skip


def _close(session: Session, context: RunContext, now: datetime, *, aborted: bool) -> None:
    connection = session.connection()
    states = _states(connection, context)
    state = "aborted"
    if not aborted:
        event = {"tenant": context.tenant_id, "event": context.event_id, "now": now}
        connection.execute(sql.CANCEL_EVENT, event)
        needs_somebody = any(states[each] for each in ("failed", "uncertain", "manual", "sent"))
        state = "done_with_errors" if needs_somebody else "done"
    key = {"tenant": context.tenant_id, "run": context.run_id}
    connection.execute(sql.END_RUN, {**key, "new_state": state, "now": now})
    _audit(connection, context, state, states, now)
    _notify(session, context, state, states, now)
    event_closed(session, context, state, now)
    facts.note(session, CancellationFinished(context.tenant_id, context.run_uid, state))
    facts.note(session, EventDataStale(context.event_uid))


def _tell_unsettled(session: Session, context: RunContext, now: datetime) -> int:
    """Cancel and tell some whose refund only a person can clear up; their item stays open."""
    key = {"tenant": context.tenant_id, "run": context.run_id, "limit": CLOSE_BATCH}
    rows = session.connection().execute(sql.UNSETTLED_ITEMS, key).all()
    ends = [
        Finish(
            row, "uncertain", "organiser", row.planned_minor, None, row.error_code, row.error_text
        )
        for row in rows
    ]
    finish(session, context, ends, now)
    return len(ends)


def _cancel_orders(connection: Connection, context: RunContext, now: datetime) -> int:
    """Cancel some orders of the event that hold no valid ticket; returns how many."""
    event = {"tenant": context.tenant_id, "event": context.event_id, "now": now}
    return connection.execute(sql.CANCEL_EMPTY_ORDERS, {**event, "limit": ORDER_BATCH}).rowcount


def _states(connection: Connection, context: RunContext) -> Counter[str]:
    rows = connection.execute(
        select(sql.ITEMS.c.refund_state, func.count())
        .where(sql.ITEMS.c.tenant_id == context.tenant_id, sql.ITEMS.c.run_id == context.run_id)
        .group_by(sql.ITEMS.c.refund_state)
    )
    return Counter({str(state): int(count) for state, count in rows})


def _audit(
    connection: Connection, context: RunContext, state: str, states: Counter[str], now: datetime
) -> None:
    connection.execute(
        sql.INSERT_AUDIT,
        [
            {
                "tenant_id": context.tenant_id, "at": now, "actor_kind": "job",
                "actor_id": f"cancel_run:{context.run_uid}", "action": f"cancellation.{state}",
                "object_type": "cancel_run", "object_id": context.run_uid, "before": None,
                "after": dict(states),
            }
        ],
    )  # fmt: skip


def _notify(
    session: Session, context: RunContext, state: str, states: Counter[str], now: datetime
) -> None:
    """Tell the person who confirmed; all administrators where somebody is needed."""
    notice = Notice(
        kind=f"cancellation_{state}",
        severity={"done": "success", "done_with_errors": "warning"}.get(state, "info"),
        title=_title(context, state, states),
        body=joined(
            (
                Message(
                    "%(state)s: %(count)s",
                    {"state": in_sense("count", name.replace("_", " ")), "count": count},
                )
                for name, count in states.items()
            ),
            ", ",
        ),
        link=f"/cancellations/{context.run_uid}",
        related_type="cancel_run",
        related_id=context.run_id,
        dedupe_key=f"cancellation:{context.run_uid}:{state}",
    )
    notify_who_began(session, context.tenant_id, context.confirmed_by, notice, now)
    if state == "done_with_errors":
        notify_admins(session, context.tenant_id, notice, now)


def _title(context: RunContext, state: str, states: Counter[str]) -> Message:
    event = {"event": context.event_title}
    if state == "done":
        return Message("%(event)s has been cancelled", event)
    if state == "aborted":
        return Message("The cancellation of %(event)s was aborted", event)
    return Message(
        "%(event)s is cancelled; %(number)s refund needs you",
        event,
        plural="%(event)s is cancelled; %(number)s refunds need you",
        number=states["failed"] + states["manual"] + states["uncertain"],
    )
