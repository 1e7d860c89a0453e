"""Currencies that cards move by tens: what was priced beside the step goes back all the same.

The rule: https://docs.stripe.com/currencies, three-decimal currencies.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from meet2be.attendees.models import Attendee
from meet2be.checkout.cancelling import cancel_order, refund_tickets
from meet2be.checkout.errors import BadWish, OrderNotInState
from meet2be.events.models import Event
from meet2be.orders.models import Order
from support.cancelling import change
from support.ordering import Shop

# Priced before prices were held to the step.
ODD = 12_345
PAIR = ("Ada Arden", "Li Wei")
Undo = Callable[[Shop, Order], None]


@pytest.fixture
def dinars(shop: Shop) -> Shop:
    change(shop.of, Event, shop.of.event.id, currency="KWD")
    return shop


def refunds_after(shop: Shop, undo: Undo) -> list[tuple[int, str]]:
    """Return the refunds of an order of two such tickets, by their sums."""
    undo(shop, shop.buy(shop.wish(shop.ticket(price=ODD), PAIR)))
    return sorted((each.amount_minor, each.status) for each in shop.send_refunds())


def cancelled(shop: Shop, order: Order) -> None:
    shop.act(cancel_order, order.uid, shop.of.admin, "wrong day")


def paid_back(shop: Shop, order: Order, most: int) -> None:
    uids = [each.uid for each in shop.of.rows(Attendee)][:most]
    verb: Any = partial(refund_tickets, cancel=False)
    shop.act(verb, order.uid, uids, shop.of.admin, "fell ill")


@pytest.mark.parametrize("undo", [cancelled, partial(paid_back, most=2)])
def test_all_of_an_order_goes_back_though_no_ticket_could_alone(dinars: Shop, undo: Undo) -> None:
    assert refunds_after(dinars, undo) == [(10, "succeeded")] + 2 * [(12_340, "succeeded")]
    assert [each.refunded_minor for each in dinars.of.payments()] == [2 * ODD]


def test_a_single_ticket_goes_back_as_far_as_a_card_moves_it(dinars: Shop) -> None:
    found = refunds_after(dinars, partial(paid_back, most=1))
    assert found == [(12_340, "succeeded")]


def test_what_is_below_the_step_goes_back_once_however_often_it_is_asked_for(dinars: Shop) -> None:
    order = dinars.buy(dinars.wish(dinars.ticket(price=ODD), (*PAIR, "Eve Early", "Joe Jolly")))
    paid_back(dinars, order, most=2)
    with pytest.raises(OrderNotInState, match="Nothing of these tickets is left"):
        paid_back(dinars, order, most=2)
    assert sorted(each.amount_minor for each in dinars.send_refunds()) == [10, 12_340, 12_340]


def test_an_order_that_no_card_can_pay_is_refused_before_anything_is_held(dinars: Shop) -> None:
    ticket = dinars.ticket(price=ODD)
    with pytest.raises(BadWish, match=r"Cards move KWD only in amounts .* such as KWD.?12\.340"):
        dinars.place(dinars.wish(ticket))
    assert dinars.stock(ticket) == (0, 0)
