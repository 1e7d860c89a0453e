"""Starting, confirming, pausing, resuming, aborting, retrying, deciding: what people do."""

import csv
import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event as sa_event
from sqlalchemy import select, update

from meet2be import facts
from meet2be.audit.models import AuditEntry
from meet2be.cancellations import services
from meet2be.cancellations.by_hand import decide, mark_paid
from meet2be.cancellations.codes import MOST_CODES, TRIES, check_code_tx
from meet2be.cancellations.context import context_of
from meet2be.cancellations.errors import (
    CancellationAlreadyRunning,
    CodeExpired,
    CodeNeeded,
    EventNotCancellable,
    LaneLost,
    PreviewStale,
    RunNotInState,
    TenantSuspended,
    TooManyCodes,
    UnknownEvent,
    UnknownRun,
    WrongCode,
    WrongEventName,
)
from meet2be.cancellations.following import look_up_now_tx
from meet2be.cancellations.lanes import Lane
from meet2be.cancellations.letters import RELATED_TYPE
from meet2be.cancellations.mail_listener import on_mail_settled
from meet2be.cancellations.models import CancelLane, CancelRun
from meet2be.cancellations.options import CancelOptions
from meet2be.cancellations.preview import Preview, compute
from meet2be.cancellations.progress import Progress, progress_of
from meet2be.cancellations.report import report_rows
from meet2be.events.facts import EventDataStale
from meet2be.events.models import Event
from meet2be.mailings.models import Mail
from meet2be.mailings.outcomes import Outcome, OutcomeRecorder
from meet2be.notifications.models import Notification
from meet2be.payments.errors import ReasonMissing, RefundNotInState, UnknownRefund
from meet2be.payments.models import ProviderCircuit
from meet2be.tenancy.models import Tenant
from support.cancelling import Conference
from support.factories import Ticket, make_event, make_tenant

# More slices than a refund is looked up in: they come at least once a minute for seven hours.
LONGEST_WAIT = 420


def limit(meeting: Conference, minor: int) -> None:
    with meeting.database.system_session("tests: set the limit") as session:
        session.execute(
            update(Tenant).where(Tenant.id == meeting.tenant.id).values(confirm_limit_minor=minor)
        )
        session.commit()


def progress(meeting: Conference) -> Progress:
    with meeting.database.tenant_session(meeting.tenant.id, read_only=True) as session:
        return progress_of(session, meeting.run(), meeting.clock.now())


def report(meeting: Conference) -> list[dict[str, str]]:
    with meeting.database.tenant_session(meeting.tenant.id, read_only=True) as session:
        text = "".join(report_rows(session, meeting.run()))
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_a_preview_writes_nothing(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000))
    meeting.sell(Ticket(price=0, email=None))
    statements: list[str] = []
    sa_event.listen(
        meeting.database.engine, "before_cursor_execute",
        lambda *call: statements.append(str(call[2])),
    )  # fmt: skip
    with meeting.database.tenant_session(meeting.tenant.id, read_only=True) as session:
        event = session.get_one(Event, meeting.event.id)
        found = compute(session, event, CancelOptions(), meeting.clock.now(), meeting.desk.payments)
    assert found.outcomes == {"refund": 1, "free": 1}
    assert (found.refund_minor, found.without_email) == ({"EUR": 10_000}, 1)
    assert found.funds is not None
    assert not [text for text in statements if text.startswith(("INSERT", "UPDATE", "DELETE"))]


def test_an_unknown_balance_does_not_stop_a_preview(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000))
    meeting.provider.control.rule("error_before", call="balance.*", status=503)
    assert Preview.from_json(meeting.preview().preview).funds is None


def test_a_balance_that_does_not_suffice_is_told(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000))
    meeting.provider.control.set_balance("eur", 4_000)
    assert Preview.from_json(meeting.preview().preview).short_of == {"EUR": 6_000}


def test_the_name_is_typed_exactly_but_for_blanks_around_it(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000))
    run = meeting.preview()
    for typed in ("", meeting.event.title.upper(), f"{meeting.event.title}!"):
        with pytest.raises(WrongEventName):
            meeting.confirm(run, typed_name=typed)
    meeting.confirm(run, typed_name=f"  {meeting.event.title}\n")
    assert meeting.run().state == "confirmed"


def test_another_hash_than_the_previews_is_refused(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000))
    with pytest.raises(PreviewStale):
        meeting.confirm(preview_hash="0" * 64)
    assert meeting.rows(Event)[0].status == "live"


