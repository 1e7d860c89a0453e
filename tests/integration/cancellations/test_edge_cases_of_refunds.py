"""Edge cases 1 to 14 of cancelling a conference: which refund is made, looked up, or not made.

In the order of the list in docs/reference; `test_edge_cases.py` goes on. Each is run for real:
database, Stripe's library, and a provider in a process of its own, whose ledger is what counts.
"""

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from meet2be.attendees.models import Attendee
from meet2be.cancellations import services
from meet2be.cancellations.by_hand import mark_paid
from meet2be.cancellations.models import CancelRun
from meet2be.invoices.models import Invoice
from meet2be.mailings.models import Mail
from meet2be.notifications.models import Notification
from meet2be.orders.models import Order
from meet2be.payments.models import Payment, Refund, RefundAttempt
from support.cancelling import Conference, change, reasons, sold
from support.factories import Ticket

DAY = 24 * 3600


def keys(meeting: Conference) -> list[str]:
    return [refund.idempotency_key for refund in meeting.refunds()]


def test_01_an_attendee_without_an_invoice_is_cancelled_and_told_and_not_refunded(
    meeting: Conference,
) -> None:
    made = meeting.sell(Ticket(price=39_900), payment=None)
    change(meeting, Attendee, made.attendee.id, invoice_id=None)
    run = meeting.cancel()
    [item] = meeting.items()
    assert (item.refund_state, item.skip_reason) == ("none_needed", "no_invoice")
    assert item.cancel_state == "done"
    assert meeting.rows(Attendee)[0].status == "cancelled"
    assert "Nothing was charged" in (meeting.mails()[0].body_text or "")
    assert run.state == "done"


def test_02_a_free_ticket_makes_no_call_and_says_that_nothing_was_charged(
    meeting: Conference,
) -> None:
    meeting.sell(Ticket(price=0))
    meeting.cancel()
    assert reasons(meeting) == ["free"]
    assert meeting.refunds() == []
    assert "Nothing was charged" in (meeting.mails()[0].body_text or "")


def test_03_what_the_dashboard_refunded_is_written_down_and_not_paid_again(
    meeting: Conference,
) -> None:
    made = meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    meeting.confirm()
    meeting.provider.control.dashboard_refund(str(made.payment.provider_ref))
    run = meeting.finish()
    assert meeting.at_provider() == {made.payment.provider_ref: [10_000]}
    assert [(row.mode, row.status) for row in meeting.refunds()] == [
        ("auto", "cancelled"),
        ("external", "succeeded"),
    ]
    assert meeting.states() == ["none_needed"]
    assert reasons(meeting) == ["already_refunded"]
    [payment] = meeting.payments()
    assert (payment.reserved_minor, payment.refunded_minor) == (0, 10_000)
    assert run.state == "done"


def test_03_what_we_refunded_in_full_before_needs_nothing(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000, refunded=10_000))
    meeting.cancel()
    assert reasons(meeting) == ["already_refunded"]
    assert meeting.refunds() == []


def test_04_only_the_rest_of_a_partly_refunded_ticket_is_paid(meeting: Conference) -> None:
    made = meeting.sell(Ticket(price=10_000, refunded=2_500))
    assert made.payment is not None
    meeting.cancel()
    assert meeting.at_provider() == {made.payment.provider_ref: [2_500, 7_500]}
    assert meeting.payments()[0].refunded_minor == 10_000


def test_04_a_part_refunded_at_the_dashboard_leaves_only_the_rest(meeting: Conference) -> None:
    made = meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    meeting.confirm()
    meeting.provider.control.dashboard_refund(str(made.payment.provider_ref), 4_000)
    meeting.finish()
    assert sorted(meeting.at_provider()[str(made.payment.provider_ref)]) == [4_000, 6_000]
    assert meeting.states() == ["done"]
    assert meeting.items()[0].planned_minor == 6_000


def test_04_the_database_refuses_to_give_back_more_than_came_in(any_meeting: Conference) -> None:
    made = any_meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    for column in ("reserved_minor", "refunded_minor"):
        with pytest.raises(IntegrityError):
            change(any_meeting, Payment, made.payment.id, **{column: 10_001})


def test_05_one_payment_for_several_attendees_is_one_refund_of_their_sum(
    any_meeting: Conference,
) -> None:
    made = any_meeting.sell(*sold([24_900, 39_900, 24_900, 0]))
    assert made.payment is not None
    any_meeting.cancel()
    assert any_meeting.at_provider() == {made.payment.provider_ref: [89_700]}
    assert sorted(any_meeting.states()) == ["done", "done", "done", "none_needed"]
    assert [row.refunded_minor for row in any_meeting.rows(Attendee)] == [24_900, 39_900, 24_900, 0]
    assert {row.status for row in any_meeting.rows(Order)} == {"cancelled"}


