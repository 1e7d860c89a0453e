"""The steps within the database: validation, tickets, parcel, confirmation."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.attendees.models import Attendee
from meet2be.checkout import steps as rows
from meet2be.checkout import stock
from meet2be.checkout.desk import CheckoutDesk
from meet2be.checkout.errors import NoPostage, SoldOut
from meet2be.checkout.letters import confirmation
from meet2be.checkout.placing import announced
from meet2be.checkout.shipping import OwnPost, Parcel, postage_of
from meet2be.checkout.steps import Outcome, Taken
from meet2be.checkout.tickets import sheets_of, tickets_of
from meet2be.checkout.tidying import PRINTED, key_of, without
from meet2be.checkout.unwinding import unwind
from meet2be.events.facts import EventDataStale
from meet2be.events.models import Event, TicketType
from meet2be.events.selling import honours_orders
from meet2be.exports.pdf_children import LayOutFailed
from meet2be.integrations.storage import StoreError
from meet2be.invoices.models import Invoice
from meet2be.invoices.services import issue_invoice
from meet2be.mailings.addresses import normal_form
from meet2be.mailings.services import post
from meet2be.orders.models import Order, OrderLine, Shipment
from meet2be.payments.models import Payment
from meet2be.tenancy.models import Tenant
from meet2be.tenancy.services import is_suspended
from meet2be.webhooks.publishing import Announcement, publish, publish_many

CARRIER = OwnPost()
PRINT_AGAIN = 3
PRINT_PAUSE = timedelta(seconds=30)
_log = logging.getLogger("meet2be.checkout")


def validate_order(desk: CheckoutDesk, tenant_id: int, order_uid: str) -> Outcome:
    """Check that the order is still what was offered; end it where it is not."""
    now = desk.clock.now()
    with desk.db.tenant_session(tenant_id) as session:
        taken = rows.take(session, order_uid, "validate_order", now)
        if not isinstance(taken, Taken):
            return taken
        why = _why_invalid(session, taken, now)
        if why is None:
            rows.finish(taken.step, now)
        else:
            rows.fail(taken.step, now, why)
            unwind(session, desk, taken.order, "failed", why, now)
        session.commit()
        return "go" if why is None else "stop"


def _why_invalid(session: Session, taken: Taken, now: datetime) -> str | None:
    """Return what is wrong. What the buyer was offered stands while it is held for them."""
    order, lines = taken.order, stock.lines_of(session, taken.order.id)
    if why := rows.why_unwanted(order, taken.event, now):
        return why
    if is_suspended(session, order.tenant_id):
        return "event_closed"
    total = sum(line.total_minor for line in lines) + (order.shipping_minor or 0)
    if not lines or total != order.total_minor or order.currency != taken.event.currency:
        return "sum_does_not_fit"
    return None


def update_inventory(desk: CheckoutDesk, tenant_id: int, order_uid: str) -> Outcome:
    """Sell the tickets: stock, attendees, invoice and the order's state in one commit."""
    now = desk.clock.now()
    with desk.db.tenant_session(tenant_id) as session:
        taken = rows.take(session, order_uid, "update_inventory", now)
        if not isinstance(taken, Taken):
            return taken
        order = taken.order
        if order.status not in {"pending", "expired"}:
            return "stop"
        if order.total_minor > 0 and _chosen(session, order) is None:
            return "stop"  # nothing is sold before its money is here
        problem = _sell(session, taken, now) if honours_orders(taken.event) else "event_closed"
        if problem is not None:
            rows.fail(taken.step, now, problem)
            unwind(session, desk, order, "failed", problem, now)
        session.commit()
        return "stop" if problem is not None else "go"


def _sell(session: Session, taken: Taken, now: datetime) -> str | None:
    order = taken.order
    try:
        with session.begin_nested():
            gone = stock.sell(session, order)
    except SoldOut:
        return "sold_out"
    payment = _chosen(session, order)
    invoice = _invoice(session, order, now)
    if payment is not None and invoice is not None:
        payment.invoice_id = invoice.id
    attendees = _attendees(session, order, invoice, payment, now)
    late = order.status == "expired"
    order.status, order.paid_at, order.expires_at, order.problem = "paid", now, None, None
    order.placed_from = None
    rows.finish(taken.step, now, {"attendees": len(attendees), "late": late})
    publish(session, announced(order, "paid", now, attendees=len(attendees)))
    publish_many(session, (_joined(order, each, now) for each in attendees))
    for ticket in gone:
        publish(session, _sold_out(order, ticket, now))
    facts.note(session, EventDataStale(taken.event.uid))
    return None


