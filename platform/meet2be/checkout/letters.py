"""What buyers are mailed: confirmations, apologies, refunds of single tickets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.attendees.models import Attendee
from meet2be.checkout.desk import CheckoutDesk
from meet2be.checkout.tickets import CONTENT_TYPE as PDF
from meet2be.checkout.tickets import Ticket, sheets_of, tickets_of
from meet2be.events.calendar_file import CONTENT_TYPE, calendar_file
from meet2be.events.models import Event
from meet2be.mailings.attachments import Attachment, in_store
from meet2be.mailings.models import Mail
from meet2be.mailings.services import MailDraft, sender_of
from meet2be.orders.models import Order
from meet2be.tenancy.models import Tenant

RELATED_TYPE = "order"


def page_of(desk: CheckoutDesk, tenant: Tenant, event: Event, order: Order) -> str:
    """Return the address of the buyer's own page."""
    return f"{desk.base_url}/t/{tenant.slug}/{event.slug}/orders/{order.buyer_key}"


def confirmation(
    session: Session,
    desk: CheckoutDesk,
    order: Order,
    event: Event,
    printed: Collection[str],
    turn: str = "",
) -> MailDraft:
    """Return the mail that says an order is complete; `turn` tells one sent again apart.

    It carries its tickets when the file of what they are now is among the `printed` ones (keys).
    """
    found = tickets_of(session, order)
    tickets = [f"{each.holder} – {each.kind} – {each.code}" for each in found]
    context = {
        "starts_at": event.starts_at,
        "total_minor": order.total_minor,
        "currency": order.currency,
        "tickets": tickets,
        "ships": order.shipping_address is not None,
    }
    key = f"order-confirmation:{order.uid}{turn}"
    draft = _draft(session, desk, order, event, "order_confirmation", key, context)
    files = [_for_calendars(session, desk, event)]
    as_of_now = _as_of_now(session, order, event, found, printed) if found and printed else None
    if as_of_now is not None:
        files.append(Attachment(f"{order.code}.pdf", PDF, key=as_of_now))
    return replace(draft, attachments=tuple(files))


def _as_of_now(
    session: Session,
    order: Order,
    event: Event,
    tickets: Sequence[Ticket],
    printed: Collection[str],
) -> str | None:
    """Return which of the printed files says what an order's tickets are now."""
    tenant = session.get_one(Tenant, order.tenant_id)
    sheets = sheets_of(tenant, event, order, tickets)
    mine = (key for key in sorted(printed) if sheets.lie_at(key, tenant.uid, order.uid))
    return next(mine, None)


def printed_before(session: Session, order: Order) -> set[str]:
    """Return the files of mails about an order that can still be sent; their rows are locked.

    So nobody erases them before the caller's commit: the store need not be asked.
    """
    mails = session.scalars(
        select(Mail)
        .where(
            Mail.related_type == RELATED_TYPE,
            Mail.related_id == order.id,
            Mail.body_text != "",  # empty: its files are about to be deleted
        )
        .order_by(Mail.id)
        .with_for_update(key_share=True)
    )
    return {key for mail in mails for key in in_store(mail.attachments or ())}


def _for_calendars(session: Session, desk: CheckoutDesk, event: Event) -> Attachment:
    """Return the event as a file; it names its public page, not the buyer's own."""
    tenant = session.get_one(Tenant, event.tenant_id)
    page = f"{desk.base_url}/t/{tenant.slug}/{event.slug}"
    text = calendar_file(event, page, desk.clock.now())
    return Attachment(f"{event.slug}.ics", CONTENT_TYPE, text)


def apology(
    session: Session, desk: CheckoutDesk, order: Order, event: Event, why: str, amount: int
) -> MailDraft:
    """Return the mail that says an order came to nothing and its money goes back."""
    context = {"amount_minor": amount, "currency": order.currency, "why": why}
    key = f"order-apology:{order.uid}"
    return _draft(session, desk, order, event, "order_apology", key, context)


def money_back(
    session: Session, desk: CheckoutDesk, order: Order, why: str, amount: int, payment: str
) -> MailDraft:
    """Return the mail that says a payment (its uid) goes back: paid twice, or after the end."""
    event = session.get_one(Event, order.event_id)
    context = {"amount_minor": amount, "currency": order.currency, "why": why}
    key = f"order-money-back:{payment}"
    return _draft(session, desk, order, event, "order_money_back", key, context)


def tickets_refunded(
    session: Session,
    desk: CheckoutDesk,
    order: Order,
    event: Event,
    attendees: list[Attendee],
    amount: int,
    turn: str,
) -> MailDraft:
    """Return the mail that says which tickets are paid back."""
    names = Counter(attendee.name for attendee in attendees)
    context = {
        "amount_minor": amount,
        "currency": order.currency,
        "tickets": sorted(names),
    }
    key = f"order-refund:{order.uid}:{turn}"
    return _draft(session, desk, order, event, "order_refund", key, context)


def _draft(
    session: Session,
    desk: CheckoutDesk,
    order: Order,
    event: Event,
    kind: str,
    key: str,
    context: dict[str, Any],
) -> MailDraft:
    tenant = session.get_one(Tenant, order.tenant_id)
    return MailDraft(
        tenant_id=tenant.id,
        kind=kind,
        template=kind,
        locale=order.locale,
        to_addr=order.buyer_email or "",
        dedupe_key=key,
        context={
            "name": order.buyer_name,
            "event_title": event.title,
            "order_code": order.code,
            "tenant_name": tenant.name,
            "link": page_of(desk, tenant, event, order) if order.buyer_key else "",
            **context,
        },
        sender=sender_of(tenant, desk.sender),
        related_type=RELATED_TYPE,
        related_id=order.id,
        event_id=event.id,
        test_mode=order.test_mode,
    )
