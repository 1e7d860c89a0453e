"""The provider's messages: verified, kept once, acted upon once."""

import json
from collections.abc import Mapping

import pytest
import stripe
from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.cancellations.following import give_up, process_event
from meet2be.db import Database
from meet2be.db.keyset import Slice
from meet2be.notifications.models import Notification
from meet2be.payments import inbox
from meet2be.payments.errors import BadProviderSignature
from meet2be.payments.facts import ProviderEventReceived
from meet2be.payments.messages import MessageFilter, messages_page
from meet2be.payments.models import ProviderEvent, Refund
from support.cancelling import SECRET, Conference
from support.factories import Ticket, make_tenant


def stored(database: Database) -> list[ProviderEvent]:
    with database.system_session("tests: look into the inbox", read_only=True) as session:
        return list(session.scalars(select(ProviderEvent).order_by(ProviderEvent.id)))


def open_ones(session: Session) -> list[ProviderEvent]:
    return messages_page(session, MessageFilter("open"), Slice(size=5)).rows


def message(kind: str, subject: Mapping[str, object], number: int = 1) -> bytes:
    body = {
        "id": f"evt_test_{number}", "object": "event", "type": kind, "created": 1_767_225_600,
        "livemode": False, "data": {"object": subject},
    }  # fmt: skip
    return json.dumps(body).encode()


def test_an_unsigned_message_is_refused_and_not_kept(meeting: Conference) -> None:
    forged, now = message("refund.updated", {}), meeting.clock.now()
    with (
        meeting.database.system_session("tests: a forged message") as session,
        pytest.raises(BadProviderSignature),
    ):
        inbox.receive(session, meeting.desk.payments, forged, "t=1,v1=00", now)
    assert stored(meeting.database) == []


def test_a_new_message_notes_the_fact_that_its_job_hangs_on(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000))
    meeting.provider.control.rule("pending", times=1)
    meeting.cancel()
    meeting.provider.control.settle(str(meeting.refunds()[0].provider_refund_id))
    [payload] = meeting.messages("refund.updated")
    signed = stripe.WebhookSignature.generate_signature_header(payload.decode(), SECRET)
    with meeting.database.system_session("tests: a message") as session:
        received = inbox.receive(
            session, meeting.desk.payments, payload, signed, meeting.clock.now()
        )
        assert facts.take(session) == [ProviderEventReceived(received.row_id)]


def test_what_tells_nothing_new_causes_no_job(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000))
    meeting.cancel()
    [created] = meeting.messages("refund.created")
    [charge] = meeting.messages("charge.refunded")
    assert meeting.receive(created).result == inbox.OLD_NEWS
    assert meeting.receive(charge).result == inbox.IGNORED
    assert all(row.processed_at is not None for row in stored(meeting.database))


def test_a_message_that_fits_nothing_is_kept_and_shown(meeting: Conference) -> None:
    refund = {
        "id": "re_unknown", "object": "refund", "amount": 100, "currency": "eur",
        "status": "succeeded", "created": 1_767_225_600, "payment_intent": "pi_unknown",
        "metadata": {},
    }  # fmt: skip
    assert meeting.tell(message("refund.created", refund)) == [inbox.UNMATCHED]
    with meeting.database.system_session("tests: the operators' page") as session:
        assert [row.event_id for row in open_ones(session)] == ["evt_test_1"]


def test_a_refund_made_at_the_dashboard_is_written_down_as_external(
    any_meeting: Conference,
) -> None:
    made = any_meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    any_meeting.provider.control.dashboard_refund(str(made.payment.provider_ref), 4_000)
    [created] = any_meeting.messages("refund.created")
    assert any_meeting.tell(created) == ["external"]
    [refund] = any_meeting.refunds()
    assert (refund.mode, refund.source, refund.amount_minor) == ("external", "provider", 4_000)
    assert any_meeting.payments()[0].refunded_minor == 4_000
    any_meeting.cancel()
    assert sorted(any_meeting.at_provider()[str(made.payment.provider_ref)]) == [4_000, 6_000]


def test_disputes_come_and_go(meeting: Conference) -> None:
    made = meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    subject = {"id": "dp_1", "payment_intent": made.payment.provider_ref, "status": "won"}
    assert meeting.tell(message("charge.dispute.created", subject, 1)) == ["dispute_opened"]
    assert meeting.payments()[0].status == "disputed"
    assert meeting.tell(message("charge.dispute.closed", subject, 2)) == ["dispute_won"]
    assert meeting.payments()[0].status == "succeeded"
    lost = {**subject, "status": "lost"}
    assert meeting.tell(message("charge.dispute.closed", lost, 3)) == [inbox.OLD_NEWS]


def test_a_payment_that_comes_after_the_event_was_cancelled_is_told(meeting: Conference) -> None:
    made = meeting.sell(Ticket(price=10_000), payment="pending")
    assert made.payment is not None
    meeting.cancel()
    paid = message("payment_intent.succeeded", {"id": made.payment.provider_ref})
    assert meeting.tell(paid) == ["payment_succeeded"]
    assert meeting.payments()[0].status == "succeeded"
    kinds = [row.kind for row in meeting.rows(Notification)]
    assert "payment_after_cancellation" in kinds


def test_processing_twice_changes_nothing(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000))
    meeting.provider.control.rule("pending", times=1)
    meeting.cancel()
    meeting.provider.control.settle(str(meeting.refunds()[0].provider_refund_id))
    [payload] = meeting.messages("refund.updated")
    row = meeting.receive(payload).row_id
    assert process_event(meeting.desk, row) == "succeeded"
    assert process_event(meeting.desk, row) == "succeeded"
    assert meeting.payments()[0].refunded_minor == 10_000


def test_a_message_nobody_could_act_upon_is_shown(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000))
    meeting.provider.control.rule("pending", times=1)
    meeting.cancel()
    meeting.provider.control.settle(str(meeting.refunds()[0].provider_refund_id))
    [payload] = meeting.messages("refund.updated")
    row = meeting.receive(payload).row_id
    give_up(meeting.desk, row, "the database was full")
    with meeting.database.system_session("tests: the operators' page") as session:
        assert [event.error for event in open_ones(session)] == ["the database was full"]
        assert messages_page(session, MessageFilter("waiting"), Slice(size=5)).rows == []


def test_a_message_acts_only_for_the_tenant_it_belongs_to(meeting: Conference) -> None:
    other = make_tenant(meeting.database)
    made = meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    meeting.provider.control.dashboard_refund(str(made.payment.provider_ref), 1_000)
    meeting.tell(*meeting.messages("refund.created"))
    with meeting.database.tenant_session(other.id) as session:
        assert session.scalars(select(Refund)).all() == []