def test_more_attendees_than_previewed_are_shown_first(meeting: Conference) -> None:
    meeting.sell(Ticket(price=0), payment=None)
    run = meeting.preview()
    meeting.sell(Ticket(price=0), payment=None)
    with pytest.raises(PreviewStale) as refused:
        meeting.confirm(run)
    told = {str(what): (before, now) for what, before, now in refused.value.differences}
    assert told["attendees"] == ("1", "2")
    assert (meeting.rows(Event)[0].status, meeting.mails()) == ("live", [])


def test_above_the_limit_a_mailed_code_is_needed_and_works_once(any_meeting: Conference) -> None:
    any_meeting.sell(Ticket(price=10_001))
    limit(any_meeting, 10_000)
    run = any_meeting.preview()
    with pytest.raises(CodeNeeded):
        any_meeting.confirm(run)
    with pytest.raises(CodeExpired):
        any_meeting.confirm(run, code="12345678")
    code = any_meeting.mailed_code(run)
    assert len(code) == 8
    assert code not in (any_meeting.run().code_hash or "")
    wrong = f"{(int(code) + 1) % 10**8:08d}"
    with pytest.raises(WrongCode) as refused:
        any_meeting.confirm(run, code=wrong)
    assert refused.value.tries_left == TRIES - 1
    any_meeting.confirm(run, code=f"{code[:4]} {code[4:]}")
    assert any_meeting.run().code_hash is None


def test_at_the_limit_no_code_is_needed(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000))
    limit(meeting, 10_000)
    meeting.confirm()
    assert meeting.run().state == "confirmed"


def test_five_wrong_codes_end_a_code_and_so_do_fifteen_minutes(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_001))
    limit(meeting, 10_000)
    run = meeting.preview()
    code = meeting.mailed_code(run)
    for _ in range(TRIES):
        with pytest.raises(WrongCode):
            meeting.confirm(run, code="x")
    with pytest.raises(CodeExpired):
        meeting.confirm(run, code=code)
    code = meeting.mailed_code(run)
    meeting.clock.advance(15 * 60 + 1)
    with pytest.raises(CodeExpired):
        meeting.confirm(run, code=code)
    assert meeting.rows(Event)[0].status == "live"


def test_a_code_is_good_for_whom_it_was_mailed_to(any_meeting: Conference) -> None:
    any_meeting.sell(Ticket(price=10_001))
    limit(any_meeting, 10_000)
    run = any_meeting.preview()
    code = any_meeting.mailed_code(run)
    with pytest.raises(WrongCode):
        any_meeting.confirm(run, code=code, confirmed_by=any_meeting.admin + 1)
    any_meeting.confirm(run, code=code)


def test_new_codes_are_no_way_to_new_tries(any_meeting: Conference) -> None:
    any_meeting.sell(Ticket(price=10_001))
    limit(any_meeting, 10_000)
    for _ in range(MOST_CODES):
        any_meeting.mailed_code(any_meeting.preview())
    with pytest.raises(TooManyCodes, match="5 codes were mailed in the last 15 minutes"):
        any_meeting.mailed_code(any_meeting.preview())
    assert len(any_meeting.mails("confirmation_code")) == MOST_CODES
    any_meeting.clock.advance(15 * 60 + 1)
    run = any_meeting.preview()
    any_meeting.confirm(run, code=any_meeting.mailed_code(run))


def test_a_second_click_that_finds_its_code_used_gets_a_link_to_the_run(
    meeting: Conference, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting.sell(Ticket(price=10_001))
    limit(meeting, 10_000)
    run = meeting.preview()
    code = meeting.mailed_code(run)

    def too_late(*arguments: Any) -> None:
        monkeypatch.setattr(services, "check_code_tx", check_code_tx)
        meeting.confirm(run, code=code)
        check_code_tx(*arguments)

    monkeypatch.setattr(services, "check_code_tx", too_late)
    with pytest.raises(CancellationAlreadyRunning) as second:
        meeting.confirm(run, code=code)
    assert second.value.run_uid == run.uid
    assert len(meeting.rows(CancelRun)) == 1


def test_confirming_twice_gives_a_link_to_the_run(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000))
    run = meeting.preview()
    meeting.confirm(run)
    with pytest.raises(CancellationAlreadyRunning) as refused:
        meeting.confirm(run)
    assert refused.value.run_uid == run.uid


