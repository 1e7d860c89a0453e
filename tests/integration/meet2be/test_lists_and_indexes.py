"""Lists read along indexes: no filter makes one sort, or look at, all rows there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from meet2be.attendees.listing import AttendeeList, AttendeeSearch
from meet2be.audit.listing import AuditFilter, all_entries, entries_page
from meet2be.audit.services import Actor, record
from meet2be.cancellations.items_found import ItemFilter, count_items, items_page
from meet2be.checkout import listing as orders
from meet2be.db import Database
from meet2be.db.keyset import Slice
from meet2be.exports.listing import ExportFilter, exports_page
from meet2be.imports.listing import imports_page
from meet2be.mailings.listing import MailFilter, mails_page, uncertain_mails
from meet2be.mailings.models import Mail
from meet2be.mailings.suppressions import page as suppressions_page
from meet2be.notifications.listing import notices_page
from meet2be.payments.listing import RefundFilter, refunds_page
from meet2be.payments.messages import MessageFilter, messages_page
from meet2be.webhooks.listing import deliveries_page
from meet2be.webhooks.replaying import Filters
from onqueue.testing.clock import FakeClock
from support.factories import make_event, make_tenant, make_user

NOW = datetime(2026, 11, 22, tzinfo=UTC)
FIRST = Slice(size=2)
Ask = Callable[[Session], object]


@contextmanager
def plans(session: Session) -> Iterator[list[str]]:
    """Yield how SQLite finds the rows of all statements that are made meanwhile."""
    found: list[str] = []

    def explain(_connection: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.lstrip().startswith("SELECT"):
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            found.extend(str(row[-1]) for row in cursor.fetchall())

    connection = session.connection()
    event.listen(connection, "before_cursor_execute", explain)
    try:
        yield found
    finally:
        event.remove(connection, "before_cursor_execute", explain)


def attendees(sort: str) -> Ask:
    return lambda session: AttendeeList(session, 1, AttendeeSearch()).page(FIRST, sort)


def mails(**wanted: Any) -> Ask:
    return lambda session: mails_page(session, MailFilter(**wanted), FIRST)


def audit(**wanted: Any) -> Ask:
    return lambda session: entries_page(session, AuditFilter(**wanted), FIRST)


def refunds(**wanted: Any) -> Ask:
    return lambda session: refunds_page(session, RefundFilter(**wanted), FIRST)


def items(**wanted: Any) -> Ask:
    def ask(session: Session) -> None:
        items_page(session, 1, ItemFilter(**wanted), FIRST)
        count_items(session, 1, ItemFilter(**wanted))

    return ask


def deliveries(**wanted: Any) -> Ask:
    return lambda session: deliveries_page(session, Filters(**wanted), FIRST)


def bought(**wanted: Any) -> Ask:
    return lambda session: orders.orders_page(session, orders.Filter(**wanted), FIRST)


def exports(**wanted: Any) -> Ask:
    return lambda session: exports_page(session, ExportFilter(**wanted), FIRST)


LISTS: Sequence[tuple[str, Ask, str]] = (
    ("attendees by kind of ticket", attendees("ticket"), "ticket_type_id_name_key_id (t"),
    ("attendees by kind, falling", attendees("-ticket"), "ticket_type_id_name_key_id (t"),
    ("refunds of a mode", refunds(mode="manual"), "mode_status_id (tenant_id=? AND mode=? AND st"),
    ("refunds of both", refunds(mode="manual", status="failed"), "mode_status_id (tenant_id=? AND"),
    ("refunds of a status", refunds(status="failed"), "status_id (tenant_id=? AND status=?)"),
    ("a refund by its id", refunds(words="re_1"), "provider_refund_id (tenant_id=? AND prov"),
    ("mails of a kind", mails(kind="x"), "(tenant_id=? AND kind=? AND status=?)"),
    ("mails of both", mails(kind="x", status="sent"), "(tenant_id=? AND kind=? AND status=?)"),
    ("mails of a status", mails(status="sent"), "created_at_id (tenant_id=? AND status=?)"),
    ("mails since", mails(since=NOW), "(tenant_id=? AND created_at>?)"),
    ("mails until", mails(until=NOW), "(tenant_id=? AND created_at<?)"),
    ("mails of a status until", mails(status="sent", until=NOW), "status=? AND created_at<?)"),
    ("mails to an address", mails(address="a@b.example"), "(tenant_id=? AND to_norm=?)"),
    ("mails nobody knows of", uncertain_mails, "(tenant_id=? AND status=?)"),
    ("entries of an action", audit(action="order"), "action>?)"),
    ("entries of a kind", audit(actor_kind="user"), "at_id (tenant_id=? AND actor_kind=?)"),
    ("entries until", audit(until=NOW), "(tenant_id=? AND at<?)"),
    ("entries of a person", audit(person="5"), "(tenant_id=? AND actor_kind=? AND actor_id=?)"),
    ("entries about one", audit(object_id="5"), "(tenant_id=? AND object_id=?)"),
    ("orders of a status", bought(status="paid"), "orders_tenant_id_status_id (tenant_id=? AND s"),
    ("orders of an event", bought(event="E"), "(tenant_id=? AND event_id=? AND status=?)"),
    ("an order by its code", bought(search="C1"), "(tenant_id=? AND code=?)"),
    ("orders of a buyer", bought(search="a@b.example"), "(tenant_id=? AND buyer_email_norm=?)"),
    ("items of a run", items(), "run_id_unit (run_id=?)"),
    ("items by refund", items(refund_state="done"), "states (run_id=? AND mail_state=? AND ref"),
    ("items by mail", items(mail_state="sent"), "states (run_id=? AND mail_state=? AND refund"),
    ("items by cause", items(cause="card"), "skip_reason (run_id=? AND skip_reason=?)"),
    ("deliveries until", deliveries(until=NOW), "(tenant_id=? AND created_at<?)"),
    ("deliveries of one", deliveries(endpoint_id=1), "endpoint_id=? AND status=?)"),
    ("held ones until", deliveries(statuses=("held",), until=NOW), "status=? AND created_at<?)"),
    ("deliveries of a type", deliveries(type="order.paid"), "(tenant_id=? AND type=?)"),
    ("exports of a state", exports(state="open"), "(tenant_id=? AND state=?)"),
    ("exports of both", exports(state="open", event_uid="E"), "event_id=? AND state=?)"),
    ("imports of a kind", lambda session: imports_page(session, ["users"], FIRST), "AND kind=?)"),
    ("notices", lambda session: notices_page(session, 1, FIRST), "user_id_id (tenant_id=? AND u"),
    (
        "suppressed addresses",
        lambda session: suppressions_page(session, "", FIRST, is_global=False),
        "mail_suppressions_tenant_id_id (tenant_id=?)",
    ),
)

SORT_FEW = {"a refund by its id", "an order by its code", "orders of a buyer"}


def test_no_list_of_an_organisation_sorts_or_scans(
    sqlite_database: Database, clock: FakeClock
) -> None:
    tenant = make_tenant(sqlite_database)
    make_event(sqlite_database, tenant)
    clock.advance(1)
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        for name, ask, index in LISTS:
            with plans(session) as found:
                ask(session)
            plan = "\n".join(found)
            assert index in plan, f"{name}: {plan}"
            assert "FOR ORDER BY" not in plan or name in SORT_FEW, f"{name}: {plan}"
            assert not [
                line for line in found if line.startswith("SCAN ") and "anon" not in line
            ], f"{name}: {plan}"


@pytest.mark.parametrize("wanted", [MessageFilter("seen"), MessageFilter("all", "charge")])
def test_the_providers_messages_are_found_by_indexes(
    sqlite_database: Database, wanted: MessageFilter
) -> None:
    with (
        sqlite_database.system_session("tests: read plans", read_only=True) as session,
        plans(session) as found,
    ):
        messages_page(session, wanted, FIRST)
    assert all("USING" in line for line in found), found


def posted(
    database: Database, clock: FakeClock, tenant_id: int, statuses: Sequence[str]
) -> list[int]:
    """Return the numbers of mails in these states, one a second, two of each moment."""
    numbers = []
    for n, status in enumerate(statuses):
        with database.tenant_session(tenant_id) as session:
            mail = Mail(
                kind="welcome", to_addr="a@b.example", to_norm="a@b.example", status=status,
                dedupe_key=f"d{n}",
            )  # fmt: skip
            session.add(mail)
            session.commit()
            numbers.append(mail.id)
        clock.advance(n % 2)
    return numbers


def test_a_list_of_several_states_is_in_order_there_and_back(
    database: Database, clock: FakeClock
) -> None:
    tenant = make_tenant(database)
    written = posted(database, clock, tenant.id, ["sent", "failed", "sent", "sent", "queued"] * 2)
    wanted = MailFilter(kind="welcome")
    with database.tenant_session(tenant.id, read_only=True) as session:
        first = mails_page(session, wanted, Slice(size=4))
        second = mails_page(session, wanted, Slice(after=(first.rows[-1].id,), size=4))
        third = mails_page(session, wanted, Slice(after=(second.rows[-1].id,), size=4))
        back = mails_page(session, wanted, Slice(before=(third.rows[0].id,), size=4))
    seen = [[mail.id for mail in page.rows] for page in (first, second, third)]
    assert [mail for page in seen for mail in page] == written[::-1]
    assert [mail.id for mail in back.rows] == seen[1]
    assert [(p.has_earlier, p.has_later) for p in (first, second, third, back)] == [
        (False, True), (True, True), (True, False), (True, True),
    ]  # fmt: skip


def test_a_place_whose_row_is_gone_is_still_a_place(database: Database, clock: FakeClock) -> None:
    """Deliveries are pruned while somebody reads them page by page."""
    tenant = make_tenant(database)
    written = posted(database, clock, tenant.id, ["sent"] * 5)
    with database.tenant_session(tenant.id) as session:
        session.delete(session.get_one(Mail, written[2]))
        session.commit()
        after = mails_page(session, MailFilter(), Slice(after=(written[2],)))
        before = mails_page(session, MailFilter(), Slice(before=(written[2],)))
        beyond = mails_page(session, MailFilter(), Slice(after=(0,)))
    assert [mail.id for mail in after.rows] == [written[1], written[0]]
    assert [mail.id for mail in before.rows] == [written[4], written[3]]
    assert beyond.rows == []


@pytest.mark.parametrize("ways", [1, 25])
def test_the_log_finds_actions_by_their_beginning(
    database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, ways: int
) -> None:
    """By an index for each action, or along the time where they are many."""
    monkeypatch.setattr("meet2be.audit.listing.MOST_WAYS", ways)
    tenant = make_tenant(database)
    person = make_user(database, tenant)
    said = [
        "order.paid",
        "event.changed",
        "orders.kept",
        "event.archived",
        "order.paid",
        "audit.read",
    ]
    with database.tenant_session(tenant.id) as session:
        for action, kind in zip(
            said, ("user", "job", "token", "user", "system", "user"), strict=True
        ):
            actor = Actor(kind, str(person.id)) if kind == "user" else Actor(kind, None)
            record(session, actor, action, "order", "O1")
            session.flush()
            clock.advance(1)
        session.commit()

    def found(**wanted: Any) -> list[str]:
        return [
            entry.action for entry in entries_page(session, AuditFilter(**wanted), Slice()).rows
        ]

    with database.tenant_session(tenant.id, read_only=True) as session:
        assert found(action="order") == ["order.paid", "orders.kept", "order.paid"]
        assert found(action="order.") == ["order.paid", "order.paid"]
        assert found(action="order", actor_kind="token") == ["orders.kept"]
        assert found(action="nothing") == []
        assert found(person=str(person.id)) == ["audit.read", "event.archived", "order.paid"]
        assert found(person=str(person.id), actor_kind="job") == []
        assert found(action="event", object_id="O1") == ["event.archived", "event.changed"]
        assert found(since=clock.now() - timedelta(seconds=2)) == said[:3:-1]
        assert [entry.action for entry in all_entries(session, AuditFilter())] == said[::-1]
