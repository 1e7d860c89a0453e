"""Edge cases 15 to 25 of cancelling a conference, and further ones: what happens around the money.

In the order of the list in docs/reference; `test_edge_cases_of_refunds.py` has the cases before.
Each is run for real: database, Stripe's library, and a provider in a process of its own, whose
ledger is what counts.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from meet2be.attendees.models import Attendee
from meet2be.cancellations import services
from meet2be.cancellations.errors import (
    CancellationAlreadyRunning,
    CodeNeeded,
    PreviewStale,
    TenantSuspended,
)
from meet2be.cancellations.options import CancelOptions
from meet2be.cancellations.preview import Preview
from meet2be.events.models import Event
from meet2be.invoices.models import Invoice
from meet2be.mailings.models import Mail, MailSuppression
from meet2be.payments.models import Payment, ProviderEvent
from meet2be.tenancy.models import Tenant
from support.cancelling import Conference, SteppingControl, change, reasons, sold
from support.factories import Sale, Ticket, make_order

DAY = 24 * 3600


def test_15_sums_are_kept_by_currency_and_in_minor_units(meeting: Conference) -> None:
    yen, dinar = meeting.sell(Ticket(price=5_000)), meeting.sell(Ticket(price=12_340))
    euro = meeting.sell(Ticket(price=10_000))
    for made, currency in ((yen, "JPY"), (dinar, "KWD")):
        assert made.payment is not None
        change(meeting, Payment, made.payment.id, currency=currency,
               provider_ref=f"{made.payment.provider_ref}x")  # fmt: skip
        change(meeting, Attendee, made.attendee.id, currency=currency)
        meeting.provider.control.create_payment(
            made.payment.amount_minor, currency.lower(),
            payment_intent=f"{made.payment.provider_ref}x",
        )  # fmt: skip
    run = meeting.preview()
    sums = Preview.from_json(run.preview).refund_minor
    assert sums == {"EUR": 10_000, "JPY": 5_000, "KWD": 12_340}
    # The tenant's limit is in euros, so any other currency asks for a code.
    with pytest.raises(CodeNeeded):
        meeting.confirm(run)
    meeting.confirm(run, code=meeting.mailed_code(run))
    assert meeting.finish().state == "done"
    booked = {(row.currency, row.amount_minor, row.status) for row in meeting.refunds()}
    assert booked == {
        ("EUR", 10_000, "succeeded"), ("JPY", 5_000, "succeeded"), ("KWD", 12_340, "succeeded"),
    }  # fmt: skip
    assert euro.payment is not None


def test_16_a_percentage_is_rounded_once_for_a_payment_and_the_run_pays_what_was_previewed(
    meeting: Conference,
) -> None:
    made = meeting.sell(*sold([3_333, 3_333, 3_333]))
    assert made.payment is not None
    options = CancelOptions(fee_kind="percent", fee_basis_points=1_000)
    preview = Preview.from_json(meeting.preview(options).preview)
    meeting.cancel(options)
    # 10 % of 99.99 is 9.999, so 10.00 is kept; the lines alone would keep 3 x 3.33.
    assert preview.refund_minor == {"EUR": 8_999}
    assert meeting.at_provider() == {made.payment.provider_ref: [8_999]}
    assert [item.kept_minor for item in meeting.items()] == [333, 333, 334]


def test_17_a_payment_that_arrives_while_the_event_is_cancelled_is_refunded_by_the_sweep(
    any_meeting: Conference,
) -> None:
    paid, late = (
        any_meeting.sell(Ticket(price=10_000)),
        any_meeting.sell(Ticket(price=7_000), payment="pending"),
    )
    assert late.payment is not None
    any_meeting.confirm(lanes=1)
    assert any_meeting.rows(Event)[0].status == "cancelling"
    any_meeting.work(0, chunks=1)
    any_meeting.provider.control.create_payment(7_000, payment_intent=late.payment.provider_ref)
    change(any_meeting, Payment, late.payment.id, status="succeeded")
    newcomer = any_meeting.sell(Ticket(price=5_000))
    assert any_meeting.finish().state == "done"
    assert paid.payment is not None
    assert newcomer.payment is not None
    assert any_meeting.at_provider() == {
        paid.payment.provider_ref: [10_000],
        late.payment.provider_ref: [7_000],
        newcomer.payment.provider_ref: [5_000],
    }
    assert len(any_meeting.mails()) == 3


def test_18_an_attendee_who_was_erased_meanwhile_is_refunded_and_gets_no_mail(
    meeting: Conference,
) -> None:
    made = meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    meeting.confirm()
    change(meeting, Attendee, made.attendee.id, name="erased", email=None,
           anonymised_at=meeting.clock.now())  # fmt: skip
    meeting.finish()
    assert meeting.at_provider() == {made.payment.provider_ref: [10_000]}
    assert meeting.items()[0].mail_state == "no_address"
    assert meeting.rows(Mail) == []


def test_18_a_ticket_transferred_meanwhile_pays_the_payment_of_the_snapshot(
    meeting: Conference,
) -> None:
    made = meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    meeting.confirm()
    change(meeting, Attendee, made.attendee.id, name="Somebody Else", status="transferred")
    meeting.finish()
    assert meeting.at_provider() == {made.payment.provider_ref: [10_000]}


def test_19_one_person_with_twelve_tickets_gets_twelve_mails_written(meeting: Conference) -> None:
    """How many of them leave in an hour is the mail transport's business."""
    meeting.sell(*[Ticket(price=1_000, email="same@example.org") for _ in range(12)])
    meeting.cancel()
    assert len({mail.dedupe_key for mail in meeting.mails()}) == 12


