"""The provider's messages: verified, kept once, acted upon once."""

import json
from collections.abc import Iterator, Mapping

import pytest
from sqlalchemy import event as happening
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.cancellations.following import give_up, process_event
from meet2be.db import Database, GuardedSession
from meet2be.db.keyset import Slice
from meet2be.notifications.models import Notification
from meet2be.payments import inbox
from meet2be.payments.errors import BadProviderSignature
from meet2be.payments.facts import ProviderEventReceived
from meet2be.payments.messages import MessageFilter, messages_page
from meet2be.payments.models import ProviderEvent, Refund
from meet2be.payments.put_off import PATIENCE, look_at_put_off_tx
from meet2be.payments.services import LEASE
from support.cancelling import Conference
from support.factories import Ticket, make_tenant


def stored(database: Database) -> list[ProviderEvent]:
    with database.system_session("tests: look into the inbox", read_only=True) as session:
        return list(session.scalars(select(ProviderEvent).order_by(ProviderEvent.id)))


@pytest.fixture
def noted() -> Iterator[list[object]]:
    """What the inbox's commits note, as the queueing would find it."""
    found: list[object] = []

    def take(session: Session) -> None:
        found.extend(
            each for each in facts.take(session) if isinstance(each, ProviderEventReceived)
        )

    happening.listen(GuardedSession, "before_commit", take)
    yield found
    happening.remove(GuardedSession, "before_commit", take)


def open_ones(session: Session) -> list[ProviderEvent]:
    return messages_page(session, MessageFilter("open"), Slice(size=5)).rows


def message(kind: str, subject: Mapping[str, object], number: int = 1) -> bytes:
    body = {
        "id": f"evt_test_{number}", "object": "event", "type": kind, "created": 1_767_225_600,
        "livemode": False, "data": {"object": subject},
    }  # fmt: skip
    return json.dumps(body).encode()


def test_an_unsigned_message_is_refused_and_not_kept(meeting: Conference) -> None:
    forged = message("refund.updated", {})
    with pytest.raises(BadProviderSignature):
        inbox.receive_tx(meeting.database, meeting.desk.payments, forged, "t=1,v1=00")
    assert stored(meeting.database) == []


def test_a_new_message_notes_the_fact_that_its_job_hangs_on(
    meeting: Conference, noted: list[object]
) -> None:
    meeting.sell(Ticket(price=10_000))
    meeting.provider.control.rule("pending", times=1)
    meeting.cancel()
    meeting.provider.control.settle(str(meeting.refunds()[0].provider_refund_id))
    [payload] = meeting.messages("refund.updated")
    row_id = meeting.receive(payload).row_id
    assert row_id is not None
    assert noted == [ProviderEventReceived(row_id)]
    assert not meeting.receive(payload).is_new
    assert noted == [ProviderEventReceived(row_id)]


def test_what_tells_nothing_new_causes_no_job(meeting: Conference, noted: list[object]) -> None:
    meeting.sell(Ticket(price=10_000))
    meeting.cancel()
    [created] = meeting.messages("refund.created")
    [charge] = meeting.messages("charge.refunded")
    assert meeting.receive(created).result == inbox.OLD_NEWS
    assert meeting.receive(charge).result == inbox.IGNORED
    [kept] = stored(meeting.database)  # of what we have no use for nothing is kept
    assert kept.type == "refund.created"
    assert kept.processed_at is not None
    assert noted == []


def in_hand(meeting: Conference) -> bytes:
    """Have a refund made whose answer is still on its way to us; return the provider's message."""
    meeting.sell(Ticket(price=10_000))
    meeting.provider.control.rule("error_after", times=1, status=504)
    meeting.confirm(lanes=1)
    meeting.work(0, chunks=1)
    with meeting.database.tenant_session(meeting.tenant.id) as session:
        [refund] = session.scalars(select(Refund))
        refund.status, refund.lease_until = "sending", meeting.clock.now() + LEASE
        session.commit()
    [created] = meeting.messages("refund.created")
    return created


def look_again(meeting: Conference) -> tuple[int, int]:
    return look_at_put_off_tx(meeting.database, meeting.desk.payments.read, meeting.clock.now())