def _chosen(session: Session, order: Order) -> Payment | None:
    """Return the payment that the payment step took for the order's own."""
    uid = rows.steps_of(session, order.id)["process_payment"].result.get("payment")
    return session.scalar(select(Payment).where(Payment.order_id == order.id, Payment.uid == uid))


def _invoice(session: Session, order: Order, now: datetime) -> Invoice | None:
    if order.total_minor == 0:
        return None
    tenant = session.get_one(Tenant, order.tenant_id)
    number = issue_invoice(session, tenant.id, now, tenant.timezone)
    invoice = Invoice(
        event_id=order.event_id,
        order_id=order.id,
        number=number,
        total_minor=order.total_minor,
        currency=order.currency,
        status="paid",
        issued_at=now,
    )
    session.add(invoice)
    session.flush()
    return invoice


def _attendees(
    session: Session,
    order: Order,
    invoice: Invoice | None,
    payment: Payment | None,
    now: datetime,
) -> list[Attendee]:
    made: list[Attendee] = []
    for line in stock.lines_of(session, order.id):
        made += [
            _attendee(order, line, holder, len(made) + place, now)
            for place, holder in enumerate(line.holders, 1)
        ]
        line.holders = []
    for attendee in made:
        if attendee.price_minor and invoice is not None and payment is not None:
            attendee.invoice_id, attendee.payment_id = invoice.id, payment.id
    session.add_all(made)
    session.flush()
    return made


def _attendee(
    order: Order, line: OrderLine, holder: dict[str, str], number: int, now: datetime
) -> Attendee:
    email = holder.get("email") or None
    return Attendee(
        event_id=order.event_id,
        order_id=order.id,
        ticket_type_id=line.ticket_type_id,
        ticket_code=f"{order.code}-{number}",
        name=holder["name"],
        email=email,
        email_norm=None if email is None else normal_form(email),
        locale=order.locale,
        price_minor=line.unit_minor,
        currency=order.currency,
        registered_at=now,
    )


def _joined(order: Order, attendee: Attendee, now: datetime) -> Announcement:
    return Announcement(
        type="attendee.created",
        subject_type="attendee",
        subject_uid=attendee.uid,
        event_id=order.event_id,
        data={"status": attendee.status, "order": order.code},
        dedupe_key=f"attendee.created:{attendee.uid}",
        occurred_at=now,
    )


def _sold_out(order: Order, ticket: TicketType, now: datetime) -> Announcement:
    return Announcement(
        type="ticket_type.sold_out",
        subject_type="ticket_type",
        subject_uid=ticket.uid,
        event_id=order.event_id,
        data={"quota": ticket.quota, "sold": ticket.sold},
        dedupe_key=f"ticket_type.sold_out:{ticket.id}:{order.uid}",
        occurred_at=now,
    )


def calculate_shipping(desk: CheckoutDesk, tenant_id: int, order_uid: str) -> Outcome:
    """Work out what the parcel costs by the rates of now, beside what the buyer paid for it."""
    now = desk.clock.now()
    with desk.db.tenant_session(tenant_id) as session:
        taken = rows.take(session, order_uid, "calculate_shipping", now)
        if not isinstance(taken, Taken):
            return taken
        if taken.order.status != "paid":
            return "stop"
        tenant = session.get_one(Tenant, taken.order.tenant_id)
        tickets = _shipped_tickets(session, taken.order)
        country = (taken.order.shipping_address or {}).get("country", "")
        paid = taken.order.shipping_minor or 0
        try:
            cost = postage_of(tenant, taken.order.currency, tickets, country)
        except NoPostage:
            cost = paid  # the rate that was agreed on is gone; what was paid stands
        rows.finish(taken.step, now, {"cost_minor": cost, "paid_minor": paid, "tickets": tickets})
        session.commit()
        return "go"


