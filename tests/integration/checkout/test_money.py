"""Money under trouble: lost answers, pending payments, two tabs, sold out, cancelled in between."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from meet2be.attendees.models import Attendee
from meet2be.checkout.cancelling import cancel_order, pay_again, retry_step
from meet2be.checkout.errors import OrderNotInState, SoldOut
from meet2be.checkout.expiry import expire_due_tx, resume_stale_tx
from meet2be.checkout.giving_up import give_up_tx
from meet2be.checkout.steps import Wait
from meet2be.orders.models import Order
from support.ordering import Shop

CREATE = "payment_intent.create"
ASKS = "pm_card_threeDSecure2Required"
DECLINED = "pm_card_chargeDeclined"


def provider_id(shop: Shop, number: int = 0) -> str:
    """Return the provider's id of a payment."""
    return shop.of.payments()[number].provider_ref or ""


def again(shop: Shop, order: Order, step: str) -> None:
    """Have a person try a step again."""
    shop.act(retry_step, order.uid, step, shop.of.admin)


def test_an_answer_lost_after_capture_charges_once(any_shop: Shop) -> None:
    """F14."""
    shop = any_shop
    shop.of.provider.control.rule("error_after", call=CREATE, times=1, status=502)
    order = shop.buy(shop.wish(shop.ticket()))
    assert order.status == "paid"
    assert len(shop.charges(order)) == 1
    assert [payment.status for payment in shop.of.payments()] == ["succeeded"]


def test_a_stored_failure_is_left_behind_only_after_a_look(shop: Shop) -> None:
    """F14: the provider answers 500 under this key for ever; what it took is found by our mark."""
    shop.of.provider.control.rule("error_after", call=CREATE, times=1, status=500)
    taken = shop.buy(shop.wish(shop.ticket()))
    shop.of.provider.control.rule("error_before", call=CREATE, times=1, status=500)
    not_taken = shop.buy(shop.wish(shop.ticket(name="Other")))
    for order in (taken, not_taken):
        assert order.status == "paid"
        assert len(shop.charges(order)) == 1


def test_a_key_in_use_is_waited_for(shop: Shop) -> None:
    """F15."""
    shop.of.provider.control.rule("rate_limit", call=CREATE, times=2)
    order = shop.buy(shop.wish(shop.ticket()))
    assert order.status == "paid"
    assert len(shop.charges(order)) == len(shop.of.payments()) == 1


def test_a_declined_card_may_be_replaced_while_the_tickets_are_held(shop: Shop) -> None:
    ticket = shop.ticket()
    order = shop.buy(shop.wish(ticket, method=DECLINED))
    assert (order.status, order.problem, shop.stock(ticket)) == ("pending", "card_declined", (1, 0))
    shop.act(pay_again, order.buyer_key, "pm_card_visa")
    order = shop.run(order)
    assert (order.status, order.problem) == ("paid", None)
    assert [payment.status for payment in shop.of.payments()] == ["failed", "succeeded"]
    with pytest.raises(OrderNotInState):
        shop.act(pay_again, order.buyer_key, "pm_card_visa")


def test_a_pending_payment_blocks_nobody_and_goes_on_by_its_message(any_shop: Shop) -> None:
    """F16."""
    shop = any_shop
    ticket = shop.ticket()
    order = shop.run(shop.place(shop.wish(ticket, method=ASKS)))
    assert shop.steps(order)["process_payment"] == "waiting"
    assert shop.run(order).status == "pending"
    shop.of.provider.control.settle_payment(provider_id(shop))
    assert shop.tell("payment_intent.succeeded") == ["payment_succeeded"]
    assert shop.run(order).status == "paid"
    assert shop.stock(ticket) == (0, 1)


def test_a_pending_payment_that_fails_lets_the_buyer_try_again(shop: Shop) -> None:
    """F16."""
    order = shop.run(shop.place(shop.wish(shop.ticket(), method=ASKS)))
    shop.of.provider.control.settle_payment(provider_id(shop), "requires_payment_method")
    shop.tell("payment_intent.payment_failed")
    shop.run(order)
    assert shop.steps(order)["process_payment"] == "failed"
    shop.act(pay_again, order.buyer_key, "pm_card_visa")
    assert shop.run(order).status == "paid"


def test_of_two_payments_the_second_is_paid_back(any_shop: Shop) -> None:
    """F17: the one that came later goes back, though it was begun first."""
    shop = any_shop
    order = shop.run(shop.place(shop.wish(shop.ticket(), method=ASKS)))
    shop.act(pay_again, order.buyer_key, "pm_card_visa")
    assert shop.run(order).status == "paid"
    shop.of.provider.control.settle_payment(provider_id(shop))
    shop.tell("payment_intent.succeeded")
    for _ in range(2):
        shop.run(order)
        shop.send_refunds()
    (refund,) = shop.of.refunds()
    first, second = shop.of.payments()
    assert (refund.status, refund.amount_minor, refund.reason) == ("succeeded", 4_200, "paid_twice")
    assert refund.payment_id == first.id
    assert [each.payment_id for each in shop.of.rows(Attendee)] == [second.id]
    assert (first.invoice_id, second.invoice_id is None) == (None, False)
    assert shop.paid_back(order) == 4_200
    (mail,) = shop.of.mails("order_money_back")
    assert "paid twice" in (mail.body_text or "")


