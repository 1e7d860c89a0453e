"""Buying tickets on the public pages, and what the organisation sees and does with orders."""

import re
from typing import Any

import pytest
from sqlalchemy import select

from meet2be.attendees.models import Attendee
from meet2be.checkout.listing import buyers_view
from meet2be.db import Database, GuardedSession
from meet2be.figures.computing import compute_tx
from meet2be.orders.models import Order
from meet2be.payments.models import Payment
from meet2be.payments.provider import OUTSIDE, PAGE_METHOD
from meet2be.tenancy.models import Tenant
from support.ordering import BERLIN, Shop
from support.stage import Stage


@pytest.fixture
def shop(stage: Stage) -> Shop:
    """The stage's event, with a box office."""
    return Shop(stage.conference)


def address(shop: Shop) -> str:
    return f"/t/{shop.of.tenant.slug}/{shop.of.event.slug}"


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def test_a_ticket_is_bought_and_seen_by_the_organiser(stage: Stage, shop: Shop) -> None:
    ticket, buyer = shop.ticket(name="Early bird", quota=3), stage.web.anybody()
    assert "Early bird" in buyer.page(address(shop))
    chosen = f"n{ticket.id}"
    form = buyer.page(f"{address(shop)}?{chosen}=2")
    fields = {
        chosen: "2", f"name{ticket.id}-1": "Ada Arden", f"name{ticket.id}-2": "Abe Arden",
        "name": "Bea Buyer", "email": "bea@example.org", "method": "pm_card_visa",
        "client_key": hidden(form, "client_key"), "csrf_token": hidden(form, "csrf_token"),
    }  # fmt: skip
    placed = buyer.client.post(address(shop), data=fields)
    again = buyer.client.post(address(shop), data=fields)
    assert placed.status_code == 303
    assert placed.location == again.location
    assert "being completed" in buyer.page(placed.location)
    (order,) = shop.of.rows(Order, Order.client_key.is_not(None))
    shop.run(order)
    page = buyer.page(placed.location)
    assert "Your order is complete" in page
    assert "hx-get" not in page
    assert order.code in stage.admin.page("/orders")
    assert order.code not in stage.admin.page("/orders?state=failed")
    assert order.code in stage.admin.page("/orders?q=bea@example.org")
    shown = stage.admin.page(f"/orders/{order.uid}")
    assert "Ada Arden" in shown
    assert "Take the payment" in shown
    assert "is on its way to bea@example.org" in page
    with shop.of.database.system_session("test: suspend") as session:
        session.get_one(Tenant, shop.of.tenant.id).status = "suspended"
        session.commit()
    held = buyer.page(placed.location)
    assert "is on its way to" not in held
    assert "Mails of this organiser are held at the moment" in held


def test_a_buyer_without_an_account_chooses_the_language_and_the_order_keeps_it(
    stage: Stage, shop: Shop
) -> None:
    ticket, buyer = shop.ticket(quota=3), stage.web.anybody()
    chosen = f"n{ticket.id}"
    offer = buyer.page(f"{address(shop)}?{chosen}=1")
    back = hidden(offer, "next")
    assert back == f"{address(shop)}?{chosen}=1"
    fields = {"csrf_token": hidden(offer, "csrf_token"), "language": "de", "next": back}
    answer = buyer.client.post("/language", data=fields)
    assert (answer.status_code, answer.location) == (303, back)
    form = buyer.page(back)
    assert '<html lang="de">' in form
    fields = {
        chosen: "1", f"name{ticket.id}-1": "Ada Arden", "name": "Bea Buyer",
        "email": "bea@example.org", "method": "pm_card_visa",
        "client_key": hidden(form, "client_key"), "csrf_token": hidden(form, "csrf_token"),
    }  # fmt: skip
    placed = buyer.client.post(address(shop), data=fields)
    (order,) = shop.of.rows(Order, Order.client_key.is_not(None))
    assert order.locale == "de-DE"
    own = hidden(buyer.page(placed.location), "next")
    assert own == placed.location.partition("?")[0], "nobody is led on a second time"


