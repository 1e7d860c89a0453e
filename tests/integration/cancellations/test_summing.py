"""A preview is added up by kinds of payments, to what the plan's items add up to one by one."""

from collections.abc import Iterator
from itertools import product
from unittest.mock import Mock

import pytest
from sqlalchemy import event as sql_event
from sqlalchemy import update
from sqlalchemy.orm import Session

from meet2be.attendees.models import Attendee
from meet2be.cancellations import summing
from meet2be.cancellations.options import CancelOptions
from meet2be.cancellations.planning import shares
from meet2be.cancellations.preview import planned_items, rules_of
from meet2be.cancellations.sources import Ticket as Bought
from meet2be.cancellations.sources import counts_of_unpaid
from meet2be.cancellations.summing import totals_of
from meet2be.cancellations.totals import Totals, counted
from meet2be.db import Database
from meet2be.events.models import Event
from meet2be.payments.models import Payment
from meet2be.payments.provider import OUTSIDE
from support.cancelling import Conference
from support.factories import Ticket, make_event, make_order, make_tenant

OPTIONS = [
    CancelOptions(),
    CancelOptions(fee_kind="fixed", fee_minor=1_500),
    CancelOptions(fee_kind="percent", fee_basis_points=1_050),
    CancelOptions(refund_mode="manual"),
]


@pytest.fixture
def event(database: Database) -> Event:
    """An event with attendees of every kind, some of them alike, and another one beside it."""
    tenant = make_tenant(database)
    made = make_event(database, tenant)
    for _ in range(2):
        make_order(database, made, [Ticket(price=10_000)])
        make_order(database, made, [Ticket(price=3_333), Ticket(price=3_333, status="checked_in")])
    make_order(database, made, [Ticket(price=3_333, email=None), Ticket(price=1_000)])
    make_order(database, made, [Ticket(price=10_000)], payment="disputed")
    make_order(database, made, [Ticket(price=10_000)], payment="pending")
    make_order(database, made, [Ticket(price=8_000, refunded=8_000), Ticket(price=2_000)])
    make_order(database, made, [Ticket(price=8_000, refunded=3_000), Ticket(price=0)])
    make_order(database, made, [Ticket(price=0), Ticket(price=0, email=None)], payment=None)
    make_order(database, made, [Ticket(price=7_000)], payment=None)
    make_order(database, made, [Ticket(price=7_000, status="cancelled")])
    hidden = make_order(database, made, [Ticket(price=1_000)]).attendees[0]
    elsewhere = make_order(database, made, [Ticket(price=10_000)]).payment
    assert elsewhere is not None
    with database.tenant_session(tenant.id) as session:
        session.execute(
            update(Payment)
            .where(Payment.id == elsewhere.id)
            .values(provider=OUTSIDE, provider_ref=None)
        )
        session.execute(
            update(Attendee)
            .where(Attendee.id == hidden.id)
            .values(anonymised_at=hidden.registered_at)
        )
        session.commit()
    make_order(database, make_event(database, tenant), [Ticket(price=99)])
    make_order(database, make_event(database, make_tenant(database)), [Ticket(price=99)])
    return made


def one_by_one(database: Database, event: Event, options: CancelOptions) -> Totals:
    totals = Totals()
    with database.tenant_session(event.tenant_id, read_only=True) as session:
        for _ in counted(planned_items(session, event, options), totals):
            pass
    return totals


def by_kinds(database: Database, event: Event, options: CancelOptions) -> Totals:
    with database.tenant_session(event.tenant_id, read_only=True) as session:
        return totals_of(session, event.id, rules_of(event, options))


def test_kinds_of_payments_add_up_to_what_their_items_do(
    database: Database, event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    for options, most_kinds in product(OPTIONS, (1, summing.MOST_KINDS)):
        monkeypatch.setattr(summing, "MOST_KINDS", most_kinds)
        expected, found = (each(database, event, options) for each in (one_by_one, by_kinds))
        assert found.fingerprint.digest() == expected.fingerprint.digest()
        found.fingerprint = expected.fingerprint
        assert found == expected
        assert (found.attendees, found.checked_in, found.without_email) == (19, 2, 3)


def test_a_preview_works_out_what_is_alike_once_and_asks_the_database_twice(
    database: Database, event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked_out = Mock(side_effect=shares)
    monkeypatch.setattr("meet2be.cancellations.summing.shares", worked_out)
    statements: list[str] = []

    def note(*call: object) -> None:
        statements.append(str(call[2]))

    sql_event.listen(database.engine, "before_cursor_execute", note)
    found = by_kinds(database, event, CancelOptions())
    assert (worked_out.call_count, found.payments) == (9, 8)
    assert len([text for text in statements if "FROM attendees" in text]) == 2


def test_a_preview_is_of_one_moment_whoever_buys_meanwhile(
    any_meeting: Conference, monkeypatch: pytest.MonkeyPatch
) -> None:
    any_meeting.sell()
    any_meeting.sell(Ticket(price=0), payment=None)

    def after_a_sale(session: Session, event_id: int) -> Iterator[tuple[Bought, int]]:
        any_meeting.sell(Ticket(price=0), payment=None)
        yield from counts_of_unpaid(session, event_id)

    monkeypatch.setattr(summing, "counts_of_unpaid", after_a_sale)
    preview = any_meeting.preview().preview
    assert preview is not None
    assert preview["attendees"] == 2
    monkeypatch.undo()
    preview = any_meeting.preview().preview
    assert preview is not None
    assert preview["attendees"] == 3