def test_20_without_a_usable_address_the_refund_still_runs(meeting: Conference) -> None:
    nobody = meeting.sell(Ticket(price=10_000, email=None))
    stopped = meeting.sell(Ticket(price=10_000, email="stop@example.org"))
    with meeting.database.tenant_session(meeting.tenant.id) as session:
        session.add(
            MailSuppression(
                tenant_id=meeting.tenant.id,
                email_norm="stop@example.org",
                reason="hard_bounce",
                scope="all",
            )
        )
        session.commit()
    meeting.cancel()
    assert nobody.payment is not None
    assert stopped.payment is not None
    assert len(meeting.at_provider()) == 2
    assert sorted(item.mail_state for item in meeting.items()) == ["no_address", "suppressed"]


def test_21_a_second_cancel_gets_a_link_to_the_first(any_meeting: Conference) -> None:
    any_meeting.sell(Ticket(price=10_000))
    first, second = any_meeting.preview(), any_meeting.preview()
    uid = any_meeting.confirm(first)
    with pytest.raises(CancellationAlreadyRunning) as refused:
        any_meeting.confirm(second)
    assert refused.value.run_uid == uid
    with pytest.raises(CancellationAlreadyRunning):
        any_meeting.preview()
    any_meeting.run_uid = uid
    assert any_meeting.finish().state == "done"


def test_22_a_stale_preview_is_refused_with_what_changed_and_nothing_is_begun(
    any_meeting: Conference,
) -> None:
    any_meeting.sell(Ticket(price=10_000))
    run = any_meeting.preview()
    any_meeting.sell(Ticket(price=5_000))
    with pytest.raises(PreviewStale) as refused:
        any_meeting.confirm(run)
    changes = {str(what): values for what, *values in refused.value.differences}
    assert changes["attendees"] == ["1", "2"]
    assert changes["refunds in EUR (minor units)"] == ["10000", "15000"]
    assert any_meeting.rows(Event)[0].status == "live"
    assert any_meeting.items() == []
    assert any_meeting.run().state == "preview"