def test_unknown_events_and_runs_and_those_of_others_are_refused(meeting: Conference) -> None:
    stranger = make_tenant(meeting.database)
    theirs = make_event(meeting.database, stranger)
    with meeting.database.tenant_session(meeting.tenant.id) as session:
        for uid in ("nothing", theirs.uid):
            with pytest.raises(UnknownEvent):
                services.start(session, meeting.desk, uid, CancelOptions(), meeting.admin)
    run = meeting.preview()
    with pytest.raises(UnknownRun):
        services.confirm_tx(
            meeting.desk, stranger.id, run.uid, typed_name=meeting.event.title,
            preview_hash=run.preview_hash or "", code=None, confirmed_by=None,
        )  # fmt: skip


def test_a_cancelled_event_and_a_suspended_tenant_start_nothing(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000))
    run = meeting.preview()
    with meeting.database.system_session("tests: suspend") as session:
        session.execute(update(Tenant).values(status="suspended"))
        session.commit()
    with pytest.raises(TenantSuspended):
        meeting.confirm(run)
    with meeting.database.system_session("tests: bring back") as session:
        session.execute(update(Tenant).values(status="active"))
        session.commit()
    meeting.confirm(run)
    meeting.finish()
    with pytest.raises(EventNotCancellable):
        meeting.preview()


def test_a_paused_run_sends_nothing_and_goes_on_where_it_stopped(any_meeting: Conference) -> None:
    for _ in range(3):
        any_meeting.sell(Ticket(price=10_000))
    any_meeting.desk = replace(any_meeting.desk, chunk=1)
    any_meeting.confirm(lanes=1)
    any_meeting.work(0, chunks=1)
    any_meeting.act(services.pause, any_meeting.admin, "lunch")
    assert any_meeting.work(0).again_after is None
    assert any_meeting.states() == ["done", "todo", "todo"]
    told = progress(any_meeting)
    assert (told.state, told.waiting) == ("paused", "lunch")
    with pytest.raises(RunNotInState):
        any_meeting.act(services.pause, any_meeting.admin)
    any_meeting.act(services.resume, any_meeting.admin)
    with pytest.raises(RunNotInState):
        any_meeting.act(services.resume, any_meeting.admin)
    assert any_meeting.finish().state == "done"
    assert all(amounts == [10_000] for amounts in any_meeting.at_provider().values())


def test_a_run_that_was_paused_before_it_began_begins_when_it_is_resumed(
    meeting: Conference,
) -> None:
    meeting.sell(Ticket(price=10_000))
    meeting.confirm()
    meeting.act(services.pause, meeting.admin)
    meeting.pass_time(60)
    meeting.act(services.resume, meeting.admin)
    began = meeting.run().started_at
    assert began == meeting.clock.now()
    assert meeting.finish().started_at == began


def test_aborting_a_paused_run_closes_it(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000))
    meeting.confirm(lanes=2)
    meeting.act(services.pause, meeting.admin)
    meeting.act(services.abort, meeting.admin)
    run = meeting.finish()
    assert (run.state, run.finished_at is not None) == ("aborted", True)
    assert meeting.at_provider() == {}
    with pytest.raises(RunNotInState):
        meeting.act(services.abort, meeting.admin)


def test_a_worker_that_gives_up_pauses_the_run(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000))
    meeting.confirm()
    services.halt_tx(
        meeting.desk,
        meeting.tenant.id,
        meeting.run_uid,
        0,
        "A worker gave up: disk",
        is_second=True,
    )
    run = meeting.run()
    assert (run.state, run.pause_code) == ("paused", "worker")
    meeting.act(services.resume, meeting.admin)
    assert meeting.finish().state == "done"


def test_retrying_leaves_alone_what_did_not_fail(meeting: Conference) -> None:
    for _ in range(2):
        meeting.sell(Ticket(price=10_000))
    meeting.cancel()
    assert meeting.act(services.retry_failed, meeting.admin) == 0
    assert meeting.run().state == "done"


def test_tickets_of_one_payment_are_retried_together(meeting: Conference) -> None:
    made = meeting.sell(Ticket(price=10_000), Ticket(price=20_000))
    assert made.payment is not None
    meeting.provider.control.rule("refuse", times=1, code="processing_error")
    meeting.cancel()
    assert meeting.act(services.retry_failed, meeting.admin) == 2
    meeting.finish()
    assert meeting.at_provider() == {made.payment.provider_ref: [30_000]}