def create_shipping_label(desk: CheckoutDesk, tenant_id: int, order_uid: str) -> Outcome:
    """Write the parcel's label, once: its number is made from the step's key."""
    now = desk.clock.now()
    with desk.db.tenant_session(tenant_id) as session:
        taken = rows.take(session, order_uid, "create_shipping_label", now)
        if not isinstance(taken, Taken):
            return taken
        order = taken.order
        if order.status != "paid":
            return "stop"
        worked_out = rows.steps_of(session, order.id)["calculate_shipping"].result
        parcel = Parcel(order.code, worked_out["tickets"], order.shipping_address or {})
        label = CARRIER.label(parcel, taken.step.key)
        session.add(
            Shipment(
                order_id=order.id,
                carrier=CARRIER.name,
                parcel_no=label.parcel_no,
                cost_minor=worked_out["cost_minor"],
                currency=order.currency,
                label={"lines": list(label.lines), "tickets": parcel.number},
            )
        )
        rows.finish(taken.step, now, {"parcel_no": label.parcel_no})
        publish(session, announced(order, "shipped", now, parcel_no=label.parcel_no))
        session.commit()
        return "go"


def send_confirmation(desk: CheckoutDesk, tenant_id: int, order_uid: str) -> Outcome:
    """Write the buyer's confirmation into the outbox; from here on the order is complete.

    Its tickets are printed before, outside of any transaction. Where that fails it waits some time,
    and then leaves without them: they stand in its text as well.
    """
    printed, trouble = _printed(desk, tenant_id, order_uid)
    now = desk.clock.now()
    with desk.db.tenant_session(tenant_id) as session:
        taken = rows.take(session, order_uid, "send_confirmation", now)
        if not isinstance(taken, Taken):
            return taken
        if taken.order.status != "paid":
            return "stop"
        if trouble and taken.step.attempts < PRINT_AGAIN:
            rows.begin(taken.step, now, PRINT_PAUSE)
            wait = rows.put_off(taken.step, now, trouble, PRINT_PAUSE.total_seconds())
            session.commit()
            return wait
        draft = confirmation(session, desk, taken.order, taken.event, {printed} if printed else ())
        written = post(session, draft, now)
        taken.step.result = without(
            taken.step.result, {each.key for each in draft.attachments if each.key}
        )
        rows.finish(taken.step, now, {"mail": written.mail_id, "mail_state": written.status})
        publish(session, announced(taken.order, "completed", now))
        session.commit()
        return "go"


def _printed(desk: CheckoutDesk, tenant_id: int, order_uid: str) -> tuple[str | None, str]:
    """Return where an order's tickets lie once they are printed, or what was in the way."""
    if desk.printer is None or not desk.printer.is_able:
        return None, ""
    with desk.db.tenant_session(tenant_id) as session:
        wanted = select(Order).where(Order.uid == order_uid, Order.status == "paid")
        order = session.scalar(wanted.with_for_update(key_share=True))
        if order is None:
            return None, ""
        step = rows.steps_of(session, order.id)["send_confirmation"]
        tickets = tickets_of(session, order)
        if step.state not in {"todo", "doing"} or not tickets:
            return None, ""
        tenant, event = session.get_one(Tenant, tenant_id), session.get_one(Event, order.event_id)
        sheets = sheets_of(tenant, event, order, tickets)
        key = key_of(sheets, tenant.uid, order_uid, step.result)
        # Named before it is made: whatever comes in between, somebody finds it.
        step.result = {**step.result, PRINTED: sorted({*step.result.get(PRINTED, ()), key})}
        session.commit()
    try:
        desk.printer.make(key, sheets)
    except (LayOutFailed, StoreError, OSError) as error:
        _log.warning("the tickets of the order '%s' could not be printed", order_uid, exc_info=True)
        return None, str(error) or type(error).__name__
    return key, ""


def _shipped_tickets(session: Session, order: Order) -> int:
    return sum(
        line.quantity
        for line in stock.lines_of(session, order.id)
        if session.get_one(TicketType, line.ticket_type_id).is_shipped
    )
