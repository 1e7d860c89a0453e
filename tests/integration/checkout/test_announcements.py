"""What endpoints are told of orders."""

import pytest
from sqlalchemy import update

from meet2be.events.models import Event
from meet2be.webhooks.catalogue import TYPES
from meet2be.webhooks.models import WebhookEvent
from support.hooks import make_endpoint
from support.ordering import Shop


@pytest.mark.parametrize("is_test", [False, True])
def test_what_is_told_of_an_order_says_whether_it_is_a_test(shop: Shop, is_test: bool) -> None:
    make_endpoint(shop.of.database, shop.of.tenant.id)
    with shop.of.database.tenant_session(shop.of.tenant.id) as session:
        session.execute(update(Event).values(test_mode=is_test))
        session.commit()
    shop.run(shop.place(shop.wish(shop.ticket())))
    told = shop.of.rows(WebhookEvent, WebhookEvent.subject_type == "order")
    assert {each.type for each in told} >= {"order.created", "order.paid", "order.completed"}
    assert [each.data["test_mode"] for each in told] == [is_test] * len(told)
    samples = [kind.sample for kind in TYPES.values() if kind.subject == "order"]
    assert all(sample["test_mode"] is False for sample in samples)