def test_manual_mode_sends_nothing_and_every_refund_is_paid_by_hand(
    meeting: Conference, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting.sell(Ticket(price=10_000))
    run = meeting.cancel(CancelOptions(refund_mode="manual"))
    assert (run.state, meeting.states()) == ("done_with_errors", ["manual"])
    assert meeting.at_provider() == {}
    item = meeting.items()[0].id
    noted: list[object] = []
    monkeypatch.setattr(facts, "note", lambda _session, fact: noted.append(fact))
    for reason, error in (("  ", ReasonMissing), ("transfer", None)):
        if error is not None:
            with pytest.raises(error):
                pay_by_hand(meeting, item, reason)
        else:
            pay_by_hand(meeting, item, reason)
            assert EventDataStale(meeting.event.uid) in noted
    with pytest.raises(RunNotInState):
        pay_by_hand(meeting, item, "again")
    assert meeting.payments()[0].refunded_minor == 10_000


def pay_by_hand(meeting: Conference, item: int, reason: str) -> None:
    meeting.act(
        lambda session, uid: mark_paid(session, meeting.desk, uid, item, meeting.admin, reason)
    )


def leave_uncertain(meeting: Conference, *, made: bool) -> str:
    """Have a refund that nobody can look up, and return its name."""
    meeting.provider.control.rule("error_after" if made else "error_before", times=1, status=504)
    meeting.confirm(lanes=1)
    meeting.work(0, chunks=1)
    return str(meeting.refunds()[0].uid)


def test_looking_up_now_settles_what_the_provider_has(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000))
    uid = leave_uncertain(meeting, made=True)
    assert look_up_now_tx(meeting.desk, meeting.tenant.id, uid) == "settled"
    assert meeting.states() == ["done"]
    with pytest.raises(RefundNotInState):
        look_up_now_tx(meeting.desk, meeting.tenant.id, uid)
    with pytest.raises(UnknownRefund):
        look_up_now_tx(meeting.desk, meeting.tenant.id, "nothing")
    assert meeting.finish().state == "done"
    assert len(meeting.mails()) == 1


def test_looking_up_now_sends_nothing(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000))
    uid = leave_uncertain(meeting, made=False)
    assert look_up_now_tx(meeting.desk, meeting.tenant.id, uid) == "not_found"
    assert meeting.at_provider() == {}
    assert meeting.states() == ["uncertain"]


@pytest.mark.parametrize("made", [True, False])
def test_a_person_may_decide_an_uncertain_refund(meeting: Conference, made: bool) -> None:
    meeting.sell(Ticket(price=10_000))
    uid = leave_uncertain(meeting, made=False)
    with meeting.database.tenant_session(meeting.tenant.id) as session:
        with pytest.raises(ReasonMissing):
            decide(session, meeting.desk, uid, meeting.admin, " ", made=made)
        decide(session, meeting.desk, uid, meeting.admin, "seen at the bank", made=made)
        session.commit()
    assert meeting.states() == (["done"] if made else ["failed"])
    assert meeting.payments()[0].reserved_minor == 0
    assert meeting.payments()[0].refunded_minor == (10_000 if made else 0)
    assert "refund.decided" in [entry.action for entry in meeting.rows(AuditEntry)]


def test_what_stays_uncertain_is_closed_as_such_and_its_attendee_is_told(
    meeting: Conference,
) -> None:
    meeting.sell(Ticket(price=10_000))
    # Each call gets an error that stands for anything, each look-up finds nothing.
    meeting.provider.control.rule("error_before", status=504)
    meeting.confirm(lanes=1)
    for _ in range(LONGEST_WAIT):
        result = meeting.work(0)
        if result.again_after is None:
            break
        close_circuits(meeting)
        meeting.clock.advance(result.again_after + 0.001)
    assert meeting.run().state == "done_with_errors"
    assert meeting.states() == ["uncertain"]
    [mail] = meeting.mails()
    assert "handled by the organiser" in (mail.body_text or "")
    assert meeting.payments()[0].reserved_minor == 10_000
    assert meeting.at_provider() == {}


def close_circuits(meeting: Conference) -> None:
    """Forget the failures: what the circuit breaker does has tests of its own."""
    with meeting.database.system_session("tests: close circuits") as session:
        session.execute(
            update(ProviderCircuit).values(state="closed", recent="", failures_in_row=0)
        )
        session.commit()