def test_the_same_from_a_form_gone_back_to_is_asked_of_first(stage: Stage, shop: Shop) -> None:
    ticket, buyer = shop.ticket(), stage.web.anybody()
    fields = {
        f"n{ticket.id}": "1", f"name{ticket.id}-1": "Ada Arden", "name": "Bea Buyer",
        "email": "bea@example.org", "method": "pm_card_visa",
    }  # fmt: skip

    def send(**more: str) -> Any:
        form = buyer.page(f"{address(shop)}?n{ticket.id}=1")
        own = {name: hidden(form, name) for name in ("client_key", "csrf_token")}
        return buyer.client.post(address(shop), data={**fields, **own, **more})

    assert send().status_code == 303
    asked = send()
    assert asked.status_code == 422
    assert "You have ordered these tickets for these people already." in asked.text
    assert "Order once more" in asked.text
    assert hidden(asked.text, "again") == "yes"
    assert len(shop.of.rows(Order, Order.client_key.is_not(None))) == 1
    assert send(**{f"name{ticket.id}-1": "Abe Arden"}).status_code == 303
    assert send(again="yes").status_code == 303
    assert len(shop.of.rows(Order, Order.client_key.is_not(None))) == 3


def test_what_cannot_be_had_is_said_before_the_form(stage: Stage, shop: Shop) -> None:
    gone, few, plenty = (
        shop.ticket(name=name, quota=quota)
        for name, quota in (("Gala", 0), ("Dinner", 2), ("Day", 9))
    )
    buyer, page = stage.web.anybody(), ""
    for query, words in (
        (f"n{gone.id}=1", "“Gala” is sold out."),
        (f"n{few.id}=3&n{plenty.id}=2", "Only 2 tickets “Dinner” are left."),
    ):
        page = buyer.page(f"{address(shop)}?{query}")
        assert words in page
        assert "Who comes?" not in page
    assert "<option selected>2</option>" in page
    form = buyer.page(f"{address(shop)}?n{few.id}=2&n{plenty.id}=1")
    assert "Dinner: ticket 2" in form
    assert "€42.00 each" in form
    shop.place(shop.wish(few))
    assert "Dinner: ticket 2" in buyer.page(f"{address(shop)}?n{few.id}=2")
    with shop.of.database.tenant_session(shop.of.tenant.id) as session:
        session.get_one(type(few), few.id).quota = 1
        session.commit()
    assert "perhaps for yours" in buyer.page(f"{address(shop)}?n{few.id}=1")


def test_a_bad_form_says_what_to_mend_and_keeps_what_was_typed(stage: Stage, shop: Shop) -> None:
    ticket, buyer = shop.ticket(), stage.web.anybody()
    page = buyer.page(f"{address(shop)}?n{ticket.id}=1")
    answer = buyer.client.post(
        address(shop),
        data={
            f"n{ticket.id}": "1", f"name{ticket.id}-1": "Ada Arden", "name": "Bea",
            "email": "nobody", "method": "pm_card_visa",
            "client_key": hidden(page, "client_key"), "csrf_token": hidden(page, "csrf_token"),
        },
    )  # fmt: skip
    assert answer.status_code == 422
    assert "no e-mail address" in answer.text
    assert 'value="Ada Arden"' in answer.text
    assert shop.of.rows(Order, Order.client_key.is_not(None)) == []


def test_a_price_that_changed_is_shown_before_anything_is_ordered(stage: Stage, shop: Shop) -> None:
    shop.settings(shipping_rates=[{"countries": ["DE"], "price_minor": 390}])
    ticket, buyer = shop.ticket(is_shipped=True), stage.web.anybody()
    form = buyer.page(f"{address(shop)}?n{ticket.id}=1")
    fields = {
        f"n{ticket.id}": "1", f"name{ticket.id}-1": "Ada Arden", "name": "Bea Buyer",
        "email": "bea@example.org", "method": "pm_card_visa", "shown": hidden(form, "shown"),
        "client_key": hidden(form, "client_key"), "csrf_token": hidden(form, "csrf_token"),
        **{f"address_{name}": value for name, value in BERLIN.items()},
    }  # fmt: skip
    answer = buyer.client.post(address(shop), data=fields)
    assert answer.status_code == 422
    assert "your order comes to €45.90" in answer.text
    with shop.of.database.tenant_session(shop.of.tenant.id) as session:
        session.get_one(type(ticket), ticket.id).price_minor = 5_000
        session.commit()
    answer = buyer.client.post(address(shop), data=fields | {"shown": hidden(answer.text, "shown")})
    assert "your order comes to €53.90" in answer.text
    assert shop.of.rows(Order, Order.client_key.is_not(None)) == []
    shown = hidden(answer.text, "shown")
    other = buyer.client.post(address(shop), data=fields | {"shown": shown.replace("EUR", "GBP")})
    assert (shown, other.status_code) == ("5390 EUR", 422), "so many pounds were meant"
    answer = buyer.client.post(address(shop), data=fields | {"shown": shown})
    assert answer.status_code == 303
    (order,) = shop.of.rows(Order, Order.client_key.is_not(None))
    assert order.total_minor == 5_390
    assert order.placed_from is not None


