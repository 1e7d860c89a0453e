"""A run ends in short steps, however many orders are left and whatever comes meanwhile."""

import pytest
from sqlalchemy import event, update

from meet2be.attendees.models import Attendee
from meet2be.cancellations import closing
from meet2be.events.models import Event
from meet2be.orders.models import Order
from support.cancelling import Conference, change
from support.factories import Sale, Ticket, make_event, make_order


def abandon(meeting: Conference, number: int) -> None:
    """Add orders that were never paid: nobody holds a ticket of them."""
    gone = Sale([Ticket(price=1_000, status="cancelled")], payment=None)
    meeting.sell_all(*[gone] * number)
    with meeting.database.tenant_session(meeting.tenant.id) as session:
        left = [made.order.id for made in meeting.orders[-number:]]
        session.execute(update(Order).where(Order.id.in_(left)).values(status="expired"))
        session.commit()


def order_states(meeting: Conference) -> list[str]:
    return [order.status for order in meeting.rows(Order, Order.event_id == meeting.event.id)]


def test_orders_nobody_holds_a_ticket_of_are_cancelled_some_at_a_time(
    any_meeting: Conference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "ORDER_BATCH", 2)
    any_meeting.sell(Ticket(price=2_000))
    abandon(any_meeting, 5)
    elsewhere = make_event(any_meeting.database, any_meeting.tenant)
    make_order(any_meeting.database, elsewhere, [Ticket(status="cancelled")])
    any_meeting.confirm(lanes=1)
    seen: list[int] = []
    for _ in range(8):
        any_meeting.work(0, chunks=1)  # another worker for each step
        seen.append(order_states(any_meeting).count("cancelled"))
    assert seen == [1, 3, 5, 6, 6, 6, 6, 6]
    assert (any_meeting.run().state, any_meeting.rows(Event)[0].status) == ("done", "cancelled")
    assert [each.status for each in any_meeting.rows(Order)].count("paid") == 1


def test_who_comes_between_two_steps_of_the_end_is_refunded_before_it(
    meeting: Conference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "ORDER_BATCH", 2)
    meeting.sell(Ticket(price=2_000))
    abandon(meeting, 4)
    meeting.confirm(lanes=1)
    meeting.work(0, chunks=2)
    meeting.sell(Ticket(price=4_000))
    assert meeting.finish().state == "done"
    assert sorted(meeting.at_provider().values()) == [[2_000], [4_000]]
    assert set(order_states(meeting)) == {"cancelled"}


def test_attendees_of_uncertain_refunds_are_told_some_at_a_time(
    meeting: Conference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "CLOSE_BATCH", 1)
    for _ in range(3):
        meeting.sell(Ticket(price=2_000))
    meeting.confirm(lanes=1)
    meeting.work(0, chunks=1)
    for item in meeting.items():
        change(meeting, type(item), item.id, refund_state="uncertain", cancel_state="todo")
    change(meeting, Attendee, meeting.items()[0].attendee_id, status="active")
    told: list[int] = []

    def note(*call: object) -> None:
        if "cancel_items.refund_state IN" in str(call[2]):
            told.append(1)

    event.listen(meeting.database.engine, "before_cursor_execute", note)
    assert meeting.finish().state == "done_with_errors"
    assert {row.status for row in meeting.rows(Attendee)} == {"cancelled"}
    assert len(told) == 4
