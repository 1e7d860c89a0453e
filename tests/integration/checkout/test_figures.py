"""Figures come from the ledgers, on the days of the event's zone, and are never counted up."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from meet2be.attendees.models import Attendee
from meet2be.checkout.cancelling import cancel_order
from meet2be.events.models import Event
from meet2be.figures import computing
from meet2be.figures.checking import check_all_tx, differences
from meet2be.figures.computing import compute_tx
from meet2be.figures.listing import figures_of
from meet2be.figures.models import EventStats, EventStatsDaily, EventStatsTicket
from meet2be.orders.models import Order
from meet2be.payments.models import Payment, Refund
from support.factories import REGISTERED_AT, Ticket
from support.ordering import Shop


def compute(shop: Shop, as_of: datetime | None = None) -> bool:
    of = shop.of
    return compute_tx(of.database, of.tenant.id, of.event.uid, as_of or of.clock.now())


def change(shop: Shop, statement: object) -> None:
    with shop.of.database.tenant_session(shop.of.tenant.id) as session:
        session.execute(statement.execution_options(synchronize_session=False))  # type: ignore[attr-defined]
        session.commit()


def test_an_empty_event_has_zeros(any_shop: Shop) -> None:
    """F9."""
    shop = any_shop
    assert compute(shop)
    (whole,) = shop.of.rows(EventStats)
    assert (whole.sold, whole.gross_minor, whole.currency, whole.run_no) == (0, 0, "EUR", 1)
    with shop.of.database.tenant_session(shop.of.tenant.id, read_only=True) as session:
        found = figures_of(session, shop.of.event)
    assert found.currencies[0].spans == []


def test_computing_again_changes_nothing_and_the_newest_look_wins(any_shop: Shop) -> None:
    """F5."""
    shop = any_shop
    shop.of.sell(Ticket(), Ticket(status="cancelled"), Ticket(status="checked_in"))
    later = shop.of.clock.now() + timedelta(seconds=5)
    assert compute(shop, later)
    before = [(each.sold, each.cancelled, each.checked_in) for each in shop.of.rows(EventStats)]
    assert before == [(3, 1, 1)]
    shop.of.sell(Ticket())
    assert not compute(shop, later - timedelta(seconds=1))
    assert shop.of.rows(EventStats)[0].sold == 3
    for _ in range(2):
        assert compute(shop, later + timedelta(seconds=1))
    (whole,) = shop.of.rows(EventStats)
    assert (whole.sold, whole.gross_minor, whole.run_no) == (4, 4 * 39_900, 3)
    assert len(shop.of.rows(EventStatsTicket)) == 1


def test_others_write_while_an_event_is_read_and_the_figures_are_those_of_before(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F5. SQLite has one writer at a time."""
    shop, reading = any_shop, computing.read
    shop.of.sell(Ticket())

    def read(session: Session, event: Event) -> computing.Figures:
        session.scalars(select(Order.id)).all()
        shop.of.sell(Ticket())
        return reading(session, event)

    monkeypatch.setattr(computing, "read", read)
    assert compute(shop)
    assert [each.sold for each in shop.of.rows(EventStats)] == [1]


def test_an_order_that_was_paid_twice_is_one_order_with_one_parcel(shop: Shop) -> None:
    made = shop.of.sell(Ticket())
    assert made.payment is not None
    with shop.of.database.tenant_session(shop.of.tenant.id) as session:
        session.get_one(Order, made.order.id).shipping_minor = 390
        session.add(
            Payment(order_id=made.order.id, provider="stripe", amount_minor=39_900,
                    currency="EUR", status="succeeded")
        )  # fmt: skip
        session.commit()
    compute(shop)
    (whole,) = shop.of.rows(EventStats)
    assert (whole.orders, whole.fees_minor, whole.gross_minor) == (1, 390, 2 * 39_900)


def test_orders_count_that_came_about_whether_money_came_or_not(any_shop: Shop) -> None:
    shop = any_shop
    shop.of.sell(Ticket())
    assert shop.buy(shop.wish(shop.ticket(price=0))).status == "paid"
    late = shop.of.sell(Ticket(status="cancelled"))
    change(shop, update(Order).where(Order.id == late.order.id)
           .values(status="cancelled", paid_at=None))  # fmt: skip
    compute(shop)
    (whole,) = shop.of.rows(EventStats)
    assert (whole.orders, whole.gross_minor) == (2, 2 * 39_900)