def test_the_buyer_is_led_to_the_payment_page_and_back(stage: Stage, shop: Shop) -> None:
    buyer = stage.web.anybody()
    order = shop.place(shop.wish(shop.ticket(), method=PAGE_METHOD))
    own = f"{address(shop)}/orders/{order.buyer_key}"
    assert "being completed" in buyer.page(f"{own}?came=new")
    assert buyer.get(f"{own}/state?stage=working&came=new").status_code == 204
    shop.run(order)
    *_, payment = shop.of.payments()
    led = buyer.get(f"{own}/state?stage=working&came=new")
    there = f"{shop.of.provider.url}/pay/{payment.page_ref}"
    assert led.headers["HX-Redirect"] == there
    here = buyer.page(f"{own}?came=new")  # no redirect: it would be the form's, to another host
    assert f'<meta http-equiv="refresh" content="0; url={there}">' in here
    assert "Go to the payment page" in here
    back = buyer.page(f"{own}?came=back")
    assert "Go to the payment page" in back
    assert there in back
    assert 'http-equiv="refresh"' not in back
    shop.of.provider.control.pay_page(payment.page_ref or "")
    paid = buyer.page(f"{own}?came=paid")
    assert "We are waiting for your bank" in paid
    assert "hx-get" in paid
    shop.run(order)  # the return had the provider asked, before any message
    assert "Your order is complete" in buyer.get(f"{own}/state?stage=page&came=paid").text


