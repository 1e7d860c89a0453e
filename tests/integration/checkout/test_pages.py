"""Paying on the provider's own page: led there, told or not, twice, too late, or never."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from meet2be.attendees.models import Attendee
from meet2be.checkout import paying
from meet2be.checkout.cancelling import cancel_order, pay_again
from meet2be.checkout.expiry import expire_due_tx
from meet2be.checkout.pages import wake_waiting_tx
from meet2be.checkout.steps import Wait
from meet2be.events.models import Event
from meet2be.orders.models import Order, OrderStep
from meet2be.payments.errors import ProviderUnavailable
from meet2be.payments.provider import PAGE_METHOD, PaymentPage
from simulators.control import ControlError
from support.ordering import Shop

COMPLETED = "checkout.session.completed"
SUCCEEDED = "payment_intent.succeeded"


def asked(shop: Shop, quota: int = 10) -> tuple[Order, Any]:
    """Return an order that waits for its buyer on the page, and its kind of ticket."""
    ticket = shop.ticket(quota=quota, name=f"Kind {len(shop.of.payments())}")
    order = shop.run(shop.place(shop.wish(ticket, method=PAGE_METHOD)))
    assert shop.steps(order)["process_payment"] == "waiting"
    return order, ticket


def page(shop: Shop, number: int = 0) -> str:
    """Return the provider's id of a payment's page."""
    return shop.of.payments()[number].page_ref or ""


def pay(shop: Shop, number: int = 0, card: str = "accepted") -> None:
    shop.of.provider.control.pay_page(page(shop, number), card)


def test_the_buyer_is_led_to_the_page_and_the_message_goes_on(any_shop: Shop) -> None:
    shop = any_shop
    order, ticket = asked(shop)
    (step,) = shop.of.rows(OrderStep, OrderStep.step == "process_payment")
    assert step.result["action_url"] == f"{shop.of.provider.url}/pay/{page(shop)}"
    assert shop.run(order).status == "pending"  # nobody waits in a worker
    with pytest.raises(ControlError, match="declined"):
        pay(shop, card="declined")
    pay(shop)
    assert shop.tell(COMPLETED) == ["page"]
    shop.tell(COMPLETED)  # twice: it is the same message
    assert shop.run(order).status == "paid"
    assert shop.tell(SUCCEEDED) == ["old_news"]
    shop.run(order)
    (payment,) = shop.of.payments()
    assert (payment.status, payment.look_at, payment.amount_minor) == ("succeeded", None, 4_200)
    assert payment.provider_ref == shop.charges(order)[0]["payment_intent"]
    assert (len(shop.charges(order)), shop.of.refunds()) == (1, [])
    assert shop.stock(ticket) == (0, 1)


def test_a_card_declined_on_the_page_leaves_it_open(shop: Shop) -> None:
    """Stripe tells of such a payment as failed; the buyer tries the next card on the same page."""
    order, _ = asked(shop)
    (payment,) = shop.of.payments()
    declined = {
        "id": f"evt_{payment.uid}", "type": "payment_intent.payment_failed", "livemode": False,
        "created": int(shop.of.clock.time()),
        "data": {"object": {"id": "pi_declined", "metadata": {"m2b_payment": payment.uid}}},
    }  # fmt: skip
    shop.of.tell(json.dumps(declined).encode())
    shop.run(order)
    assert shop.steps(order)["process_payment"] == "waiting"
    assert [each.status for each in shop.of.payments()] == ["pending"]
    pay(shop)
    shop.tell(COMPLETED)
    assert shop.run(order).status == "paid"


def test_a_lost_message_is_made_up_for_by_looking(any_shop: Shop) -> None:
    shop = any_shop
    order, _ = asked(shop)
    pay(shop)
    assert wake_waiting_tx(shop.desk) == 0
    shop.of.pass_time(181)
    assert (wake_waiting_tx(shop.desk), wake_waiting_tx(shop.desk)) == (1, 0)
    assert shop.run(order).status == "paid"
    shop.of.pass_time(3600)
    assert wake_waiting_tx(shop.desk) == 0


def test_the_same_goes_for_a_bank_that_asked_to_confirm(shop: Shop) -> None:
    wish = shop.wish(shop.ticket(), method="pm_card_threeDSecure2Required")
    order = shop.run(shop.place(wish))
    shop.of.provider.control.settle_payment(shop.of.payments()[0].provider_ref or "")
    shop.of.pass_time(181)
    assert wake_waiting_tx(shop.desk) == 1
    assert shop.run(order).status == "paid"


@pytest.mark.parametrize("is_told", [True, False])
def test_a_page_that_expires_puts_the_tickets_back(shop: Shop, is_told: bool) -> None:
    order, ticket = asked(shop)
    held = shop.order(order).expires_at
    assert held is not None and held >= shop.of.clock.now() + timedelta(minutes=34)
    shop.of.pass_time(33 * 60 + 1)
    if is_told:
        assert shop.tell("checkout.session.expired") == ["page"]
    else:
        assert wake_waiting_tx(shop.desk) == 1
    assert shop.run(order).status == "expired"
    assert shop.stock(ticket) == (0, 0)
    assert [each.status for each in shop.of.payments()] == ["failed"]
    with pytest.raises(ControlError, match="cannot be paid"):
        pay(shop)


class Clinging:
    """A provider whose pages cannot be closed."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def close_page(self, ref: str, *_more: object, **_named: object) -> PaymentPage:
        raise ProviderUnavailable("stripe", f"close {ref}", "the line is dead")


