"""An order from the button to the warehouse, and what stands in its way."""

import json
from typing import Any

import pytest
from sqlalchemy import func, select

from meet2be.attendees.models import Attendee
from meet2be.checkout import placing
from meet2be.checkout.errors import BadWish, NotOnSale, SoldOut, TooManyOpen
from meet2be.checkout.expiry import expire_due_tx
from meet2be.checkout.placing import Holder
from meet2be.events.models import Event
from meet2be.integrations.guarded_http import HookCallFailed
from meet2be.invoices.models import Invoice
from meet2be.notifications.models import Notification
from meet2be.orders.models import Order, OrderLine, Shipment, StockMove
from meet2be.payments.models import Payment
from support.ordering import BERLIN, Shop


def test_an_order_goes_through_all_its_steps(any_shop: Shop) -> None:
    shop = any_shop
    ticket = shop.ticket(quota=3)
    placed = shop.place(shop.wish(ticket, ["Ada Arden", "Abe Arden"]))
    assert (placed.status, shop.stock(ticket)) == ("pending", (2, 0))
    order = shop.run(placed)
    assert (order.status, order.total_minor, shop.stock(ticket)) == ("paid", 8_400, (0, 2))
    assert set(shop.steps(order).values()) == {"done", "dropped"}
    attendees = shop.of.rows(Attendee)
    assert [each.name for each in attendees] == ["Ada Arden", "Abe Arden"]
    assert {each.status for each in attendees} == {"active"}
    (payment,), (invoice,) = shop.of.payments(), shop.of.rows(Invoice)
    assert (payment.status, payment.amount_minor, payment.invoice_id) == (
        "succeeded", 8_400, invoice.id,
    )  # fmt: skip
    assert [each.payment_id for each in attendees] == [payment.id] * 2
    assert len(shop.charges(order)) == 1
    (mail,) = shop.of.mails("order_confirmation")
    assert "Ada Arden" in (mail.body_text or "")
    (file,) = mail.attachments
    assert file["content_type"] == "text/calendar"
    assert "BEGIN:VEVENT" in file["text"]
    assert order.buyer_key is not None and order.buyer_key in (mail.body_text or "")
    assert order.buyer_key not in file["text"]  # calendars are shared
    assert shop.of.rows(OrderLine)[0].holders == []


def test_running_the_chain_again_does_nothing_more(any_shop: Shop) -> None:
    """F20, F21, F25."""
    shop = any_shop
    ticket = shop.ticket()
    shop.settings(warehouse_url="https://warehouse.example/orders")
    order = shop.buy(shop.wish(ticket))
    shop.run(order)
    assert len(shop.charges(order)) == len(shop.of.payments()) == 1
    assert len(shop.of.rows(Attendee)) == len(shop.of.mails("order_confirmation")) == 1
    assert shop.stock(ticket) == (0, 1)
    assert sorted(move.kind for move in shop.of.rows(StockMove)) == ["commit", "hold"]
    assert len(shop.warehouse.told) == 1


def test_a_double_click_makes_one_order(any_shop: Shop) -> None:
    shop = any_shop
    ticket = shop.ticket(quota=5)
    wish = shop.wish(ticket)
    first, second = shop.place(wish), shop.place(wish)
    assert first.id == second.id
    assert shop.stock(ticket) == (1, 0)


def test_what_cannot_be_ordered_is_refused_in_words(shop: Shop) -> None:
    ticket = shop.ticket(quota=1)
    with pytest.raises(SoldOut, match="At the door"):
        shop.place(shop.wish(ticket, ["Ada", "Abe"]))
    bad: tuple[dict[str, Any], ...] = (
        {"tickets": {}}, {"tickets": {ticket.id: [Holder(" ")]}}, {"email": "nobody"},
        {"name": ""}, {"method": ""}, {"client_key": "short"}, {"tickets": {99_999: [Holder("A")]}},
        {"tickets": {ticket.id: [Holder("A")] * 21}}, {"method": "4242 4242 4242 4242"},
    )  # fmt: skip
    for fields in bad:
        with pytest.raises(BadWish):
            shop.place(shop.wish(ticket, **fields))
    assert shop.of.rows(Order) == []
    assert shop.stock(ticket) == (0, 0)