def test_23_a_suspended_tenant_pauses_the_run_and_what_was_sent_is_followed(
    meeting: Conference,
) -> None:
    for _ in range(2):
        meeting.sell(Ticket(price=10_000))
    meeting.provider.control.rule("error_after", times=1, status=504)
    meeting.confirm(lanes=2)
    meeting.work(0, chunks=1)
    change(meeting, Tenant, meeting.tenant.id, status="suspended")
    meeting.pass_time(60)
    meeting.work(0)
    meeting.work(1)
    run = meeting.run()
    assert (run.state, run.pause_code) == ("paused", "tenant_suspended")
    assert sorted(meeting.states()) == ["done", "todo"]
    with pytest.raises(TenantSuspended):
        meeting.act(services.resume, meeting.admin)
    change(meeting, Tenant, meeting.tenant.id, status="active")
    meeting.act(services.resume, meeting.admin)
    assert meeting.finish().state == "done"
    assert run.confirmed_by == meeting.admin


def test_24_a_provider_that_is_down_pauses_the_run_and_it_resumes_by_itself(
    any_meeting: Conference,
) -> None:
    any_meeting.sell_all(*[Sale([Ticket(price=1_000)])] * 40)
    any_meeting.provider.control.rule("error_before", status=503, call="*")
    any_meeting.desk = replace(any_meeting.desk, chunk=8)
    any_meeting.confirm(lanes=2)
    for lane in (0, 1):
        any_meeting.work(lane)
    run = any_meeting.run()
    assert (run.state, run.pause_code) == ("paused", "provider")
    assert run.resume_at is not None
    assert run.resume_at > any_meeting.clock.now()
    states = any_meeting.states()
    assert states.count("failed") == 0
    assert states.count("todo") >= 8
    any_meeting.provider.control.behave_well()
    assert any_meeting.finish().state == "done"
    assert all(amounts == [1_000] for amounts in any_meeting.at_provider().values())
    assert len(any_meeting.at_provider()) == 40


def test_24_a_button_makes_the_run_try_the_provider_at_once(meeting: Conference) -> None:
    meeting.sell_all(*[Sale([Ticket(price=1_000)])] * 12)
    meeting.provider.control.rule("error_before", status=503, call="*")
    meeting.confirm(lanes=1)
    meeting.work(0)
    assert meeting.run().state == "paused"
    meeting.provider.control.behave_well()
    before = meeting.clock.time()
    meeting.act(services.resume, meeting.admin)
    meeting.work(0)
    assert meeting.clock.time() == before
    assert meeting.run().state == "running"
    assert meeting.finish().state == "done"


def test_25_a_message_that_comes_before_our_own_commit_finishes_the_refund(
    any_meeting: Conference,
) -> None:
    made = any_meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    any_meeting.provider.control.rule("error_after", times=1, status=504)
    any_meeting.confirm(lanes=1)
    any_meeting.work(0, chunks=1)
    [created] = any_meeting.messages("refund.created")
    assert any_meeting.tell(created) == ["succeeded"]
    assert any_meeting.states() == ["done"]
    any_meeting.finish()
    assert any_meeting.at_provider() == {made.payment.provider_ref: [10_000]}
    assert len(any_meeting.mails()) == 1
    assert any_meeting.payments()[0].refunded_minor == 10_000


def test_25_a_message_that_comes_twice_acts_once(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000))
    meeting.cancel()
    [created] = meeting.messages("refund.created")
    first, second = meeting.receive(created), meeting.receive(created)
    assert (first.is_new, second.is_new) == (True, False)
    with meeting.database.system_session("tests: count") as session:
        assert session.query(ProviderEvent).count() == 1


def test_25_messages_out_of_order_never_take_back_what_is_done(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000))
    meeting.provider.control.rule("pending", times=1, reason="processing")
    meeting.cancel()
    meeting.provider.control.settle(str(meeting.refunds()[0].provider_refund_id))
    [pending] = meeting.messages("refund.created")
    [succeeded] = meeting.messages("refund.updated")
    assert meeting.tell(succeeded, pending) == ["succeeded", "old_news"]
    assert meeting.states() == ["done"]
    assert meeting.payments()[0].refunded_minor == 10_000