def test_of_two_pages_paid_in_two_tabs_the_second_is_paid_back(any_shop: Shop) -> None:
    """F17."""
    shop = any_shop
    order, ticket = asked(shop)
    shop.of.desk = replace(shop.of.desk, payments=Clinging(shop.of.desk.payments))
    shop.act(pay_again, order.buyer_key, PAGE_METHOD)
    shop.run(order)
    pay(shop, 1)
    pay(shop, 0)
    shop.tell(COMPLETED)
    assert shop.run(order).status == "paid"
    shop.send_refunds()
    shop.run(order)
    assert len(shop.charges(order)) == 2
    assert shop.paid_back(order) == 4_200
    assert [each.amount_minor for each in shop.of.refunds()] == [4_200]
    assert len(shop.of.mails("order_money_back")) == 1
    (kept,) = [each for each in shop.of.payments() if each.invoice_id is not None]
    assert kept.refunded_minor == 0
    assert [each.payment_id for each in shop.of.rows(Attendee)] == [kept.id]
    assert shop.stock(ticket) == (0, 1)


def test_a_page_nobody_should_pay_on_is_closed(shop: Shop) -> None:
    order, _ = asked(shop)
    shop.act(pay_again, order.buyer_key, PAGE_METHOD)
    shop.run(order)
    with pytest.raises(ControlError, match="expired"):
        pay(shop, 0)
    shop.act(cancel_order, order.uid, None, "They asked for it.")
    shop.run(order)
    with pytest.raises(ControlError, match="expired"):
        pay(shop, 1)
    assert [each.status for each in shop.of.payments()] == ["failed", "failed"]


def test_a_page_paid_as_its_order_is_cancelled_is_paid_back(shop: Shop) -> None:
    """F23."""
    order, ticket = asked(shop)
    pay(shop)
    shop.act(cancel_order, order.uid, None, "They asked for it.")
    assert shop.run(order).status == "cancelled"
    shop.send_refunds()
    assert shop.paid_back(order) == 4_200
    assert len(shop.of.mails("order_money_back")) == 1
    assert shop.stock(ticket) == (0, 0)


@pytest.mark.parametrize("end", ["succeeded", "failed"])
def test_a_slow_bank_is_waited_for_and_may_say_no(shop: Shop, end: str) -> None:
    """F16."""
    order, _ = asked(shop)
    pay(shop, card="bank")
    shop.tell(COMPLETED)
    shop.run(order)
    (payment,) = shop.of.payments()
    assert payment.status == "pending"
    says = "succeeded" if end == "succeeded" else "requires_payment_method"
    shop.of.provider.control.settle_payment(payment.provider_ref or "", says)
    shop.tell(f"checkout.session.async_payment_{end}")
    order = shop.run(order)
    assert [each.status for each in shop.of.payments()] == [end]
    if end == "succeeded":
        assert order.status == "paid"
        return
    assert (order.status, shop.steps(order)["process_payment"]) == ("pending", "failed")
    shop.act(pay_again, order.buyer_key, PAGE_METHOD)
    shop.run(order)
    pay(shop, 1)
    shop.tell(COMPLETED)
    assert shop.run(order).status == "paid"


def test_a_page_whose_answer_is_lost_is_the_same_page_again(shop: Shop) -> None:
    shop.of.provider.control.rule(
        "error_after", call="checkout_session.create", times=1, status=503
    )
    order = shop.run(
        shop.place(shop.wish(shop.ticket(), method=PAGE_METHOD)), upto="validate_order"
    )
    assert isinstance(shop.links(order)["process_payment"](), Wait)
    with shop.of.database.tenant_session(shop.of.tenant.id) as session:
        event = session.get_one(Event, order.event_id)
        event.title, event.slug = "Called otherwise", "moved"
        session.commit()
    order = shop.run(order)
    assert shop.steps(order)["process_payment"] == "waiting"
    assert len(shop.of.payments()) == 1
    calls = shop.of.provider.control.summary()["calls"]
    assert json.dumps(calls).count("checkout_session.create") == 1
    pay(shop)
    shop.tell(COMPLETED)
    assert shop.run(order).status == "paid"


def test_an_order_that_expires_while_its_page_is_opened_is_not_sold_without_money(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = paying._ask

    def slow(*given: Any) -> Any:
        answer = real(*given)
        shop.of.pass_time(40 * 60)
        assert expire_due_tx(shop.desk) == 1
        return answer

    ticket = shop.ticket()
    order = shop.place(shop.wish(ticket, method=PAGE_METHOD))
    with monkeypatch.context() as patched:
        patched.setattr(paying, "_ask", slow)
        order = shop.run(order, upto="process_payment")
    assert order.status == "expired"
    order = shop.run(order)
    assert (order.status, shop.stock(ticket)) == ("expired", (0, 0))
    assert shop.charges(order) == []
