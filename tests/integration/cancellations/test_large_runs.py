"""Runs whose items are written by their job: begun at once, resumable, taken back when stale."""

from typing import Any

import pytest
from sqlalchemy import update

from meet2be.audit.models import AuditEntry
from meet2be.cancellations import preparing, services
from meet2be.cancellations.closing import insert_items
from meet2be.cancellations.errors import PreviewStale
from meet2be.cancellations.listing import preview_part
from meet2be.cancellations.models import CancelItem
from meet2be.cancellations.options import CancelOptions
from meet2be.cancellations.progress import Track, progress_of
from meet2be.events.models import Event
from meet2be.notifications.models import Notification
from meet2be.payments.models import Payment
from support.cancelling import Conference, sold
from support.factories import Ticket


@pytest.fixture(autouse=True)
def _every_run_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "IN_THE_REQUEST", 0)
    monkeypatch.setattr(preparing, "CHUNK", 2)


def sell_out(meeting: Conference) -> None:
    """Sell seven tickets: of one, three and one payments, one pending and one free."""
    meeting.sell(Ticket(price=10_000))
    meeting.sell(*sold([1_000, 2_000, 3_000]))
    meeting.sell(Ticket(price=0, email="free@example.org"))
    meeting.sell(Ticket(price=7_000))
    meeting.sell(Ticket(price=5_000), payment="pending")


def set_payment(meeting: Conference, payment_id: int, **values: Any) -> None:
    with meeting.database.system_session("tests: change a payment") as session:
        session.execute(update(Payment).where(Payment.id == payment_id).values(**values))
        session.commit()


def event_status(meeting: Conference) -> str:
    return str(meeting.rows(Event)[0].status)


def paid_back(meeting: Conference) -> list[int]:
    return sorted(each for amounts in meeting.at_provider().values() for each in amounts)


def units(meeting: Conference) -> list[tuple[int, int, int | None]]:
    return [(item.unit, item.attendee_id, item.payment_id) for item in meeting.items()]


def test_a_large_run_is_begun_without_an_item_and_its_first_lane_writes_them(
    any_meeting: Conference,
) -> None:
    sell_out(any_meeting)
    any_meeting.confirm()
    assert (any_meeting.run().state, event_status(any_meeting)) == ("confirmed", "cancelling")
    assert any_meeting.items() == []
    # The other lane leaves it to the first one, whenever it comes.
    assert any_meeting.work(1).why == preparing.PREPARING
    any_meeting.work(0, chunks=1)
    with any_meeting.database.tenant_session(any_meeting.tenant.id, read_only=True) as session:
        found = progress_of(session, any_meeting.run(), any_meeting.clock.now())
    assert (found.prepared, found.total, found.refunds) == (Track(4, 7), 7, Track(0, 7))
    assert any_meeting.refunds() == []
    assert any_meeting.finish().state == "done"
    assert paid_back(any_meeting) == [6_000, 7_000, 10_000]
    assert any_meeting.run().preparation is None


def test_what_the_job_writes_is_what_the_request_would_have_written(
    meeting: Conference, monkeypatch: pytest.MonkeyPatch
) -> None:
    sell_out(meeting)
    meeting.confirm()
    while meeting.run().preparation is not None:
        meeting.work(0, chunks=1)
    by_job = units(meeting)
    meeting.act(services.abort, meeting.admin)
    meeting.finish()
    monkeypatch.setattr(preparing, "IN_THE_REQUEST", 5_000)
    meeting.confirm()
    assert units(meeting) == by_job
    assert [unit for unit, _, _ in by_job] == [0, 1, 1, 1, 2, 3, 4]


