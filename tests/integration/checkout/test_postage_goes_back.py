"""The postage of a cancelled event's orders goes back: promised by the preview, once each."""

from typing import Any

import pytest

from meet2be.attendees.models import Attendee
from meet2be.cancellations import closing, postage
from meet2be.cancellations.codes import exceeds_limit
from meet2be.cancellations.options import CancelOptions
from meet2be.cancellations.preview import Preview
from meet2be.checkout.cancelling import refund_tickets
from meet2be.orders.models import Order
from support.ordering import Shop

HOME = {"name": "Ada Arden", "street": "Side 1", "postcode": "10115", "city": "Berlin",
        "country": "DE"}  # fmt: skip
POSTAGE = 390


def bought(shop: Shop, *prices: int) -> list[Order]:
    """Return paid orders of one printed ticket each."""
    shop.settings(shipping_rates=[{"countries": ["*"], "price_minor": POSTAGE}])
    return [
        shop.buy(
            shop.wish(
                shop.ticket(price=price, name=f"Poster {number}", is_shipped=True), address=HOME
            )
        )
        for number, price in enumerate(prices)
    ]


def cancelled(shop: Shop, **options: Any) -> Preview:
    """Cancel the event, send all that is to be sent, and return what the preview said."""
    run = shop.of.cancel(CancelOptions(**options))
    shop.send_refunds()
    return Preview.from_json(run.preview)


def amounts(shop: Shop) -> list[list[int]]:
    """Return what the provider's own ledger has sent back, payment by payment."""
    mine = [each.provider_ref for each in shop.of.payments()]
    ledger = shop.of.provider.control.ledger()["refunds"]
    sent = (
        [each["amount"] for each in ledger
         if each["payment_intent"] == ref and each["status"] in {"succeeded", "pending"}]
        for ref in mine
    )  # fmt: skip
    return sorted(sorted(each) for each in sent if each)


def test_postage_goes_back_beside_the_tickets_also_of_free_ones(any_shop: Shop) -> None:
    shop = any_shop
    bought(shop, 4_200, 0)
    preview = cancelled(shop)
    assert preview.postage_minor == {"EUR": 2 * POSTAGE}
    assert amounts(shop) == [[POSTAGE], [POSTAGE, 4_200]]
    assert [each.refunded_minor for each in shop.of.payments()] == [4_590, POSTAGE]


def test_a_fee_is_kept_of_tickets_and_not_of_postage(shop: Shop) -> None:
    bought(shop, 4_000)
    preview = cancelled(shop, fee_kind="percent", fee_basis_points=1_000)
    assert (preview.kept_minor, preview.postage_minor) == ({"EUR": 400}, {"EUR": POSTAGE})
    assert amounts(shop) == [[POSTAGE, 3_600]]


def test_postage_by_hand_is_not_sent(shop: Shop) -> None:
    bought(shop, 4_200)
    assert cancelled(shop, refund_mode="manual").postage_minor == {}
    assert amounts(shop) == []


def test_the_postage_of_an_order_without_valid_tickets_stays_as_was_decided(shop: Shop) -> None:
    first, _ = bought(shop, 4_200, 4_200)
    ticket = shop.of.rows(Attendee, Attendee.order_id == first.id)[0]
    with shop.of.database.tenant_session(shop.of.tenant.id) as session:
        given = first.uid, [ticket.uid], shop.of.admin, "came back"
        refund_tickets(session, shop.desk, *given, cancel=True)
        session.commit()
    shop.send_refunds()
    assert cancelled(shop).postage_minor == {"EUR": POSTAGE}
    assert amounts(shop) == [[POSTAGE, 4_200], [4_200]]


def test_a_run_that_dies_while_it_looks_for_postage_sends_each_once(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    bought(shop, 4_200, 1_000, 0)
    shop.of.confirm(lanes=1)
    opening, deaths = postage.pay_postage_back, iter((True, False, True))

    def dying(*given: Any) -> int | None:
        number = opening(*given)
        if next(deaths, False):
            raise KeyboardInterrupt
        return number

    monkeypatch.setattr(closing, "pay_postage_back", dying)
    monkeypatch.setattr(postage, "BATCH", 1)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            shop.of.finish()
    assert shop.of.finish().state == "done"
    shop.send_refunds()
    assert amounts(shop) == [[POSTAGE], [POSTAGE, 1_000], [POSTAGE, 4_200]]


def test_the_code_and_the_balance_count_postage(shop: Shop) -> None:
    bought(shop, 4_200)
    preview = Preview.from_json(shop.of.preview().preview)
    assert exceeds_limit(preview, 4_500, "EUR")
    assert not exceeds_limit(preview, 4_590, "EUR")
    assert preview.sent_minor == {"EUR": 4_590}


def test_each_step_looks_at_some_orders_and_all_are_looked_at(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    bought(shop, 4_200, 1_000, 0, 700, 300)
    opening, began_with = postage.pay_postage_back, []

    def noting(session: Any, context: Any, now: Any, first: int) -> int | None:
        began_with.append(first)
        return opening(session, context, now, first)

    monkeypatch.setattr(closing, "pay_postage_back", noting)
    monkeypatch.setattr(postage, "LOOKED_AT", 2)
    cancelled(shop)
    assert began_with == sorted(set(began_with))
    assert len(began_with) > 2
    assert [sent.count(POSTAGE) for sent in amounts(shop)] == [1] * 5