def test_of_two_payments_before_the_sale_the_first_that_came_counts(shop: Shop) -> None:
    """F17."""
    order = shop.run(shop.place(shop.wish(shop.ticket(), method=ASKS)))
    shop.act(pay_again, order.buyer_key, "pm_card_visa")
    shop.run(order, upto="process_payment")
    shop.of.provider.control.settle_payment(provider_id(shop))
    shop.tell("payment_intent.succeeded")
    assert shop.run(order).status == "paid"
    first, second = shop.of.payments()
    assert second.invoice_id is not None
    assert [(each.payment_id, each.reason) for each in shop.send_refunds()] == [
        (first.id, "paid_twice")
    ]


def test_what_was_kept_of_a_cancelled_order_stays(shop: Shop) -> None:
    """F23: late news of an order that was sold and cancelled pays nothing more back."""
    order = shop.buy(shop.wish(shop.ticket()))
    with shop.of.database.tenant_session(shop.of.tenant.id) as session:
        session.get_one(Order, order.id).status = "cancelled"  # by a run that kept a fee
        session.commit()
    shop.run(order)
    assert shop.of.refunds() == []


@pytest.mark.parametrize("others", [0, 1])
def test_money_after_expiry_tries_its_luck(any_shop: Shop, others: int) -> None:
    """F18: with a ticket left it is theirs; without, the money goes back with a mail."""
    shop = any_shop
    ticket = shop.ticket(quota=1)
    order = shop.run(shop.place(shop.wish(ticket, method=ASKS)))
    shop.of.pass_time(15 * 60 + 1)
    assert expire_due_tx(shop.desk) == 1
    for _ in range(others):
        shop.buy(shop.wish(ticket))
    shop.of.provider.control.settle_payment(provider_id(shop))
    shop.tell("payment_intent.succeeded")
    order = shop.run(order)
    if not others:
        assert (order.status, shop.stock(ticket)) == ("paid", (0, 1))
        return
    assert (order.status, order.problem, shop.stock(ticket)) == ("failed", "sold_out", (0, 1))
    shop.send_refunds()
    assert shop.paid_back(order) == 4_200
    (mail,) = shop.of.mails("order_apology")
    assert "42.00" in (mail.body_text or "")
    assert len(shop.of.rows(Attendee)) == 1


def test_the_last_ticket_is_sold_once_to_fifty_buyers(any_shop: Shop) -> None:
    """F19."""
    shop = any_shop
    ticket = shop.ticket(quota=1)
    start = threading.Barrier(10)
    wishes = [shop.wish(ticket, [f"Buyer {number}"], method=ASKS) for number in range(50)]

    def try_it(number: int) -> Order | None:
        if number < 10:
            start.wait(60)
        try:
            return shop.place(wishes[number])
        except SoldOut:
            return None

    with ThreadPoolExecutor(10) as pool:
        placed = [order for order in pool.map(try_it, range(50)) if order is not None]
    assert len(placed) == len(shop.of.rows(Order)) == 1
    assert shop.stock(ticket) == (1, 0)


def test_late_payers_race_for_the_last_ticket(any_shop: Shop) -> None:
    """F19: all pay after their holds; one gets it, each other one its money back."""
    shop = any_shop
    ticket = shop.ticket(quota=6)
    orders = [
        shop.run(shop.place(shop.wish(ticket, method=ASKS, email=f"{name}@example.org")))
        for name in "abcdef"
    ]
    shop.of.pass_time(15 * 60 + 1)
    assert expire_due_tx(shop.desk) == 6
    with shop.of.database.tenant_session(shop.of.tenant.id) as session:
        session.get_one(type(ticket), ticket.id).quota = 1
        session.commit()
    for number in range(6):
        shop.of.provider.control.settle_payment(provider_id(shop, number))
    shop.tell("payment_intent.succeeded")
    with ThreadPoolExecutor(6) as pool:
        ended = list(pool.map(shop.run, orders))
    assert sorted(order.status for order in ended) == ["failed"] * 5 + ["paid"]
    shop.send_refunds()
    back = sorted(shop.paid_back(order) for order in orders)
    assert back == [0, *([4_200] * 5)]
    assert shop.stock(ticket) == (0, 1)
    assert len(shop.of.rows(Attendee)) == 1