def test_progress_is_counted_and_never_goes_back(meeting: Conference) -> None:
    for _ in range(4):
        meeting.sell(Ticket(price=10_000))
    meeting.sell(Ticket(price=0))
    meeting.desk = replace(meeting.desk, chunk=1)
    meeting.confirm(lanes=1)
    seen: list[int] = []
    while meeting.run().state not in {"done", "done_with_errors"}:
        meeting.work(0, chunks=1)
        seen.append(progress(meeting).refunds.done)
    assert seen == sorted(seen)
    told = progress(meeting)
    assert (told.total, told.refunds.done, told.cancels.done) == (5, 5, 5)
    assert told.refunds.percent == 100
    assert told.mails.percent == 0
    assert told.done_minor == {"EUR": 40_000}
    assert told.causes == {"free": 1}


def test_progress_tells_rate_and_time_left_of_the_slowest_track(meeting: Conference) -> None:
    for _ in range(4):
        meeting.sell(Ticket(price=10_000), Ticket(price=5_000))
    meeting.desk = replace(meeting.desk, chunk=1)
    meeting.confirm(lanes=1)
    meeting.work(0, chunks=2)
    meeting.clock.advance(30)
    told = progress(meeting)
    assert told.rate == pytest.approx(4.0)  # two refunds in half a minute, of four attendees
    assert told.left is None  # not one mail has left
    send_some(meeting, 4)
    assert progress(meeting).left == timedelta(seconds=30)
    meeting.clock.advance(61)
    meeting.finish()
    send_some(meeting, 1)
    told = progress(meeting)
    assert (told.rate, told.mails.done) == (0, 5)
    assert told.left == timedelta(minutes=3)  # of an ended run the mails are left


def send_some(meeting: Conference, number: int) -> None:
    """Have so many mails of the run leave now."""
    waiting = select(Mail).where(Mail.kind == "event_cancelled", Mail.status == "queued")
    recorder = OutcomeRecorder({RELATED_TYPE: on_mail_settled})
    with meeting.database.tenant_session(meeting.tenant.id) as session:
        for mail in session.scalars(waiting.limit(number)).all():
            assert recorder.record(session, mail, Outcome("sent", "250 OK"), meeting.clock.now())
        session.commit()


def test_a_report_is_harmless_in_a_spreadsheet_and_has_a_line_for_each_attendee(
    any_meeting: Conference,
) -> None:
    any_meeting.sell(Ticket(price=10_000, name='=HYPERLINK("http://evil")', email="+1@example.org"))
    any_meeting.sell(Ticket(price=0, name="Bob\r\n@home"))
    any_meeting.cancel()
    lines = report(any_meeting)
    assert len(lines) == 2
    assert lines[0]["Name"].startswith("'=HYPERLINK")
    assert lines[0]["E-mail"] == "'+1@example.org"
    assert (lines[0]["Planned"], lines[0]["Refund"]) == ("100.00", "done")
    assert lines[0]["Refund at provider"].startswith("re_")
    assert lines[1]["Why not"] == "free"


def test_who_confirmed_hears_of_the_end_and_everything_is_in_the_audit_log(
    meeting: Conference,
) -> None:
    meeting.sell(Ticket(price=10_000))
    meeting.cancel()
    assert [row.kind for row in meeting.rows(Notification)] == ["cancellation_done"]
    actions = [entry.action for entry in meeting.rows(AuditEntry)]
    assert actions == ["cancellation.confirmed", "refund.succeeded", "cancellation.done"]


def test_a_lane_that_was_taken_over_is_left_alone(meeting: Conference) -> None:
    meeting.sell(Ticket(price=10_000))
    meeting.confirm(lanes=1)
    meeting.work(0, chunks=0)
    with meeting.database.tenant_session(meeting.tenant.id) as session:
        context = context_of(
            session.connection(), meeting.tenant.id, meeting.run_uid, meeting.desk.sender
        )
        fence = meeting_fence(meeting)
        Lane(context, 0, fence).hold(session.connection())
        with pytest.raises(LaneLost):
            Lane(context, 0, fence - 1).hold(session.connection())


def meeting_fence(meeting: Conference) -> int:
    with meeting.database.tenant_session(meeting.tenant.id, read_only=True) as session:
        lane = session.get_one(CancelLane, (meeting.run().id, 0))
        return int(lane.fence)


def test_a_run_of_an_empty_event_is_done_at_once(meeting: Conference) -> None:
    run = meeting.cancel()
    assert run.state == "done"
    assert meeting.rows(Event)[0].status == "cancelled"
    assert isinstance(run, CancelRun)