def test_06_tickets_of_an_order_with_several_payments_go_back_to_the_payment_each_was_settled_with(
    meeting: Conference,
) -> None:
    made = meeting.sell(*sold([10_000, 20_000]))
    assert made.payment is not None
    change(meeting, Payment, made.payment.id, amount_minor=10_000)
    with meeting.database.tenant_session(meeting.tenant.id) as session:
        second = Payment(
            order_id=made.order.id, provider="stripe", provider_ref=f"{made.payment.provider_ref}b",
            amount_minor=20_000, currency="EUR", status="succeeded",
        )  # fmt: skip
        session.add(second)
        session.flush()
        session.execute(
            update(Attendee).where(Attendee.id == made.attendees[1].id).values(payment_id=second.id)
        )
        session.commit()
    meeting.provider.control.create_payment(20_000, payment_intent=second.provider_ref)
    meeting.cancel()
    found = {row.payment_id: (row.amount_minor, row.status) for row in meeting.refunds()}
    assert found == {made.payment.id: (10_000, "succeeded"), second.id: (20_000, "succeeded")}
    assert len(set(keys(meeting))) == 2


def test_07_a_refund_that_timed_out_after_it_was_made_is_found_and_not_repeated(
    any_meeting: Conference,
) -> None:
    made = any_meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    any_meeting.provider.control.rule("error_after", times=1, status=504)
    any_meeting.confirm(lanes=1)
    any_meeting.work(0, chunks=1)
    assert any_meeting.states() == ["uncertain"]
    assert any_meeting.mails() == []
    any_meeting.finish()
    assert any_meeting.at_provider() == {made.payment.provider_ref: [10_000]}
    assert [row.outcome for row in any_meeting.rows(RefundAttempt)] == ["uncertain", "found"]
    assert len(any_meeting.mails()) == 1


def test_07_a_refund_that_never_arrived_is_repeated_under_the_same_key(
    meeting: Conference,
) -> None:
    made = meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    meeting.provider.control.rule("error_before", times=1, status=503)
    meeting.cancel()
    assert meeting.at_provider() == {made.payment.provider_ref: [10_000]}
    assert len(meeting.refunds()) == 1


def test_08_whatever_a_dead_worker_left_under_way_is_looked_up_by_the_next(
    any_meeting: Conference,
) -> None:
    """The kills themselves are in tests/crash/cancellation; here the state they leave."""
    made = any_meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    any_meeting.confirm(lanes=1)
    any_meeting.work(0)
    # As if the worker had died after the provider's yes: nothing of the answer was written.
    change(any_meeting, Refund, any_meeting.refunds()[0].id,
           status="sending", provider_refund_id=None, settled_at=None, credit_note_id=None,
           lease_token="dead", lease_until=any_meeting.clock.now())  # fmt: skip
    change(any_meeting, Payment, made.payment.id, reserved_minor=10_000, refunded_minor=0)
    change(any_meeting, CancelRun, any_meeting.run().id, state="running")
    any_meeting.finish()
    assert any_meeting.at_provider() == {made.payment.provider_ref: [10_000]}
    assert any_meeting.payments()[0].refunded_minor == 10_000


@pytest.mark.parametrize("made_it", [True, False])
def test_09_a_run_resumed_after_the_keys_time_looks_first_and_pays_once(
    meeting: Conference, made_it: bool
) -> None:
    made = meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    rule = "error_after" if made_it else "error_before"
    meeting.provider.control.rule(rule, times=1, status=504)
    meeting.confirm(lanes=1)
    meeting.work(0, chunks=1)
    meeting.act(services.pause, meeting.admin, "over the weekend")
    meeting.pass_time(2 * DAY)
    meeting.act(services.resume, meeting.admin)
    meeting.finish()
    assert meeting.at_provider() == {made.payment.provider_ref: [10_000]}
    assert meeting.states() == ["done"]
    assert len(set(keys(meeting))) == (1 if made_it else 2)


def test_10_a_pending_refund_is_neither_done_nor_failed_and_is_followed_by_messages(
    meeting: Conference,
) -> None:
    made = meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    meeting.provider.control.rule("pending", times=1, reason="insufficient_funds")
    run = meeting.cancel()
    [refund] = meeting.refunds()
    assert meeting.states() == ["pending"]
    assert (refund.status, refund.pending_reason) == ("pending", "insufficient_funds")
    assert run.state == "done"
    assert meeting.payments()[0].reserved_minor == 10_000
    assert [row for row in meeting.rows(Invoice) if row.kind == "credit_note"] == []
    meeting.provider.control.settle(str(refund.provider_refund_id))
    assert meeting.tell(*meeting.messages("refund.updated")) == ["succeeded"]
    assert meeting.states() == ["done"]
    payment = meeting.payments()[0]
    assert (payment.reserved_minor, payment.refunded_minor) == (0, 10_000)
    assert len([row for row in meeting.rows(Invoice) if row.kind == "credit_note"]) == 1
    assert len(meeting.rows(Mail)) == 1