def test_days_are_the_events_own_even_with_23_and_25_hours(any_shop: Shop) -> None:
    """F7: 29 March 2026 has 23 hours in Berlin, 25 October has 25."""
    shop = any_shop
    moments = [
        datetime(1969, 12, 31, 22, 59, 59, 999_900, tzinfo=UTC),  # shortly before the 1st
        datetime(2026, 3, 28, 22, 59, 59, 999_900, tzinfo=UTC),  # 23:59 on the 28th
        datetime(2026, 3, 28, 23, 0, tzinfo=UTC),  # midnight of the 29th
        datetime(2026, 3, 29, 21, 59, tzinfo=UTC),  # 23:59 on the 29th, in summer time
        datetime(2026, 3, 29, 22, 0, tzinfo=UTC),
        datetime(2026, 10, 24, 22, 0, tzinfo=UTC),  # midnight of the 25th, in summer time
        datetime(2026, 10, 25, 22, 59, tzinfo=UTC),  # 23:59 on the 25th, 25 hours later
        datetime(2026, 10, 25, 23, 0, tzinfo=UTC),
    ]
    for moment in moments:
        made = shop.of.sell(Ticket(price=100))
        change(shop, update(Attendee).where(Attendee.id == made.attendee.id)
               .values(registered_at=moment))  # fmt: skip
        assert made.payment is not None
        change(shop, update(Payment).where(Payment.id == made.payment.id).values(paid_at=moment))
    compute(shop)
    days = {each.day: (each.sold, each.gross_minor) for each in shop.of.rows(EventStatsDaily)}
    assert days == {
        date(1969, 12, 31): (1, 100),
        date(2026, 3, 28): (1, 100), date(2026, 3, 29): (2, 200), date(2026, 3, 30): (1, 100),
        date(2026, 10, 25): (2, 200), date(2026, 10, 26): (1, 100),
    }  # fmt: skip


def test_test_orders_count_nowhere_and_currencies_are_not_added_up(any_shop: Shop) -> None:
    """F8, F10."""
    shop = any_shop
    shop.of.sell(Ticket(price=100))
    test = shop.of.sell(Ticket(price=900))
    change(shop, update(Order).where(Order.id == test.order.id).values(test_mode=True))
    other = shop.of.sell(Ticket(price=500))
    assert other.payment is not None
    change(shop, update(Payment).where(Payment.id == other.payment.id).values(currency="USD"))
    change(shop, update(Attendee).where(Attendee.id == other.attendee.id).values(currency="USD"))
    compute(shop)
    whole = {each.currency: (each.sold, each.gross_minor) for each in shop.of.rows(EventStats)}
    assert whole == {"EUR": (1, 100), "USD": (1, 500)}


def test_refunds_count_on_their_own_day_and_agree_with_the_ledger(any_shop: Shop) -> None:
    """F6, F9, F12."""
    shop = any_shop
    order = shop.buy(shop.wish(shop.ticket()))
    bought = shop.of.clock.now().astimezone().date()
    shop.of.pass_time(40 * 86_400)
    with shop.of.database.tenant_session(shop.of.tenant.id) as session:
        cancel_order(session, shop.desk, order.uid, None, "late")
        session.commit()
    shop.send_refunds()
    compute(shop)
    days = {each.day: each for each in shop.of.rows(EventStatsDaily)}
    went = [day for day, each in days.items() if each.refunded_minor]
    assert len(went) == 1
    assert went[0] > bought
    assert days[went[0]].gross_minor - days[went[0]].refunded_minor == -4_200
    with shop.of.database.tenant_session(shop.of.tenant.id) as session:
        event = session.get_one(Event, shop.of.event.id)
        assert differences(session, event) == {}
    assert check_all_tx(shop.of.database, REGISTERED_AT) == 0
    change(shop, update(Refund).values(amount_minor=4_199))
    assert check_all_tx(shop.of.database, REGISTERED_AT) == 1


def test_an_event_that_is_gone_ends_the_job_cleanly(shop: Shop) -> None:
    """F11."""
    now = shop.of.clock.now()
    assert not compute_tx(shop.of.database, shop.of.tenant.id, "0" * 26, now)


def test_many_days_stand_together_in_a_bar(shop: Shop) -> None:
    for days in (0, 1, 400):
        made = shop.of.sell(Ticket(price=100))
        moment = REGISTERED_AT + timedelta(days=days)
        change(shop, update(Attendee).where(Attendee.id == made.attendee.id)
               .values(registered_at=moment))  # fmt: skip
        assert made.payment is not None
        change(shop, update(Payment).where(Payment.id == made.payment.id).values(paid_at=moment))
    compute(shop)
    with shop.of.database.tenant_session(shop.of.tenant.id, read_only=True) as session:
        (found,) = figures_of(session, shop.of.event).currencies
    assert len(found.spans) <= 62
    assert found.days_a_span == 7
    assert sum(span.sold for span in found.spans) == 3
    assert sum(span.net_minor for span in found.spans) == 300
