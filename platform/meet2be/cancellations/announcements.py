"""What a cancellation announces to webhooks: the event, its attendees, its refunds.

Which types anybody wants is asked once a slice (`RunContext.announced`); where nobody listens,
nothing of this costs anything for an attendee.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.attendees.models import Attendee
from meet2be.cancellations.context import RunContext
from meet2be.payments.services import Booked
from meet2be.webhooks.publishing import Announcement, publish, publish_many

ATTENDEE: Final = "attendee.cancelled"
REFUNDS: Final = {
    "pending": "refund.pending",
    "succeeded": "refund.succeeded",
    "failed": "refund.failed",
    "uncertain": "refund.uncertain",
}
_EVENT: Final = {"aborted": "event.cancellation_aborted"}


def attendees_cancelled(
    session: Session, context: RunContext, items: Sequence[Any], now: datetime
) -> None:
    """Announce attendees whose tickets have just been cancelled."""
    if ATTENDEE not in context.announced:
        return
    ids = [item.attendee_id for item in items]
    named = session.execute(select(Attendee.id, Attendee.uid).where(Attendee.id.in_(ids)))
    uids = {row.id: row.uid for row in named}
    publish_many(
        session,
        (
            Announcement(
                ATTENDEE, "attendee", uids[item.attendee_id],
                f"{ATTENDEE}:{uids[item.attendee_id]}:{context.run_uid}", now, context.event_id,
                {"status": "cancelled", "order": item.order_code, "run": context.run_uid},
            )
            for item in items
        ),
    )  # fmt: skip


def refunds_booked(
    session: Session, context: RunContext, booked: Sequence[Booked], now: datetime
) -> None:
    """Announce refunds whose state has just changed."""
    if not context.announced.intersection(REFUNDS.values()):
        return
    publish_many(
        session,
        (
            Announcement(
                REFUNDS[each.status], "refund", each.uid,
                f"{REFUNDS[each.status]}:{each.uid}:{each.before}", now, context.event_id,
                {
                    "amount_minor": each.amount_minor, "currency": each.currency,
                    "run": context.run_uid, "code": each.code,
                },
            )
            for each in booked
            if each.status in REFUNDS and each.status != each.before
        ),
    )  # fmt: skip


def event_cancelling(session: Session, event: tuple[int, str], run_uid: str, now: datetime) -> None:
    """Announce that the cancellation of an event (its number and uid) has begun."""
    number, uid = event
    announcement = Announcement(
        "event.cancelling", "event", uid, f"event.cancelling:{run_uid}", now, number,
        {"run": run_uid},
    )  # fmt: skip
    publish(session, announcement)


def event_closed(session: Session, context: RunContext, state: str, now: datetime) -> None:
    """Announce how the cancellation of an event has ended."""
    name = _EVENT.get(state, "event.cancelled")
    announcement = Announcement(
        name, "event", context.event_uid, f"{name}:{context.run_uid}:{state}", now,
        context.event_id, {"run": context.run_uid, "state": state},
    )  # fmt: skip
    publish(session, announcement)
