"""Placing an order: tickets chosen, held, written down, and its steps begun, in one commit."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.checkout import stock
from meet2be.checkout.desk import (
    HOLD,
    MOST_OPEN_FROM,
    MOST_OPEN_OF_ADDRESS,
    MOST_TICKETS,
    PAGE_HOLD,
    CheckoutDesk,
)
from meet2be.checkout.errors import BadWish, NotOnSale, SumChanged, TooManyOpen
from meet2be.checkout.shipping import ADDRESS_FIELDS, postage_of
from meet2be.db.columns import CROCKFORD
from meet2be.events.models import Event, TicketType
from meet2be.events.selling import sale_state, tax_within
from meet2be.language import Message
from meet2be.mailings.addresses import normal_form, one_address
from meet2be.mailings.errors import BadAddress
from meet2be.money import format_minor, movable, odd_price
from meet2be.orders.facts import OrderCanGoOn
from meet2be.orders.models import STEPS, Order, OrderLine, OrderStep
from meet2be.payments.provider import PAGE_METHOD
from meet2be.plain_text import one_line
from meet2be.tenancy.models import Tenant
from meet2be.tenancy.services import is_suspended
from meet2be.webhooks.publishing import Announcement, publish

LONGEST_NAME = 200
SHIPPING_STEPS = ("calculate_shipping", "create_shipping_label")
_KEY_FORM = re.compile(r"[0-9A-Za-z_-]{16,64}")
METHOD_FORM = re.compile(r"[0-9A-Za-z_]{3,255}")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who comes with a ticket; without an address the buyer's is used."""

    name: str
    email: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a buyer asks for: `tickets` maps a kind's number to its holders.

    `method` is the payment provider's token for the card; card data never comes here.
    `shown` is the sum that the buyer was shown, such as "5000 EUR" (None: none was); `placed_from`
    a mark made of the address of their connection.
    """

    client_key: str
    name: str
    email: str
    locale: str
    tickets: Mapping[int, Sequence[Holder]]
    method: str = ""
    address: Mapping[str, str] = field(default_factory=dict)
    shown: str | None = None
    placed_from: str = ""


def place_tx(desk: CheckoutDesk, tenant_id: int, event_uid: str, wish: Wish) -> Order:
    """Return the order of a wish: a new one, or that of the first press of the same button.

    Raises ``NotOnSale``, ``BadWish``, ``SoldOut``, ``NoPostage``, ``SumChanged``,
    ``TooManyOpen``, and then has changed nothing.
    """
    if not _KEY_FORM.fullmatch(wish.client_key):
        why = Message("Reload the page and send the form again.")
        raise BadWish("client_key", why)
    try:
        with desk.db.tenant_session(tenant_id) as session:
            known = _known(session, wish.client_key)
            if known is not None:
                return known
            order = _place(session, event_uid, wish, desk.clock.now())
            session.commit()
            return order
    except IntegrityError:
        # Both presses came at once: the other one's order is there now.
        with desk.db.tenant_session(tenant_id, read_only=True) as session:
            known = _known(session, wish.client_key)
            if known is None:
                raise
            return known


def _known(session: Session, client_key: str) -> Order | None:
    return session.scalar(select(Order).where(Order.client_key == client_key))


def _place(session: Session, event_uid: str, wish: Wish, now: datetime) -> Order:
    event_id = session.scalar(select(Event.id).where(Event.uid == event_uid))
    event = None if event_id is None else stock.hold_places(session, event_id)
    if event is None or event.status != "live" or is_suspended(session, event.tenant_id):
        raise NotOnSale
    types = _types(session, event, wish, now)
    name, email = _name("name", wish.name), _email("email", wish.email)
    shipped = sum(len(wish.tickets[each.id]) for each in types if each.is_shipped)
    address = _address(wish.address) if shipped else None
    tenant = session.get_one(Tenant, event.tenant_id)
    country = (address or {}).get("country", "")
    fee = postage_of(tenant, event.currency, shipped, country)
    lines = [_line(each, wish.tickets[each.id], wish.email) for each in types]
    total = sum(line.total_minor for line in lines) + fee
    if total != movable(total, event.currency):
        raise BadWish("tickets", odd_price(event.currency))
    if wish.shown not in {None, f"{total} {event.currency}"}:
        raise SumChanged(format_minor(total, event.currency, wish.locale.replace("-", "_")))
    if total and not METHOD_FORM.fullmatch(wish.method):
        raise BadWish("method", Message("Choose how to pay."))
    # Stripe's page has to be open for half an hour: its buyers' tickets are kept as long.
    hold = PAGE_HOLD if total and wish.method == PAGE_METHOD else HOLD
    order = Order(
        event_id=event.id,
        code=_code(session),
        buyer_name=name,
        buyer_email=email,
        buyer_email_norm=normal_form(email),
        locale=wish.locale,
        status="pending",
        total_minor=total,
        currency=event.currency,
        test_mode=event.test_mode,
        client_key=wish.client_key,
        buyer_key=secrets.token_urlsafe(32),
        expires_at=now + hold,
        shipping_minor=fee if shipped else None,
        shipping_address=address,
        payment_method=wish.method or None,
        placed_from=wish.placed_from[:64] or None,
    )
    _write(session, order, lines, now + hold)
    _brake(session, order, now)
    session.add_all(_steps(tenant, order, ships=shipped > 0))
    facts.note(session, OrderCanGoOn(order.uid))
    publish(session, announced(order, "created", now, attendees=sum(x.quantity for x in lines)))
    return order


def _write(session: Session, order: Order, lines: list[OrderLine], until: datetime) -> None:
    """Write an order with its lines and hold its tickets; raises what `stock` refuses."""
    session.add(order)
    session.flush()
    for line in lines:
        line.order_id = order.id
    session.add_all(lines)
    session.flush()
    stock.check_room(session, order.event_id, sum(line.quantity for line in lines))
    stock.hold(session, order, lines, until)


def _brake(session: Session, order: Order, now: datetime) -> None:
    """Raise ``TooManyOpen`` for a buyer who holds tickets in too many orders already.

    What an organisation's own programs order comes from no known connection: only the buyer's
    address counts.
    Called when the stock's rows are locked, so that orders of the same tickets are counted one
    after the other.
    """
    limits = [(Order.buyer_email_norm == order.buyer_email_norm, MOST_OPEN_OF_ADDRESS)]
    if order.placed_from is not None:
        limits.append((Order.placed_from == order.placed_from, MOST_OPEN_FROM))
    for theirs, most in limits:
        number = session.scalar(
            select(func.count())
            .select_from(Order)
            .where(theirs, Order.id != order.id, Order.status == "pending", Order.expires_at > now)
        )
        if number is not None and number >= most:
            raise TooManyOpen(most)


def announced(order: Order, what: str, now: datetime, **data: object) -> Announcement:
    """Return the announcement of what became of an order."""
    known = {
        "code": order.code, "total_minor": order.total_minor, "currency": order.currency,
        "test_mode": order.test_mode,
    }  # fmt: skip
    return Announcement(
        type=f"order.{what}",
        subject_type="order",
        subject_uid=order.uid,
        event_id=order.event_id,
        data={**known, **data},
        dedupe_key=f"order.{what}:{order.uid}",
        occurred_at=now,
    )


def _steps(tenant: Tenant, order: Order, *, ships: bool) -> list[OrderStep]:
    return [
        OrderStep(
            order_id=order.id,
            step=step,
            state="todo" if ships or step not in SHIPPING_STEPS else "dropped",
            key=f"{step}:{tenant.uid}:{order.uid}",
        )
        for step in STEPS
    ]


def _types(session: Session, event: Event, wish: Wish, now: datetime) -> list[TicketType]:
    wanted = {number: holders for number, holders in wish.tickets.items() if holders}
    if not wanted:
        raise BadWish("tickets", Message("Choose at least one ticket."))
    if sum(len(holders) for holders in wanted.values()) > MOST_TICKETS:
        why = Message("An order has at most %(most)s tickets.", {"most": MOST_TICKETS})
        raise BadWish("tickets", why)
    found = session.scalars(
        select(TicketType)
        .where(TicketType.event_id == event.id, TicketType.id.in_(wanted))
        .order_by(TicketType.id)
    ).all()
    if len(found) != len(wanted) or any(sale_state(event, x, now) != "open" for x in found):
        raise BadWish("tickets", Message("One of these tickets is not on sale any more."))
    return list(found)


def _line(ticket: TicketType, holders: Sequence[Holder], buyer: str) -> OrderLine:
    people = [
        {
            "name": _name("holders", holder.name),
            "email": _email("holders", holder.email or buyer),
        }
        for holder in holders
    ]
    total = ticket.price_minor * len(people)
    return OrderLine(
        ticket_type_id=ticket.id,
        quantity=len(people),
        unit_minor=ticket.price_minor,
        tax_minor=tax_within(total, ticket.tax_bp),
        total_minor=total,
        holders=people,
    )


def _name(where: str, text: str) -> str:
    name = one_line(text)
    if not name or len(name) > LONGEST_NAME:
        raise BadWish(where, Message("Give a name of at most 200 characters."))
    return name


def _email(where: str, text: str) -> str:
    try:
        return one_address(text)
    except BadAddress as error:
        raise BadWish(where, Message("This is no e-mail address we can write to.")) from error


def _address(given: Mapping[str, str]) -> dict[str, str]:
    address = {name: one_line(given.get(name, "")) for name in ADDRESS_FIELDS}
    address["country"] = address["country"].upper()
    if not all(address.values()) or any(len(line) > LONGEST_NAME for line in address.values()):
        raise BadWish("address", Message("Give the whole address for the printed tickets."))
    if not re.fullmatch("[A-Z]{2}", address["country"]):
        raise BadWish("address", Message("Give the country as two letters, such as DE."))
    return address


def _code(session: Session) -> str:
    """Return a code that no order of the tenant has; eight letters are 40 random bits."""
    while True:
        code = "".join(secrets.choice(CROCKFORD) for _ in range(8)).upper()
        if session.scalar(select(Order.id).where(Order.code == code)) is None:
            return code
