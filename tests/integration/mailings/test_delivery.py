"""One mail from the outbox to a real mail server that misbehaves on demand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from meet2be.db.sessions import Database
from meet2be.integrations.mail_smtp import SmtpSettings, SmtpTransport
from meet2be.mailings.delivery import LEASE, MailDelivery, expire_lost_claims
from meet2be.mailings.models import EmailLog, Mail, MailSuppression
from meet2be.mailings.outcomes import OutcomeRecorder
from meet2be.mailings.services import MailDraft, Sender, enqueue
from meet2be.tenancy.models import Tenant
from onqueue.testing import FakeClock
from simulators.control import MailSinkControl
from simulators.processes import MailSinkProcess

SENDER = Sender("Aurora Conferences", "tickets@aurora.example")
LETTER = {
    "name": "Ada",
    "event_title": "Aurora Summit",
    "starts_at": None,
    "ticket_code": "T-1",
    "ticket_name": "Regular",
    "outcome": "nothing_charged",
    "amount_minor": 0,
    "currency": "EUR",
    "message": "",
    "order_code": "C1",
    "tenant_name": "Aurora Conferences",
}


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    with sqlite_database.system_session("test: a tenant") as session:
        session.add(Tenant(slug="aurora", name="Aurora Conferences"))
        session.commit()
    return sqlite_database


@pytest.fixture
def delivery(database: Database, sink: MailSinkProcess, clock: FakeClock) -> Iterator[MailDelivery]:
    transport = SmtpTransport(SmtpSettings("127.0.0.1", sink.ports["port"], timeout=60))
    yield MailDelivery(database, transport, OutcomeRecorder(), clock, 1)
    transport.close()


def written(database: Database, key: str = "k1", to: str = "ada@firma.example") -> int:
    with database.tenant_session(1) as session:
        draft = MailDraft(
            tenant_id=1,
            kind="event_cancelled",
            template="event_cancelled",
            locale="en-GB",
            to_addr=to,
            dedupe_key=key,
            context=LETTER,
            sender=SENDER,
        )
        result = enqueue(session, draft, database.clock.now())
        session.commit()
        return result.mail_id


def mail(database: Database, mail_id: int) -> Mail:
    with database.tenant_session(1, read_only=True) as session:
        return session.get_one(Mail, mail_id)


def delivered(database: Database, delivery: MailDelivery, mail_id: int, by: str = "job-1") -> str:
    delivery.deliver([mail_id], by)
    return mail(database, mail_id).status


def claim(database: Database, mail_id: int, token: str) -> None:
    with database.tenant_session(1) as session:
        row = session.get_one(Mail, mail_id)
        row.status, row.lease_token, row.lease_until = (
            "sending",
            token,
            database.clock.now() + LEASE,
        )
        session.commit()


def test_a_mail_arrives_once_with_its_fixed_message_id(
    database: Database, delivery: MailDelivery, control: MailSinkControl
) -> None:
    mail_id = written(database)
    assert delivered(database, delivery, mail_id) == "sent"
    assert delivered(database, delivery, mail_id) == "sent"  # a job that ran twice
    received = control.messages()
    assert [item.message_id for item in received] == [mail(database, mail_id).message_id]
    assert received[0].headers["X-Meet2Be-Kind"] == "event_cancelled"


def test_the_same_cause_writes_one_mail(database: Database) -> None:
    assert written(database, "cancel:1:1") == written(database, "cancel:1:1")


def test_an_address_outside_ascii_gets_its_mail(
    database: Database, delivery: MailDelivery, control: MailSinkControl
) -> None:
    mail_id = written(database, to="info@bücher6.example")
    assert delivered(database, delivery, mail_id) == "sent"
    assert control.messages()[0].recipients == ["info@xn--bcher6-3ya.example"]


def test_try_later_leaves_the_mail_queued_and_asks_to_come_again(
    database: Database, delivery: MailDelivery, control: MailSinkControl
) -> None:
    control.rule("defer", times=1)
    mail_id = written(database)
    assert delivery.deliver([mail_id], "job-1") == [mail_id]
    assert mail(database, mail_id).status == "queued"
    assert "Try again later" in (mail(database, mail_id).last_error or "")
    assert delivered(database, delivery, mail_id) == "sent"
    with database.tenant_session(1, read_only=True) as session:
        logged = session.scalars(select(EmailLog.outcome).order_by(EmailLog.n)).all()
    assert logged == ["deferred", "sent"]


def test_an_unknown_mailbox_fails_for_good_and_is_not_written_to_again(
    database: Database, delivery: MailDelivery, control: MailSinkControl
) -> None:
    control.rule("refuse")
    mail_id = written(database)
    assert delivered(database, delivery, mail_id) == "failed"
    with database.tenant_session(1, read_only=True) as session:
        assert session.scalars(select(MailSuppression.email_norm)).all() == ["ada@firma.example"]
    assert mail(database, written(database, "k2")).status == "suppressed"


def test_a_connection_lost_after_the_message_left_makes_it_uncertain(
    database: Database, delivery: MailDelivery, control: MailSinkControl
) -> None:
    control.rule("drop_after_data", times=1)
    mail_id = written(database)
    assert delivered(database, delivery, mail_id) == "uncertain"
    assert delivered(database, delivery, mail_id) == "uncertain"  # and is not sent again
    assert len(control.messages()) == 1


def test_a_run_that_finds_its_own_claim_does_not_send_again(
    database: Database, delivery: MailDelivery, control: MailSinkControl
) -> None:
    mail_id = written(database)
    claim(database, mail_id, "job-1")  # the worker dies here
    assert delivered(database, delivery, mail_id) == "uncertain"
    assert control.messages() == []


def test_another_workers_claim_is_left_alone_until_it_lapses(
    database: Database, delivery: MailDelivery, clock: FakeClock
) -> None:
    mail_id = written(database)
    claim(database, mail_id, "job-1")
    assert delivered(database, delivery, mail_id, "job-2") == "sending"
    clock.advance(LEASE.total_seconds() + 1)
    with database.system_session("test: the relay's step") as session:
        assert expire_lost_claims(session, OutcomeRecorder(), clock.now()) == 1
        session.commit()
    assert mail(database, mail_id).status == "uncertain"


def test_nothing_leaves_when_the_lease_is_gone(
    database: Database, delivery: MailDelivery, control: MailSinkControl
) -> None:
    def lease_is_gone() -> None:
        message = "lease lost"
        raise RuntimeError(message)

    mail_id = written(database)
    with pytest.raises(RuntimeError, match="lease lost"):
        delivery.deliver([mail_id], "job-1", lease_is_gone)
    assert (mail(database, mail_id).status, control.messages()) == ("queued", [])


def test_a_mail_server_that_is_away_is_no_failure(database: Database, clock: FakeClock) -> None:
    transport = SmtpTransport(SmtpSettings("127.0.0.1", 1, timeout=1))
    away = MailDelivery(database, transport, OutcomeRecorder(), clock, 1)
    mail_id = written(database)
    assert away.deliver([mail_id], "job-1") == [mail_id]
    assert mail(database, mail_id).status == "queued"
    assert "no mail server" in (mail(database, mail_id).last_error or "")


@pytest.mark.usefixtures("control")
def test_what_hears_of_a_mail_hears_it_in_the_same_commit(
    database: Database, sink: MailSinkProcess, clock: FakeClock
) -> None:
    heard: list[tuple[int, str]] = []
    recorder = OutcomeRecorder(
        {
            "cancel_item": lambda _connection, _tenant, item, status, _now: heard.append(
                (item, status)
            )
        }
    )
    transport = SmtpTransport(SmtpSettings("127.0.0.1", sink.ports["port"], timeout=60))
    mail_id = written(database)
    with database.tenant_session(1) as session:
        row = session.get_one(Mail, mail_id)
        row.related_type, row.related_id = "cancel_item", 77
        session.commit()
    MailDelivery(database, transport, recorder, clock, 1).deliver([mail_id], "job-1")
    transport.close()
    assert heard == [(77, "sent")]


def test_a_claim_stands_longer_than_two_answers_of_a_mail_server() -> None:
    assert timedelta(seconds=2 * SmtpSettings("localhost").timeout) < LEASE


def test_a_worker_that_is_to_stop_leaves_the_rest_and_loses_no_answer(
    database: Database, delivery: MailDelivery, control: MailSinkControl
) -> None:
    mails = [written(database, f"k{number}") for number in range(4)]
    looks = iter([False, False, True, True])
    left = delivery.deliver(mails, "job-1", should_stop=lambda: next(looks))
    states = [mail(database, mail_id).status for mail_id in mails]
    assert (states, left) == (["sent", "sent", "queued", "queued"], mails[2:])
    assert len(control.messages()) == 2


@pytest.mark.parametrize(("rule", "state"), [("refuse", "failed"), ("defer", "queued")])
def test_a_recipient_who_is_not_let_in_holds_up_nobody_behind(
    database: Database, delivery: MailDelivery, control: MailSinkControl, rule: str, state: str
) -> None:
    control.rule(rule, subject="person1@firma.example")
    mails = [written(database, f"k{n}", f"person{n}@firma.example") for n in range(3)]
    delivery.deliver(mails, "job-1")
    assert [mail(database, each).status for each in mails] == ["sent", state, "sent"]
    assert len(control.messages()) == 2


def test_a_mail_that_another_worker_claimed_meanwhile_is_left_to_it(
    database: Database, delivery: MailDelivery, control: MailSinkControl
) -> None:
    mails = [written(database, f"k{number}") for number in range(3)]
    claims = iter([None, mails[1], None])

    def others_claim() -> None:
        if (other := next(claims)) is not None:
            claim(database, other, "job-2")

    delivery.deliver(mails, "job-1", others_claim)
    assert [mail(database, each).status for each in mails] == ["sent", "sending", "sent"]
    assert len(control.messages()) == 2


def test_another_tenants_mail_is_not_delivered(
    database: Database, sink: MailSinkProcess, control: MailSinkControl, clock: FakeClock
) -> None:
    mail_id = written(database)
    transport = SmtpTransport(SmtpSettings("127.0.0.1", sink.ports["port"], timeout=60))
    other = MailDelivery(database, transport, OutcomeRecorder(), clock, 2)
    assert other.deliver([mail_id], "job-1") == []
    transport.close()
    assert (mail(database, mail_id).status, control.messages()) == ("queued", [])