def test_what_the_sender_is_about_to_write_down_is_put_off(
    any_meeting: Conference, noted: list[object]
) -> None:
    created = in_hand(any_meeting)
    assert any_meeting.receive(created).result == inbox.PUT_OFF
    assert not any_meeting.receive(created).is_new
    assert look_again(any_meeting) == (0, 0)
    with any_meeting.database.tenant_session(any_meeting.tenant.id) as session:
        told = json.loads(created)["data"]["object"]["id"]
        session.execute(update(Refund).values(status="succeeded", provider_refund_id=told))
        session.commit()
    any_meeting.clock.advance(PATIENCE.total_seconds())
    assert look_again(any_meeting) == (1, 0)
    [row] = stored(any_meeting.database)
    assert (row.result, row.tries) == (inbox.OLD_NEWS, 1)
    assert row.processed_at is not None
    assert look_again(any_meeting) == (0, 0)
    assert noted == []


def test_what_the_sender_never_wrote_down_gets_its_job(
    any_meeting: Conference, noted: list[object]
) -> None:
    """Its worker died: the message finishes the refund, once."""
    any_meeting.receive(in_hand(any_meeting))
    any_meeting.clock.advance(PATIENCE.total_seconds())
    noted.clear()
    assert look_again(any_meeting) == (0, 1)
    [row] = stored(any_meeting.database)
    assert noted == [ProviderEventReceived(row.id)]
    assert look_again(any_meeting) == (0, 0)
    assert process_event(any_meeting.desk, row.id) == "succeeded"
    assert any_meeting.payments()[0].refunded_minor == 10_000


def test_many_that_were_put_off_are_looked_at_slice_by_slice(
    meeting: Conference, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = in_hand(meeting)
    for number in range(5):
        meeting.receive(created.replace(b'"evt_', f'"evt_{number}'.encode()))
    monkeypatch.setattr("meet2be.payments.put_off.A_LOOK", 2)
    meeting.clock.advance(PATIENCE.total_seconds())
    assert look_again(meeting) == (0, 5)


@pytest.mark.parametrize("comes", ["at last", "while the first is in hand"])
def test_a_second_refund_with_our_mark_is_shown_to_people_and_changes_nothing(
    any_meeting: Conference, noted: list[object], comes: str
) -> None:
    created = in_hand(any_meeting)
    second = created.replace(b'"re_', b'"re_second').replace(b'"evt_', b'"evt_second')
    if comes != "at last":
        assert any_meeting.receive(second).result == inbox.PUT_OFF
    assert any_meeting.tell(created) == ["succeeded"]
    if comes == "at last":
        any_meeting.receive(second)
    any_meeting.clock.advance(PATIENCE.total_seconds())
    look_again(any_meeting)
    [row_id] = [row.id for row in stored(any_meeting.database) if "second" in row.event_id]
    assert ProviderEventReceived(row_id) in noted
    assert process_event(any_meeting.desk, row_id) == inbox.CONFLICT
    assert any_meeting.payments()[0].refunded_minor == 10_000
    assert [refund.status for refund in any_meeting.refunds()] == ["succeeded"]


def test_a_refund_that_nobody_has_in_hand_is_followed_at_once(
    meeting: Conference, noted: list[object]
) -> None:
    created = in_hand(meeting)
    meeting.clock.advance(LEASE.total_seconds() + 1)
    noted.clear()
    assert meeting.receive(created).row_id is not None
    assert len(noted) == 1


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
    row = meeting.receive(payload).row_id or 0
    assert process_event(meeting.desk, row) == "succeeded"
    assert process_event(meeting.desk, row) == "succeeded"
    assert meeting.payments()[0].refunded_minor == 10_000


def test_a_message_nobody_could_act_upon_is_shown(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000))
    meeting.provider.control.rule("pending", times=1)
    meeting.cancel()
    meeting.provider.control.settle(str(meeting.refunds()[0].provider_refund_id))
    [payload] = meeting.messages("refund.updated")
    row = meeting.receive(payload).row_id or 0
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