def test_further_credit_note_numbers_have_no_gap(any_meeting: Conference) -> None:
    for price in (1_000, 2_000, 3_000, 4_000):
        any_meeting.sell(Ticket(price=price))
    any_meeting.provider.control.rule("refuse", times=1, code="processing_error")
    any_meeting.cancel()
    any_meeting.act(services.retry_failed, any_meeting.admin)
    any_meeting.finish()
    notes = [row for row in any_meeting.rows(Invoice) if row.kind == "credit_note"]
    year = any_meeting.clock.now().year
    assert sorted(note.number for note in notes) == [f"CN-{year}-{n:05d}" for n in (1, 2, 3, 4)]
    invoices = [row for row in any_meeting.rows(Invoice) if row.kind == "invoice"]
    assert {invoice.status for invoice in invoices} == {"refunded"}
    assert {row.credit_note_id for row in any_meeting.refunds() if row.status == "succeeded"} == {
        note.id for note in notes
    }


def test_further_test_payments_never_reach_the_live_account(meeting: Conference) -> None:
    made = meeting.sell(Ticket(price=10_000))
    assert made.payment is not None
    change(meeting, Payment, made.payment.id, test_mode=True)
    meeting.cancel()
    assert reasons(meeting) == ["test_mode"]
    assert meeting.at_provider() == {}


def test_further_checked_in_attendees_are_counted_in_the_preview(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000, status="checked_in"), Ticket(price=5_000))
    assert Preview.from_json(meeting.preview().preview).checked_in == 1


def test_further_an_aborted_run_brings_nobody_back_and_another_can_do_the_rest(
    any_meeting: Conference,
) -> None:
    for _ in range(3):
        any_meeting.sell(Ticket(price=10_000))
    any_meeting.desk = replace(any_meeting.desk, chunk=1)
    any_meeting.confirm(lanes=1)
    any_meeting.work(0, chunks=1)
    any_meeting.act(services.abort, any_meeting.admin, "wrong event")
    run = any_meeting.finish()
    assert run.state == "aborted"
    assert run.finished_at is not None
    assert sorted(any_meeting.states()) == ["done", "todo", "todo"]
    assert len(any_meeting.at_provider()) == 1
    assert any_meeting.rows(Event)[0].status == "cancelling"
    assert any_meeting.cancel().state == "done"
    assert len(any_meeting.items()) == 2
    assert all(amounts == [10_000] for amounts in any_meeting.at_provider().values())
    assert len(any_meeting.at_provider()) == 3


def test_further_a_change_to_summer_time_does_not_disturb_a_run(meeting: Conference) -> None:
    made = make_order(meeting.database, meeting.event)
    assert made.payment is not None
    meeting.provider.control.create_payment(
        made.payment.amount_minor, payment_intent=made.payment.provider_ref
    )
    meeting.confirm(lanes=1)
    meeting.clock.advance(timedelta(days=200).total_seconds())
    run = meeting.finish()
    assert run.started_at is not None
    assert run.finished_at is not None
    assert run.confirmed_at is not None
    assert run.confirmed_at <= run.started_at <= run.finished_at


def test_resuming_costs_what_is_left(meeting: Conference) -> None:
    for _ in range(6):
        meeting.sell(Ticket(price=1_000))
    meeting.desk = replace(meeting.desk, chunk=2)
    meeting.confirm(lanes=1)
    meeting.work(0, chunks=2)
    before = int(meeting.provider.control.summary()["calls"].get("refund.create", 0))
    assert meeting.states().count("done") == 4
    assert meeting.finish().state == "done"
    after = int(meeting.provider.control.summary()["calls"].get("refund.create", 0))
    assert after - before == 2
    assert SteppingControl(meeting.clock).should_stop() is False