@pytest.mark.parametrize("by", ["address", "connection"])
def test_nobody_holds_tickets_in_many_orders(
    any_shop: Shop, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    monkeypatch.setattr(placing, "MOST_OPEN_FROM", 3)
    monkeypatch.setattr(placing, "MOST_OPEN_OF_ADDRESS", 3 if by == "address" else 99)
    ticket = shop.ticket(quota=20)
    for number in range(3):
        shop.place(shop.wish(ticket, placed_from="here" if by == "connection" else str(number)))
    with pytest.raises(TooManyOpen, match="3 open orders"):
        shop.place(shop.wish(ticket, placed_from="here"))
    assert shop.stock(ticket) == (3, 0)
    other = {"address": {"email": "cy@example.org"}, "connection": {"placed_from": "there"}}[by]
    shop.place(shop.wish(ticket, **other))
    shop.of.pass_time(15 * 60 + 1)
    assert expire_due_tx(shop.desk) == 4
    assert {order.placed_from for order in shop.of.rows(Order)} == {None}
    shop.place(shop.wish(ticket, placed_from="here"))


def test_orders_of_no_known_connection_share_no_limit(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "MOST_OPEN_FROM", 1)
    ticket = shop.ticket()
    for number in range(3):
        shop.place(shop.wish(ticket, email=f"buyer{number}@example.org"))
    assert shop.stock(ticket) == (3, 0)


def test_a_closed_event_sells_nothing(shop: Shop) -> None:
    """F13."""
    ticket = shop.ticket()
    placed = shop.place(shop.wish(ticket))
    with shop.of.database.tenant_session(shop.of.tenant.id) as session:
        session.get_one(Event, shop.of.event.id).status = "cancelling"
        session.commit()
    order = shop.run(placed)
    assert (order.status, order.problem) == ("failed", "event_closed")
    assert shop.charges(order) == []
    assert shop.stock(ticket) == (0, 0)
    with pytest.raises(NotOnSale):
        shop.place(shop.wish(ticket))


def test_free_tickets_ask_nobody_for_money(shop: Shop) -> None:
    order = shop.buy(shop.wish(shop.ticket(price=0), method=""))
    assert order.status == "paid"
    assert shop.of.payments() == [] == shop.of.rows(Invoice)
    assert len(shop.of.rows(Attendee)) == 1


def test_a_hold_that_expires_puts_the_tickets_back(any_shop: Shop) -> None:
    shop = any_shop
    ticket = shop.ticket(quota=1)
    order = shop.place(shop.wish(ticket))
    assert expire_due_tx(shop.desk) == 0
    shop.of.pass_time(15 * 60 + 1)
    assert expire_due_tx(shop.desk) == 1
    assert expire_due_tx(shop.desk) == 0
    assert (shop.order(order).status, shop.stock(ticket)) == ("expired", (0, 0))
    shop.run(order)
    assert shop.charges(order) == []
    assert shop.buy(shop.wish(ticket)).status == "paid"


def test_printed_tickets_get_postage_and_one_parcel(any_shop: Shop) -> None:
    shop = any_shop
    shop.settings(
        shipping_rates=[
            {"countries": ["DE"], "most_tickets": 10, "price_minor": 390},
            {"countries": ["*"], "price_minor": 890},
        ]
    )
    ticket = shop.ticket(is_shipped=True)
    order = shop.buy(shop.wish(ticket, address=BERLIN))
    assert (order.total_minor, order.shipping_minor) == (4_590, 390)
    shop.run(order)
    (parcel,) = shop.of.rows(Shipment)
    assert parcel.parcel_no.startswith(f"OP-{order.code}-")
    assert parcel.label["lines"][-2:] == ["10115 Berlin", "DE"]
    assert set(shop.steps(order).values()) == {"done"}
    with pytest.raises(BadWish):
        shop.place(shop.wish(ticket))


def test_a_warehouse_that_fails_is_not_the_buyers_trouble(shop: Shop) -> None:
    """F22, F25."""
    shop.settings(warehouse_url="https://warehouse.example/orders")
    gone = HookCallFailed("connect", "nobody is there")
    shop.warehouse.answers = [gone, 503, *([500] * 5)]
    order = shop.buy(shop.wish(shop.ticket()))
    assert order.status == "paid"
    assert len(shop.of.mails("order_confirmation")) == 1
    steps = shop.steps(order)
    assert (steps["send_confirmation"], steps["notify_warehouse"]) == ("done", "failed")
    keys = {headers["Idempotency-Key"] for _, headers, _ in shop.warehouse.told}
    bodies = [json.loads(body) for *_, body in shop.warehouse.told]
    assert len(shop.warehouse.told) == 7
    assert keys == {body["id"] for body in bodies}
    assert len(keys) == 1
    titles = {each.kind for each in shop.of.rows(Notification)}
    assert "order.needs_attention" in titles


def test_invoices_are_numbered_without_gaps(shop: Shop) -> None:
    ticket = shop.ticket()
    for _ in range(3):
        shop.buy(shop.wish(ticket))
    year = shop.of.clock.now().year
    numbers = [invoice.number for invoice in shop.of.rows(Invoice)]
    assert numbers == [f"INV-{year}-{n:05d}" for n in (1, 2, 3)]


def test_sold_and_stock_agree(shop: Shop) -> None:
    ticket = shop.ticket(quota=4)
    for names in (["A"], ["B", "C"]):
        shop.buy(shop.wish(ticket, names))
    with shop.of.database.tenant_session(shop.of.tenant.id) as session:
        active = session.scalar(select(func.count()).select_from(Attendee))
        paid = session.scalar(select(func.sum(Payment.amount_minor)))
    assert (active, paid, shop.stock(ticket)) == (3, 3 * 4_200, (0, 3))
