"""Runs that are aborted: before their items are written, and with refunds under way."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from meet2be.cancellations import preparing, services
from meet2be.webhooks.models import WebhookEvent
from support.cancelling import Conference
from support.factories import Ticket
from support.hooks import make_endpoint


def test_an_abort_in_the_preparation_tells_that_the_event_is_being_cancelled(
    meeting: Conference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "IN_THE_REQUEST", 0)
    make_endpoint(meeting.database, meeting.tenant.id, event_types=["event.cancelling"],
                  all_types=False)  # fmt: skip
    meeting.sell(Ticket(price=10_000))
    meeting.confirm()
    told = select(WebhookEvent.type)
    with meeting.database.tenant_session(meeting.tenant.id, read_only=True) as session:
        assert session.scalars(told).all() == []
    meeting.act(services.abort, meeting.admin)
    assert meeting.finish().state == "aborted"
    with meeting.database.tenant_session(meeting.tenant.id, read_only=True) as session:
        assert session.scalars(told).all() == ["event.cancelling"]


def test_of_an_aborted_run_those_are_told_whose_refund_was_made_and_nobody_else(
    meeting: Conference,
) -> None:
    meeting.desk = replace(meeting.desk, chunk=1)
    orders = [meeting.sell(Ticket(price=10_000)) for _ in range(4)]
    meeting.confirm(lanes=1)
    meeting.work(0, chunks=1)
    # Made, though its answer never came: it is looked up after the abort.
    meeting.provider.control.rule("error_after", times=1, status=504)
    meeting.work(0, chunks=1)
    assert sorted(meeting.states()) == ["done", "todo", "todo", "uncertain"]
    meeting.act(services.abort, meeting.admin)
    assert meeting.finish().state == "aborted"
    refunded = {item.attendee_id for item in meeting.items() if item.refund_state == "done"}
    left = [item for item in meeting.items() if item.attendee_id not in refunded]
    assert refunded == {order.attendees[0].id for order in orders[:2]}
    assert {(item.refund_state, item.cancel_state, item.mail_state) for item in left} == {
        ("todo", "todo", "todo")
    }
    told = {item.id for item in meeting.items() if item.attendee_id in refunded}
    assert {mail.related_id for mail in meeting.mails()} == told
    assert {mail.status for mail in meeting.mails()} == {"queued"}
