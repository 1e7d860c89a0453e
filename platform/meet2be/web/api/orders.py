"""Orders: placed, listed, one with all that belongs to it, mailed again, paid back, cancelled."""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated, Literal

from flask import request
from pydantic import Field

from meet2be.checkout import cancelling as verbs
from meet2be.checkout import listing
from meet2be.checkout.desk import MOST_TICKETS
from meet2be.checkout.errors import BadWish
from meet2be.checkout.listing import Filter
from meet2be.checkout.placing import Holder, Wish, place_tx
from meet2be.events.listing import ticket_types
from meet2be.events.models import Event
from meet2be.language import Message
from meet2be.objects.base import Told, Uid
from meet2be.objects.orders import OrderTold, OrderWithAll, Status, order_fields, order_told
from meet2be.payments.provider import PAGE_METHOD
from meet2be.tenancy.models import Tenant
from meet2be.web.api.calls import Call
from meet2be.web.api.events import event_of
from meet2be.web.api.operations import operation
from meet2be.web.api.problems import Problem
from meet2be.web.api.schemas import Done, Given, ListQuery, Page, Text
from meet2be.web.api.settings import AddressGiven


class OrderQuery(ListQuery):
    """Which orders; `q` is an order's whole code or its buyer's whole address."""

    status: Status | None = None
    event: Annotated[str, Field(max_length=26)] = ""
    q: Annotated[str, Field(max_length=320)] = ""


class Why(Given):
    """Why an order is cancelled; it goes into the audit log."""

    reason: Annotated[Text, Field(min_length=1, max_length=2000)]


class RefundWish(Given):
    """Which tickets of an order are paid back, in full."""

    attendees: list[Uid] = Field(min_length=1, max_length=200)
    cancel: bool = Field(default=False, description="Cancel the tickets as well.")
    reason: Annotated[Text, Field(min_length=1, max_length=2000)]


class RefundedTold(Told):
    """What is on its way back, in minor units of the order's currency."""

    amount_minor: int


class HolderGiven(Given):
    """Who comes with a ticket; without an address of their own the buyer's is used."""

    name: Annotated[Text, Field(min_length=1, max_length=200)]
    email: Annotated[Text, Field(max_length=320)] = ""


class TicketsGiven(Given):
    """Tickets of one kind, one for each holder."""

    ticket_type: Uid
    holders: list[HolderGiven] = Field(min_length=1, max_length=MOST_TICKETS)


class OrderWish(Given):
    """An order, as at the box office; hidden kinds of tickets can be ordered too."""

    name: Annotated[Text, Field(min_length=1, max_length=200)]
    email: Annotated[Text, Field(max_length=320)]
    locale: Literal["en-GB", "de-DE"] = "en-GB"
    tickets: list[TicketsGiven] = Field(min_length=1, max_length=MOST_TICKETS)
    address: AddressGiven | None = Field(None, description="Where printed tickets go.")
    method: Annotated[Text, Field(max_length=255)] = Field(
        PAGE_METHOD,
        description="The payment provider's token for a card. Left out: the buyer pays on the"
        " provider's page, to which `buyer_page` leads. Card data never comes here.",
    )


class OrderPlaced(OrderTold):
    """An order that was placed; `buyer_page` is the buyer's own page: whoever has it sees it."""

    buyer_page: str


@operation("GET", "/orders", "orders:read")
def list_orders(call: Call, query: OrderQuery) -> Page[OrderTold]:
    """List orders, the newest first."""
    wanted = Filter(query.status or "", query.event, query.q)
    found = listing.orders_page(call.reading, wanted, call.part(query))
    return call.page(
        query, found, lambda row: (row[0].id,), lambda row: OrderTold(**order_fields(*row))
    )


@operation("GET", "/orders/<order_uid>", "orders:read")
def get_order(call: Call, order_uid: str) -> OrderWithAll:
    """Give one order with all that belongs to it."""
    found = order_told(call.reading, order_uid)
    if found is None:
        raise Problem("not_found")
    return found


@operation("POST", "/events/<event_uid>/orders", "orders:write", status=202,
           problems=("conflict",))  # fmt: skip
def place_order(call: Call, event_uid: str, body: OrderWish) -> OrderPlaced:
    """Order tickets for somebody.

    Its tickets are set aside at once; payment and all that follows go on in the background. Send
    an Idempotency-Key: with it a repeat is the same order, also after the answer was forgotten.
    """
    event = event_of(call, event_uid)
    numbers = {each.uid: each.id for each in ticket_types(call.reading, event.id)}
    tickets: dict[int, list[Holder]] = {}
    for chosen in body.tickets:
        if chosen.ticket_type not in numbers:
            raise BadWish("tickets", Message("One of these tickets is not on sale any more."))
        people = [Holder(each.name, each.email) for each in chosen.holders]
        tickets.setdefault(numbers[chosen.ticket_type], []).extend(people)
    address = {} if body.address is None else body.address.model_dump()
    wish = Wish(
        _client_key(call), body.name, body.email, body.locale, tickets, body.method, address
    )
    order = place_tx(call.services.checkout, call.caller.tenant_id, event.uid, wish)
    tenant = call.reading.get_one(Tenant, call.caller.tenant_id)
    path = f"/t/{tenant.slug}/{event.slug}/orders/{order.buyer_key}"
    page = f"{call.services.settings.web.base_url}{path}"
    return OrderPlaced(**order_fields(order, event), buyer_page=page)


def _client_key(call: Call) -> str:
    """Return the order's own key: the request's, if it has one, so that a repeat finds it."""
    key = request.headers.get("Idempotency-Key", "").strip()
    if not key:
        return secrets.token_hex(16)
    whole = f"{call.caller.token_uid}:{request.path}:{key}"
    return hashlib.blake2b(whole.encode(), digest_size=24).hexdigest()


@operation("POST", "/orders/<order_uid>/resend", "orders:write", status=202,
           problems=("conflict",))  # fmt: skip
def resend_order(call: Call, order_uid: str) -> Done:
    """Mail the confirmation once more; it counts in the buyer's limit like any mail."""
    verbs.mail_again(call.writing, call.services.checkout, order_uid, call.caller.user_id)
    return Done(status="accepted")


@operation("POST", "/orders/<order_uid>/refund", "orders:write", status=202,
           problems=("conflict",))  # fmt: skip
def refund_order(call: Call, order_uid: str, body: RefundWish) -> RefundedTold:
    """Pay tickets of an order back, one refund each, and cancel them if wanted."""
    total = verbs.refund_tickets(
        call.writing,
        call.services.checkout,
        order_uid,
        body.attendees,
        call.caller.user_id,
        body.reason,
        cancel=body.cancel,
    )
    return RefundedTold(amount_minor=total)


@operation("POST", "/orders/<order_uid>/cancel", "orders:write", status=202,
           problems=("conflict",))  # fmt: skip
def cancel_order(call: Call, order_uid: str, body: Why) -> OrderTold:
    """Cancel an order: all that its steps have done is taken back."""
    order = verbs.cancel_order(
        call.writing, call.services.checkout, order_uid, call.caller.user_id, body.reason
    )
    call.writing.flush()
    return OrderTold(**order_fields(order, call.writing.get_one(Event, order.event_id)))


@operation("POST", "/orders/<order_uid>/steps/<step>/retry", "orders:write", status=202,
           problems=("conflict",))  # fmt: skip
def retry_order_step(call: Call, order_uid: str, step: str) -> Done:
    """Have a step that failed, or stands still, tried again."""
    desk = call.services.checkout
    verbs.retry_step(call.writing, desk, order_uid, step, call.caller.user_id)
    return Done(status="accepted")
