"""Orders that stand still: which are woken, which end, and which are left alone."""

import pytest

from meet2be.checkout import expiry
from meet2be.checkout.expiry import expire_due_tx, resume_stale_tx
from support.ordering import Shop

DECLINED = "pm_card_chargeDeclined"


def test_abandoned_orders_do_not_hide_a_lost_one(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    monkeypatch.setattr(expiry, "AT_ONCE", 2)
    ticket = shop.ticket()
    for _ in range(3):
        shop.buy(shop.wish(ticket, method=DECLINED))
    lost = shop.place(shop.wish(ticket))
    assert resume_stale_tx(shop.desk) == 0
    shop.of.pass_time(11 * 60)
    assert resume_stale_tx(shop.desk) == 1
    assert shop.run(lost).status == "paid"
    assert resume_stale_tx(shop.desk) == 0


def test_an_order_that_expired_before_its_turn_is_woken_once(shop: Shop) -> None:
    order = shop.run(shop.place(shop.wish(shop.ticket())), upto="validate_order")
    shop.of.pass_time(15 * 60 + 1)
    assert expire_due_tx(shop.desk) == 1
    assert resume_stale_tx(shop.desk) == 1
    assert shop.run(order).status == "expired"
    assert shop.steps(order)["process_payment"] == "failed"
    assert resume_stale_tx(shop.desk) == 0
    assert shop.charges(order) == []
