"""Opening refunds of an order: reserved in the ledger in the commit that decides on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.attendees.models import Attendee
from meet2be.payments.models import Payment, Refund
from meet2be.payments.services import NewRefund, next_seqs, open_refunds
from meet2be.payments.statements import LOCK_PAYMENTS
from meet2be.refunding.facts import RefundsOpened
from meet2be.tenancy.models import Tenant

NOBODY = "waits to be sent"
"""Whose token a refund bears that no job has begun to send."""
LATER = "waits for its time"
"""The same for one that is not to be sent before its lease is over."""
_UNDER_WAY = ("planned", "sending", "uncertain", "pending")


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a payment to be paid back, in minor units; of one attendee, or of nobody's.

    `replaces` is the refund that came to nothing and that this one is begun in place of.
    """

    amount_minor: int
    attendee_id: int | None = None
    replaces: int | None = None


def open_shares(
    session: Session,
    payment: Payment,
    shares: Sequence[Share],
    now: datetime,
    *,
    source: str,
    reason: str,
    by: int | None = None,
    invoice_id: int | None = None,
    not_before: datetime | None = None,
) -> list[int]:
    """Open one refund a share and have them sent once this is committed; return their numbers.

    With `not_before` they are reserved now and sent then. Locks the payment. Raises
    ``LedgerConflict`` when it has less left than the shares add up to.
    """
    wanted = [share for share in shares if share.amount_minor > 0]
    if not wanted:
        return []
    connection = session.connection()
    tenant = session.get_one(Tenant, payment.tenant_id)
    connection.execute(LOCK_PAYMENTS, {"tenant": tenant.id, "payments": [payment.id]})
    first = next_seqs(connection, tenant.id, [payment.id])[payment.id]
    new = [
        _of_share(payment, share, first + place, source, reason, by, invoice_id)
        for place, share in enumerate(wanted)
    ]
    opened = open_refunds(connection, (tenant.id, tenant.uid), new, now, NOBODY)
    when = {} if not_before is None else {"lease_token": LATER, "lease_until": not_before}
    for refund, share in zip(opened, wanted, strict=True):
        _complete(session, refund.id, share, when)
    ids = [refund.id for refund in opened]
    facts.note(session, RefundsOpened(tuple(ids)))
    return ids


def _of_share(
    payment: Payment,
    share: Share,
    seq: int,
    source: str,
    reason: str,
    by: int | None,
    invoice_id: int | None,
) -> NewRefund:
    return NewRefund(
        payment_id=payment.id,
        payment_uid=payment.uid,
        order_id=payment.order_id,
        invoice_id=invoice_id,
        amount_minor=share.amount_minor,
        currency=payment.currency,
        seq=seq,
        provider=payment.provider,
        source=source,
        requested_by=by,
        reason=reason,
    )


def _complete(session: Session, refund_id: int, share: Share, when: dict[str, Any]) -> None:
    """Write down whose the refund is and what it replaces, and when it may be sent."""
    more = {"attendee_id": share.attendee_id, "replaces_id": share.replaces, **when}
    if any(value is not None for value in more.values()):
        session.execute(
            update(Refund)
            .where(Refund.id == refund_id)
            .values(more)
            .execution_options(synchronize_session=False)
        )


def left_of(session: Session, payment_id: int) -> int:
    """Return what a payment has left to pay back, in minor units, locked until the commit."""
    found = session.execute(
        select(Payment.amount_minor, Payment.reserved_minor, Payment.refunded_minor, Payment.status)
        .where(Payment.id == payment_id)
        .with_for_update(key_share=True)
    ).one()
    if found.status != "succeeded":
        return 0
    return int(found.amount_minor - found.reserved_minor - found.refunded_minor)


def left_for(session: Session, payment_id: int, attendee_id: int | None) -> int:
    """Return what may still go back of a payment for one ticket, in minor units.

    No more than the ticket has cost less what went back or is under way, whatever else the payment
    has left. Without an attendee it is what the payment has. The payment is locked until the
    commit, so nobody opens another refund meanwhile.
    """
    left = left_of(session, payment_id)
    if attendee_id is None:
        return left
    return max(0, min(left, _ticket_left(session, attendee_id)))


def has_left(session: Session, payment: Payment, attendee_id: int | None) -> bool:
    """Tell, for a page, whether `left_for` would return anything; locks nothing."""
    left = payment.amount_minor - payment.reserved_minor - payment.refunded_minor
    if payment.status != "succeeded" or left <= 0:
        return False
    return attendee_id is None or _ticket_left(session, attendee_id) > 0


def is_replaced(session: Session, refund: Refund) -> bool:
    """Tell whether another refund of the order was begun in the place of this one."""
    mine = (Refund.order_id == refund.order_id, Refund.replaces_id == refund.id)
    return bool(session.scalar(select(exists().where(*mine))))


def tickets_left(session: Session, attendees: Sequence[int]) -> dict[int, int]:
    """Return what may still go back for these tickets, whatever their payments have left."""
    under_way = (
        select(func.coalesce(func.sum(Refund.amount_minor), 0))
        .where(
            # By the order, as there is an index of that.
            Refund.tenant_id == Attendee.tenant_id, Refund.order_id == Attendee.order_id,
            Refund.attendee_id == Attendee.id, Refund.status.in_(_UNDER_WAY),
        )
        .scalar_subquery()
    )  # fmt: skip
    found = session.execute(
        select(Attendee.id, Attendee.price_minor - Attendee.refunded_minor, under_way).where(
            Attendee.id.in_(attendees)
        )
    )
    return {number: int(owed) - int(reserved) for number, owed, reserved in found}


def _ticket_left(session: Session, attendee_id: int) -> int:
    return tickets_left(session, [attendee_id]).get(attendee_id, 0)
