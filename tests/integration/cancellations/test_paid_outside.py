"""Money of imported people: the provider never had it, so a person pays it back."""

from pathlib import Path

import pytest
from sqlalchemy import select

from meet2be.attendees.models import Attendee
from meet2be.audit.models import AuditEntry
from meet2be.cancellations.by_hand import mark_all_paid, waiting_by_hand
from meet2be.cancellations.options import CancelOptions
from meet2be.cancellations.preview import Preview
from meet2be.cancellations.report import report_rows
from meet2be.checkout.cancelling import refund_tickets
from meet2be.imports.desk import ImportDesk
from meet2be.integrations.storage_local import LocalStore
from meet2be.orders.models import Order
from meet2be.payments.errors import ReasonMissing
from meet2be.payments.models import ProviderCircuit
from support.cancelling import Conference
from support.factories import Ticket, make_user
from support.importing import Importing
from support.ordering import Shop

LIST = "Name,E-mail,Ticket,Price,Order,Invoice\r\n"
PEOPLE = (
    "Ada,ada@example.org,Regular,10.00,A1,R1\r\n"
    "Bob,bob@example.org,Regular,5.00,A1,R1\r\n"
    "Eve,eve@example.org,Regular,7.00,,\r\n"
    "Joe,joe@example.org,Regular,0,,\r\n"
)


def imported(meeting: Conference, folder: Path) -> None:
    """Bring people into the conference as a person does: with a list, on the page."""
    user = make_user(meeting.database, meeting.tenant)
    store = LocalStore(folder / "files")
    desk = ImportDesk(meeting.database, store, meeting.clock)
    Importing(meeting.database, desk, meeting.tenant, meeting.event, user).imported(LIST + PEOPLE)


def test_imported_people_are_paid_back_by_hand_and_nothing_is_sent(
    any_meeting: Conference, tmp_path: Path
) -> None:
    meeting = any_meeting
    meeting.sell(Ticket(price=10_000))
    imported(meeting, tmp_path)
    preview = Preview.from_json(meeting.preview().preview)
    assert (preview.refund_minor, preview.manual_minor) == ({"EUR": 10_000}, {"EUR": 2_200})
    assert (preview.outcomes["refund"], preview.outcomes["manual"]) == (1, 3)
    assert preview.accounts == ["stripe:"]
    assert meeting.cancel().state == "done_with_errors"
    assert meeting.states() == ["done", "manual", "manual", "manual", "none_needed"]
    assert {each.error_code for each in meeting.items()} == {None, "paid_outside"}
    assert [each.amount_minor for each in meeting.refunds()] == [10_000]
    assert len(meeting.provider_refunds()) == 1


def test_all_that_is_left_to_be_paid_by_hand_is_marked_at_once(
    any_meeting: Conference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting = any_meeting
    imported(meeting, tmp_path)
    meeting.cancel()
    with meeting.database.tenant_session(meeting.tenant.id) as session:
        run = meeting.run()
        waiting = waiting_by_hand(session, run.id)
        assert (waiting.number, waiting.minor) == (3, {"EUR": 2_200})
        assert len(list(report_rows(session, run, "manual"))) == 1 + 3
        with pytest.raises(ReasonMissing):
            mark_all_paid(session, meeting.desk, run.uid, meeting.admin, " ", most=3)
        monkeypatch.setattr("meet2be.cancellations.by_hand.AT_ONCE", 2)
        given = session, meeting.desk, run.uid, meeting.admin, "In cash."
        assert mark_all_paid(*given, most=1) == 1
        assert waiting_by_hand(session, run.id).number == 2
        assert mark_all_paid(*given, most=3) == 2
        assert waiting_by_hand(session, run.id).number == 0
        assert mark_all_paid(*given, most=3) == 0
        told = session.scalars(
            select(AuditEntry).where(
                AuditEntry.action == "refund.paid_by_hand", AuditEntry.object_type == "cancel_run"
            )
        ).all()
    assert sum((each.after or {})["items"] for each in told) == 3
    assert [each.refunded_minor for each in meeting.payments()] == [1_500, 700]
    assert [each.refunded_minor for each in meeting.rows(Attendee)] == [1_000, 500, 700, 0]
    assert {each.mode for each in meeting.refunds()} == {"manual"}


def test_what_went_back_from_an_orders_page_is_not_marked_as_paid_by_hand_too(
    any_meeting: Conference,
) -> None:
    meeting = any_meeting
    meeting.sell(Ticket(price=5_000), Ticket(price=5_000))
    meeting.sell(Ticket(price=3_000))
    meeting.cancel(CancelOptions(refund_mode="manual"))
    shop, ada = Shop(meeting), meeting.rows(Attendee)[0]
    order = meeting.rows(Order, Order.id == ada.order_id)[0]
    with meeting.database.tenant_session(meeting.tenant.id) as session:
        given = order.uid, [ada.uid], meeting.admin, "Ill."
        refund_tickets(session, shop.desk, *given, cancel=False)
        session.commit()
    shop.send_refunds()
    run = meeting.run()
    with meeting.database.tenant_session(meeting.tenant.id) as session:
        by_cash = session, meeting.desk, run.uid, meeting.admin, "In cash."
        assert mark_all_paid(*by_cash, most=3) == 2
        assert waiting_by_hand(session, run.id).number == 0
    assert meeting.states() == ["none_needed", "done", "done"]
    assert [each.refunded_minor for each in meeting.payments()] == [10_000, 3_000]
    assert [each.refunded_minor for each in meeting.rows(Attendee)] == [5_000, 5_000, 3_000]


def test_a_refund_of_an_imported_ticket_fails_at_once_with_what_to_do(
    meeting: Conference, tmp_path: Path
) -> None:
    imported(meeting, tmp_path)
    shop, ada = Shop(meeting), meeting.rows(Attendee, Attendee.name == "Ada")[0]
    order = meeting.rows(Order, Order.id == ada.order_id)[0]
    with meeting.database.tenant_session(meeting.tenant.id) as session:
        refund_tickets(
            session, shop.desk, order.uid, [ada.uid], meeting.admin, "Ill.", cancel=False
        )
        session.commit()
    (refund,) = shop.send_refunds()
    assert (refund.status, refund.failure_code) == ("failed", "paid_outside")
    assert meeting.payments()[0].reserved_minor == 0
    with meeting.database.system_session("tests: the circuits") as system:
        accounts = system.scalars(select(ProviderCircuit.provider)).all()
    assert "outside" not in accounts