@pytest.mark.parametrize("survived", [0, 1, 2])
def test_a_worker_that_dies_between_two_chunks_leaves_nothing_twice_and_nothing_out(
    meeting: Conference, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    sell_out(meeting)
    meeting.confirm(lanes=1)
    left = [survived]

    def dying(*given: Any) -> int:
        left[0] -= 1
        number = insert_items(*given)
        if left[0] < 0:
            raise KeyboardInterrupt
        return number

    with monkeypatch.context() as patched:
        patched.setattr(preparing, "insert_items", dying)
        with pytest.raises(KeyboardInterrupt):
            meeting.work(0)
    assert len(meeting.items()) < 7
    assert meeting.finish().state == "done"
    assert len({item.attendee_id for item in meeting.items()}) == len(meeting.items()) == 7
    assert paid_back(meeting) == [6_000, 7_000, 10_000]


def test_a_preview_that_proves_stale_is_taken_back_and_nothing_has_happened(
    any_meeting: Conference,
) -> None:
    sell_out(any_meeting)
    run = any_meeting.preview()
    pending = next(each for each in any_meeting.payments() if each.status == "pending")
    any_meeting.provider.control.create_payment(5_000, payment_intent=pending.provider_ref)
    set_payment(any_meeting, pending.id, status="succeeded")
    any_meeting.confirm(run)
    for _ in range(12):
        any_meeting.work(0, chunks=1)  # another worker for each step
    assert (any_meeting.run().state, event_status(any_meeting)) == ("preview", "live")
    assert (any_meeting.items(), any_meeting.refunds(), any_meeting.mails()) == ([], [], [])
    # The words of a stale preview, for whoever looks at the run or confirms it again.
    with pytest.raises(PreviewStale) as refused:
        any_meeting.confirm(run)
    told = {str(what): (before, now) for what, before, now in refused.value.differences}
    assert told["payments to refund"] == ("3", "4")
    assert [row.kind for row in any_meeting.rows(Notification)] == ["cancellation_taken_back"]
    actions = [row.action for row in any_meeting.rows(AuditEntry)]
    assert actions == ["cancellation.confirmed", "cancellation.taken_back"]
    assert any_meeting.cancel().state == "done"
    assert paid_back(any_meeting) == [5_000, 6_000, 7_000, 10_000]


def test_more_attendees_than_previewed_are_shown_first_though_they_paid_nothing(
    any_meeting: Conference,
) -> None:
    sell_out(any_meeting)
    run = any_meeting.preview()
    any_meeting.sell(Ticket(price=0), payment=None)
    any_meeting.confirm(run)
    any_meeting.work(0)
    assert (any_meeting.run().state, event_status(any_meeting)) == ("preview", "live")
    with pytest.raises(PreviewStale) as refused:
        any_meeting.confirm(run)
    told = {str(what): (before, now) for what, before, now in refused.value.differences}
    assert told["attendees"] == ("7", "8")


def test_who_comes_while_a_run_is_prepared_makes_no_preview_stale_and_is_swept_up(
    meeting: Conference,
) -> None:
    sell_out(meeting)
    meeting.confirm(lanes=1)
    meeting.work(0, chunks=1)
    meeting.sell(Ticket(price=4_000))
    assert meeting.finish().state == "done"
    assert paid_back(meeting) == [4_000, 6_000, 7_000, 10_000]


def test_a_run_is_paused_and_resumed_while_it_is_prepared(meeting: Conference) -> None:
    sell_out(meeting)
    meeting.confirm()
    meeting.work(0, chunks=1)
    meeting.act(services.pause, meeting.admin)
    assert (meeting.work(0).again_after, len(meeting.items())) == (None, 4)
    meeting.act(services.resume, meeting.admin)
    assert (meeting.run().state, meeting.run().started_at) == ("confirmed", None)
    assert meeting.finish().state == "done"
    assert len(meeting.refunds()) == 3


def test_a_run_that_is_aborted_while_it_is_prepared_refunds_nobody(meeting: Conference) -> None:
    sell_out(meeting)
    meeting.confirm()
    meeting.work(0, chunks=1)
    meeting.act(services.abort, meeting.admin)
    assert meeting.finish().state == "aborted"
    assert (meeting.refunds(), event_status(meeting)) == ([], "cancelling")
    assert {item.refund_state for item in meeting.rows(CancelItem)} == {"todo"}
    # Another run does the rest.
    assert meeting.cancel().state == "done"


def test_a_suspended_tenants_run_waits_with_its_preparation(meeting: Conference) -> None:
    sell_out(meeting)
    meeting.confirm()
    with meeting.database.system_session("tests: suspend") as session:
        session.execute(update(type(meeting.tenant)).values(status="suspended"))
        session.commit()
    assert meeting.work(0).why == "tenant_suspended"
    assert (meeting.run().state, meeting.items()) == ("paused", [])


def test_every_page_of_a_preview_goes_on_behind_the_one_before(any_meeting: Conference) -> None:
    sell_out(any_meeting)
    names: list[list[int]] = []
    beyond: str | None = ""
    with any_meeting.database.tenant_session(any_meeting.tenant.id, read_only=True) as session:
        event = session.get_one(Event, any_meeting.event.id)
        while beyond is not None:
            part = preview_part(session, event, CancelOptions(), beyond, size=1)
            names.append([item.line.attendee_id for item in part.items])
            beyond = part.beyond
    assert [len(each) for each in names] == [1, 3, 1, 1, 1]
    assert len({each for page in names for each in page}) == 7


def test_more_people_who_paid_meanwhile_than_a_statement_takes_are_swept_up(
    meeting: Conference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meet2be.cancellations.closing.INSERT_BATCH", 2)
    late = [meeting.sell(Ticket(price=1_000 + n), payment="pending") for n in range(5)]
    meeting.confirm(lanes=1)
    meeting.work(0, chunks=4)
    for made in late:
        assert made.payment is not None
        meeting.provider.control.create_payment(
            made.payment.amount_minor, payment_intent=made.payment.provider_ref
        )
        set_payment(meeting, made.payment.id, status="succeeded")
    assert meeting.finish().state == "done"
    assert len(meeting.at_provider()) == 5
