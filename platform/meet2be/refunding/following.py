"""What a refund outside a cancel run does once it is settled: ticket, invoice, credit note, news.

Called in the transaction that settles it: by the job that sent it, the provider's message, or a
person's decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.attendees.models import Attendee
from meet2be.events.facts import EventDataStale
from meet2be.events.models import Event
from meet2be.invoices.services import (
    CreditNote,
    issue_credit_notes,
    restate_invoices,
    void_credit_notes,
)
from meet2be.language import N_, Message
from meet2be.notifications.services import Notice, notify_admins
from meet2be.orders.models import Order
from meet2be.payments.ledger import ACCOUNT_TROUBLE, NO_FUNDS, NOT_MADE
from meet2be.payments.models import Refund
from meet2be.payments.services import Booked
from meet2be.payments.statements import SET_CREDIT_NOTE
from meet2be.tenancy.models import Tenant
from meet2be.webhooks.publishing import Announcement, publish

_TOLD = ("succeeded", "failed", "pending", "uncertain")
# Another one is begun in their place; whoever begins it tells when it does not.
_AGAIN = (NOT_MADE, ACCOUNT_TROUBLE, NO_FUNDS)
# What is told of a refund: a title and what to do.
_FAILED = (
    N_("The refund of order %(order)s has failed"),
    N_(
        "The payment provider did not make it: %(why)s Pay it back in another way, or try"
        " again from its page."
    ),
)
_UNKNOWN = (
    N_("Nobody knows whether order %(order)s was paid back"),
    N_(
        "The payment provider gives no usable answer. Look at its own pages, then decide on the"
        " refund's page."
    ),
)
_DELAYED = (
    N_("Refunds wait for your account at the payment provider"),
    N_(
        "The refund of order %(order)s was refused: %(why)s It is tried again by itself, less"
        " and less often. Look at the account's balance and its keys."
    ),
)


def follow_single(session: Session, booked: Sequence[Booked], now: datetime) -> None:
    """Bring attendees, invoices, credit notes and webhooks after what was booked; no commit."""
    for each in booked:
        if each.run_id is not None or each.before == each.status:
            continue
        refund = session.get_one(Refund, each.id)
        order = session.get_one(Order, each.order_id)
        if each.status == "succeeded":
            _pay_back(session, refund, each.amount_minor)
            _credit(session, order, refund, now)
        elif each.before == "succeeded":
            _pay_back(session, refund, -each.amount_minor)
            _uncredit(session, refund)
        if refund.invoice_id is not None:
            restate_invoices(session.connection(), refund.tenant_id, [refund.invoice_id])
        _announce(session, order, refund, each, now)
        if each.status == "failed" and each.code not in _AGAIN:
            tell_failure(session, order, refund, each.text or each.code or "–", now)
        event = session.get_one(Event, order.event_id)
        facts.note(session, EventDataStale(event.uid))


def _pay_back(session: Session, refund: Refund, amount: int) -> None:
    if refund.attendee_id is None:
        return
    session.execute(
        update(Attendee)
        .where(Attendee.id == refund.attendee_id)
        .values(refunded_minor=Attendee.refunded_minor + amount)
        .execution_options(synchronize_session=False)
    )


def _credit(session: Session, order: Order, refund: Refund, now: datetime) -> None:
    """Issue the credit note; money that came in for nothing has no invoice and needs none."""
    if refund.invoice_id is None:
        return
    tenant = session.get_one(Tenant, refund.tenant_id)
    note = CreditNote(
        order.event_id, order.id, refund.invoice_id, refund.amount_minor, refund.currency
    )
    connection = session.connection()
    ids = issue_credit_notes(connection, tenant.id, [note], now, tenant.timezone)
    key = {"tenant": tenant.id, "now": now, "refund": refund.id, "note": ids[0]}
    SET_CREDIT_NOTE.run_many(connection, [key])


def _uncredit(session: Session, refund: Refund) -> None:
    if refund.credit_note_id is not None:
        void_credit_notes(session.connection(), refund.tenant_id, [refund.credit_note_id])


def _announce(
    session: Session, order: Order, refund: Refund, booked: Booked, now: datetime
) -> None:
    if booked.status not in _TOLD:
        return
    data = {
        "amount_minor": booked.amount_minor, "currency": booked.currency, "order": order.code,
    }  # fmt: skip
    if booked.code and booked.status in {"failed", "uncertain"}:
        data["code"] = booked.code
    publish(
        session,
        Announcement(
            type=f"refund.{booked.status}",
            subject_type="refund",
            subject_uid=refund.uid,
            event_id=order.event_id,
            data=data,
            dedupe_key=f"refund.{booked.status}:{refund.uid}:{booked.before}",
            occurred_at=now,
        ),
    )


def tell_failure(session: Session, order: Order, refund: Refund, why: str, now: datetime) -> None:
    """Tell the organisers that a refund has failed for good, once."""
    _tell(session, order, refund, _FAILED, f"order-refund-failed:{refund.uid}", now, why)


def tell_unknown(session: Session, order: Order, refund: Refund, now: datetime) -> None:
    """Tell the organisers that nobody finds out whether a refund was made, once."""
    _tell(session, order, refund, _UNKNOWN, f"order-refund-unknown:{refund.uid}", now)


def tell_delay(session: Session, order: Order, refund: Refund, why: str, now: datetime) -> None:
    """Tell the organisers that refunds wait for their account at the provider, once a day."""
    key = f"refunds-wait:{refund.tenant_id}:{now:%Y-%m-%d}"
    _tell(session, order, refund, _DELAYED, key, now, why)


def _tell(
    session: Session,
    order: Order,
    refund: Refund,
    news: tuple[str, str],
    key: str,
    now: datetime,
    why: str = "",
) -> None:
    values = {"order": order.code, "why": why}
    title, body = (Message(sentence, values) for sentence in news)
    notice = Notice(
        kind="order.needs_attention",
        severity="error",
        title=title,
        body=body,
        link=f"/refunds/{refund.uid}",
        related_type="refund",
        related_id=refund.id,
        dedupe_key=key,
    )
    notify_admins(session, refund.tenant_id, notice, now)
