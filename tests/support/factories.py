"""Rows for tests: each factory makes what its row needs and commits it."""

from collections.abc import Iterator, Sequence
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
    """What came of a `Sale`."""

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


@dataclass(frozen=True)
class Sale:
    """One order to be; `payment` is its payment's status: None, or only free tickets, makes none.

    One invoice an order, one attendee a ticket.
    """

    tickets: Sequence[Ticket] = (Ticket(),)
    payment: str | None = "succeeded"
    code: str | None = None

    @property
    def total(self) -> int:
        return sum(ticket.price for ticket in self.tickets)

    @property
    def is_paid(self) -> bool:
        return self.payment in {"succeeded", "disputed"} or not self.total


def make_order(
    database: Database,
    event: Event,
    tickets: Sequence[Ticket] = (Ticket(),),
    *,
    payment: str | None = "succeeded",
    code: str | None = None,
) -> MadeOrder:
    """Return a new order of `event`, as `Sale` says."""
    return make_orders(database, event, [Sale(tickets, payment, code)])[0]


def make_orders(database: Database, event: Event, sales: Sequence[Sale]) -> list[MadeOrder]:
    """Return new orders of `event`, all of one transaction."""
    numbers = [next(_numbers) for _ in sales]
    with database.tenant_session(event.tenant_id) as session:
        orders = [_order(event, *of) for of in zip(numbers, sales, strict=True)]
        _add(session, orders)
        invoices = [_invoice(event, *of) for of in zip(numbers, sales, orders, strict=True)]
        _add(session, invoices)
        payments = [
            _payment(event, *of) for of in zip(numbers, sales, orders, invoices, strict=True)
        ]
        _add(session, payments)
        attendees = [
            tuple(_attendees(session, event, *of))
            for of in zip(sales, orders, invoices, payments, strict=True)
        ]
        _add(session, [each for of_order in attendees for each in of_order])
        session.commit()
    return [MadeOrder(*of) for of in zip(orders, attendees, invoices, payments, strict=True)]


def _add(session: Session, rows: Sequence[object | None]) -> None:
    """Have the database give rows their ids."""
    session.add_all([row for row in rows if row is not None])
    session.flush()


def _order(event: Event, number: int, sale: Sale) -> Order:
    buyer = sale.tickets[0]
    return Order(
        event_id=event.id,
        code=sale.code or f"C{number:09d}",
        buyer_name=buyer.name,
        buyer_email=buyer.email,
        buyer_email_norm=buyer.email and buyer.email.lower(),
        locale="en-GB",
        status="paid" if sale.is_paid else "pending",
        total_minor=sale.total,
        currency=event.currency,
        paid_at=REGISTERED_AT if sale.is_paid else None,
    )


def _invoice(event: Event, number: int, sale: Sale, order: Order) -> Invoice | None:
    if not sale.total:
        return None
    return Invoice(
        event_id=event.id,
        order_id=order.id,
        number=f"T-{number:05d}",
        total_minor=sale.total,
        currency=event.currency,
        status="paid" if sale.is_paid else "open",
        issued_at=REGISTERED_AT,
    )


def _payment(
    event: Event, number: int, sale: Sale, order: Order, invoice: Invoice | None
) -> Payment | None:
    if invoice is None or sale.payment is None:
        return None
    return Payment(
        order_id=order.id,
        invoice_id=invoice.id,
        provider="stripe",
        provider_ref=f"pi_test_{event.tenant_id}_{number}",
        amount_minor=sale.total,
        currency=event.currency,
        refunded_minor=sum(ticket.refunded for ticket in sale.tickets),
        status=sale.payment,
        paid_at=REGISTERED_AT if sale.is_paid else None,
    )


def _attendees(
    session: Session,
    event: Event,
    sale: Sale,
    order: Order,
    invoice: Invoice | None,
    payment: Payment | None,
) -> Iterator[Attendee]:
    for position, ticket in enumerate(sale.tickets, start=1):
        yield Attendee(
            event_id=event.id,
            order_id=order.id,
            ticket_type_id=_ticket_type(session, event, ticket),
            invoice_id=invoice.id if invoice and ticket.price else None,
            payment_id=payment.id if payment and ticket.price else None,
            ticket_code=f"{order.code}-{position}",
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