def test_11_a_refund_that_fails_days_later_reopens_its_item_and_tells_everybody(
    any_meeting: Conference,
) -> None:
    made = any_meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    any_meeting.cancel()
    [refund] = any_meeting.refunds()
    any_meeting.pass_time(3 * DAY)
    any_meeting.provider.control.settle(
        str(refund.provider_refund_id), "failed", "expired_or_canceled_card"
    )
    assert any_meeting.tell(*any_meeting.messages("refund.updated", "refund.failed")) == [
        "failed",
        "old_news",
    ]
    assert any_meeting.states() == ["manual"]
    assert any_meeting.run().state == "done_with_errors"
    assert any_meeting.payments()[0].refunded_minor == 0
    assert any_meeting.rows(Attendee)[0].refunded_minor == 0
    assert len(any_meeting.mails("refund_failed")) == 1
    assert [row.kind for row in any_meeting.rows(Notification)].count("refund_came_back") == 1
    notes = [row for row in any_meeting.rows(Invoice) if row.kind == "credit_note"]
    assert [note.status for note in notes] == ["void"]


def test_12_a_retry_after_a_definite_refusal_uses_a_new_key(meeting: Conference) -> None:
    made = meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    meeting.provider.control.rule("refuse", times=1, code="processing_error")
    run = meeting.cancel()
    assert (run.state, meeting.states()) == ("done_with_errors", ["failed"])
    assert meeting.items()[0].error_code == "processing_error"
    assert "handled by the organiser" in (meeting.mails()[0].body_text or "")
    assert meeting.act(services.retry_failed, meeting.admin) == 1
    run = meeting.finish()
    assert (run.state, meeting.states()) == ("done", ["done"])
    assert len(set(keys(meeting))) == 2
    assert meeting.at_provider() == {made.payment.provider_ref: [10_000]}
    assert len(meeting.mails()) == 1
    assert len(meeting.mails("refund_made")) == 1


def test_12_an_error_the_provider_stored_is_left_behind_by_a_look_up_and_a_new_key(
    meeting: Conference,
) -> None:
    made = meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    meeting.provider.control.rule("error_before", times=1, status=500, stored=True)
    started = meeting.clock.time()
    meeting.cancel()
    assert meeting.at_provider() == {made.payment.provider_ref: [10_000]}
    assert [row.status for row in meeting.refunds()] == ["failed", "succeeded"]
    assert len(set(keys(meeting))) == 2
    assert meeting.clock.time() - started >= 15 * 60


def test_12_an_error_stored_after_the_refund_was_made_is_found_and_not_repeated(
    meeting: Conference,
) -> None:
    made = meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    meeting.provider.control.rule("error_after", times=1, status=500, stored=True)
    meeting.cancel()
    assert meeting.at_provider() == {made.payment.provider_ref: [10_000]}
    assert len(meeting.refunds()) == 1


def test_13_a_disputed_payment_is_passed_over_with_its_reason(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000), payment="disputed")
    run = meeting.cancel()
    assert reasons(meeting) == ["disputed"]
    assert meeting.refunds() == []
    assert run.state == "done"
    assert meeting.rows(Attendee)[0].status == "cancelled"


def test_13_a_dispute_opened_meanwhile_is_passed_over_too(meeting: Conference) -> None:
    made = meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    meeting.confirm()
    meeting.provider.control.dispute(str(made.payment.provider_ref))
    meeting.finish()
    assert meeting.at_provider() == {}
    assert reasons(meeting) == ["disputed"]
    assert meeting.payments()[0].reserved_minor == 0


@pytest.mark.parametrize("code", ["charge_not_refundable", "expired_or_canceled_card"])
def test_14_what_no_other_try_can_change_is_the_organisers_to_pay_by_hand(
    meeting: Conference, code: str
) -> None:
    made = meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    meeting.provider.control.rule("refuse", code=code)
    run = meeting.cancel()
    assert (run.state, meeting.states()) == ("done_with_errors", ["manual"])
    item = meeting.items()[0]
    meeting.act(
        lambda session, uid: mark_paid(
            session, meeting.desk, uid, item.id, meeting.admin, "bank transfer of 3 May"
        )
    )
    assert meeting.states() == ["done"]
    assert meeting.payments()[0].refunded_minor == 10_000
    assert [row.mode for row in meeting.refunds()] == ["auto", "manual"]
    assert meeting.at_provider() == {}
    assert len(meeting.rows(Mail)) == 1


def test_14_a_disconnected_account_stops_the_run_instead_of_failing_everybody(
    meeting: Conference,
) -> None:
    for _ in range(3):
        meeting.sell(Ticket(price=10_000))
    meeting.provider.control.rule("refuse", times=3, code="account_invalid", status=403)
    meeting.confirm(lanes=1)
    meeting.work(0)
    run = meeting.run()
    assert (run.state, run.pause_code) == ("paused", "provider")
    assert set(meeting.states()) == {"todo"}
    assert meeting.finish().state == "done"
    assert all(amounts == [10_000] for amounts in meeting.at_provider().values())
