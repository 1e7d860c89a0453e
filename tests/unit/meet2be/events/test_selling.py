"""When a kind of ticket is sold, and the tax within its price."""

from datetime import UTC, datetime, timedelta

import pytest

from meet2be.events.models import Event, TicketType
from meet2be.events.selling import sale_state, tax_within

NOW = datetime(2027, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("event", "kind", "state"),
    [
        ({}, {}, "open"),
        ({"status": "draft"}, {}, "closed"),
        ({}, {"closed_at": NOW - DAY}, "closed"),
        ({"on_sale_from": NOW}, {"on_sale_from": NOW - DAY}, "open"),
        ({"on_sale_from": NOW - DAY}, {"on_sale_from": NOW + DAY}, "later"),
        ({"on_sale_until": NOW}, {}, "over"),
        ({"on_sale_until": NOW + DAY}, {"on_sale_until": NOW - DAY}, "over"),
        ({"ends_at": NOW - DAY}, {}, "over"),
    ],
)
def test_each_window_begins_with_its_moment_and_ends_before_it(
    event: dict[str, object], kind: dict[str, object], state: str
) -> None:
    values = {"status": "live", "ends_at": NOW + 9 * DAY, **event}
    assert sale_state(Event(**values), TicketType(**kind), NOW) == state


@pytest.mark.parametrize(
    ("amount", "rate", "tax"),
    [(11_900, 1900, 1900), (100, 700, 7), (3, 10_000, 2), (0, 1900, 0), (999, 0, 0)],
)
def test_the_tax_within_an_amount_is_rounded_half_up(amount: int, rate: int, tax: int) -> None:
    assert tax_within(amount, rate) == tax
