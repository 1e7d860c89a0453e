"""Refunds of orders: tried again, put off, swept up, decided by a person; no try is burnt."""

from datetime import timedelta

import pytest

from meet2be.attendees.models import Attendee
from meet2be.checkout.cancelling import cancel_order, refund_tickets
from meet2be.checkout.refund_sending import (
    MOST_REFUNDS,
    _begin_anew,
    give_up_refund_tx,
    resume_refunds_tx,
    send_refund,
)
from meet2be.checkout.steps import Wait
from meet2be.notifications.models import Notification
from meet2be.orders.models import Order
from meet2be.payments.errors import ReasonMissing, RefundNotInState
from meet2be.payments.models import Refund
from meet2be.refunding import again
from support.ordering import Shop, trusted

CREATE = "refund.create"


def pay_back(shop: Shop, order: Order, *names: str) -> None:
    """Open a refund for each named ticket."""
    for attendee in shop.of.rows(Attendee, Attendee.name.in_(names)):
        with shop.of.database.tenant_session(shop.of.tenant.id) as session:
            refund_tickets(
                session, shop.desk, order.uid, [attendee.uid], shop.of.admin, "Ill.", cancel=False
            )
            session.commit()


def bought(shop: Shop, number: int = 1) -> tuple[Order, list[str]]:
    """Return a paid order and the names on its tickets."""
    names = [f"Guest {each}" for each in range(number)]
    return shop.buy(shop.wish(shop.ticket(quota=30), names)), names


def send(shop: Shop, refund: Refund) -> object:
    return send_refund(shop.desk, shop.of.tenant.id, refund.id, trusted)


def titles(shop: Shop) -> list[str]:
    return [each.title for each in shop.of.rows(Notification)]


def test_the_seventh_ticket_has_as_many_tries_as_the_first(shop: Shop) -> None:
    order, names = bought(shop, MOST_REFUNDS + 2)
    pay_back(shop, order, *names[:-1])
    shop.send_refunds()
    shop.of.provider.control.rule("error_before", call=CREATE, times=2, status=500)
    pay_back(shop, order, names[-1])
    refunds = shop.send_refunds()
    assert [each.status for each in refunds[-3:]] == ["failed", "failed", "succeeded"]
    assert refunds[-1].replaces_id == refunds[-2].id
    assert shop.paid_back(order) == order.total_minor


def test_without_funds_a_refund_waits_and_people_know(any_shop: Shop) -> None:
    shop = any_shop
    order, names = bought(shop)
    control = shop.of.provider.control
    control.behave(funds="error")
    control.set_balance("eur", 0)
    pay_back(shop, order, *names)
    for tries in range(1, MOST_REFUNDS + 2):
        refund = shop.of.refunds()[-1]
        outcome = send(shop, refund)
        if isinstance(outcome, Wait):
            shop.of.pass_time(outcome.seconds + 0.01)
            assert send(shop, refund) == "stop"
        assert len(shop.of.refunds()) == tries + 1
    waiting = shop.of.refunds()[-1]
    assert waiting.status == "sending"
    assert waiting.lease_until is not None
    assert waiting.lease_until > shop.of.clock.now() + timedelta(hours=1)
    assert titles(shop).count("Refunds wait for your account at the payment provider") <= 2
    assert not any("has failed" in title for title in titles(shop))
    control.set_balance("eur", 100_000)
    shop.send_refunds()
    assert shop.of.refunds()[-1].status == "succeeded"
    assert shop.paid_back(order) == order.total_minor


def test_a_provider_that_is_down_burns_nobodys_tries(shop: Shop) -> None:
    order, names = bought(shop, 14)
    pay_back(shop, order, *names)
    shop.of.provider.control.rule("error_before", call="*", status=503)
    refunds = shop.of.refunds()
    waits = [send(shop, refund) for refund in refunds]
    assert all(isinstance(wait, Wait) for wait in waits)
    asked = [each.status for each in shop.of.refunds()].count("uncertain")
    assert asked == 10  # then the circuit is open
    for _ in range(20):
        shop.of.pass_time(20 * 60)
        for refund in refunds:
            send(shop, refund)
    shop.of.provider.control.behave_well()
    shop.send_refunds()
    assert {each.status for each in shop.of.refunds()} == {"succeeded"}
    assert len(shop.of.refunds()) == 14
    assert shop.paid_back(order) == order.total_minor


