"""Answers that come when somebody else knows more: they never unsay money that is in."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from meet2be.checkout.paying import process_payment
from meet2be.checkout.steps import Outcome
from meet2be.payments.provider import (
    ChargeAnswer,
    Charged,
    ChargeOrder,
    ProviderPayment,
    Refused,
    Uncertain,
)
from support.ordering import Shop, trusted


class Between:
    """A provider in whose calls something else happens before we hear the answer."""

    def __init__(self, shop: Shop, answer: ChargeAnswer, then: Callable[[], object]) -> None:
        self._real, self._answer, self._then = shop.of.desk.payments, answer, then

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def charge(self, order: ChargeOrder) -> ChargeAnswer:
        self._then()
        return self._answer


def late(shop: Shop, order_uid: str, answer: ChargeAnswer, then: Callable[[], object]) -> Outcome:
    """Take an order's payment; when asked, first do `then`, answer afterwards."""
    provider = Between(shop, answer, then)
    desk = replace(shop.desk, desk=replace(shop.of.desk, payments=provider))  # type: ignore[arg-type]
    return process_payment(desk, shop.of.tenant.id, order_uid, trusted)


def test_a_late_no_does_not_unsay_a_payment(any_shop: Shop) -> None:
    shop = any_shop
    order = shop.run(shop.place(shop.wish(shop.ticket())), upto="validate_order")

    def meanwhile() -> None:
        shop.of.pass_time(91)  # the lease is over: another worker charges under the same key
        assert shop.links(order)["process_payment"]() == "go"

    outcome = late(shop, order.uid, Refused("card_declined", "No."), meanwhile)
    assert outcome == "go"
    assert shop.run(order).status == "paid"
    assert [each.status for each in shop.of.payments()] == ["succeeded"]
    assert len(shop.charges(order)) == 1


def test_a_late_answer_that_the_buyer_is_asked_begins_no_second_payment(shop: Shop) -> None:
    order = shop.run(shop.place(shop.wish(shop.ticket())), upto="validate_order")
    asked = ProviderPayment(
        "pi_late", 4_200, "EUR", "pending", "requires_action", shop.of.clock.now()
    )

    def killed() -> None:
        raise LookupError

    def meanwhile() -> None:
        shop.of.pass_time(91)
        with pytest.raises(LookupError):
            process_payment(shop.desk, shop.of.tenant.id, order.uid, killed)

    late(shop, order.uid, Charged(asked), meanwhile)
    assert shop.steps(order)["process_payment"] == "doing"
    shop.of.pass_time(91)
    assert shop.links(order)["process_payment"]() == "stop"
    assert shop.steps(order)["process_payment"] == "waiting"
    assert [each.status for each in shop.of.payments()] == ["pending"]


def test_a_late_no_leaves_another_workers_turn_alone(shop: Shop) -> None:
    order = shop.run(shop.place(shop.wish(shop.ticket())), upto="validate_order")

    def meanwhile() -> None:
        shop.of.pass_time(91)
        late(shop, order.uid, Uncertain("timeout", "No answer."), lambda: None)

    late(shop, order.uid, Refused("card_declined", "No."), meanwhile)
    assert shop.steps(order)["process_payment"] == "doing"
    assert [each.status for each in shop.of.payments()] == ["created"]
    assert shop.run(order).status == "paid"
    assert len(shop.charges(order)) == 1