def test_a_look_at_the_own_page_writes_nothing_and_reads_the_order_once(
    stage: Stage, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer, reads = stage.web.anybody(), []
    order = shop.run(shop.place(shop.wish(shop.ticket(), method=PAGE_METHOD)))
    own = f"{address(shop)}/orders/{order.buyer_key}"
    database = stage.web.services.database
    session = type(database).tenant_session

    def opened(self: Database, tenant_id: int, *, read_only: bool = False) -> GuardedSession:
        reads.append("reads" if read_only else "writes")
        return session(self, tenant_id, read_only=read_only)

    def viewed(*given: Any) -> Any:
        reads.append("looks")
        return buyers_view(*given)

    monkeypatch.setattr(type(database), "tenant_session", opened)
    monkeypatch.setattr("meet2be.web.checkout.buyers_view", viewed)
    for path in (f"{own}?came=new", f"{own}/state?stage=working&came=back"):
        reads.clear()
        assert buyer.get(path).status_code == 200
        assert reads == ["reads", "looks"]
    reads.clear()
    buyer.page(f"{own}?came=paid")
    assert reads == ["reads", "looks", "writes"]


def test_in_production_only_the_providers_page_takes_money(
    stage: Stage, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket, buyer = shop.ticket(), stage.web.anybody()
    monkeypatch.setattr(type(stage.web.services.settings), "is_production", True)
    form = buyer.page(f"{address(shop)}?n{ticket.id}=1")
    assert "pm_card" not in form
    fields = {
        f"n{ticket.id}": "1", f"name{ticket.id}-1": "Ada Arden", "name": "Bea Buyer",
        "email": "bea@example.org", "client_key": hidden(form, "client_key"),
        "csrf_token": hidden(form, "csrf_token"),
    }  # fmt: skip
    refused = buyer.client.post(address(shop), data=fields | {"method": "pm_card_visa"})
    assert (refused.status_code, "Choose how to pay" in refused.text) == (422, True)
    way = hidden(form, "method")
    assert buyer.client.post(address(shop), data=fields | {"method": way}).status_code == 303


def test_what_is_not_on_sale_is_not_told_apart(stage: Stage, shop: Shop) -> None:
    buyer = stage.web.anybody()
    assert buyer.get(f"/t/{shop.of.tenant.slug}/nothing").status_code == 404
    assert buyer.get("/t/nobody/nothing").status_code == 404
    assert buyer.get(f"{address(shop)}/orders/guessed").status_code == 404
    assert buyer.get(f"{address(shop)}/orders/guessed/state").status_code == 404


def test_an_organiser_pays_tickets_back_and_a_viewer_does_not(stage: Stage, shop: Shop) -> None:
    ticket = shop.ticket()
    order = shop.buy(shop.wish(ticket, ["Ada", "Abe"]))
    first, second = shop.of.rows(Attendee, Attendee.order_id == order.id)
    path = f"/orders/{order.uid}"
    given = {"ticket": first.uid, "reason": "They are ill.", "cancel": "yes"}
    assert stage.as_a("viewer").post(f"{path}/refund", **given).status_code == 403
    organiser = stage.as_a("organiser")
    assert organiser.post(f"{path}/refund", ticket=first.uid).status_code == 422
    assert organiser.post(f"{path}/refund", **given).status_code == 303
    assert organiser.post(f"{path}/refund", **given).status_code == 303  # cancelled before
    shop.send_refunds()
    first, second = shop.of.rows(Attendee, Attendee.order_id == order.id)
    assert (first.status, first.refunded_minor) == ("cancelled", 4_200)
    assert (second.status, second.refunded_minor) == ("active", 0)
    assert shop.stock(ticket) == (0, 1)
    assert shop.paid_back(order) == 4_200
    assert "paid back" in organiser.page(path)
    assert organiser.post(f"{path}/confirmation").status_code == 303
    assert len(shop.of.mails("order_confirmation")) == 2
    assert organiser.post(f"{path}/steps/update_inventory").status_code == 409
    assert organiser.post(f"{path}/cancel", reason="All are ill.").status_code == 303
    shop.send_refunds()
    assert shop.paid_back(order) == 8_400
    assert shop.stock(ticket) == (0, 0)


def test_a_failed_refund_is_tried_again_or_marked_as_paid(stage: Stage, shop: Shop) -> None:
    order = shop.buy(shop.wish(shop.ticket(), ["Ada", "Abe"]))
    shop.of.provider.control.rule("refuse", times=2)
    organiser = stage.as_a("organiser")
    for attendee in shop.of.rows(Attendee, Attendee.order_id == order.id):
        given = {"ticket": attendee.uid, "reason": "They are ill."}
        assert organiser.post(f"/orders/{order.uid}/refund", **given).status_code == 303
    shop.send_refunds()
    first, second = (each for each in shop.of.refunds() if each.order_id == order.id)
    page = stage.admin.page(f"/refunds/{first.uid}")
    assert "Try again" in page and "Mark as paid" in page
    assert stage.admin.post(f"/refunds/{first.uid}/retry").status_code == 303
    assert "Try again" not in stage.admin.page(f"/refunds/{first.uid}")
    paid = stage.admin.post(f"/refunds/{second.uid}/mark-paid", reason="In cash.")
    assert paid.status_code == 303
    shop.send_refunds()
    assert {
        each.refunded_minor for each in shop.of.rows(Attendee, Attendee.order_id == order.id)
    } == {4_200}
    assert shop.paid_back(order) == 4_200


def test_money_that_came_in_elsewhere_is_told_as_such(stage: Stage) -> None:
    with stage.conference.database.tenant_session(stage.conference.tenant.id) as session:
        payment = session.scalars(select(Payment).order_by(Payment.id)).first()
        assert payment is not None
        uid = session.get_one(Order, payment.order_id).uid
        payment.provider, payment.provider_ref = OUTSIDE, None
        session.commit()
    assert "came in elsewhere" in stage.admin.page(f"/orders/{uid}")


def test_a_failed_step_is_tried_again(stage: Stage, shop: Shop) -> None:
    """F21, F22."""
    shop.settings(warehouse_url="https://warehouse.example/orders")
    shop.warehouse.answers = [500] * 7
    order = shop.buy(shop.wish(shop.ticket()))
    assert "HTTP 500" in stage.admin.page(f"/orders/{order.uid}")
    assert stage.admin.post(f"/orders/{order.uid}/steps/notify_warehouse").status_code == 303
    shop.run(order)
    assert shop.steps(order)["notify_warehouse"] == "done"


def test_postage_is_named_where_it_makes_sums_differ(stage: Stage, shop: Shop) -> None:
    shop.settings(shipping_rates=[{"countries": ["DE"], "price_minor": 390}])
    order = shop.buy(shop.wish(shop.ticket(name="Poster", is_shipped=True), address=BERLIN))
    assert order.shipping_minor == 390
    of = shop.of
    assert compute_tx(of.database, of.tenant.id, of.event.uid, of.clock.now())
    figures = stage.admin.page(f"{stage.event_path}/figures")
    assert "€3.90 of what was received is postage." in figures
    assert ">Taken<" in stage.admin.page(stage.event_path)
