"""Rows for tests: each factory makes what its row needs and commits it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.accounts.models import User
from meet2be.attendees.models import Attendee
from meet2be.db import Database
from meet2be.events.models import Event, TicketType
from meet2be.invoices.models import Invoice
from meet2be.orders.models import Order
from meet2be.payments.models import Payment
from meet2be.tenancy.models import Membership, Tenant

_numbers = count(1)
QUOTA = 10_000
STARTS_AT = datetime(2026, 9, 30, 7, 0, tzinfo=UTC)
ENDS_AT = datetime(2026, 10, 2, 16, 0, tzinfo=UTC)
REGISTERED_AT = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Ticket:
    """One attendee to be: money in minor units. A price of 0 is a free ticket."""

    price: int = 39_900
    refunded: int = 0
    name: str = "Ada Example"
    email: str | None = "ada@example.org"
    kind: str = "Regular"
    status: str = "active"


@dataclass(frozen=True)
class MadeOrder:
    """What `make_order` made."""

    order: Order
    attendees: tuple[Attendee, ...]
    invoice: Invoice | None
    payment: Payment | None

    @property
    def attendee(self) -> Attendee:
        """Return the first attendee."""
        return self.attendees[0]


def make_tenant(database: Database, slug: str | None = None, **fields: object) -> Tenant:
    """Return a new active tenant; `fields` override any column."""
    name = slug or f"tenant-{next(_numbers)}"
    tenant = Tenant(**{"slug": name, "name": name.title(), **fields})
    with database.system_session("tests: make a tenant") as session:
        session.add(tenant)
        session.commit()
    return tenant


def make_user(
    database: Database, tenant: Tenant | None = None, role: str = "admin", **fields: object
) -> User:
    """Return a new person, with a place in `tenant` when one is given."""
    email = str(fields.get("email", f"user{next(_numbers)}@example.org"))
    user = User(**{"email": email, "email_norm": email.lower(), "name": "Grace Example", **fields})
    with database.system_session("tests: make a user") as session:
        session.add(user)
        session.flush()
        if tenant is not None:
            session.add(Membership(tenant_id=tenant.id, user_id=user.id, role=role))
        session.commit()
    return user


def make_event(database: Database, tenant: Tenant, **fields: object) -> Event:
    """Return a new live event in euros."""
    number = next(_numbers)
    values: dict[str, object] = {
        "slug": f"event-{number}",
        "title": f"Conference {number}",
        "starts_at": STARTS_AT,
        "ends_at": ENDS_AT,
        "timezone": "Europe/Berlin",
        "currency": "EUR",
        "status": "live",
    }
    event = Event(**{**values, **fields})
    with database.tenant_session(tenant.id) as session:
        session.add(event)
        session.commit()
    return event


def make_order(
    database: Database,
    event: Event,
    tickets: Sequence[Ticket] = (Ticket(),),
    *,
    payment: str | None = "succeeded",
    code: str | None = None,
) -> MadeOrder:
    """Return a new order of `event`: one attendee a ticket, one invoice, one payment.

    `payment` is the payment's status; None, or only free tickets, makes none.
    """
    number = next(_numbers)
    name = code or f"C{number:09d}"
    total = sum(ticket.price for ticket in tickets)
    refunded = sum(ticket.refunded for ticket in tickets)
    paid = payment in {"succeeded", "disputed"} or not total
    with database.tenant_session(event.tenant_id) as session:
        order = Order(
            event_id=event.id,
            code=name,
            buyer_name=tickets[0].name,
            buyer_email=tickets[0].email,
            buyer_email_norm=tickets[0].email and tickets[0].email.lower(),
            locale="en-GB",
            status="paid" if paid else "pending",
            total_minor=total,
            currency=event.currency,
            paid_at=REGISTERED_AT if paid else None,
        )
        session.add(order)
        session.flush()
        invoice = settled = None
        if total:
            invoice = Invoice(
                event_id=event.id,
                order_id=order.id,
                number=f"T-{number:05d}",
                total_minor=total,
                currency=event.currency,
                status="paid" if paid else "open",
                issued_at=REGISTERED_AT,
            )
            session.add(invoice)
            session.flush()
        if total and payment is not None:
            settled = Payment(
                order_id=order.id,
                invoice_id=invoice.id if invoice else None,
                provider="stripe",
                provider_ref=f"pi_test_{event.tenant_id}_{number}",
                amount_minor=total,
                currency=event.currency,
                refunded_minor=refunded,
                status=payment,
                paid_at=REGISTERED_AT if paid else None,
            )
            session.add(settled)
            session.flush()
        attendees = tuple(
            Attendee(
                event_id=event.id,
                order_id=order.id,
                ticket_type_id=_ticket_type(session, event, ticket),
                invoice_id=invoice.id if invoice and ticket.price else None,
                payment_id=settled.id if settled and ticket.price else None,
                ticket_code=f"{name}-{position}",
                name=ticket.name,
                email=ticket.email,
                email_norm=ticket.email and ticket.email.lower(),
                locale="en-GB",
                status=ticket.status,
                price_minor=ticket.price,
                refunded_minor=ticket.refunded,
                currency=event.currency,
                registered_at=REGISTERED_AT,
            )
            for position, ticket in enumerate(tickets, start=1)
        )
        session.add_all(attendees)
        session.commit()
    return MadeOrder(order, attendees, invoice, settled)


def _ticket_type(session: Session, event: Event, ticket: Ticket) -> int:
    kind = session.scalar(
        select(TicketType).where(TicketType.event_id == event.id, TicketType.name == ticket.kind)
    )
    if kind is None:
        kind = TicketType(
            event_id=event.id, name=ticket.kind, price_minor=ticket.price, quota=QUOTA
        )
        session.add(kind)
    kind.sold = (kind.sold or 0) + 1
    session.flush()
    return kind.id
