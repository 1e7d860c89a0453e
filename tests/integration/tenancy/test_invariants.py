"""What the database itself makes impossible, on both kinds, past all our code."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from meet2be.audit.models import AuditEntry
from meet2be.audit.services import SYSTEM, Actor, record
from meet2be.cancellations.models import CancelRun
from meet2be.db import Database
from meet2be.db.columns import NaiveDatetimeError
from meet2be.events.models import Event, TicketType
from meet2be.payments.models import Payment, Refund
from support.factories import ENDS_AT, Ticket, make_event, make_order, make_tenant


@pytest.mark.parametrize(
    "change",
    [
        "refunded_minor = amount_minor + 1",
        "reserved_minor = amount_minor + 1",
        "reserved_minor = amount_minor, refunded_minor = 1",
        "reserved_minor = -1",
        "refunded_minor = -1",
        "refunded_minor = -1, reserved_minor = amount_minor + 1",
        "amount_minor = 0",
    ],
)
def test_more_than_was_paid_cannot_go_back(database: Database, change: str) -> None:
    made = make_order(database, make_event(database, make_tenant(database)), [Ticket(price=1_000)])
    assert made.payment is not None
    with (
        database.system_session("tests: write past all code") as session,
        pytest.raises(IntegrityError),
    ):
        session.execute(
            text(f"UPDATE payments SET {change} WHERE id = :id"),  # noqa: S608 - constants
            {"id": made.payment.id},
        )


def test_two_reservations_at_once_never_exceed_the_payment(database: Database) -> None:
    made = make_order(database, make_event(database, make_tenant(database)), [Ticket(price=1_000)])
    assert made.payment is not None
    payment = made.payment

    def reserve(_: int) -> bool:
        with database.tenant_session(payment.tenant_id) as session:
            done = session.scalar(
                update(Payment)
                .where(
                    Payment.id == payment.id,
                    Payment.reserved_minor + Payment.refunded_minor + 600 <= Payment.amount_minor,
                )
                .values(reserved_minor=Payment.reserved_minor + 600)
                .returning(Payment.id)
                .execution_options(synchronize_session=False)
            )
            session.commit()
            return done is not None

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(reserve, range(8))) == 1


def _refund(payment: Payment, run: CancelRun, seq: int, **fields: object) -> Refund:
    return Refund(
        **{
            "payment_id": payment.id,
            "order_id": payment.order_id,
            "run_id": run.id,
            "seq": seq,
            "amount_minor": 100,
            "currency": "EUR",
            "source": "cancel_run",
            "idempotency_key": f"rf:{payment.id}:{seq}",
            **fields,
        }
    )


def test_a_run_refunds_a_payment_once_unless_it_failed(database: Database) -> None:
    event = make_event(database, make_tenant(database))
    made = make_order(database, event)
    assert made.payment is not None
    with database.tenant_session(event.tenant_id) as session:
        run = CancelRun(event_id=event.id, state="running")
        session.add(run)
        session.flush()
        session.add(_refund(made.payment, run, 1, status="failed"))
        session.add(_refund(made.payment, run, 2))
        session.commit()
        session.add(_refund(made.payment, run, 3))
        with pytest.raises(IntegrityError):
            session.commit()


def test_an_event_has_one_active_run(database: Database) -> None:
    event = make_event(database, make_tenant(database))
    with database.tenant_session(event.tenant_id) as session:
        session.add_all(
            CancelRun(event_id=event.id, state=state)
            for state in ("preview", "preview", "aborted", "paused")
        )
        session.commit()
        session.add(CancelRun(event_id=event.id, state="confirmed"))
        with pytest.raises(IntegrityError):
            session.commit()


def test_states_are_checked_words(database: Database) -> None:
    event = make_event(database, make_tenant(database))
    with (
        database.tenant_session(event.tenant_id) as session,
        pytest.raises(StatementError, match="cancelld"),
    ):
        session.execute(update(Event).values(status="cancelld"))
    with (
        database.system_session("tests: write past all code") as session,
        pytest.raises(IntegrityError),
    ):
        session.execute(text("UPDATE events SET status = 'cancelld'"))


def test_no_more_is_sold_than_the_quota(database: Database) -> None:
    event = make_event(database, make_tenant(database))
    make_order(database, event)
    with (
        database.tenant_session(event.tenant_id) as session,
        pytest.raises(IntegrityError),
    ):
        session.execute(update(TicketType).values(sold=TicketType.quota + 1))


@pytest.mark.parametrize("change", ["UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log"])
def test_the_audit_log_cannot_be_changed(database: Database, change: str) -> None:
    tenant = make_tenant(database)
    with database.tenant_session(tenant.id) as session:
        entry = record(session, Actor("user", "7"), "event.made", "event", 3, after={"a": 1})
        session.commit()
    assert (entry.tenant_id, entry.at, entry.object_id) == (tenant.id, database.clock.now(), "3")
    with (
        database.system_session("tests: forge the log") as session,
        pytest.raises(DBAPIError, match=r"append-only|permission denied"),
    ):
        session.execute(text(change))


def test_an_entry_of_a_system_session_says_why_it_was_opened(database: Database) -> None:
    with database.system_session("operator: look into run 7") as session:
        entry = record(session, SYSTEM, "run.seen", "cancel_run", 7)
        session.commit()
        assert session.get_one(AuditEntry, entry.id).reason == "operator: look into run 7"


def test_moments_need_a_zone_and_come_back_in_utc(database: Database) -> None:
    event = make_event(database, make_tenant(database))
    with database.tenant_session(event.tenant_id) as session:
        found = session.get_one(Event, event.id)
        assert found.ends_at == ENDS_AT
        assert found.ends_at.utcoffset() is not None
        found.ends_at = ENDS_AT.replace(tzinfo=None)
        with pytest.raises(StatementError, match="has no time zone") as caught:
            session.commit()
    assert isinstance(caught.value.orig, NaiveDatetimeError)