def test_an_order_whose_money_is_in_keeps_its_tickets_until_somebody_helps(shop: Shop) -> None:
    ticket = shop.ticket(quota=1)
    order = shop.run(shop.place(shop.wish(ticket)), upto="process_payment")
    give_up_tx(shop.desk, shop.of.tenant.id, order.uid, "update_inventory", "no disk")
    shop.of.pass_time(15 * 60 + 1)
    assert expire_due_tx(shop.desk) == 0
    assert (shop.order(order).status, shop.stock(ticket)) == ("pending", (1, 0))
    again(shop, order, "update_inventory")
    assert shop.run(order).status == "paid"
    assert shop.stock(ticket) == (0, 1)


@pytest.mark.parametrize(
    "upto", ["validate_order", "process_payment", "update_inventory", "send_confirmation"]
)
def test_a_cancel_in_mid_chain_takes_everything_back(shop: Shop, upto: str) -> None:
    """F23."""
    ticket = shop.ticket()
    order = shop.run(shop.place(shop.wish(ticket)), upto=upto)
    shop.act(cancel_order, order.uid, None, "They asked for it.")
    order = shop.run(order)
    shop.send_refunds()
    assert (order.status, shop.stock(ticket)) == ("cancelled", (0, 0))
    assert shop.paid_back(order) == 4_200 * len(shop.charges(order))
    assert len(shop.charges(order)) == (0 if upto == "validate_order" else 1)
    assert {each.status for each in shop.of.rows(Attendee)} <= {"cancelled"}
    refunded = sum(each.refunded_minor for each in shop.of.rows(Attendee))
    sold = upto in {"update_inventory", "send_confirmation"}
    assert refunded == (4_200 if sold else 0)
    before = shop.of.refunds()
    shop.run(order)
    assert len(shop.of.refunds()) == len(before)


def test_money_for_a_cancelled_order_goes_back(shop: Shop) -> None:
    """F23: once, with a mail."""
    order = shop.run(shop.place(shop.wish(shop.ticket(), method=ASKS)))
    shop.act(cancel_order, order.uid, None, "They asked for it.")
    shop.of.provider.control.settle_payment(provider_id(shop))
    shop.tell("payment_intent.succeeded")
    for _ in range(2):
        shop.run(order)
        shop.send_refunds()
    assert shop.paid_back(order) == 4_200
    (mail,) = shop.of.mails("order_money_back")
    assert "after the order had ended" in (mail.body_text or "")


@pytest.mark.parametrize("taken", [True, False])
def test_a_payment_under_way_when_its_order_is_cancelled_is_looked_up(
    any_shop: Shop, taken: bool
) -> None:
    """F14, F23: the charge went through and its answer was lost, or it was never made."""
    shop = any_shop
    ticket = shop.ticket()
    rule = "error_after" if taken else "error_before"
    shop.of.provider.control.rule(rule, call=CREATE, times=1, status=503)
    order = shop.run(shop.place(shop.wish(ticket)), upto="validate_order")
    assert isinstance(shop.links(order)["process_payment"](), Wait)
    shop.act(cancel_order, order.uid, None, "They asked for it.")
    assert shop.steps(order)["process_payment"] == "doing"
    shop.of.pass_time(11 * 60)
    assert resume_stale_tx(shop.desk) == 1
    assert shop.run(order).status == "cancelled"
    assert shop.steps(order)["process_payment"] == ("compensated" if taken else "dropped")
    shop.send_refunds()
    assert (len(shop.charges(order)), shop.paid_back(order)) == ((1, 4_200) if taken else (0, 0))
    assert len(shop.of.mails("order_money_back")) == taken
    assert shop.stock(ticket) == (0, 0)
    assert resume_stale_tx(shop.desk) == 0


def test_what_is_put_off_waits_its_time_in_any_chain(shop: Shop) -> None:
    shop.of.provider.control.rule("error_before", call=CREATE, times=1, status=503)
    order = shop.run(shop.place(shop.wish(shop.ticket())), upto="validate_order")
    pay = shop.links(order)["process_payment"]
    first = pay()
    assert isinstance(first, Wait) and first.seconds > 1
    asked = shop.of.provider.control.summary()["calls"]
    second = pay()
    assert isinstance(second, Wait) and 0 < second.seconds <= first.seconds
    assert shop.of.provider.control.summary()["calls"] == asked
    assert resume_stale_tx(shop.desk) == 0
    assert shop.run(order).status == "paid"


def test_a_person_has_a_step_tried_that_waits(shop: Shop) -> None:
    shop.settings(warehouse_url="https://warehouse.example/orders")
    shop.warehouse.answers = [503]
    order = shop.run(shop.place(shop.wish(shop.ticket())), upto="send_confirmation")
    tell_it = shop.links(order)["notify_warehouse"]
    assert isinstance(tell_it(), Wait)
    again(shop, order, "notify_warehouse")
    assert tell_it() == "go"
    with pytest.raises(OrderNotInState):
        again(shop, order, "notify_warehouse")