def test_people_are_told_when_it_is_given_up_and_try_again_or_pay_by_hand(shop: Shop) -> None:
    order, names = bought(shop, 2)
    shop.of.provider.control.rule("refuse", call=CREATE, times=2)
    pay_back(shop, order, *names)
    first, second = shop.send_refunds()
    assert (first.status, second.status) == ("failed", "failed")
    assert sum("has failed" in title for title in titles(shop)) == 2
    now, admin = shop.of.clock.now(), shop.of.admin
    with shop.of.database.tenant_session(shop.of.tenant.id) as session:
        assert again.retry(session, first.uid, admin, now) == 4_200
        with pytest.raises(RefundNotInState):
            again.retry(session, first.uid, admin, now)
        with pytest.raises(ReasonMissing):
            again.mark_paid(session, second.uid, admin, " ", now)
        assert again.mark_paid(session, second.uid, admin, "In cash.", now) == 4_200
        with pytest.raises(RefundNotInState):
            again.mark_paid(session, second.uid, admin, "In cash.", now)
        session.commit()
    *_, by_provider, by_hand = sorted(shop.send_refunds(), key=lambda each: each.mode != "auto")
    assert (by_provider.status, by_hand.status, by_hand.mode) == (
        "succeeded",
        "succeeded",
        "manual",
    )
    assert [each.refunded_minor for each in shop.of.rows(Attendee)] == [4_200, 4_200]
    assert shop.paid_back(order) == 4_200


def test_a_ticket_is_paid_back_as_itself_while_the_refund_of_another_is_under_way(
    any_shop: Shop,
) -> None:
    shop = any_shop
    order, names = bought(shop, 2)
    pay_back(shop, order, names[0])
    shop.act(cancel_order, order.uid, shop.of.admin, "wrong day")
    assert [each.status for each in shop.send_refunds()] == ["succeeded", "succeeded"]
    assert [each.refunded_minor for each in shop.of.rows(Attendee)] == [4_200, 4_200]


def test_a_refund_whose_job_is_lost_is_swept_up_once(shop: Shop) -> None:
    order, names = bought(shop)
    pay_back(shop, order, *names)
    (refund,) = shop.of.refunds()
    give_up_refund_tx(shop.desk, shop.of.tenant.id, refund.id)
    assert any("Nobody knows" in title for title in titles(shop))
    assert resume_refunds_tx(shop.desk) == 0
    shop.of.pass_time(13 * 60)
    assert resume_refunds_tx(shop.desk) == 1
    assert resume_refunds_tx(shop.desk) == 0
    shop.send_refunds()
    assert shop.paid_back(order) == order.total_minor
    shop.of.pass_time(3600)
    assert resume_refunds_tx(shop.desk) == 0


def test_a_ticket_that_was_paid_back_since_is_not_paid_back_again(any_shop: Shop) -> None:
    shop = any_shop
    order, names = bought(shop, 2)
    shop.of.provider.control.rule("refuse", call=CREATE, times=1)
    pay_back(shop, order, names[0])
    (failed,) = shop.send_refunds()
    pay_back(shop, order, names[0])
    shop.send_refunds()
    assert shop.paid_back(order) == 4_200
    now, admin = shop.of.clock.now(), shop.of.admin
    with shop.of.database.tenant_session(shop.of.tenant.id) as session:
        assert not again.may_decide(session, session.get_one(Refund, failed.id))
        with pytest.raises(RefundNotInState):
            again.retry(session, failed.uid, admin, now)
        with pytest.raises(RefundNotInState):
            again.mark_paid(session, failed.uid, admin, "In cash.", now)
    shop.send_refunds()
    assert shop.paid_back(order) == 4_200, "the payment has the other ticket's money left"


def test_of_two_jobs_that_find_a_refund_unmade_one_begins_another(shop: Shop) -> None:
    order, names = bought(shop, 2)
    shop.of.provider.control.rule("error_before", call=CREATE, times=1, status=500)
    pay_back(shop, order, names[0])
    shop.send_refunds()
    unmade, again_made = shop.of.refunds()
    assert (unmade.status, again_made.replaces_id) == ("failed", unmade.id)
    with shop.of.database.tenant_session(shop.of.tenant.id) as session:
        _begin_anew(session, session.get_one(Refund, unmade.id), shop.of.clock.now())
        session.commit()
    assert len(shop.of.refunds()) == 2
